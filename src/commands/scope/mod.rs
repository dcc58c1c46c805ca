//! `keyctl scope`: agencies and locations. `edit` changes them, `tell` lists
//! and shows, `rename` moves everything that is recorded under a name, `import`
//! takes them from the platform.

mod edit;
pub mod import;
mod rename;
mod tell;

use clap::Subcommand;

use crate::clock::Span;
use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::inventory::{EmailProvider, Platform};
use crate::key::Scope;

/// Arguments of `scope`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Record an agency or a location
    Add(EditArgs),
    /// Change what is recorded of an agency or a location
    Set(EditArgs),
    /// List agencies and locations
    List(ListArgs),
    /// Show one agency or location
    Show(ShowArgs),
    /// Remove an agency or a location that has no keys
    Remove(ShowArgs),
    /// Give an agency or a location another name
    Rename(RenameArgs),
    /// Import an agency's locations from HighLevel or a CSV file
    Import(import::Args),
}

/// Arguments of `scope add` and `scope set`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl scope add acme --name 'Acme GmbH' --platform highlevel --rotate-every 90d --default
  keyctl scope set acme/berlin --domain mg.berlin.example
  keyctl scope set acme/hamburg --email-provider other     it sends with something else")]
struct EditArgs {
    /// AGENCY or AGENCY/LOCATION
    #[arg(value_name = "SCOPE", add = crate::cli::completions::scopes())]
    scope: Scope,
    /// Display name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// HighLevel's company id of an agency, location id of a location
    #[arg(long, value_name = "ID")]
    highlevel_id: Option<String>,
    /// Sending domain; checked to be selectable; without a value a list to choose from
    #[arg(long, value_name = "DOMAIN", num_args = 0..=1)]
    domain: Option<Option<String>>,
    /// Platform the mail is used from: decides whether only US domains count
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// What the location sends with
    #[arg(long, value_name = "PROVIDER")]
    email_provider: Option<EmailProvider>,
    /// How often its keys should be rotated
    #[arg(long, value_name = "DURATION")]
    rotate_every: Option<Span>,
    /// Make it the scope that completes a key ref without @…
    #[arg(long)]
    default: bool,
    /// Record the domain without checking it
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct ListArgs {}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// AGENCY or AGENCY/LOCATION
    #[arg(value_name = "SCOPE", add = crate::cli::completions::scopes())]
    scope: Scope,
}

#[derive(Debug, clap::Args)]
struct RenameArgs {
    /// AGENCY or AGENCY/LOCATION
    #[arg(value_name = "SCOPE", add = crate::cli::completions::scopes())]
    scope: Scope,
    /// The new name, or the whole new scope
    #[arg(value_name = "NEW")]
    new: String,
}

/// Runs a verb of `scope`.
///
/// # Errors
/// Exit 8 for an unknown scope, exit 9 for one that is in use.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Add(args) => edit::add(&args, context),
        Verb::Set(args) => edit::set(&args, context),
        Verb::List(_) => tell::list(context),
        Verb::Show(args) => tell::show(&args.scope, context),
        Verb::Remove(args) => edit::remove(&args.scope, context),
        Verb::Rename(args) => rename::run(&args.scope, &args.new, context),
        Verb::Import(args) => import::run(&args, context),
    }
}
