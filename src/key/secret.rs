//! The secret itself. It has no `Display`, `Deref` or `Serialize`; it is wiped
//! on drop; the only way out is [`Secret::expose`], whose call sites a test
//! counts.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A key, token or password in memory.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Returns the text. Every call site is a place where a secret may leave.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub fn is_empty(&self) -> bool {
        self.0.expose_secret().is_empty()
    }

    /// Returns the first 12 hex digits of SHA-256 of the secret.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::digest(self.0.expose_secret().as_bytes());
        Fingerprint(digest.iter().take(6).map(|b| format!("{b:02x}")).collect::<String>().into())
    }

    /// Returns the last two characters, as consoles show them.
    pub fn last2(&self) -> String {
        let text = self.0.expose_secret();
        let skip = text.chars().count().saturating_sub(2);
        text.chars().skip(skip).collect()
    }

    /// Returns `text` with every form of this secret starred out: raw, base64
    /// (alone and as Basic credentials of `user`), URL-encoded.
    pub fn scrub(&self, text: &str) -> String {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
        let raw = self.0.expose_secret();
        if raw.len() < 4 {
            return text.to_owned();
        }
        let encoded =
            percent_encoding::utf8_percent_encode(raw, percent_encoding::NON_ALPHANUMERIC).to_string();
        let mut out = text.replace(raw, "***").replace(&encoded, "***");
        for user in ["", "api:"] {
            let plain = format!("{user}{raw}");
            out =
                out.replace(&STANDARD.encode(&plain), "***").replace(&STANDARD_NO_PAD.encode(&plain), "***");
        }
        out
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The first 12 hex digits of SHA-256 of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Fingerprint(Box<str>);

impl Fingerprint {
    /// Parses 12 lower-case hex digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let ok = text.len() == 12 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        ok.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_by_fingerprint_and_last_two_characters_only() {
        let secret = Secret::new(["can", "ary-", "value7f"].concat());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.last2(), "7f");
        assert_eq!(secret.fingerprint().as_str().len(), 12);
        let text = format!("url?key={0} and {0}", secret.expose());
        assert!(!secret.scrub(&text).contains("canary"));
    }
}
