//! `keyctl consumer push`: hands the current key to places that take it by
//! themselves, outside of a rotation or within one.

use crate::cli::completions;
use crate::commands::CommandContext;
use crate::commands::consumer::remove::no_such_consumer;
use crate::commands::consumer::report::{PushReport, Pushed};
use crate::commands::send_test::Address;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Consumer, ConsumerKind, KeyRef, KeyRefArg, Record};
use crate::operator::{Consent, ConsentQuestion};
use crate::rotation::Progress;
use crate::workflow::consumers;
use crate::workflow::consumers::handover::{HandedOver, Handover};
use crate::workflow::consumers::{Prover, saved_location};
use crate::workflow::managing_key::Keyed;

/// Arguments of `consumer push`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The key to hand over
    #[arg(value_name = "KEYREF", add = completions::keys())]
    key: KeyRefArg,
    /// The places that get it [default: every place that takes it by itself]
    #[arg(value_name = "NAME", conflicts_with = "all")]
    names: Vec<String>,
    /// Every place that takes it by itself
    #[arg(long)]
    all: bool,
    /// Who gets a test mail from each domain that is written to a HighLevel location
    #[arg(long, value_name = "ADDR")]
    test_to: Option<Address>,
}

/// Pushes to each place in turn; the first that fails stops the rest.
///
/// # Errors
/// Exit 1 when one fails, 2 for a place where a person pastes it, 8 when there
/// is no such place, 9 for a command that is not approved, or a location that is
/// to be written without a word of consent.
pub fn run(args: &Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let key = context.complete(&args.key)?;
    let inventory = context.inventory()?;
    let record = inventory.record(&key)?;
    let chosen = chosen(args, &key, record)?;
    for consumer in &chosen {
        consumers::ready(inventory, &key, consumer).map_err(|it| Situation::usage(it.why))?;
    }
    let commands: Vec<(&str, &[String])> = chosen
        .iter()
        .filter(|it| it.kind == ConsumerKind::Command)
        .map(|it| (it.name.as_str(), it.command.as_slice()))
        .collect();
    consumers::ask_approval(context, &commands)?;
    preview(context, inventory, &key, &chosen)?;
    if chosen.iter().any(|it| it.kind == ConsumerKind::Highlevel) {
        saved_location::acknowledge(context, std::slice::from_ref(&key))?;
        if let Some(stop) = saved_location::stop(context, inventory) {
            return Err(stop.into());
        }
    }
    let keyed = Keyed::read(context, inventory, &key)?;
    let mut consumers = Vec::new();
    let mut exit = Exit::Done;
    let writes = chosen.iter().any(|it| it.kind == ConsumerKind::Highlevel);
    let mut prover = Prover::new(context, args.test_to.as_ref(), writes);
    for consumer in chosen {
        context.restart_clock();
        let handover = Handover {
            inventory,
            key: &key,
            record: &keyed.record,
            secret: &keyed.secret,
            consumer,
            still_wanted: &|| true,
        };
        let (state, HandedOver { detail, proof }) =
            match consumers::hand_over(context, &handover, &mut prover) {
                Ok(handed_over) => (Progress::Pushed, handed_over),
                Err(failed) => {
                    context.console.warning(format!("`{}`: {}", consumer.name, failed.why));
                    failed.hint.iter().for_each(|it| context.console.hint(it));
                    exit = Exit::Failed;
                    let state = if failed.damaged { Progress::Damaged } else { Progress::Failed };
                    (state, HandedOver { detail: failed.why, proof: None })
                }
            };
        note_in_rotation(context, &keyed, &consumer.name, state)?;
        let (name, kind) = (consumer.name.clone(), consumer.kind);
        consumers.push(Pushed { key: key.clone(), name, kind, state: state.as_str(), detail, proof });
        if exit != Exit::Done {
            break;
        }
    }
    context.console.report(&PushReport { consumers })?;
    Ok(exit)
}

/// Returns the places that were named, or all that take the key by themselves.
fn chosen<'a>(args: &Args, key: &KeyRef, record: &'a Record) -> Result<Vec<&'a Consumer>, Situation> {
    let mut chosen: Vec<&Consumer> = Vec::new();
    for name in &args.names {
        let found = record.consumers.iter().find(|it| it.name == *name);
        chosen.push(found.ok_or_else(|| no_such_consumer(key, record, name))?);
    }
    if args.all || args.names.is_empty() {
        chosen.extend(record.consumers.iter().filter(|it| it.kind != ConsumerKind::Manual));
        if chosen.is_empty() {
            return Err(Situation::missing(
                "nothing-selected",
                format!("no consumer of `{key}` takes the key by itself"),
            )
            .hint(format!("`keyctl consumer list {key}` shows them; copy the key with `keyctl get {key}`")));
        }
    }
    if let Some(manual) = chosen.iter().find(|it| it.kind == ConsumerKind::Manual) {
        return Err(Situation::usage(format!("`{}` is a place where a person pastes the key", manual.name))
            .hint(format!("copy it: `keyctl get {key} --reveal`")));
    }
    Ok(chosen)
}

/// Shows what would be written to whose settings before it is: nothing reads
/// a key back from HighLevel, and what else a write touches is not documented.
fn preview(
    context: &CommandContext,
    inventory: &Inventory,
    key: &KeyRef,
    chosen: &[&Consumer],
) -> Result<(), Situation> {
    let writes: Vec<&Consumer> =
        chosen.iter().copied().filter(|it| it.kind == ConsumerKind::Highlevel).collect();
    if writes.is_empty() {
        return Ok(());
    }
    for consumer in &writes {
        let told = consumers::destination(inventory, key, consumer).map_err(|it| Situation::usage(it.why))?;
        context.console.note(format!("`{}`: {told}", consumer.name));
    }
    match context
        .operator
        .consent(&ConsentQuestion::PushLocations { key: key.to_string(), count: writes.len() })
    {
        Consent::Given => {
            context.restart_clock();
            Ok(())
        }
        Consent::Refused => Err(Situation::refused("not-confirmed", "nothing was written")),
        Consent::NoOne => Err(Situation::refused(
            "not-confirmed",
            "writing a key into the settings of a HighLevel location needs a word of consent",
        )
        .hint("add `--yes`")),
    }
}

/// A rotation that waits for this place learns that it has the current key.
fn note_in_rotation(
    context: &CommandContext,
    keyed: &Keyed,
    name: &str,
    state: Progress,
) -> anyhow::Result<()> {
    let waits = context.inventory()?.rotation_of(&keyed.key).is_some_and(|it| !it.stage.before_switch());
    if !waits {
        return Ok(());
    }
    let (by, at) = (context.environment.user(), context.now());
    context.update(|inventory| {
        let current = inventory.keys.get(&keyed.key).and_then(|it| it.current);
        if current != keyed.record.current {
            return Ok(());
        }
        let rotations = inventory.rotations.values_mut().filter(|it| !it.stage.before_switch());
        for delivery in rotations.flat_map(|it| &mut it.consumers) {
            if delivery.key == keyed.key && delivery.name == name {
                delivery.state = state;
                delivery.by = Some(by.clone());
                delivery.at = Some(at);
            }
        }
        Ok(())
    })
}
