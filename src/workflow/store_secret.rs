//! Bringing a new secret into the store so that a crash at any moment loses
//! nothing: the inventory announces the version, the store takes it and gives
//! it back, one rewrite of the inventory makes it current, and only then is
//! the version before it deleted. Run again, it goes on where it stopped.

use std::sync::Arc;

use crate::context::Context;
use crate::exit::Situation;
use crate::inventory::Inventory;
use crate::key::{KeyRef, KeyState, Kind, Record, RecordId, Secret};
use crate::store::{self, Item, Store};

/// What to do about a key that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    Replace,
}

/// One key on its way into the store.
pub struct Keeping<'a> {
    context: &'a Context,
    pub key: &'a KeyRef,
    pub store: Arc<dyn Store>,
    /// The store of the record before, which holds the old versions.
    old_store: Option<Arc<dyn Store>>,
    /// The record as it was when this began.
    seen: Option<Record>,
    /// The id of the record, new or as it was.
    id: RecordId,
    existing: Existing,
    /// The version that this run announced.
    announced: Option<u32>,
}

/// What is to be done with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is current already.
    Nothing,
    /// It was announced and stored before: adopt it.
    Adopt(u32),
    /// Announced by this run, but not stored. What another run announced may
    /// still be on its way there: that name is left to it.
    Store(u32),
    Announce,
}

impl<'a> Keeping<'a> {
    /// Begins: the key must be free (or to be replaced), in no rotation, and
    /// its store writable. Changes nothing.
    ///
    /// # Errors
    /// Exit 9 for a key that is there or in a rotation, exit 7 with the
    /// remedy when the store cannot be written.
    pub fn begin(
        context: &'a Context,
        inventory: &Inventory,
        key: &'a KeyRef,
        existing: Existing,
    ) -> anyhow::Result<Self> {
        let seen = inventory.keys.get(key).cloned();
        if existing == Existing::Refuse {
            must_be_free(inventory, key)?;
        }
        not_in_rotation(inventory, key)?;
        let name = match &seen {
            Some(record) => context.store_name_of(inventory, record),
            None => new_store_name(context, inventory),
        };
        let store = context.store(name)?;
        store.check_writable().map_err(|error| not_writable(error, &*store, key))?;
        if let Some(record) = &seen {
            context.must_be_newest(store.as_ref(), key, record)?;
        }
        let old_store = match &seen {
            Some(record) => Some(context.store(recorded_store(inventory, record))?),
            None => None,
        };
        let id = match &seen {
            Some(record) => record.id.clone(),
            None => fresh_id()?,
        };
        Ok(Self { context, key, store, old_store, seen, id, existing, announced: None })
    }

    /// Returns whether a secret in use would be replaced.
    pub fn replaces(&self) -> bool {
        self.seen.as_ref().is_some_and(|it| it.current.is_some())
    }

    /// Returns the record as it was.
    pub fn seen(&self) -> Option<&Record> {
        self.seen.as_ref()
    }

    /// Returns the record's id, new or as it was.
    pub fn id(&self) -> &RecordId {
        &self.id
    }

    /// Returns the secret that was announced and stored, but is not in use yet.
    ///
    /// # Errors
    /// Exit 7 when the store cannot be read.
    pub fn announced_secret(&self) -> anyhow::Result<Option<Secret>> {
        match self.seen.as_ref().and_then(|it| it.pending) {
            Some(version) => Ok(self.store.get(&self.item(version)).map_err(Situation::from)?),
            None => Ok(None),
        }
    }

    /// Takes the announcement of a key back that was not made. Only for a
    /// record that has no secret in use.
    ///
    /// # Errors
    /// When the inventory cannot be written.
    pub fn withdraw(&mut self) -> anyhow::Result<()> {
        self.context.update(|inventory| {
            let ours = inventory.keys.get(self.key).is_some_and(|it| it.id == self.id && is_unfinished(it));
            if ours {
                inventory.keys.remove(self.key);
            }
            Ok(())
        })?;
        self.seen = None;
        Ok(())
    }

    /// Announces a version without having its secret yet: a key that is about
    /// to be made. `fill` describes the record.
    ///
    /// # Errors
    /// When the inventory cannot be written or was changed meanwhile.
    pub fn announce(&mut self, kind: Kind, fill: impl Fn(&mut Record)) -> anyhow::Result<()> {
        self.announce_version(kind, &fill).map(|_| ())
    }

    /// Keeps a secret: announces it unless that was done, stores it, makes it
    /// current and drops what it replaces. `fill` describes the record.
    ///
    /// # Errors
    /// Exit 7 when the store fails, exit 9 when another secret was announced
    /// before, or the record was changed meanwhile.
    pub fn keep(mut self, kind: Kind, secret: &Secret, fill: impl Fn(&mut Record)) -> anyhow::Result<Record> {
        let version = match self.step(secret)? {
            Step::Nothing => return self.describe(kind, &fill),
            Step::Adopt(version) => {
                self.context.operator.note("note: the secret was stored before; it is taken up");
                version
            }
            Step::Store(version) => {
                self.put(version, secret)?;
                version
            }
            Step::Announce => {
                let version = self.announce_version(kind, &fill)?;
                self.put(version, secret)?;
                version
            }
        };
        let record = self.switch(version, kind, &fill)?;
        self.drop_replaced(record)
    }

    fn item(&self, version: u32) -> Item {
        Item { id: self.id.clone(), version, key: self.key.clone() }
    }

    /// Looks at what an interrupted run left.
    fn step(&self, secret: &Secret) -> anyhow::Result<Step> {
        let Some(record) = &self.seen else { return Ok(Step::Announce) };
        let fingerprint = secret.fingerprint();
        if let Some(version) = record.pending {
            match self.store.get(&self.item(version)).map_err(Situation::from)? {
                None if self.announced == Some(version) => return Ok(Step::Store(version)),
                None => return Ok(Step::Announce),
                Some(held) if held.fingerprint() == fingerprint => return Ok(Step::Adopt(version)),
                Some(_) if self.existing == Existing::Refuse => {
                    return Err(unfinished(self.key, record).into());
                }
                Some(_) => {}
            }
        }
        let current = record.current.and_then(|version| {
            // A secret that cannot be read is not the same.
            self.store.get(&self.item(version)).ok().flatten()
        });
        Ok(if current.is_some_and(|it| it.fingerprint() == fingerprint) {
            Step::Nothing
        } else {
            Step::Announce
        })
    }

    fn announce_version(&mut self, kind: Kind, fill: &impl Fn(&mut Record)) -> anyhow::Result<u32> {
        let record = self.context.update(|inventory| {
            self.check_unchanged(inventory)?;
            remember_store(inventory, self.store.name());
            inventory.place_mut(&self.key.scope);
            let held = inventory.keys.get(self.key).cloned();
            let mut record = held.unwrap_or_else(|| Record::new(self.id.clone(), kind));
            // A version that was announced before and is given up is dropped
            // together with what the new one replaces.
            record.previous = [record.previous, record.current, record.pending.take()]
                .into_iter()
                .flatten()
                .min()
                .filter(|it| Some(*it) != record.current);
            record.highest += 1;
            record.pending = Some(record.highest);
            if record.current.is_none() {
                record.state = KeyState::Pending;
                record.kind = kind;
                record.store = own_store(inventory, self.store.name());
                fill(&mut record);
            }
            inventory.keys.insert(self.key.clone(), record.clone());
            Ok(record)
        })?;
        let version = record.highest;
        self.seen = Some(record);
        self.announced = Some(version);
        Ok(version)
    }

    fn put(&self, version: u32, secret: &Secret) -> anyhow::Result<()> {
        self.context.keep(&*self.store, &self.item(version), secret).map_err(Situation::from)?;
        Ok(())
    }

    fn switch(&self, version: u32, kind: Kind, fill: &impl Fn(&mut Record)) -> anyhow::Result<Record> {
        self.context.update(|inventory| {
            not_in_rotation(inventory, self.key)?;
            let store = own_store(inventory, self.store.name());
            let record = inventory.keys.get_mut(self.key);
            let record = record
                .filter(|it| it.id == self.id && it.pending == Some(version))
                .ok_or_else(|| changed(self.key))?;
            // The lowest version that is to be dropped marks what is left to do.
            record.previous = record.previous.or(record.current);
            record.current = Some(version);
            record.pending = None;
            record.state = KeyState::Active;
            record.kind = kind;
            record.store = store;
            record.create_call = None;
            fill(record);
            Ok(record.clone())
        })
    }

    /// The secret is the current one: only what is recorded of it changes.
    fn describe(&self, kind: Kind, fill: &impl Fn(&mut Record)) -> anyhow::Result<Record> {
        let record = self.context.update(|inventory| {
            self.check_unchanged(inventory)?;
            let record = inventory.keys.get_mut(self.key).ok_or_else(|| changed(self.key))?;
            record.state = KeyState::Active;
            record.kind = kind;
            record.create_call = None;
            fill(record);
            Ok(record.clone())
        })?;
        self.drop_replaced(record)
    }

    /// Deletes the versions before the current one, then drops their mark. What
    /// cannot be deleted now keeps its mark.
    fn drop_replaced(&self, mut record: Record) -> anyhow::Result<Record> {
        let (Some(first), Some(current)) = (record.previous, record.current) else { return Ok(record) };
        let stores = self.old_store.iter().chain((!self.same_store()).then_some(&self.store));
        for store in stores {
            for version in first..current {
                // Nothing of it was put there by keyctl.
                if !store.row().writable {
                    continue;
                }
                if let Err(error) = store.delete(&self.item(version)) {
                    self.context.operator.warning(format!(
                        "the secret before is still in the {} store: {error}",
                        store.name()
                    ));
                    return Ok(record);
                }
            }
        }
        record.previous = None;
        self.context.update(|inventory| {
            if let Some(held) = inventory.keys.get_mut(self.key).filter(|it| it.current == record.current) {
                held.previous = None;
            }
            Ok(())
        })?;
        Ok(record)
    }

    fn same_store(&self) -> bool {
        self.old_store.as_ref().is_none_or(|it| it.name() == self.store.name())
    }

    /// Another process may have changed the versions meanwhile.
    fn check_unchanged(&self, inventory: &Inventory) -> Result<(), Situation> {
        let held = inventory.keys.get(self.key);
        if held.map(versions) == self.seen.as_ref().map(versions) {
            return not_in_rotation(inventory, self.key);
        }
        if self.seen.is_none() && self.existing == Existing::Refuse {
            return Err(exists(self.key));
        }
        Err(changed(self.key))
    }
}

type Versions<'a> = (&'a RecordId, Option<u32>, Option<u32>, Option<u32>, u32);

fn versions(record: &Record) -> Versions<'_> {
    (&record.id, record.current, record.pending, record.previous, record.highest)
}

/// Returns whether a record was announced, but its secret never came into use.
fn is_unfinished(record: &Record) -> bool {
    record.state == KeyState::Pending && record.current.is_none()
}

/// Refuses a key ref under which a key is kept already.
///
/// # Errors
/// Exit 9.
pub fn must_be_free(inventory: &Inventory, key: &KeyRef) -> Result<(), Situation> {
    match inventory.keys.get(key) {
        Some(record) if !is_unfinished(record) => Err(exists(key)),
        _ => Ok(()),
    }
}

/// Refuses a key that a rotation is busy with.
///
/// # Errors
/// Exit 9.
pub fn not_in_rotation(inventory: &Inventory, key: &KeyRef) -> Result<(), Situation> {
    match inventory.rotation_of(key) {
        None => Ok(()),
        Some(rotation) => Err(Situation::refused(
            "rotation-running",
            format!("`{key}` is being rotated (stage {})", rotation.stage),
        )
        .hint(format!("finish it first: `keyctl rotate {key} --resume`, or `--abort`, `--rollback`"))),
    }
}

fn exists(key: &KeyRef) -> Situation {
    Situation::refused("key-exists", format!("there is a key `{key}` already")).hint(format!(
        "`keyctl rotate {key}` replaces it without an outage; `keyctl add {key} --replace` puts another in its \
         place at once"
    ))
}

fn unfinished(key: &KeyRef, record: &Record) -> Situation {
    let last2 = record.last2.as_ref().map(|it| format!(" (…{it})")).unwrap_or_default();
    Situation::refused(
        "key-exists",
        format!("another secret{last2} was stored for `{key}` before, and not yet put to use"),
    )
    .hint("give that one again to go on with it, or say `--replace`")
}

fn changed(key: &KeyRef) -> Situation {
    Situation::refused("changed-meanwhile", format!("`{key}` was changed by another process meanwhile"))
        .hint("look at it with `keyctl show`, and try again")
}

fn not_writable(error: crate::store::StoreError, store: &dyn Store, key: &KeyRef) -> Situation {
    let situation = Situation::from(error);
    let Some(name) = store.row().set_by_person(key) else { return situation };
    situation.hint(format!(
        "set `{name}` where the variables come from, or choose a store that can be written: `--store keyring`, \
         `--store file`"
    ))
}

/// Returns the store a new record goes to.
fn new_store_name<'a>(context: &'a Context, inventory: &'a Inventory) -> &'a str {
    context.options.store.as_deref().or(inventory.store.as_deref()).unwrap_or(store::DEFAULT)
}

/// Returns the store that a record itself names, whatever this call reads from.
pub fn recorded_store<'a>(inventory: &'a Inventory, record: &'a Record) -> &'a str {
    record.store.as_deref().or(inventory.store.as_deref()).unwrap_or(store::DEFAULT)
}

/// The first key decides where keys are kept from then on. Keys without a
/// store of their own are in the keyring while none is chosen.
fn remember_store(inventory: &mut Inventory, name: &str) {
    if inventory.store.is_none() && (inventory.keys.is_empty() || name == store::DEFAULT) {
        inventory.store = Some(name.to_owned());
    }
}

/// Returns what a record has to say of its store: nothing when it is the
/// inventory's.
pub fn own_store(inventory: &Inventory, name: &str) -> Option<String> {
    (inventory.store.as_deref().unwrap_or(store::DEFAULT) != name).then(|| name.to_owned())
}

fn fresh_id() -> anyhow::Result<RecordId> {
    let mut bytes = [0_u8; 10];
    getrandom::fill(&mut bytes).map_err(|error| {
        Situation::failed("no-random-bytes", format!("the system gives no random bytes: {error}"))
    })?;
    Ok(RecordId::from_random(bytes))
}
