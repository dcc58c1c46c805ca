//! `--ack`, `--ack-all`, `--unack`: one line of the inventory each, so that
//! what two people say in two copies of the file merges.

use jiff::Timestamp;

use crate::context::Context;
use crate::exit::Situation;
use crate::inventory::select::Selected;
use crate::rotation::{Canary, Delivery, Progress, Rotation, RotationId, Stage};
use crate::workflow::rotation::engine::{self, Ended};
use crate::workflow::rotation::options::Options;
use crate::workflow::rotation::session::Session;
use crate::workflow::rotation::start::chosen;

/// What is said of the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Acknowledge,
    TakeBack,
}

/// What came of it.
pub enum Acknowledged {
    /// It was the last one that was waited for: the rotation went on.
    Resumed(Box<Ended>),
    /// Others are waited for.
    Noted(RotationId),
}

/// Records what a person says of the named places, or of all.
///
/// # Errors
/// Exit 8 without such a rotation or place; exit 1 at a stage where the places
/// are not to have the key yet, or have nothing to say any more.
pub fn run(
    context: &Context,
    what: &[Selected],
    change: Change,
    names: &[String],
    options: &Options,
) -> anyhow::Result<Acknowledged> {
    let id = match what {
        [] if !names.is_empty() => waiting_for(context, names)?,
        _ => chosen(context, what)?,
    };
    let (by, at) = (context.environment.user(), context.now());
    let delivered = context.update(|inventory| {
        let Some(rotation) = inventory.rotations.get_mut(&id) else {
            return Err(Situation::missing("no-such-rotation", format!("there is no rotation {id}")).into());
        };
        let open = matches!(
            rotation.stage,
            Stage::Switched | Stage::Deploying | Stage::Grace | Stage::Disabled | Stage::RollingBack
        );
        if !open {
            return Err(Situation::failed(
                "not-now",
                format!("`{}` is at stage {}: nothing is acknowledged now", rotation.keys[0], rotation.stage),
            )
            .hint(format!("`keyctl rotate {} --status`", rotation.keys[0]))
            .into());
        }
        for name in names {
            known(rotation, name)?;
        }
        note(rotation, change, names, (&by, at));
        Ok(rotation.delivered() && change == Change::Acknowledge)
    })?;
    // The last one was waited for: go on, at least to the grace period; unless
    // somebody is at it, who will see it.
    if let Some(work) = delivered.then(|| Session::take(context, options, &id).ok()).flatten() {
        return Ok(Acknowledged::Resumed(Box::new(engine::go(&work)?)));
    }
    Ok(Acknowledged::Noted(id))
}

/// Notes on each of the named places, or on all, what was said of it.
fn note(rotation: &mut Rotation, change: Change, names: &[String], (by, at): (&str, Timestamp)) {
    let looked_at = |it: &Delivery| it.state == Progress::Damaged && names.contains(&it.name);
    if change == Change::Acknowledge && rotation.consumers.iter().any(looked_at) {
        // One place was looked at; whether the others follow is another question.
        rotation.canary = Some(Canary::Open);
    }
    for delivery in rotation.consumers.iter_mut().filter(|it| names.is_empty() || names.contains(&it.name)) {
        let done = delivery.state.is_done();
        match change {
            Change::Acknowledge if !done => {
                delivery.state = Progress::Acked;
                delivery.by = Some(by.to_owned());
                delivery.at = Some(at);
            }
            Change::Acknowledge => {}
            Change::TakeBack => {
                delivery.state = Progress::Todo;
                delivery.by = None;
                delivery.at = None;
            }
        }
    }
    if change == Change::TakeBack && rotation.stage == Stage::Grace {
        rotation.stage = Stage::Deploying;
        rotation.grace_until = None;
    }
}

fn known(rotation: &Rotation, name: &str) -> anyhow::Result<()> {
    if rotation.consumers.iter().any(|it| it.name == name) {
        return Ok(());
    }
    let names: Vec<String> = rotation.consumers.iter().map(|it| format!("`{}`", it.name)).collect();
    let shown = crate::key::text::printable(name, 80);
    Err(Situation::missing("no-such-consumer", format!("`{}` has no consumer `{shown}`", rotation.keys[0]))
        .hint(if names.is_empty() {
            "none is recorded".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        })
        .into())
}

/// Returns the only rotation that knows all these places.
fn waiting_for(context: &Context, names: &[String]) -> anyhow::Result<RotationId> {
    let inventory = context.inventory()?;
    let knows = |it: &&Rotation| names.iter().all(|name| it.consumers.iter().any(|held| held.name == *name));
    let found: Vec<&Rotation> = inventory.rotations.values().filter(knows).collect();
    match found.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => Err(Situation::missing("no-such-consumer", "no rotation under way waits for that place")
            .hint("`keyctl rotate --status` shows what is waited for")
            .into()),
        several => {
            let keys: Vec<String> = several.iter().map(|it| format!("`{}`", it.keys[0])).collect();
            Err(Situation::usage(format!("several rotations wait for that place: {}", keys.join(", ")))
                .hint("name the key: `keyctl rotate KEYREF --ack NAME`")
                .into())
        }
    }
}
