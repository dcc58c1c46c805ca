//! The table of Mailgun's operations that are stood in for: where they are,
//! what the published OpenAPI document lets a request carry, which right they
//! need, what carries them out.

use super::{Visit, account, allowlist, credentials, domains, keys, logs, messages, routes};
use crate::call::{Call, Reply};
use crate::form::Encoding;

/// What a right is about (the rows of Mailgun's role table).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    Domains,
    Messages,
    Routes,
    Logs,
    Keys,
    Credentials,
    Allowlist,
    Account,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// What a body may hold.
pub enum Body {
    Absent,
    Form {
        required: &'static [&'static str],
        optional: &'static [&'static str],
    },
    /// A form whose further fields have free names behind a prefix.
    Message {
        fields: &'static [&'static str],
    },
    Json {
        fields: &'static [&'static str],
    },
}

/// One operation.
pub struct Operation {
    pub method: &'static str,
    /// `{}` stands for any one segment.
    pub path: &'static str,
    pub area: Area,
    pub access: Access,
    pub query: &'static [&'static str],
    pub required_query: &'static [&'static str],
    pub body: Body,
    pub run: fn(&mut Visit) -> Reply,
}

const fn get(
    path: &'static str,
    area: Area,
    query: &'static [&'static str],
    run: fn(&mut Visit) -> Reply,
) -> Operation {
    let (access, body) = (Access::Read, Body::Absent);
    Operation { method: "GET", path, area, access, query, required_query: &[], body, run }
}

const fn change(
    method: &'static str,
    path: &'static str,
    area: Area,
    body: Body,
    run: fn(&mut Visit) -> Reply,
) -> Operation {
    Operation { method, path, area, access: Access::Write, query: &[], required_query: &[], body, run }
}

const MESSAGE: &[&str] =
    &["from", "to", "cc", "bcc", "subject", "text", "html", "amp-html", "attachment", "inline", "template"];
const MIME: &[&str] = &["to", "message", "template"];
const EVENTS: &[&str] = &[
    "begin",
    "end",
    "ascending",
    "limit",
    "event",
    "list",
    "attachment",
    "from",
    "message-id",
    "subject",
    "to",
    "size",
    "recipient",
    "recipients",
    "tags",
    "severity",
];
const LOGS: &[&str] = &[
    "start",
    "end",
    "events",
    "metric_events",
    "filter",
    "include_subaccounts",
    "include_totals",
    "pagination",
];
const KEY: &[&str] = &["domain_name", "kind", "description", "expiration", "user_id", "user_name", "email"];
const DOMAINS: &[&str] = &["limit", "skip", "state", "sort", "authority", "search", "include_subaccounts"];
const ADDRESS: Body = Body::Form { required: &["address"], optional: &["description"] };

/// All operations; the first that matches counts.
pub const OPERATIONS: &[Operation] = &[
    get("/v1/keys", Area::Keys, &["domain_name", "kind"], keys::list),
    change("POST", "/v1/keys", Area::Keys, Body::Form { required: &["role"], optional: KEY }, keys::create),
    change("POST", "/v1/keys/public", Area::Keys, Body::Absent, keys::renew_public),
    change("DELETE", "/v1/keys/{}", Area::Keys, Body::Absent, keys::delete),
    Operation {
        access: Access::Read,
        ..change("POST", "/v1/analytics/logs", Area::Logs, Body::Json { fields: LOGS }, logs::query)
    },
    get("/v2/ip_whitelist", Area::Allowlist, &[], allowlist::list),
    change("POST", "/v2/ip_whitelist", Area::Allowlist, ADDRESS, allowlist::add),
    change("PUT", "/v2/ip_whitelist", Area::Allowlist, ADDRESS, allowlist::describe),
    Operation {
        query: &["address"],
        required_query: &["address"],
        ..change("DELETE", "/v2/ip_whitelist", Area::Allowlist, Body::Absent, allowlist::remove)
    },
    get("/v4/domains", Area::Domains, DOMAINS, domains::list),
    get("/v4/domains/{}", Area::Domains, &[], domains::show),
    change("PUT", "/v4/domains/{}/verify", Area::Domains, Body::Absent, domains::verify),
    get("/v3/domains/{}/tracking", Area::Domains, &[], domains::tracking),
    get("/v3/domains/{}/credentials", Area::Credentials, &["skip", "limit"], credentials::list),
    change(
        "POST",
        "/v3/domains/{}/credentials",
        Area::Credentials,
        Body::Form { required: &["login"], optional: &["mailbox", "system", "password"] },
        credentials::create,
    ),
    change("DELETE", "/v3/domains/{}/credentials", Area::Credentials, Body::Absent, credentials::delete_all),
    change(
        "PUT",
        "/v3/domains/{}/credentials/{}",
        Area::Credentials,
        Body::Form { required: &[], optional: &["password"] },
        credentials::change,
    ),
    change("DELETE", "/v3/domains/{}/credentials/{}", Area::Credentials, Body::Absent, credentials::delete),
    get("/v3/routes", Area::Routes, &["skip", "limit"], routes::list),
    Operation {
        required_query: &["address"],
        ..get("/v3/routes/match", Area::Routes, &["address"], routes::matching)
    },
    get("/v3/routes/{}", Area::Routes, &[], routes::show),
    change(
        "POST",
        "/v3/routes",
        Area::Routes,
        Body::Form { required: &["expression"], optional: &["priority", "description", "action"] },
        routes::create,
    ),
    change("DELETE", "/v3/routes/{}", Area::Routes, Body::Absent, routes::delete),
    change("POST", "/v3/{}/messages", Area::Messages, Body::Message { fields: MESSAGE }, messages::send),
    change(
        "POST",
        "/v3/{}/messages.mime",
        Area::Messages,
        Body::Message { fields: MIME },
        messages::send_mime,
    ),
    get("/v3/{}/events", Area::Logs, EVENTS, logs::events),
    get("/v5/users/me", Area::Account, &[], account::me),
    get("/v5/users", Area::Account, &["role", "limit", "skip"], account::users),
    get("/v5/accounts/http_signing_key", Area::Account, &[], account::signing_key),
    get(
        "/v5/accounts/subaccounts",
        Area::Account,
        &["sort", "filter", "limit", "skip", "enabled", "closed"],
        account::subaccounts,
    ),
    get("/v5/sandbox/auth_recipients", Area::Account, &[], account::recipients),
    Operation {
        query: &["email"],
        required_query: &["email"],
        ..change("POST", "/v5/sandbox/auth_recipients", Area::Account, Body::Absent, account::add_recipient)
    },
    change(
        "DELETE",
        "/v5/sandbox/auth_recipients/{}",
        Area::Account,
        Body::Absent,
        account::remove_recipient,
    ),
];

/// What a request was aimed at.
pub enum Aim {
    Operation(&'static Operation, Vec<String>),
    /// There is such a path, but not with this method.
    WrongMethod,
    Nothing,
}

/// Finds the operation, and the values of the path's free segments.
pub fn aim(call: &Call) -> Aim {
    let segments = call.segments();
    let mut known = false;
    for operation in OPERATIONS {
        let Some(parameters) = parameters(operation.path, &segments) else { continue };
        if operation.method == call.method {
            return Aim::Operation(operation, parameters);
        }
        known = true;
    }
    if known { Aim::WrongMethod } else { Aim::Nothing }
}

fn parameters(path: &str, segments: &[String]) -> Option<Vec<String>> {
    let pattern: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if pattern.len() != segments.len() {
        return None;
    }
    let mut parameters = Vec::new();
    for (wanted, found) in pattern.iter().zip(segments) {
        match *wanted {
            "{}" if !found.is_empty() => parameters.push(found.clone()),
            wanted if wanted == found => {}
            _ => return None,
        }
    }
    Some(parameters)
}

impl Operation {
    /// Returns what the published contract forbids about a request.
    pub fn violation(&self, call: &Call) -> Option<String> {
        let strange = call.query.iter().find(|(name, _)| !self.query.contains(&name.as_str()));
        if let Some((name, _)) = strange {
            return Some(format!("unknown query parameter `{name}`"));
        }
        let missing = self.required_query.iter().find(|name| call.query(name).is_none());
        if let Some(name) = missing {
            return Some(format!("missing query parameter `{name}`"));
        }
        self.body.violation(call)
    }
}

impl Body {
    fn violation(&self, call: &Call) -> Option<String> {
        let form = &call.form;
        let strange = |known: &dyn Fn(&str) -> bool| {
            let field = form.fields.iter().find(|(name, _)| !known(name.as_str()));
            field.map(|(name, _)| format!("unknown field `{name}`"))
        };
        match self {
            Self::Absent if call.body.is_empty() => None,
            Self::Absent if form.fields.is_empty() && !matches!(form.encoding, Encoding::Other(_)) => None,
            Self::Absent => Some("a body where none is defined".to_owned()),
            Self::Form { required, optional } => {
                if matches!(form.encoding, Encoding::Other(_)) {
                    return Some("a body that is no form".to_owned());
                }
                let missing = required.iter().find(|name| form.filled(name).is_none());
                match missing {
                    Some(name) => Some(format!("missing field `{name}`")),
                    None => strange(&|name| required.contains(&name) || optional.contains(&name)),
                }
            }
            Self::Message { fields } => {
                strange(&|name| fields.contains(&name) || name == "recipient-variables" || prefixed(name))
            }
            Self::Json { fields } => match call.json() {
                Ok(serde_json::Value::Object(map)) => map
                    .keys()
                    .find(|name| !fields.contains(&name.as_str()))
                    .map(|name| format!("unknown field `{name}`")),
                Ok(_) => Some("a body that is no JSON object".to_owned()),
                Err(error) => Some(error),
            },
        }
    }
}

/// Whether a message's field is an option, a header, a variable or a template's.
fn prefixed(name: &str) -> bool {
    ["o:", "h:", "v:", "t:"].iter().any(|prefix| name.starts_with(prefix))
}
