//! What is wrong with a file, in words: which field, what was found, what was
//! expected. A value that could be a secret pasted into the file is never
//! repeated.

use std::ops::Range;

use toml::de::DeValue;

use crate::key::text::printable;

/// What is wrong, and which bytes of the text it is about.
#[derive(Debug)]
pub struct Fail {
    pub span: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

/// Says that `place` is something else than expected.
pub fn wrong(place: &str, found: &str, expected: &str, span: Range<usize>) -> Fail {
    Fail { span, message: format!("`{place}` is {found}; expected {expected}"), hint: None }
}

/// Returns the fail for a text in the wrong place, with advice when the text
/// could be a secret.
pub fn wrong_text(place: &str, text: &str, expected: &str, span: Range<usize>) -> Fail {
    let mut fail = wrong(place, &shown(text), expected, span);
    if may_be_secret(text) {
        fail.hint = Some(
            "the inventory never holds a secret; if one was pasted here, take it out and rotate that key"
                .to_owned(),
        );
    }
    fail
}

/// Returns whether a text must not be repeated in a message: it is as long as
/// a vendor's key and not written like a key ref.
pub fn may_be_secret(text: &str) -> bool {
    let like_a_ref = text.contains('@')
        && text.len() <= 200
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-:@/. ".contains(&b));
    text.chars().count() > 20 && !like_a_ref
}

/// Returns a text for a message, in backticks, or its length only.
pub fn shown(text: &str) -> String {
    match text.chars().count() {
        0 => "empty".to_owned(),
        length if may_be_secret(text) => format!("a text of {length} characters (not shown)"),
        _ => format!("`{}`", printable(text, 200)),
    }
}

/// Returns what a value is, for a message.
pub fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => shown(text),
        DeValue::Integer(number) => format!("the number {}", printable(&number.to_string(), 24)),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Float(_) => "a number with a point".to_owned(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// What a key ref looks like, for messages.
pub const KEY_REF: &str = "a key ref: PROVIDER[:LABEL]@AGENCY[/LOCATION]";

/// Returns the words to choose from, for messages.
pub fn one_of(known: &[&str]) -> String {
    let words: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Returns a name on the way to a field, for a message.
pub fn shown_name(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if may_be_secret(name) {
        "…".to_owned()
    } else if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", printable(name, 200))
    }
}
