//! `keyctl help`.

use crate::context::Context;
use crate::exit::{Exit, Situation};

/// Arguments of `help`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// Not built yet.
pub fn run(_: Args, _: &Context) -> anyhow::Result<Exit> {
    Err(Situation::failed("not-built", "this command is not built yet").into())
}
