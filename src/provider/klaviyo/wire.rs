//! Klaviyo's API as far as it is used: requests and the shapes of replies
//! (klaviyo/openapi f0a30ba: stable 2026-07-15, beta 2026-07-15.pre).

use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;

use super::scopes::Probe;
use crate::domain::{DnsRecord, DnsState, DomainType, RecordRole, SendingDomain};
use crate::http::{Auth, Body, Host, Method, Pace, Request, segment};
use crate::key::{Domain, Kind, ProviderId, Secret};
use crate::provider::RemoteKey;

/// One host for all accounts; no other region is documented.
pub static HOST: Host = Host { origin: "https://a.klaviyo.com", variable: "KEYCTL_KLAVIYO_URL" };
pub static HOSTS: [&Host; 1] = [&HOST];

/// The revision of the stable API. An unknown date may be refused, so it is
/// always an exact one.
pub const REVISION: &str = "2026-07-15";
/// The revision of the beta: keys, sending domains, template previews.
pub const BETA: &str = "2026-07-15.pre";

/// The media type of JSON:API; anything else is refused with 415.
const JSON_API: &str = "application/vnd.api+json";

fn auth(secret: &Secret) -> Auth<'_> {
    Auth::Header { name: "authorization", prefix: "Klaviyo-API-Key ", secret }
}

/// The endpoints of class XS: one call a second and 15 a minute per account.
const TIGHT: [&str; 5] =
    ["/api/accounts", "/api/api-keys", "/api/sending-domains", "/api/web-feeds", "/api/webhooks"];

/// Adds the pace of class XS. The 15 a minute are left to `Retry-After`.
fn paced<'a>(secret: &Secret, request: Request<'a>) -> Request<'a> {
    match TIGHT.iter().find(|path| request.path.starts_with(**path)) {
        Some(path) => {
            let account = super::company(secret).unwrap_or_else(|| secret.fingerprint().to_string());
            request.paced(Pace {
                bucket: format!("{account} {path}"),
                every: Duration::from_millis(1_100),
                burst: 1,
            })
        }
        None => request,
    }
}

pub fn get<'a>(secret: &'a Secret, path: impl Into<String>, revision: &'static str) -> Request<'a> {
    let request = Request::get(&HOST, path, auth(secret)).header("accept", JSON_API);
    paced(secret, request.header("revision", revision))
}

fn change<'a>(
    secret: &'a Secret,
    method: Method,
    path: impl Into<String>,
    body: serde_json::Value,
) -> Request<'a> {
    let request = Request::change(method, &HOST, path, auth(secret), Body::Json(body));
    paced(secret, request.header("accept", JSON_API).header("content-type", JSON_API))
}

/// Who the account is. A key without `accounts:read` gets 403, and that is an
/// answer as well: the key lives.
pub fn accounts(secret: &Secret) -> Request<'_> {
    let fields = "public_api_key,test_account,contact_information.organization_name,\
                  contact_information.default_sender_email";
    get(secret, "/api/accounts", REVISION).query("fields[account]", fields)
}

/// A second opinion: the widest rate limit, no personal data.
pub fn neutral(secret: &Secret) -> Request<'_> {
    get(secret, "/api/catalog-categories", REVISION)
        .query("page[size]", 1)
        .query("fields[catalog-category]", "id")
}

pub fn api_keys(secret: &Secret) -> Request<'_> {
    get(secret, "/api/api-keys", BETA)
        .query("fields[api-key]", "name,status,scopes,created,redacted_key")
        .query("additional-fields[api-key]", "redacted_key")
}

pub fn switch<'a>(secret: &'a Secret, id: &str, status: &str) -> Request<'a> {
    let body = json!({"data": {"type": "api-key", "id": id, "attributes": {"status": status}}});
    let path = format!("/api/api-keys/{}", segment(id));
    change(secret, Method::Patch, path, body).header("revision", BETA)
}

pub fn sending_domains<'a>(secret: &'a Secret, cursor: Option<&str>) -> Request<'a> {
    let request = get(secret, "/api/sending-domains", BETA).query("page[size]", 20);
    match cursor {
        Some(cursor) => request.query("page[cursor]", cursor),
        None => request,
    }
}

pub fn verify<'a>(secret: &'a Secret, domain_id: &str) -> Request<'a> {
    let body = json!({"data": {
        "type": "sending-domain-verification-job",
        "relationships": {"sending-domain": {"data": {"type": "sending-domain", "id": domain_id}}},
    }});
    change(secret, Method::Post, "/api/sending-domain-verification-jobs", body).header("revision", BETA)
}

pub fn preview<'a>(secret: &'a Secret, template: &str, to: &str) -> Request<'a> {
    let body = json!({"data": {
        "type": "template-preview-send-job",
        "attributes": {"recipients": [to], "context": {}},
        "relationships": {"template": {"data": {"type": "template", "id": template}}},
    }});
    change(secret, Method::Post, "/api/template-preview-send-jobs", body).header("revision", BETA)
}

/// A probe: a GET of at most one id, or a POST of `{}`, which lacks the
/// mandatory `data` and so cannot create anything.
pub fn probe<'a>(secret: &'a Secret, probe: &Probe) -> Request<'a> {
    let revision = if probe.beta { BETA } else { REVISION };
    if probe.writes {
        return change(secret, Method::Post, probe.path, json!({})).header("revision", revision);
    }
    let mut request = get(secret, probe.path, revision);
    for (name, value) in &probe.query {
        request = request.query(name, value);
    }
    request
}

/// JSON:API's list of errors.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Errors {
    pub errors: Vec<ApiError>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ApiError {
    pub code: Option<String>,
    pub title: Option<String>,
    pub detail: Option<String>,
}

/// JSON:API's envelope of a success.
#[derive(Debug, Clone, Deserialize)]
pub struct Envelope<T> {
    pub data: T,
    #[serde(default)]
    pub links: Option<Links>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Links {
    next: Option<String>,
}

impl Links {
    /// Returns the cursor in the link to the next page.
    pub fn cursor(&self) -> Option<String> {
        let (_, query) = self.next.as_deref()?.split_once('?')?;
        query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let name = percent_decode_str(name).decode_utf8().ok()?;
            (name == "page[cursor]").then(|| percent_decode_str(value).decode_utf8_lossy().into_owned())
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Resource<T> {
    #[serde(default)]
    pub id: String,
    pub attributes: T,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AccountFields {
    pub public_api_key: Option<String>,
    pub test_account: bool,
    pub contact_information: Contact,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Contact {
    pub organization_name: Option<String>,
    pub default_sender_email: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct KeyFields {
    pub name: Option<String>,
    pub status: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub created: Option<String>,
    pub redacted_key: Option<String>,
}

impl Resource<KeyFields> {
    pub fn remote(&self) -> RemoteKey {
        let it = &self.attributes;
        RemoteKey {
            id: self.id.clone(),
            name: it.name.clone(),
            kind: Some(Kind::Private),
            created: it.created.as_deref().and_then(crate::clock::read),
            disabled: it.status.as_deref() == Some("disabled"),
            permissions: it.scopes.clone(),
            masked: it.redacted_key.clone(),
            ..RemoteKey::default()
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct DomainFields {
    pub domain: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub dns_records: Vec<WireRecord>,
    #[serde(default)]
    pub created_at: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WireRecord {
    #[serde(rename = "type")]
    kind: String,
    host: String,
    value: String,
    verified: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Verification {
    pub dns_records: Vec<WireRecord>,
}

impl DomainFields {
    /// Returns the domain; `None` when its name is none. `warming` domains
    /// send already, in growing numbers.
    pub fn domain(&self) -> Option<SendingDomain> {
        let name: Domain = self.domain.parse().ok()?;
        Some(SendingDomain {
            name,
            provider: ProviderId::Klaviyo,
            region: None,
            state: self.status.clone(),
            verified: matches!(self.status.as_str(), "active" | "warming"),
            kind: DomainType::Custom,
            disabled: false,
            disabled_note: None,
            created: self.created_at.as_deref().and_then(crate::clock::read),
            records: Some(records(&self.dns_records)),
        })
    }
}

pub fn records(wire: &[WireRecord]) -> Vec<DnsRecord> {
    let role = |it: &WireRecord| match it.kind.to_ascii_lowercase().as_str() {
        "mx" => RecordRole::Mx,
        _ if it.host.contains("_domainkey") => RecordRole::Dkim,
        "txt" if it.value.starts_with("v=spf1") => RecordRole::Spf,
        _ => RecordRole::Other,
    };
    let state = |verified: Option<bool>| match verified {
        Some(true) => DnsState::Valid,
        Some(false) => DnsState::Invalid,
        None => DnsState::Unknown,
    };
    wire.iter()
        .map(|it| DnsRecord {
            role: role(it),
            record_type: it.kind.to_ascii_uppercase(),
            name: it.host.clone(),
            expected: it.value.clone(),
            priority: None,
            found: Vec::new(),
            state: state(it.verified),
            active: true,
        })
        .collect()
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct JobFields {
    pub status: Option<String>,
}
