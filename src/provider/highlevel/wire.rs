//! HighLevel's API as far as it is used: requests and the shapes of replies
//! (GoHighLevel/highlevel-api-docs 0af86a4, locations, API 2021-07-28).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Auth, Body, Host, Limit, Method, Owner, Pace, Request, segment};
use crate::key::Secret;
use crate::provider::{LocationSnapshot, MailgunPush, RemoteLocation};

/// One host for all agencies, white labels such as Pilotly.io too.
pub static HOST: Host =
    Host { origin: "https://services.leadconnectorhq.com", variable: "KEYCTL_HIGHLEVEL_URL" };
pub static HOSTS: [&Host; 1] = [&HOST];

/// The mandatory `Version` header of the locations API.
pub const VERSION: &str = "2021-07-28";
/// Locations per page. The maximum is not documented; 100 is what others use.
pub const PAGE: usize = 100;

/// 100 calls in ten seconds for each app and company or location
/// (marketplace.gohighlevel.com, rate limits; said of OAuth apps). A private
/// integration is its own app, so its token has a budget of its own. A fifth
/// is left to the programs that use the token.
const CALLS: [Limit; 1] = [Limit { calls: 80, per: Duration::from_secs(10) }];

fn paced<'a>(secret: &Secret, request: Request<'a>) -> Request<'a> {
    let owner = Owner::Key(secret.fingerprint().to_string());
    request.header("version", VERSION).paced(Pace { owner, class: "highlevel", limits: &CALLS })
}

fn get<'a>(secret: &'a Secret, path: impl Into<String>) -> Request<'a> {
    let request = Request::get(&HOST, path, Auth::Bearer(secret)).header("accept", "application/json");
    paced(secret, request)
}

/// One page. Without `company` the token's own agency is meant.
pub fn search<'a>(secret: &'a Secret, company: Option<&str>, skip: usize, limit: usize) -> Request<'a> {
    let request = get(secret, "/locations/search").query("skip", skip).query("limit", limit);
    match company {
        Some(company) => request.query("companyId", company),
        None => request,
    }
}

pub fn location<'a>(secret: &'a Secret, id: &str) -> Request<'a> {
    get(secret, format!("/locations/{}", segment(id)))
}

/// The Mailgun key stands in the body: it must not be shown.
pub fn put_mailgun<'a>(secret: &'a Secret, push: &MailgunPush<'_>) -> Request<'a> {
    let body = json!({
        "companyId": push.company,
        "mailgun": {"apiKey": push.key.expose(), "domain": push.domain.as_str()},
    });
    let path = format!("/locations/{}", segment(push.location));
    let request = Request::change(Method::Put, &HOST, path, Auth::Bearer(secret), Body::Json(body));
    paced(secret, request.header("accept", "application/json"))
}

/// A refusal. The message is a string or a list of them; API v3 wraps it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Refusal {
    message: Value,
    error: Value,
}

impl Refusal {
    /// Returns what it says; empty for nothing.
    pub fn words(&self) -> String {
        let nested = self.error.get("message").unwrap_or(&Value::Null);
        let text = [&self.message, nested, &self.error].into_iter().find_map(|it| match it {
            Value::String(text) => Some(text.clone()),
            Value::Array(list) => {
                let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                (!words.is_empty()).then(|| words.join("; "))
            }
            _ => None,
        });
        text.unwrap_or_default()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Found {
    pub locations: Vec<WireLocation>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireLocation {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub company_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct One {
    pub location: Value,
}

impl WireLocation {
    pub fn remote(&self) -> RemoteLocation {
        let name = crate::key::text::printable(self.name.as_deref().unwrap_or_default(), 120);
        RemoteLocation { id: self.id.clone(), name, company_id: self.company_id.clone() }
    }
}

impl One {
    /// Returns the location with every field; `None` when it has no id.
    pub fn snapshot(&self) -> Option<LocationSnapshot> {
        let wire: WireLocation = serde_json::from_value(self.location.clone()).ok()?;
        let mut fields = BTreeMap::new();
        flatten(String::new(), &self.location, &mut fields);
        Some(LocationSnapshot { location: wire.remote(), fields })
    }
}

/// Notes every leaf by its JSON pointer. An empty object or list is a leaf, so
/// that it is told from nothing.
fn flatten(at: String, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                flatten(format!("{at}/{name}"), value, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                flatten(format!("{at}/{index}"), value, into);
            }
        }
        leaf => {
            into.insert(at, leaf.to_string());
        }
    }
}
