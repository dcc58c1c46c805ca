//! Klaviyo's API as far as it is used: requests and the shapes of replies
//! (klaviyo/openapi f0a30ba: stable 2026-07-15, beta 2026-07-15.pre).

use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;

use super::scopes::Probe;
use crate::domain::{DnsRecord, DnsState, DomainType, RecordRole, SendingDomain};
use crate::http::{Auth, Body, Host, Limit, Method, Owner, Pace, Request, segment};
use crate::key::{Domain, Kind, ProviderId, Secret};
use crate::provider::{Credential, Net, RemoteKey};

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

/// The endpoints of class XS that are used; the id of one thing shares the
/// budget of the list. A preview has 100 a day besides, of a person's making.
const TIGHT: [&str; 6] = [
    "/api/accounts",
    "/api/api-keys",
    "/api/sending-domains",
    "/api/web-feeds",
    "/api/webhooks",
    "/api/template-preview-send-jobs",
];
/// Class XS: fixed windows of a second and a minute, per account and endpoint,
/// all private keys together (developers.klaviyo.com, rate limits).
const XS: [Limit; 2] =
    [Limit { calls: 1, per: Duration::from_secs(1) }, Limit { calls: 15, per: Duration::from_secs(60) }];
/// Class S, kept for every other endpoint that is probed: no class but XS is
/// tighter.
const S: [Limit; 2] =
    [Limit { calls: 3, per: Duration::from_secs(1) }, Limit { calls: 60, per: Duration::from_secs(60) }];
/// Class L, as the page on limits has it.
const L: [Limit; 2] =
    [Limit { calls: 75, per: Duration::from_secs(1) }, Limit { calls: 700, per: Duration::from_secs(60) }];

/// Whose budget a key's calls count against: the account inside the key, else
/// the one recorded.
fn owner(key: &Credential<'_>) -> Owner {
    match super::company(key.secret).or_else(|| key.account_id.map(str::to_owned)) {
        Some(account) => Owner::Account(account),
        None => Owner::Stranger(key.secret.fingerprint().to_string()),
    }
}

/// Takes note of the account of a key that does not name it.
pub fn learn(net: &Net<'_>, key: &Credential<'_>, account: &str) {
    if let Owner::Stranger(id) = owner(key) {
        net.http.learn(&id, &[], account);
    }
}

/// Adds the pace of class XS, where the endpoint has it.
fn paced<'a>(key: &Credential<'_>, request: Request<'a>) -> Request<'a> {
    match TIGHT.iter().find(|path| request.path.starts_with(**path)) {
        Some(class) => request.paced(Pace { owner: owner(key), class, limits: &XS }),
        None => request,
    }
}

pub fn get<'a>(key: &Credential<'a>, path: impl Into<String>, revision: &'static str) -> Request<'a> {
    let request = Request::get(&HOST, path, auth(key.secret)).header("accept", JSON_API);
    paced(key, request.header("revision", revision))
}

fn change<'a>(
    key: &Credential<'a>,
    method: Method,
    path: impl Into<String>,
    body: serde_json::Value,
) -> Request<'a> {
    let request = Request::change(method, &HOST, path, auth(key.secret), Body::Json(body));
    paced(key, request.header("accept", JSON_API).header("content-type", JSON_API))
}

const NEUTRAL: &str = "/api/catalog-categories";

/// Who the account is. A key without `accounts:read` gets 403, and that is an
/// answer as well: the key lives.
pub fn accounts<'a>(key: &Credential<'a>) -> Request<'a> {
    let fields = "public_api_key,test_account,contact_information.organization_name,\
                  contact_information.default_sender_email";
    get(key, "/api/accounts", REVISION).query("fields[account]", fields)
}

/// A second opinion: the widest rate limit, no personal data.
pub fn neutral<'a>(key: &Credential<'a>) -> Request<'a> {
    get(key, NEUTRAL, REVISION).query("page[size]", 1).query("fields[catalog-category]", "id").paced(Pace {
        owner: owner(key),
        class: NEUTRAL,
        limits: &L,
    })
}

pub fn api_keys<'a>(key: &Credential<'a>) -> Request<'a> {
    get(key, "/api/api-keys", BETA)
        .query("fields[api-key]", "name,status,scopes,created,redacted_key")
        .query("additional-fields[api-key]", "redacted_key")
}

pub fn switch<'a>(key: &Credential<'a>, id: &str, status: &str) -> Request<'a> {
    let body = json!({"data": {"type": "api-key", "id": id, "attributes": {"status": status}}});
    let path = format!("/api/api-keys/{}", segment(id));
    change(key, Method::Patch, path, body).header("revision", BETA)
}

pub fn sending_domains<'a>(key: &Credential<'a>, cursor: Option<&str>) -> Request<'a> {
    let request = get(key, "/api/sending-domains", BETA).query("page[size]", 20);
    match cursor {
        Some(cursor) => request.query("page[cursor]", cursor),
        None => request,
    }
}

pub fn verify<'a>(key: &Credential<'a>, domain_id: &str) -> Request<'a> {
    let body = json!({"data": {
        "type": "sending-domain-verification-job",
        "relationships": {"sending-domain": {"data": {"type": "sending-domain", "id": domain_id}}},
    }});
    change(key, Method::Post, "/api/sending-domain-verification-jobs", body).header("revision", BETA)
}

pub fn preview<'a>(key: &Credential<'a>, template: &str, to: &str) -> Request<'a> {
    let body = json!({"data": {
        "type": "template-preview-send-job",
        "attributes": {"recipients": [to], "context": {}},
        "relationships": {"template": {"data": {"type": "template", "id": template}}},
    }});
    change(key, Method::Post, "/api/template-preview-send-jobs", body).header("revision", BETA)
}

/// A probe: a GET of at most one id, or a POST of `{}`, which lacks the
/// mandatory `data` and so cannot create anything.
pub fn probe<'a>(key: &Credential<'a>, probe: &Probe) -> Request<'a> {
    let revision = if probe.beta { BETA } else { REVISION };
    let mut request = if probe.writes {
        change(key, Method::Post, probe.path, json!({})).header("revision", revision)
    } else {
        get(key, probe.path, revision)
    };
    for (name, value) in probe.query.iter().filter(|_| !probe.writes) {
        request = request.query(name, value);
    }
    if request.pace.is_none() {
        request = request.paced(Pace { owner: owner(key), class: probe.path, limits: &S });
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
