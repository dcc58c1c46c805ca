//! Where a vendor is reached: its own origin and relay, or what a variable puts
//! in their place.

use super::Context;
use crate::exit::Situation;
use crate::http::{Host, Origin};
use crate::smtp::Relay;

impl Context {
    /// Returns the origin a host is reached at.
    ///
    /// # Errors
    /// Exit 2 when the overriding variable is unusable.
    pub fn origin(&self, host: &Host) -> anyhow::Result<String> {
        let other = self.other_origin(host)?;
        Ok(other.map_or_else(|| host.origin.to_owned(), |it| it.as_str().to_owned()))
    }

    /// Returns the host and port a relay is reached at.
    ///
    /// # Errors
    /// Exit 2 when the overriding variable is unusable.
    pub fn relay(&self, relay: &Relay) -> anyhow::Result<(String, u16)> {
        let own = || (relay.host.to_owned(), relay.ports.first().copied().unwrap_or(587));
        Ok(self.other_relay(relay)?.unwrap_or_else(own))
    }

    /// Returns the origin that stands in for a vendor's.
    pub(super) fn other_origin(&self, host: &Host) -> anyhow::Result<Option<Origin>> {
        let Some(text) = self.environment.get(host.variable) else { return Ok(None) };
        let origin = Origin::parse(&text).map_err(|why| {
            Situation::usage(format!("{} is unusable: {why}", host.variable)).hint(format!(
                "unset it to reach {}, or give an origin such as `https://gateway.example/prefix`",
                host.name()
            ))
        })?;
        Ok(Some(origin))
    }

    /// Returns the host and port that stand in for a vendor's relay.
    pub(super) fn other_relay(&self, relay: &Relay) -> anyhow::Result<Option<(String, u16)>> {
        let Some(text) = self.environment.get(relay.variable) else { return Ok(None) };
        let target = host_and_port(&text).ok_or_else(|| {
            Situation::usage(format!("{} is no HOST:PORT", relay.variable))
                .hint(format!("unset it to reach {}, or write it like `127.0.0.1:2525`", relay.host))
        })?;
        Ok(Some(target))
    }

    /// Says which of these variables lead elsewhere than to the vendor.
    pub fn say_overrides(&self, variables: impl Iterator<Item = &'static str>) {
        let said: Vec<String> =
            variables.filter_map(|it| Some(format!("{it}={}", self.environment.get(it)?))).collect();
        if !said.is_empty() {
            self.console.note(format!("note: not the vendor's own hosts: {}", said.join(" ")));
        }
    }
}

/// Reads `HOST:PORT`, also with an IPv6 host in brackets.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c));
    plain.then_some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}
