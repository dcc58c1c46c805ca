//! What HighLevel keeps: companies (agencies), their locations, and the tokens
//! of private integrations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chance;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Agency,
    Location,
}

#[derive(Debug, Clone, Serialize)]
pub struct Token {
    pub id: String,
    pub secret: String,
    pub company: String,
    pub level: Level,
    pub location: Option<String>,
    pub scopes: Vec<String>,
    /// Deleted, or rotated and past its overlap.
    pub dead: bool,
}

/// How a company behaves; all of it can be set by the control API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The most locations of one page.
    pub page_limit: usize,
    /// Fields of a location a `PUT` loses: whether it keeps what it is not told
    /// is not documented.
    pub put_loses: Vec<String>,
    /// Whether the Mailgun key of a `PUT` is tried, as the console does.
    pub tries_mailgun: bool,
    /// What an id that does not exist is answered with: the document has no
    /// 404, and names 400 and 422.
    pub absent_status: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { page_limit: 100, put_loses: Vec::new(), tries_mailgun: false, absent_status: 400 }
    }
}

/// A location; what the API does not show stands apart.
#[derive(Debug, Clone, Serialize)]
pub struct Location {
    pub id: String,
    pub company: String,
    pub fields: Map<String, Value>,
    /// The Mailgun settings last put; no API reads them back.
    pub mailgun: Option<Value>,
    /// Whether the list shows it; by its id it is found all the same.
    pub listed: bool,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Company {
    pub id: String,
    pub name: String,
    pub settings: Settings,
}

/// All of HighLevel.
#[derive(Default)]
pub struct Highlevel {
    pub companies: BTreeMap<String, Company>,
    /// In the order made.
    pub locations: Vec<Location>,
    pub tokens: Vec<Token>,
}

impl Highlevel {
    pub fn open_company(&mut self, name: &str) -> String {
        let id = chance::alphanumeric(20);
        let company = Company { id: id.clone(), name: name.to_owned(), settings: Settings::default() };
        self.companies.insert(id.clone(), company);
        id
    }

    pub fn add_location(&mut self, company: &str, fields: Map<String, Value>) -> String {
        let id = chance::alphanumeric(20);
        let company = company.to_owned();
        self.locations.push(Location { id: id.clone(), company, fields, mailgun: None, listed: true });
        id
    }

    pub fn add_token(
        &mut self,
        company: &str,
        level: Level,
        location: Option<String>,
        scopes: Vec<String>,
    ) -> &Token {
        let groups = [8, 4, 4, 4, 12].map(chance::hex);
        self.tokens.push(Token {
            id: chance::hex(12),
            secret: ["p", "it-", &groups.join("-")].concat(),
            company: company.to_owned(),
            level,
            location,
            scopes,
            dead: false,
        });
        &self.tokens[self.tokens.len() - 1]
    }
}
