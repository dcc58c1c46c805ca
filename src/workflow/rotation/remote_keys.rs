//! The keys at the provider that belong to a rotation: listed, told apart,
//! deleted.

use crate::clock::Span;
use crate::exit::{Exit, Situation};
use crate::key::{Kind, Reason, Record};
use crate::provider::{KeyAdmin, RemoteKey};
use crate::rotation::{Liveness, Rotation, Stage};
use crate::workflow::evidence::Evidence;
use crate::workflow::managing_key::Keyed;
use crate::workflow::rotation::session::{Session, Snapshot};

/// Reads the list the record's key belongs to.
///
/// # Errors
/// Exit 4: a needed list could not be read.
pub fn list(
    work: &Session<'_>,
    record: &Record,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
) -> anyhow::Result<Vec<RemoteKey>> {
    let family = crate::workflow::rotation::record_view::family(record, None);
    admin.list(work.context.net()?.by(&manager.credential()), &family).map_err(|trouble| {
        let message = format!("the list of keys could not be read: {}", trouble.detail);
        let hint =
            trouble.hint.unwrap_or_else(|| "nothing was changed; try again with `--resume`".to_owned());
        Situation::new(Exit::Unknown, trouble.reason.as_str(), message).hint(hint).into()
    })
}

/// Returns the keys that carry this rotation's id, or its new login.
pub fn of_this_rotation<'l>(rotation: &Rotation, kind: Kind, rows: &'l [RemoteKey]) -> Vec<&'l RemoteKey> {
    let carries = |row: &RemoteKey| match kind {
        Kind::Smtp => {
            rotation.new.login.is_some()
                && rotation.new.login != rotation.old.login
                && Some(&row.id) == rotation.new.login.as_ref()
        }
        _ => row.name.as_ref().is_some_and(|name| {
            name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == rotation.id.as_str())
        }),
    };
    rows.iter().filter(|row| carries(row)).collect()
}

/// Deletes what an earlier attempt made and nobody knows the secret of.
pub fn clear_orphans(
    work: &Session<'_>,
    snapshot: &Snapshot,
    record: &Record,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
) -> anyhow::Result<()> {
    let rows = list(work, record, admin, manager)?;
    for row in of_this_rotation(&snapshot.rotation, record.kind, &rows) {
        work.context.operator.note(format!(
            "`{}`: a key made by an interrupted attempt is deleted again, its secret is not known ({})",
            snapshot.key(),
            row.id
        ));
        delete(work, record, admin, manager, &row.id)?;
    }
    Ok(())
}

/// Deletes one key; what is gone already is gone.
///
/// # Errors
/// Exit 4 or 1 when it may still be there.
pub fn delete(
    work: &Session<'_>,
    record: &Record,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
    id: &str,
) -> anyhow::Result<()> {
    let family = crate::workflow::rotation::record_view::family(record, None);
    let result = admin.delete(work.context.net()?.by(&manager.credential()), &family, id);
    let Err(trouble) = result else { return Ok(()) };
    // Deleting twice is harmless: what the list no longer has is gone.
    if trouble.outcome_unknown && !list(work, record, admin, manager)?.iter().any(|row| row.id == id) {
        return Ok(());
    }
    let unknown = trouble.outcome_unknown || trouble.reason.verdict() == crate::key::Verdict::Unknown;
    let exit = if unknown { Exit::Unknown } else { Exit::Failed };
    let message = format!("the key {id} was not deleted: {}", trouble.detail);
    let hint = trouble.hint.unwrap_or_else(|| "try again with `--resume`".to_owned());
    Err(Situation::new(exit, trouble.reason.as_str(), message).hint(hint).into())
}

/// Returns the reasons that are a matter of the network or the hour.
pub fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Unreachable
            | Reason::Tls
            | Reason::RateLimited
            | Reason::ProviderError
            | Reason::IpBlocked
            | Reason::UnexpectedResponse
    )
}

/// How long a deleted key may go on working before it is a failure: the
/// longest delay reported of any provider (Mailgun's blog, GitGuardian: 48 h).
pub const DEADLINE: Span = Span::seconds(48 * 60 * 60);

/// Saves that the deletion of the key was asked for; whether it is dead is
/// proven next.
pub fn deletion_asked(work: &Session<'_>, stage: Stage) -> anyhow::Result<()> {
    leave(work, stage, Liveness::Retiring, None)
}

/// Saves that the key is dead, and on what that stands.
pub fn is_dead(work: &Session<'_>, stage: Stage, known: &Evidence) -> anyhow::Result<()> {
    leave(work, stage, Liveness::Dead, Some(known))
}

fn leave(work: &Session<'_>, stage: Stage, state: Liveness, known: Option<&Evidence>) -> anyhow::Result<()> {
    let deadline = DEADLINE.after(work.context.now());
    work.save(stage, |_, rotation| {
        rotation.evidence.extend(known.map(|it| it.basis().clone()));
        rotation.leaving_mut().state = Some(state);
        rotation.deadline.get_or_insert(deadline);
        rotation.stage = match stage {
            Stage::Aborting => Stage::Aborted,
            Stage::RollingBack => Stage::RolledBack,
            _ => Stage::RetiredVerifying,
        };
        Ok(())
    })
}
