//! The engine: takes the next step of a rotation, does it, saves, again. Every
//! step can be entered a second time; what stops one is kept with the rotation.

use crate::exit::{self, Exit, Situation};
use crate::inventory::Inventory;
use crate::rotation::{Pause, Rotation, Step, next};
use crate::workflow::rotation::session::{Flow, Session, Snapshot};
use crate::workflow::rotation::{
    console_instructions, step_check_use, step_create, step_create_pasted, step_deploy, step_disable,
    step_retire, step_switch, step_test, step_wait_for_people,
};

/// How work on a rotation ended this time.
#[derive(Debug)]
pub struct Ended {
    pub exit: Exit,
    /// As it was last seen; `Done` when nothing is left of it.
    pub rotation: Rotation,
    pub inventory: Inventory,
}

/// Goes on until something has to be waited for, or went wrong.
///
/// # Errors
/// Only when the inventory itself cannot be read any more.
pub fn go(work: &Session<'_>) -> anyhow::Result<Ended> {
    let result = steps(work);
    if work.options.stdin && !work.given.get() {
        work.context.operator.warning("the key on stdin was not taken: none was wanted");
    }
    let says = work.options.done || work.options.not_made || work.options.unused;
    if says && !work.heard.get() && result.is_ok() {
        work.context.operator.warning(
            "nobody waited for what you said (`--done`, `--not-made`, `--unused`); it was not recorded",
        );
    }
    if let Some(rotation) = work.last.borrow().clone() {
        let inventory = work.context.inventory_file.load()?;
        let exit = result.unwrap_or(Exit::Failed);
        return Ok(Ended { exit, rotation, inventory });
    }
    let (exit, trouble) = match result {
        Ok(exit) => (exit, None),
        Err(error) => {
            let (exit, code, message, hint) = exit::situation(&error);
            let situation = Situation { exit, code, message: message.clone(), hint };
            work.tell(&situation);
            (exit, Some(message))
        }
    };
    work.release(trouble.as_deref());
    let Snapshot { inventory, rotation } = work.snapshot()?;
    Ok(Ended { exit, rotation, inventory })
}

fn steps(work: &Session<'_>) -> anyhow::Result<Exit> {
    loop {
        let snapshot = work.snapshot()?;
        let step = next(&snapshot.rotation, work.context.now(), snapshot.means());
        work.context.operator.detail(format!("{}: {} → {step:?}", snapshot.key(), snapshot.rotation.stage));
        let flow = match step {
            Step::Create => step_create::step(work, &snapshot)?,
            Step::Test if work.options.stdin && !work.given.get() && snapshot.by_person() => {
                step_create_pasted::another(work, &snapshot)?
            }
            Step::Test => step_test::step(work, &snapshot)?,
            Step::Switch => step_switch::switch(work, &snapshot)?,
            Step::Deploy => step_deploy::step(work, &snapshot)?,
            Step::BeginGrace => step_deploy::begin_grace(work, &snapshot)?,
            Step::CheckUse => step_check_use::step(work, &snapshot)?,
            Step::Disable => step_disable::step(work, &snapshot)?,
            Step::Retire => step_retire::retire(work, &snapshot)?,
            Step::Prove => step_retire::prove(work, &snapshot)?,
            Step::Finish => step_retire::finish(work, &snapshot, &step_retire::recorded(work, &snapshot))?,
            Step::Wait(Pause::People) => step_wait_for_people::step(work, &snapshot)?,
            Step::Wait(Pause::Campaign) => step_deploy::held_up(work, &snapshot),
            Step::Wait(Pause::Time(until)) => console_instructions::wait(work, &snapshot, until),
        };
        if let Flow::Stop(exit) = flow {
            return Ok(exit);
        }
        if work.last.borrow().is_some() {
            return Ok(Exit::Done);
        }
    }
}
