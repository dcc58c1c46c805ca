//! The lock under which a file is changed. It is a `flock` on the folder that
//! holds the file: nothing is created and nothing is written, so that no lock
//! can be somebody's data, whatever links lie beside the file. All programs
//! and threads that change a file of that folder exclude each other. The
//! system frees the lock when the process ends, however it ends.
//!
//! Where a folder cannot be locked (Windows), an empty file beside the data is.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::{create_private_folder, folder_of, target};

/// How long a waiting process sleeps between two tries.
const STEP: Duration = Duration::from_millis(10);

/// The right to change one file, held until dropped.
///
/// A thread may hold several files of one folder at a time, but never the same
/// file twice: what it changes inside would be lost outside. It stays in its
/// thread.
#[derive(Debug)]
pub struct Lock {
    place: Place,
    name: OsString,
    stays_in_its_thread: PhantomData<*const ()>,
}

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// `holder` is `process N` where the system tells it.
    #[error("`{path}` is in use by {holder}")]
    Held { path: PathBuf, holder: String },
    /// The folder is on a file system without locks.
    #[error("cannot lock `{path}`: {source}")]
    NoLocks { path: PathBuf, source: io::Error },
    /// The folder cannot be made or opened.
    #[error("cannot open `{path}` to lock it: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// A folder that this process has locked.
struct Holding {
    file: File,
    owner: ThreadId,
    names: BTreeSet<OsString>,
}

/// The folders that this process has locked. A `flock` cannot tell the threads
/// of a process apart, nor let one in twice.
static HELD: Mutex<BTreeMap<Place, Holding>> = Mutex::new(BTreeMap::new());

fn held() -> MutexGuard<'static, BTreeMap<Place, Holding>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lock {
    /// Takes the lock of the file `data`, trying for at most `limit`. Its
    /// folder is created if it is missing; links are followed, so that who
    /// changes the file by another path waits, too.
    ///
    /// # Errors
    /// [`LockError::Held`] names the holder.
    pub fn acquire(data: &Path, limit: Duration) -> Result<Self, LockError> {
        let end = Instant::now() + limit;
        let target = target(data);
        let folder = folder_of(&target);
        let name = target.file_name().unwrap_or_default().to_owned();
        let failed = |source| LockError::Io { path: folder.to_owned(), source };
        create_private_folder(folder).map_err(failed)?;
        loop {
            // Opened anew each time: the folder may be another one by now.
            let (file, place) = open(folder, &name).map_err(failed)?;
            match enter(file, &place, &name) {
                Ok(()) => return Ok(Self { place, name, stays_in_its_thread: PhantomData }),
                Err(TryLockError::Error(source)) => {
                    return Err(LockError::NoLocks { path: folder.to_owned(), source });
                }
                Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                    return Err(LockError::Held { path: data.to_owned(), holder: holder(&place) });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(STEP),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut held = held();
        let Some(holding) = held.get_mut(&self.place) else { return };
        holding.names.remove(&self.name);
        if holding.names.is_empty() {
            // Not by closing alone: a program that is being started may have a copy.
            let _ = holding.file.unlock();
            held.remove(&self.place);
        }
    }
}

/// Enters a file of a folder into the table, locking the folder for the first.
fn enter(file: File, place: &Place, name: &OsStr) -> Result<(), TryLockError> {
    let owner = thread::current().id();
    let mut held = held();
    if let Some(holding) = held.get_mut(place) {
        let entered = holding.owner == owner && holding.names.insert(name.to_owned());
        return if entered { Ok(()) } else { Err(TryLockError::WouldBlock) };
    }
    file.try_lock()?;
    held.insert(place.clone(), Holding { file, owner, names: BTreeSet::from([name.to_owned()]) });
    Ok(())
}

/// Returns who holds a lock, as far as the system tells.
fn holder(place: &Place) -> String {
    let own = held().contains_key(place).then(std::process::id);
    match own.or_else(|| system::holder(place)) {
        Some(process) => format!("process {process}"),
        None => "another process".to_owned(),
    }
}

use system::{Place, open};

#[cfg(unix)]
mod system {
    //! A folder is opened without following a link, and locked itself.

    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use rustix::fs::{Mode, OFlags};

    /// Which folder it is, whatever it is called.
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
    pub(super) struct Place {
        pub device: u64,
        pub inode: u64,
    }

    pub(super) fn open(folder: &Path, _name: &OsStr) -> io::Result<(File, Place)> {
        use std::os::unix::fs::MetadataExt as _;
        let folder = std::fs::canonicalize(folder)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(folder, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        Ok((file, Place { device: metadata.dev(), inode: metadata.ino() }))
    }

    /// Returns the process that has locked a folder, from the kernel's list
    /// (proc(5), `/proc/locks`). It names no process of another namespace.
    #[cfg(target_os = "linux")]
    pub(super) fn holder(place: &Place) -> Option<u32> {
        holder_in(&std::fs::read_to_string("/proc/locks").ok()?, place)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn holder(_place: &Place) -> Option<u32> {
        None
    }

    #[cfg(target_os = "linux")]
    pub(super) fn holder_in(locks: &str, place: &Place) -> Option<u32> {
        let (major, minor) = (rustix::fs::major(place.device), rustix::fs::minor(place.device));
        let wanted = format!("{major:02x}:{minor:02x}:{}", place.inode);
        locks.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields.as_slice() {
                [_, "FLOCK", _, _, process, file, ..] if *file == wanted => {
                    process.parse().ok().filter(|it| *it > 0)
                }
                _ => None,
            }
        })
    }
}

#[cfg(not(unix))]
mod system {
    //! A folder cannot be locked here, so an empty file beside the data is. It
    //! is opened only if it is a regular file and no link, and never written.

    use std::ffi::OsStr;
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};

    /// The file that is locked.
    pub(super) type Place = PathBuf;

    pub(super) fn open(folder: &Path, name: &OsStr) -> io::Result<(File, Place)> {
        let mut lock = name.to_owned();
        lock.push(".lock");
        let path = std::fs::canonicalize(folder)?.join(lock);
        let made = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !std::fs::symlink_metadata(&path)?.is_file() {
                    return Err(io::Error::other(format!("`{}` is no regular file", path.display())));
                }
                OpenOptions::new().read(true).write(true).open(&path)?
            }
            made => made?,
        };
        Ok((file, path))
    }

    pub(super) fn holder(_place: &Place) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::from_millis(20);

    /// Returns why another thread does not get the lock of a file.
    fn elsewhere(data: &Path) -> Option<LockError> {
        thread::scope(|scope| scope.spawn(|| Lock::acquire(data, NO_TIME).err()).join().unwrap())
    }

    #[test]
    fn a_held_lock_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deep/data.json");
        let lock = Lock::acquire(&data, Duration::ZERO).unwrap();
        let error = elsewhere(&data).unwrap();
        let expected = format!("`{}` is in use by process {}", data.display(), std::process::id());
        assert_eq!(error.to_string(), expected);
        drop(lock);
        assert!(elsewhere(&data).is_none());
    }

    #[test]
    fn one_thread_may_hold_several_files_of_a_folder_but_none_twice() {
        let folder = tempfile::tempdir().unwrap();
        let [inventory, store] = ["keyctl.toml", "secrets.age"].map(|it| folder.path().join(it));
        let outer = Lock::acquire(&inventory, Duration::ZERO).unwrap();
        let inner = Lock::acquire(&store, Duration::ZERO).unwrap();
        assert!(matches!(Lock::acquire(&inventory, NO_TIME), Err(LockError::Held { .. })));
        drop(outer);
        assert_eq!(elsewhere(&inventory).is_some(), cfg!(unix), "the folder is still locked");
        drop(inner);
        assert!(elsewhere(&inventory).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_the_same_lock_and_are_never_opened() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let [data, other, victim] = ["real/data", "data", "victim"].map(|it| folder.path().join(it));
        std::fs::create_dir(folder.path().join("real")).unwrap();
        std::fs::write(&victim, "precious").unwrap();
        symlink("real/data", &other).unwrap();
        symlink(&victim, folder.path().join("data.lock")).unwrap();
        symlink(&victim, folder.path().join("real/data.lock")).unwrap();
        let _lock = Lock::acquire(&other, Duration::ZERO).unwrap();
        assert!(elsewhere(&data).is_some());
        assert!(elsewhere(&victim).is_none(), "another folder");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(folder.path().join("real")).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_list_names_who_holds_a_lock() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 fe:00:7 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 0 fe:00:78 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 13 fe:00:77 0 EOF\n\
                     4: -> FLOCK  ADVISORY  WRITE 14 fe:00:77 0 EOF\n";
        let named = |inode| system::holder_in(locks, &Place { device: rustix::fs::makedev(0xfe, 0), inode });
        assert_eq!(named(77), Some(13));
        assert_eq!(named(78), None, "of another namespace");
        assert_eq!(named(79), None);
    }

    #[test]
    fn many_threads_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("number");
        std::fs::write(&data, "0").unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let _lock = Lock::acquire(&data, Duration::from_secs(60)).unwrap();
                        let number: u32 = std::fs::read_to_string(&data).unwrap().parse().unwrap();
                        std::fs::write(&data, (number + 1).to_string()).unwrap();
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&data).unwrap(), "40");
    }
}
