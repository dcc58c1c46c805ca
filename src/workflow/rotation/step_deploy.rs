//! Hands the current secret to the places that take it by themselves, one
//! after the other; one that fails stops the rest. Then grace begins.

use crate::clock::Span;
use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Consumer, ConsumerKind, Record};
use crate::operator::{Consent, ConsentQuestion, Level};
use crate::rotation::{Canary, Delivery, Progress, Stage};
use crate::workflow::consumers::handover::Handover;
use crate::workflow::consumers::{Prover, saved_location};
use crate::workflow::rotation::delivery_note::note;
use crate::workflow::rotation::session::{Flow, Session, Snapshot};
use crate::workflow::{checklist, consumers};

/// Pushes to whoever is left.
pub fn step(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    if snapshot.rotation.stage == Stage::Switched {
        work.save(Stage::Switched, |_, rotation| {
            rotation.stage = Stage::Deploying;
            Ok(())
        })?;
        return Ok(Flow::On);
    }
    approvals(work, snapshot)?;
    let may_write = snapshot.rotation.may_write_locations();
    let left = |it: &&Delivery| match it.kind {
        ConsumerKind::Manual => false,
        ConsumerKind::Command => !it.state.is_done(),
        ConsumerKind::Highlevel => !it.state.is_done() && may_write,
    };
    let is_location = |it: &Delivery| it.kind == ConsumerKind::Highlevel;
    let mut written =
        snapshot.rotation.consumers.iter().any(|it| is_location(it) && it.state == Progress::Pushed);
    let waiting: Vec<Delivery> = snapshot.rotation.consumers.iter().filter(left).cloned().collect();
    let writes = waiting.iter().any(is_location);
    if writes && let Some(flow) = damaged_before(work, snapshot)? {
        return Ok(flow);
    }
    let mut prover = Prover::new(work.context, work.options.test_to.as_ref(), writes);
    for (n, delivery) in waiting.iter().enumerate() {
        work.context.restart_clock();
        let record = snapshot.inventory.record(&delivery.key)?;
        let Some(consumer) = record.consumers.iter().find(|it| it.name == delivery.name) else {
            // Taken out of the record by hand: nobody waits for it there.
            note(work, delivery, Progress::Acked)?;
            continue;
        };
        if consumers::is_gone(&snapshot.inventory, &delivery.key, consumer) {
            note(work, delivery, Progress::Skipped)?;
            continue;
        }
        let rest = waiting.iter().skip(n).filter(|it| is_location(it)).count();
        if is_location(delivery) && written && !may_go_on(work, rest)? {
            return Ok(Flow::Stop(Exit::Human));
        }
        push(work, snapshot, (delivery, consumer), record, &mut prover)?;
        written |= is_location(delivery);
    }
    Ok(Flow::On)
}

/// Stops where an earlier write on this machine, for whatever key, changed
/// other settings of a location, until a person names the key it was for.
fn damaged_before(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Option<Flow>> {
    if work.named {
        saved_location::acknowledge(work.context, &snapshot.rotation.keys)?;
    }
    let Some(stop) = saved_location::stop(work.context, &snapshot.inventory) else { return Ok(None) };
    work.tell(&stop);
    Ok(Some(Flow::Stop(stop.exit)))
}

/// Says what holds the other locations up: a damaged one, or the question
/// after the first one.
pub fn held_up(work: &Session<'_>, snapshot: &Snapshot) -> Flow {
    let key = snapshot.key();
    let operator = &work.context.operator;
    let damaged = snapshot.rotation.consumers.iter().filter(|it| it.state == Progress::Damaged);
    let damaged: Vec<String> = damaged.map(|it| format!("`{}`", it.name)).collect();
    if damaged.is_empty() {
        operator.note(format!("`{key}`: only the first location was written; a person has to look at it"));
    } else {
        operator.warning(format!(
            "`{key}`: writing the key changed other settings of {}; no further location is written",
            damaged.join(", ")
        ));
    }
    operator.hint(format!("look at it in HighLevel, then `keyctl rotate {key} --resume`"));
    Flow::Stop(Exit::Human)
}

fn approvals(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<()> {
    let mut commands: Vec<(&str, &[String])> = Vec::new();
    for delivery in snapshot.rotation.consumers.iter().filter(|it| !it.state.is_done()) {
        let record = snapshot.inventory.keys.get(&delivery.key);
        let consumer = record.and_then(|it| it.consumers.iter().find(|it| it.name == delivery.name));
        if let Some(consumer) = consumer.filter(|it| it.kind == ConsumerKind::Command) {
            commands.push((&consumer.name, &consumer.command));
        }
    }
    consumers::ask_approval(work.context, &commands)
}

fn push(
    work: &Session<'_>,
    snapshot: &Snapshot,
    (delivery, consumer): (&Delivery, &Consumer),
    record: &Record,
    prover: &mut Prover<'_>,
) -> anyhow::Result<()> {
    let key = &delivery.key;
    work.still_ours(snapshot.rotation.stage)?;
    let secret = work.context.need_secret(&snapshot.inventory, key, record, Slot::Current)?;
    let stage = snapshot.rotation.stage;
    let still_wanted = || work.still_ours(stage).is_ok();
    let handover = Handover {
        inventory: &snapshot.inventory,
        key,
        record,
        secret: &secret,
        consumer,
        still_wanted: &still_wanted,
    };
    match consumers::hand_over(work.context, &handover, prover) {
        Ok(handed_over) => {
            if let Err(error) = note(work, delivery, Progress::Pushed) {
                work.context.operator.warning(format!(
                    "`{}` got the key all the same, while somebody else went on with the rotation; look at that place",
                    consumer.name
                ));
                return Err(error);
            }
            work.context.operator.note(format!("`{key}` → `{}`: {}", consumer.name, handed_over.detail));
            if let Some(proof) = handed_over.proof.filter(|it| it.fresh) {
                work.context.operator.sheet(Level::Note, &checklist::sheet(&proof.checks));
            }
            Ok(())
        }
        Err(failed) => {
            note(work, delivery, if failed.damaged { Progress::Damaged } else { Progress::Failed })?;
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

/// After the first location somebody looks before the others are written.
/// `--yes` agrees only where the key is named: a job that resumes everything
/// has seen nothing. An answer that is not yes is kept.
fn may_go_on(work: &Session<'_>, rest: usize) -> anyhow::Result<bool> {
    let Snapshot { rotation, .. } = work.snapshot()?;
    if rotation.canary == Some(Canary::Agreed) {
        return Ok(true);
    }
    let operator = &work.context.operator;
    let question = ConsentQuestion::WriteLocations { rest, named: work.named };
    // A job that resumes everything has nobody to ask.
    let answer = match work.options.all {
        true => Consent::NoOne,
        false => operator.consent(&question),
    };
    work.context.restart_clock();
    let agreed = answer == Consent::Given;
    work.save(rotation.stage, |_, rotation| {
        rotation.canary = Some(if agreed { Canary::Agreed } else { Canary::Open });
        Ok(())
    })?;
    if !agreed {
        let key = &rotation.keys[0];
        operator.note(format!("`{key}`: only the first location was written, {rest} more wait"));
        operator.hint(format!(
            "look at it in HighLevel, then `keyctl rotate {key} --resume` (without a terminal: with `--yes`)"
        ));
    }
    Ok(agreed)
}

/// Begins the grace period: it counts from the last consumer on. A key that
/// leaked gets none.
pub fn begin_grace(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let now = work.context.now();
    work.save(snapshot.rotation.stage, |_, rotation| {
        let start = rotation.delivered_at().unwrap_or(now);
        rotation.grace_until = Some(Span::seconds(rotation.grace_seconds).after(start));
        rotation.stage = Stage::Grace;
        Ok(())
    })?;
    Ok(Flow::On)
}
