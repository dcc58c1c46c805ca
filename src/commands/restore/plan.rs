//! What a restore does to each key and each rotation, decided before anything
//! is changed, so that a dry run tells the same.

use std::sync::Arc;

use crate::commands::backup::Archive;
use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{KeyRef, Record, Secret};
use crate::rotation::{Rotation, RotationId, Stage};
use crate::store::{Item, Store};

/// What is to be done about one key of the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Record and secrets are missing here.
    Key,
    /// The record is here, and secrets of it are missing.
    Secret,
    /// Nothing is missing that the backup has.
    Here,
    /// Another key bears that name: left alone.
    Other,
}

/// Where the secrets of one key go: all of a record are in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The store that this restore writes to.
    Chosen,
    /// The one that the record is in.
    Own,
}

/// One key of the backup.
pub struct KeyPlan {
    /// Its name in the backup.
    pub archived: KeyRef,
    /// Its name here; the backup's for one that is not here.
    pub key: KeyRef,
    /// As it is in the backup.
    pub record: Record,
    pub what: What,
    /// What goes into the store.
    pub puts: Vec<(u32, Secret)>,
    pub target: Target,
    /// Slots that stay without their secret.
    pub missing: Vec<Slot>,
    /// Why its secrets cannot be, or were not, put into the store.
    pub failed: Option<(Exit, String)>,
    /// The versions of the record that is here, where one is.
    held: Option<[Option<u32>; 3]>,
}

impl KeyPlan {
    /// Returns the word for the outcome.
    pub fn word(&self) -> &'static str {
        match self.what {
            What::Other => "name-taken",
            _ if self.failed.is_some() => "not-stored",
            _ if self.missing.contains(&Slot::Current) => "secret-missing",
            What::Key => "restored",
            What::Secret => "secret-restored",
            What::Here => "already-here",
        }
    }

    /// Returns what the outcome means for the exit code: a name that is taken
    /// is a state that forbids it (9), a store that did not take the secret is
    /// 7; what the backup lacks is none of those, and the key is not back: 1.
    pub fn exit(&self) -> Exit {
        match (&self.failed, self.what) {
            (_, What::Other) => Exit::Refused,
            (Some((exit, _)), _) => *exit,
            (None, _) if self.missing.is_empty() => Exit::Done,
            (None, _) => Exit::Failed,
        }
    }

    /// Returns the store that its secrets go to.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn store(&self, context: &Context, here: &Inventory, chosen: &str) -> anyhow::Result<Arc<dyn Store>> {
        match self.target {
            Target::Chosen => context.store(chosen),
            Target::Own => context.store_of(here, here.record(&self.key)?),
        }
    }

    /// Returns whether the record is here afterwards.
    fn comes_back(&self) -> bool {
        self.what != What::Other && self.failed.is_none()
    }
}

/// Plans one key. `store` is where secrets of keys go that are not here.
///
/// # Errors
/// Exit 7 when a store cannot be read.
pub fn key(
    (context, here): (&Context, &Inventory),
    archive: &Archive,
    (archived, record): (&KeyRef, &Record),
    rotation: Option<&Rotation>,
    store: &str,
) -> anyhow::Result<KeyPlan> {
    let held = here.keys.iter().find(|(_, held)| held.id == record.id);
    let mut plan = KeyPlan {
        archived: archived.clone(),
        key: held.map_or(archived, |(key, _)| key).clone(),
        record: record.clone(),
        what: What::Key,
        puts: Vec::new(),
        target: Target::Chosen,
        missing: Vec::new(),
        failed: None,
        held: held.map(|(_, held)| versions(held)),
    };
    match held {
        Some((_, held)) => complete(&mut plan, context, here, archive, held)?,
        None if here.keys.contains_key(archived) => plan.what = What::Other,
        None => {
            for (slot, version) in slots(record) {
                match archive.secret(record.id.as_str(), version) {
                    Some(secret) => plan.puts.push((version, secret)),
                    None if is_needed(slot, rotation) => plan.missing.push(slot),
                    None => {}
                }
            }
        }
    }
    if !plan.puts.is_empty() {
        plan.failed = conflict(plan.store(context, here, store)?.as_ref(), &plan)?;
    }
    Ok(plan)
}

/// A record that is here: only the secrets count that it refers to now.
fn complete(
    plan: &mut KeyPlan,
    context: &Context,
    here: &Inventory,
    archive: &Archive,
    held: &Record,
) -> anyhow::Result<()> {
    let stored = |slot| context.secret(here, &plan.key, held, slot).map_err(Situation::from);
    let lost = held.current.is_some() && stored(Slot::Current)?.is_none();
    let mut puts = Vec::new();
    let mut missing = Vec::new();
    for (slot, version) in slots(held) {
        let archived = archive.secret(held.id.as_str(), version);
        match (lost, stored(slot)?) {
            (false, Some(_)) => {}
            // All of a record are in one store: its others go along.
            (true, Some(secret)) => puts.push((version, archived.unwrap_or(secret))),
            (_, None) => match archived {
                Some(secret) => puts.push((version, secret)),
                None if slot == Slot::Current => missing.push(slot),
                None => {}
            },
        }
    }
    plan.target = if lost { Target::Chosen } else { Target::Own };
    plan.puts = if missing.is_empty() { puts } else { Vec::new() };
    plan.what = if plan.puts.is_empty() { What::Here } else { What::Secret };
    plan.missing = missing;
    Ok(())
}

/// A version is never overwritten: another secret under its name is in the way.
fn conflict(store: &dyn Store, plan: &KeyPlan) -> anyhow::Result<Option<(Exit, String)>> {
    for (version, secret) in &plan.puts {
        let item = Item { id: plan.record.id.clone(), version: *version, key: plan.key.clone() };
        let held = store.get(&item).map_err(Situation::from)?;
        if held.is_some_and(|it| it.fingerprint() != secret.fingerprint()) {
            let why = format!(
                "the {} store has another secret under its name ({}#{version})",
                store.name(),
                plan.record.id
            );
            return Ok(Some((Exit::Failed, why)));
        }
    }
    Ok(None)
}

/// Returns whether the key is not back without this version. A pending one is
/// announced before there is a secret; a previous one without a rotation only
/// marks what is still to be deleted.
fn is_needed(slot: Slot, rotation: Option<&Rotation>) -> bool {
    let begun = rotation.is_some_and(|it| !matches!(it.stage, Stage::Planned | Stage::Creating));
    slot == Slot::Current || begun
}

fn slots(record: &Record) -> impl Iterator<Item = (Slot, u32)> {
    Slot::ALL.into_iter().filter_map(|slot| Some((slot, slot.version(record)?)))
}

fn versions(record: &Record) -> [Option<u32>; 3] {
    [record.current, record.pending, record.previous]
}

/// What is to be done about one rotation of the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its keys come back, and it with them.
    Restored,
    /// It is here.
    Here,
    /// Its keys were here all the time, and it ended since.
    Ended,
    /// Another rotation of one of its keys is here.
    OtherRuns,
    /// Not all of its keys come back as they were.
    KeysMissing,
}

/// One rotation of the backup.
pub struct RotationPlan {
    pub id: RotationId,
    /// Under the names that its keys have here; nobody works on it.
    pub rotation: Rotation,
    pub fate: Fate,
}

impl RotationPlan {
    /// Returns the word for the outcome.
    pub fn word(&self) -> &'static str {
        match self.fate {
            Fate::Restored => "restored",
            Fate::Here => "already-here",
            Fate::Ended => "ended-here",
            Fate::OtherRuns => "rotation-running",
            Fate::KeysMissing => "keys-missing",
        }
    }

    /// Returns what the outcome means for the exit code: a running rotation is
    /// a state that forbids it (9); one that cannot come back is a failure (1),
    /// since the keys it announces are then announced nowhere.
    pub fn exit(&self) -> Exit {
        match self.fate {
            Fate::Restored | Fate::Here | Fate::Ended => Exit::Done,
            Fate::OtherRuns => Exit::Refused,
            Fate::KeysMissing => Exit::Failed,
        }
    }
}

/// Plans one rotation, after its keys.
pub fn rotation(here: &Inventory, archived: &Rotation, keys: &[KeyPlan]) -> RotationPlan {
    let named = |key: &KeyRef| keys.iter().find(|it| it.archived == *key);
    let own: Vec<&KeyPlan> = archived.keys.iter().filter_map(named).collect();
    let mut rotation = Rotation { owner: None, ..archived.clone() };
    let consumers = rotation.consumers.iter_mut().map(|it| &mut it.key);
    for key in rotation.keys.iter_mut().chain(rotation.using.iter_mut()).chain(consumers) {
        if let Some(plan) = named(key) {
            key.clone_from(&plan.key);
        }
    }
    rotation.keys.sort();
    let fits = |plan: &&&KeyPlan| plan.held.is_none_or(|it| it == versions(&plan.record));
    let were_here = own.iter().all(|it| it.held.is_some());
    let underway = |plan: &&KeyPlan| plan.record.pending.is_some() || plan.record.previous.is_some();
    let fate = if here.rotations.contains_key(&archived.id) {
        Fate::Here
    } else if own.iter().any(|it| here.rotation_of(&it.key).is_some()) {
        Fate::OtherRuns
    } else if own.len() < archived.keys.len() || !own.iter().all(|it| it.comes_back()) {
        Fate::KeysMissing
    } else if own.iter().filter(fits).count() == own.len() {
        if were_here && !own.iter().any(underway) { Fate::Ended } else { Fate::Restored }
    } else if were_here {
        Fate::Ended
    } else {
        Fate::KeysMissing
    };
    RotationPlan { id: archived.id.clone(), rotation, fate }
}
