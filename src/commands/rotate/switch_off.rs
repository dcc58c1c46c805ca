//! The step that can be undone: the old key is switched off, by API or by a
//! person in the console, and seen to be refused, before anything is deleted.

use super::by_hand::{self, described};
use super::proof::{self, Condition, current_works};
use super::retire::after;
use super::work::{Flow, Snapshot, Work};
use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Reason, Verdict};
use crate::output::Answer;
use crate::provider::ConsoleTask;
use crate::rotation::{Liveness, Stage};

/// Switches the old key off.
///
/// # Errors
/// When the new key is not seen to work, or the provider refused.
pub fn step(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    current_works(work, snapshot)?;
    if snapshot.means().switches_off { by_api(work, snapshot) } else { by_person(work, snapshot) }
}

fn by_api(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let switch = snapshot.provider().keys().and_then(|it| it.switch());
    let id = snapshot.rotation.old.remote_id.as_deref();
    let (Some(switch), Some(id), Some(manager)) = (switch, id, work.manager(snapshot)?) else {
        return Err(Situation::failed("not-disabled", "the old key cannot be switched off").into());
    };
    work.still_ours(snapshot.rotation.stage)?;
    if let Err(trouble) = switch.set(work.context.net()?.by(&manager.credential()), id, false)
        && trouble.reason != Reason::KeyNotFound
    {
        let exit = if trouble.reason.verdict() == Verdict::Unknown { Exit::Unknown } else { Exit::Failed };
        let message = format!("the old key was not switched off: {}", trouble.detail);
        return Err(Situation::new(exit, trouble.reason.as_str(), message).into());
    }
    is_off(work)
}

fn is_off(work: &Work<'_>) -> anyhow::Result<Flow> {
    work.save(Stage::Disabled, |_, rotation| {
        rotation.old.state = Some(Liveness::Disabled);
        Ok(())
    })?;
    Ok(Flow::On)
}

fn by_person(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let Some(secret) = work.secret(snapshot, Slot::Previous)? else {
        // What cannot be tried cannot be seen to be off.
        work.save(Stage::Disabled, |_, rotation| {
            rotation.old.state = Some(Liveness::Lost);
            Ok(())
        })?;
        return Ok(Flow::On);
    };
    let key = snapshot.key();
    let old = &snapshot.rotation.old;
    let console = &work.context.console;
    let mut shown = false;
    loop {
        match proof::condition(work, snapshot, old, &secret)? {
            Condition::Gone => {
                after(work, Stage::Disabled, Liveness::Dead)?;
                return Ok(Flow::On);
            }
            Condition::Off | Condition::Refused => {
                console.note(format!("`{key}`: the old key is refused, the new one works"));
                return is_off(work);
            }
            Condition::Alive | Condition::Unknown(_) => {}
        }
        if !shown {
            let title =
                format!("Switch the old key of `{key}`{} off, and do not delete it yet:", described(old));
            let guide = by_hand::guide(snapshot, snapshot.record()?, ConsoleTask::Disable);
            by_hand::show(work.context, &title, guide.as_ref());
            shown = true;
        }
        // A person's word is not enough where it can be tried.
        if work.testify("Done?") != Answer::Yes {
            console.hint(format!(
                "then `keyctl rotate {key} --resume`: it proves that the old key is off and the new one works. Deleting it \
                 comes after that; until then `--rollback` is the way back"
            ));
            return Ok(Flow::Stop(Exit::Human));
        }
        work.forget(&secret);
    }
}
