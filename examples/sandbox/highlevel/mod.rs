//! HighLevel, as its OpenAPI document of the locations API (2021-07-28) and
//! recorded refusals describe it. A 401 may mean a dead token, a missing scope
//! or a foreign location; only the message tells.

pub mod control;
pub mod demo;
mod model;

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::contract::{self, Aim, Contract};
use crate::world::World;
pub use model::Highlevel;
use model::{Level, Location, Token};

static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract::read(include_str!("../../../tests/contracts/highlevel.json")));

/// One request that was let in.
struct Visit<'a> {
    world: &'a mut World,
    call: &'a Call,
    token: Token,
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"statusCode": status, "message": message}))
}

const FOREIGN: &str = "The token does not have access to this location.";

/// Answers on HighLevel's one host.
pub fn answer(world: &mut World, call: &Call) -> Reply {
    match CONTRACT.aim(&call.method, &call.segments()) {
        Aim::Nothing => refusal(404, &format!("Cannot {} {}", call.method, call.path))
            .violating(format!("no such path: {}", call.path)),
        Aim::WrongMethod => refusal(404, &format!("Cannot {} {}", call.method, call.path))
            .violating(format!("{} is not defined for {}", call.method, call.path)),
        Aim::Operation(operation, parameters) => {
            let secret = CONTRACT.credential(&call.headers).unwrap_or_default().to_owned();
            let violation =
                contract::violation(operation, call).or_else(|| contract::secret_in_target(call, &secret));
            let parameter = parameters.into_iter().next().unwrap_or_default();
            let mut reply =
                admit(world, call, &secret, (&operation.method, &parameter), violation.as_deref());
            if let Some(violation) = violation {
                reply = reply.violating(violation);
            }
            reply
        }
    }
}

/// Checks token, scope and contract, in this order.
fn admit(
    world: &mut World,
    call: &Call,
    secret: &str,
    (method, parameter): (&str, &str),
    violation: Option<&str>,
) -> Reply {
    let token = world.highlevel.tokens.iter().find(|it| it.secret == secret).cloned();
    let Some(token) = token else {
        return refusal(401, "Invalid JWT");
    };
    let id = token.id.clone();
    let noted = |mut reply: Reply, authenticated| {
        (reply.key_id, reply.authenticated) = (Some(id.clone()), authenticated);
        reply
            .with("x-ratelimit-max", "100")
            .with("x-ratelimit-remaining", "99")
            .with("x-ratelimit-interval-milliseconds", "10000")
    };
    if token.dead {
        return noted(refusal(401, "Invalid Private Integration token"), false);
    }
    let wanted = if method == "PUT" { "locations.write" } else { "locations.readonly" };
    if !token.scopes.iter().any(|it| it == wanted) || (method == "PUT" && token.level == Level::Location) {
        return noted(refusal(401, "The token is not authorized for this scope."), true);
    }
    if let Some(what) = violation {
        return noted(
            Reply::json(422, &json!({"statusCode": 422, "message": [what], "error": "Unprocessable Entity"})),
            true,
        );
    }
    let mut visit = Visit { world, call, token };
    let reply = match (method, parameter) {
        ("GET", "") => visit.search(),
        ("GET", id) => visit.show(id),
        (_, id) => visit.put(id),
    };
    noted(reply, true)
}

impl Visit<'_> {
    fn sees(&self, location: &Location) -> bool {
        match self.token.level {
            Level::Agency => location.company == self.token.company,
            Level::Location => self.token.location.as_deref() == Some(location.id.as_str()),
        }
    }

    fn search(&mut self) -> Reply {
        let company = self.call.query("companyId");
        if company.is_some_and(|it| it != self.token.company) {
            return refusal(401, "This location is not accessible from this token.");
        }
        let number =
            |name: &str, default| self.call.query(name).and_then(|it| it.parse().ok()).unwrap_or(default);
        let company = self.world.highlevel.companies.get(&self.token.company);
        let most = company.map_or(100, |it| it.settings.page_limit);
        let (skip, limit) = (number("skip", 0_usize), number("limit", 10_usize).min(most));
        let shown = |it: &Location| {
            let mut fields = it.fields.clone();
            fields.insert("id".to_owned(), json!(it.id));
            Value::Object(fields)
        };
        let all = self.world.highlevel.locations.iter().filter(|it| it.listed && self.sees(it));
        let page: Vec<Value> = all.skip(skip).take(limit).map(shown).collect();
        Reply::json(200, &json!({"locations": page}))
    }

    fn find(&mut self, id: &str) -> Result<usize, Reply> {
        let list = &self.world.highlevel.locations;
        let at = list.iter().position(|it| it.id == id);
        let company = self.world.highlevel.companies.get(&self.token.company);
        let absent = company.map_or(400, |it| it.settings.absent_status);
        let at = at.ok_or_else(|| refusal(absent, &format!("Location with id {id} not found")))?;
        if self.sees(&list[at]) { Ok(at) } else { Err(refusal(403, FOREIGN)) }
    }

    fn show(&mut self, id: &str) -> Reply {
        match self.find(id) {
            Ok(at) => Reply::json(200, &json!({"location": whole(&self.world.highlevel.locations[at])})),
            Err(reply) => reply,
        }
    }

    fn put(&mut self, id: &str) -> Reply {
        let at = match self.find(id) {
            Ok(at) => at,
            Err(reply) => return reply,
        };
        let Ok(Value::Object(mut body)) = self.call.json() else {
            return refusal(422, "the body is no object");
        };
        if body.remove("companyId") != Some(json!(self.token.company)) {
            return refusal(401, "This location is not accessible from this token.");
        }
        let settings = self.world.highlevel.companies.get(&self.token.company).map(|it| it.settings.clone());
        let settings = settings.unwrap_or_default();
        let mailgun = body.remove("mailgun");
        if let Some(key) = mailgun.as_ref().and_then(|it| it["apiKey"].as_str())
            && settings.tries_mailgun
            && !self.world.mailgun.key_by_secret(key).is_some_and(|it| it.works(self.world.now()))
        {
            return refusal(400, "Invalid Mailgun credentials");
        }
        let location = &mut self.world.highlevel.locations[at];
        location.fields.extend(body);
        location.mailgun = mailgun.or(location.mailgun.take());
        for field in &settings.put_loses {
            location.fields.remove(field);
        }
        let mut shown = location.fields.clone();
        shown.insert("id".to_owned(), json!(location.id));
        shown.insert("companyId".to_owned(), json!(location.company));
        Reply::json(200, &Value::Object(shown))
    }
}

/// Returns a location as the API shows one.
fn whole(location: &Location) -> Value {
    let mut fields = location.fields.clone();
    fields.insert("id".to_owned(), json!(location.id));
    fields.insert("companyId".to_owned(), json!(location.company));
    fields.entry("settings").or_insert_with(|| {
        json!({"allowDuplicateContact": false, "allowDuplicateOpportunity": false, "allowFacebookNameMerge": false,
            "disableContactTimezone": false})
    });
    fields.entry("social").or_insert_with(|| json!({}));
    Value::Object(fields)
}
