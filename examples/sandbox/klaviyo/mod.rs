//! Klaviyo, as its OpenAPI documents (stable 2026-07-15, beta 2026-07-15.pre)
//! and recorded refusals describe it. Scopes, limits and parameters are those
//! of the contract.

pub mod control;
pub mod demo;
mod model;

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::contract::{self, Aim, Contract, Operation};
use crate::record::Mail;
use crate::world::World;
use crate::{chance, moment};
pub use model::Klaviyo;
use model::{Account, Domain, Key};

static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract::read(include_str!("../../../tests/contracts/klaviyo.json")));

const JSON_API: &str = "application/vnd.api+json";
const BETA: &str = "2026-07-15.pre";

/// One request that was let in.
struct Visit<'a> {
    world: &'a mut World,
    call: &'a Call,
    key: Key,
    now: Timestamp,
}

impl Visit<'_> {
    fn account(&mut self) -> &mut Account {
        self.world.klaviyo.accounts.entry(self.key.account.clone()).or_default()
    }
}

fn reply(status: u16, value: &Value) -> Reply {
    Reply::raw(status, JSON_API, &value.to_string())
}

fn refusal(status: u16, code: &str, detail: &str) -> Reply {
    let id = format!("{}-{}", chance::hex(8), chance::hex(12));
    let error = json!({"id": id, "status": status, "code": code, "title": detail, "detail": detail,
        "source": {"pointer": "/data/"}, "links": {}, "meta": {}});
    reply(status, &json!({"errors": [error]}))
}

/// Answers on Klaviyo's one host.
pub fn answer(world: &mut World, call: &Call) -> Reply {
    match CONTRACT.aim(&call.method, &call.segments()) {
        Aim::Nothing => {
            refusal(404, "not_found", "Not found.").violating(format!("no such path: {}", call.path))
        }
        Aim::WrongMethod => refusal(405, "method_not_allowed", "Method not allowed.")
            .violating(format!("{} is not defined for {}", call.method, call.path)),
        Aim::Operation(operation, parameters) => {
            let secret = CONTRACT.credential(&call.headers).unwrap_or_default().trim().to_owned();
            let violation =
                contract::violation(operation, call).or_else(|| contract::secret_in_target(call, &secret));
            let parameter = parameters.into_iter().next().unwrap_or_default();
            let mut reply = admit(world, call, &secret, (operation, &parameter), violation.as_deref());
            if let Some(violation) = violation {
                reply = reply.violating(violation);
            }
            reply
        }
    }
}

/// Checks key, limit, scope and contract, in this order.
fn admit(
    world: &mut World,
    call: &Call,
    secret: &str,
    (operation, parameter): (&Operation, &str),
    violation: Option<&str>,
) -> Reply {
    let now = world.now();
    if secret.is_empty() {
        let detail = match call.header("authorization") {
            Some(_) => "Missing or invalid authorization scheme. Please use Klaviyo-API-Key.",
            None => "Authentication credentials were not provided.",
        };
        return refusal(401, "not_authenticated", detail);
    }
    let key = world.klaviyo.keys.iter().find(|it| it.secret == secret).cloned();
    let Some(key) = key.filter(|it| !it.deleted) else {
        return refusal(401, "authentication_failed", "Incorrect authentication credentials.");
    };
    let id = key.id.clone();
    let noted = |mut reply: Reply, authenticated| {
        (reply.key_id, reply.authenticated) = (Some(id.clone()), authenticated);
        reply
    };
    if key.disabled {
        return noted(refusal(401, "authentication_failed", "Incorrect authentication credentials."), false);
    }
    let account = world.klaviyo.accounts.entry(key.account.clone()).or_default();
    if let Some(reply) = limited(account, operation, now) {
        return noted(reply, true);
    }
    if call.header("revision") == Some(BETA) && !account.settings.beta {
        return noted(refusal(404, "not_found", "The beta revision is not enabled for this account."), true);
    }
    let lacks = operation.scopes.iter().any(|it| !key.scopes.contains(it));
    let outside_plan = operation.path == "/api/webhooks" && !account.settings.webhooks;
    if lacks || outside_plan {
        let detail = "You do not have permission to perform this action.";
        return noted(refusal(403, "permission_denied", detail), true);
    }
    if let Some(what) = violation {
        return noted(refusal(400, "invalid", what), true);
    }
    let mut visit = Visit { world, call, key, now };
    noted(visit.run(operation, parameter), true)
}

/// Fixed windows of a second and a minute, per account and endpoint.
fn limited(account: &mut Account, operation: &Operation, now: Timestamp) -> Option<Reply> {
    let [burst, steady] = operation.limit.filter(|_| account.settings.limits)?;
    let calls = account.calls.entry(format!("{} {}", operation.method, operation.path)).or_default();
    calls.retain(|at| now.duration_since(*at) < SignedDuration::from_mins(1));
    let in_second = calls.iter().filter(|at| now.duration_since(**at) < SignedDuration::from_secs(1)).count();
    let wait = if calls.len() >= steady as usize {
        let oldest = calls.first().copied().unwrap_or(now);
        (SignedDuration::from_mins(1) - now.duration_since(oldest)).as_secs().max(1)
    } else if in_second >= burst as usize {
        1
    } else {
        calls.push(now);
        return None;
    };
    let detail = format!("Request was throttled. Expected available in {wait} second.");
    Some(refusal(429, "throttled", &detail).with("retry-after", wait.to_string()))
}

impl Visit<'_> {
    fn run(&mut self, operation: &Operation, parameter: &str) -> Reply {
        match (operation.method.as_str(), operation.path.as_str()) {
            ("GET", "/api/accounts") => self.show_account(),
            ("GET", "/api/api-keys") => self.list_keys(),
            ("GET", "/api/api-keys/{id}") => self.show_key(parameter),
            ("PATCH", "/api/api-keys/{id}") => self.change_key(parameter),
            ("GET", "/api/sending-domains") => self.list_domains(),
            ("GET", "/api/sending-domains/{id}") => self.show_domain(parameter),
            ("POST", "/api/sending-domain-verification-jobs") => self.verify_domain(),
            ("POST", "/api/template-preview-send-jobs") => self.preview(),
            ("GET", _) => reply(200, &json!({"data": [], "links": {"self": self.call.path, "next": null}})),
            // The collections are not stood in for: nothing may be made in them.
            _ => refusal(400, "invalid", "Invalid input."),
        }
    }

    fn show_account(&mut self) -> Reply {
        let account = self.account();
        let settings = &account.settings;
        let data = json!({"type": "account", "id": account.id, "attributes": {
            "test_account": settings.test_account, "public_api_key": account.id, "contact_information": {
                "organization_name": settings.organization_name, "default_sender_email": settings.email}},
            "links": {"self": format!("https://a.klaviyo.com/api/accounts/{}/", account.id)}});
        reply(200, &json!({"data": [data], "links": {"self": "https://a.klaviyo.com/api/accounts/"}}))
    }

    /// Returns a key as the API shows it; the masked form only on request.
    fn shown_key(&self, key: &Key) -> Value {
        let mut attributes = json!({"name": key.name, "scopes": key.scopes,
            "status": if key.disabled { "disabled" } else { "active" }, "created": moment::rfc3339(key.created)});
        if self.call.query("additional-fields[api-key]") == Some("redacted_key") {
            let last = &key.secret[key.secret.len() - 4..];
            attributes["redacted_key"] = json!(["p", "k_****", last].concat());
        }
        json!({"type": "api-key", "id": key.id, "attributes": attributes, "links": {}})
    }

    fn list_keys(&mut self) -> Reply {
        let own = |it: &&Key| it.account == self.key.account && !it.deleted;
        let list: Vec<Value> =
            self.world.klaviyo.keys.iter().filter(own).map(|it| self.shown_key(it)).collect();
        reply(200, &json!({"data": list, "links": {"self": "x", "next": null, "prev": null}}))
    }

    fn own_key(&mut self, id: &str) -> Result<&mut Key, Reply> {
        let account = self.key.account.clone();
        let key = self.world.klaviyo.key(id).filter(|it| it.account == account);
        key.ok_or_else(|| refusal(404, "not_found", "An api-key with this id does not exist."))
    }

    fn show_key(&mut self, id: &str) -> Reply {
        let key = match self.own_key(id) {
            Ok(key) => key.clone(),
            Err(reply) => return reply,
        };
        reply(200, &json!({"data": self.shown_key(&key), "links": {}}))
    }

    /// A key may be told to disable itself as well.
    fn change_key(&mut self, id: &str) -> Reply {
        let body = self.call.json().unwrap_or_default();
        if body["data"]["id"] != id {
            return refusal(409, "conflict", "The id of the body is not that of the path.");
        }
        let changed = match self.own_key(id) {
            Ok(key) => {
                let attributes = &body["data"]["attributes"];
                if let Some(name) = attributes["name"].as_str() {
                    key.name = name.to_owned();
                }
                if let Some(status) = attributes["status"].as_str() {
                    key.disabled = status == "disabled";
                }
                key.clone()
            }
            Err(reply) => return reply,
        };
        reply(200, &json!({"data": self.shown_key(&changed), "links": {}}))
    }

    fn list_domains(&mut self) -> Reply {
        let size = self.call.query("page[size]").and_then(|it| it.parse().ok()).unwrap_or(10).min(20);
        let from: usize = self.call.query("page[cursor]").and_then(|it| it.parse().ok()).unwrap_or(0);
        let at = self.now;
        let all = &self.account().domains;
        let page: Vec<Value> = all.iter().skip(from).take(size).map(|it| shown_domain(it, at)).collect();
        let next = (from + size < all.len()).then(|| {
            let cursor = from + size;
            format!(
                "https://a.klaviyo.com/api/sending-domains?page%5Bsize%5D={size}&page%5Bcursor%5D={cursor}"
            )
        });
        reply(200, &json!({"data": page, "links": {"self": "x", "next": next, "prev": null}}))
    }

    fn show_domain(&mut self, id: &str) -> Reply {
        let at = self.now;
        match self.account().domains.iter().find(|it| it.id == id) {
            Some(domain) => reply(200, &json!({"data": shown_domain(domain, at), "links": {}})),
            None => refusal(404, "not_found", "A sending-domain with this id does not exist."),
        }
    }

    /// Looks at the records; activates nothing.
    fn verify_domain(&mut self) -> Reply {
        let body = self.call.json().unwrap_or_default();
        let id = body["data"]["relationships"]["sending-domain"]["data"]["id"].as_str().unwrap_or_default();
        let at = self.now;
        let Some(domain) = self.account().domains.iter().find(|it| it.id == id).cloned() else {
            return refusal(404, "not_found", "A sending-domain with this id does not exist.");
        };
        let state = if domain.published { "verified" } else { "failed" };
        let shown = shown_domain(&domain, at);
        let data = json!({"type": "sending-domain-verification-job", "id": format!("ver_{}", chance::hex(12)),
            "attributes": {"verification_state": state, "dns_records": shown["attributes"]["dns_records"],
                "checked_at": moment::rfc3339(at)}, "links": {}});
        reply(202, &json!({"data": data, "links": {}}))
    }

    fn preview(&mut self) -> Reply {
        let body = self.call.json().unwrap_or_default();
        let template =
            body["data"]["relationships"]["template"]["data"]["id"].as_str().unwrap_or_default().to_owned();
        let recipients = body["data"]["attributes"]["recipients"].as_array().cloned().unwrap_or_default();
        let to: Vec<String> = recipients.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if !self.account().templates.contains(&template) {
            return refusal(404, "not_found", "A template with this id does not exist.");
        }
        if to.is_empty() || to.len() > 5 {
            return refusal(400, "invalid", "Between 1 and 5 recipients are allowed.");
        }
        let from = self.account().settings.email.clone();
        let id = format!("tps_{}", chance::hex(12));
        let at = moment::rfc3339(self.now);
        self.world.record.mail(Mail {
            host: "klaviyo".to_owned(),
            via: "api",
            message_id: id.clone(),
            domain: from.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned(),
            from,
            to,
            subject: format!("Preview of {template}"),
            text: String::new(),
            test_mode: false,
            key_id: Some(self.key.id.clone()),
            login: None,
            at: at.clone(),
        });
        let data = json!({"type": "template-preview-send-job", "id": id,
            "attributes": {"status": "queued", "created_at": at}, "links": {}});
        reply(202, &json!({"data": data, "links": {}}))
    }
}

fn shown_domain(domain: &Domain, at: Timestamp) -> Value {
    let name = &domain.domain;
    let at = moment::rfc3339(at);
    let record = |kind: &str, host: String, value: &str| json!({"type": kind, "host": host, "value": value, "verified": domain.published});
    json!({"type": "sending-domain", "id": domain.id, "attributes": {
        "domain": name, "dkim_selector": "kl", "purpose": "marketing", "configuration": "static",
        "status": domain.status, "dns_records": [
            record("cname", name.clone(), "u1.wl.klaviyomail.example"),
            record("cname", format!("kl._domainkey.{name}"), "kl.domainkey.u1.klaviyomail.example"),
            record("txt", name.clone(), "klaviyo-site-verification=AbC123"),
        ], "created_at": at, "updated_at": at}, "links": {}})
}
