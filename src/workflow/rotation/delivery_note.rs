//! How far one place is: one line of the inventory.

use crate::rotation::{Delivery, Progress};
use crate::workflow::rotation::session::Session;

/// Records how far one consumer is: one line of the file.
pub fn note(work: &Session<'_>, delivery: &Delivery, state: Progress) -> anyhow::Result<()> {
    let stage = work.snapshot()?.rotation.stage;
    let (by, at) = (work.context.environment.user(), work.context.now());
    work.save(stage, |_, rotation| {
        let mut held = rotation.consumers.iter_mut();
        if let Some(held) = held.find(|it| it.key == delivery.key && it.name == delivery.name) {
            held.state = state;
            held.by = Some(by);
            held.at = Some(at);
        }
        Ok(())
    })
}
