//! What happened: every request and every SMTP session, numbered, without
//! credentials; and every mail that was accepted.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Value, json};

use crate::call::{Call, Reply};

/// Older entries are dropped beyond this many.
const KEPT: usize = 100_000;

/// Longer bodies are recorded cut.
const BODY_KEPT: usize = 64 * 1024;

/// Headers that carry a credential at one vendor or another.
const CREDENTIAL_HEADERS: [&str; 3] = ["authorization", "api-key", "proxy-authorization"];

/// A mail some vendor accepted.
#[derive(Debug, Clone, Serialize)]
pub struct Mail {
    pub host: String,
    /// `api` or `smtp`.
    pub via: &'static str,
    pub message_id: String,
    pub domain: String,
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
    pub test_mode: bool,
    pub key_id: Option<String>,
    pub login: Option<String>,
    pub at: String,
}

/// The diary of the sandbox.
#[derive(Default)]
pub struct Record {
    entries: VecDeque<Value>,
    mails: Vec<Mail>,
    next: u64,
}

impl Record {
    /// Notes a request. `reply` is absent where none was sent.
    pub fn request(&mut self, call: &Call, reply: Option<&Reply>, fault: Option<&str>, at: String) {
        let mut presented = false;
        let mut headers = serde_json::Map::new();
        for (name, value) in &call.headers {
            let secret = CREDENTIAL_HEADERS.contains(&name.as_str());
            presented |= secret;
            let shown = if secret { "(credential)" } else { value.as_str() };
            headers.insert(name.clone(), Value::from(shown));
        }
        let fields: Vec<Value> = call.form.fields.iter().map(|(name, value)| json!([name, value])).collect();
        let query: Vec<Value> = call.query.iter().map(|(name, value)| json!([name, value])).collect();
        let body = &call.body[..call.body.len().min(BODY_KEPT)];
        let entry = json!({
            "at": at, "protocol": "http", "host": call.host,
            "method": call.method, "path": call.path, "query": query, "headers": headers,
            "body": String::from_utf8_lossy(body), "form": fields,
            "status": reply.map(|it| it.status),
            "credential_presented": presented,
            "key_id": reply.and_then(|it| it.key_id.clone()),
            "authenticated": reply.is_some_and(|it| it.authenticated),
            "fault": fault,
            "contract_violation": reply.and_then(|it| it.violation.clone()),
        });
        self.push(entry);
    }

    /// Replaces the entry of a number, unless it has been forgotten.
    pub fn amend(&mut self, number: u64, mut entry: Value) {
        let first = self.next - self.entries.len() as u64;
        let index = number.checked_sub(first).and_then(|it| usize::try_from(it).ok());
        if let Some(slot) = index.and_then(|it| self.entries.get_mut(it)) {
            entry["n"] = Value::from(number);
            *slot = entry;
        }
    }

    pub fn mail(&mut self, mail: Mail) {
        self.mails.push(mail);
    }

    /// Returns the entries from number `since` on, of one host or of all.
    pub fn entries(&self, since: u64, host: Option<&str>) -> Value {
        let wanted = |entry: &&Value| {
            entry["n"].as_u64() >= Some(since) && host.is_none_or(|host| entry["host"] == host)
        };
        Value::from(self.entries.iter().filter(wanted).cloned().collect::<Vec<_>>())
    }

    pub fn mails(&self) -> &[Mail] {
        &self.mails
    }

    /// Forgets all requests and mails; the numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.mails.clear();
    }

    /// Adds an entry and returns its number.
    pub fn push(&mut self, mut entry: Value) -> u64 {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let number = self.next;
        entry["n"] = Value::from(number);
        self.entries.push_back(entry);
        self.next += 1;
        number
    }
}
