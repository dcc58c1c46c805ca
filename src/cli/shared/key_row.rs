//! A record as `list` and `show` tell it: what the inventory knows, with the
//! last verdict this machine remembers. Opens no store.

use serde::Serialize;

use crate::clock::rfc3339;
use crate::commands::CommandContext;
use crate::inventory::Inventory;
use crate::key::{Expiry, Fingerprint, KeyRef, KeyState, Kind, ProviderId, Record, Region, Scope};
use crate::output::{Cell, Tone};
use crate::rotation::Stage;
use crate::state::{LastVerdict, VERDICTS, Verdicts};
use crate::workflow::idle_keys;

/// One line of `list`, its fields in the contract's order.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub key: KeyRef,
    pub provider: ProviderId,
    pub kind: Kind,
    pub scope: Scope,
    pub region: Option<Region>,
    pub domain: Option<String>,
    pub login: Option<String>,
    pub state: KeyState,
    pub store: String,
    pub fingerprint: Option<Fingerprint>,
    pub last2: Option<String>,
    pub created: Option<String>,
    pub expires: Option<String>,
    pub age_days: Option<i64>,
    pub last_verdict: Option<String>,
    pub last_checked: Option<String>,
    pub rotation: Option<Stage>,
    pub consumers: Vec<String>,
}

/// Makes lines from records.
pub struct Lines<'a> {
    context: &'a CommandContext,
    inventory: &'a Inventory,
    verdicts: Verdicts,
    now: jiff::Timestamp,
}

impl<'a> Lines<'a> {
    pub fn new(context: &'a CommandContext, inventory: &'a Inventory) -> Self {
        Self { context, inventory, verdicts: context.state.read(VERDICTS), now: context.now() }
    }

    /// A verdict belongs to the secret it was given on.
    fn last(&self, record: &Record) -> Option<&LastVerdict> {
        self.verdicts.get(record.id.as_str()).filter(|it| it.is_of(record))
    }

    /// Returns the warning that a key may end because nobody uses it.
    pub fn idle(&self, key: &KeyRef, record: &Record) -> Option<String> {
        idle_keys::warning(key, record, self.last(record), self.now)
    }

    pub fn line(&self, key: &KeyRef, record: &Record) -> Line {
        let last = self.last(record);
        Line {
            key: key.clone(),
            provider: key.provider,
            kind: record.kind,
            scope: key.scope.clone(),
            region: record.region,
            domain: record.domain.as_ref().map(ToString::to_string),
            login: record.login.clone(),
            state: record.state,
            store: self.context.store_name_of(self.inventory, record).to_owned(),
            fingerprint: record.fingerprint.clone(),
            last2: record.last2.clone(),
            created: record.created.map(rfc3339),
            expires: expires(record.expires),
            age_days: record.age_days(self.now),
            last_verdict: last.map(|it| it.verdict.clone()),
            last_checked: last.map(|it| rfc3339(it.checked_at)),
            rotation: self.inventory.rotation_of(key).map(|it| it.stage),
            consumers: record.consumers.iter().map(|it| it.name.clone()).collect(),
        }
    }
}

/// Returns an expiry as JSON has it: a time, `never`, or null.
pub fn expires(expiry: Expiry) -> Option<String> {
    match expiry {
        Expiry::Unknown => None,
        Expiry::Never => Some("never".to_owned()),
        Expiry::At(at) => Some(rfc3339(at)),
    }
}

/// Returns a verdict's word in its tone.
pub fn verdict_cell(verdict: Option<&str>) -> Cell {
    match verdict {
        Some("valid") => Cell::toned("valid", Tone::Good),
        Some("rejected") => Cell::toned("rejected", Tone::Bad),
        Some(other) => Cell::toned(other, Tone::Warn),
        None => Cell::toned("-", Tone::Dim),
    }
}

/// Returns the date part of an RFC 3339 time; other words as they are.
pub fn day(text: Option<&str>) -> String {
    text.map_or_else(String::new, |it| it.split('T').next().unwrap_or(it).to_owned())
}
