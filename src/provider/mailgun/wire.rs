//! Mailgun's JSON. Everything is optional and nothing fails: recorded replies
//! leave out what the vendor's specification calls required.

use jiff::Timestamp;
use serde_json::Value;

use crate::clock;

pub(super) fn text(value: &Value, field: &str) -> Option<String> {
    match value.get(field)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|it| !it.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn flag(value: &Value, field: &str) -> bool {
    match value.get(field) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1"),
        Some(Value::Number(number)) => number.as_f64().is_some_and(|it| it != 0.0),
        _ => false,
    }
}

pub(super) fn number(value: &Value, field: &str) -> Option<i64> {
    match value.get(field)? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|it| it as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn time(value: &Value, field: &str) -> Option<Timestamp> {
    clock::read(&text(value, field)?)
}

/// Returns the elements of a list; `None` when there is no such list.
pub(super) fn list<'a>(value: &'a Value, field: &str) -> Option<&'a Vec<Value>> {
    value.get(field)?.as_array()
}

pub(super) fn texts(value: &Value, field: &str) -> Vec<String> {
    let items = list(value, field).into_iter().flatten();
    items.filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

/// Returns the vendor's sentence in a body, in any of its forms: `message`,
/// `Reason`, `Description`, `error`, or a plain text such as `Forbidden`.
pub(super) fn message(body: &str) -> Option<String> {
    let Ok(json) = serde_json::from_str::<Value>(body) else {
        let plain = body.trim();
        let is_text = !plain.is_empty() && plain.len() <= 300 && !plain.starts_with('<');
        return is_text.then(|| plain.to_owned());
    };
    if let Value::String(plain) = json {
        return Some(plain);
    }
    ["message", "Message", "Reason", "Description", "error", "Value"]
        .iter()
        .find_map(|field| text(&json, field))
}

/// One row of `GET /v1/keys`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyRow {
    pub id: String,
    pub description: Option<String>,
    pub kind: Option<String>,
    pub role: Option<String>,
    pub created: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub is_disabled: bool,
    pub disabled_reason: Option<String>,
    pub domain: Option<String>,
    pub requestor: Option<String>,
    pub user_name: Option<String>,
}

impl KeyRow {
    pub fn read(value: &Value) -> Option<Self> {
        Some(Self {
            id: text(value, "id")?,
            description: text(value, "description"),
            kind: text(value, "kind"),
            role: text(value, "role"),
            created: time(value, "created_at"),
            expires: time(value, "expires_at"),
            is_disabled: flag(value, "is_disabled"),
            disabled_reason: text(value, "disabled_reason"),
            domain: text(value, "domain_name"),
            requestor: text(value, "requestor"),
            user_name: text(value, "user_name"),
        })
    }

    /// Reads a whole listing; `None` when it is none.
    pub fn read_all(json: &Value) -> Option<Vec<Self>> {
        Some(list(json, "items")?.iter().filter_map(Self::read).collect())
    }

    /// Reads a listing of which each row can be read and none is left out;
    /// `None`: what it lacks may be there all the same.
    pub fn read_complete(json: &Value) -> Option<Vec<Self>> {
        let items = list(json, "items")?;
        let rows = items.iter().map(Self::read).collect::<Option<Vec<_>>>()?;
        let told = number(json, "total_count").and_then(|it| usize::try_from(it).ok());
        told.is_none_or(|it| it <= rows.len()).then_some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_found_in_every_form_of_body() {
        assert_eq!(message("Forbidden").as_deref(), Some("Forbidden"));
        assert_eq!(message(r#"{"message":"Invalid private key"}"#).as_deref(), Some("Invalid private key"));
        assert_eq!(message(r#"{"Reason":"r"}"#).as_deref(), Some("r"));
        assert_eq!(message(r#"{"error":"not found"}"#).as_deref(), Some("not found"));
        assert_eq!(message("<html>no</html>"), None);
        assert_eq!(message("{}"), None);
        assert_eq!(message(""), None);
    }

    #[test]
    fn a_listing_with_a_row_left_out_is_not_complete() {
        let read = |value: Value| KeyRow::read_complete(&value).map(|rows| rows.len());
        assert_eq!(read(serde_json::json!({"items": [{"id": "a-b"}]})), Some(1));
        assert_eq!(read(serde_json::json!({"items": [{"id": "a-b"}], "total_count": 1})), Some(1));
        assert_eq!(read(serde_json::json!({"items": [{"id": "a-b"}], "total_count": 2})), None);
        assert_eq!(read(serde_json::json!({"items": [{"id": "a-b"}, {}], "total_count": 2})), None);
    }

    #[test]
    fn a_row_without_most_of_its_fields_is_read() {
        let row =
            KeyRow::read(&serde_json::json!({"id": "a-b", "expires_at": "", "domain_name": null})).unwrap();
        assert_eq!(row, KeyRow { id: "a-b".into(), ..KeyRow::default() });
    }
}
