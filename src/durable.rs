//! Files that survive: written whole or not at all, under a lock that says who
//! holds it. The inventory, the file store and the state folder stand on this.

mod lock;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use lock::{Lock, LockError};

/// What stands between the name and `.tmp` of a temporary file.
const RANDOM_CHARACTERS: usize = 12;

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

/// Returns the file that `path` leads to: the end of a chain of symbolic links,
/// whether it exists or not. What is replaced is that file, so that a link
/// stays one: people keep their configuration in a linked folder.
pub fn target(path: &Path) -> PathBuf {
    let mut at = path.to_owned();
    // A chain longer than any system follows is a loop; the open will say so.
    for _ in 0..40 {
        match std::fs::read_link(&at) {
            Ok(next) => at = folder_of(&at).join(next),
            Err(_) => break,
        }
    }
    at
}

/// Returns the folder of a file; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// New content beside the file that it is to replace, on the disk already.
/// Dropped without [`Self::put`] it is gone, and the file is as it was.
pub struct Staged {
    file: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Writes what `write` writes into a temporary file beside the one that
    /// `path` leads to, mode 0600; creates the folder.
    ///
    /// # Errors
    /// What `write` returns, and as the file system says; also when there is
    /// something else than a regular file at `path`.
    pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Self> {
        let target = target(path);
        create_private_folder(folder_of(&target))?;
        Self::beside(target, write, 0o600)
    }

    fn beside(
        target: PathBuf,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
        mode: u32,
    ) -> io::Result<Self> {
        if std::fs::symlink_metadata(&target).is_ok_and(|it| !it.is_file() && !it.is_symlink()) {
            return Err(io::Error::other("it is not a regular file"));
        }
        let prefix = temporary_prefix(&target);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp").rand_bytes(RANDOM_CHARACTERS);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        let file = builder.tempfile_in(folder_of(&target))?;
        in_pieces(file.as_file(), write)?;
        file.as_file().sync_all()?;
        Ok(Self { file, target })
    }

    /// Puts the content into the file's place in one step that a crash cannot
    /// halve. `around` is told just before and just after.
    ///
    /// # Errors
    /// As the file system says; the old content is untouched then.
    pub fn put(self, mut around: impl FnMut()) -> io::Result<()> {
        around();
        self.file.persist(&self.target).map_err(|failed| failed.error)?;
        // The rename itself must reach the disk, too; folders cannot be opened everywhere.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
            let _ = folder.sync_all();
        }
        around();
        Ok(())
    }
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
    Staged::write(path, write)?.put(around)
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
    Staged::beside(target, write, 0o644)?.put(|| {})
}

/// Writes a file for others to read under exactly this name: a link of that
/// name is replaced, never followed. Mode 0644 less the umask.
///
/// # Errors
/// As the file system says, also when the folder does not exist.
pub fn publish_as_named(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Staged::beside(path.to_owned(), |out| out.write_all(bytes), 0o644)?.put(|| {})
}

fn in_pieces(file: &File, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, file);
    write(&mut out)?;
    out.flush()
}

/// Removes temporary files that killed writers of the file `path` leads to
/// left, those of its neighbours not. Only for the holder of its lock.
pub fn sweep(path: &Path) {
    let target = target(path);
    let prefix = temporary_prefix(&target);
    for entry in std::fs::read_dir(folder_of(&target)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let random = name.strip_prefix(&*prefix).and_then(|rest| rest.strip_suffix(".tmp"));
        let is_random =
            |it: &str| it.len() == RANDOM_CHARACTERS && it.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if random.is_some_and(is_random) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn temporary_prefix(path: &Path) -> String {
    format!(".keyctl-{}-", path.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_privately_and_strays_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/file");
        replace(&path, b"one", || {}).unwrap();
        let neighbour = path.with_file_name(".keyctl-file-2-0123456789ab.tmp");
        std::fs::write(path.with_file_name(".keyctl-file-0123456789ab.tmp"), "stray").unwrap();
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
}
