//! Reading and writing secrets on behalf of commands: which store holds a
//! record, and the order of writing that loses nothing.

use std::borrow::Cow;
use std::sync::Arc;

use super::Context;
use super::stored::{self, Stored, Unusable, Usable, Wanted};
use crate::context::slot::Slot;
use crate::exit::Situation;
use crate::inventory::Inventory;
use crate::key::{KeyRef, Record, Secret};
use crate::operator::Presence;
use crate::store::{self, Item, Row, Store, StoreError, Surroundings};

impl Context {
    /// Returns a store by its word, opened once.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn store(&self, name: &str) -> anyhow::Result<Arc<dyn Store>> {
        let row = store::row(name).ok_or_else(|| {
            let known = store::TABLE.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
            Situation::usage(format!("`{}` is no store; known: {known}", crate::key::shape::shown(name, 40)))
        })?;
        let mut stores = self.stores.borrow_mut();
        let held = stores.entry(row.name).or_insert_with(|| Arc::from((row.open)(&self.surroundings())));
        Ok(Arc::clone(held))
    }

    /// Returns the store that holds a record: `--store` for this call, the
    /// record's own, the inventory's, the keyring.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn store_of(&self, inventory: &Inventory, record: &Record) -> anyhow::Result<Arc<dyn Store>> {
        self.store(self.store_name_of(inventory, record))
    }

    /// Returns the word of the store that holds a record.
    pub fn store_name_of<'a>(&'a self, inventory: &'a Inventory, record: &'a Record) -> &'a str {
        let chosen = [&self.options.store, &record.store, &inventory.store];
        chosen.into_iter().flatten().next().map_or(store::DEFAULT, String::as_str)
    }

    /// Returns what the store that holds a record can do; `None` for a word that
    /// names no store.
    pub fn store_row_of(&self, inventory: &Inventory, record: &Record) -> Option<&'static Row> {
        self.store_of(inventory, record).ok().map(|it| it.row())
    }

    /// Returns whether the store of this word keeps versions apart. One that
    /// does not exist gives no text that could be another version.
    pub fn is_versioned(&self, store: &str) -> bool {
        self.store(store).map_or(true, |it| it.row().is_versioned())
    }

    /// Reads one version of a record's secret and holds it against the record.
    ///
    /// # Errors
    /// The store's trouble.
    pub fn stored(
        &self,
        inventory: &Inventory,
        key: &KeyRef,
        record: &Record,
        slot: Slot,
    ) -> Result<Stored, StoreError> {
        let store = self
            .store_of(inventory, record)
            .map_err(|error| StoreError::new(store::StoreProblem::Other, error.to_string()))?;
        // A store that does not keep versions apart needs no number.
        let version = match slot.version(record) {
            Some(version) => version,
            None if !store.row().is_versioned() && slot == Slot::Current => 0,
            None => return Ok(Stored::Absent),
        };
        let item = Item { id: record.id.clone(), version, key: key.clone() };
        let wanted = Wanted { inventory, key, record, slot };
        Ok(store.get(&item)?.map_or(Stored::Absent, |text| wanted.compare(store.row(), text)))
    }

    /// Returns exactly one version of a record's secret; `Ok(None)`: it is not
    /// there, also where the `env` store holds another version.
    ///
    /// # Errors
    /// The store's trouble, or a text that is not the record's.
    pub fn secret(
        &self,
        inventory: &Inventory,
        key: &KeyRef,
        record: &Record,
        slot: Slot,
    ) -> Result<Option<Secret>, Unusable> {
        match self.stored(inventory, key, record, slot)? {
            Stored::Fits(secret) => Ok(Some(secret)),
            Stored::Absent | Stored::OtherVersion(..) => Ok(None),
            Stored::Mismatch(mismatch) => Err(Unusable::Mismatch(mismatch)),
        }
    }

    /// Refuses a record whose store holds a newer version than the inventory
    /// knows: this inventory is a stale copy, and the secret in use is another
    /// one, which somebody else stored.
    ///
    /// # Errors
    /// Exit 9 for a stale copy, exit 7 when the store cannot be read.
    pub fn must_be_newest(&self, store: &dyn Store, key: &KeyRef, record: &Record) -> Result<(), Situation> {
        let next = Item { id: record.id.clone(), version: record.highest + 1, key: key.clone() };
        if !store.row().is_versioned() || store.get(&next).map_err(Situation::from)?.is_none() {
            return Ok(());
        }
        Err(Situation::refused(
            "stale-inventory",
            format!("the {} store holds a newer secret of `{key}` than this inventory knows", store.name()),
        )
        .hint(
            "this inventory is an old copy: use the one that was changed last (pull it, or restore its newest \
             backup); nothing was changed",
        ))
    }

    /// Returns exactly one version of a secret that must be there.
    ///
    /// # Errors
    /// Exit 7 when the store cannot be read, exit 8 when the secret is missing,
    /// exit 4 when the store holds a text that is not the record's.
    pub fn need_secret(
        &self,
        inventory: &Inventory,
        key: &KeyRef,
        record: &Record,
        slot: Slot,
    ) -> anyhow::Result<Secret> {
        // A store that does not exist is a mistake of whoever named it.
        self.store_of(inventory, record)?;
        match self.stored(inventory, key, record, slot).map_err(Situation::from)? {
            Stored::Fits(secret) => Ok(secret),
            Stored::Absent => Err(self.absent(inventory, key, record, slot).into()),
            Stored::OtherVersion(other, _) => {
                let situation = self.absent(inventory, key, record, slot);
                Err(situation.hint(self.other_version(inventory, key, record, other)).into())
            }
            Stored::Mismatch(mismatch) => Err(mismatch.not_sent().into()),
        }
    }

    /// Returns the secret that a command sends which only reads at the
    /// provider: the current version, or the one that the `env` store holds of
    /// a key that is being rotated.
    ///
    /// # Errors
    /// As [`Self::need_secret`].
    pub fn usable<'r>(
        &self,
        inventory: &Inventory,
        key: &KeyRef,
        record: &'r Record,
    ) -> anyhow::Result<Usable<'r>> {
        self.store_of(inventory, record)?;
        match self.stored(inventory, key, record, Slot::Current).map_err(Situation::from)? {
            Stored::OtherVersion(slot, secret) => {
                self.hint_once(self.other_version(inventory, key, record, slot));
                Ok(Usable { secret, record: stored::version_of(inventory, key, record, slot) })
            }
            Stored::Fits(secret) => Ok(Usable { secret, record: Cow::Borrowed(record) }),
            Stored::Absent => Err(self.absent(inventory, key, record, Slot::Current).into()),
            Stored::Mismatch(mismatch) => Err(mismatch.not_sent().into()),
        }
    }

    /// Returns a secret for `get`, `run` and `export`. One of the `env` store
    /// that is not the recorded one goes along with a warning if it has the
    /// form of such a key.
    ///
    /// # Errors
    /// As [`Self::need_secret`], but exit 9 for a text that is not handed out.
    pub fn handout(
        &self,
        inventory: &Inventory,
        key: &KeyRef,
        record: &Record,
        slot: Slot,
    ) -> anyhow::Result<Secret> {
        self.store_of(inventory, record)?;
        match self.stored(inventory, key, record, slot).map_err(Situation::from)? {
            Stored::Fits(secret) => Ok(secret),
            Stored::OtherVersion(other, secret) if slot == Slot::Current => {
                self.operator.warning(self.other_version(inventory, key, record, other));
                Ok(secret)
            }
            Stored::OtherVersion(..) | Stored::Absent => {
                Err(self.absent(inventory, key, record, slot).into())
            }
            Stored::Mismatch(mismatch) => {
                let warning = mismatch.message();
                let secret = mismatch.handed_out()?;
                self.operator.warning(warning);
                Ok(secret)
            }
        }
    }

    fn absent(&self, inventory: &Inventory, key: &KeyRef, record: &Record, slot: Slot) -> Situation {
        let store = self.store_name_of(inventory, record);
        let what = if slot == Slot::Current { String::new() } else { format!("{slot} ") };
        let message = format!("the {what}secret of `{key}` is not in the {store} store");
        Situation::missing("secret-missing", message).hint(self.store_again(inventory, key, record))
    }

    /// Says that the store of a record gave another version than the current one.
    pub fn other_version(&self, inventory: &Inventory, key: &KeyRef, record: &Record, slot: Slot) -> String {
        let row = self.store_row_of(inventory, record);
        let place = row.and_then(|it| it.set_by_person(key));
        let place = place.unwrap_or_else(|| format!("the {} store", self.store_name_of(inventory, record)));
        stored::other_version(&place, key, slot)
    }

    /// Returns what to do about a secret that its store does not have.
    pub fn store_again(&self, inventory: &Inventory, key: &KeyRef, record: &Record) -> String {
        match self.store_row_of(inventory, record).and_then(|row| row.set_by_person(key)) {
            Some(name) => format!("set {name}"),
            None => format!("store it again: `keyctl add {key} --replace`"),
        }
    }

    /// Writes a secret under a version that was announced before, and reads it
    /// back: only then may the inventory refer to it.
    ///
    /// # Errors
    /// When it is not certain that the store holds it.
    pub fn keep(&self, store: &dyn Store, item: &Item, secret: &Secret) -> Result<(), StoreError> {
        store.put(item, secret)?;
        match store.get(item)? {
            Some(held) if held.fingerprint() == secret.fingerprint() => Ok(()),
            _ => Err(StoreError::new(
                store::StoreProblem::Other,
                format!(
                    "the {} store took the secret of `{}` but does not give it back",
                    store.name(),
                    item.key
                ),
            )),
        }
    }

    /// Returns what a store has to know to open itself.
    pub fn surroundings(&self) -> Surroundings {
        let (asking, telling) = (Arc::clone(&self.operator), Arc::clone(&self.operator));
        let ask: store::Ask = Arc::new(move |prompt: &str| asking.secret(prompt).ok().flatten());
        let presence = self.operator.presence();
        Surroundings {
            data_dir: self.folders.data.clone(),
            config_dir: self.folders.config.clone(),
            store_file: self.environment.path("KEYCTL_STORE_FILE"),
            identity_file: self.environment.path("KEYCTL_IDENTITY_FILE"),
            credentials: self.environment.path("CREDENTIALS_DIRECTORY"),
            identity: self.environment.get("KEYCTL_IDENTITY").map(Secret::new),
            passphrase_file: self.environment.path("KEYCTL_PASSPHRASE_FILE"),
            variables: self.environment.shared(),
            interactive: presence == Presence::Person,
            ask: (presence != Presence::NoOne).then_some(ask),
            notice: Some(Arc::new(move |text: &str| telling.note(text))),
        }
    }
}
