//! `keyctl add`: takes a key in, finds out what it is, proves it, and only
//! then keeps it. `one` adds one key, `dotenv` those of a `.env` file,
//! `report` tells.

mod dotenv;
pub mod report;

use std::path::PathBuf;

use jiff::Timestamp;

use crate::cli::shared::secret_source::SourceArgs;
use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::key::{Domain, Expiry, KeyRef, KeyRefArg, Kind, Name, Region, Scope};
use crate::workflow::key_description;
use crate::workflow::key_description::Described;
use crate::workflow::store_secret::Existing;

/// Where the very first key goes when nobody says.
const FIRST_AGENCY: &str = "default";

/// Arguments of `add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl add mailgun@acme --consumer 'HighLevel agency settings'
  keyctl add mailgun:news@acme/berlin --kind sending --domain mg.berlin.example
  printf %s \"$KEY\" | keyctl add brevo@acme --stdin
  keyctl add --from-dotenv .env --scope acme --dry-run

A key is never an argument: arguments are visible to every user of the machine. What was pasted
along (quotes, `Bearer`, `api:`, a newline) is taken away. A key that its provider refuses is not
saved.")]
pub struct Args {
    /// PROVIDER[:LABEL]@AGENCY[/LOCATION]
    #[arg(value_name = "KEYREF", required_unless_present = "from_dotenv", add = crate::cli::completions::keys())]
    key: Option<KeyRefArg>,
    /// What the key is for [default: told by the key, or found out]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Mailgun's region: us, eu
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    /// The domain of a sending key
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<Domain>,
    /// The login of an SMTP key
    #[arg(long, value_name = "LOGIN")]
    login: Option<String>,
    /// Free text
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// When the key was made
    #[arg(long, value_name = "DATE", value_parser = crate::clock::date)]
    created: Option<Timestamp>,
    /// When it stops working by itself: a date or never
    #[arg(long, value_name = "DATE|never", value_parser = key_description::expiry)]
    expires: Option<Expiry>,
    /// What the key shall be able to do
    #[arg(long, value_name = "PERMISSION,…", value_delimiter = ',')]
    permissions: Vec<String>,
    /// A place where the key is pasted (can be repeated)
    #[arg(long, value_name = "NAME")]
    consumer: Vec<String>,
    #[command(flatten)]
    source: SourceArgs,
    /// Do not ask the provider
    #[arg(long)]
    no_validate: bool,
    /// Save a key that its provider refuses
    #[arg(long)]
    force: bool,
    /// Put it in the place of the key that is there
    #[arg(long)]
    replace: bool,
    /// Add the keys of a .env file at --scope
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with_all = ["key", "kind", "domain", "login", "stdin", "from_env", "from_file"]
    )]
    from_dotenv: Option<PathBuf>,
    /// With --from-dotenv: only tell what would be added
    #[arg(long, requires = "from_dotenv")]
    dry_run: bool,
}

impl Args {
    fn manner(&self) -> crate::workflow::add_key::Manner {
        crate::workflow::add_key::Manner {
            validate: !self.no_validate,
            force: self.force,
            existing: if self.replace { Existing::Replace } else { Existing::Refuse },
        }
    }

    fn described(&self) -> Described {
        Described {
            kind: self.kind,
            region: self.region,
            domain: self.domain.clone(),
            login: self.login.clone(),
            note: self.note.clone(),
            created: self.created,
            expires: self.expires,
            permissions: self.permissions.clone(),
            consumers: self.consumer.clone(),
            no_more_than: Vec::new(),
            no_less_than: Vec::new(),
        }
    }
}

/// Adds a key.
///
/// # Errors
/// Exit 2 for what is no such key, exit 7 when the store cannot be written,
/// exit 9 for a key that is there already.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    if let Some(path) = &args.from_dotenv {
        return dotenv::run(&args, path, context);
    }
    let Some(typed) = &args.key else {
        return Err(Situation::usage("no key was named").into());
    };
    let key = complete(context, typed)?;
    let wanted = crate::workflow::add_key::Wanted { key, described: args.described() };
    let asked = format!("Paste the {} key for {} (it is not shown)", wanted.key.provider, wanted.key);
    let added = crate::workflow::add_key::add(context, wanted, args.manner(), |context| {
        crate::workflow::secret_input::take(context, &args.source.source(context, &asked)?)
    })?;
    let exit = added.exit();
    context.console.report(&report::AddReport { added })?;
    Ok(exit)
}

/// Completes a key ref; the very first key needs no scope.
pub fn complete(context: &CommandContext, typed: &KeyRefArg) -> anyhow::Result<KeyRef> {
    let inventory = context.inventory()?;
    let nothing = inventory.keys.is_empty() && inventory.agencies.is_empty();
    if typed.scope.is_none() && context.options.scope.is_none() && inventory.only_scope().is_none() && nothing
    {
        let scope = Scope::agency(Name::parse(FIRST_AGENCY)?);
        return Ok(KeyRef::new(typed.provider, typed.label.clone(), scope));
    }
    context.complete(typed)
}
