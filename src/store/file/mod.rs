//! The `file` store: one age file, encrypted to one or more X25519 recipients,
//! that can be shared and committed. The identity that opens it is another file
//! (or variable), which a passphrase may protect.
//!
//! Reading opens the file once per process. Writing takes the lock, reads the
//! file anew, changes it, replaces it whole and reads it back.

mod content;
mod disk;
mod identity;
mod manage;
mod recipients;
mod sealed;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use content::{Content, Entry, Trouble};
use identity::Keys;

pub use manage::{Created, Removed, add_recipient, init, list_recipients, remove_recipient};
pub use recipients::{Recipient, RecipientError, check as check_recipient};
pub use sealed::{is_sealed, seal_to, seal_with, unseal};

use super::{Description, Item, Naming, Row, Store, StoreError, StoreProblem, Surroundings};
use crate::durable::{self, Lock};
use crate::key::Secret;

pub const ROW: Row = Row {
    name: "file",
    summary: "one age-encrypted file, for one person or a team",
    writable: true,
    naming: Naming::ByVersion,
    open,
};

fn open(surroundings: &Surroundings) -> Box<dyn Store> {
    Box::new(FileStore::new(surroundings))
}

/// Returns where the store file is: `KEYCTL_STORE_FILE`, else in the data folder.
pub fn path(surroundings: &Surroundings) -> PathBuf {
    surroundings.store_file.clone().unwrap_or_else(|| surroundings.data_dir.join("secrets.age"))
}

/// Returns where the identity file is: `KEYCTL_IDENTITY_FILE`, else in the
/// configuration folder.
pub fn identity_path(surroundings: &Surroundings) -> PathBuf {
    identity::path(surroundings)
}

/// Returns the passphrase that `KEYCTL_PASSPHRASE_FILE` holds; `None` when it is
/// not set.
pub fn read_passphrase(surroundings: &Surroundings) -> Result<Option<Secret>, StoreError> {
    surroundings.passphrase_file.as_deref().map(identity::read_passphrase).transpose()
}

/// The store over one age file.
struct FileStore {
    surroundings: Surroundings,
    /// Where the file is, symbolic links followed.
    path: PathBuf,
    keys: Mutex<Option<Keys>>,
    opened: Mutex<Option<Content>>,
}

/// What a change of the content came to.
enum Change {
    Write,
    Nothing,
}

impl FileStore {
    fn new(surroundings: &Surroundings) -> Self {
        let path = durable::target(&path(surroundings));
        Self { surroundings: surroundings.clone(), path, keys: Mutex::default(), opened: Mutex::default() }
    }

    /// Returns the identities, loaded once so that a passphrase is asked for once.
    fn keys(&self) -> Result<Keys, StoreError> {
        let mut cached = held(&self.keys);
        if let Some(keys) = &*cached {
            return Ok(keys.clone());
        }
        let keys = identity::load(&self.surroundings)?;
        *cached = Some(keys.clone());
        Ok(keys)
    }

    /// Reads and opens the file as it is now.
    fn read(&self) -> Result<Content, StoreError> {
        self.open(&self.bytes()?)
    }

    fn bytes(&self) -> Result<Vec<u8>, StoreError> {
        disk::read(&self.path)?.ok_or_else(|| {
            StoreError::new(
                StoreProblem::NotInitialised,
                format!("there is no store file at `{}`", self.path.display()),
            )
            .remedy("make it with `keyctl store init file`, or name it with `KEYCTL_STORE_FILE`")
        })
    }

    fn open(&self, bytes: &[u8]) -> Result<Content, StoreError> {
        let keys = self.keys()?;
        content::open(bytes, &keys.identities).map_err(|trouble| self.explain(trouble, &keys))
    }

    /// Runs `look` on the content, which is read once per process.
    fn with<T>(&self, look: impl FnOnce(&Content) -> T) -> Result<T, StoreError> {
        let mut opened = held(&self.opened);
        if opened.is_none() {
            *opened = Some(self.read()?);
        }
        Ok(look(opened.get_or_insert_default()))
    }

    /// Takes the lock of the file. The identity is loaded before that: a person
    /// who is asked for its passphrase must not keep others waiting.
    fn lock(&self) -> Result<Lock, StoreError> {
        if self.path.exists() {
            self.keys()?;
        }
        disk::lock(&self.path, self.surroundings.notice.as_ref())
    }

    /// Changes the content under the lock and reads it back.
    fn change<T>(
        &self,
        point: &str,
        edit: impl FnOnce(&mut Content) -> Result<(Change, T), StoreError>,
    ) -> Result<T, StoreError> {
        let _lock = self.lock()?;
        let old = self.bytes()?;
        let mut content = self.open(&old)?;
        let (change, outcome) = edit(&mut content)?;
        if let Change::Write = change {
            let recipients = self.recipients()?;
            self.write(point, Some(&old), &content, &recipients)?;
            content = self.read()?;
        }
        *held(&self.opened) = Some(content);
        Ok(outcome)
    }

    /// Encrypts to `recipients` and replaces the file, which holds `old`. The
    /// caller holds the lock.
    fn write(
        &self,
        point: &str,
        old: Option<&[u8]>,
        content: &Content,
        recipients: &[Recipient],
    ) -> Result<(), StoreError> {
        let keys: Vec<_> = recipients.iter().filter_map(|it| it.key.parse().ok()).collect();
        let sealed = content::seal(content, &keys).map_err(|error| {
            StoreError::new(StoreProblem::Other, format!("cannot encrypt `{}`: {error}", self.path.display()))
        })?;
        disk::replace(&self.path, old, &sealed, point)
    }

    fn recipients_path(&self) -> PathBuf {
        recipients::path(&self.path)
    }

    fn recipients_text(&self) -> Result<recipients::Text, StoreError> {
        let path = self.recipients_path();
        recipients::Text::read(&path)?.ok_or_else(|| {
            StoreError::new(
                StoreProblem::NotInitialised,
                format!("there is no list of recipients at `{}`", path.display()),
            )
            .remedy(
                "restore it from a copy, or write the recipients (`age1…`, one a line) into it yourself: \
                 without it a write would shut others out",
            )
        })
    }

    fn recipients(&self) -> Result<Vec<Recipient>, StoreError> {
        self.recipients_text()?.list(&self.recipients_path())
    }

    fn explain(&self, trouble: Trouble, keys: &Keys) -> StoreError {
        let path = self.path.display();
        let (problem, message, remedy) = match trouble {
            Trouble::WrongIdentity => {
                let own = keys.recipients();
                let own = own.first().map_or("age1…", String::as_str);
                (
                    StoreProblem::WrongIdentity,
                    format!("the identity {} does not open `{path}`{}", keys.origin, self.who_can()),
                    format!(
                        "use the identity of one who can (`KEYCTL_IDENTITY_FILE`, `KEYCTL_IDENTITY`), or \
                         have them run `keyctl store recipient add {own} --name NAME`"
                    ),
                )
            }
            Trouble::NotAge => (
                StoreProblem::Unreadable,
                format!("`{path}` is not an age file"),
                "name the store with `KEYCTL_STORE_FILE`, or move that file away and run \
                 `keyctl store init file`"
                    .to_owned(),
            ),
            Trouble::NotAStore => (
                StoreProblem::Unreadable,
                format!("`{path}` opens, but holds something else than keyctl's secrets"),
                "name the store with `KEYCTL_STORE_FILE`".to_owned(),
            ),
            Trouble::Newer => (
                StoreProblem::Unreadable,
                format!("`{path}` was written by a newer program than this one"),
                "update keyctl".to_owned(),
            ),
            Trouble::Damaged => (
                StoreProblem::Damaged,
                format!("`{path}` is damaged: it was cut short or changed"),
                "restore it from a copy (backup, version control)".to_owned(),
            ),
        };
        StoreError::new(problem, message).remedy(remedy)
    }

    fn who_can(&self) -> String {
        let names: Vec<String> = self
            .recipients()
            .unwrap_or_default()
            .into_iter()
            .map(|it| if it.name.is_empty() { it.key } else { it.name })
            .collect();
        if names.is_empty() { String::new() } else { format!("; these do: {}", names.join(", ")) }
    }
}

impl Store for FileStore {
    fn row(&self) -> &'static Row {
        &ROW
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        self.read()?;
        self.recipients()?;
        disk::probe(&self.path)
    }

    fn check_readable(&self) -> Result<(), StoreError> {
        self.with(|_| ())
    }

    fn get(&self, item: &Item) -> Result<Option<Secret>, StoreError> {
        self.with(|content| content.entries.get(&item.user()).map(|it| it.secret.clone()))
    }

    fn put(&self, item: &Item, secret: &Secret) -> Result<(), StoreError> {
        let name = item.user();
        self.change("store-put", |content| match content.entries.get(&name) {
            Some(there) if super::same(&there.secret, secret) => Ok((Change::Nothing, ())),
            Some(_) => Err(super::never_overwritten(item)),
            None => {
                let entry = Entry { key: item.key.to_string(), secret: secret.clone() };
                content.entries.insert(name.clone(), entry);
                Ok((Change::Write, ()))
            }
        })?;
        match self.get(item)? {
            Some(read) if super::same(&read, secret) => Ok(()),
            _ => Err(super::not_read_back(item)),
        }
    }

    fn delete(&self, item: &Item) -> Result<bool, StoreError> {
        self.change("store-delete", |content| {
            let gone = content.entries.remove(&item.user()).is_some();
            Ok((if gone { Change::Write } else { Change::Nothing }, gone))
        })
    }

    fn describe(&self) -> Description {
        let origin = match &self.surroundings.identity {
            Some(_) => "the identity in `KEYCTL_IDENTITY`".to_owned(),
            None => format!("the identity `{}`", identity_path(&self.surroundings).display()),
        };
        let protected = identity::is_protected(&self.surroundings);
        let locked = if protected { " and its passphrase" } else { "" };
        Description {
            location: format!("`{}`, opened by {origin}{locked}", self.path.display()),
            protects: if protected {
                "copies of the file (backups, a git host, a lost disk) and of the identity: without an \
                 identity and its passphrase nobody can open them"
            } else {
                "copies of the file (backups, a git host): only the identity of a recipient opens them"
            },
            does_not_protect: if protected {
                "programs that run as you while you type the passphrase; whoever can change the list of \
                 recipients is given every secret at the next write; a removed recipient still knows \
                 what was there before"
            } else {
                "programs that run as you can read the identity, and so can whoever takes the disk; whoever \
                 can change the list of recipients is given every secret at the next write; a removed \
                 recipient still knows what was there before"
            },
        }
    }
}

/// A thread that panicked while it held the cache left it whole: it is only
/// ever replaced by assignment.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether a store file exists.
pub fn exists(surroundings: &Surroundings) -> bool {
    Path::new(&path(surroundings)).exists()
}

#[cfg(test)]
mod tests;
