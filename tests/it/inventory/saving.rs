//! Who may write when, what a crash leaves, and what stays as it is on disk.

use std::fs;
use std::time::Duration;

use keyctl::exit::{Exit, Situation};
use keyctl::inventory::{Inventory, InventoryFile};
use keyctl::key::Kind;

use super::{Desk, SAMPLE, key, record};

#[test]
fn nothing_is_written_when_nothing_changed() {
    let desk = Desk::with(SAMPLE);
    let before = fs::metadata(desk.path()).unwrap().modified().unwrap();
    desk.file.update(|_| Ok(())).unwrap();
    assert_eq!(fs::metadata(desk.path()).unwrap().modified().unwrap(), before);
    let desk = Desk::empty();
    desk.file.update(|_| Ok(())).unwrap();
    assert!(!desk.file.exists());
}

#[test]
fn a_link_stays_a_link_and_the_mode_is_narrowed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let real = Desk::with(SAMPLE);
    fs::set_permissions(real.path(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(real.file.readable_by_others());
    let desk = Desk::empty();
    symlink(real.path(), desk.path()).unwrap();
    desk.change(|it| it.store = Some("file".to_owned()));
    assert!(fs::symlink_metadata(desk.path()).unwrap().is_symlink());
    assert_eq!(fs::metadata(real.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(real.names(), ["keyctl.toml"]);
    // A link to a file that is not there yet is followed too.
    fs::remove_file(real.path()).unwrap();
    desk.change(|it| it.store = Some("file".to_owned()));
    assert!(real.file.exists());
}

#[test]
fn many_writers_lose_nothing() {
    let desk = Desk::with(SAMPLE);
    let before = desk.file.load().unwrap().keys.len();
    std::thread::scope(|threads| {
        for at in 0..50 {
            let file = InventoryFile::at(desk.path()).waiting(Duration::from_secs(300));
            threads.spawn(move || {
                file.update(|inventory| {
                    inventory
                        .keys
                        .insert(key(&format!("brevo@many/l{at}")), record(&format!("kmany{at}"), Kind::Api));
                    Ok(())
                })
                .unwrap();
            });
        }
    });
    assert_eq!(desk.file.load().unwrap().keys.len(), before + 50);
    assert_eq!(desk.names(), ["keyctl.toml"]);
}

#[test]
fn who_waits_too_long_is_told_who_holds_the_lock() {
    let desk = Desk::with(SAMPLE);
    let inner = InventoryFile::at(desk.path()).waiting(Duration::from_millis(60));
    desk.file
        .update(|_| {
            let error = inner.update(|_| Ok(())).unwrap_err();
            let situation = error.downcast_ref::<Situation>().unwrap();
            assert_eq!(situation.code, "inventory-locked");
            let expected = format!(
                "process {} is changing the inventory; waited 60 ms for `{}`",
                std::process::id(),
                desk.path().display()
            );
            assert_eq!(situation.message, expected);
            // Reading needs no lock.
            inner.load()?;
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_an_editor_saved_meanwhile_is_not_overwritten() {
    let desk = Desk::with(SAMPLE);
    let edited = format!("{SAMPLE}# a note of Ana's\n");
    let error = desk
        .file
        .update(|inventory| {
            fs::write(desk.path(), &edited)?;
            inventory.store = Some("file".to_owned());
            Ok(())
        })
        .unwrap_err();
    let situation = error.downcast_ref::<Situation>().unwrap();
    assert_eq!((situation.code, situation.exit), ("inventory-changed", Exit::Failed));
    assert_eq!(desk.text(), edited);
    assert_eq!(desk.names(), ["keyctl.toml"]);
}

/// Runs the test named `name` again as a process of its own that is killed at
/// the `n`-th durable change; the file is given by the environment.
fn killed_at(n: usize, desk: &Desk) {
    let program = std::env::current_exe().unwrap();
    let status = std::process::Command::new(program)
        .args(["inventory::saving::a_crash_leaves_the_old_file_or_the_new_one", "--exact", "--nocapture"])
        .env("KEYCTL_TEST_DIES_AT", n.to_string())
        .env("KEYCTL_TEST_FILE", desk.path())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success(), "it was to be killed at point {n}");
}

#[test]
fn a_crash_leaves_the_old_file_or_the_new_one() {
    let new = key("brevo@crash");
    if let Ok(n) = std::env::var("KEYCTL_TEST_DIES_AT") {
        let file = InventoryFile::at(std::env::var("KEYCTL_TEST_FILE").unwrap());
        keyctl::checkpoint::arm(n.parse().unwrap());
        let change = |it: &mut Inventory| {
            it.keys.insert(new, record("kcrash", Kind::Api));
            Ok(())
        };
        file.update(change).unwrap();
        return;
    }
    for (n, saved) in [(0, false), (1, true)] {
        let desk = Desk::with(SAMPLE);
        killed_at(n, &desk);
        assert_eq!(desk.file.load().unwrap().keys.contains_key(&new), saved);
        assert_eq!(desk.text() == SAMPLE, !saved);
        assert_eq!(desk.names().iter().any(|it| it.ends_with(".tmp")), !saved);
        // The lock is free, and the next change clears up.
        desk.change(|it| it.store = Some("file".to_owned()));
        assert_eq!(desk.names(), ["keyctl.toml"]);
    }
}

#[test]
fn the_exit_code_of_a_bad_file_is_that_of_configuration() {
    let desk = Desk::with("version = 2");
    assert_eq!(desk.file.load().unwrap_err().exit, Exit::Usage);
    let error = desk.file.update(|_| Ok(())).unwrap_err();
    assert_eq!(error.downcast_ref::<Situation>().unwrap().exit, Exit::Usage);
    assert_eq!(desk.text(), "version = 2");
}
