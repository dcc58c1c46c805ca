//! The inventory file: read without a lock (a save replaces it in one step),
//! changed under a lock, saved only if it still says what was changed. It owns
//! the bytes on disk; what they mean is `wire`'s.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Inventory, wire};
use crate::checkpoint;
use crate::durable::{self, Lock, LockError, Staged};
use crate::exit::{Exit, Situation};
use crate::key::{KeyRef, Record};

/// More than this is no inventory: 200,000 keys have about 60 MB.
const MAX_BYTES: u64 = 128 * 1024 * 1024;
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// An inventory file by its path. It need not exist yet.
#[derive(Debug, Clone)]
pub struct InventoryFile {
    path: PathBuf,
    lock_limit: Duration,
}

impl InventoryFile {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), lock_limit: Duration::from_secs(10) }
    }

    /// Sets how long a change waits for another process; 10 s unless told.
    #[must_use]
    pub fn waiting(mut self, limit: Duration) -> Self {
        self.lock_limit = limit;
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Returns what the file says; a missing file is an empty inventory.
    pub fn load(&self) -> Result<Inventory, Situation> {
        let text = self.read(&self.path)?;
        wire::load(body(&text)).map_err(|fault| self.fault(fault))
    }

    /// Returns the line on which each key begins.
    pub fn lines(&self) -> Result<BTreeMap<KeyRef, usize>, Situation> {
        let text = self.read(&self.path)?;
        wire::lines(body(&text)).map_err(|fault| self.fault(fault))
    }

    /// Changes the inventory under the lock, on what the file says then. Only
    /// what `change` changed is changed in the text. When it fails, or changes
    /// nothing, nothing is written.
    ///
    /// # Errors
    /// What `change` returns; a [`Situation`] for a bad file, a lock that
    /// others hold, a disk that cannot be written, a file that a program
    /// without the lock (an editor, git) changed meanwhile.
    pub fn update<T>(&self, change: impl FnOnce(&mut Inventory) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let target = durable::target(&self.path);
        let folder = durable::folder_of(&target);
        durable::create_private_folder(folder).map_err(|error| self.unwritable(folder, &error))?;
        let _lock = self.lock(&target)?;
        durable::sweep(&target);
        let old = self.read(&target)?;
        let parsed = self.parse(body(&old))?;
        let mut after = parsed.inventory.clone();
        let result = change(&mut after)?;
        raise_highest(&mut after);
        if after == parsed.inventory {
            return Ok(result);
        }
        let new = wire::patch(&parsed, &after);
        self.check(&new, &after)?;
        let mark = if old.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK } else { "" };
        self.save(&target, &old, &[mark, &new])?;
        Ok(result)
    }

    /// Waits for the lock of `target`, the file that a link leads to.
    fn lock(&self, target: &Path) -> Result<Lock, Situation> {
        let limit = self.lock_limit;
        Lock::acquire(target, limit).map_err(|error| match error {
            LockError::Held { path, holder } => {
                let waited = limit.as_millis();
                let waited =
                    if waited >= 1000 { format!("{} s", limit.as_secs()) } else { format!("{waited} ms") };
                Situation::failed(
                    "inventory-locked",
                    format!("{holder} is changing the inventory; waited {waited} for `{}`", path.display()),
                )
                .hint("try again when it is done; the lock is freed by itself when that process ends")
            }
            LockError::NoLocks { .. } => Situation::failed("inventory-locked", error.to_string())
                .hint("keep the inventory on a file system that has locks"),
            LockError::Io { .. } => Situation::new(Exit::Usage, "inventory-locked", error.to_string())
                .hint("the inventory's folder must be readable and writable to change the inventory"),
        })
    }

    /// Replaces `target` by `parts` if it still says `old`.
    fn save(&self, target: &Path, old: &str, parts: &[&str]) -> Result<(), Situation> {
        let write =
            |out: &mut dyn io::Write| parts.iter().try_for_each(|part| out.write_all(part.as_bytes()));
        let staged = Staged::write(target, write).map_err(|error| self.unwritable(target, &error))?;
        if self.read(target)? != old {
            return Err(Situation::failed(
                "inventory-changed",
                format!("{}: another program changed the inventory meanwhile", self.path.display()),
            )
            .hint("nothing was written; run the same command again"));
        }
        staged.put(|| checkpoint::pass("inventory-save")).map_err(|error| self.unwritable(target, &error))
    }

    /// Returns whether other users of this machine may read the file. It holds
    /// no secrets, but tells whose keys there are.
    pub fn readable_by_others(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::metadata(&self.path).is_ok_and(|it| it.permissions().mode() & 0o044 != 0)
        }
        #[cfg(not(unix))]
        false
    }

    fn read(&self, path: &Path) -> Result<String, Situation> {
        let bad = |message: String| {
            Situation::new(Exit::Usage, "bad-inventory", format!("{}: {message}", self.path.display()))
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => {
                return Err(bad(format!("the inventory cannot be opened: {error}"))
                    .hint("check the path given with `--inventory` or KEYCTL_INVENTORY, and its mode"));
            }
        };
        if file.metadata().is_ok_and(|it| it.is_dir()) {
            return Err(bad("the inventory is a folder; a TOML file is wanted".to_owned())
                .hint(format!("did you mean `{}`?", self.path.join("keyctl.toml").display())));
        }
        let mut bytes = Vec::new();
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        if let Err(error) = read {
            return Err(bad(format!("the inventory cannot be read: {error}")));
        }
        if bytes.len() as u64 > MAX_BYTES {
            return Err(bad(format!("this is no inventory: it has more than {} MB", MAX_BYTES >> 20)));
        }
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            // Valid up to there, so the loss is none.
            let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            self.fault(wire::Fault::at(
                body(&before),
                before.len(),
                "this is not UTF-8".to_owned(),
                Some("save the file as UTF-8".to_owned()),
            ))
        })
    }

    fn parse<'text>(&self, text: &'text str) -> Result<wire::Parsed<'text>, Situation> {
        wire::parse(text).map_err(|fault| self.fault(fault))
    }

    fn fault(&self, fault: wire::Fault) -> Situation {
        let wire::Fault { line, column, message, hint } = fault;
        let message = format!("{}:{line}:{column}: {message}", self.path.display());
        Situation { exit: Exit::Usage, code: "bad-inventory", message, hint }
    }

    /// Refuses a text that would not say the same when read again.
    fn check(&self, text: &str, wanted: &Inventory) -> Result<(), Situation> {
        let trouble = match wire::parse(text) {
            Ok(parsed) if parsed.inventory == *wanted => return Ok(()),
            Ok(_) => "what would be written says something else".to_owned(),
            Err(fault) => fault.message,
        };
        Err(Situation::failed(
            "inventory-not-written",
            format!("{}: the change was not written: {trouble}", self.path.display()),
        )
        .hint(
            "the file is unchanged; write the tables in question with `[headers]` of their own and try again",
        ))
    }

    fn unwritable(&self, path: &Path, error: &io::Error) -> Situation {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let message = format!("{}: cannot write `{}`: {error}", self.path.display(), path.display());
        match error.kind() {
            PermissionDenied | ReadOnlyFilesystem => {
                Situation::new(Exit::Usage, "inventory-not-written", message).hint(
                    "nothing was changed; the inventory's folder must be writable to change the inventory",
                )
            }
            _ => Situation::failed("inventory-not-written", message).hint("nothing was changed"),
        }
    }
}

/// A version in use has been announced: `highest` is never below it.
fn raise_highest(inventory: &mut Inventory) {
    let used = |it: &Record| [it.current, it.pending, it.previous].into_iter().flatten().max().unwrap_or(0);
    if inventory.keys.values().any(|it| it.highest < used(it)) {
        for record in inventory.keys.values_mut() {
            record.highest = record.highest.max(used(record));
        }
    }
}

fn body(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Kind, RecordId};

    #[test]
    fn a_missing_file_is_empty_and_a_change_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = InventoryFile::at(folder.path().join("deep/keyctl.toml"));
        assert_eq!(file.load().unwrap(), Inventory::default());
        assert!(!file.exists());
        let key: KeyRef = "mailgun@acme/berlin".parse().unwrap();
        let record = Record::new(RecordId::from_random([7; 10]), Kind::Account);
        file.update(|inventory| {
            inventory.keys.insert(key.clone(), record.clone());
            Ok(())
        })
        .unwrap();
        let inventory = file.load().unwrap();
        assert_eq!(inventory.keys.get(&key), Some(&record));
        assert!(!file.readable_by_others());
        assert_eq!(inventory.scopes().count(), 2);
    }

    #[test]
    fn a_change_that_fails_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = InventoryFile::at(folder.path().join("keyctl.toml"));
        let failed: anyhow::Result<()> = file.update(|inventory| {
            inventory.store = Some("file".to_owned());
            anyhow::bail!("no")
        });
        assert!(failed.is_err());
        assert!(!file.exists());
    }
}
