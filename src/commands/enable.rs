//! `keyctl enable`.

use super::switching::{self, Turn};
use crate::context::Context;
use crate::exit::Exit;
use crate::key::KeyRefArg;

/// Arguments of `enable`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The key to switch on again
    #[arg(value_name = "KEYREF", add = super::completions::keys())]
    key: KeyRefArg,
    /// It is switched on at the provider already: record it
    #[arg(long)]
    done: bool,
    /// The key that switches it on by API
    #[arg(long, value_name = "KEYREF", add = super::completions::keys())]
    using: Option<KeyRefArg>,
}

/// Switches a key on again, or has a person do it, proves it and records it.
///
/// # Errors
/// As `disable`.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    switching::run(context, &args.key, Turn::On, args.done, args.using.as_ref())
}
