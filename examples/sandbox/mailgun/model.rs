//! What Mailgun keeps: accounts, keys (global), domains and what hangs on them
//! (per region), with an index for every way they are looked up.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::logs::Event;
use crate::chance;

/// One of the two places Mailgun runs; each has its own domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    Us,
    Eu,
}

impl Region {
    /// Returns the domain that mail servers and tracking hosts end in.
    pub fn zone(self) -> &'static str {
        match self {
            Self::Us => "mailgun.org",
            Self::Eu => "eu.mailgun.org",
        }
    }
}

/// A key's role. `basic` is called Analyst in the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Admin,
    Basic,
    Developer,
    Support,
    Sending,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    User,
    Domain,
    Web,
}

/// An API key.
#[derive(Debug, Clone, Serialize)]
pub struct Key {
    pub id: String,
    pub secret: String,
    pub account: String,
    pub role: Role,
    pub kind: Kind,
    pub domain_name: Option<String>,
    pub description: String,
    pub user_id: Option<String>,
    pub user_name: Option<String>,
    pub requestor: Option<String>,
    pub legacy: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub expires: Option<Timestamp>,
    pub is_disabled: bool,
    pub disabled_reason: Option<String>,
    /// It authenticates from here on.
    pub usable_from: Timestamp,
    /// Deleted: dead from this moment on.
    pub dies: Option<Timestamp>,
    /// When the list begins to show it, and when it no longer does.
    pub listed: Span,
}

/// How long the list of an account shows something.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Span {
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

impl Span {
    pub fn from(from: Timestamp) -> Self {
        Self { from, until: None }
    }

    pub fn holds(self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

impl Key {
    /// Whether it is there: neither deleted nor expired.
    pub fn exists(&self, now: Timestamp) -> bool {
        self.dies.is_none() && self.expires.is_none_or(|at| now < at)
    }

    /// Whether the list shows it.
    pub fn is_shown(&self, now: Timestamp) -> bool {
        self.listed.holds(now) && self.expires.is_none_or(|at| now < at)
    }

    /// Whether it authenticates.
    pub fn works(&self, now: Timestamp) -> bool {
        !self.is_disabled
            && now >= self.usable_from
            && self.dies.is_none_or(|at| now < at)
            && self.expires.is_none_or(|at| now < at)
    }
}

/// A sending domain.
#[derive(Debug, Clone, Serialize)]
pub struct Domain {
    pub id: String,
    pub name: String,
    pub account: String,
    pub region: Region,
    pub state: State,
    #[serde(rename = "type")]
    pub kind: DomainKind,
    pub is_disabled: bool,
    pub dns: Dns,
    pub automatic_security: bool,
    /// The public half of its DKIM key, as it stands in the record.
    pub dkim: String,
    pub created: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Active,
    Unverified,
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainKind {
    #[default]
    Custom,
    Sandbox,
}

/// Which of a domain's records are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    pub spf: Published,
    pub dkim: Published,
    pub mx: Published,
    pub tracking: Published,
}

impl Dns {
    /// The same for all records.
    pub fn all(published: Published) -> Self {
        Self { spf: published, dkim: published, mx: published, tracking: published }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self::all(Published::Valid)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Published {
    Valid,
    Unknown,
}

impl Published {
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
        }
    }
}

/// An SMTP login and its password.
#[derive(Debug, Clone, Serialize)]
pub struct Credential {
    pub login: String,
    pub password: String,
    pub account: String,
    pub region: Region,
    pub domain: String,
    pub created: Timestamp,
    /// When the list of its domain begins to show it.
    pub listed_from: Timestamp,
}

/// An inbound route.
#[derive(Debug, Clone, Serialize)]
pub struct Route {
    pub id: String,
    pub region: Region,
    pub priority: i64,
    pub description: String,
    pub expression: String,
    pub actions: Vec<String>,
    pub created: Timestamp,
}

/// A line of the IP allowlist.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Allowed {
    pub ip_address: String,
    #[serde(default)]
    pub description: String,
}

/// How an account behaves where the facts leave room.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// More keys than this are refused.
    pub key_limit: Option<usize>,
    /// A key made by the API gets 401 for this long.
    pub birth_delay_ms: i64,
    /// A deleted key goes on working for this long.
    pub death_delay_ms: i64,
    /// What the API makes or deletes shows in the lists of keys and logins this
    /// much later.
    pub list_lag_ms: i64,
    /// `delivered` and `failed` events come this long after `accepted`.
    pub delivery_delay_ms: i64,
    /// What a role without the right gets on `/v1/keys`: 403 or 401.
    pub denied_keys_status: u16,
    pub unverified_status: u16,
    pub not_activated_status: u16,
    pub sandbox_status: u16,
    pub activated: bool,
    pub free_plan: bool,
    /// Whether replies carry `X-Mailgun-Key-Id`; for legacy keys apart.
    pub key_id_header: bool,
    pub legacy_key_id_header: bool,
    /// A 2025 listing lacked `is_disabled`.
    pub list_is_disabled: bool,
    pub json_content_type: String,
    /// Whether a domain's state is looked at before the fields of a message.
    pub state_before_fields: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key_limit: None,
            birth_delay_ms: 0,
            death_delay_ms: 0,
            list_lag_ms: 0,
            delivery_delay_ms: 0,
            denied_keys_status: 403,
            unverified_status: 400,
            not_activated_status: 403,
            sandbox_status: 403,
            activated: true,
            free_plan: false,
            key_id_header: true,
            legacy_key_id_header: true,
            list_is_disabled: true,
            json_content_type: "application/json".to_owned(),
            state_before_fields: false,
        }
    }
}

/// One customer.
#[derive(Debug, Clone, Serialize, Default)]
pub struct Account {
    pub id: String,
    pub settings: Settings,
    /// Ids in the order made.
    pub keys: Vec<String>,
    pub domains: Vec<(Region, String)>,
    pub logins: Vec<(Region, String)>,
    /// Deleted logins that the list still shows, and until when.
    pub late_logins: Vec<(Region, Credential, Timestamp)>,
    pub routes: Vec<Route>,
    pub allowlist: Vec<Allowed>,
    /// Addresses a sandbox domain may write to, and whether they agreed.
    pub recipients: Vec<(String, bool)>,
    pub subaccounts: Vec<String>,
    pub signing_key: String,
}

impl Account {
    /// Whether the allowlist lets this address in; an empty list lets in all.
    pub fn admits(&self, caller: IpAddr) -> bool {
        self.allowlist.is_empty()
            || self.allowlist.iter().any(|it| super::allowlist::covers(&it.ip_address, caller))
    }
}

/// All of Mailgun.
#[derive(Default)]
pub struct Mailgun {
    pub accounts: BTreeMap<String, Account>,
    pub keys: HashMap<String, Key>,
    by_secret: HashMap<String, String>,
    pub domains: HashMap<(Region, String), Domain>,
    pub credentials: HashMap<(Region, String), Credential>,
    /// In the order they happened.
    pub events: Vec<Event>,
}

impl Mailgun {
    /// Makes an account.
    pub fn open_account(&mut self) -> String {
        let id = format!("account-{}", self.accounts.len() + 1);
        let signing_key = chance::hex(32);
        self.accounts.insert(id.clone(), Account { id: id.clone(), signing_key, ..Account::default() });
        id
    }

    /// Returns a fresh id and a secret that ends in it, or a legacy secret.
    pub fn mint(&self, legacy: bool) -> (String, String) {
        loop {
            let id = format!("{}-{}", chance::hex(8), chance::hex(8));
            if !self.keys.contains_key(&id) {
                let random = chance::hex(32);
                let secret = if legacy { format!("key-{random}") } else { format!("{random}-{id}") };
                return (id, secret);
            }
        }
    }

    /// Adds a key to its account and to the indexes.
    pub fn add_key(&mut self, key: Key) {
        if let Some(account) = self.accounts.get_mut(&key.account) {
            account.keys.push(key.id.clone());
        }
        self.by_secret.insert(key.secret.clone(), key.id.clone());
        self.keys.insert(key.id.clone(), key);
    }

    pub fn key_by_secret(&self, secret: &str) -> Option<&Key> {
        self.keys.get(self.by_secret.get(secret)?)
    }

    /// Returns an account's keys, deleted ones too, in the order made.
    pub fn keys_of<'a>(&'a self, account: &'a str) -> impl Iterator<Item = &'a Key> {
        let ids = self.accounts.get(account).map(|it| it.keys.as_slice()).unwrap_or_default();
        ids.iter().filter_map(|id| self.keys.get(id))
    }

    /// Marks a key as deleted: when it stops to work, and to be listed.
    pub fn delete_key(&mut self, id: &str, dies: Timestamp, unlisted: Timestamp) {
        let Some(key) = self.keys.get_mut(id) else { return };
        key.dies = Some(dies);
        key.listed.until = Some(unlisted);
    }

    /// Returns an account's domain in a region.
    pub fn domain(&self, account: &str, region: Region, name: &str) -> Option<&Domain> {
        self.domains.get(&(region, name.to_ascii_lowercase())).filter(|it| it.account == account)
    }

    /// Adds a domain, unless somebody has it in that region.
    pub fn add_domain(&mut self, domain: Domain) -> Result<(), String> {
        let at = (domain.region, domain.name.clone());
        if self.domains.contains_key(&at) {
            return Err(format!("{} exists in that region", domain.name));
        }
        let account = self.accounts.get_mut(&domain.account).ok_or("no such account")?;
        account.domains.push(at.clone());
        self.domains.insert(at, domain);
        Ok(())
    }

    pub fn remove_domain(&mut self, region: Region, name: &str) -> Option<Domain> {
        let at = (region, name.to_owned());
        let domain = self.domains.remove(&at)?;
        if let Some(account) = self.accounts.get_mut(&domain.account) {
            account.domains.retain(|it| *it != at);
        }
        Some(domain)
    }

    /// Adds an SMTP login or replaces its password.
    pub fn put_credential(&mut self, credential: Credential) {
        let at = (credential.region, credential.login.clone());
        if let Some(account) = self.accounts.get_mut(&credential.account)
            && !account.logins.contains(&at)
        {
            account.logins.push(at.clone());
        }
        self.credentials.insert(at, credential);
    }

    pub fn remove_credential(&mut self, region: Region, login: &str) -> Option<Credential> {
        let at = (region, login.to_owned());
        let credential = self.credentials.remove(&at)?;
        if let Some(account) = self.accounts.get_mut(&credential.account) {
            account.logins.retain(|it| *it != at);
        }
        Some(credential)
    }
}
