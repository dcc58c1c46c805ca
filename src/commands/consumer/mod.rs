//! `keyctl consumer`: the places where a key is used.

mod add;
mod push;
mod remove;
mod report;

use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::key::KeyRefArg;

/// Arguments of `consumer`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Record a place where a key is pasted or deployed
    Add(Box<add::Args>),
    /// Hand the current key to places that take it by themselves
    Push(push::Args),
    /// List the recorded places
    List(ListArgs),
    /// Forget a place
    Remove(remove::Args),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only the places of this key
    #[arg(value_name = "KEYREF", add = crate::cli::completions::keys())]
    key: Option<KeyRefArg>,
}

/// Runs the verb.
///
/// # Errors
/// As each says.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Add(args) => add::run(*args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::List(args) => list(&args, context),
        Verb::Remove(args) => remove::run(&args, context),
    }
}

fn list(args: &ListArgs, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let only = args.key.as_ref().map(|it| context.complete(it)).transpose()?;
    if let Some(key) = &only {
        inventory.record(key)?;
    }
    let mut consumers = Vec::new();
    for (key, record) in inventory.keys.iter().filter(|(key, _)| only.as_ref().is_none_or(|it| it == *key)) {
        consumers.extend(record.consumers.iter().map(|it| report::Line::new(context, inventory, key, it)));
    }
    if consumers.is_empty() {
        context.console.hint("no place is recorded; record one: `keyctl consumer add KEYREF NAME`");
    }
    context.console.report(&report::Lines { consumers })?;
    Ok(Exit::Done)
}
