//! Where secrets are kept. Each store is one file and one row of [`TABLE`].
//!
//! A secret is written once under a name that is never reused
//! (`<record id>#<version>`), read back, and only then referred to.

pub mod env;
pub mod file;
pub mod keyring;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use crate::key::{KeyRef, RecordId, Secret};

/// The name of one immutable secret version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub id: RecordId,
    pub version: u32,
    /// Stands in the item's label and names the variable of the `env` store.
    pub key: KeyRef,
}

impl Item {
    /// Returns the name under which stores keep this version: `<id>#<n>`.
    pub fn user(&self) -> String {
        format!("{}#{}", self.id, self.version)
    }

    /// Returns the label a person sees in a keyring program.
    pub fn label(&self) -> String {
        format!("keyctl: {}", self.key)
    }
}

/// A place that keeps secrets. Absence is `Ok(None)`; deleting what is gone is
/// `Ok(false)`; every other trouble has its own [`StoreProblem`].
pub trait Store: Send + Sync {
    /// Returns the row that says what it can do.
    fn row(&self) -> &'static Row;

    /// Returns the store's word: `keyring`, `file`, `env`.
    fn name(&self) -> &'static str {
        self.row().name
    }

    /// Proves that a secret could be written now, changing nothing that stays.
    fn check_writable(&self) -> Result<(), StoreError>;

    /// Proves that secrets could be read now.
    fn check_readable(&self) -> Result<(), StoreError>;

    /// Reads one version.
    ///
    /// # Errors
    /// Never for absence.
    fn get(&self, item: &Item) -> Result<Option<Secret>, StoreError>;

    /// Writes one version.
    ///
    /// # Errors
    /// When it is not certain that the store holds it now.
    fn put(&self, item: &Item, secret: &Secret) -> Result<(), StoreError>;

    /// Deletes one version; `Ok(false)` when it was not there.
    ///
    /// # Errors
    /// When it may still be there.
    fn delete(&self, item: &Item) -> Result<bool, StoreError>;

    /// Says in plain words where it is and what it protects against.
    fn describe(&self) -> Description;
}

/// What `store status` says of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The file, service or variable it lives in.
    pub location: String,
    pub protects: &'static str,
    pub does_not_protect: &'static str,
}

/// The different answers most programs fold into "not found".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreProblem {
    Locked,
    NoService,
    NoDefaultCollection,
    TimedOut,
    /// Two items claim the same name.
    Ambiguous,
    ReadOnly,
    /// Not set up yet: no file, no identity.
    NotInitialised,
    /// There, but not what it should be, or not ours to read.
    Unreadable,
    /// Encrypted to others than the identity in use.
    WrongIdentity,
    /// Cut short or changed.
    Damaged,
    Other,
}

impl StoreProblem {
    /// Returns the stable word of this problem (`error.code` in JSON).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "store-locked",
            Self::NoService => "store-no-service",
            Self::NoDefaultCollection => "store-no-default-collection",
            Self::TimedOut => "store-timed-out",
            Self::Ambiguous => "store-ambiguous",
            Self::ReadOnly => "store-read-only",
            Self::NotInitialised => "store-not-initialised",
            Self::Unreadable => "store-unreadable",
            Self::WrongIdentity => "store-wrong-identity",
            Self::Damaged => "store-damaged",
            Self::Other => "store-failed",
        }
    }
}

/// Trouble with a store: what, and what to do about it. Never holds bytes of
/// a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    pub problem: StoreProblem,
    pub message: String,
    pub remedy: Option<String>,
}

impl StoreError {
    pub fn new(problem: StoreProblem, message: impl Into<String>) -> Self {
        Self { problem, message: message.into(), remedy: None }
    }

    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}

/// What a store needs to know of the surroundings to open itself. Plain data,
/// filled by the context, so that no store reads the environment.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The data folder of keyctl.
    pub data_dir: std::path::PathBuf,
    /// The configuration folder of keyctl.
    pub config_dir: std::path::PathBuf,
    /// `KEYCTL_STORE_FILE`
    pub store_file: Option<std::path::PathBuf>,
    /// `KEYCTL_IDENTITY_FILE`
    pub identity_file: Option<std::path::PathBuf>,
    /// `CREDENTIALS_DIRECTORY`, where systemd hands files to a service
    pub credentials: Option<std::path::PathBuf>,
    /// `KEYCTL_IDENTITY`, by value
    pub identity: Option<Secret>,
    /// `KEYCTL_PASSPHRASE_FILE`
    pub passphrase_file: Option<std::path::PathBuf>,
    /// The environment; the `env` store takes every `KEYCTL_SECRET_…` of it.
    pub variables: std::sync::Arc<BTreeMap<OsString, OsString>>,
    /// Whether somebody could answer a desktop prompt: then a store may wait longer.
    pub interactive: bool,
    /// Asks a person for a passphrase; `None` when nobody can be asked.
    pub ask: Option<Ask>,
    /// Tells a person what is being waited for; stores themselves never print.
    pub notice: Option<Notice>,
}

/// Asks a person for a secret with a prompt; `None` when they decline.
pub type Ask = std::sync::Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

/// Tells a person something while a store waits.
pub type Notice = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// One row of the table of stores. What differs from store to store is asked of
/// it; nobody outside compares with a store's word.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    pub summary: &'static str,
    /// Whether keyctl puts secrets there, and deletes them again.
    pub writable: bool,
    pub naming: Naming,
    pub open: fn(&Surroundings) -> Box<dyn Store>,
}

/// Under which names a store keeps secrets.
#[derive(Debug, Clone, Copy)]
pub enum Naming {
    /// Each version of a record has a name of its own ([`Item::user`]), under
    /// which nobody but keyctl puts a secret.
    ByVersion,
    /// One name for all versions of a key, under which a person or a CI system
    /// puts the secret. Returns that name as one would type it.
    ByKey(fn(&KeyRef) -> String),
}

impl Row {
    /// Returns whether each version of a record is kept apart, so that a number
    /// decides what is read. Else any version asked for gives the same text.
    pub fn is_versioned(&self) -> bool {
        match self.naming {
            Naming::ByVersion => true,
            Naming::ByKey(_) => false,
        }
    }

    /// Returns the name under which a person puts the secret of a key; `None`
    /// where keyctl does that.
    pub fn set_by_person(&self, key: &KeyRef) -> Option<String> {
        match self.naming {
            Naming::ByVersion => None,
            Naming::ByKey(name) => Some(name(key)),
        }
    }
}

/// Every store, in the order of help texts and `store status`.
pub const TABLE: &[Row] = &[keyring::ROW, file::ROW, env::ROW];

/// The store of whoever never chose one.
pub const DEFAULT: &str = keyring::ROW.name;

/// Returns the row of a store by its word.
pub fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// Opens a store by its word. Nothing is read before it is used.
pub fn open(name: &str, surroundings: &Surroundings) -> Result<Box<dyn Store>, UnknownStore> {
    row(name).map(|row| (row.open)(surroundings)).ok_or_else(|| UnknownStore(name.to_owned()))
}

/// A word that names no store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStore(pub String);

impl fmt::Display for UnknownStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
        let name = crate::key::text::printable(&self.0, 80);
        write!(f, "`{name}` is no store; there are {}", names.join(", "))
    }
}

impl std::error::Error for UnknownStore {}

/// Returns whether two secrets are the same text.
fn same(one: &Secret, other: &Secret) -> bool {
    one.expose() == other.expose()
}

/// A secret version is written once; another secret under its name means that
/// two programs believe they own it.
fn never_overwritten(item: &Item) -> StoreError {
    StoreError::new(
        StoreProblem::Other,
        format!("the store holds another secret of {} as `{}` already", item.key, item.user()),
    )
    .remedy("nothing was changed; run `keyctl doctor`")
}

/// The store took a secret and does not give it back.
fn not_read_back(item: &Item) -> StoreError {
    StoreError::new(
        StoreProblem::Other,
        format!("the store took the secret of {} but does not give it back unchanged", item.key),
    )
    .remedy("do not rely on it: choose another store with `--store`")
}

#[cfg(test)]
mod tests;
