//! The locks under which files are changed: what lies beside a file under a
//! lock's name is nobody's to open, and no change of many at once is lost.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyctl::durable::Lock;
use keyctl::exit::Situation;
use keyctl::inventory::InventoryFile;
use keyctl::key::{RecordId, Secret};
use keyctl::state::{Evidence, StateFolder};
use keyctl::store::{self, Item, Surroundings};

use crate::rotation::rig::{PAST_GRACE, Rig};
use crate::support::World;

const CONFIG: &str = "home/.config/keyctl";
const DATA: &str = "home/.local/share/keyctl";
const STATE: &str = "home/.local/state/keyctl";
const PRECIOUS: &str = "ssh-ed25519 AAAA owner@desk\n";

/// A file of somebody's, and links to it.
struct Victim {
    path: PathBuf,
    links: Vec<PathBuf>,
}

impl Victim {
    /// Puts links beside the files of a world, named like locks of theirs.
    fn among(world: &World) -> Self {
        let path = world.path("home/authorized_keys");
        fs::write(&path, PRECIOUS).unwrap();
        let names = [
            (CONFIG, ["keyctl.toml", "identity.txt"].as_slice()),
            (DATA, ["secrets.age", "secrets.age.recipients"].as_slice()),
            (
                STATE,
                ["doctor", "verdicts", "evidence", "evidence.json", "approvals", "allowlists"].as_slice(),
            ),
        ];
        let mut links = Vec::new();
        for (folder, names) in names {
            fs::create_dir_all(world.path(folder)).unwrap();
            for name in names {
                let link = world.path(folder).join(format!("{name}.lock"));
                symlink(&path, &link).unwrap();
                links.push(link);
            }
        }
        Self { path, links }
    }

    #[track_caller]
    fn is_untouched(&self, after: &str) {
        assert_eq!(fs::read_to_string(&self.path).unwrap(), PRECIOUS, "after {after}");
        for link in &self.links {
            assert!(
                fs::symlink_metadata(link).is_ok_and(|it| it.is_symlink()),
                "{}: {after}",
                link.display()
            );
        }
    }
}

fn brevo_key() -> String {
    ["xkeysib-", &"3c".repeat(32), "-", &"aB3d".repeat(4)].concat()
}

#[test]
fn a_link_named_like_a_lock_leads_nobody_to_the_file_behind_it() {
    let world = World::bare();
    let victim = Victim::among(&world);
    let _ = world.run(&["store", "init", "file"]).exits(0);
    victim.is_untouched("`store init`");
    let _ = world.run_with(&["add", "brevo@acme", "--stdin", "--no-validate"], &brevo_key()).exits(0);
    victim.is_untouched("`add`");
    let _ = world.run(&["set", "brevo@acme", "--note", "y"]).exits(0);
    victim.is_untouched("`set`");
    let other = World::new();
    let list = fs::read_to_string(other.path(DATA).join("secrets.age.recipients")).unwrap();
    let key = list.lines().find(|it| it.starts_with("age1")).unwrap().to_owned();
    let _ = world.run(&["store", "recipient", "add", &key, "--name", "eva"]).exits(0);
    let _ = world.run(&["store", "recipient", "remove", "eva", "--yes"]).exits(0);
    victim.is_untouched("`store recipient`");
    let _ = world.run(&["doctor"]);
    victim.is_untouched("`doctor`");
    let state = StateFolder::at(world.path(STATE));
    for name in ["verdicts", "evidence", "approvals", "allowlists"] {
        state.update(name, |all: &mut BTreeMap<String, Evidence>| all.clear()).unwrap();
    }
    let news = BTreeMap::from([("k1", ())]);
    state.change("evidence", &news, |(), old: Option<Evidence>| old.unwrap_or_default()).unwrap();
    victim.is_untouched("changes of the state");
    let _ = world.run(&["remove", "brevo@acme", "--forget", "--yes"]).exits(0);
    victim.is_untouched("`remove`");
}

#[test]
fn a_lock_is_taken_where_a_stray_lock_file_lies_and_leaves_none() {
    let world = World::new();
    let stray = world.path(CONFIG).join("keyctl.toml.lock");
    fs::write(&stray, "process 7 on desk\n").unwrap();
    let _ = world.run(&["scope", "add", "acme"]).exits(0);
    let _ = world.run(&["doctor"]);
    assert_eq!(fs::read_to_string(&stray).unwrap(), "process 7 on desk\n");
    let files = world.files();
    let locks: Vec<&PathBuf> =
        files.keys().filter(|it| it.extension().is_some_and(|it| it == "lock")).collect();
    assert_eq!(locks, [&stray]);
}

/// Moves what a world has into one folder, as on macOS: configuration, store
/// and state. The other two paths lead there.
fn gather(world: &World) {
    let one = world.path(CONFIG);
    for folder in [DATA, STATE] {
        let folder = world.path(folder);
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            fs::rename(entry.path(), one.join(entry.file_name())).unwrap();
        }
        fs::remove_dir(&folder).unwrap();
        symlink(&one, &folder).unwrap();
    }
}

#[test]
fn inventory_store_and_state_may_be_in_one_folder() {
    let mut rig = Rig::new();
    gather(&rig.world);
    let _ = rig.world.run_with(&["add", "brevo@acme", "--stdin", "--no-validate"], &brevo_key()).exits(0);
    let rotation = rig.rotate(&["mailgun@acme", "--yes"], 0);
    assert_eq!(rotation["stage"], "grace", "{rotation}");
    rig.invariants("mailgun@acme", "in one folder");
    rig.after(PAST_GRACE);
    assert_eq!(rig.rotate(&["mailgun@acme", "--resume"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "after the grace period");
    let _ = rig.run(&["validate", "mailgun@acme"]).exits(0);
    assert!(rig.world.path(CONFIG).join("verdicts.json").exists());
}

#[test]
fn who_holds_one_lock_may_take_another_of_the_same_folder() {
    let world = World::new();
    gather(&world);
    let inventory = InventoryFile::at(world.inventory_path()).waiting(Duration::ZERO);
    let surroundings = Surroundings {
        data_dir: world.path(DATA),
        config_dir: world.path(CONFIG),
        ..Surroundings::default()
    };
    let store = store::open("file", &surroundings).unwrap();
    let item = Item { id: RecordId::parse("kabc").unwrap(), version: 1, key: "brevo@acme".parse().unwrap() };
    inventory
        .update(|it| {
            it.store = Some("file".to_owned());
            store.put(&item, &Secret::new(brevo_key()))?;
            StateFolder::at(world.path(STATE)).update("evidence", |_: &mut BTreeMap<String, Evidence>| ())
        })
        .unwrap();
    assert!(store.get(&item).unwrap().is_some());
    assert_eq!(inventory.load().unwrap().store.as_deref(), Some("file"));
}

#[test]
fn changes_by_many_processes_at_once_are_all_kept() {
    let world = World::new();
    gather(&world);
    let names: Vec<String> = (0..10).map(|n| format!("brevo@acme/l{n}")).collect();
    let at_once = |arguments: &(dyn Fn(&str) -> Vec<String> + Sync), input: &str| {
        let run = |name: &str| {
            let arguments = arguments(name);
            world.run_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), input).code
        };
        let codes: Vec<i32> = std::thread::scope(|scope| {
            let running: Vec<_> = names.iter().map(|it| scope.spawn(|| run(it))).collect();
            running.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(codes.iter().all(|it| *it == 0), "{codes:?}");
    };
    let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    at_once(&|name| words(&["add", name, "--stdin", "--no-validate"]), &brevo_key());
    at_once(&|name| words(&["set", name, "--note", &format!("note of {name}")]), "");
    for name in &names {
        assert_eq!(world.run(&["get", name]).exits(0).stdout.trim_end(), brevo_key());
        assert_eq!(world.data(&["show", name], 0)["key"]["note"], format!("note of {name}"));
    }
}

/// Another process that holds a lock until it is told to end.
struct Holder(Child);

impl Holder {
    /// Runs the test that calls this again, which must begin with [`Self::play`].
    fn start(test: &str, data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env("KEYCTL_TEST_HOLDS", data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        assert!(lines.any(|it| it.unwrap().ends_with("holding")), "the holder ended early");
        Self(child)
    }

    /// Holds the lock if this is that process.
    fn play() -> bool {
        let Some(data) = std::env::var_os("KEYCTL_TEST_HOLDS") else { return false };
        let _lock = Lock::acquire(Path::new(&data), Duration::from_secs(10)).unwrap();
        println!("holding");
        let _ = std::io::stdin().read_line(&mut String::new());
        true
    }

    /// Kills it, as the system may at any time.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn another_process_is_waited_for_and_named() {
    if Holder::play() {
        return;
    }
    let world = World::new();
    world.write_inventory("version = 1\n");
    let path = world.inventory_path();
    // It came by a link in another folder; the file is the same.
    let link = world.path("keyctl.toml");
    symlink(&path, &link).unwrap();
    let holder = Holder::start("locks::another_process_is_waited_for_and_named", &link);
    let change = || {
        let file = InventoryFile::at(&path).waiting(Duration::from_millis(60));
        file.update(|it| {
            it.store = Some("file".to_owned());
            Ok(())
        })
    };
    let error = change().unwrap_err();
    let situation = error.downcast_ref::<Situation>().unwrap();
    assert_eq!(situation.code, "inventory-locked");
    let who = match cfg!(target_os = "linux") {
        true => format!("process {}", holder.0.id()),
        false => "another process".to_owned(),
    };
    assert_eq!(
        situation.message,
        format!("{who} is changing the inventory; waited 60 ms for `{}`", path.display())
    );
    assert_eq!(world.inventory(), "version = 1\n");
    holder.kill();
    change().unwrap();
}

#[test]
fn the_lock_is_one_on_the_folder_that_others_can_take_too() {
    let place = tempfile::tempdir().unwrap();
    let folder = fs::File::open(place.path()).unwrap();
    folder.lock().unwrap();
    let data = place.path().join("verdicts.json");
    assert!(Lock::acquire(&data, Duration::from_millis(30)).is_err());
    folder.unlock().unwrap();
    let lock = Lock::acquire(&data, Duration::ZERO).unwrap();
    assert!(folder.try_lock().is_err());
    drop(lock);
    folder.try_lock().unwrap();
}

#[test]
fn manual_pages_are_not_written_through_links() {
    let world = World::bare();
    let victim = world.path("home/authorized_keys");
    fs::write(&victim, PRECIOUS).unwrap();
    fs::create_dir(world.path("man")).unwrap();
    symlink(&victim, world.path("man/keyctl.1")).unwrap();
    let _ = world.run(&["man", "--output-dir", "man"]).exits(0);
    assert_eq!(fs::read_to_string(&victim).unwrap(), PRECIOUS);
    assert!(fs::read_to_string(world.path("man/keyctl.1")).unwrap().contains("keyctl"));
}

#[test]
fn a_link_in_the_state_folder_is_neither_read_nor_written_through() {
    let rig = crate::rotation::rig::Rig::new();
    let state = rig.world.path("home/.local/state/keyctl");
    std::fs::create_dir_all(&state).unwrap();
    let precious = rig.world.path("precious");
    std::fs::write(&precious, "mine").unwrap();
    for name in ["verdicts.json", "evidence.json"] {
        let _ = std::fs::remove_file(state.join(name));
        std::os::unix::fs::symlink(&precious, state.join(name)).unwrap();
    }
    let _ = rig.run(&["validate"]);
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "mine");
}

#[test]
fn what_is_done_is_not_called_failed_for_want_of_a_memory() {
    let rig = crate::rotation::rig::Rig::new();
    let state = rig.world.path("home/.local/state/keyctl");
    std::fs::create_dir_all(state.join("verdicts.json")).unwrap();
    let data = rig.world.data(&["validate"], 0);
    assert_eq!(data["summary"]["valid"], 1, "{data}");
    let rotation = rig.rotate(&["mailgun@acme", "--yes"], 0);
    assert_eq!(rotation["stage"], "grace");
}
