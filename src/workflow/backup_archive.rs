//! What a backup holds: the inventory's text and every secret it refers to. The
//! form of the file is here; `restore` reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::Secret;

/// What a backup holds.
#[derive(Serialize, Deserialize)]
pub struct Archive {
    pub version: u32,
    /// The inventory's text.
    pub inventory: String,
    /// By record id, then version: key ref and secret.
    pub secrets: BTreeMap<String, BTreeMap<u32, String>>,
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
