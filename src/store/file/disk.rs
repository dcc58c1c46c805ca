//! The file system under the `file` store: who may write (the lock), how a file
//! is replaced (whole or not at all), and which modes it has. Knows nothing of
//! secrets or encryption.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::store::{Notice, StoreError, StoreProblem};

/// How long a writer waits for another one.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// After this long the person who waits is told.
const LOCK_NOTICE: Duration = Duration::from_secs(1);
const LOCK_STEP: Duration = Duration::from_millis(25);

/// Returns where `path` really is: the target of a symbolic link, so that
/// replacing the file keeps the link.
pub fn resolve(path: &Path) -> PathBuf {
    let mut at = path.to_path_buf();
    // A chain longer than any system follows is a loop; the open will say so.
    for _ in 0..40 {
        match std::fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    at
}

/// Returns `path` with `suffix` appended to its file name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

/// The right to replace a file, held until dropped. A process that dies gives
/// it back.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the right to replace `path`; the lock is a file of its own,
    /// since the data file's inode changes with each write.
    ///
    /// # Errors
    /// [`StoreProblem::TimedOut`] after 10 seconds, naming who holds it.
    pub fn take(path: &Path, notice: Option<&Notice>) -> Result<Self, StoreError> {
        let lock = beside(path, ".lock");
        make_folder(path)?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        private(&mut options);
        let mut file = options.open(&lock).map_err(|error| failed("open the lock", &lock, &error))?;
        let start = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed("lock", &lock, &error)),
                Err(TryLockError::WouldBlock) if start.elapsed() >= LOCK_LIMIT => {
                    return Err(StoreError::new(
                        StoreProblem::TimedOut,
                        format!(
                            "waited {} s for {}, which is writing `{}`",
                            LOCK_LIMIT.as_secs(),
                            holder(&mut file),
                            path.display()
                        ),
                    )
                    .remedy("let it finish, or end it, and try again"));
                }
                Err(TryLockError::WouldBlock) => {
                    if !told && start.elapsed() >= LOCK_NOTICE {
                        told = true;
                        if let Some(notice) = notice {
                            notice(&format!("waiting for {} to finish writing", holder(&mut file)));
                        }
                    }
                    std::thread::sleep(LOCK_STEP);
                }
            }
        }
        // Only for the message of whoever waits; without it they are told less.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(20).read_to_string(&mut text));
    match read.ok().and_then(|_| text.trim().parse::<u32>().ok()) {
        Some(process) => format!("another keyctl (process {process})"),
        None => "another keyctl".to_owned(),
    }
}

/// Replaces the file at `path` whole or not at all: temporary file beside it,
/// fsync, rename, fsync of the folder. Mode 0600. The caller holds the lock.
///
/// # Errors
/// When it is not certain that the new content is there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = folder(path);
    make_folder(path)?;
    let prefix = format!(".{}-", path.file_name().unwrap_or_default().to_string_lossy());
    sweep(folder, &prefix);
    let write = || -> io::Result<()> {
        let mut temporary = tempfile::Builder::new().prefix(&prefix).suffix(".tmp").tempfile_in(folder)?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist(path)?;
        sync_folder(folder)
    };
    write().map_err(|error| failed("write", path, &error))
}

/// Creates `path` with mode 0600, never replacing anything.
///
/// # Errors
/// Also when it exists.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    make_folder(path)?;
    let folder = folder(path);
    let write = || -> io::Result<()> {
        let mut temporary = tempfile::Builder::new().prefix(".keyctl-").suffix(".tmp").tempfile_in(folder)?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist_noclobber(path)?;
        sync_folder(folder)
    };
    write().map_err(|error| failed("create", path, &error))
}

/// Proves that a file could be made beside `path`.
///
/// # Errors
/// The reason why not.
pub fn probe(path: &Path) -> Result<(), StoreError> {
    make_folder(path)?;
    let probe = tempfile::Builder::new().prefix(".keyctl-").suffix(".tmp").tempfile_in(folder(path));
    probe.map(drop).map_err(|error| failed("write beside", path, &error))
}

/// Reads a file; `None` when there is none.
///
/// # Errors
/// [`StoreProblem::Unreadable`] with the system's reason.
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

/// Makes the folder of `path`, 0700, with what is missing above it.
fn make_folder(path: &Path) -> Result<(), StoreError> {
    let folder = folder(path);
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|error| failed("make the folder", folder, &error))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes what killed writers of the same file left behind.
fn sweep(folder: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(".tmp") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn private(options: &mut std::fs::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_options: &mut std::fs::OpenOptions) {}

fn failed(doing: &str, path: &Path, error: &io::Error) -> StoreError {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull => "free some space and try again",
        io::ErrorKind::ReadOnlyFilesystem => "choose a place that can be written with `KEYCTL_STORE_FILE`",
        _ => "check the owner and mode of the folder, or choose another place with `KEYCTL_STORE_FILE`",
    };
    StoreError::new(StoreProblem::Other, format!("cannot {doing} `{}`: {error}", path.display()))
        .remedy(remedy)
}
