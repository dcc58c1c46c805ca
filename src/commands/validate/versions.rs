//! The records of keys that are being rotated, as they are of the versions that
//! are not current: the `env` store may still hold, or hold already, one of them.

use std::collections::BTreeMap;

use crate::context::{Slot, version_of};
use crate::inventory::Inventory;
use crate::key::{KeyRef, Record};

/// Records by key and version.
pub struct Versions(BTreeMap<(KeyRef, Slot), Record>);

impl Versions {
    /// Returns the pending and previous versions of all running rotations.
    pub fn of(inventory: &Inventory) -> Self {
        let keys = inventory.rotations.values().flat_map(|it| &it.keys);
        let records = keys.filter_map(|key| inventory.keys.get_key_value(key));
        let versions = records.flat_map(|(key, record)| {
            [Slot::Pending, Slot::Previous]
                .map(|slot| ((key.clone(), slot), version_of(inventory, key, record, slot).into_owned()))
        });
        Self(versions.collect())
    }

    /// Returns the record of a key as it is of one version.
    pub fn get(&self, key: &KeyRef, slot: Slot) -> Option<&Record> {
        self.0.get(&(key.clone(), slot))
    }
}
