//! The lists that wait to be restored: one for each record, in the state
//! folder of this machine.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::context::Context;
use crate::key::{KeyRef, Record};
use crate::provider::AllowlistEntry;
use crate::state::{ALLOWLISTS, EVIDENCE, Evidence};

/// A list as it was before it was emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The key's name at that time, to speak of it when its record is gone.
    key: String,
    pub entries: Vec<AllowlistEntry>,
    pub saved_at: Timestamp,
    /// When it is to be restored.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// The entry that lets everybody in while the list is changed, so that
    /// half a list never locks this machine out. None where the list has one.
    #[serde(default)]
    pub cover: Option<String>,
}

impl Saved {
    /// Starts with nothing but the name and the hour.
    pub fn new(key: &KeyRef, now: Timestamp) -> Self {
        Self { key: key.to_string(), entries: Vec::new(), saved_at: now, until: None, cover: None }
    }

    /// Takes in what is on the list now; never forgets an entry.
    pub fn merge(&mut self, list: &[AllowlistEntry]) {
        let new: Vec<_> = list.iter().filter(|it| !self.is_cover(it) && !holds(&self.entries, it)).collect();
        self.entries.extend(new.into_iter().cloned());
        self.entries.sort();
        if self.cover.is_none() {
            self.cover = cover(&self.entries);
        }
    }

    pub fn is_cover(&self, entry: &AllowlistEntry) -> bool {
        self.cover.as_deref().is_some_and(|it| canonical(it) == canonical(&entry.address))
    }
}

type All = BTreeMap<String, Saved>;

/// Returns what is saved of a record's account.
pub fn of(context: &Context, record: &Record) -> Option<Saved> {
    context.state.read::<All>(ALLOWLISTS).remove(record.id.as_str())
}

/// Saves a list.
///
/// # Errors
/// When the state folder cannot be written.
pub fn keep(context: &Context, record: &Record, saved: &Saved) -> anyhow::Result<()> {
    context.state.update(ALLOWLISTS, |all: &mut All| {
        all.insert(record.id.to_string(), saved.clone());
    })
}

/// Forgets a list that was restored.
///
/// # Errors
/// When the state folder cannot be written.
pub fn forget(context: &Context, record: &Record) -> anyhow::Result<()> {
    context.state.update(ALLOWLISTS, |all: &mut All| {
        all.remove(record.id.as_str());
    })
}

/// Remembers whether the account has a list; writes only what is new.
///
/// # Errors
/// When the state folder cannot be written.
pub fn note_presence(context: &Context, record: &Record, present: bool) -> anyhow::Result<()> {
    type Known = BTreeMap<String, Evidence>;
    let known: Known = context.state.read(EVIDENCE);
    if known.get(record.id.as_str()).and_then(|it| it.allowlist) == Some(present) {
        return Ok(());
    }
    context.state.update(EVIDENCE, |all: &mut Known| {
        all.entry(record.id.to_string()).or_default().allowlist = Some(present);
    })
}

/// Warns of every list that is saved and not restored. Costs one look at a
/// file that is rarely there.
pub fn nag(context: &Context) {
    let all: All = context.state.read(ALLOWLISTS);
    for (id, saved) in &all {
        let inventory = context.inventory().ok();
        let recorded = inventory.and_then(|it| it.keys.iter().find(|(_, record)| record.id.as_str() == id));
        let key = recorded.map_or_else(|| saved.key.clone(), |(key, _)| key.to_string());
        let now = context.now();
        let since = clock::spoken(now.as_second() - saved.saved_at.as_second());
        let overdue = saved.until.filter(|it| *it < now).map_or_else(String::new, |until| {
            let late = clock::spoken(now.as_second() - until.as_second());
            format!(", {late} longer than wanted")
        });
        context.operator.warning(format!(
            "the IP allowlist of `{key}` is relaxed since {since}{overdue}; restore it: `keyctl allowlist {key} \
             --restore`"
        ));
    }
}

/// Returns whether a list has the address of an entry.
pub fn holds(list: &[AllowlistEntry], entry: &AllowlistEntry) -> bool {
    list.iter().any(|it| canonical(&it.address) == canonical(&entry.address))
}

/// Returns whether an entry lets every address of its family in.
pub fn is_wide(entry: &AllowlistEntry) -> bool {
    entry.address.trim().ends_with("/0")
}

/// Returns the entry that lets everybody in, of the family the callers have;
/// none is needed where the list has one of its own.
fn cover(entries: &[AllowlistEntry]) -> Option<String> {
    if entries.is_empty() || entries.iter().any(is_wide) {
        return None;
    }
    let only_ipv6 = entries.iter().all(|it| it.address.contains(':'));
    Some(if only_ipv6 { "::/0" } else { "0.0.0.0/0" }.to_owned())
}

/// Returns an address so that two ways of writing it are one: an address is
/// the network of all its bits.
fn canonical(address: &str) -> String {
    let (host, bits) = address.trim().split_once('/').unwrap_or((address.trim(), ""));
    let Ok(parsed) = host.parse::<IpAddr>() else { return address.trim().to_ascii_lowercase() };
    let whole = if parsed.is_ipv4() { "32" } else { "128" };
    format!("{parsed}/{}", if bits.is_empty() { whole } else { bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str) -> AllowlistEntry {
        AllowlistEntry { address: address.to_owned(), description: None }
    }

    fn saved(addresses: &[&str]) -> Saved {
        let mut saved = Saved::new(&"mailgun@acme".parse().unwrap(), Timestamp::UNIX_EPOCH);
        saved.merge(&addresses.iter().map(|it| entry(it)).collect::<Vec<_>>());
        saved
    }

    #[test]
    fn a_saved_list_grows_and_never_shrinks() {
        let mut list = saved(&["203.0.113.9", "198.51.100.0/24"]);
        assert_eq!(list.cover.as_deref(), Some("0.0.0.0/0"));
        list.merge(&[entry("0.0.0.0/0"), entry("203.0.113.9/32"), entry("2001:DB8::1")]);
        let held: Vec<_> = list.entries.iter().map(|it| it.address.as_str()).collect();
        assert_eq!(held, ["198.51.100.0/24", "2001:DB8::1", "203.0.113.9"]);
        assert!(holds(&list.entries, &entry("2001:db8:0::1/128")));
    }

    #[test]
    fn the_cover_is_of_the_callers_family_and_never_an_entry_of_the_list() {
        assert_eq!(saved(&["2001:db8::/32"]).cover.as_deref(), Some("::/0"));
        assert_eq!(saved(&["203.0.113.9", "0.0.0.0/0"]).cover, None);
        assert_eq!(saved(&[]).cover, None);
    }
}
