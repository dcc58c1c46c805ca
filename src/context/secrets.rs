//! Reading and writing secrets on behalf of commands: which store holds a
//! record, and the order of writing that loses nothing.

use std::sync::Arc;

use super::Context;
use crate::exit::Situation;
use crate::inventory::Inventory;
use crate::key::{KeyRef, Record, Secret};
use crate::store::{self, Item, Store, StoreError, Surroundings};

/// Which of a record's versions is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slot {
    #[default]
    Current,
    Pending,
    Previous,
}

impl Slot {
    pub const ALL: [Self; 3] = [Self::Current, Self::Pending, Self::Previous];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Pending => "pending",
            Self::Previous => "previous",
        }
    }

    /// Returns the version a record has in this slot.
    pub fn version(self, record: &Record) -> Option<u32> {
        match self {
            Self::Current => record.current,
            Self::Pending => record.pending,
            Self::Previous => record.previous,
        }
    }
}
crate::key::kind::fixed_words!(Slot, "slot");

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
        let chosen = [&self.global.store, &record.store, &inventory.store];
        chosen.into_iter().flatten().next().map_or("keyring", String::as_str)
    }

    /// Reads one version of a record's secret; `Ok(None)`: it is not there.
    ///
    /// # Errors
    /// The store's trouble.
    pub fn secret(
        &self,
        inventory: &Inventory,
        key: &KeyRef,
        record: &Record,
        slot: Slot,
    ) -> Result<Option<Secret>, StoreError> {
        let store = self
            .store_of(inventory, record)
            .map_err(|error| StoreError::new(store::StoreProblem::Other, error.to_string()))?;
        // The env store has one version per key and needs no number.
        let version = match slot.version(record) {
            Some(version) => version,
            None if store.name() == "env" && slot == Slot::Current => 0,
            None => return Ok(None),
        };
        let item = Item { id: record.id.clone(), version, key: key.clone() };
        let found = store.get(&item)?;
        if let (Some(secret), "env", Some(recorded)) = (&found, store.name(), &record.fingerprint)
            && secret.fingerprint() != *recorded
        {
            self.console.warning(format!(
                "{} holds another secret than the one recorded for `{key}`",
                store::env::variable(key)
            ));
        }
        Ok(found)
    }

    /// Reads a secret that must be there.
    ///
    /// # Errors
    /// Exit 7 when the store cannot be read, exit 8 when the secret is missing.
    pub fn need_secret(
        &self,
        inventory: &Inventory,
        key: &KeyRef,
        record: &Record,
        slot: Slot,
    ) -> anyhow::Result<Secret> {
        // A store that does not exist is a mistake of whoever named it.
        self.store_of(inventory, record)?;
        let found = self.secret(inventory, key, record, slot).map_err(Situation::from)?;
        found.ok_or_else(|| {
            let store = self.store_name_of(inventory, record);
            let hint = self.store_again(inventory, key, record);
            let what = if slot == Slot::Current { String::new() } else { format!("{slot} ") };
            let situation = Situation::missing(
                "secret-missing",
                format!("the {what}secret of `{key}` is not in the {store} store"),
            );
            situation.hint(hint).into()
        })
    }

    /// Returns what to do about a secret that its store does not have.
    pub fn store_again(&self, inventory: &Inventory, key: &KeyRef, record: &Record) -> String {
        match self.store_name_of(inventory, record) {
            "env" => format!("set {}", store::env::variable(key)),
            _ => format!("store it again: `keyctl add {key} --replace`"),
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
        let (asking, telling) = (self.console.clone(), self.console.clone());
        let ask: store::Ask = Arc::new(move |prompt: &str| asking.ask_secret(prompt));
        Surroundings {
            data_dir: self.folders.data.clone(),
            config_dir: self.folders.config.clone(),
            store_file: self.environment.path("KEYCTL_STORE_FILE"),
            identity_file: self.environment.path("KEYCTL_IDENTITY_FILE"),
            credentials: self.environment.path("CREDENTIALS_DIRECTORY"),
            identity: self.environment.get("KEYCTL_IDENTITY").map(Secret::new),
            passphrase_file: self.environment.path("KEYCTL_PASSPHRASE_FILE"),
            variables: self.environment.shared(),
            interactive: self.console.can_ask(),
            ask: self.console.can_ask_secret().then_some(ask),
            notice: Some(Arc::new(move |text: &str| telling.note(text))),
        }
    }
}
