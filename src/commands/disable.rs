//! `keyctl disable`.

use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::key::KeyRefArg;
use crate::workflow::key_switch;
use crate::workflow::key_switch::Turn;

/// Arguments of `disable`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Where the provider's API can, keyctl switches the key off; else it prints the way through the
console, asks whether it is done, and proves it. A disabled key that is refused is healthy.")]
pub struct Args {
    /// The key to switch off
    #[arg(value_name = "KEYREF", add = crate::cli::completions::keys())]
    key: KeyRefArg,
    /// It is switched off at the provider already: record it
    #[arg(long)]
    done: bool,
    /// The key that switches it off by API
    #[arg(long, value_name = "KEYREF", add = crate::cli::completions::keys())]
    using: Option<KeyRefArg>,
}

/// Switches a key off, or has a person do it, proves it and records it.
///
/// # Errors
/// Exit 2 where keys cannot be switched off, exit 6 when a person must act,
/// exit 8 without such a key, exit 9 without consent.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let switched = key_switch::run(context, &args.key, Turn::Off, args.done, args.using.as_ref())?;
    context.console.report(&switched)?;
    Ok(switched.exit)
}
