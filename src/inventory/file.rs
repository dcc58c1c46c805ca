//! The inventory file: read without a lock (a save replaces it in one step),
//! changed under a lock, written by temp file, fsync, rename, fsync of the
//! folder. It owns the bytes on disk; what they mean is `wire`'s.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lock::Lock;
use super::{Inventory, wire};
use crate::checkpoint;
use crate::exit::{Exit, Situation};
use crate::key::{KeyRef, Record};

/// More than this is no inventory: 200,000 keys have about 60 MB.
const MAX_BYTES: u64 = 128 * 1024 * 1024;
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// What stands between the name and `.tmp` of a temporary file.
const RANDOM_CHARACTERS: usize = 12;

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
    ///
    /// # Errors
    /// A [`Situation`] with [`Exit::Usage`] that names file, line and column.
    pub fn load(&self) -> Result<Inventory, Situation> {
        let text = self.read(&self.path)?;
        wire::load(body(&text)).map_err(|fault| self.fault(fault))
    }

    /// Returns the line on which each key begins.
    ///
    /// # Errors
    /// As [`Self::load`].
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
    /// others hold, a disk that cannot be written.
    pub fn update<T>(&self, change: impl FnOnce(&mut Inventory) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let target = resolved(&self.path);
        let folder = folder_of(&target);
        create_folder(folder).map_err(|error| self.unwritable(folder, &error))?;
        let _lock = Lock::take(&target, self.lock_limit)?;
        sweep(&target);
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
        replace(&target, &[mark, &new]).map_err(|error| self.unwritable(&target, &error))?;
        Ok(result)
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
        let message = format!("{}: cannot write `{}`: {error}", self.path.display(), path.display());
        Situation::failed("inventory-not-written", message).hint("nothing was changed")
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

/// Returns the file that a symbolic link leads to, which a save must not
/// replace by a file: people keep their configuration in a linked folder.
fn resolved(path: &Path) -> PathBuf {
    let mut at = path.to_owned();
    for _ in 0..40 {
        if let Ok(target) = fs::canonicalize(&at) {
            return target;
        }
        match fs::read_link(&at) {
            Ok(next) => at = folder_of(&at).join(next),
            Err(_) => break,
        }
    }
    match (fs::canonicalize(folder_of(&at)), at.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => at,
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn temporary_prefix(target: &Path) -> String {
    format!(".keyctl-{}-", target.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes what killed processes left; nobody writes while the lock is held.
fn sweep(target: &Path) {
    let prefix = temporary_prefix(target);
    let Ok(entries) = fs::read_dir(folder_of(target)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let random = name.strip_prefix(&*prefix).and_then(|rest| rest.strip_suffix(".tmp"));
        let ours = random
            .is_some_and(|it| it.len() == RANDOM_CHARACTERS && it.bytes().all(|b| b.is_ascii_alphanumeric()));
        if ours {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Replaces the file by `parts` in one step that a crash cannot halve.
fn replace(target: &Path, parts: &[&str]) -> io::Result<()> {
    if fs::metadata(target).is_ok_and(|it| !it.is_file()) {
        return Err(io::Error::other("it is not a regular file"));
    }
    let folder = folder_of(target);
    let mut temporary = tempfile::Builder::new()
        .prefix(&temporary_prefix(target))
        .suffix(".tmp")
        .rand_bytes(RANDOM_CHARACTERS)
        .tempfile_in(folder)?;
    for part in parts {
        temporary.write_all(part.as_bytes())?;
    }
    temporary.as_file().sync_all()?;
    checkpoint::pass("inventory-save");
    temporary.persist(target).map_err(|error| error.error)?;
    checkpoint::pass("inventory-save");
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder cannot be opened for this elsewhere; the rename is journalled.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
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
