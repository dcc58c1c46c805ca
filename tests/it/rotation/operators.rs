//! Two people, two machines: only one of them works on a rotation.

use serde_json::json;

use super::rig::Rig;

/// Puts a lock of somebody else into the inventory.
fn locked(rig: &Rig, (host, space, pid): (&str, &str, u32), seconds_ago: i64) {
    let _ = rig.rotate(&["mailgun@acme", "--yes"], 0);
    let id = rig.status()[0]["id"].as_str().unwrap().to_owned();
    let at = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() - seconds_ago).unwrap();
    rig.append(&format!(
        "\n[rotation.{id}.owner]\nuser = \"bob\"\nhost = \"{host}\"\npid = {pid}\ntoken = \"0b0b\"\n\
         space = \"{space}\"\nat = \"{at}\"\n"
    ));
}

/// Returns where process numbers count as they do for this test.
fn here() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap().to_string_lossy().into_owned();
    format!("{}-{}", &boot[..8], namespace.trim_matches(|c: char| !c.is_ascii_digit()))
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[test]
fn somebody_at_work_is_left_alone() {
    let rig = Rig::new();
    locked(&rig, ("far-away", "boot-2", 7), 60);
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--resume"]).exits(9);
    assert_eq!(ran.json()["error"]["code"], "rotation-busy");
    assert!(ran.stderr.contains("bob on far-away (process 7"), "{}", ran.stderr);
    let _ = rig.run(&["rotate", "mailgun@acme", "--take-over"]).exits(9);
    let _ = rig.run(&["rotate", "mailgun@acme", "--rollback"]).exits(9);
    // A job that meets somebody is no failure.
    assert_eq!(rig.world.data(&["rotate", "--resume", "--all"], 0)["rotations"], json!([]));
    assert_eq!(rig.status()[0]["owner"]["user"], "bob");
}

#[test]
fn a_stale_lock_is_taken_over_by_word() {
    let rig = Rig::new();
    locked(&rig, ("far-away", "boot-2", 7), 16 * 60);
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--resume"]).exits(9);
    assert_eq!(ran.json()["error"]["code"], "rotation-stale");
    assert_eq!(
        ran.json()["error"]["hint"],
        "if that work has stopped: `keyctl rotate mailgun@acme --take-over`"
    );
    let _ = rig.run(&["rotate", "--resume", "--all"]).exits(6);
    assert_eq!(rig.rotate(&["mailgun@acme", "--take-over"], 0)["stage"], "grace");
    assert!(rig.status()[0]["owner"].is_null());
}

#[test]
fn a_process_of_this_machine_that_is_gone_holds_nothing() {
    let rig = Rig::new();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    locked(&rig, (&host(), &here(), child.id()), 1);
    assert_eq!(rig.rotate(&["mailgun@acme", "--resume"], 0)["stage"], "grace");
}

#[test]
fn another_container_of_the_same_host_name_is_somebody_else() {
    let rig = Rig::new();
    // Its process 1 is not the one that runs here, nor one that is gone.
    locked(&rig, (&host(), "0a0b0c0d-4026539999", 1), 60);
    let _ = rig.run(&["rotate", "mailgun@acme", "--resume"]).exits(9);
    let rig = Rig::new();
    locked(&rig, (&host(), "0a0b0c0d-4026539999", 3_999_999), 60);
    let _ = rig.run(&["rotate", "mailgun@acme", "--resume"]).exits(9);
    // A clock that was ahead does not hold it for ever.
    let rig = Rig::new();
    locked(&rig, ("far-away", "boot-2", 7), -3600);
    let _ = rig.run(&["rotate", "mailgun@acme", "--take-over"]).exits(0);
}

#[test]
fn of_two_who_begin_at_once_one_makes_a_key() {
    for _ in 0..4 {
        let rig = Rig::new();
        let codes: Vec<i32> = std::thread::scope(|scope| {
            let run = || rig.run(&["rotate", "mailgun@acme", "--yes"]).code;
            let running: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
            running.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(codes.contains(&0), "{codes:?}");
        assert!(codes.iter().all(|it| [0, 9].contains(it)), "{codes:?}");
        assert_eq!(rig.status().len(), 1);
        assert_eq!(rig.keys().len(), 2, "{codes:?}");
        rig.invariants("mailgun@acme", "three at once");
    }
}

#[test]
fn a_key_replaced_by_hand_meanwhile_is_not_switched() {
    let rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"birth_delay_ms": 600_000}));
    let _ = rig.rotate(&["mailgun@acme", "--yes", "--timeout", "1s"], 1);
    // Somebody puts another secret in place.
    let text = rig.world.inventory();
    let old = text.lines().find(|it| it.starts_with("fingerprint = ")).unwrap().to_owned();
    rig.world.write_inventory(&text.replacen(&old, "fingerprint = \"0123456789ab\"", 1));
    rig.sandbox.clock(660);
    let rotation = rig.rotate(&["mailgun@acme", "--resume"], 1);
    assert_eq!(rotation["stage"], "tested");
    assert!(rotation["trouble"].as_str().unwrap().contains("was changed while it rotated"), "{rotation}");
    assert_eq!(rig.rotate(&["mailgun@acme", "--abort"], 0)["stage"], "aborted");
}
