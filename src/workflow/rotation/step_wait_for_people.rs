//! The places where a person pastes the key: told where, one by one with
//! `--walk`, else all at once.

use crate::context::Slot;
use crate::exit::Exit;
use crate::key::Consumer;
use crate::operator::{Consent, ConsentQuestion, Emphasis, Level, Presence, Sheet};
use crate::rotation::{Delivery, Progress, Stage};
use crate::workflow::console_guide;
use crate::workflow::consumers::paste_page;
use crate::workflow::rotation::delivery_note::note;
use crate::workflow::rotation::session::{Flow, Session, Snapshot};

/// Waits for people: goes through the places with the one at the terminal, or
/// stops.
pub fn step(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let waiting: Vec<&Delivery> =
        snapshot.rotation.consumers.iter().filter(|it| !it.state.is_done()).collect();
    if work.options.walk && work.context.operator.presence() == Presence::Person {
        return through(work, snapshot, &waiting);
    }
    let key = snapshot.key();
    let back = snapshot.rotation.stage == Stage::RollingBack;
    let what = if back { "the old key goes back to" } else { "a person pastes the new key at" };
    let mut sheet = Sheet::titled(format!("{key}: {what}"));
    for delivery in &waiting {
        let url = consumer(snapshot, delivery)
            .and_then(|it| paste_page::url(&snapshot.inventory, &delivery.key, it));
        let place = url.map(|it| format!("  {it}")).unwrap_or_default();
        sheet.line(Emphasis::Plain, 0, format!("  {}{place}", delivery.name));
    }
    work.context.operator.sheet(Level::Task, &sheet);
    work.context.operator.hint(format!(
        "copy it with `keyctl get {key} --reveal`; then say so: `keyctl rotate {key} --ack NAME`, or `--walk`"
    ));
    Ok(Flow::Stop(Exit::Human))
}

fn consumer<'a>(snapshot: &'a Snapshot, delivery: &Delivery) -> Option<&'a Consumer> {
    let record = snapshot.inventory.keys.get(&delivery.key)?;
    record.consumers.iter().find(|it| it.name == delivery.name)
}

/// Says where the place is, step by step where its console is known.
fn tell_way(work: &Session<'_>, snapshot: &Snapshot, delivery: &Delivery, title: &str) {
    let consumer = consumer(snapshot, delivery);
    let recorded = consumer.and_then(|it| it.url.as_deref());
    let guide = consumer.and_then(|it| paste_page::guide(&snapshot.inventory, &delivery.key, it));
    if let Some(guide) = guide.filter(|_| recorded.is_none()) {
        return console_guide::show(work.context, title, &guide);
    }
    let mut sheet = Sheet::titled(title);
    if let Some(url) = recorded {
        sheet.line(Emphasis::Plain, 0, format!("  {url}"));
    }
    work.context.operator.sheet(Level::Task, &sheet);
}

fn through(work: &Session<'_>, snapshot: &Snapshot, waiting: &[&Delivery]) -> anyhow::Result<Flow> {
    let operator = &work.context.operator;
    for (n, delivery) in waiting.iter().enumerate() {
        tell_way(work, snapshot, delivery, &format!("{} of {}: {}", n + 1, waiting.len(), delivery.name));
        loop {
            let prompt = "  Enter: it is pasted there; `show`: show the key here; `skip`: later; `stop`: ";
            let answer = operator.line(prompt).map(|it| it.trim().to_lowercase());
            work.context.restart_clock();
            match answer.as_deref() {
                Some("") => break note(work, delivery, Progress::Acked)?,
                Some("show") => show(work, snapshot, delivery)?,
                Some("skip") => break,
                Some("stop") | None => return Ok(Flow::Stop(Exit::Human)),
                Some(_) => {}
            }
        }
    }
    let rotation = work.snapshot()?.rotation;
    Ok(if rotation.delivered() { Flow::On } else { Flow::Stop(Exit::Human) })
}

/// Shows the key on the terminal, and only there: `ask` has made sure of it.
fn show(work: &Session<'_>, snapshot: &Snapshot, delivery: &Delivery) -> anyhow::Result<()> {
    let record = snapshot.inventory.record(&delivery.key)?;
    if work.context.operator.consent(&ConsentQuestion::ShowSecret) == Consent::Given {
        let secret = work.context.need_secret(&snapshot.inventory, &delivery.key, record, Slot::Current)?;
        work.context.operator.note(format!("  {}", secret.expose()));
    }
    Ok(())
}
