//! Brevo's REST API as far as it is used: requests and the shapes of replies.
//! Sources: Brevo's OpenAPI document (v3, 2025-02) and the example bodies of
//! its 2026 SDK, which differ in places; fields are optional where they may.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::{DnsRecord, DnsState, DomainType, RecordRole, SendingDomain};
use crate::http::{Auth, Body, Host, Limit, Method, Owner, Pace, Request, segment};
use crate::key::{Domain, ProviderId, Secret};
use crate::provider::{Credential, Net};
use crate::smtp::{Message, Relay};

/// One server for all accounts; Brevo has no regions.
pub static HOST: Host = Host { origin: "https://api.brevo.com", variable: "KEYCTL_BREVO_URL" };
/// 2525 is the same as 587, for networks that block the latter.
pub static RELAY: Relay =
    Relay { host: "smtp-relay.brevo.com", ports: &[587, 2525, 465], variable: "KEYCTL_BREVO_SMTP" };
pub static HOSTS: [&Host; 1] = [&HOST];
pub static RELAYS: [&Relay; 1] = [&RELAY];

fn auth(secret: &Secret) -> Auth<'_> {
    Auth::Header { name: "api-key", prefix: "", secret }
}

/// All but the sending of mail have 100 calls an hour per account
/// (developers.brevo.com, API limits; whether in one budget or one per path is
/// not said, so it is one here). Some are left to the account's other programs.
const SLOW: [Limit; 1] = [Limit { calls: 90, per: Duration::from_secs(3_600) }];

fn owner(key: &Credential<'_>) -> Owner {
    match key.account_id {
        Some(account) => Owner::Account(account.to_owned()),
        None => Owner::Stranger(key.secret.fingerprint().to_string()),
    }
}

fn slow(key: &Credential<'_>) -> Pace {
    Pace { owner: owner(key), class: "brevo", limits: &SLOW }
}

/// Takes note of the account (the organization) a key turned out to be of.
pub fn learn(net: &Net<'_>, key: &Credential<'_>, account: &str) {
    if let Owner::Stranger(id) = owner(key) {
        net.http.learn(&id, &[], account);
    }
}

pub fn get<'a>(key: &Credential<'a>, path: impl Into<String>) -> Request<'a> {
    Request::get(&HOST, path, auth(key.secret)).header("accept", "application/json").paced(slow(key))
}

pub fn account<'a>(key: &Credential<'a>) -> Request<'a> {
    get(key, "/v3/account")
}

/// Calls which a key may make that may not read `/account`.
pub fn alternatives<'a>(key: &Credential<'a>) -> [Request<'a>; 3] {
    [get(key, "/v3/senders"), domains(key), get(key, "/v3/smtp/templates").query("limit", 1)]
}

pub fn senders<'a>(key: &Credential<'a>, domain: &str) -> Request<'a> {
    get(key, "/v3/senders").query("domain", domain)
}

pub fn domains<'a>(key: &Credential<'a>) -> Request<'a> {
    get(key, "/v3/senders/domains")
}

pub fn domain<'a>(key: &Credential<'a>, domain: &Domain) -> Request<'a> {
    get(key, format!("/v3/senders/domains/{}", segment(domain.as_str())))
}

pub fn authenticate<'a>(key: &Credential<'a>, domain: &Domain) -> Request<'a> {
    let path = format!("/v3/senders/domains/{}/authenticate", segment(domain.as_str()));
    Request::change(Method::Put, &HOST, path, auth(key.secret), Body::None)
        .header("accept", "application/json")
        .paced(slow(key))
}

/// Whether the body's sandbox flag is set. As an HTTP header it would have no
/// effect: mail would go out (developers.brevo.com, using sandbox mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    On,
    Off,
}

pub fn email<'a>(key: &Credential<'a>, message: &Message, sandbox: Sandbox) -> Request<'a> {
    let html = format!("<p>{}</p>", escaped(&message.text));
    let mut body = json!({
        "sender": party(&message.from),
        "to": [party(&message.to)],
        "subject": message.subject,
        "textContent": message.text,
        "htmlContent": html,
    });
    let mut headers: serde_json::Map<String, Value> =
        message.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    if sandbox == Sandbox::On {
        headers.insert("X-Sib-Sandbox".to_owned(), json!("drop"));
    }
    if !headers.is_empty() {
        body["headers"] = Value::Object(headers);
    }
    Request::change(Method::Post, &HOST, "/v3/smtp/email", auth(key.secret), Body::Json(body))
        .header("accept", "application/json")
}

pub fn events<'a>(key: &Credential<'a>, message_id: &str) -> Request<'a> {
    get(key, "/v3/smtp/statistics/events")
        .query("messageId", message_id)
        .query("limit", 50)
        .query("sort", "desc")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', "<br>")
}

/// Returns `Name <address>` or a bare address as Brevo wants it; names have at
/// most 70 characters.
fn party(text: &str) -> Value {
    match text.split_once('<') {
        Some((name, rest)) if !name.trim().is_empty() => {
            let name: String = name.trim().trim_matches('"').chars().take(70).collect();
            json!({"email": rest.trim_end_matches(['>', ' ']), "name": name})
        }
        _ => json!({"email": address(text)}),
    }
}

/// Returns the address in `Name <address>`.
pub fn address(text: &str) -> &str {
    text.split_once('<').map_or(text, |(_, rest)| rest).trim_end_matches(['>', ' ']).trim()
}

/// `{"code", "message"}`: the envelope of every refusal. The code is an open set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Refusal {
    pub code: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Account {
    pub email: Option<String>,
    pub company_name: Option<String>,
    #[serde(rename = "organization_id")]
    pub organization_id: Option<String>,
    pub plan: Vec<Plan>,
    pub relay: Option<AccountRelay>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// `payAsYouGo`, `free`, `subscription`, `sms`; an open set.
    #[serde(rename = "type")]
    pub kind: String,
    /// Sends left (on `free`: today).
    pub credits: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AccountRelay {
    pub enabled: Option<bool>,
    pub data: RelayData,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RelayData {
    pub user_name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Domains {
    pub domains: Vec<ListedDomain>,
    pub total_pages: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ListedDomain {
    pub domain_name: String,
    #[serde(default)]
    pub authenticated: bool,
    #[serde(default)]
    pub verified: bool,
    pub creator: Option<Creator>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Creator {
    pub creation_date: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ShownDomain {
    #[serde(default)]
    pub authenticated: bool,
    #[serde(default)]
    pub verified: bool,
    /// Unknown members are kept: the console knows a variant with two CNAMEs.
    #[serde(default)]
    pub dns_records: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct WireRecord {
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
    host_name: Option<String>,
    status: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Senders {
    pub senders: Vec<Sender>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Sender {
    pub email: String,
    pub active: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Taken {
    pub message_id: Option<String>,
    pub message_ids: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Events {
    pub events: Vec<Event>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Event {
    pub event: String,
    pub date: Option<String>,
    pub reason: Option<String>,
}

/// Returns the state in one word: only an authenticated domain (DKIM in place)
/// vouches for all its senders; `verified` is proof of ownership alone.
fn state(authenticated: bool, verified: bool) -> &'static str {
    match (authenticated, verified) {
        (true, _) => "authenticated",
        (false, true) => "verified",
        (false, false) => "unverified",
    }
}

fn sending_domain(name: Domain, authenticated: bool, verified: bool) -> SendingDomain {
    SendingDomain {
        name,
        provider: ProviderId::Brevo,
        region: None,
        state: state(authenticated, verified).to_owned(),
        verified: authenticated,
        kind: DomainType::Custom,
        disabled: false,
        disabled_note: None,
        created: None,
        records: None,
    }
}

impl ListedDomain {
    /// Returns the domain; `None` when its name is none.
    pub fn domain(&self) -> Option<SendingDomain> {
        let name = self.domain_name.parse().ok()?;
        let created = self.creator.as_ref().and_then(|it| it.creation_date.as_deref());
        Some(SendingDomain {
            created: created.and_then(crate::clock::read),
            ..sending_domain(name, self.authenticated, self.verified)
        })
    }
}

impl ShownDomain {
    /// Returns the domain with its records. `asked`: the name asked for.
    pub fn domain(&self, asked: &Domain) -> SendingDomain {
        let records = self.dns_records.iter().filter_map(|(member, value)| record(asked, member, value));
        SendingDomain {
            records: Some(records.collect()),
            ..sending_domain(asked.clone(), self.authenticated, self.verified)
        }
    }
}

fn record(domain: &Domain, member: &str, value: &Value) -> Option<DnsRecord> {
    let wire: WireRecord = serde_json::from_value(value.clone()).ok()?;
    let role = if member.contains("dkim") {
        RecordRole::Dkim
    } else if member.contains("spf") {
        RecordRole::Spf
    } else {
        RecordRole::Other
    };
    let host = wire.host_name.unwrap_or_default();
    let host = host.trim_end_matches('.');
    let name = match host {
        "" | "@" => domain.as_str().to_owned(),
        host if host.ends_with(domain.as_str()) => host.to_owned(),
        host => format!("{host}.{domain}"),
    };
    Some(DnsRecord {
        role,
        record_type: wire.kind.unwrap_or_else(|| "TXT".to_owned()),
        name,
        expected: wire.value.unwrap_or_default(),
        priority: None,
        found: Vec::new(),
        state: wire
            .status
            .map_or(DnsState::Unknown, |ok| if ok { DnsState::Valid } else { DnsState::Invalid }),
        active: true,
    })
}
