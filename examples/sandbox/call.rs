//! One HTTP request as the vendors' code sees it, and the reply to it. Knows
//! nothing of sockets.

use serde_json::Value;

use crate::form::{self, Form};

/// A request, read whole.
pub struct Call {
    /// The listener it came in on: `mailgun-us`, `control`, …
    pub host: &'static str,
    pub method: String,
    /// The path as sent, percent-encoding included.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub form: Form,
}

impl Call {
    /// Builds a call from the parts of a request.
    pub fn new(
        host: &'static str,
        method: &str,
        target: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let content_type = headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value);
        let form = Form::read(content_type.map(String::as_str), &body);
        let query = form::pairs(query);
        Self { host, method: method.to_owned(), path: path.to_owned(), query, headers, body, form }
    }

    /// Returns the path's segments, decoded.
    pub fn segments(&self) -> Vec<String> {
        self.path.trim_start_matches('/').split('/').map(form::decoded).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// Reads the body as JSON; an empty body is an empty object.
    pub fn json(&self) -> Result<Value, String> {
        if self.body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&self.body).map_err(|error| format!("the body is not JSON: {error}"))
    }
}

/// The reply to a call, with what the sandbox wants to remember about it.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The id of the key the credential belongs to, even where it was refused.
    pub key_id: Option<String>,
    /// Whether that credential was accepted.
    pub authenticated: bool,
    /// What the vendor's published contract forbids about the request.
    pub violation: Option<String>,
}

impl Reply {
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, body, key_id: None, authenticated: false, violation: None }
    }

    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string().into_bytes())
    }

    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.as_bytes().to_vec())
    }

    pub fn html(status: u16, text: &str) -> Self {
        Self::new(status, "text/html; charset=utf-8", text.as_bytes().to_vec())
    }

    /// Builds a reply from its parts.
    pub fn raw(status: u16, content_type: &str, body: &str) -> Self {
        Self::new(status, content_type, body.as_bytes().to_vec())
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub fn violating(mut self, what: impl Into<String>) -> Self {
        self.violation.get_or_insert(what.into());
        self
    }
}
