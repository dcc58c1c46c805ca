//! The state folder: what this machine remembers between runs that is neither
//! a secret nor part of the inventory: last verdicts, evidence for later
//! checks, approved commands, saved allowlists. Each is one JSON file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

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

/// The entries of one file by their ids, each as it stands there until it is
/// asked for: ten thousand take a third of what they are as values.
pub struct Entries<T> {
    texts: BTreeMap<Box<str>, Box<RawValue>>,
    of: PhantomData<T>,
}

impl<T: DeserializeOwned> Entries<T> {
    /// Returns an entry; a damaged one counts as missing.
    pub fn get(&self, id: &str) -> Option<T> {
        serde_json::from_slice(self.texts.get(id)?.get().as_bytes()).ok()
    }
}

impl<T: Serialize> FromIterator<(String, T)> for Entries<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        let text =
            |(id, entry): (String, T)| Some((id.into(), serde_json::value::to_raw_value(&entry).ok()?));
        Self { texts: entries.into_iter().filter_map(text).collect(), of: PhantomData }
    }
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
        let path = self.file(name);
        let bytes = if is_link(&path) { Vec::new() } else { std::fs::read(path).unwrap_or_default() };
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Reads one file, entry by entry.
    pub fn entries<T>(&self, name: &str) -> Entries<T> {
        Entries { texts: self.read(name), of: PhantomData }
    }

    /// Changes these entries of one file under a lock: `change` is given what
    /// is known of each, and the entry as it was. Nothing is written for none.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn change<T, N>(
        &self,
        name: &str,
        news: &BTreeMap<&str, N>,
        change: impl Fn(&N, Option<T>) -> T,
    ) -> anyhow::Result<()>
    where
        T: DeserializeOwned + Serialize,
    {
        if news.is_empty() {
            return Ok(());
        }
        let path = self.file(name);
        let _lock = Lock::acquire(&path, LOCK_LIMIT)?;
        let held: Entries<T> = self.entries(name);
        let mut ids: BTreeSet<&str> = news.keys().copied().collect();
        ids.extend(held.texts.keys().map(|id| &**id));
        save(&path, |out| {
            for (n, id) in ids.into_iter().enumerate() {
                write!(out, "{}{}:", if n == 0 { "{" } else { "," }, serde_json::Value::from(id))?;
                match (news.get(id), held.texts.get(id)) {
                    (Some(new), _) => serde_json::to_writer(&mut *out, &change(new, held.get(id)))?,
                    (None, old) => out.write_all(old.map_or("null", |it| it.get()).as_bytes())?,
                }
            }
            out.write_all(b"}")
        })
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
        let _lock = Lock::acquire(&path, LOCK_LIMIT)?;
        let mut content: T = self.read(name);
        let result = change(&mut content);
        save(&path, |out| Ok(serde_json::to_writer(out, &content)?))?;
        Ok(result)
    }

    /// Returns the names of all files, without those of locks.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let json = entries.map(|it| it.path()).filter(|it| it.extension().is_some_and(|it| it == "json"));
        let mut names: Vec<String> =
            json.filter_map(|it| Some(it.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        names
    }

    /// Removes one file; one that is not there is removed already.
    pub fn remove(&self, name: &str) {
        let _ = std::fs::remove_file(self.file(name));
    }

    /// Returns a folder within this one.
    pub fn within(&self, name: &str) -> Self {
        Self { folder: self.folder.join(name) }
    }

    /// Returns the path of one file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension("json")
    }
}

/// How long a change waits for that of another process.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

/// A link here is not ours: what it leads to may be anybody's file.
fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink())
}

fn save(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    anyhow::ensure!(!is_link(path), "`{}` is a link; remove it: keyctl keeps a file there", path.display());
    durable::replace_by(path, write, || crate::checkpoint::pass("state"))
        .with_context(|| format!("cannot write `{}`", path.display()))
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

    #[test]
    fn single_entries_change_and_the_others_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::at(folder.path());
        let path = folder.path().join("evidence.json");
        std::fs::write(&path, r#"{"k1":{"allowlist":true},"k3":{"newer": 1}}"#).unwrap();
        let change = |id: &&str, old: Option<Evidence>| Evidence {
            account_id: Some((*id).to_owned()),
            ..old.unwrap_or_default()
        };
        state.change(EVIDENCE, &[("k1", "a"), ("k2", "b")].into(), change).unwrap();
        let entries: Entries<Evidence> = state.entries(EVIDENCE);
        let read = |id| entries.get(id).map(|it| (it.allowlist, it.account_id));
        assert_eq!(read("k1"), Some((Some(true), Some("a".to_owned()))));
        assert_eq!(read("k2"), Some((None, Some("b".to_owned()))));
        assert_eq!(read("k4"), None);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with(r#""k3":{"newer": 1}}"#), "{text}");
    }
}
