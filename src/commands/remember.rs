//! What this machine keeps of live checks: the last verdict of each key, and
//! the evidence a success gave of its account.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::key::{Domain, Judgement, KeyRef, Record, Scope};
use crate::state::{EVIDENCE, Evidence, LastVerdict, Unfit, VERDICTS, Verdicts};

/// As many key ids and domains of an account are kept as tell it again: the
/// first ones in order, so that two keys of one account keep the same.
pub const KEPT: usize = 16;

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

/// Remembers the judgements of records. Nothing is written for none.
///
/// # Errors
/// When the state folder cannot be written.
pub fn remember(context: &Context, judged: &[(&KeyRef, &Record, &Judgement)]) -> anyhow::Result<()> {
    let judged: Vec<_> =
        judged.iter().map(|(_, record, judgement)| (*record, *judgement, alone(record))).collect();
    remember_more(context, &judged)
}

/// Says that a record was judged by itself.
fn alone(record: &Record) -> More {
    More { basis: basis(record, &[], false), ..More::default() }
}

/// Remembers the judgements of records and what else was found.
///
/// # Errors
/// As [`remember`].
pub fn remember_more(context: &Context, judged: &[(&Record, &Judgement, More)]) -> anyhow::Result<()> {
    if judged.is_empty() {
        return Ok(());
    }
    let now = context.now();
    context.state.update(VERDICTS, |all: &mut Verdicts| {
        for (record, judgement, more) in judged {
            let id = record.id.as_str();
            let before = all.get(id).and_then(|last| last.accepted_at);
            let last = LastVerdict {
                fingerprint: record.fingerprint.as_ref().map(ToString::to_string).unwrap_or_default(),
                verdict: judgement.verdict().as_str().to_owned(),
                reasons: judgement.reasons().iter().map(|it| it.as_str().to_owned()).collect(),
                checked_at: now,
                accepted_at: if judgement.accepted() { Some(now) } else { before },
                places: more.places.clone(),
                selectable: more.selectable,
                basis: more.basis.clone(),
            };
            all.insert(id.to_owned(), last);
        }
    })?;
    let successes: Vec<_> = judged.iter().filter(|(_, judgement, _)| judgement.accepted()).collect();
    if successes.is_empty() {
        return Ok(());
    }
    context.state.update(EVIDENCE, |all: &mut BTreeMap<String, Evidence>| {
        for (record, judgement, _) in successes {
            let facts = &judgement.facts;
            let held = all.entry(record.id.as_str().to_owned()).or_default();
            held.allowlist = facts.allowlist.or(held.allowlist);
            held.account_id = facts.account_id.clone().or(held.account_id.take());
            if !facts.sibling_ids.is_empty() {
                held.key_ids = facts.sibling_ids.iter().take(KEPT).chain(&facts.remote_id).cloned().collect();
            }
            if let Some(domains) = &facts.domains {
                held.domains = domains.iter().take(KEPT).map(|it| it.name.to_string()).collect();
            }
        }
    })
}
