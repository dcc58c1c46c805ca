//! `keyctl restore`: puts back what a backup holds and this machine lacks. What
//! is here stays as it is; what cannot be brought back is named, and no restore
//! that leaves a key without its secret, or a rotation behind, ends with 0.

use std::path::PathBuf;

use serde_json::Value;

use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::inventory::{Inventory, wire};
use crate::key::Record;
use crate::output::{Page, Report, Table, Tone};
use crate::store::{Item, file};
use crate::workflow::backup_archive::{Archive, VERSION};
use crate::workflow::restore_plan::{Fate, KeyPlan, RotationPlan, Target, What};

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl restore all.age --dry-run
  keyctl restore all.age --to keyring

What is here stays. A rotation that was under way comes back with its keys. Exit 1: a key stays
without a secret, or a rotation could not come back; 7: the store did not take a secret; 9: a name
or a key's rotation is taken here, or the backup has another version.")]
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
/// Exit 2 when it is no backup, exit 9 for one of another version, exit 7 when
/// it cannot be opened or the store cannot be written.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let archive = read(&args, context)?;
    let saved = inventory_of(&archive)?;
    let here = context.inventory()?;
    let store = args
        .to
        .as_deref()
        .or(context.options.store.as_deref())
        .or(here.store.as_deref())
        .unwrap_or(crate::store::DEFAULT);
    let mut keys = Vec::new();
    for (key, record) in &saved.keys {
        keys.push(crate::workflow::restore_plan::key(
            (context, here),
            &archive,
            (key, record),
            saved.rotation_of(key),
            store,
        )?);
    }
    if !args.dry_run {
        put_secrets(context, here, &mut keys, store)?;
    }
    let rotations: Vec<RotationPlan> =
        saved.rotations.values().map(|it| crate::workflow::restore_plan::rotation(here, it, &keys)).collect();
    let wanted = keys.iter().any(|it| matches!(it.what, What::Key | What::Secret))
        || rotations.iter().any(|it| it.fate == Fate::Restored);
    if !args.dry_run && wanted {
        refer(context, &saved, (&keys, &rotations), store)?;
    }
    name_what_is_left(context, &keys, &rotations);
    let exits: Vec<Exit> =
        keys.iter().map(KeyPlan::exit).chain(rotations.iter().map(RotationPlan::exit)).collect();
    let report = RestoreReport { keys, rotations, dry_run: args.dry_run, store: store.to_owned() };
    context.console.report(&report)?;
    Ok(Exit::merge(exits))
}

fn read(args: &Args, context: &CommandContext) -> anyhow::Result<Archive> {
    let what = format!("the backup `{}`", args.path.display());
    let bytes = std::fs::read(&args.path)
        .map_err(|error| Situation::usage(format!("cannot read {what}: {error}")))?;
    if !file::is_sealed(&bytes) {
        return Err(Situation::usage(format!("{what} is no age file"))
            .hint("`keyctl backup PATH` makes one")
            .into());
    }
    let plain = file::unseal(&bytes, &what, &context.surroundings()).map_err(Situation::from)?;
    let something_else = || Situation::usage(format!("{what} holds something else"));
    // The version first: another one may have another form.
    let Head { version } = serde_json::from_slice(&plain).map_err(|_| something_else())?;
    if version != u64::from(VERSION) {
        return Err(
            other_version(&format!("{what} has version {version}"), version > u64::from(VERSION)).into()
        );
    }
    Ok(serde_json::from_slice(&plain).map_err(|_| something_else())?)
}

/// What every version of the file begins with.
#[derive(serde::Deserialize)]
struct Head {
    version: u64,
}

fn other_version(what: &str, newer: bool) -> Situation {
    let program = env!("CARGO_PKG_VERSION");
    let age = if newer { "a newer" } else { "the older" };
    Situation::refused("other-version", format!("{what}; keyctl {program} restores version {VERSION} only"))
        .hint(format!("restore it with {age} keyctl that made it; nothing was changed"))
}

fn inventory_of(archive: &Archive) -> Result<Inventory, Situation> {
    if let Some(version) = wire::version(&archive.inventory).filter(|it| *it != wire::VERSION) {
        let what = format!("the inventory in the backup has version {version}");
        return Err(other_version(&what, version > wire::VERSION));
    }
    let parsed = wire::parse(&archive.inventory);
    Ok(parsed.map_err(|_| Situation::usage("the inventory in the backup is damaged"))?.inventory)
}

/// Secrets first, then what refers to them. One that the store does not take
/// stops no other.
fn put_secrets(
    context: &CommandContext,
    here: &Inventory,
    keys: &mut [KeyPlan],
    store_name: &str,
) -> anyhow::Result<()> {
    if keys.iter().any(|it| !it.puts.is_empty() && it.target == Target::Chosen) {
        context.store(store_name)?.check_writable().map_err(Situation::from)?;
    }
    let progress = context.operator.progress(keys.len(), "restoring");
    for plan in keys.iter_mut() {
        progress.step();
        if plan.failed.is_some() || plan.puts.is_empty() {
            continue;
        }
        let store = plan.store(context, here, store_name)?;
        for (version, secret) in &plan.puts {
            let item = Item { id: plan.record.id.clone(), version: *version, key: plan.key.clone() };
            if let Err(error) = context.keep(store.as_ref(), &item, secret) {
                plan.failed = Some((Exit::Store, error.to_string()));
                break;
            }
        }
    }
    Ok(())
}

/// Enters the records and rotations whose secrets are in the store.
fn refer(
    context: &CommandContext,
    saved: &Inventory,
    (keys, rotations): (&[KeyPlan], &[RotationPlan]),
    store_name: &str,
) -> anyhow::Result<()> {
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
        let store = own_store.then(|| store_name.to_owned());
        for plan in keys.iter().filter(|it| it.failed.is_none()) {
            match plan.what {
                What::Key if !inventory.keys.contains_key(&plan.key) => {
                    let record = Record { store: store.clone(), ..plan.record.clone() };
                    inventory.keys.insert(plan.key.clone(), record);
                }
                What::Secret if plan.target == Target::Chosen => {
                    if let Some(held) = inventory.keys.get_mut(&plan.key) {
                        held.store.clone_from(&store);
                    }
                }
                What::Key | What::Secret | What::Here | What::Other => {}
            }
        }
        for plan in rotations.iter().filter(|it| it.fate == Fate::Restored) {
            // Another process may have taken a name meanwhile.
            let fits = plan.rotation.keys.iter().all(|key| {
                let own = keys.iter().find(|it| it.key == *key).map(|it| &it.record.id);
                own == inventory.keys.get(key).map(|it| &it.id) && inventory.rotation_of(key).is_none()
            });
            if fits {
                inventory.rotations.insert(plan.id.clone(), plan.rotation.clone());
            }
        }
        inventory.default_scope = inventory.default_scope.take().or_else(|| saved.default_scope.clone());
        Ok(())
    })
}

/// Says what a person has to see to.
fn name_what_is_left(context: &CommandContext, keys: &[KeyPlan], rotations: &[RotationPlan]) {
    let warn = |text: String| context.console.warning(text);
    for plan in keys {
        let key = &plan.key;
        if plan.what == What::Other {
            warn(format!("`{key}` was not restored: a key of another origin bears that name here"));
        } else if let Some((_, why)) = &plan.failed {
            warn(format!("`{key}` was not restored: {why}"));
        }
        for slot in &plan.missing {
            warn(format!("the {slot} secret of `{key}` is not in the backup; the key stays without it"));
        }
    }
    for plan in rotations {
        let (key, stage) = (&plan.rotation.keys[0], plan.rotation.stage);
        let why = match plan.fate {
            Fate::Restored | Fate::Here | Fate::Ended => continue,
            Fate::OtherRuns => "another rotation of that key is running here",
            Fate::KeysMissing => "not all of its keys came back as they were",
        };
        let id = &plan.id;
        warn(format!(
            "the rotation {id} of `{key}` (stage {stage}) was not restored: {why}; the keys that it was about may \
             be alive at {}",
            key.provider
        ));
    }
}

struct RestoreReport {
    keys: Vec<KeyPlan>,
    rotations: Vec<RotationPlan>,
    dry_run: bool,
    store: String,
}

impl Report for RestoreReport {
    fn command(&self) -> &'static str {
        "restore"
    }

    fn data(&self) -> Value {
        let key = |it: &KeyPlan| {
            let missing: Vec<&str> = it.missing.iter().map(|slot| slot.as_str()).collect();
            serde_json::json!({"key": it.key, "result": it.word(), "missing": missing})
        };
        let rotation = |it: &RotationPlan| {
            serde_json::json!({
                "id": it.id, "keys": it.rotation.keys, "stage": it.rotation.stage, "result": it.word(),
            })
        };
        serde_json::json!({
            "keys": self.keys.iter().map(key).collect::<Vec<_>>(), "store": self.store, "dry_run": self.dry_run,
            "rotations": self.rotations.iter().map(rotation).collect::<Vec<_>>(),
        })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("keys")
    }

    fn human(&self, page: &mut Page) {
        let would = |word: &str| match word {
            "restored" | "secret-restored" if self.dry_run => format!("would be {word}"),
            _ => word.to_owned(),
        };
        let mut table = Table::new(&["key", "result"]);
        for plan in &self.keys {
            table.row([plan.key.as_str().into(), would(plan.word()).into()]);
        }
        page.table(&table);
        if !self.rotations.is_empty() {
            let mut table = Table::new(&["rotation", "stage", "result"]);
            for plan in &self.rotations {
                let (key, stage) = (plan.rotation.keys[0].as_str(), plan.rotation.stage.as_str());
                table.row([key.into(), stage.into(), would(plan.word()).into()]);
            }
            page.table(&table);
        }
        if self.keys.iter().any(|it| it.what == What::Other) {
            page.line(
                Tone::Warn,
                "a key of another origin bears the same name here; rename it, then restore again",
            );
        }
    }
}
