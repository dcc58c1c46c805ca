//! Addresses and subjects that can be sent as they are: checked offline, so
//! that nothing typed becomes a header or a second recipient.

use std::fmt;
use std::str::FromStr;

use crate::key::Domain;
use crate::key::text::printable;

/// A bare mail address (RFC 5321: a local part of at most 64 characters, 254
/// in all). Quoted local parts are not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    local: String,
    domain: Domain,
}

impl Address {
    pub fn domain(&self) -> &Domain {
        &self.domain
    }
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let error = |why: &str| format!("`{}` is no mail address: {why}", printable(text, 80));
        if let Some(bad) = text.chars().find(|c| c.is_control()) {
            return Err(error(&format!("it contains the control character U+{:04X}", bad as u32)));
        }
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| error("it has no `@`"))?;
        if local.contains('@') {
            return Err(error("it has more than one `@`"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
        if let Some(bad) = local.chars().find(|c| !plain(*c)) {
            return Err(error(&format!("`{}` cannot stand before the `@`", printable(&bad.to_string(), 4))));
        }
        let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
        if local.is_empty() || local.len() > 64 || text.len() > 254 || dots {
            return Err(error("what stands before the `@` is empty, too long or has a dot out of place"));
        }
        if domain.chars().any(char::is_whitespace) || domain.ends_with('.') {
            return Err(error("what stands after the `@` is no domain"));
        }
        let domain = Domain::parse(domain).map_err(|_| error("what stands after the `@` is no domain"))?;
        Ok(Self { local: local.to_owned(), domain })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// A subject of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

impl FromStr for Subject {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(bad) = text.chars().find(|c| c.is_control()) {
            return Err(format!("a subject is one line; this one has U+{:04X} in it", bad as u32));
        }
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 200 {
            return Err("a subject has 1 to 200 characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_address_is_one() {
        for good in ["you@example.com", "a.b+c@mg.acme.example", "o'neil@a.example"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "you",
            "@example.com",
            "you@",
            "you@localhost",
            "a@b@example.com",
            "you@example.com\r\nBcc: x@example.com",
            "a@x.example,b@y.example",
            "You <you@example.com>",
            ".a@example.com",
            "a..b@example.com",
            "grüße@example.com",
            "a b@example.com",
            "a@ example.com",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
        assert!(format!("{}@example.com", "a".repeat(65)).parse::<Address>().is_err());
    }

    #[test]
    fn a_subject_is_one_line() {
        assert!("Grüße".parse::<Subject>().is_ok());
        for bad in ["", "  ", "a\nBcc: x@example.com", "a\u{7}"] {
            assert!(bad.parse::<Subject>().is_err(), "{bad:?}");
        }
    }
}
