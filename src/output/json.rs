//! The JSON envelope, and `plain`, which is made from the same data.

use serde_json::Value;

/// The version of every document; raised only when a field changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// Returns one document: `{"schema_version":1,"command":…,"<field>":…}` and a newline.
pub fn document(command: Option<&str>, field: &str, content: Value) -> String {
    let mut text =
        serde_json::json!({"schema_version": SCHEMA_VERSION, "command": command, field: content}).to_string();
    text.push('\n');
    text
}

/// Returns one document around `data` that is JSON already.
pub fn document_of(command: &str, data: &str) -> String {
    let command = Value::from(command);
    format!("{{\"schema_version\":{SCHEMA_VERSION},\"command\":{command},\"data\":{data}}}\n")
}

/// Returns tab-separated lines: the fields of each item in order, null empty,
/// lists joined by `,`, what is nested deeper as compact JSON.
pub fn plain(data: &Value, rows: Option<&str>) -> String {
    let mut out = String::new();
    match rows.and_then(|field| data.get(field)) {
        Some(Value::Array(items)) => items.iter().for_each(|item| line(item, &mut out)),
        _ => line(data, &mut out),
    }
    out
}

fn line(item: &Value, out: &mut String) {
    match item {
        Value::Object(fields) => {
            for (n, value) in fields.values().enumerate() {
                if n > 0 {
                    out.push('\t');
                }
                out.push_str(&cell(value));
            }
        }
        other => out.push_str(&cell(other)),
    }
    out.push('\n');
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        Value::Array(items) if items.iter().all(|it| !it.is_object() && !it.is_array()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(",")
        }
        other => one_line(&other.to_string()),
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_a_document_are_one() {
        let data = serde_json::json!({"keys": []});
        assert_eq!(document_of("list", &data.to_string()), document(Some("list"), "data", data));
    }

    #[test]
    fn plain_is_the_fields_in_order() {
        let data = serde_json::json!({"keys": [
            {"key": "mailgun@acme", "age": null, "tags": ["a", "b"], "note": "x\ty", "dns": {"a": 1}},
        ]});
        assert_eq!(plain(&data, Some("keys")), "mailgun@acme\t\ta,b\tx y\t{\"a\":1}\n");
        assert_eq!(plain(&serde_json::json!({"a": true, "b": 2}), None), "true\t2\n");
    }
}
