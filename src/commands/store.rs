//! `keyctl store`: which store is in use, what each protects against, and the
//! work on stores themselves. Each verb is a file below.

mod choose;
mod copy;
mod init;
mod recipient;
mod status;

use crate::commands::CommandContext;
use crate::exit::Exit;

/// Arguments of `store`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show each store: whether it can be used, and what it protects against
    Status,
    /// Keep new secrets of this inventory in another store
    Set(choose::Args),
    /// Make a new file store and the identity that opens it
    Init(init::Args),
    /// Manage who can open the file store
    Recipient(recipient::Args),
    /// Copy every secret from one store to another
    Copy(copy::Args),
}

/// Runs the verb.
///
/// # Errors
/// Exit 7 when a store cannot be used; what each verb says.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Status => status::run(context),
        Verb::Set(args) => choose::run(&args, context),
        Verb::Init(args) => init::run(args, context),
        Verb::Recipient(args) => recipient::run(args, context),
        Verb::Copy(args) => copy::run(&args, context),
    }
}
