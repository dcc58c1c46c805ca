//! What Brevo keeps: accounts, their keys, domains, senders and mails.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chance;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Api,
    Smtp,
}

/// Deactivated keys can come back, deleted and expired ones cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Active,
    Deactivated,
    Deleted,
}

#[derive(Debug, Clone, Serialize)]
pub struct Key {
    pub id: String,
    pub secret: String,
    pub account: String,
    pub kind: Kind,
    pub name: String,
    pub state: State,
    pub expires: Option<Timestamp>,
    /// Resources a restricted key may use (`account`, `senders`, `domains`,
    /// `templates`, `email`, `events`); absent: all.
    pub permissions: Option<Vec<String>>,
}

impl Key {
    pub fn exists(&self, now: Timestamp) -> bool {
        self.state != State::Deleted && self.expires.is_none_or(|at| now < at)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    pub name: String,
    #[serde(default)]
    pub authenticated: bool,
    #[serde(default)]
    pub verified: bool,
    /// Whether the DKIM record is published.
    #[serde(default)]
    pub dkim: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    pub email: String,
    #[serde(default)]
    pub active: bool,
}

/// How an account behaves; all of it can be set by the control API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub company: String,
    pub email: String,
    /// Whether transactional mail is activated.
    pub activated: bool,
    pub plan: String,
    pub credits: i64,
    /// Documented as 402; the field reports 400.
    pub no_credit_status: u16,
    /// Blocking of unknown addresses, apart for the two kinds of key.
    pub api_blocking: bool,
    pub smtp_blocking: bool,
    pub authorised: Vec<IpAddr>,
    pub under_validation: bool,
    /// `delivered` and `error` come this long after `requests`.
    pub delivery_delay_ms: i64,
    /// Calls an hour of all endpoints but the sending; absent: no limit.
    pub calls_per_hour: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            company: "Acme Shop".to_owned(),
            email: "owner@shop.example".to_owned(),
            activated: true,
            plan: "free".to_owned(),
            credits: 300,
            no_credit_status: 400,
            api_blocking: false,
            smtp_blocking: false,
            authorised: Vec::new(),
            under_validation: false,
            delivery_delay_ms: 0,
            calls_per_hour: None,
        }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Account {
    pub id: String,
    pub organization_id: String,
    pub smtp_login: String,
    pub settings: Settings,
    pub domains: Vec<Domain>,
    pub senders: Vec<Sender>,
    pub events: Vec<Event>,
    /// When the endpoints of the slow class were called.
    #[serde(skip)]
    pub calls: Vec<Timestamp>,
}

/// What became of a mail.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    pub name: &'static str,
    pub at: Timestamp,
    pub email: String,
    pub from: String,
    pub subject: String,
    pub message_id: String,
    pub reason: Option<String>,
}

impl Account {
    /// Whether mail from this address is delivered.
    pub fn vouches_for(&self, from: &str) -> bool {
        let domain = from.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.senders.iter().any(|it| it.active && it.email.eq_ignore_ascii_case(from))
            || self.domains.iter().any(|it| it.authenticated && it.name.eq_ignore_ascii_case(domain))
    }
}

/// All of Brevo.
#[derive(Default)]
pub struct Brevo {
    pub accounts: BTreeMap<String, Account>,
    pub keys: HashMap<String, Key>,
    by_secret: HashMap<String, String>,
}

impl Brevo {
    pub fn open_account(&mut self, settings: Settings) -> &Account {
        let id = format!("account-{}", self.accounts.len() + 1);
        let account = Account {
            id: id.clone(),
            organization_id: chance::hex(24),
            smtp_login: format!("{}001@smtp-brevo.com", chance::hex(6)),
            settings,
            ..Account::default()
        };
        self.accounts.entry(id).or_insert(account)
    }

    pub fn add_key(&mut self, key: Key) {
        self.by_secret.insert(key.secret.clone(), key.id.clone());
        self.keys.insert(key.id.clone(), key);
    }

    pub fn key_by_secret(&self, secret: &str) -> Option<&Key> {
        self.keys.get(self.by_secret.get(secret)?)
    }
}

/// Returns a new secret in Brevo's form; a short one for old mail programs.
pub fn mint(kind: Kind, short: bool) -> String {
    let random = || format!("{}-{}", chance::hex(64), chance::alphanumeric(16));
    match kind {
        Kind::Smtp if short => chance::alphanumeric(15),
        Kind::Smtp => ["xsmtp", "sib-", &random()].concat(),
        Kind::Api => ["xkey", "sib-", &random()].concat(),
    }
}
