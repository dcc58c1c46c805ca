//! An origin that may stand in for a vendor's: https anywhere, http on this
//! machine only. The constructor is the check.

use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use crate::key::text::printable;

/// Scheme, host, port and an optional path prefix, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    text: String,
    place: Place,
}

/// Where an origin leads, and what guards the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// http on this machine: no certificates are needed at all.
    LoopbackPlain,
    /// https on this machine: never through a proxy.
    LoopbackTls,
    World,
}

impl Origin {
    /// Parses an origin: `https://…`, or `http://` on 127.0.0.0/8, `[::1]` or
    /// `localhost`.
    ///
    /// # Errors
    /// Says what is wrong with it, without echoing credentials in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let url = Url::parse(trimmed).map_err(|error| format!("is no URL: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not contain a user name or password".to_owned());
        }
        let shown = printable(trimmed, 120);
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("must be an origin with an optional path, without `?` or `#`: `{shown}`"));
        }
        let host = url.host_str().filter(|it| !it.is_empty());
        let host = host.ok_or_else(|| format!("names no host: `{shown}`"))?;
        let place = match (url.scheme(), is_loopback(host)) {
            ("https", true) => Place::LoopbackTls,
            ("https", false) => Place::World,
            ("http", true) => Place::LoopbackPlain,
            ("http", false) => {
                return Err(format!(
                    "must be https; http is for this machine only (127.0.0.0/8, [::1], localhost): `{shown}`"
                ));
            }
            _ => return Err(format!("must be https, or http on this machine: `{shown}`")),
        };
        Ok(Self { text: url.as_str().trim_end_matches('/').to_owned(), place })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        self.place != Place::World
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare.parse::<Ipv4Addr>().is_ok_and(|it| it.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|it| it == Ipv6Addr::LOCALHOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_for_this_machine_only() {
        for good in [
            "https://api.example.net",
            "https://api.example.net/",
            "https://gateway.example.net:8443/mailgun/us",
            "http://127.0.0.1:8025",
            "http://127.8.9.1",
            "http://[::1]:80/prefix/",
            "http://localhost:1",
        ] {
            assert!(Origin::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.example.net",
            "http://api.example.net",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://128.0.0.1",
            "http://[::2]",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
            "https://user@api.example.net",
            "https://user:word@api.example.net",
            "https://api.example.net/?a=b",
            "https://api.example.net/#a",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_is_kept_and_a_password_not_repeated() {
        let origin = Origin::parse("https://gateway.example.net:8443/mailgun/").unwrap();
        assert_eq!(origin.as_str(), "https://gateway.example.net:8443/mailgun");
        assert!(!origin.is_loopback());
        assert!(Origin::parse("http://127.0.0.1:9").unwrap().is_loopback());
        let word = ["hunt", "er2"].concat();
        let error = Origin::parse(&format!("https://me:{word}@h.example")).unwrap_err();
        assert!(!error.contains(&word));
    }
}
