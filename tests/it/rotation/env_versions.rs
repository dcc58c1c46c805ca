//! A job that reads its keys from the environment while one of them rotates:
//! its variable holds the version before, or already the one to come.

use serde_json::{Value, json};

use super::rig::Rig;

const KEY: &str = "mailgun@acme";
const VARIABLE: &str = "KEYCTL_SECRET_MAILGUN__ACME";

/// What `validate` says with the secrets of the environment.
fn judged(rig: &Rig, more: &[&str], code: i32) -> Value {
    let data = rig.world.data(&[&["--store", "env", "validate", KEY], more].concat(), code);
    data["results"][0].clone()
}

#[test]
fn the_version_before_is_recognised_and_says_nothing_of_the_new_one() {
    let mut rig = Rig::new();
    let old = rig.started_with[KEY].clone();
    rig.world.set(VARIABLE, &old.secret);
    assert_eq!(judged(&rig, &[], 0)["slot"], Value::Null, "it is the current one");
    assert_eq!(rig.rotate(&[KEY, "--yes"], 0)["stage"], "grace");
    let one = judged(&rig, &[], 0);
    assert_eq!(
        (&one["verdict"], &one["slot"], &one["changed"]),
        (&json!("valid"), &json!("previous"), &Value::Null)
    );
    let hash = keyctl::key::Secret::new(old.secret.clone()).fingerprint();
    assert_eq!(one["fingerprint"], hash.as_str(), "what is told is of that version");
    let hint = one["hint"].as_str().unwrap();
    assert!(hint.contains(&format!("{VARIABLE} holds the previous version of `{KEY}`")), "{hint}");
    let table = rig.run(&["--store", "env", "validate", KEY]).exits(0).stdout;
    assert!(table.contains("holds the previous version"), "{table}");
    // It lives, so the key does; and that it is refused proves nothing of the new one.
    let _ = judged(&rig, &["--expect", "rejected"], 3);
    rig.sandbox.control("PUT", &format!("/mailgun/keys/{}", old.id), json!({"delete": true}));
    rig.sandbox.clock(120);
    let one = judged(&rig, &["--expect", "rejected"], 4);
    let detail = one["detail"].as_str().unwrap();
    assert!(detail.starts_with("not proven dead: this is its previous version"), "{detail}");
    // What was seen of that version is not kept as the record's.
    assert_eq!(rig.world.data(&["show", KEY], 0)["key"]["last_verdict"], "valid");
}

#[test]
fn a_program_is_given_the_version_before_with_a_warning_and_no_place_is() {
    let mut rig = Rig::new();
    let old = rig.started_with[KEY].secret.clone();
    let _ = rig.run(&["consumer", "add", KEY, "shop", "--command", "cat"]).exits(0);
    assert_eq!(rig.rotate(&[KEY, "--yes"], 0)["stage"], "grace");
    rig.world.set(VARIABLE, &old);
    let ran = rig.run(&["--store", "env", "get", KEY]).exits(0);
    assert_eq!(ran.stdout.trim(), old);
    assert!(ran.stderr.contains("warning: ") && ran.stderr.contains("previous version"), "{}", ran.stderr);
    assert_eq!(rig.run(&["--store", "env", "get", KEY, "--slot", "previous"]).exits(0).stdout.trim(), old);
    let _ = rig.run(&["--store", "env", "get", KEY, "--slot", "pending"]).exits(8);
    let ran = rig.run(&["--store", "env", "domains", KEY]).exits(0);
    assert_eq!(ran.stderr.matches("holds the previous version").count(), 1, "{}", ran.stderr);
    // A place must never be given back what is about to end.
    let ran = rig.run(&["--store", "env", "consumer", "push", KEY, "shop"]).exits(8);
    assert!(ran.stderr.contains("holds the previous version"), "{}", ran.stderr);
    // Another text is given to no place either.
    rig.world.set(VARIABLE, &["key-", &"0".repeat(32)].concat());
    let ran = rig.run(&["--store", "env", "consumer", "push", KEY, "shop"]).exits(4);
    assert!(ran.stderr.contains("it was not sent"), "{}", ran.stderr);
}

#[test]
fn the_version_to_come_is_recognised_before_the_switch() {
    let mut rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"birth_delay_ms": 600_000}));
    let _ = rig.rotate(&[KEY, "--yes", "--timeout", "1s"], 1);
    rig.world.set(VARIABLE, &rig.get(KEY, "pending").unwrap());
    rig.sandbox.clock(660);
    let one = judged(&rig, &[], 0);
    assert_eq!((&one["verdict"], &one["slot"]), (&json!("valid"), &json!("pending")));
    assert!(one["hint"].as_str().unwrap().contains("until the rotation has switched"), "{one}");
}

#[test]
fn a_rotation_does_not_take_another_text_for_one_of_its_keys() {
    let rig = Rig::new();
    assert_eq!(rig.rotate(&[KEY, "--yes"], 0)["stage"], "grace");
    let old = keyctl::key::Secret::new(rig.started_with[KEY].secret.clone()).fingerprint();
    rig.world.write_inventory(&rig.world.inventory().replace(old.as_str(), "0123456789ab"));
    let _ = rig.run(&["get", KEY, "--slot", "previous"]).exits(9);
    let ran = rig.run(&["rotate", KEY, "--rollback"]).exits(1);
    assert!(
        ran.stderr.contains("holds another secret than the one recorded for the previous version"),
        "{}",
        ran.stderr
    );
    rig.invariants(KEY, "after the roll-back that was refused");
}
