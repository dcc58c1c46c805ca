//! `keyctl restore`: puts back what a backup holds and this machine lacks. What
//! is here stays as it is.

use std::path::PathBuf;

use serde_json::Value;

use super::backup::{Archive, VERSION};
use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::{Inventory, wire};
use crate::key::{KeyRef, Record};
use crate::output::{Page, Report, Table, Tone};
use crate::store::{Item, file};

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup to read
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Store to put the secrets in [default: the inventory's]
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
    /// Only tell what would be restored
    #[arg(long)]
    dry_run: bool,
}

/// Restores a backup.
///
/// # Errors
/// Exit 2 when it is no backup, exit 7 when it cannot be opened or the store
/// cannot be written.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let archive = read(&args, context)?;
    let saved = wire::parse(&archive.inventory)
        .map_err(|_| Situation::usage("the inventory in the backup cannot be read by this version"))?
        .inventory;
    let here = context.inventory()?;
    let store =
        args.to.as_deref().or(context.global.store.as_deref()).or(here.store.as_deref()).unwrap_or("keyring");
    let mut lines = Vec::new();
    for (key, record) in &saved.keys {
        let secret = record.current.and_then(|version| archive.secret(record.id.as_str(), version));
        let what = match here.keys.get(key) {
            Some(held) if held.id == record.id && has_secret(context, here, key, held)? => What::Here,
            Some(held) if held.id == record.id && secret.is_some() => What::Secret,
            Some(_) => What::Other,
            None => What::Key,
        };
        lines.push((key.clone(), what));
    }
    let wanted = lines.iter().any(|(_, what)| matches!(what, What::Key | What::Secret));
    if !args.dry_run && wanted {
        put_back(context, &archive, &saved, &lines, store)?;
    }
    let others = lines.iter().any(|(_, what)| *what == What::Other);
    context.console.report(&RestoreReport { lines, dry_run: args.dry_run, store: store.to_owned() })?;
    Ok(if others { Exit::Refused } else { Exit::Done })
}

fn read(args: &Args, context: &Context) -> anyhow::Result<Archive> {
    let what = format!("the backup `{}`", args.path.display());
    let bytes = std::fs::read(&args.path)
        .map_err(|error| Situation::usage(format!("cannot read {what}: {error}")))?;
    if !file::is_sealed(&bytes) {
        return Err(Situation::usage(format!("{what} is no age file"))
            .hint("`keyctl backup PATH` makes one")
            .into());
    }
    let plain = file::unseal(&bytes, &what, &context.surroundings()).map_err(Situation::from)?;
    let archive: Archive = serde_json::from_slice(&plain)
        .map_err(|_| Situation::usage(format!("{what} holds something else")))?;
    if archive.version > VERSION {
        return Err(Situation::usage(format!("{what} was made by a newer keyctl"))
            .hint("restore it with that version")
            .into());
    }
    Ok(archive)
}

fn has_secret(context: &Context, here: &Inventory, key: &KeyRef, record: &Record) -> anyhow::Result<bool> {
    Ok(context.secret(here, key, record, Slot::Current).map_err(Situation::from)?.is_some())
}

/// What is to be done about one key of the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Record and secret are missing here.
    Key,
    /// Only the secret is.
    Secret,
    /// Nothing is missing.
    Here,
    /// Another key bears that name: left alone.
    Other,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Key => "restored",
            Self::Secret => "secret-restored",
            Self::Here => "already-here",
            Self::Other => "name-taken",
        }
    }
}

/// Secrets first, then the records that refer to them.
fn put_back(
    context: &Context,
    archive: &Archive,
    saved: &Inventory,
    lines: &[(KeyRef, What)],
    store_name: &str,
) -> anyhow::Result<()> {
    let store = context.store(store_name)?;
    store.check_writable().map_err(Situation::from)?;
    let progress = context.console.progress(lines.len(), "restoring");
    for (key, what) in lines {
        progress.step();
        let Some(record) = saved.keys.get(key).filter(|_| matches!(what, What::Key | What::Secret)) else {
            continue;
        };
        for version in Slot::ALL.into_iter().filter_map(|slot| slot.version(record)) {
            if let Some(secret) = archive.secret(record.id.as_str(), version) {
                let item = Item { id: record.id.clone(), version, key: key.clone() };
                context.keep(store.as_ref(), &item, &secret).map_err(Situation::from)?;
            }
        }
    }
    context.update(|inventory| {
        for (scope, place) in saved.scopes() {
            if inventory.place(&scope).is_none() && saved.place(&scope).is_some() {
                *inventory.place_mut(&scope) = place.clone();
            }
        }
        if inventory.store.is_none() && inventory.keys.is_empty() {
            inventory.store = Some(store_name.to_owned());
        }
        let own_store = inventory.store.as_deref() != Some(store_name);
        for (key, what) in lines {
            let Some(record) = saved.keys.get(key) else { continue };
            let store = own_store.then(|| store_name.to_owned());
            match what {
                What::Key if !inventory.keys.contains_key(key) => {
                    inventory.keys.insert(key.clone(), Record { store, ..record.clone() });
                }
                What::Secret => {
                    if let Some(held) = inventory.keys.get_mut(key) {
                        held.store = store;
                    }
                }
                What::Key | What::Here | What::Other => {}
            }
        }
        inventory.default_scope = inventory.default_scope.take().or_else(|| saved.default_scope.clone());
        Ok(())
    })
}

struct RestoreReport {
    lines: Vec<(KeyRef, What)>,
    dry_run: bool,
    store: String,
}

impl Report for RestoreReport {
    fn command(&self) -> &'static str {
        "restore"
    }

    fn data(&self) -> Value {
        let line = |(key, what): &(KeyRef, What)| serde_json::json!({"key": key, "result": what.as_str()});
        serde_json::json!({
            "keys": self.lines.iter().map(line).collect::<Vec<_>>(), "store": self.store, "dry_run": self.dry_run,
        })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("keys")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["key", "result"]);
        for (key, what) in &self.lines {
            let word = match (what, self.dry_run) {
                (What::Key | What::Secret, true) => format!("would be {}", what.as_str()),
                _ => what.as_str().to_owned(),
            };
            table.row([key.as_str().into(), word.into()]);
        }
        page.table(&table);
        if self.lines.iter().any(|(_, what)| *what == What::Other) {
            page.line(
                Tone::Warn,
                "a key of another origin bears the same name here; rename it, then restore again",
            );
        }
    }
}
