//! The state folder: what this machine remembers between runs that is neither
//! a secret nor part of the inventory: last verdicts, evidence for later
//! checks, approved commands, saved allowlists. Each is one JSON file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::durable::{self, Lock};
use crate::key::{Expiry, Record};

/// The last verdict of a key, for `list`, `changed` and `--max-age`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastVerdict {
    /// Of the secret that was judged; another secret makes it void. Empty for
    /// one that a person may have chosen.
    pub fingerprint: String,
    /// The version that was judged: it tells secrets without a fingerprint apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    pub verdict: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    pub checked_at: Timestamp,
    /// When the key was last accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// The scopes where it was not fit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<String, Unfit>,
    /// What of the inventory it was judged by, as one digest: a change there
    /// makes it void for `--max-age`.
    #[serde(default)]
    pub basis: String,
    /// How many domains could be chosen with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selectable: Option<usize>,
    /// The end that the provider told.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub expires: Expiry,
}

fn is_unknown(expiry: &Expiry) -> bool {
    *expiry == Expiry::Unknown
}

impl LastVerdict {
    /// Returns whether it was given on the secret that is current now.
    pub fn is_of(&self, record: &Record) -> bool {
        match &record.fingerprint {
            Some(recorded) => recorded.as_str() == self.fingerprint,
            None => self.version == record.current,
        }
    }
}

/// Why a key was not fit for a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfit {
    pub reason: String,
    /// The domain that the scope had then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// Last verdicts by record id.
pub type Verdicts = BTreeMap<String, LastVerdict>;

/// What the last success of a key told about its account: it decides later
/// whether a refusal may be a block of this address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    #[serde(default)]
    pub allowlist: Option<bool>,
    #[serde(default)]
    pub account_id: Option<String>,
    /// Ids of the account's keys.
    #[serde(default)]
    pub key_ids: Vec<String>,
    #[serde(default)]
    pub domains: Vec<String>,
}

/// The folder. A missing file is an empty one.
#[derive(Debug, Clone)]
pub struct StateFolder {
    folder: PathBuf,
}

impl StateFolder {
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Reads one file; a damaged one counts as empty, since all of this can be
    /// found out again.
    pub fn read<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        let bytes = std::fs::read(self.file(name)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Changes one file under a lock.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn update<T, R>(&self, name: &str, change: impl FnOnce(&mut T) -> R) -> anyhow::Result<R>
    where
        T: DeserializeOwned + Default + Serialize,
    {
        let path = self.file(name);
        let _lock = Lock::acquire(&path.with_extension("lock"), Duration::from_secs(10))?;
        let mut content: T = self.read(name);
        let result = change(&mut content);
        let bytes = serde_json::to_vec(&content)?;
        durable::replace(&path, &bytes, || crate::checkpoint::pass("state"))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(result)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension("json")
    }
}

/// File names of the folder.
pub const VERDICTS: &str = "verdicts";
pub const EVIDENCE: &str = "evidence";
pub const APPROVALS: &str = "approvals";
pub const ALLOWLISTS: &str = "allowlists";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::at(folder.path());
        std::fs::write(folder.path().join("verdicts.json"), "{").unwrap();
        assert!(state.read::<Verdicts>(VERDICTS).is_empty());
        state
            .update(EVIDENCE, |all: &mut BTreeMap<String, Evidence>| {
                all.insert("k1".into(), Evidence { allowlist: Some(true), ..Evidence::default() });
            })
            .unwrap();
        let all: BTreeMap<String, Evidence> = state.read(EVIDENCE);
        assert_eq!(all["k1"].allowlist, Some(true));
    }
}
