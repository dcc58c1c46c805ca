//! `keyctl consumer remove`.

use crate::cli::completions;
use crate::commands::CommandContext;
use crate::commands::consumer::report::{Line, Lines};
use crate::exit::{Exit, Situation};
use crate::key::{KeyRef, KeyRefArg, Record};

/// Arguments of `consumer remove`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The key
    #[arg(value_name = "KEYREF", add = completions::keys())]
    key: KeyRefArg,
    /// The place to forget
    #[arg(value_name = "NAME")]
    name: String,
}

/// Forgets a place; a rotation under way no longer waits for it.
///
/// # Errors
/// Exit 8 when there is none of that name.
pub fn run(args: &Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let key = context.complete(&args.key)?;
    let removed = context.update(|inventory| {
        let Some(record) = inventory.keys.get_mut(&key) else {
            return Err(Situation::missing("no-such-key", format!("there is no key `{key}`"))
                .hint("`keyctl list` shows what there is")
                .into());
        };
        let at = record.consumers.iter().position(|it| it.name == args.name);
        let Some(at) = at else { return Err(no_such_consumer(&key, record, &args.name).into()) };
        let removed = record.consumers.remove(at);
        for rotation in inventory.rotations.values_mut() {
            rotation.consumers.retain(|it| it.key != key || it.name != args.name);
        }
        Ok(removed)
    })?;
    context
        .console
        .report(&Lines { consumers: vec![Line::new(context, context.inventory()?, &key, &removed)] })?;
    Ok(Exit::Done)
}

/// Returns the situation "no place of that name", with those there are.
pub fn no_such_consumer(key: &KeyRef, record: &Record, name: &str) -> Situation {
    let shown = crate::key::text::printable(name, 80);
    let known: Vec<String> = record.consumers.iter().map(|it| format!("`{}`", it.name)).collect();
    let hint = if known.is_empty() {
        format!("none is recorded; `keyctl consumer add {key} NAME`")
    } else {
        format!("recorded: {}", known.join(", "))
    };
    Situation::missing("no-such-consumer", format!("`{key}` has no consumer `{shown}`")).hint(hint)
}
