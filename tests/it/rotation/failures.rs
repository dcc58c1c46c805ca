//! Rotations as they fail in the wild, each once: what must not come of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rig::{DOMAIN, PAST_GRACE, Rig, manual};
use crate::support::sandbox::Sandbox;

/// Returns how often a key was asked for.
fn asked_for_keys(rig: &Rig) -> usize {
    rig.sandbox.request_lines().iter().filter(|it| it.starts_with("POST") && it.ends_with("/v1/keys")).count()
}

fn account_rows(rig: &Rig) -> usize {
    rig.keys().len()
}

#[test]
fn a_key_that_cannot_be_kept_is_deleted_again() {
    let rig = Rig::new();
    rig.sandbox.fault(json!({"host": "*", "method": "POST", "path_prefix": "/v1/keys", "times": 1,
        "action": {"latency_ms": 800}}));
    let secrets = rig.world.path("home/.local/share/keyctl/secrets.age");
    let whole = std::fs::read(&secrets).unwrap();
    let ran = std::thread::scope(|scope| {
        let running = scope.spawn(|| rig.run(&["rotate", "mailgun@acme", "--yes"]));
        let end = Instant::now() + Duration::from_secs(20);
        while !rig.world.inventory().contains("stage = \"creating\"") {
            assert!(Instant::now() < end, "the intent was never saved");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::fs::write(&secrets, "no age file").unwrap();
        running.join().unwrap()
    });
    std::fs::write(&secrets, whole).unwrap();
    let ran = ran.exits(7);
    assert!(ran.stderr.contains("was deleted again; the old one is still current"), "{}", ran.stderr);
    assert_eq!(account_rows(&rig), 1, "the key nobody can use is gone");
    rig.invariants("mailgun@acme", "after a failed write");
    assert_eq!(rig.rotate(&["mailgun@acme", "--grace", "0s"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "after a failed write");
}

#[test]
fn a_failed_revoke_is_tried_again_and_no_third_key_is_made() {
    let rig = Rig::new();
    rig.sandbox.fault(json!({"host": "*", "method": "DELETE", "path_prefix": "/v1/keys", "times": 1,
        "action": {"status": 500, "body": {"message": "Internal Server Error"}}}));
    let rotation = rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 4);
    assert_eq!(rotation["stage"], "retiring");
    assert!(rotation["trouble"].is_string(), "{rotation}");
    assert_eq!(rotation["old"]["remote_id"], rig.started_with["mailgun@acme"].id);
    assert_eq!(rig.rotate(&["mailgun@acme"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "after a failed revoke");
    assert_eq!(asked_for_keys(&rig), 1);
}

#[test]
fn a_retired_key_is_remembered_until_it_is_proven_dead() {
    let mut rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"death_delay_ms": 3_600_000}));
    let rotation = rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 0);
    assert_eq!(
        (&rotation["stage"], &rotation["old"]["state"]),
        (&json!("retired-verifying"), &json!("retiring"))
    );
    assert_eq!(rotation["old"]["remote_id"], rig.started_with["mailgun@acme"].id);
    assert_eq!(rotation["next"]["action"], "verify");
    rig.invariants("mailgun@acme", "while the old key dies");
    assert_eq!(rig.rotate(&["--resume"], 0)["stage"], "retired-verifying");
    rig.after(7_200);
    assert_eq!(rig.rotate(&["--resume"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "when the old key is dead");
}

#[test]
fn a_key_that_outlives_its_deadline_is_a_failure() {
    let mut rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"death_delay_ms": 1_000_000_000}));
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 0)["stage"], "retired-verifying");
    rig.after(49 * 3_600);
    let rotation = rig.rotate(&["--resume"], 1);
    assert_eq!(rotation["stage"], "retired-verifying");
    assert!(rotation["trouble"].as_str().unwrap().contains("is not dead"), "{rotation}");
}

#[test]
fn what_stands_in_the_way_is_found_before_the_first_change() {
    let rig = Rig::new();
    let refused = |arguments: &[&str], code: i32, word: &str| {
        let ran =
            rig.run(&[&["-f", "json", "rotate", "mailgun@acme", "--yes"], arguments].concat()).exits(code);
        assert_eq!(ran.json()["error"]["code"], word, "{}", ran.stderr);
    };
    // A command from somebody else's file.
    rig.append(&format!(
        "{}command = [\"true\"]\n",
        manual("mailgun@acme", "ci").replace("manual", "command")
    ));
    refused(&[], 9, "command-not-approved");
    let _ = rig.run(&["consumer", "remove", "mailgun@acme", "ci"]).exits(0);
    refused(&["--using", "mailgun@nobody"], 8, "no-such-key");
    refused(&["--permissions", "campaigns:read"], 2, "usage");
    let mut read_only = Rig::new();
    read_only.world.set("KEYCTL_STORE", "env");
    read_only.world.set("KEYCTL_SECRET_MAILGUN__ACME", &read_only.started_with["mailgun@acme"].secret);
    let ran = read_only.run(&["-f", "json", "rotate", "mailgun@acme", "--yes"]).exits(7);
    assert_eq!(ran.json()["error"]["code"], "store-read-only");
    for rig in [&rig, &read_only] {
        assert_eq!(asked_for_keys(rig), 0);
        assert_eq!(rig.status(), Vec::<Value>::new());
    }
}

#[test]
fn a_role_without_the_right_is_told_before_anything_is_made() {
    let mut rig = Rig::on(Sandbox::start());
    let key = rig.sandbox.mailgun_key(&rig.account, "developer");
    rig.record("mailgun@acme", &key, "kind = \"account\"");
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--yes"]).exits(2);
    assert_eq!(ran.json()["error"]["code"], "no-managing-key");
    assert!(ran.json()["error"]["message"].as_str().unwrap().contains("developer"), "{}", ran.stdout);
    // With an admin key beside it, that one manages.
    let admin = rig.sandbox.mailgun_key(&rig.account, "admin");
    rig.record("mailgun:admin@acme", &admin, "kind = \"account\"");
    let rotation = rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 0);
    assert_eq!((&rotation["stage"], &rotation["using"]), (&json!("done"), &json!("mailgun:admin@acme")));
    let current = rig.get("mailgun@acme", "current").unwrap();
    let new = rig.keys().into_iter().find(|it| it["secret"] == current.as_str()).unwrap();
    assert_eq!(new["role"], "developer", "the new key has the role of the old one");
    let (foreign, _) = (rig.sandbox.mailgun_account(), ());
    let stranger = rig.sandbox.mailgun_key(&foreign, "admin");
    rig.record("mailgun:other@acme", &stranger, "kind = \"account\"");
    let ran = rig.run(&["rotate", "mailgun@acme", "--yes", "--using", "mailgun:other@acme"]).exits(2);
    assert!(ran.stderr.contains("manages another account"), "{}", ran.stderr);
}

#[test]
fn an_answer_that_got_lost_makes_no_second_key() {
    for action in [
        json!({"process_then": {"status": 502}}),
        json!({"cut": "after-processing"}),
        json!({"cut": "mid-body"}),
    ] {
        let rig = Rig::new();
        rig.sandbox.fault(json!({"host": "*", "method": "POST", "path_prefix": "/v1/keys", "times": 1,
            "action": action}));
        let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--yes"]).exits(0);
        assert_eq!(ran.data()["rotations"][0]["stage"], "grace", "{action}");
        assert!(ran.stderr.contains("is deleted again, its secret is not known"), "{action}: {}", ran.stderr);
        assert_eq!(account_rows(&rig), 2, "{action}: the old key and one new one");
        rig.invariants("mailgun@acme", &action.to_string());
    }
}

#[test]
fn a_key_of_another_account_does_not_become_current() {
    let rig = Rig::new();
    let foreign = rig.sandbox.mailgun_account();
    rig.sandbox.domain(&foreign, "us", "mg.other.example", "active");
    let stranger = rig.sandbox.mailgun_key(&foreign, "admin");
    let arguments = ["-f", "json", "rotate", "mailgun@acme", "--yes", "--stdin", "--timeout", "5s"];
    let ran = rig.world.run_with(&arguments, &stranger.secret).exits(1);
    let rotation = ran.data()["rotations"][0].clone();
    assert_eq!(rotation["stage"], "created");
    assert!(rotation["trouble"].as_str().unwrap().contains("another account"), "{rotation}");
    assert_eq!(rig.get("mailgun@acme", "current").unwrap(), rig.started_with["mailgun@acme"].secret);
}

#[test]
fn an_account_at_its_limit_of_keys_says_so_and_loses_nothing() {
    let rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"key_limit": 1}));
    let rotation = rig.rotate(&["mailgun@acme", "--yes"], 1);
    assert_eq!(rotation["stage"], "planned");
    assert!(rotation["trouble"].as_str().unwrap().contains("account limit reached"), "{rotation}");
    assert_eq!(account_rows(&rig), 1);
    rig.invariants("mailgun@acme", "at the limit");
    rig.sandbox.settings(&rig.account, json!({"key_limit": 5}));
    assert_eq!(rig.rotate(&["mailgun@acme", "--grace", "0s"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "after room was made");
}

#[test]
fn a_key_that_is_not_accepted_yet_is_waited_for() {
    let rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"birth_delay_ms": 700}));
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--yes"]).exits(0);
    assert!(ran.stderr.contains("not accepted yet"), "{}", ran.stderr);
    assert_eq!(ran.data()["rotations"][0]["stage"], "grace");
}

#[test]
fn a_key_that_stays_refused_fails_its_test_and_the_old_one_stays() {
    let mut rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"birth_delay_ms": 600_000}));
    let rotation = rig.rotate(&["mailgun@acme", "--yes", "--timeout", "2s"], 1);
    assert_eq!(rotation["stage"], "created");
    assert_eq!(rig.get("mailgun@acme", "current").unwrap(), rig.started_with["mailgun@acme"].secret);
    rig.invariants("mailgun@acme", "refused");
    rig.after(660);
    assert_eq!(rig.rotate(&["mailgun@acme"], 0)["stage"], "grace");
}

#[test]
fn a_rotation_is_never_stuck() {
    let rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"birth_delay_ms": 600_000}));
    let _ = rig.rotate(&["mailgun@acme", "--yes", "--timeout", "1s"], 1);
    let status = rig.status();
    assert_eq!(status[0]["next"]["action"], "test");
    assert!(status[0]["trouble"].is_string());
    let aborted = rig.rotate(&["mailgun@acme", "--abort"], 0);
    assert_eq!(aborted["stage"], "aborted", "{aborted}");
    assert_eq!(rig.status(), Vec::<Value>::new());
    assert_eq!(account_rows(&rig), 1);
    assert_eq!(rig.get("mailgun@acme", "pending"), None);
}

#[test]
fn one_place_that_fails_stops_the_rest_and_nothing_is_retired() {
    let rig = Rig::new();
    let add = |name: &str, command: &str| {
        let _ = rig.run(&["consumer", "add", "mailgun@acme", name, "--command", command]).exits(0);
    };
    add("a", "sh -c 'test -e ready && cat > a'");
    add("b", "sh -c 'cat > b'");
    let rotation = rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 1);
    assert_eq!(rotation["stage"], "deploying");
    let states: Vec<&str> =
        rotation["consumers"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "todo"]);
    assert!(!rig.world.path("b").exists());
    assert_eq!(rig.working().len(), 2);
    std::fs::write(rig.world.path("ready"), "").unwrap();
    assert_eq!(rig.rotate(&["mailgun@acme"], 0)["stage"], "done");
    let current = rig.get("mailgun@acme", "current").unwrap();
    for name in ["a", "b"] {
        assert_eq!(std::fs::read_to_string(rig.world.path(name)).unwrap(), current);
    }
}

#[test]
fn nothing_but_the_key_changes_in_its_record() {
    let mut rig = Rig::on(Sandbox::start());
    let key = rig.sandbox.mailgun_key(&rig.account, "admin");
    rig.record(
        "mailgun@acme",
        &key,
        &format!("kind = \"account\"\nregion = \"us\"\ndomain = \"{DOMAIN}\"\nstore = \"file\"\nidentity = \"Acme\"\nowner = \"a field of our own\""),
    );
    rig.append(&manual("mailgun@acme", "shop"));
    let before = rig.world.inventory();
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 6)["stage"], "deploying");
    assert_eq!(rig.rotate(&["mailgun@acme", "--ack", "shop"], 0)["stage"], "done");
    let changed = [
        "current",
        "fingerprint",
        "last2",
        "remote_id",
        "remote_name",
        "created",
        "expires",
        "role",
        "highest",
    ];
    let rest = |text: &str| -> Vec<String> {
        let lines =
            text.lines().filter(|it| !changed.iter().any(|field| it.starts_with(&format!("{field} = "))));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(rest(&rig.world.inventory()), rest(&before));
}

#[test]
fn a_key_that_is_still_in_use_is_not_retired() {
    let mut rig = Rig::new();
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes"], 0)["stage"], "grace");
    rig.after(3_600);
    let old = rig.started_with["mailgun@acme"].id.clone();
    let mail = json!({"region": "us", "domain": DOMAIN, "to": "a@example.com", "key_id": old});
    rig.sandbox.control("POST", &format!("/mailgun/accounts/{}/messages", rig.account), mail);
    rig.after(PAST_GRACE);
    let rotation = rig.rotate(&["--resume"], 6);
    assert_eq!((&rotation["stage"], &rotation["next"]["by"]), (&json!("grace"), &json!("human")));
    assert!(rotation["next"]["detail"].as_str().unwrap().contains("was used at"), "{rotation}");
    assert_eq!(rig.working().len(), 2);
    // Still within the second grace period.
    assert_eq!(rig.rotate(&["--resume"], 6)["stage"], "grace");
    rig.after(2 * PAST_GRACE);
    assert_eq!(rig.rotate(&["--resume"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "when nobody used it any more");
}

#[test]
fn logs_that_cannot_be_read_are_no_proof() {
    let mut rig = Rig::new();
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes"], 0)["stage"], "grace");
    rig.after(PAST_GRACE);
    rig.sandbox.fault(json!({"host": "*", "path_prefix": "/v1/analytics/logs", "action": {"status": 503}}));
    let arguments = ["-f", "json", "rotate", "--resume", "--timeout", "3s"];
    let ran = rig.run(&arguments).exits(4);
    assert_eq!(ran.data()["rotations"][0]["stage"], "grace");
    assert!(ran.stderr.contains("could not be read from the logs"), "{}", ran.stderr);
    assert_eq!(rig.working().len(), 2);
    let _ = rig.run(&[&arguments[..], &["--yes"]].concat()).exits(4);
    assert_eq!(rig.working().len(), 2, "consent is no knowledge of the logs");
    // What never tells is asked of a person, not tried again for ever.
    rig.sandbox.clear_faults();
    rig.sandbox.fault(json!({"host": "*", "path_prefix": "/v1/analytics/logs",
        "action": {"status": 403, "body": {"message": "Forbidden"}}}));
    let ran = rig.run(&["-f", "json", "rotate", "--resume", "--all", "--yes"]).exits(6);
    assert!(ran.stderr.contains("`keyctl rotate mailgun@acme --unused`"), "{}", ran.stderr);
    assert_eq!((rig.working().len(), rig.status()[0]["stage"].as_str()), (2, Some("grace")));
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--unused"]).exits(0);
    assert_eq!(ran.data()["rotations"][0]["stage"], "done");
}

#[test]
fn a_new_version_goes_where_the_record_leads() {
    let rig = Rig::new();
    let _ = rig.rotate(&["mailgun@acme", "--yes"], 0);
    // The variable is gone; the record says by itself where its secrets are.
    let mut command = rig.world.command(&["get", "mailgun@acme"]);
    command.env_remove("KEYCTL_STORE");
    let ran = crate::support::world::finish(command, "").exits(0);
    assert_eq!(ran.stdout.trim(), rig.get("mailgun@acme", "current").unwrap());
}

#[test]
fn a_dead_new_key_leaves_the_way_back_open() {
    let mut rig = Rig::new();
    let boss = rig.sandbox.mailgun_key(&rig.account, "admin");
    rig.record("mailgun:boss@acme", &boss, "kind = \"account\"");
    let rotation = rig.rotate(&["mailgun@acme", "--yes", "--using", "mailgun:boss@acme"], 0);
    let new = rotation["new"]["remote_id"].as_str().unwrap().to_owned();
    rig.after(PAST_GRACE);
    rig.sandbox.control("PUT", &format!("/mailgun/keys/{new}"), json!({"delete": true}));
    let stuck = rig.rotate(&["mailgun@acme", "--resume"], 1);
    assert_eq!(stuck["stage"], "grace", "{stuck}");
    let _ = rig.run(&["rotate", "mailgun@acme", "--rollback", "--yes"]);
    assert_eq!(rig.get("mailgun@acme", "current").unwrap(), rig.started_with["mailgun@acme"].secret);
}

#[test]
fn an_old_copy_of_the_inventory_destroys_no_newer_secret() {
    let rig = Rig::new();
    let old = rig.world.inventory();
    let _ = rig.rotate(&["mailgun@acme", "--yes"], 0);
    let newer = rig.world.inventory();
    let live = rig.get("mailgun@acme", "current").unwrap();
    rig.world.write_inventory(&old);
    for arguments in
        [&["rotate", "mailgun@acme", "--yes"][..], &["rotate", "mailgun@acme", "--abort", "--yes"]]
    {
        let ran = rig.run(arguments);
        assert_ne!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    }
    let other = ["key-", &"1".repeat(32)].concat();
    let add = ["add", "mailgun@acme", "--kind", "account", "--stdin", "--no-validate", "--replace"];
    for _ in 0..2 {
        let ran = rig.world.run_with(&add, &other).exits(9);
        assert!(ran.stderr.contains("a newer secret of `mailgun@acme`"), "{}", ran.stderr);
    }
    rig.world.write_inventory(&newer);
    assert_eq!(rig.get("mailgun@acme", "current").unwrap(), live);
}

#[test]
fn one_word_of_fact_is_said_of_one_key() {
    let mut rig = Rig::new();
    let other = rig.sandbox.mailgun_key(&rig.account, "admin");
    rig.record("mailgun:b@acme", &other, "kind = \"account\"");
    let _ = rig.run(&["rotate", "acme", "--yes"]).exits(0);
    rig.after(PAST_GRACE);
    rig.sandbox.fault(json!({"host": "*", "path_prefix": "/v1/analytics/logs",
        "action": {"status": 403, "body": {"message": "Forbidden"}}}));
    let ran = rig.run(&["rotate", "acme", "--unused"]).exits(2);
    assert!(ran.stderr.contains("are said of one key"), "{}", ran.stderr);
    assert_eq!(rig.working().len(), 4);
}
