//! Before anything irreversible: is the old key still in use? The provider's
//! logs of all regions are asked.

use super::create::is_passing;
use super::work::{Flow, Snapshot, Work};
use crate::clock::{Span, rfc3339};
use crate::commands::managing::Keyed;
use crate::exit::{Exit, Situation};
use crate::key::Kind;
use crate::output::Answer;
use crate::rotation::{Rotation, Stage};

/// Goes on to the end of the old key, unless somebody has used it since the
/// last place was done: that begins another grace period, once per use.
pub fn step(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let rotation = &snapshot.rotation;
    let key = snapshot.key();
    if let Some(used) = last_use(work, snapshot)? {
        let seen_before = rotation.used_at.is_some_and(|known| known >= used);
        if rotation.compromised {
            work.context.console.warning(format!("the old key of `{key}` was used at {}", rfc3339(used)));
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
    work.save(Stage::Grace, |_, rotation| {
        let off_first = snapshot.means().first(rotation);
        rotation.stage = if off_first { Stage::Disabled } else { Stage::Retiring };
        Ok(())
    })?;
    Ok(Flow::On)
}

fn last_use(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Option<jiff::Timestamp>> {
    let rotation = &snapshot.rotation;
    let key = snapshot.key();
    let record = snapshot.record()?;
    let Some(admin) = snapshot.provider().keys() else { return Ok(None) };
    let id = if record.kind == Kind::Smtp { &rotation.old.login } else { &rotation.old.remote_id };
    let Some(id) = id else { return Ok(None) };
    let reader = match work.manager(snapshot)? {
        Some(manager) => manager,
        None => Keyed::read(work.context, &snapshot.inventory, key)?,
    };
    let since = since(rotation);
    let told = admin.last_use(&work.context.net()?, &reader.credential(), id, since);
    let trouble = match told {
        Ok(used) => return Ok(used.filter(|at| *at > since)),
        Err(trouble) => trouble,
    };
    work.context.console.warning(format!(
        "whether the old key of `{key}` is still in use could not be read from the logs: {}",
        trouble.detail
    ));
    // Logs that never tell are no reason to keep a key for ever; a broken
    // line is one to try again.
    if !is_passing(trouble.reason) || rotation.compromised {
        return Ok(None);
    }
    let question = "Retire the old key without knowing whether it is still in use?";
    if work.context.console.confirm(question) == Answer::Yes {
        return Ok(None);
    }
    Err(Situation::new(
        Exit::Unknown,
        trouble.reason.as_str(),
        "the logs could not be read; nothing was retired",
    )
    .hint(format!("try again later: `keyctl rotate {key} --resume`, or with `--yes` without the logs"))
    .into())
}

/// Uses before the last place was done are what grace is for.
fn since(rotation: &Rotation) -> jiff::Timestamp {
    rotation.delivered_at().unwrap_or(rotation.started)
}
