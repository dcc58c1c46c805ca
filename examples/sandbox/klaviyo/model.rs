//! What Klaviyo keeps: accounts, their keys, sending domains and templates.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chance;

#[derive(Debug, Clone, Serialize)]
pub struct Key {
    pub id: String,
    pub secret: String,
    pub account: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub disabled: bool,
    pub deleted: bool,
    pub created: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    #[serde(default)]
    pub id: String,
    pub domain: String,
    /// `pending`, `warming` or `active`.
    pub status: String,
    /// Whether its records are published.
    #[serde(default)]
    pub published: bool,
}

/// How an account behaves; all of it can be set by the control API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub organization_name: String,
    pub email: String,
    pub test_account: bool,
    /// Whether the account takes part in the beta (keys, domains, previews).
    pub beta: bool,
    /// Whether webhooks are in the plan: without, 403 whatever the scopes.
    pub webhooks: bool,
    /// Whether the published limits are kept.
    pub limits: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            organization_name: "Acme Shop".to_owned(),
            email: "owner@shop.example".to_owned(),
            test_account: false,
            beta: true,
            webhooks: true,
            limits: false,
        }
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Account {
    /// The public id, six letters and digits.
    pub id: String,
    pub settings: Settings,
    pub domains: Vec<Domain>,
    pub templates: Vec<String>,
    /// Recent calls, by path.
    #[serde(skip)]
    pub calls: HashMap<String, Vec<Timestamp>>,
}

/// All of Klaviyo.
#[derive(Default)]
pub struct Klaviyo {
    pub accounts: BTreeMap<String, Account>,
    /// In the order made.
    pub keys: Vec<Key>,
}

impl Klaviyo {
    pub fn open_account(&mut self, settings: Settings) -> String {
        let id = chance::alphanumeric(6);
        self.accounts.insert(id.clone(), Account { id: id.clone(), settings, ..Account::default() });
        id
    }

    /// Makes a key; the older form does not carry the account's id.
    pub fn make_key(
        &mut self,
        account: &str,
        name: &str,
        scopes: Vec<String>,
        older: bool,
        at: Timestamp,
    ) -> &Key {
        let random = chance::hex(34);
        let secret =
            if older { ["p", "k_", &random].concat() } else { ["p", "k_", account, "_", &random].concat() };
        self.keys.push(Key {
            id: format!("01{}", chance::hex(24).to_ascii_uppercase()),
            secret,
            account: account.to_owned(),
            name: name.to_owned(),
            scopes,
            disabled: false,
            deleted: false,
            created: at,
        });
        &self.keys[self.keys.len() - 1]
    }

    pub fn key(&mut self, id: &str) -> Option<&mut Key> {
        self.keys.iter_mut().find(|it| it.id == id && !it.deleted)
    }
}
