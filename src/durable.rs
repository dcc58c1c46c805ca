//! Files that survive: written whole or not at all, under a lock that says who
//! holds it. The inventory, the file store and the state folder stand on this.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Creates a folder that only its owner can enter, with its parents.
///
/// # Errors
/// As the file system says.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Replaces a file by `bytes`: temporary file, fsync, rename, fsync of the
/// folder; mode 0600. A symbolic link stays one: its target is replaced.
/// `around` is told just before and just after the rename.
///
/// # Errors
/// As the file system says; the old content is untouched then.
pub fn replace(path: &Path, bytes: &[u8], around: impl FnMut()) -> io::Result<()> {
    replace_by(path, |out| out.write_all(bytes), around)
}

/// Like [`replace`], with what `write` writes.
///
/// # Errors
/// What `write` returns, and as the file system says; the old content is
/// untouched then.
pub fn replace_by(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    around: impl FnMut(),
) -> io::Result<()> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    create_private_folder(folder_of(&target))?;
    replace_target(&target, write, 0o600, around)
}

/// Writes a file for others to read, so that a reader sees the old content or
/// the new and never half of it; mode 0644 less the umask. What is no regular
/// file (a pipe, `/dev/stderr`) is written into, not replaced.
///
/// # Errors
/// As the file system says.
pub fn publish(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|it| !it.is_file()) {
        return in_pieces(&OpenOptions::new().write(true).open(&target)?, write);
    }
    std::fs::create_dir_all(folder_of(&target))?;
    replace_target(&target, write, 0o644, || {})
}

fn in_pieces(file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, file);
    write(&mut out)?;
    out.flush()
}

fn replace_target(
    target: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    mode: u32,
    mut around: impl FnMut(),
) -> io::Result<()> {
    let folder = folder_of(target);
    let prefix = temporary_prefix(target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    let file = builder.tempfile_in(folder)?;
    in_pieces(file.as_file(), write)?;
    file.as_file().sync_all()?;
    around();
    file.persist(target).map_err(|failed| failed.error)?;
    // The rename itself must reach the disk, too; folders cannot be opened everywhere.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    around();
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes temporary files that killed writers of the file `path` left, those
/// of its neighbours not: they may be in use. Only for the holder of its lock.
pub fn sweep(path: &Path) {
    let prefix = temporary_prefix(path);
    for entry in std::fs::read_dir(folder_of(path)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(".tmp") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn temporary_prefix(path: &Path) -> String {
    format!(".keyctl-{}-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// A held lock; released on drop, and by the system when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("`{path}` is in use{}", holder.as_ref().map_or_else(String::new, |it| format!(" by {it}")))]
    Held { path: PathBuf, holder: Option<String> },
    #[error("cannot open the lock `{path}`: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl Lock {
    /// Takes the lock `path`, trying for at most `limit`.
    ///
    /// # Errors
    /// [`LockError::Held`] names the holder.
    pub fn acquire(path: &Path, limit: Duration) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            create_private_folder(folder).map_err(io)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io)?;
        let end = Instant::now() + limit;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::Error(error)) => return Err(io(error)),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() >= end => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    let holder = Some(holder.trim().to_owned()).filter(|it| !it.is_empty());
                    return Err(LockError::Held { path: path.to_owned(), holder });
                }
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = write!(file, "process {}", std::process::id());
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_privately_and_strays_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file");
        replace(&path, b"one", || {}).unwrap();
        let neighbour = path.with_file_name(".keyctl-other-x.tmp");
        std::fs::write(path.with_file_name(".keyctl-file-x.tmp"), "stray").unwrap();
        std::fs::write(&neighbour, "in use").unwrap();
        sweep(&path);
        std::fs::remove_file(&neighbour).unwrap();
        replace(&path, b"two", || {}).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_published_file_is_whole_and_what_is_no_file_is_written_into() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/report");
        publish(&path, |out| out.write_all(b"one")).unwrap();
        publish(&path, |out| out.write_all(b"two")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o700, 0o600);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        publish(Path::new("/dev/null"), |out| out.write_all(b"gone")).unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_held_lock_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _held = Lock::acquire(&path, Duration::ZERO).unwrap();
        let error = Lock::acquire(&path, Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    }
}
