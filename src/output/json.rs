//! The JSON envelope, and `plain`, which is made from the same data. Nothing in
//! them is a character that cannot be seen: in JSON it is escaped, and so the
//! same text, in `plain` it is left out.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::Report;
use crate::key::text::{Hidden, hidden, visible};

/// The version of every document; raised only when a field changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// Returns one document: `{"schema_version":1,"command":…,"<field>":…}` and a newline.
pub fn document(command: Option<&str>, field: &str, content: Value) -> String {
    let mut text =
        serde_json::json!({"schema_version": SCHEMA_VERSION, "command": command, field: content}).to_string();
    text.push('\n');
    escaped(&text).into_owned()
}

/// Writes the document of a result: `{"schema_version":1,"command":…,"data":…}`
/// and a newline.
///
/// # Errors
/// As `out` says.
pub fn write(report: &dyn Report, out: &mut dyn Write) -> io::Result<()> {
    let out: &mut dyn Write = &mut Escaping(out);
    let command = Value::from(report.command());
    write!(out, "{{\"schema_version\":{SCHEMA_VERSION},\"command\":{command},\"data\":")?;
    match report.pieces() {
        Some(pieces) => pieces.json(out)?,
        None => write!(out, "{}", report.data())?,
    }
    out.write_all(b"}\n")
}

/// A way out for JSON. Beyond ASCII there are only characters of strings, for
/// which JSON has an escape; control characters below U+0020 have one already.
pub struct Escaping<'a>(pub &'a mut dyn Write);

impl Write for Escaping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(escaped(text).as_bytes())?,
            // Half a character: its other half comes with the next piece.
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns JSON in which no string has a character that cannot be seen.
fn escaped(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c >= '\u{7f}' && hidden(c).is_some_and(|it| it != Hidden::Space);
    if text.bytes().all(|byte| byte < 0x7f) || !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns a value as the tree of what it is written as.
///
/// # Errors
/// When it does not serialise.
pub fn tree(item: &impl Serialize) -> io::Result<Value> {
    let mut text = Vec::new();
    // By the same way as it is written, so that the program has one way only.
    let out: &mut dyn Write = &mut text;
    serde_json::to_writer(out, item)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Writes tab-separated lines: the fields of each item in order, null empty,
/// lists joined by `,`, what is nested deeper as compact JSON.
///
/// # Errors
/// As `out` says.
pub fn write_plain(report: &dyn Report, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    let mut write = |item: &Value| {
        text.clear();
        line(item, &mut text);
        out.write_all(text.as_bytes())
    };
    if let Some(pieces) = report.pieces() {
        return pieces.each_row(&mut write);
    }
    let data = report.data();
    match report.rows().and_then(|field| data.get(field)) {
        Some(Value::Array(items)) => items.iter().try_for_each(write),
        _ => write(&data),
    }
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
    visible(&text.replace(['\t', '\n', '\r'], " ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report that is its data and nothing else.
    struct Bare(Value, Option<&'static str>);

    impl Report for Bare {
        fn command(&self) -> &'static str {
            "list"
        }
        fn data(&self) -> Value {
            self.0.clone()
        }
        fn rows(&self) -> Option<&'static str> {
            self.1
        }
        fn human(&self, _page: &mut crate::output::Page) {}
    }

    fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_ways_to_a_document_are_one() {
        let data = serde_json::json!({"keys": []});
        let report = Bare(data.clone(), None);
        assert_eq!(written(|out| write(&report, out)), document(Some("list"), "data", data));
    }

    #[test]
    fn what_cannot_be_seen_is_escaped_in_json_and_left_out_of_plain() {
        let name = "a\u{1b}\u{7f}\u{85}\u{202e}\u{e0041}b\u{a0}\u{e9}";
        let data = serde_json::json!({ "name": name });
        for text in
            [written(|out| write(&Bare(data.clone(), None), out)), document(None, "data", data.clone())]
        {
            let shown = "a\\u001b\\u007f\\u0085\\u202e\\udb40\\udc41b\u{a0}\u{e9}";
            assert!(text.contains(shown), "{text}");
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["data"]["name"], name, "it is the same text");
        }
        assert_eq!(written(|out| write_plain(&Bare(data, None), out)), "ab\u{a0}\u{e9}\n");
    }

    #[test]
    fn plain_is_the_fields_in_order() {
        let plain = |data, rows| written(|out| write_plain(&Bare(data, rows), out));
        let data = serde_json::json!({"keys": [
            {"key": "mailgun@acme", "age": null, "tags": ["a", "b"], "note": "x\ty", "dns": {"a": 1}},
        ]});
        assert_eq!(plain(data, Some("keys")), "mailgun@acme\t\ta,b\tx y\t{\"a\":1}\n");
        assert_eq!(plain(serde_json::json!({"a": true, "b": 2}), None), "true\t2\n");
    }
}
