//! What is proven of a rotation's two keys before and after one of them goes.

use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Reason, Secret, Verdict};
use crate::rotation::Side;
use crate::workflow::evidence::{Claim, Evidence};
use crate::workflow::managing_key::Keyed;
use crate::workflow::rotation::remote_keys::list;
use crate::workflow::rotation::session::{Session, Snapshot, as_side};
use crate::workflow::smtp_login;

/// What is known of a key that is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Alive,
    /// Switched off, and still there.
    Off,
    /// Refused: it is off or gone, the provider does not tell which.
    Refused(Evidence),
    /// The provider has it no more.
    Gone(Evidence),
    Unknown(String),
}

/// The one invariant that is never traded: before a key that worked goes, the
/// one that takes its place is seen to work.
///
/// # Errors
/// Exit 1 when it does not, exit 4 when that could not be told.
pub fn current_works(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<()> {
    let record = snapshot.record()?;
    let secret = work.context.need_secret(&snapshot.inventory, snapshot.key(), record, Slot::Current)?;
    let judgement = work.judge(snapshot.key(), record, &secret)?;
    if judgement.accepted() {
        return Ok(());
    }
    let (exit, what) = match judgement.verdict() {
        Verdict::Rejected => (Exit::Failed, "the new key does not work"),
        _ => (Exit::Unknown, "whether the new key works could not be told"),
    };
    let reason = judgement.reason().map_or("unknown", Reason::as_str);
    Err(Situation::new(exit, reason, format!("{what}; the old one is kept: {}", judgement.detail))
        .hint(format!(
            "`keyctl validate {0}`; the way back is `keyctl rotate {0} --rollback`",
            snapshot.key()
        ))
        .into())
}

/// Tries the key itself. A bare refusal counts only when another key of the
/// account was accepted from here in this run: else this address may be blocked.
///
/// # Errors
/// When the network cannot be set up.
pub fn condition(
    work: &Session<'_>,
    snapshot: &Snapshot,
    side: &Side,
    secret: &Secret,
) -> anyhow::Result<Condition> {
    let key = snapshot.key();
    let record = snapshot.record()?;
    let as_it_was = as_side(key, record, side);
    let judgement = work.judge(key, &as_it_was, secret)?;
    if judgement.accepted() {
        return Ok(Condition::Alive);
    }
    let claim = claim(work, snapshot, key.as_str());
    if let Some(known) = Evidence::of_refusal(claim, &judgement) {
        return Ok(Condition::Gone(known));
    }
    match judgement.reason() {
        Some(Reason::Disabled) => return Ok(Condition::Off),
        Some(Reason::Unauthorized) if smtp_login::is_suspect(key.provider, record.kind, &judgement) => {
            return Ok(Condition::Unknown(judgement.detail));
        }
        // The login is recorded, and told by a key that was accepted from here:
        // that one is of the account, and testifies.
        Some(Reason::Unauthorized)
            if as_it_was.login.is_some()
                && smtp_login::is_the_keys(key.provider, record.kind, &judgement) =>
        {
            let why = "the login was told by an API key, not by another login of the same relay";
            return Ok(Condition::Refused(Evidence::assumed(claim, why)));
        }
        Some(Reason::Unauthorized) => {}
        _ => return Ok(Condition::Unknown(judgement.detail)),
    }
    let current =
        work.context.secret(&snapshot.inventory, key, record, Slot::Current).map_err(Situation::from)?;
    let known = match current {
        Some(current) => Evidence::of_witness(claim, &judgement, &work.judge(key, record, &current)?),
        None => None,
    };
    let Some(known) = known else {
        return Ok(Condition::Unknown("no other key of the account was accepted from here".to_owned()));
    };
    Ok(listed(work, snapshot, side, secret)?.unwrap_or(Condition::Refused(known)))
}

/// Returns the claim that the key that leaves is dead.
pub fn claim<'a>(work: &Session<'_>, snapshot: &Snapshot, by: &'a str) -> Claim<'a> {
    let of = if snapshot.rotation.stage.is_undoing() {
        "the unused new key is dead"
    } else {
        "the old key is dead"
    };
    Claim { of, by, at: work.context.now() }
}

/// What a list that was read at once cannot tell.
const LAG: &str = "it is missing from a list that was read without waiting for it to catch up";

/// Returns what the list of keys says of a refused key, where keys are
/// switched off and the list can be read.
fn listed(
    work: &Session<'_>,
    snapshot: &Snapshot,
    side: &Side,
    secret: &Secret,
) -> anyhow::Result<Option<Condition>> {
    let Some(admin) = snapshot.provider().keys().filter(|it| it.switch().is_some()) else { return Ok(None) };
    let reader = work.manager(snapshot).ok().flatten();
    let reader = reader.or_else(|| Keyed::read(work.context, &snapshot.inventory, snapshot.key()).ok());
    let Some(reader) = reader else { return Ok(None) };
    let Ok(rows) = list(work, snapshot.record()?, admin, &reader) else { return Ok(None) };
    let row = match &side.remote_id {
        Some(id) => rows.iter().find(|row| row.id == *id),
        // Where no row is certainly this key, the list does not tell.
        None => match admin.own(&rows, secret) {
            None => return Ok(None),
            own => own,
        },
    };
    Ok(Some(match row {
        None => Condition::Gone(Evidence::assumed(claim(work, snapshot, reader.key.as_str()), LAG)),
        Some(row) if row.disabled => Condition::Off,
        Some(_) => Condition::Unknown("it is refused, but listed as active".to_owned()),
    }))
}

/// Returns whether a deleted key is dead, by itself or by the list of its manager.
///
/// # Errors
/// When the network cannot be set up or the store cannot be read.
pub fn of_deleted(
    work: &Session<'_>,
    snapshot: &Snapshot,
    secret: Option<&Secret>,
    manager: Option<&Keyed>,
) -> anyhow::Result<Condition> {
    let leaving = snapshot.rotation.leaving();
    if let Some(secret) = secret {
        // What was seen of it before it was deleted counts no more.
        work.forget(secret);
        match condition(work, snapshot, leaving, secret)? {
            Condition::Unknown(_) => {}
            certain => return Ok(certain),
        }
    }
    let Some((admin, manager)) = snapshot.admin().zip(manager) else {
        return Ok(Condition::Unknown("no list of keys can be read".to_owned()));
    };
    let record = snapshot.record()?;
    let id = if record.kind == crate::key::Kind::Smtp { &leaving.login } else { &leaving.remote_id };
    let rows = match list(work, record, admin, manager) {
        Ok(rows) => rows,
        Err(error) => return Ok(Condition::Unknown(error.to_string())),
    };
    let ours =
        crate::workflow::rotation::remote_keys::of_this_rotation(&snapshot.rotation, record.kind, &rows);
    let listed = rows.iter().any(|row| Some(&row.id) == id.as_ref())
        || (snapshot.rotation.stage.is_undoing() && !ours.is_empty());
    let by = claim(work, snapshot, manager.key.as_str());
    Ok(if listed { Condition::Alive } else { Condition::Gone(Evidence::assumed(by, LAG)) })
}
