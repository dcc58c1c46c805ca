//! The test of the new key: accepted, of the same account, able to do at least
//! what the old one can. In the first seconds a refusal is "not yet".

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Judgement, Kind, Reason, Record, Secret, Verdict};
use crate::rotation::{Rotation, Stage};
use crate::workflow::rotation::compare_permissions::Seen;
use crate::workflow::rotation::session::{Flow, Session, Snapshot, as_side};
use crate::workflow::rotation::unfit::unfit;
use crate::workflow::rotation::{compare_permissions, step_create_pasted};
use crate::workflow::smtp_login;

/// The first wait before a refused key is tried again; each is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(150);
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// A key that a person pasted has existed for a while: it is not waited for long.
const PATIENCE_BY_HAND: Duration = Duration::from_secs(3);

/// Tests the new key.
pub fn step(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let key = snapshot.key();
    let Some(secret) = work.secret(snapshot, Slot::Pending)? else {
        // Lost from the store: what was made is found by its id and replaced.
        work.context
            .operator
            .warning(format!("the new secret of `{key}` is not in the store; it is made again"));
        work.save(Stage::Created, |_, rotation| {
            rotation.stage = Stage::Creating;
            Ok(())
        })?;
        return Ok(Flow::On);
    };
    let record = as_side(key, snapshot.record()?, &snapshot.rotation.new);
    let new = patiently(work, snapshot, &record, &secret)?;
    if !new.accepted() {
        return Err(failed(snapshot, record.kind, &new).into());
    }
    let old_secret = work.secret(snapshot, Slot::Current)?;
    let old = match &old_secret {
        Some(secret) => {
            let record = as_side(key, snapshot.record()?, &snapshot.rotation.old);
            Some(work.judge(key, &record, secret)?)
        }
        None => None,
    };
    let old = old.filter(Judgement::accepted);
    if let Some(why) = other_account(snapshot.record()?, old.as_ref(), &new) {
        step_create_pasted::mark_foreign(work, snapshot)?;
        return Err(unfit(snapshot, &why).into());
    }
    if let Some(why) = worse(&snapshot.rotation, &record, old.as_ref(), &new) {
        return Err(unfit(snapshot, &why).into());
    }
    let seen = Seen::new(&record, &secret, &new);
    compare_permissions::compare(work, snapshot, seen, old_secret.as_ref().zip(old.as_ref()))?;
    if old.is_none() {
        work.context.operator.note(format!("`{key}`: the old key cannot be compared with, it does not work"));
    }
    let facts = new.facts;
    work.save(Stage::Created, |_, rotation| {
        let side = &mut rotation.new;
        if smtp_login::are_the_accounts(key.provider, record.kind) {
            side.login = facts.login.or(side.login.take());
        }
        side.role = side.role.take().or(facts.role);
        side.remote_id = side.remote_id.take().or(facts.remote_id);
        side.expires =
            facts.expires.filter(|_| side.expires == crate::key::Expiry::Unknown).unwrap_or(side.expires);
        rotation.stage = Stage::Tested;
        Ok(())
    })?;
    Ok(Flow::On)
}

fn patiently(
    work: &Session<'_>,
    snapshot: &Snapshot,
    record: &Record,
    secret: &Secret,
) -> anyhow::Result<Judgement> {
    let whole = work.context.deadline();
    let by_hand = snapshot.rotation.using.is_none();
    let end = if by_hand { whole.min(Instant::now() + PATIENCE_BY_HAND) } else { whole };
    let mut wait = FIRST_WAIT;
    loop {
        work.forget(secret);
        let judgement = work.judge(snapshot.key(), record, secret)?;
        let not_yet = judgement.reason() == Some(Reason::Unauthorized);
        if !not_yet || Instant::now() + wait >= end {
            return Ok(judgement);
        }
        if wait == FIRST_WAIT {
            work.context
                .operator
                .note(format!("`{}`: the new key is not accepted yet; waiting", snapshot.key()));
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn failed(snapshot: &Snapshot, kind: Kind, judgement: &Judgement) -> Situation {
    let key = snapshot.key();
    let reason = judgement.reason().map_or("unknown", Reason::as_str);
    if judgement.verdict() == Verdict::Unknown {
        return Situation::new(
            Exit::Unknown,
            reason,
            format!("whether the new key works could not be told: {}", judgement.detail),
        )
        .hint(match &judgement.hint {
            Some(hint) if judgement.has(Reason::PermissionNotCheckable) => {
                format!("the old key is still current; {hint}; then `keyctl rotate {key} --resume`")
            }
            _ => format!("the old key is still current; try again: `keyctl rotate {key} --resume`"),
        });
    }
    let situation = Situation::failed(reason, format!("the new key failed its test: {}", judgement.detail));
    if smtp_login::is_suspect(key.provider, kind, judgement)
        && let Some(hint) = &judgement.hint
    {
        return situation.hint(format!(
            "the old key is still current; {hint}; then try again: `keyctl rotate {key} --resume`"
        ));
    }
    situation.hint(format!(
        "the old key is still current; try again with `--resume`{}, or `keyctl rotate {key} --abort`",
        step_create_pasted::or_another(snapshot)
    ))
}

/// Says what the new key cannot do that the old one, or the record, can.
fn worse(rotation: &Rotation, record: &Record, old: Option<&Judgement>, new: &Judgement) -> Option<String> {
    if let Some(old) = old {
        let lacks: Vec<&str> =
            new.reasons().iter().filter(|it| !old.has(**it) && blocks(**it)).map(|it| it.as_str()).collect();
        if !lacks.is_empty() {
            return Some(format!(
                "it is limited where the old one is not ({}): {}",
                lacks.join(", "),
                new.detail
            ));
        }
    } else if new.has(Reason::PermissionMissing) {
        return Some(format!("it lacks a right: {}", new.detail));
    }
    let held = |judgement: &Judgement| judgement.facts.role.as_deref().and_then(rank);
    let wanted = old.and_then(held).or_else(|| rotation.old.role.as_deref().and_then(rank));
    let has = held(new).or_else(|| rotation.new.role.as_deref().and_then(rank));
    if let (Kind::Account, Some(wanted), Some(has)) = (record.kind, wanted, has)
        && has < wanted
    {
        return Some("its role may do less than the old key's".to_owned());
    }
    let names = |judgement: &Judgement| {
        let domains = judgement.facts.domains.as_ref()?;
        Some(domains.iter().map(|it| (it.region, it.name.clone())).collect::<BTreeSet<_>>())
    };
    if let (Some(before), Some(after)) = (old.and_then(names), names(new)) {
        let missing: Vec<String> = before.difference(&after).map(|(_, name)| name.to_string()).collect();
        if !missing.is_empty() && !before.is_disjoint(&after) {
            return Some(format!("it cannot serve {}", missing.join(", ")));
        }
    }
    None
}

/// An expiry that is near is no lesser right.
fn blocks(reason: Reason) -> bool {
    reason != Reason::ExpiresSoon
}

/// Mailgun's roles by what they include (documentation: API key roles).
fn rank(role: &str) -> Option<u8> {
    match role {
        "admin" => Some(3),
        "developer" => Some(2),
        "basic" | "analyst" | "support" => Some(1),
        _ => None,
    }
}

/// Says that the new key belongs to another account, where that is certain:
/// by the provider's account id, or, without one, when neither key ids nor
/// domains have anything in common.
fn other_account(record: &Record, old: Option<&Judgement>, new: &Judgement) -> Option<String> {
    let known = old.and_then(|it| it.facts.account_id.as_ref()).or(record.account_id.as_ref());
    if let (Some(known), Some(found)) = (known, &new.facts.account_id) {
        return (known != found).then(|| "it belongs to another account".to_owned());
    }
    let old = &old?.facts;
    let new = &new.facts;
    let ids = |it: &crate::key::verdict::Facts| it.sibling_ids.iter().cloned().collect::<BTreeSet<_>>();
    let (ours, theirs) = (ids(old), ids(new));
    if !ours.is_empty() && !theirs.is_empty() {
        return ours
            .is_disjoint(&theirs)
            .then(|| "it belongs to another account: no key id in common".to_owned());
    }
    let names = |it: &crate::key::verdict::Facts| -> Option<BTreeSet<String>> {
        Some(it.domains.as_ref()?.iter().map(|it| it.name.to_string()).collect())
    };
    let (ours, theirs) = (names(old)?, names(new)?);
    let apart = !ours.is_empty() && !theirs.is_empty() && ours.is_disjoint(&theirs);
    apart.then(|| "it belongs to another account: no domain in common".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::verdict::{DomainFact, Facts};
    use crate::key::{Domain, RecordId};

    fn seen(account: Option<&str>, ids: &[&str], domains: &[&str]) -> Judgement {
        let domain = |name: &&str| DomainFact {
            name: Domain::parse(name).unwrap(),
            region: None,
            against: Vec::new(),
        };
        Judgement::valid("").with_facts(Facts {
            account_id: account.map(str::to_owned),
            sibling_ids: ids.iter().map(|it| (*it).into()).collect(),
            domains: Some(domains.iter().map(domain).collect()),
            ..Facts::default()
        })
    }

    #[test]
    fn another_account_is_told_by_id_else_by_what_is_not_shared() {
        let record = Record::new(RecordId::from_random([1; 10]), Kind::Account);
        let other = |old: &Judgement, new: &Judgement| other_account(&record, Some(old), new).is_some();
        assert!(other(&seen(Some("a"), &[], &[]), &seen(Some("b"), &[], &[])));
        assert!(!other(&seen(Some("a"), &[], &["x.example"]), &seen(Some("a"), &[], &["y.example"])));
        assert!(other(&seen(None, &["1", "2"], &["x.example"]), &seen(None, &["3"], &["x.example"])));
        assert!(!other(&seen(None, &["1"], &["x.example"]), &seen(None, &["1", "2"], &["y.example"])));
        assert!(other(&seen(None, &[], &["x.example"]), &seen(None, &[], &["y.example"])));
        assert!(!other(&seen(None, &[], &[]), &seen(None, &[], &["y.example"])), "nothing to compare");
    }
}
