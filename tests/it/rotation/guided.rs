//! Where a person makes or deletes the key: providers without an API for it.

use serde_json::{Value, json};

use super::rig::{PAST_GRACE, Rig, manual};
use super::vendor::Vendor;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::Terminal;

/// How a person ends a key in the console.
struct Ending {
    /// Where it can be switched off: that comes first.
    off: Option<Value>,
    dead: Value,
    /// The provider refuses both alike: a person's word tells.
    by_word: bool,
}

/// A person makes the new key, hands it over by stdin, and deletes the old one
/// in the end.
fn the_whole_way(vendor: &mut Vendor, key: &str, kind: &str, ending: Ending) {
    let old = vendor.make();
    vendor.record(key, &old, kind);
    vendor.rig.append(&manual(key, "shop"));
    // Nobody there, nothing given: the way is shown, and that a key may exist is noted.
    let ran = vendor.rig.run(&["-f", "json", "rotate", key, "--yes", "--no-input"]).exits(6);
    let rotation = ran.data()["rotations"][0].clone();
    assert_eq!(
        (&rotation["stage"], &rotation["next"]["by"]),
        (&json!("creating"), &json!("human")),
        "{rotation}"
    );
    let url = rotation["next"]["url"].as_str().unwrap();
    assert!(url.starts_with("https://") && ran.stderr.contains("https://"), "{url}: {}", ran.stderr);
    // The same key again is none.
    let again = vendor.rig.world.run_with(&["rotate", key, "--resume", "--stdin"], &old.secret).exits(2);
    assert!(again.stderr.contains("has already"), "{}", again.stderr);
    let _ = vendor.rig.world.run_with(&["rotate", key, "--resume", "--stdin"], "no key at all").exits(2);
    let new = vendor.make();
    let pasted = format!("\"{}\"\n", new.secret);
    let ran =
        vendor.rig.world.run_with(&["-f", "json", "rotate", key, "--resume", "--stdin"], &pasted).exits(6);
    assert!(!ran.stdout.contains(&new.secret) && !ran.stderr.contains(&new.secret));
    assert_eq!(ran.data()["rotations"][0]["stage"], "deploying", "{}", ran.stderr);
    assert_eq!(vendor.rig.get(key, "current").unwrap(), new.secret);
    assert_eq!(vendor.rig.rotate(&[key, "--ack", "shop"], 0)["stage"], "grace");
    vendor.rig.after(PAST_GRACE);
    let ran = vendor.rig.run(&["-f", "json", "rotate", key, "--resume"]).exits(6);
    let rotation = ran.data()["rotations"][0].clone();
    let told = |it: &Value| format!("{} {} {}", it["stage"], it["next"]["action"], it["old"]["state"]);
    match ending.off {
        Some(off) => {
            assert_eq!(told(&rotation), r#""disabled" "disable" "live""#);
            assert!(ran.stderr.contains("do not delete it yet"), "{}", ran.stderr);
            vendor.change(&old.id, off);
            let rotation = vendor.rig.rotate(&[key, "--resume"], 6);
            assert_eq!(told(&rotation), r#""disabled" "delete" "disabled""#);
            let again = vendor.rig.rotate(&[key, "--resume"], 6);
            assert_eq!(told(&again), r#""disabled" "delete" "disabled""#, "it is not deleted yet");
        }
        None => assert_eq!(told(&rotation), r#""retiring" "delete" "live""#),
    }
    assert_eq!(vendor.rig.get(key, "previous").unwrap(), old.secret, "until it is proven dead");
    vendor.change(&old.id, ending.dead);
    if ending.by_word {
        // Consent is not knowledge, and a job that resumes everything knows nothing.
        for word in [&[key, "--resume", "--yes"][..], &["--resume", "--all", "--yes"]] {
            assert_eq!(vendor.rig.rotate(word, 6)["stage"], "disabled");
        }
    }
    let word: &[&str] = if ending.by_word { &["--done"] } else { &[] };
    let done = vendor.rig.rotate(&[&[key, "--resume"], word].concat(), 0);
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")));
    assert_eq!(vendor.rig.get(key, "previous"), None);
    assert_eq!(vendor.rig.get(key, "current").unwrap(), new.secret);
    assert_eq!(vendor.rig.status(), Vec::<Value>::new());
}

#[test]
fn a_brevo_key_is_made_and_deleted_by_a_person() {
    let off = Some(json!({"state": "deactivated"}));
    let ending = Ending { off, dead: json!({"state": "deleted"}), by_word: false };
    the_whole_way(&mut Vendor::brevo(), "brevo@acme", "api", ending);
}

#[test]
fn a_klaviyo_key_is_made_and_deleted_by_a_person() {
    let ending =
        Ending { off: Some(json!({"disabled": true})), dead: json!({"deleted": true}), by_word: false };
    the_whole_way(&mut Vendor::klaviyo(), "klaviyo@acme", "private", ending);
}

#[test]
fn a_highlevel_token_is_made_and_deleted_by_a_person() {
    let ending = Ending { off: None, dead: json!({"dead": true}), by_word: false };
    the_whole_way(&mut Vendor::highlevel(), "highlevel@acme", "agency", ending);
}

#[test]
fn no_step_of_a_highlevel_rotation_ends_the_token_that_stays() {
    let mut vendor = Vendor::highlevel();
    let old = vendor.make();
    vendor.record("highlevel@acme", &old, "agency");
    let planned = vendor.rig.rotate(&["highlevel@acme", "--plan", "--grace", "14d"], 0);
    let warned = |it: &Value| it.as_str().unwrap().contains("ends after 7 days");
    assert!(planned["warnings"].as_array().unwrap().iter().any(warned), "{planned}");
    let new = vendor.make();
    let arguments = ["-f", "json", "rotate", "highlevel@acme", "--yes", "--stdin", "--grace", "14d"];
    let ran = vendor.rig.world.run_with(&arguments, &new.secret).exits(0);
    let rotation = ran.data()["rotations"][0].clone();
    assert!(rotation["next"]["detail"].as_str().unwrap().contains("ends by itself by"), "{rotation}");
    assert_eq!((&rotation["old"]["remote_id"], &rotation["new"]["remote_id"]), (&Value::Null, &Value::Null));
    let back = vendor.rig.run(&["rotate", "highlevel@acme", "--rollback"]).exits(6);
    assert!(back.stderr.contains("cancel the rotation"), "{}", back.stderr);
    assert!(!back.stderr.contains("Expire now"), "it would end the token in use: {}", back.stderr);
    vendor.change(&new.id, json!({"dead": true}));
    assert_eq!(vendor.rig.rotate(&["--resume"], 0)["stage"], "rolled-back");
    // The other way round the new token is the one that stays.
    let new = vendor.make();
    let arguments = ["rotate", "highlevel@acme", "--yes", "--stdin", "--grace", "0s"];
    let ran = vendor.rig.world.run_with(&arguments, &new.secret).exits(6);
    assert!(ran.stderr.contains("\"Expire now\", which ends the old token"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("cancel the rotation"), "{}", ran.stderr);
}

#[test]
fn without_consent_and_without_a_person_the_way_is_shown_and_nothing_saved() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let before = vendor.rig.world.inventory();
    let ran = vendor.rig.run(&["rotate", "brevo@acme", "--no-input"]).exits(6);
    assert!(ran.stderr.contains("API-Schlüssel"), "the German labels, too: {}", ran.stderr);
    assert_eq!(vendor.rig.world.inventory(), before);
}

#[test]
fn a_key_that_was_never_made_is_reported_so() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let _ = vendor.rig.rotate(&["brevo@acme", "--yes", "--no-input"], 6);
    let waiting = vendor.rig.rotate(&["brevo@acme", "--abort", "--no-input"], 6);
    assert_eq!(waiting["stage"], "aborting", "one may exist");
    assert_eq!(
        vendor.rig.rotate(&["brevo@acme", "--abort", "--yes"], 6)["stage"],
        "aborting",
        "consent is no fact"
    );
    assert_eq!(vendor.rig.rotate(&["brevo@acme", "--not-made"], 0)["stage"], "aborted");
    assert_eq!(vendor.rig.status(), Vec::<Value>::new());
}

#[test]
fn an_unused_key_of_a_person_is_proven_deleted_before_it_is_forgotten() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let new = vendor.make();
    let _ = vendor.rig.world.run_with(&["rotate", "brevo@acme", "--yes", "--stdin"], &new.secret).exits(0);
    let back = vendor.rig.rotate(&["brevo@acme", "--rollback"], 6);
    assert_eq!((&back["stage"], &back["next"]["action"]), (&json!("rolling-back"), &json!("delete")));
    assert_eq!(vendor.rig.get("brevo@acme", "current").unwrap(), old.secret);
    // A person's word is not enough where it can be tried.
    assert_eq!(vendor.rig.rotate(&["--resume", "--yes"], 6)["stage"], "rolling-back");
    vendor.change(&new.id, json!({"state": "deleted"}));
    assert_eq!(vendor.rig.rotate(&["--resume"], 0)["stage"], "rolled-back");
    assert_eq!(vendor.rig.get("brevo@acme", "pending"), None);
}

#[test]
fn a_person_at_a_terminal_is_led_through() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let new = vendor.make();
    let mut terminal = Terminal::start(vendor.rig.world.command(&["rotate", "brevo@acme", "--grace", "0s"]));
    terminal.until("Rotate `brevo@acme`?");
    terminal.line("y");
    terminal.until("app.brevo.com");
    terminal.until("New key of brevo@acme");
    terminal.line(&new.secret);
    terminal.until("Switch the old key of `brevo@acme`");
    terminal.until("Done?");
    vendor.change(&old.id, json!({"state": "deactivated"}));
    terminal.line("y");
    terminal.until("Delete the old key of `brevo@acme`");
    terminal.until("Done?");
    vendor.change(&old.id, json!({"state": "deleted"}));
    terminal.line("y");
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("done") && !shown.contains(&new.secret), "{shown}");
}

#[test]
fn a_klaviyo_key_is_switched_off_by_api_first() {
    let mut vendor = Vendor::klaviyo();
    let old = vendor.make();
    vendor.record("klaviyo@acme", &old, "private");
    let manager =
        vendor.make_with(json!({"scopes": ["accounts:read", "credentials:read", "credentials:write"]}));
    vendor.record("klaviyo:admin@acme", &manager, "private");
    let new = vendor.make();
    let arguments = ["-f", "json", "rotate", "klaviyo@acme", "--yes", "--stdin"];
    let ran = vendor.rig.world.run_with(&arguments, &new.secret).exits(0);
    assert_eq!(ran.data()["rotations"][0]["using"], "klaviyo:admin@acme", "{}", ran.stderr);
    vendor.rig.after(PAST_GRACE);
    let off = vendor.rig.rotate(&["--resume"], 6);
    assert_eq!((&off["stage"], &off["old"]["state"]), (&json!("disabled"), &json!("disabled")));
    assert_eq!((&off["next"]["by"], &off["next"]["action"]), (&json!("human"), &json!("delete")));
    assert_eq!(vendor.rig.get("klaviyo@acme", "previous").unwrap(), old.secret, "anybody can enable it");
    vendor.change(&old.id, json!({"deleted": true}));
    let done = vendor.rig.rotate(&["--resume"], 0);
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")));
    let switched: Vec<String> =
        vendor.rig.sandbox.request_lines().into_iter().filter(|it| it.starts_with("PATCH")).collect();
    assert_eq!(switched.len(), 1, "{switched:?}");
}

#[test]
fn a_new_key_with_fewer_permissions_does_not_become_current() {
    let mut vendor = Vendor::klaviyo();
    let old = vendor.make();
    vendor.record("klaviyo@acme", &old, "private\"\npermissions = [\"lists:read\"]\nidentity = \"shop");
    let narrow = vendor.make_with(json!({"scopes": ["accounts:read", "credentials:read"]}));
    let arguments = ["-f", "json", "rotate", "klaviyo@acme", "--yes", "--stdin"];
    let ran = vendor.rig.world.run_with(&arguments, &narrow.secret).exits(1);
    assert!(ran.stderr.contains("lists:read"), "{}", ran.stderr);
    assert_eq!(vendor.rig.get("klaviyo@acme", "current").unwrap(), old.secret);
}

#[test]
fn keys_are_switched_off_and_on_and_it_is_proven() {
    let mut vendor = Vendor::brevo();
    let key = vendor.make();
    vendor.record("brevo@acme", &key, "api");
    let _ = vendor.rig.run(&["disable", "brevo@acme", "--no-input"]).exits(6);
    let still = vendor.rig.world.data(&["disable", "brevo@acme", "--done"], 3);
    assert_eq!(
        (&still["state"], &still["verdict"]),
        (&json!("disabled"), &json!("valid")),
        "recorded, and a finding"
    );
    vendor.change(&key.id, json!({"state": "deactivated"}));
    let off = vendor.rig.world.data(&["disable", "brevo@acme", "--done"], 0);
    assert_eq!(
        off,
        json!({"key": "brevo@acme", "state": "disabled", "how": "recorded", "verdict": "rejected", "reason": "disabled"})
    );
    let _ = vendor.rig.run(&["rotate", "brevo@acme", "--yes"]).exits(2);
    vendor.change(&key.id, json!({"state": "active"}));
    assert_eq!(vendor.rig.world.data(&["enable", "brevo@acme", "--done"], 0)["state"], "active");
    let rig = Rig::new();
    let ran = rig.run(&["disable", "mailgun@acme"]).exits(2);
    assert!(ran.stderr.contains("deleting is the only way"), "{}", ran.stderr);
}

#[test]
fn a_brevo_smtp_key_is_made_and_deleted_by_a_person() {
    let sandbox = Sandbox::start();
    let made = json!({"kind": "smtp"});
    let mut vendor = Vendor::of(sandbox, "/brevo/accounts", "keys", "/brevo/keys", made);
    let state = vendor.rig.sandbox.control("GET", "/state", Value::Null);
    let login = state["brevo"]["accounts"][0]["smtp_login"].as_str().unwrap().to_owned();
    let ending = Ending {
        off: Some(json!({"state": "deactivated"})),
        dead: json!({"state": "deleted"}),
        by_word: true,
    };
    the_whole_way(&mut vendor, "brevo@acme", &format!("smtp\"\nlogin = \"{login}"), ending);
    assert_eq!(vendor.rig.world.data(&["show", "brevo@acme"], 0)["key"]["login"], login.as_str());
}
