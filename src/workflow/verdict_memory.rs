//! What this machine keeps of live checks: the last verdict of each key, and
//! the evidence a success gave of its account.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::context::{Context, Slot};
use crate::inventory::Inventory;
use crate::key::{Domain, Fingerprint, Judgement, KeyRef, Record, Scope, Secret};
use crate::provider;
use crate::state::{EVIDENCE, Evidence, LastVerdict, Unfit, VERDICTS};
use crate::workflow::store_secret::recorded_store;

/// As many key ids and domains of an account are kept as tell it again: the
/// first ones in order, so that two keys of one account keep the same.
pub const KEPT: usize = 16;

/// Whose secret was asked about. What the `env` store holds may be another
/// version than the current one, or none that can be compared; what that proves
/// is nothing of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The record's, as far as can be told.
    Recorded,
    /// One that may be shown, of a record that has no fingerprint.
    Unrecorded(Fingerprint),
    /// Another version than the current one, which is being rotated.
    Version(Slot),
    /// One that nothing can be compared with, from another store than the record's.
    Another,
}

impl Asked {
    /// Says whose secret it is that was read for a record and fits it.
    pub fn of(
        context: &Context,
        inventory: &Inventory,
        key: &KeyRef,
        record: &Record,
        secret: &Secret,
    ) -> Self {
        let chosen = provider::provider(key.provider).chosen_by_person(record.kind);
        let borrowed = !context.is_versioned(context.store_name_of(inventory, record))
            && context.is_versioned(recorded_store(inventory, record));
        match &record.fingerprint {
            Some(_) => Self::Recorded,
            None if !chosen => Self::Unrecorded(secret.fingerprint()),
            // Nothing may be kept to compare it by.
            None if borrowed => Self::Another,
            None => Self::Recorded,
        }
    }

    /// Returns the version that was asked about, where it is not the current one.
    pub fn version(&self) -> Option<Slot> {
        match self {
            Self::Version(slot) => Some(*slot),
            Self::Recorded | Self::Unrecorded(_) | Self::Another => None,
        }
    }

    /// Returns whether what was found is of the record's current secret.
    pub fn is_current(&self) -> bool {
        match self {
            Self::Recorded | Self::Unrecorded(_) => true,
            Self::Version(_) | Self::Another => false,
        }
    }

    /// Returns whether a verdict was given on this very secret. Where a
    /// store does not keep versions apart, a secret without a fingerprint may be
    /// another each time.
    pub fn is_that_of(&self, last: &LastVerdict, record: &Record, is_versioned: bool) -> bool {
        last.is_of(record)
            && match self {
                Self::Recorded => record.fingerprint.is_some() || is_versioned,
                Self::Unrecorded(fingerprint) => fingerprint.as_str() == last.fingerprint,
                Self::Version(_) | Self::Another => false,
            }
    }
}

/// A judgement and what it is on.
pub struct Proven<'a> {
    pub record: &'a Record,
    pub asked: Asked,
    pub judgement: &'a Judgement,
    pub more: More,
}

/// What else is remembered of a key.
#[derive(Debug, Clone, Default)]
pub struct More {
    /// What speaks against it at single scopes.
    pub places: BTreeMap<String, Unfit>,
    pub selectable: Option<usize>,
    /// As [`basis`] tells.
    pub basis: String,
}

/// Returns a digest of all that the inventory adds to a verdict: what is
/// recorded of the key, and the domain and rule of each scope it is judged at.
pub fn basis(record: &Record, scopes: &[(&Scope, Option<Domain>)], us_rule: bool) -> String {
    let mut text = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        record.kind,
        record.state,
        record.region,
        record.domain,
        record.login,
        record.account_id,
        record.permissions,
        record.expires
    );
    // A key that is effective nowhere, or was not asked for a scope, is judged alone.
    if us_rule && !scopes.is_empty() {
        text += " us";
    }
    for (scope, domain) in scopes {
        if let Some(domain) = domain {
            text += &format!(" {scope}={domain}");
        }
    }
    Sha256::digest(text.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Remembers the judgements of records, each on the secret that is recorded.
/// Nothing is written for none. A state folder that cannot be written is a
/// warning: what was proven is proven all the same.
pub fn remember(context: &Context, judged: &[(&KeyRef, &Record, &Judgement)]) {
    let judged = judged.iter().map(|(_, record, judgement)| Proven {
        record,
        asked: Asked::Recorded,
        judgement,
        // It was judged by itself.
        more: More { basis: basis(record, &[], false), ..More::default() },
    });
    remember_more(context, judged.collect())
}

/// Remembers the judgements of records and what else was found, but nothing of
/// another secret than the record's. A state folder that cannot be written is a
/// warning.
pub fn remember_more(context: &Context, judged: Vec<Proven<'_>>) {
    if let Err(error) = save(context, judged) {
        // What was done stays done; only the next run knows less.
        context.operator.warning(format!("the verdict is not remembered: {error:#}"));
    }
}

fn save(context: &Context, judged: Vec<Proven<'_>>) -> anyhow::Result<()> {
    let now = context.now();
    let mut news = BTreeMap::new();
    for it in judged.into_iter().filter(|it| it.asked.is_current()) {
        news.insert(it.record.id.as_str(), it);
    }
    context.state.change(VERDICTS, &news, |new: &Proven<'_>, old: Option<LastVerdict>| {
        let Proven { record, asked, judgement, more } = new;
        let fingerprint = match asked {
            Asked::Unrecorded(fingerprint) => Some(fingerprint),
            Asked::Recorded | Asked::Version(_) | Asked::Another => record.fingerprint.as_ref(),
        };
        let fingerprint = fingerprint.map(ToString::to_string).unwrap_or_default();
        // The success of a secret that was replaced is none of this one.
        let same = |it: &LastVerdict| it.is_of(record) && it.fingerprint == fingerprint;
        let before = old.filter(same).and_then(|last| last.accepted_at);
        LastVerdict {
            fingerprint,
            version: record.current,
            verdict: judgement.verdict().as_str().to_owned(),
            reasons: judgement.reasons().iter().map(|it| it.as_str().to_owned()).collect(),
            checked_at: now,
            accepted_at: if judgement.accepted() { Some(now) } else { before },
            places: more.places.clone(),
            selectable: more.selectable,
            basis: more.basis.clone(),
            expires: judgement.facts.expires.unwrap_or_default(),
        }
    })?;
    news.retain(|_, new| new.judgement.accepted());
    context.state.change(EVIDENCE, &news, |new: &Proven<'_>, old: Option<Evidence>| {
        let facts = &new.judgement.facts;
        let mut held = old.unwrap_or_default();
        held.allowlist = facts.allowlist.or(held.allowlist);
        held.account_id = facts.account_id.clone().or(held.account_id);
        if !facts.sibling_ids.is_empty() {
            let siblings = facts.sibling_ids.iter().take(KEPT).map(ToString::to_string);
            held.key_ids = siblings.chain(facts.remote_id.clone()).collect();
        }
        if let Some(domains) = &facts.domains {
            held.domains = domains.iter().take(KEPT).map(|it| it.name.to_string()).collect();
        }
        held
    })
}
