//! Hands the current secret to the places that take it by themselves, one
//! after the other; one that fails stops the rest. Then grace begins.

use super::work::{Flow, Snapshot, Work};
use crate::clock::Span;
use crate::commands::check;
use crate::commands::delivering::{self, Handover, Prover};
use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Consumer, ConsumerKind, Record};
use crate::output::Answer;
use crate::rotation::{Delivery, Progress, Stage};

/// Pushes to whoever is left.
pub fn step(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    if snapshot.rotation.stage == Stage::Switched {
        work.save(Stage::Switched, |_, rotation| {
            rotation.stage = Stage::Deploying;
            Ok(())
        })?;
        return Ok(Flow::On);
    }
    approvals(work, snapshot)?;
    let left = |it: &&Delivery| it.kind != ConsumerKind::Manual && !it.state.is_done();
    let mut written = snapshot
        .rotation
        .consumers
        .iter()
        .any(|it| it.kind == ConsumerKind::Highlevel && it.state == Progress::Pushed);
    let waiting: Vec<Delivery> = snapshot.rotation.consumers.iter().filter(left).cloned().collect();
    let writes = waiting.iter().any(|it| it.kind == ConsumerKind::Highlevel);
    let mut prover = Prover::new(work.context, work.options.test_to.as_ref(), writes);
    for (n, delivery) in waiting.iter().enumerate() {
        work.context.restart_clock();
        let record = snapshot.inventory.record(&delivery.key)?;
        let Some(consumer) = record.consumers.iter().find(|it| it.name == delivery.name) else {
            // Taken out of the record by hand: nobody waits for it there.
            note(work, delivery, Progress::Acked)?;
            continue;
        };
        let first_location = delivery.kind == ConsumerKind::Highlevel && !written;
        push(work, snapshot, (delivery, consumer), record, &mut prover)?;
        written |= delivery.kind == ConsumerKind::Highlevel;
        let rest = waiting.iter().skip(n + 1).filter(|it| it.kind == ConsumerKind::Highlevel).count();
        if first_location && rest > 0 {
            go_on(work, consumer, rest)?;
        }
    }
    Ok(Flow::On)
}

fn approvals(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<()> {
    let mut commands: Vec<(&str, &[String])> = Vec::new();
    for delivery in snapshot.rotation.consumers.iter().filter(|it| !it.state.is_done()) {
        let record = snapshot.inventory.keys.get(&delivery.key);
        let consumer = record.and_then(|it| it.consumers.iter().find(|it| it.name == delivery.name));
        if let Some(consumer) = consumer.filter(|it| it.kind == ConsumerKind::Command) {
            commands.push((&consumer.name, &consumer.command));
        }
    }
    delivering::ask_approval(work.context, &commands)
}

fn push(
    work: &Work<'_>,
    snapshot: &Snapshot,
    (delivery, consumer): (&Delivery, &Consumer),
    record: &Record,
    prover: &mut Prover<'_>,
) -> anyhow::Result<()> {
    let key = &delivery.key;
    let secret = work.context.need_secret(&snapshot.inventory, key, record, Slot::Current)?;
    let handover = Handover { inventory: &snapshot.inventory, key, record, secret: &secret, consumer };
    match delivering::hand_over(work.context, &handover, prover) {
        Ok(handed_over) => {
            note(work, delivery, Progress::Pushed)?;
            work.context.console.note(format!("`{key}` → `{}`: {}", consumer.name, handed_over.detail));
            let quiet = work.context.console.is_quiet();
            if let Some(proof) = handed_over.proof.filter(|it| it.fresh && !quiet) {
                work.context.console.page(|page| check::human(&proof.checks, page));
            }
            Ok(())
        }
        Err(failed) => {
            note(work, delivery, Progress::Failed)?;
            let situation = Situation::failed(
                "consumer-failed",
                format!("`{}` did not get the key: {}", consumer.name, failed.why),
            );
            let hint = failed.hint.unwrap_or_else(|| {
                format!("nothing is retired; mend it, then `keyctl rotate {key} --resume`")
            });
            Err(situation.hint(hint).into())
        }
    }
}

/// Records how far one consumer is: one line of the file.
pub fn note(work: &Work<'_>, delivery: &Delivery, state: Progress) -> anyhow::Result<()> {
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

/// After the first location somebody looks before the others are written.
fn go_on(work: &Work<'_>, first: &Consumer, rest: usize) -> anyhow::Result<()> {
    let question = format!("`{}` is written. Go on with {rest} more locations?", first.name);
    let answer = work.context.console.confirm(&question);
    work.context.restart_clock();
    if answer == Answer::Yes {
        return Ok(());
    }
    Err(Situation::new(Exit::Refused, "first-location-only", "only the first location was written")
        .hint("look at it in HighLevel, then go on with `--resume --yes`")
        .into())
}

/// Begins the grace period: it counts from the last consumer on. A key that
/// leaked gets none.
pub fn begin_grace(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let now = work.context.now();
    work.save(snapshot.rotation.stage, |_, rotation| {
        let start = rotation.delivered_at().unwrap_or(now);
        rotation.grace_until = Some(Span::seconds(rotation.grace_seconds).after(start));
        rotation.stage = Stage::Grace;
        Ok(())
    })?;
    Ok(Flow::On)
}
