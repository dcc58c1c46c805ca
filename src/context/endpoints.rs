//! Where a vendor is reached: its own origin and relay, or what a variable puts
//! in their place.

use std::collections::BTreeSet;

use super::Context;
use super::env::{DEFAULT_SETTLE, SETTLE};
use crate::clock::Span;
use crate::exit::Situation;
use crate::http::{Host, Origin};
use crate::key::ProviderId;
use crate::provider;
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

    /// Returns how long this provider's list of keys may lag behind a change:
    /// nothing is taken for not made, or gone, before (`KEYCTL_SETTLE`).
    ///
    /// # Errors
    /// Exit 2 when the variable is unusable, or says less than
    /// [`DEFAULT_SETTLE`] for a provider that is not on this machine.
    pub fn settle(&self, id: ProviderId) -> anyhow::Result<Span> {
        let settle = self.environment.settle()?;
        long_enough(settle, id, || self.is_on_loopback(id))
    }

    /// Returns whether every API host of a provider is replaced by one on this
    /// machine.
    fn is_on_loopback(&self, id: ProviderId) -> anyhow::Result<bool> {
        for host in provider::provider(id).hosts() {
            if !self.other_origin(host)?.is_some_and(|it| it.is_loopback()) {
                return Ok(false);
            }
        }
        Ok(true)
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

    /// Says that these variables lead elsewhere than to the vendor, and where to;
    /// with `--verbose` each of them.
    pub fn say_overrides(&self, variables: impl Iterator<Item = &'static str>) {
        let set: Vec<(&str, String)> =
            variables.filter_map(|it| Some((it, self.environment.get(it)?))).collect();
        match set.as_slice() {
            [] => {}
            [(name, value)] => self.console.note(format!("note: not the vendor's own host: {name}={value}")),
            [(first, _), rest @ ..] => {
                let hosts: BTreeSet<&str> = set.iter().map(|(_, value)| host_of(value)).collect();
                let hosts: Vec<&str> = hosts.into_iter().collect();
                self.console.note(format!(
                    "note: not the vendors' own hosts but {}: {first} and {} more",
                    hosts.join(", "),
                    rest.len()
                ));
                for (name, value) in &set {
                    self.console.detail(format!("  {name}={value}"));
                }
            }
        }
    }
}

/// Checks that a provider's list had time to catch up. One on this machine may
/// be as quick as it likes.
fn long_enough(
    settle: Span,
    id: ProviderId,
    on_loopback: impl FnOnce() -> anyhow::Result<bool>,
) -> anyhow::Result<Span> {
    if settle >= DEFAULT_SETTLE || on_loopback()? {
        return Ok(settle);
    }
    Err(Situation::usage(format!(
        "the variable `{SETTLE}`: {settle} is too short for {id}, whose list of keys may lag behind for \
         {DEFAULT_SETTLE}"
    ))
    .hint(format!(
        "unset it, or write {DEFAULT_SETTLE} or more; less is only for a provider that is reached on this \
         machine (127.0.0.0/8, [::1], localhost)"
    ))
    .into())
}

/// Returns the host in an origin or in `HOST:PORT`.
fn host_of(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.split_once(']') {
        Some((bracketed, _)) => bracketed.trim_start_matches('['),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// Reads `HOST:PORT`, also with an IPv6 host in brackets.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c));
    plain.then_some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_below_the_default_is_for_providers_on_this_machine() {
        let settle = |seconds, on_loopback| {
            long_enough(Span::seconds(seconds), ProviderId::Mailgun, || Ok(on_loopback))
        };
        assert_eq!(settle(120, false).unwrap(), DEFAULT_SETTLE);
        assert_eq!(settle(600, false).unwrap(), Span::seconds(600));
        assert_eq!(settle(0, true).unwrap(), Span::seconds(0));
        let error = settle(119, false).unwrap_err();
        let (exit, _, message, hint) = crate::exit::situation(&error);
        assert_eq!(exit, crate::exit::Exit::Usage);
        assert!(message.contains("KEYCTL_SETTLE") && message.contains("119s"), "{message}");
        assert!(hint.unwrap().contains("2m or more"));
    }

    #[test]
    fn the_host_is_told_of_every_form() {
        assert_eq!(host_of("http://127.0.0.1:41457/prefix"), "127.0.0.1");
        assert_eq!(host_of("https://api.example"), "api.example");
        assert_eq!(host_of("[::1]:2525"), "::1");
        assert_eq!(host_of("localhost:2525"), "localhost");
    }
}
