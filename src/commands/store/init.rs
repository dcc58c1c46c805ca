//! `keyctl store init file`: a new age file and the identity that opens it.

use std::path::PathBuf;

use serde_json::Value;

use crate::commands::CommandContext;
use crate::commands::store::choose;
use crate::exit::{Exit, Situation};
use crate::key::Secret;
use crate::output::{Page, Report, Tone};
use crate::store::file;
use crate::store::file::Created;

/// Arguments of `store init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind of store: file
    #[arg(value_name = "STORE", value_parser = ["file"])]
    _store: String,
    /// Where the store file is to be [default: in the data folder]
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Where the identity is, or is to be [default: in the configuration folder]
    #[arg(long, value_name = "PATH")]
    identity: Option<PathBuf>,
    /// Protect a new identity with a passphrase
    #[arg(long)]
    passphrase: bool,
}

/// Makes the store. An inventory that has no store yet uses it from then on.
///
/// # Errors
/// Exit 6 when a passphrase is wanted and nobody can be asked, exit 7 when there
/// is such a file or it cannot be written.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let mut surroundings = context.surroundings();
    let elsewhere = args.path.is_some() || args.identity.is_some();
    surroundings.store_file = args.path.or(surroundings.store_file);
    if args.identity.is_some() {
        surroundings.identity = None;
        surroundings.identity_file = args.identity;
    }
    let passphrase = if args.passphrase { Some(passphrase(context)?) } else { None };
    let name = context.environment.get("USER").or_else(|| context.environment.get("LOGNAME"));
    let name = name.unwrap_or_else(|| "owner".to_owned());
    let name = crate::key::text::printable(&name, 80);
    let created = file::init(&surroundings, &name, passphrase.as_ref()).map_err(Situation::from)?;
    let chosen = !elsewhere && choose_when_free(context)?;
    tell(context, &created, elsewhere, chosen);
    context.console.report(&InitReport { created, chosen })?;
    Ok(Exit::Done)
}

/// Makes the file store the inventory's, unless one was chosen or used before.
fn choose_when_free(context: &CommandContext) -> anyhow::Result<bool> {
    let inventory = context.inventory()?;
    if inventory.store.is_some() || inventory.keys.values().any(|record| record.store.is_none()) {
        return Ok(false);
    }
    context.update(|inventory| {
        choose::choose(inventory, file::ROW.name);
        Ok(true)
    })
}

fn tell(context: &CommandContext, created: &Created, elsewhere: bool, chosen: bool) {
    if elsewhere {
        let mut set = vec![format!("KEYCTL_STORE_FILE={}", created.store.display())];
        if let Some(identity) = &created.identity {
            set.push(format!("KEYCTL_IDENTITY_FILE={}", identity.display()));
        }
        context.console.hint(format!("to use it, set {}", set.join(" and ")));
    }
    if !chosen {
        context
            .console
            .hint("keep new secrets in it with `keyctl store set file`, or in one call with `--store file`");
    }
    if created.new_identity && created.identity.is_some() {
        context.console.hint(
            "keep a copy of the identity in a safe place, or add a second recipient: without an identity nobody \
             can open the store",
        );
    }
}

/// Takes the new passphrase from `KEYCTL_PASSPHRASE_FILE`, or asks for it twice.
fn passphrase(context: &CommandContext) -> anyhow::Result<Secret> {
    if let Some(given) = file::read_passphrase(&context.surroundings()).map_err(Situation::from)? {
        return needs_text(given);
    }
    let nobody = || {
        Situation::human("nobody can be asked for the new passphrase").hint(
            "run it in a terminal, or name a file that holds the passphrase with KEYCTL_PASSPHRASE_FILE",
        )
    };
    let first = context.console.ask_secret("New passphrase of the identity").ok_or_else(nobody)?;
    let second = context.console.ask_secret("The same again").ok_or_else(nobody)?;
    if first.fingerprint() != second.fingerprint() {
        return Err(Situation::usage("the two passphrases differ; nothing was made").into());
    }
    needs_text(first)
}

fn needs_text(passphrase: Secret) -> anyhow::Result<Secret> {
    if passphrase.is_empty() {
        return Err(Situation::usage("an empty passphrase protects nothing; nothing was made").into());
    }
    Ok(passphrase)
}

struct InitReport {
    created: Created,
    chosen: bool,
}

impl Report for InitReport {
    fn command(&self) -> &'static str {
        "store"
    }

    fn data(&self) -> Value {
        serde_json::json!({
            "store": "file",
            "path": self.created.store,
            "identity": self.created.identity,
            "new_identity": self.created.new_identity,
            "recipient": self.created.recipient,
            "in_use": self.chosen,
        })
    }

    fn human(&self, page: &mut Page) {
        page.line(Tone::Good, "The file store is ready");
        let made = if self.created.new_identity { "made now" } else { "was there" };
        let identity = match &self.created.identity {
            Some(path) => format!("{} ({made})", path.display()),
            None => "KEYCTL_IDENTITY".to_owned(),
        };
        page.fields(&[
            ("store", self.created.store.display().to_string().into()),
            ("identity", identity.into()),
            ("recipient", self.created.recipient.as_str().into()),
        ]);
    }
}
