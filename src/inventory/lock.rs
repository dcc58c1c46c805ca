//! The lock that lets one process at a time change a file: a file of its own
//! beside it, since the data file is replaced by every save. The system frees
//! it when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::exit::{Exit, Situation};
use crate::key::text::printable;

const STEP: Duration = Duration::from_millis(25);

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Returns the lock file of a data file: `keyctl.toml.lock`.
pub fn path_of(data: &Path) -> PathBuf {
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    data.with_file_name(name)
}

impl Lock {
    /// Waits for the lock of `data`, at most `limit`.
    ///
    /// # Errors
    /// Names who holds it when the limit is over, or says why the lock file
    /// cannot be opened.
    pub fn take(data: &Path, limit: Duration) -> Result<Self, Situation> {
        let path = path_of(data);
        let mut file = open(&path).map_err(|error| {
            Situation::new(
                Exit::Usage,
                "inventory-locked",
                format!("cannot open `{}`: {error}", path.display()),
            )
            .hint("the inventory's folder must be writable to change the inventory")
        })?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < limit => std::thread::sleep(STEP),
                Err(TryLockError::WouldBlock) => return Err(held(&path, limit)),
                Err(TryLockError::Error(error)) => {
                    let message = format!("cannot lock `{}`: {error}", path.display());
                    return Err(Situation::failed("inventory-locked", message)
                        .hint("keep the inventory on a file system that has locks"));
                }
            }
        }
        // Who holds it is a help for people only; the lock is what counts.
        let _ = file.set_len(0);
        let _ = writeln!(file, "process {} on {}", std::process::id(), host());
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn held(path: &Path, limit: Duration) -> Situation {
    let mut note = String::new();
    let read = File::open(path).and_then(|file| file.take(200).read_to_string(&mut note));
    let holder = match read {
        Ok(_) if !note.trim().is_empty() => printable(note.trim(), 120),
        _ => "another process".to_owned(),
    };
    let waited = limit.as_millis();
    let waited = if waited >= 1000 { format!("{} s", limit.as_secs()) } else { format!("{waited} ms") };
    Situation::failed(
        "inventory-locked",
        format!("{holder} is changing the inventory; waited {waited} for `{}`", path.display()),
    )
    .hint("try again when it is done; the lock is freed by itself when that process ends")
}

fn host() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    return "this machine".to_owned();
}
