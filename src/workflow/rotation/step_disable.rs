//! The step that can be undone: the old key is switched off, by API or by a
//! person in the console, and seen to be refused, before anything is deleted.

use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Reason, Verdict};
use crate::operator::{Testimony, TestimonyQuestion};
use crate::provider::ConsoleTask;
use crate::rotation::{Liveness, Stage};
use crate::workflow::rotation::console_instructions::described;
use crate::workflow::rotation::key_condition::{Condition, current_works};
use crate::workflow::rotation::remote_keys::is_dead;
use crate::workflow::rotation::session::{Flow, Session, Snapshot};
use crate::workflow::rotation::{console_instructions, key_condition};

/// Switches the old key off.
///
/// # Errors
/// When the new key is not seen to work, or the provider refused.
pub fn step(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    current_works(work, snapshot)?;
    if snapshot.means().switches_off { by_api(work, snapshot) } else { by_person(work, snapshot) }
}

fn by_api(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
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

fn is_off(work: &Session<'_>) -> anyhow::Result<Flow> {
    work.save(Stage::Disabled, |_, rotation| {
        rotation.old.state = Some(Liveness::Disabled);
        Ok(())
    })?;
    Ok(Flow::On)
}

fn by_person(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
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
    let operator = &work.context.operator;
    let mut shown = false;
    loop {
        match key_condition::condition(work, snapshot, old, &secret)? {
            Condition::Gone(known) => {
                is_dead(work, Stage::Disabled, &known)?;
                return Ok(Flow::On);
            }
            Condition::Off | Condition::Refused(_) => {
                operator.note(format!("`{key}`: the old key is refused, the new one works"));
                return is_off(work);
            }
            Condition::Alive | Condition::Unknown(_) => {}
        }
        if !shown {
            let title =
                format!("Switch the old key of `{key}`{} off, and do not delete it yet:", described(old));
            let guide = console_instructions::guide(snapshot, snapshot.record()?, ConsoleTask::Disable);
            console_instructions::show(work.context, &title, guide.as_ref());
            shown = true;
        }
        // A person's word is not enough where it can be tried.
        if work.testify(&TestimonyQuestion::StepDone) != Testimony::Given {
            operator.hint(format!(
                "then `keyctl rotate {key} --resume`: it proves that the old key is off and the new one works. Deleting it \
                 comes after that; until then `--rollback` is the way back"
            ));
            return Ok(Flow::Stop(Exit::Human));
        }
        work.forget(&secret);
    }
}
