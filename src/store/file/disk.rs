//! The file system under the `file` store: who may write, how a file is replaced
//! or made, and which modes it has. Knows nothing of secrets or encryption.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checkpoint;
use crate::durable::{self, Lock, LockError, Staged};
use crate::store::{Notice, StoreError, StoreProblem};

/// How long a writer waits for another one before the person is told, and
/// after that.
const WAIT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(9)];

/// Returns `path` with `suffix` appended to its file name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

/// Waits for the right to replace `path` and what belongs to it.
///
/// # Errors
/// [`StoreProblem::TimedOut`] after 10 seconds, naming who holds it.
pub fn lock(path: &Path, notice: Option<&Notice>) -> Result<Lock, StoreError> {
    let [short, long] = WAIT;
    let held = Lock::acquire(path, short).or_else(|error| match error {
        LockError::Held { .. } => {
            if let Some(notice) = notice {
                notice(&format!("waiting: {error}"));
            }
            Lock::acquire(path, long)
        }
        LockError::NoLocks { .. } | LockError::Io { .. } => Err(error),
    });
    held.map_err(|error| match error {
        LockError::Held { .. } => {
            let waited = (short + long).as_secs();
            StoreError::new(StoreProblem::TimedOut, format!("{error}; waited {waited} s for it"))
                .remedy("let it finish, or end it, and try again")
        }
        LockError::NoLocks { .. } => StoreError::new(StoreProblem::Other, error.to_string()).remedy(
            "keep the store on a file system that has locks: choose another place with `KEYCTL_STORE_FILE`",
        ),
        LockError::Io { path, source } => failed("open to lock it", &path, &source),
    })
}

/// Replaces the file at `path` whole or not at all if it still holds `old`
/// (`None`: if there is none); `point` names the moment just before and just
/// after. The caller holds the lock, which others (git, a sync program) do not
/// know.
///
/// # Errors
/// When it is not certain that the new content is there.
pub fn replace(path: &Path, old: Option<&[u8]>, new: &[u8], point: &str) -> Result<(), StoreError> {
    durable::sweep(path);
    let unwritten = |error| failed("write", path, &error);
    let staged = Staged::write(path, |out| out.write_all(new)).map_err(unwritten)?;
    if read(path)?.as_deref() != old {
        let message = format!("another program changed `{}` meanwhile", path.display());
        return Err(StoreError::new(StoreProblem::Other, message)
            .remedy("nothing was written to it; run the same command again"));
    }
    staged.put(|| checkpoint::pass(point)).map_err(unwritten)
}

/// Creates `path` with mode 0600, never replacing anything.
///
/// # Errors
/// Also when it exists.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    make_folder(path)?;
    let folder = durable::folder_of(path);
    let write = || -> io::Result<()> {
        let mut temporary = tempfile::Builder::new().prefix(".new-").suffix(".tmp").tempfile_in(folder)?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist_noclobber(path)?;
        sync_folder(folder)
    };
    write().map_err(|error| failed("create", path, &error))
}

/// Proves that a file could be made beside `path`.
pub fn probe(path: &Path) -> Result<(), StoreError> {
    make_folder(path)?;
    let probe =
        tempfile::Builder::new().prefix(".keyctl-").suffix(".tmp").tempfile_in(durable::folder_of(path));
    probe.map(drop).map_err(|error| failed("write beside", path, &error))
}

/// Reads a file; `None` when there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::new(
            StoreProblem::Unreadable,
            format!("cannot read `{}`: {error}", path.display()),
        )
        .remedy("check its owner and mode")),
    }
}

/// Returns whether others than the owner may read or write the file.
#[cfg(unix)]
pub fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub fn open_to_others(_path: &Path) -> bool {
    false
}

/// Returns whether others than the owner may do no more than read, and only
/// those of the group.
#[cfg(unix)]
pub fn read_by_group_at_most(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.mode() & 0o037 == 0)
}

#[cfg(not(unix))]
pub fn read_by_group_at_most(_path: &Path) -> bool {
    true
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    let folder = durable::folder_of(path);
    durable::create_private_folder(folder).map_err(|error| failed("make the folder", folder, &error))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

fn failed(doing: &str, path: &Path, error: &io::Error) -> StoreError {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull => "free some space and try again",
        io::ErrorKind::ReadOnlyFilesystem => "choose a place that can be written with `KEYCTL_STORE_FILE`",
        _ => "check the owner and mode of the folder, or choose another place with `KEYCTL_STORE_FILE`",
    };
    StoreError::new(StoreProblem::Other, format!("cannot {doing} `{}`: {error}", path.display()))
        .remedy(remedy)
}
