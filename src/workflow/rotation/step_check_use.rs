//! Before anything irreversible: is the old key still in use? The provider's
//! logs of all regions are asked.

use crate::clock::{Span, rfc3339};
use crate::exit::{Exit, Situation};
use crate::key::{Kind, Reason};
use crate::operator::{Testimony, TestimonyQuestion};
use crate::provider::Trouble;
use crate::rotation::{Rotation, Stage};
use crate::workflow::managing_key::Keyed;
use crate::workflow::rotation::key_condition::current_works;
use crate::workflow::rotation::remote_keys::is_passing;
use crate::workflow::rotation::session::{Flow, Session, Snapshot};

/// Goes on to the end of the old key, unless somebody has used it since the
/// last place was done: that begins another grace period, once per use.
pub fn step(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let rotation = &snapshot.rotation;
    let key = snapshot.key();
    if let Some(used) = last_use(work, snapshot)? {
        let seen_before = rotation.used_at.is_some_and(|known| known >= used);
        if rotation.compromised {
            work.context.operator.warning(format!("the old key of `{key}` was used at {}", rfc3339(used)));
        } else if !seen_before {
            let now = work.context.now();
            work.save(Stage::Grace, |_, rotation| {
                rotation.used_at = Some(used);
                rotation.grace_until = Some(Span::seconds(rotation.grace_seconds.max(1)).after(now));
                Ok(())
            })?;
            return Ok(Flow::On);
        }
    }
    // What cannot be undone begins with the next stage.
    current_works(work, snapshot)?;
    work.save(Stage::Grace, |_, rotation| {
        let off_first = snapshot.means().first(rotation);
        rotation.stage = if off_first { Stage::Disabled } else { Stage::Retiring };
        Ok(())
    })?;
    Ok(Flow::On)
}

/// Returns the last use that the provider's logs show since the last place was
/// done; `None`: they show none, or this provider's logs name no such keys.
///
/// # Errors
/// Exit 4 when the logs cannot be read now, exit 6 when they cannot tell;
/// unless a person says that nothing uses the old key.
fn last_use(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Option<jiff::Timestamp>> {
    let rotation = &snapshot.rotation;
    let record = snapshot.record()?;
    let Some(admin) = snapshot.provider().keys() else { return Ok(None) };
    let told = match if record.kind == Kind::Smtp { &rotation.old.login } else { &rotation.old.remote_id } {
        Some(id) => {
            let reader = match work.manager(snapshot)? {
                Some(manager) => manager,
                None => Keyed::read(work.context, &snapshot.inventory, snapshot.key())?,
            };
            let since = since(rotation);
            let told = admin.last_use(work.context.net()?.by(&reader.credential()), id, since);
            told.map(|used| used.filter(|at| *at > since))
        }
        None => Err(Trouble::new(
            Reason::PermissionNotCheckable,
            "the id of the old key is not known, by which the logs name it",
        )),
    };
    let trouble = match told {
        Ok(used) => return Ok(used),
        Err(trouble) => trouble,
    };
    work.context.operator.warning(format!(
        "whether the old key of `{}` is still in use could not be read from the logs: {}",
        snapshot.key(),
        trouble.detail
    ));
    // Where no log names such keys, the places and the grace period are all there is.
    let gate = !rotation.compromised && admin.logs_name(record.kind);
    if gate && !is_unused(work, snapshot) {
        return Err(unread(snapshot, &trouble));
    }
    Ok(None)
}

/// Returns whether a person says that nothing uses the old key any more.
fn is_unused(work: &Session<'_>, snapshot: &Snapshot) -> bool {
    if work.said_unused() {
        return true;
    }
    let question = TestimonyQuestion::Unused { key: snapshot.key().to_string() };
    work.testify(&question) == Testimony::Given
}

/// A broken line is one to try again; logs that never tell need a person.
fn unread(snapshot: &Snapshot, trouble: &Trouble) -> anyhow::Error {
    let key = snapshot.key();
    let unused = format!("if you know that nothing uses the old key: `keyctl rotate {key} --unused`");
    if is_passing(trouble.reason) {
        let message = "the logs could not be read; nothing was retired";
        let hint = format!("try again later: `keyctl rotate {key} --resume`; {unused}");
        return Situation::new(Exit::Unknown, trouble.reason.as_str(), message).hint(hint).into();
    }
    Situation::human("the logs do not tell whether the old key is still in use; nothing was retired")
        .hint(unused)
        .into()
}

/// Uses before the last place was done are what grace is for.
fn since(rotation: &Rotation) -> jiff::Timestamp {
    rotation.delivered_at().unwrap_or(rotation.started)
}
