//! Mailgun, US and EU, as its OpenAPI document and recorded replies describe
//! it. Keys are global; domains, routes, credentials and logs belong to a
//! region. Where sources contradict each other an account's settings choose.

mod account;
mod allowlist;
mod auth;
pub mod control;
mod credentials;
pub mod demo;
mod domains;
mod keys;
mod logs;
mod messages;
mod model;
mod operations;
pub mod relay;
mod routes;

use jiff::Timestamp;
use serde_json::json;

use crate::call::{Call, Reply};
use crate::world::World;
use auth::Caller;
pub use domains::published;
pub use model::Mailgun;
use model::{Account, Region};
use operations::{Aim, Area, Operation};

/// One request that was let in.
struct Visit<'a> {
    world: &'a mut World,
    call: &'a Call,
    region: Region,
    caller: Caller,
    now: Timestamp,
    /// The free segments of the path.
    parameters: Vec<String>,
}

impl Visit<'_> {
    fn parameter(&self, index: usize) -> &str {
        self.parameters.get(index).map(String::as_str).unwrap_or_default()
    }

    fn mailgun(&mut self) -> &mut Mailgun {
        &mut self.world.mailgun
    }

    /// Returns the caller's account; a key cannot be without one.
    fn account(&mut self) -> &mut Account {
        self.world.mailgun.accounts.entry(self.caller.account.clone()).or_default()
    }
}

/// Answers on the US host.
pub fn us(world: &mut World, call: &Call) -> Reply {
    answer(world, call, Region::Us)
}

/// Answers on the EU host.
pub fn eu(world: &mut World, call: &Call) -> Reply {
    answer(world, call, Region::Eu)
}

fn answer(world: &mut World, call: &Call, region: Region) -> Reply {
    let violated = auth::secret_in_target(call);
    let mut reply = match operations::aim(call) {
        Aim::Operation(operation, parameters) => admit(world, call, region, (operation, parameters)),
        Aim::WrongMethod => Reply::json(405, &json!({"message": "Method Not Allowed"}))
            .violating(format!("{} is not defined for {}", call.method, call.path)),
        Aim::Nothing => not_found_page().violating(format!("no such path: {}", call.path)),
    };
    if let Some(violated) = violated {
        reply = reply.violating(violated);
    }
    reply
}

/// Checks key, role and contract, in this order, then runs the operation.
fn admit(
    world: &mut World,
    call: &Call,
    region: Region,
    (operation, parameters): (&'static Operation, Vec<String>),
) -> Reply {
    let now = world.now();
    let violation = operation.violation(call);
    let (key_id, admitted) = auth::admit(world, call, now);
    let mut reply = match admitted {
        None => auth::refusal(operation.area),
        Some(caller) => {
            let mut visit = Visit { world, call, region, caller, now, parameters };
            let mut reply = match (visit.denial(operation), &violation) {
                (Some(denial), _) => denial,
                // The message endpoints have texts of their own for bad forms.
                (None, Some(what)) if operation.area != Area::Messages => {
                    Reply::json(400, &json!({"message": format!("Invalid request: {what}")}))
                }
                (None, _) => (operation.run)(&mut visit),
            };
            reply.authenticated = reply.status != 401;
            visit.dress(&mut reply);
            reply
        }
    };
    reply.key_id = key_id;
    reply.violation = reply.violation.or(violation);
    reply
}

impl Visit<'_> {
    /// Returns the refusal for a role that may not do this.
    fn denial(&mut self, operation: &Operation) -> Option<Reply> {
        if auth::may(self.caller.role, operation.area, operation.access) {
            return None;
        }
        let status = match (operation.area, self.caller.role) {
            (Area::Keys, _) => self.account().settings.denied_keys_status,
            // Recorded in 2022: a sending key elsewhere is told it is invalid.
            (_, model::Role::Sending) => 401,
            _ => 403,
        };
        match status {
            401 => Some(auth::refusal(operation.area)),
            status => Some(Reply::json(status, &json!({"message": "Forbidden"}))),
        }
    }

    /// Adds the headers every authenticated reply carries.
    fn dress(&mut self, reply: &mut Reply) {
        if reply.status == 401 {
            return;
        }
        let legacy = self.caller.legacy;
        let key_id = self.caller.key_id.clone();
        let settings = &self.account().settings;
        if if legacy { settings.legacy_key_id_header } else { settings.key_id_header } {
            reply.headers.push(("x-mailgun-key-id".to_owned(), key_id));
        }
        let json = reply.headers.iter_mut().find(|(_, value)| value == "application/json");
        if let Some((_, value)) = json {
            value.clone_from(&settings.json_content_type);
        }
    }
}

/// The page a wrong path is answered with: not JSON.
fn not_found_page() -> Reply {
    Reply::html(
        404,
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<title>404 Not Found</title>\n\
         <h1>Not Found</h1>\n<p>The requested URL was not found on the server.</p>\n",
    )
}

/// Cuts a page out of a list by the query's `limit` and `skip`.
fn page(call: &Call, limit_refusal: &str) -> Result<(usize, usize), Reply> {
    let number = |name: &str, default: usize| match call.query(name) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| {
            Reply::json(400, &json!({"message": format!("The '{name}' parameter is not a valid integer")}))
        }),
    };
    let (limit, skip) = (number("limit", 100)?, number("skip", 0)?);
    if limit > 1000 {
        return Err(Reply::json(400, &json!({"message": limit_refusal})));
    }
    Ok((limit, skip))
}
