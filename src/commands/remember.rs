//! What this machine keeps of live checks: the last verdict of each key, and
//! the evidence a success gave of its account.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::key::{Judgement, KeyRef, Record};
use crate::state::{EVIDENCE, Evidence, LastVerdict, VERDICTS, Verdicts};

/// Remembers the judgements of records. Nothing is written for none.
///
/// # Errors
/// When the state folder cannot be written.
pub fn remember(context: &Context, judged: &[(&KeyRef, &Record, &Judgement)]) -> anyhow::Result<()> {
    if judged.is_empty() {
        return Ok(());
    }
    let now = context.now();
    context.state.update(VERDICTS, |all: &mut Verdicts| {
        for (_, record, judgement) in judged {
            let id = record.id.as_str();
            let before = all.get(id).and_then(|last| last.accepted_at);
            let last = LastVerdict {
                fingerprint: record.fingerprint.as_ref().map(ToString::to_string).unwrap_or_default(),
                verdict: judgement.verdict().as_str().to_owned(),
                reasons: judgement.reasons().iter().map(|it| it.as_str().to_owned()).collect(),
                checked_at: now,
                accepted_at: if judgement.accepted() { Some(now) } else { before },
            };
            all.insert(id.to_owned(), last);
        }
    })?;
    let successes: Vec<_> = judged.iter().filter(|(_, _, judgement)| judgement.accepted()).collect();
    if successes.is_empty() {
        return Ok(());
    }
    context.state.update(EVIDENCE, |all: &mut BTreeMap<String, Evidence>| {
        for (_, record, judgement) in successes {
            let facts = &judgement.facts;
            let held = all.entry(record.id.as_str().to_owned()).or_default();
            held.allowlist = facts.allowlist.or(held.allowlist);
            held.account_id = facts.account_id.clone().or(held.account_id.take());
            if !facts.sibling_ids.is_empty() {
                held.key_ids.clone_from(&facts.sibling_ids);
            }
            if let Some(domains) = &facts.domains {
                held.domains = domains.iter().map(|it| it.name.to_string()).collect();
            }
        }
    })
}
