//! The part of the control API below `/mailgun/`; described in `control.rs` at
//! the top.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::credentials::{full, password};
use super::keys::later;
use super::logs::Sent;
use super::model::{
    Allowed, Credential, Dns, Domain, DomainKind, Key, Kind, Mailgun, Region, Role, Route, Settings, Span,
    State,
};
use crate::call::{Call, Reply};
use crate::chance;
use crate::control::{Answer, done, merged, refused};
use crate::world::World;

/// Answers below `/mailgun/`.
pub fn answer(world: &mut World, call: &Call) -> Reply {
    let segments = call.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).skip(1).collect();
    done(route(world, call, &path))
}

fn route(world: &mut World, call: &Call, path: &[&str]) -> Answer {
    let now = world.now();
    match (call.method.as_str(), path) {
        ("POST", ["accounts"]) => Ok(json!({"id": world.mailgun.open_account()})),
        ("PUT", ["keys", id]) => change_key(&mut world.mailgun, id, call, now),
        (_, ["accounts", id, rest @ ..]) => {
            if !world.mailgun.accounts.contains_key(*id) {
                return Err(refused(404, format!("no account {id}")));
            }
            in_account(world, call, id, rest)
        }
        _ => Err(refused(404, format!("no control {} {}", call.method, call.path))),
    }
}

fn in_account(world: &mut World, call: &Call, id: &str, path: &[&str]) -> Answer {
    let now = world.now();
    let mailgun = &mut world.mailgun;
    match (call.method.as_str(), path) {
        ("POST", ["keys"]) => NewKey::add(body(call)?, mailgun, id, now),
        ("POST", ["domains"]) => NewDomain::add(body(call)?, mailgun, id, now),
        ("PUT", ["domains", region, name]) => change_domain(mailgun, read_region(region)?, name, call),
        ("DELETE", ["domains", region, name]) => {
            let gone = mailgun.remove_domain(read_region(region)?, name);
            gone.map(|domain| json!(domain)).ok_or_else(|| refused(404, format!("no domain {name}")))
        }
        ("POST", ["credentials"]) => NewCredential::add(body(call)?, mailgun, id, now),
        ("POST", ["routes"]) => NewRoute::add(body(call)?, mailgun, id, now),
        ("POST", ["messages"]) => NewMessage::add(body(call)?, world, id),
        ("PUT", ["settings"]) => {
            let account = mailgun.accounts.entry(id.to_owned()).or_default();
            let settings: Settings = merged(&account.settings, call)?;
            account.settings = settings;
            Ok(json!(account.settings))
        }
        ("PUT", ["allowlist"]) => {
            replace(call, &mut mailgun.accounts.entry(id.to_owned()).or_default().allowlist, |it: Allowed| it)
        }
        ("PUT", ["recipients"]) => {
            let list = &mut mailgun.accounts.entry(id.to_owned()).or_default().recipients;
            replace(call, list, |email: String| (email, true))
        }
        ("PUT", ["subaccounts"]) => replace(
            call,
            &mut mailgun.accounts.entry(id.to_owned()).or_default().subaccounts,
            |it: String| it,
        ),
        _ => Err(refused(404, format!("no control {} {}", call.method, call.path))),
    }
}

/// Returns everything, secrets included.
pub fn state(world: &World) -> Value {
    let Mailgun { accounts, keys, domains, credentials, events, .. } = &world.mailgun;
    let listed = |key: &Key| {
        let mut shown = json!(key);
        shown["works"] = Value::from(key.works(world.now()));
        shown
    };
    json!({
        "accounts": accounts,
        "keys": keys.values().map(listed).collect::<Vec<_>>(),
        "domains": domains.values().collect::<Vec<_>>(),
        "credentials": credentials.values().collect::<Vec<_>>(),
        "events": events,
    })
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Reply> {
    let value = call.json().map_err(|error| refused(400, error))?;
    serde_json::from_value(value).map_err(|error| refused(400, error.to_string()))
}

fn read_region(text: &str) -> Result<Region, Reply> {
    serde_json::from_value(Value::from(text)).map_err(|error| refused(400, error.to_string()))
}

fn replace<T: DeserializeOwned, U: serde::Serialize>(
    call: &Call,
    list: &mut Vec<U>,
    change: impl Fn(T) -> U,
) -> Answer {
    let posted: Vec<T> = body(call)?;
    *list = posted.into_iter().map(change).collect();
    Ok(json!(list))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    role: Role,
    #[serde(default)]
    kind: Option<Kind>,
    domain_name: Option<String>,
    /// Seconds from now; below zero: long ago.
    expires_in: Option<i64>,
    /// How long ago it was made.
    #[serde(default)]
    age_seconds: i64,
    #[serde(default)]
    description: String,
    #[serde(default)]
    legacy: bool,
    #[serde(default)]
    is_disabled: bool,
    user_id: Option<String>,
}

impl NewKey {
    fn add(self, mailgun: &mut Mailgun, account: &str, now: Timestamp) -> Answer {
        let (id, secret) = mailgun.mint(self.legacy);
        let created = later(now, -self.age_seconds.saturating_mul(1000));
        let kind = if self.role == Role::Sending { Kind::Domain } else { Kind::User };
        let key = Key {
            id: id.clone(),
            secret: secret.clone(),
            account: account.to_owned(),
            role: self.role,
            kind: self.kind.unwrap_or(kind),
            domain_name: self.domain_name,
            description: self.description,
            requestor: self.user_id.as_ref().map(|_| "owner@agency.example".to_owned()),
            user_name: self.user_id.as_ref().map(|_| "Owner".to_owned()),
            user_id: self.user_id,
            legacy: self.legacy,
            created,
            updated: created,
            expires: self.expires_in.map(|seconds| later(now, seconds.saturating_mul(1000))),
            is_disabled: self.is_disabled,
            disabled_reason: None,
            usable_from: created,
            dies: None,
            listed: Span::from(created),
        };
        mailgun.add_key(key);
        Ok(json!({"id": id, "secret": secret}))
    }
}

fn change_key(mailgun: &mut Mailgun, id: &str, call: &Call, now: Timestamp) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Change {
        is_disabled: Option<bool>,
        disabled_reason: Option<String>,
        /// Seconds from now.
        expires_in: Option<i64>,
        description: Option<String>,
        #[serde(default)]
        delete: bool,
    }
    let change: Change = body(call)?;
    let Some(key) = mailgun.keys.get_mut(id) else { return Err(refused(404, format!("no key {id}"))) };
    if let Some(disabled) = change.is_disabled {
        key.is_disabled = disabled;
    }
    if change.disabled_reason.is_some() {
        key.disabled_reason = change.disabled_reason;
    }
    if let Some(seconds) = change.expires_in {
        key.expires = Some(now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now));
    }
    if let Some(description) = change.description {
        key.description = description;
    }
    key.updated = now;
    let shown = json!(key);
    if change.delete {
        mailgun.delete_key(id, now, now);
    }
    Ok(shown)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDomain {
    name: String,
    region: Region,
    state: State,
    #[serde(default, rename = "type")]
    kind: DomainKind,
    #[serde(default)]
    is_disabled: bool,
    #[serde(default)]
    dns: Dns,
    #[serde(default)]
    automatic_security: bool,
}

impl NewDomain {
    fn add(self, mailgun: &mut Mailgun, account: &str, now: Timestamp) -> Answer {
        let domain = Domain {
            id: chance::hex(24),
            name: self.name.to_ascii_lowercase(),
            account: account.to_owned(),
            region: self.region,
            state: self.state,
            kind: self.kind,
            is_disabled: self.is_disabled,
            dns: self.dns,
            automatic_security: self.automatic_security,
            // As long as the key of 2048 bits that Mailgun publishes.
            dkim: format!("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A{}IDAQAB", chance::hex(354)),
            created: now,
        };
        let shown = json!(domain);
        mailgun.add_domain(domain).map_err(|error| refused(409, error))?;
        Ok(shown)
    }
}

fn change_domain(mailgun: &mut Mailgun, region: Region, name: &str, call: &Call) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Change {
        state: Option<State>,
        is_disabled: Option<bool>,
        dns: Option<Value>,
        automatic_security: Option<bool>,
    }
    let change: Change = body(call)?;
    let Some(domain) = mailgun.domains.get_mut(&(region, name.to_owned())) else {
        return Err(refused(404, format!("no domain {name}")));
    };
    if let Some(state) = change.state {
        domain.state = state;
    }
    if let Some(disabled) = change.is_disabled {
        domain.is_disabled = disabled;
    }
    if let Some(automatic) = change.automatic_security {
        domain.automatic_security = automatic;
    }
    if let Some(Value::Object(changes)) = change.dns {
        let mut dns = json!(domain.dns);
        for (record, published) in changes {
            dns[record] = published;
        }
        domain.dns = serde_json::from_value(dns).map_err(|error| refused(400, error.to_string()))?;
    }
    Ok(json!(domain))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCredential {
    /// With its domain.
    login: String,
    region: Region,
    password: Option<String>,
}

impl NewCredential {
    fn add(self, mailgun: &mut Mailgun, account: &str, now: Timestamp) -> Answer {
        let Some((_, domain)) = self.login.split_once('@') else {
            return Err(refused(400, "the login needs its domain".to_owned()));
        };
        let credential = Credential {
            login: full(&self.login, domain),
            password: self.password.unwrap_or_else(password),
            account: account.to_owned(),
            region: self.region,
            domain: domain.to_owned(),
            created: now,
            listed_from: now,
        };
        let shown = json!({"login": credential.login, "password": credential.password});
        mailgun.put_credential(credential);
        Ok(shown)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRoute {
    region: Region,
    expression: String,
    actions: Vec<String>,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    description: String,
}

impl NewRoute {
    fn add(self, mailgun: &mut Mailgun, account: &str, now: Timestamp) -> Answer {
        let route = Route {
            id: chance::hex(24),
            region: self.region,
            priority: self.priority,
            description: self.description,
            expression: self.expression,
            actions: self.actions,
            created: now,
        };
        let shown = json!({"id": route.id});
        mailgun.accounts.entry(account.to_owned()).or_default().routes.push(route);
        Ok(shown)
    }
}

/// A mail somebody else sent with one of the account's keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    region: Region,
    domain: String,
    to: String,
    key_id: Option<String>,
}

impl NewMessage {
    fn add(self, world: &mut World, account: &str) -> Answer {
        let message_id = format!("{}@{}", chance::hex(24), self.domain);
        let host = match self.region {
            Region::Us => "mailgun-us",
            Region::Eu => "mailgun-eu",
        };
        let sent = Sent {
            host,
            account: account.to_owned(),
            region: self.region,
            from: format!("somebody@{}", self.domain),
            domain: self.domain,
            to: vec![self.to],
            subject: "Sent by somebody else".to_owned(),
            text: String::new(),
            message_id: message_id.clone(),
            test_mode: false,
            key_id: self.key_id,
            login: None,
        };
        sent.deliver(world);
        Ok(json!({"message_id": message_id}))
    }
}
