//! `keyctl enable`.

use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::key::KeyRefArg;
use crate::workflow::key_switch;
use crate::workflow::key_switch::Turn;

/// Arguments of `enable`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The key to switch on again
    #[arg(value_name = "KEYREF", add = crate::cli::completions::keys())]
    key: KeyRefArg,
    /// It is switched on at the provider already: record it
    #[arg(long)]
    done: bool,
    /// The key that switches it on by API
    #[arg(long, value_name = "KEYREF", add = crate::cli::completions::keys())]
    using: Option<KeyRefArg>,
}

/// Switches a key on again, or has a person do it, proves it and records it.
///
/// # Errors
/// As `disable`.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let switched = key_switch::run(context, &args.key, Turn::On, args.done, args.using.as_ref())?;
    context.console.report(&switched)?;
    Ok(switched.exit)
}
