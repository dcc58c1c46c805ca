//! `keyctl backup`: the inventory and every secret it refers to in one age
//! file, made for recipients or a passphrase. The form of the file is here,
//! too: `restore` reads it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::context::{Context, Slot, Unusable};
use crate::durable;
use crate::exit::{Exit, Situation};
use crate::key::{KeyRef, Secret};
use crate::output::{Answer, Page, Report, Tone};
use crate::store::file;

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Who can open it: an age recipient (can be repeated) [default: the recipients of the file store]
    #[arg(long, value_name = "AGE1…", conflicts_with = "passphrase")]
    recipient: Vec<String>,
    /// Protect it with a passphrase
    #[arg(long)]
    passphrase: bool,
}

/// What a backup holds.
#[derive(Serialize, Deserialize)]
pub struct Archive {
    pub version: u32,
    /// The inventory's text.
    pub inventory: String,
    /// By record id, then version: key ref and secret.
    secrets: BTreeMap<String, BTreeMap<u32, String>>,
}

/// The newest form of the file.
pub const VERSION: u32 = 1;

impl Archive {
    /// Returns the secret of one version of a record.
    pub fn secret(&self, id: &str, version: u32) -> Option<Secret> {
        self.secrets.get(id)?.get(&version).map(|it| Secret::new(it.clone()))
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.secrets.values_mut().flat_map(|versions| versions.values_mut()).for_each(|it| it.zeroize());
    }
}

/// Writes a backup.
///
/// # Errors
/// Exit 2 when nobody could open it, 7 when a store cannot be read, 9 when the
/// file exists and may not be replaced.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    if inventory.keys.is_empty() {
        return Err(Situation::missing("nothing-selected", "the inventory has no keys to back up").into());
    }
    may_replace(&args, context)?;
    // The text itself: comments and what a newer version wrote are kept, too.
    let text = std::fs::read_to_string(context.inventory_file.path())?;
    let mut archive = Archive { version: VERSION, inventory: text, secrets: BTreeMap::new() };
    let mut missing = Vec::new();
    for (key, record) in &inventory.keys {
        for slot in Slot::ALL {
            let Some(version) = slot.version(record) else { continue };
            match context.secret(inventory, key, record, slot) {
                Ok(Some(secret)) => {
                    let versions = archive.secrets.entry(record.id.to_string()).or_default();
                    versions.insert(version, secret.expose().to_owned());
                }
                Ok(None) => missing.push(key.clone()),
                Err(Unusable::Mismatch(mismatch)) => {
                    context.console.warning(mismatch.message());
                    missing.push(key.clone());
                }
                Err(error) => return Err(Situation::from(error).into()),
            }
        }
    }
    let plain = Zeroizing::new(serde_json::to_vec(&archive)?);
    let sealed = seal(&args, &plain, context)?;
    durable::replace(&args.path, &sealed, || crate::checkpoint::pass("backup")).map_err(|error| {
        Situation::failed("backup-failed", format!("cannot write `{}`: {error}", args.path.display()))
            .hint("name another path; nothing was changed")
    })?;
    for key in &missing {
        context
            .console
            .warning(format!("the secret of `{key}` is not in the store and so not in the backup"));
    }
    let secrets = archive.secrets.values().map(BTreeMap::len).sum();
    context.console.report(&BackupReport {
        path: args.path,
        keys: inventory.keys.len(),
        secrets,
        missing: missing.clone(),
    })?;
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Unknown })
}

fn may_replace(args: &Args, context: &Context) -> Result<(), Situation> {
    if !args.path.exists() {
        return Ok(());
    }
    let exists = format!("`{}` exists", args.path.display());
    match context.console.confirm(&format!("{exists}; replace it?")) {
        Answer::Yes => Ok(()),
        Answer::No | Answer::Nobody => {
            Err(Situation::refused("file-exists", exists)
                .hint("name another file, or replace it with `--yes`"))
        }
    }
}

fn seal(args: &Args, plain: &[u8], context: &Context) -> anyhow::Result<Vec<u8>> {
    if args.passphrase {
        let passphrase = passphrase(context)?;
        return Ok(file::seal_with(plain, &passphrase).map_err(Situation::from)?);
    }
    let mut recipients = args.recipient.clone();
    if recipients.is_empty() {
        let listed = file::list_recipients(&context.surroundings()).unwrap_or_default();
        recipients = listed.into_iter().map(|it| it.key).collect();
    }
    if recipients.is_empty() {
        return Err(Situation::usage("nobody could open that backup")
            .hint("name who may: `--recipient age1…` (make one with `age-keygen`), or `--passphrase`")
            .into());
    }
    Ok(file::seal_to(plain, &recipients).map_err(|error| Situation::usage(error.message))?)
}

fn passphrase(context: &Context) -> anyhow::Result<Secret> {
    if let Some(read) = file::read_passphrase(&context.surroundings()).map_err(Situation::from)? {
        return Ok(read);
    }
    let nobody = || {
        Situation::human("a person is needed to choose a passphrase")
            .hint("name a file that holds it with KEYCTL_PASSPHRASE_FILE")
    };
    let first = context.console.ask_secret("Passphrase of the backup").ok_or_else(nobody)?;
    let again = context.console.ask_secret("The same again").ok_or_else(nobody)?;
    if first.is_empty() || first.fingerprint() != again.fingerprint() {
        return Err(Situation::usage("the two are not the same, or empty; nothing was written").into());
    }
    Ok(first)
}

struct BackupReport {
    path: PathBuf,
    keys: usize,
    secrets: usize,
    missing: Vec<KeyRef>,
}

impl Report for BackupReport {
    fn command(&self) -> &'static str {
        "backup"
    }

    fn data(&self) -> Value {
        serde_json::json!({
            "path": self.path, "keys": self.keys, "secrets": self.secrets, "missing": self.missing,
        })
    }

    fn human(&self, page: &mut Page) {
        page.line(
            Tone::Plain,
            format!("{} keys with {} secrets are in `{}`", self.keys, self.secrets, self.path.display()),
        );
    }
}
