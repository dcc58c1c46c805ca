//! What this machine keeps of live checks: the last verdict of each key, and
//! the evidence a success gave of its account.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::key::{Judgement, KeyRef, Record};
use crate::state::{EVIDENCE, Evidence, LastVerdict, VERDICTS, Verdicts};

/// As many key ids and domains of an account are kept as tell it again: the
/// first ones in order, so that two keys of one account keep the same.
pub const KEPT: usize = 16;

/// What else is remembered of a key.
#[derive(Debug, Clone, Default)]
pub struct More {
    /// What speaks against it at single scopes.
    pub places: BTreeMap<String, String>,
    pub selectable: Option<usize>,
}

/// Remembers the judgements of records. Nothing is written for none.
///
/// # Errors
/// When the state folder cannot be written.
pub fn remember(context: &Context, judged: &[(&KeyRef, &Record, &Judgement)]) -> anyhow::Result<()> {
    let judged: Vec<_> =
        judged.iter().map(|(_, record, judgement)| (*record, *judgement, More::default())).collect();
    remember_more(context, &judged)
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
