//! Compares a request with a vendor's published contract: the OpenAPI document,
//! trimmed to one JSON file per vendor beside this one. The sandbox refuses what
//! the contract forbids; the contract test proves that keyctl asks nothing such.

// Either target uses a part of it.
#![allow(dead_code, reason = "shared by the sandbox and the contract test")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Which values a query parameter or header may have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rule {
    required: bool,
    one_of: Option<Vec<String>>,
    /// Comma-separated words of this list.
    list_of: Option<Vec<String>>,
    integer: Option<Bounds>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bounds {
    minimum: Option<i64>,
    maximum: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Body {
    content_type: String,
    required: bool,
    schema: Value,
}

/// One operation of a contract.
#[derive(Debug, Deserialize)]
pub struct Operation {
    pub method: String,
    /// `{name}` stands for any one segment.
    pub path: String,
    #[serde(default)]
    query: BTreeMap<String, Rule>,
    headers: BTreeMap<String, Rule>,
    body: Option<Body>,
    /// Klaviyo: what a key needs.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Klaviyo: calls a second and a minute.
    pub limit: Option<[u32; 2]>,
}

#[derive(Debug, Deserialize)]
struct Authorization {
    header: String,
    prefix: String,
}

/// A vendor's contract.
#[derive(Debug, Deserialize)]
pub struct Contract {
    authorization: Authorization,
    operations: Vec<Operation>,
}

/// What a request was aimed at.
pub enum Aim<'a> {
    /// With the values of the path's free segments.
    Operation(&'a Operation, Vec<String>),
    /// There is such a path, but not with this method.
    WrongMethod,
    Nothing,
}

/// A body as it was sent.
pub enum Sent {
    Nothing,
    Json(Value),
    Form(Vec<(String, String)>),
    /// Neither.
    Garbage(String),
}

/// What of a request a contract speaks about.
pub struct Seen<'a> {
    pub query: &'a [(String, String)],
    /// Names in lower case.
    pub headers: &'a [(String, String)],
    pub body: Sent,
}

impl Contract {
    /// Reads a contract. Panics on a damaged one: it is part of the source.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).expect("the contract is well-formed")
    }

    /// Finds the operation a request is aimed at; `segments` are decoded.
    pub fn aim(&self, method: &str, segments: &[String]) -> Aim<'_> {
        let mut known = false;
        // A path that is spelled out comes before one with a free segment.
        let mut fitting: Vec<(&Operation, Vec<String>)> = Vec::new();
        for operation in &self.operations {
            if let Some(parameters) = parameters(&operation.path, segments) {
                fitting.push((operation, parameters));
            }
        }
        fitting.sort_by_key(|(_, parameters)| parameters.len());
        for (operation, parameters) in fitting {
            if operation.method == method {
                return Aim::Operation(operation, parameters);
            }
            known = true;
        }
        if known { Aim::WrongMethod } else { Aim::Nothing }
    }

    /// Returns the credential, where it is presented as the contract says.
    pub fn credential<'a>(&self, headers: &'a [(String, String)]) -> Option<&'a str> {
        let (_, value) = headers.iter().find(|(name, _)| *name == self.authorization.header)?;
        value.strip_prefix(&self.authorization.prefix)
    }
}

fn parameters(path: &str, segments: &[String]) -> Option<Vec<String>> {
    let pattern: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if pattern.len() != segments.len() {
        return None;
    }
    let mut found = Vec::new();
    for (wanted, segment) in pattern.iter().zip(segments) {
        if wanted.starts_with('{') && !segment.is_empty() {
            found.push(segment.clone());
        } else if wanted != segment {
            return None;
        }
    }
    Some(found)
}

impl Operation {
    /// Returns what the contract forbids about a request, if anything.
    pub fn violation(&self, seen: &Seen<'_>) -> Option<String> {
        let pairs = |list: &[(String, String)], name: &str| {
            list.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone())
        };
        for (name, value) in seen.query {
            match self.query.get(name) {
                None => return Some(format!("unknown query parameter `{name}`")),
                Some(rule) => {
                    if let Some(what) = rule.breach(value) {
                        return Some(format!("query parameter `{name}`: {what}"));
                    }
                }
            }
        }
        let absent =
            self.query.iter().find(|(name, rule)| rule.required && pairs(seen.query, name).is_none());
        if let Some((name, _)) = absent {
            return Some(format!("missing query parameter `{name}`"));
        }
        for (name, rule) in &self.headers {
            match pairs(seen.headers, name) {
                None => return Some(format!("missing header `{name}`")),
                Some(value) => {
                    if let Some(what) = rule.breach(&value) {
                        return Some(format!("header `{name}`: {what}"));
                    }
                }
            }
        }
        self.body_violation(seen)
    }

    fn body_violation(&self, seen: &Seen<'_>) -> Option<String> {
        let Some(body) = &self.body else {
            let empty = match &seen.body {
                Sent::Nothing => true,
                Sent::Form(fields) => fields.is_empty(),
                Sent::Json(_) | Sent::Garbage(_) => false,
            };
            return (!empty).then(|| "a body where none is defined".to_owned());
        };
        let is_form = body.content_type.contains("form");
        let value = match &seen.body {
            Sent::Nothing if body.required && !is_form => return Some("the body is missing".to_owned()),
            Sent::Nothing if !is_form => return None,
            Sent::Nothing => Value::Object(Map::new()),
            Sent::Json(_) if is_form => return Some("a JSON body where a form is defined".to_owned()),
            Sent::Json(value) => {
                let sent = seen.headers.iter().find(|(name, _)| name == "content-type");
                let sent = sent.map_or("", |(_, value)| value.as_str());
                if sent.split(';').next() != Some(body.content_type.as_str()) {
                    return Some(format!("content type `{sent}` instead of `{}`", body.content_type));
                }
                value.clone()
            }
            Sent::Form(_) if !is_form => return Some("a form where JSON is defined".to_owned()),
            Sent::Form(fields) => self.form_value(body, fields),
            Sent::Garbage(what) => return Some(what.clone()),
        };
        let validator = jsonschema::validator_for(&body.schema).expect("the schema is well-formed");
        let error = validator.iter_errors(&value).next()?;
        let at = error.instance_path.to_string();
        Some(format!("body{}{at}: {error}", if at.is_empty() { "" } else { " at " }))
    }

    /// Returns a form as the object its schema describes: lists where the
    /// schema has lists.
    fn form_value(&self, body: &Body, fields: &[(String, String)]) -> Value {
        let mut object = Map::new();
        for (name, text) in fields {
            let declared = &body.schema["properties"][name]["type"];
            // A form has texts only; numbers and truths are written out in them.
            let typed = matches!(declared.as_str(), Some("integer" | "number" | "boolean"));
            let text = match serde_json::from_str::<Value>(text) {
                Ok(value) if typed => value,
                _ => Value::from(text.clone()),
            };
            if declared == "array" {
                let list = object.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(text);
                }
            } else {
                object.insert(name.clone(), text);
            }
        }
        Value::Object(object)
    }
}

impl Rule {
    fn breach(&self, value: &str) -> Option<String> {
        if let Some(words) = &self.one_of
            && !words.iter().any(|it| it == value)
        {
            return Some(format!("`{value}` is none of {}", words.join(", ")));
        }
        if let Some(words) = &self.list_of {
            let strange = value.split(',').find(|it| !words.iter().any(|word| word == it));
            if let Some(strange) = strange {
                return Some(format!("`{strange}` is not allowed"));
            }
        }
        let bounds = self.integer.as_ref()?;
        let Ok(number) = value.parse::<i64>() else { return Some(format!("`{value}` is no integer")) };
        let low = bounds.minimum.is_some_and(|it| number < it);
        let high = bounds.maximum.is_some_and(|it| number > it);
        (low || high).then(|| format!("{number} is out of bounds"))
    }
}
