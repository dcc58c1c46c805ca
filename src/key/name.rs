//! Names a person chooses: agencies, locations, labels, and the domains keys
//! are bound to. The constructor is the check.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The longest agency, location or label name, in bytes.
pub const MAX_NAME: usize = 63;

/// An agency, location or label: `[a-z0-9-]`, no `-` first, last or doubled,
/// 1 to [`MAX_NAME`] bytes. Shared by its copies, of which a run makes many.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

/// Why a text is no [`Name`] or [`Domain`]; the message names the character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name cannot be empty")]
    Empty,
    #[error("`{name}` is {length} characters long; a name has at most {MAX_NAME}")]
    TooLong { name: String, length: usize },
    #[error("`{name}` contains {character}; a name has only a-z, 0-9 and `-`")]
    Character { name: String, character: String },
    #[error("`{name}` has a `-` at its {place}; a name starts and ends with a letter or digit")]
    Edge { name: String, place: &'static str },
    #[error("`{name}` has `--` in it; a name has single `-` only")]
    Doubled { name: String },
    #[error("`{name}` is the name of a provider and cannot name an agency")]
    Reserved { name: String },
    #[error("what stands where a name belongs looks like a key; it is not repeated")]
    Key,
    #[error("`{0}` is not a domain name")]
    Domain(String),
}

impl Name {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = || super::text::printable(text, 80);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if super::shape::is_key_like_a_name(text) {
            return Err(NameError::Key);
        }
        if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            let character = match bad {
                ' ' => "a space".to_owned(),
                c => match super::text::first_hidden(&c.to_string()) {
                    Some((_, named)) => named,
                    None => format!("`{c}`"),
                },
            };
            return Err(NameError::Character { name: name(), character });
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong { name: name(), length: text.len() });
        }
        if text.starts_with('-') || text.ends_with('-') {
            let place = if text.starts_with('-') { "start" } else { "end" };
            return Err(NameError::Edge { name: name(), place });
        }
        if text.contains("--") {
            return Err(NameError::Doubled { name: name() });
        }
        Ok(Self(text.into()))
    }

    /// Returns a name derived from free text: transliterated, lower-cased,
    /// everything else a `-`. `None` when nothing usable is left.
    pub fn derive(text: &str) -> Option<Self> {
        let mut out = String::new();
        for c in text.chars() {
            match super::transliterate::ascii(c) {
                Some(letters) => out.push_str(letters),
                None if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
                None if !out.is_empty() && !out.ends_with('-') => out.push('-'),
                None => {}
            }
        }
        out.truncate(MAX_NAME);
        Self::parse(out.trim_matches('-')).ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sending domain, lower-cased, without a trailing dot (RFC 1035 length and
/// letter rules; `_` is allowed because vendors hand such names out).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Parses a domain name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Domain(super::text::printable(text, 80));
        let lower = text.trim().trim_end_matches('.').to_ascii_lowercase();
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if lower.len() > 253 || !lower.contains('.') || !lower.split('.').all(label_ok) {
            return Err(error());
        }
        Ok(Self(lower.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Domain {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_character_is_wrong() {
        assert!(Name::parse("web-shop2").is_ok());
        let message = |text: &str| Name::parse(text).unwrap_err().to_string();
        assert!(message("Acme").contains("`A`"));
        assert!(message("a b").contains("a space"));
        assert!(message("a\tb").contains("U+0009"));
        assert!(message("-a").contains("start"));
        assert!(message("a--b").contains("`--`"));
        assert!(message(&"a".repeat(64)).contains("64"));
    }

    #[test]
    fn a_name_is_derived_from_free_text() {
        let derived = |text| Name::derive(text).map(|n| n.to_string());
        assert_eq!(derived("Zürich  Süd (Büro)").as_deref(), Some("zurich-sud-buro"));
        assert_eq!(derived("  ¡!  "), None);
    }
}
