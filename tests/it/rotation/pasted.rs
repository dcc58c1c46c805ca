//! Keys that a person gives: somebody else's is refused, a wrong one is
//! exchanged, and nothing that is not the rotation's is ever asked to end.

use serde_json::{Value, json};

use super::rig::{PAST_GRACE, Rig};
use super::vendor::Vendor;
use crate::support::sandbox::SandboxKey;
use crate::support::terminal::Terminal;
use crate::support::world::Ran;

struct Shop {
    vendor: Vendor,
    old: SandboxKey,
}

impl Shop {
    /// Returns `brevo@acme`, whose rotation waits for a key.
    fn waiting() -> Self {
        let mut vendor = Vendor::brevo();
        let old = vendor.make();
        vendor.record("brevo@acme", &old, "api");
        let _ = vendor.rig.rotate(&["brevo@acme", "--yes", "--no-input"], 6);
        Self { vendor, old }
    }

    /// Makes a key in another account.
    fn foreign(&self) -> SandboxKey {
        let account = self.rig().sandbox.control("POST", "/brevo/accounts", json!({"company": "Other"}));
        let path = format!("/brevo/accounts/{}/keys", account["id"].as_str().unwrap());
        let made = self.rig().sandbox.control("POST", &path, json!({"kind": "api"}));
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        SandboxKey { id: text("id"), secret: text("secret") }
    }

    fn rig(&self) -> &Rig {
        &self.vendor.rig
    }

    #[track_caller]
    fn give(&self, secret: &str, code: i32) -> Ran {
        let arguments = ["-f", "json", "rotate", "brevo@acme", "--resume", "--stdin"];
        let ran = self.rig().world.run_with(&arguments, secret).exits(code);
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret));
        ran
    }

    fn works(&self, key: &SandboxKey) -> bool {
        let state = self.rig().sandbox.control("GET", "/state", Value::Null);
        let keys = state["brevo"]["keys"].as_array().unwrap();
        let found = keys.iter().find(|it| it["id"] == key.id.as_str()).unwrap();
        found["state"] == "active"
    }
}

#[test]
fn the_key_of_another_record_is_refused_before_it_is_stored() {
    let mut shop = Shop::waiting();
    let (foreign, sibling) = (shop.foreign(), shop.vendor.make());
    shop.vendor.record("brevo@other", &foreign, "api");
    shop.vendor.record("brevo:news@acme", &sibling, "api");
    for (key, holder) in [(&foreign, "`brevo@other`"), (&sibling, "`brevo:news@acme`")] {
        let ran = shop.give(&key.secret, 2);
        assert_eq!(ran.json()["data"]["rotations"][0]["stage"], "creating", "{}", ran.stdout);
        assert!(ran.stderr.contains(holder), "{}", ran.stderr);
        assert_eq!(shop.rig().get("brevo@acme", "pending"), None, "it is not stored");
    }
    // Nor one that the other record is rotating to.
    let next = shop.vendor.make();
    let ran = shop.rig().world.run_with(&["rotate", "brevo:news@acme", "--yes", "--stdin"], &next.secret);
    let _ = ran.exits(0);
    for key in [&next, &sibling] {
        assert!(shop.give(&key.secret, 2).stderr.contains("`brevo:news@acme`"));
    }
    let new = shop.vendor.make();
    let _ = shop.give(&new.secret, 0);
    assert_eq!(shop.rig().get("brevo@acme", "current").unwrap(), new.secret);
}

#[test]
fn a_key_of_another_account_is_dropped_and_never_asked_to_end() {
    let shop = Shop::waiting();
    let foreign = shop.foreign();
    let ran = shop.give(&foreign.secret, 1);
    assert!(ran.stderr.contains("another account"), "{}", ran.stderr);
    let ran = shop.rig().run(&["-f", "json", "rotate", "brevo@acme", "--abort", "--no-input"]).exits(0);
    assert_eq!(ran.data()["rotations"][0]["stage"], "aborted");
    assert!(ran.stderr.contains("left alone at brevo") && !ran.stderr.contains("Delete"), "{}", ran.stderr);
    assert_eq!(shop.rig().status(), Vec::<Value>::new());
    assert_eq!(shop.rig().get("brevo@acme", "pending"), None);
    assert!(shop.works(&foreign), "nobody ended it");
    assert_eq!(shop.rig().get("brevo@acme", "current").unwrap(), shop.old.secret);
}

#[test]
fn another_key_takes_the_place_of_one_that_failed_its_test() {
    let shop = Shop::waiting();
    let foreign = shop.foreign();
    let _ = shop.give(&foreign.secret, 1);
    // One that never was a key: it is dead, and dropped.
    let dead = shop.vendor.make();
    shop.vendor.change(&dead.id, json!({"state": "deleted"}));
    let ran = shop.give(&dead.secret, 1);
    assert!(ran.stderr.contains("is dropped here, and left alone there"), "{}", ran.stderr);
    let new = shop.vendor.make();
    let ran = shop.give(&new.secret, 0);
    assert!(ran.stderr.contains("does not work: it is dropped"), "{}", ran.stderr);
    assert_eq!(ran.data()["rotations"][0]["stage"], "grace");
    assert_eq!(shop.rig().get("brevo@acme", "current").unwrap(), new.secret);
    assert_eq!(shop.rig().inventory().keys.len(), 1, "nothing else is left to announce");
}

#[test]
fn a_key_that_may_be_alive_is_announced_after_it_was_exchanged() {
    let shop = Shop::waiting();
    let narrow = shop.vendor.make_with(json!({"kind": "api", "permissions": ["senders"]}));
    let _ = shop.give(&narrow.secret, 1);
    // The same once more is tested once more.
    let again = shop.give(&narrow.secret, 1);
    assert!(again.stderr.contains("was given before"), "{}", again.stderr);
    let new = shop.vendor.make();
    let ran = shop.give(&new.secret, 0);
    assert!(ran.stderr.contains("may be alive: it is kept as `brevo:unused-"), "{}", ran.stderr);
    assert_eq!(shop.rig().get("brevo@acme", "current").unwrap(), new.secret);
    let inventory = shop.rig().inventory();
    let unused = inventory.keys.keys().find(|it| it.label.is_some()).unwrap().to_string();
    assert_eq!(shop.rig().get(&unused, "current").unwrap(), narrow.secret, "a key shown once is not lost");
}

#[test]
fn a_key_that_is_not_wanted_is_not_taken_in_silence() {
    let mut shop = Shop::waiting();
    let (new, more) = (shop.vendor.make(), shop.vendor.make());
    for verb in ["--status", "--abort", "--rollback", "--ack-all", "--due"] {
        let ran = shop.rig().world.run_with(&["rotate", "brevo@acme", verb, "--stdin"], &new.secret).exits(2);
        assert!(ran.stderr.contains("it was not taken"), "{verb}: {}", ran.stderr);
    }
    let _ = shop.give(&new.secret, 0);
    for arguments in [&["--resume", "--stdin"][..], &["--yes", "--stdin"], &["--resume", "--all", "--stdin"]]
    {
        let key: &[&str] = if arguments.contains(&"--all") { &[] } else { &["brevo@acme"] };
        let all = [&["rotate"], key, arguments].concat();
        let ran = shop.rig().world.run_with(&all, &more.secret).exits(2);
        assert!(ran.stderr.contains("was not taken"), "{arguments:?}: {}", ran.stderr);
    }
    assert_eq!(shop.rig().status()[0]["stage"], "grace", "and nothing else happened");
    shop.vendor.rig.after(PAST_GRACE);
    let _ = shop.give(&more.secret, 2);
    assert_eq!(shop.rig().status()[0]["stage"], "grace");
    assert_eq!(shop.rig().get("brevo@acme", "current").unwrap(), new.secret);
}

#[test]
fn a_person_tells_whether_a_key_was_made_for_the_rotation() {
    let shop = Shop::waiting();
    let narrow = shop.vendor.make_with(json!({"kind": "api", "permissions": ["senders"]}));
    let _ = shop.give(&narrow.secret, 1);
    let mut terminal = Terminal::start(shop.rig().world.command(&["rotate", "brevo@acme", "--abort"]));
    terminal.until("made for this rotation");
    terminal.line("n");
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("is dropped here"), "{shown}");
    assert_eq!(shop.rig().status(), Vec::<Value>::new());
    assert!(shop.works(&narrow));
}

#[test]
fn an_exchange_survives_a_kill_at_every_point() {
    for point in 0.. {
        let shop = Shop::waiting();
        let narrow = shop.vendor.make_with(json!({"kind": "api", "permissions": ["senders"]}));
        let _ = shop.give(&narrow.secret, 1);
        let new = shop.vendor.make();
        let mut command = shop.rig().world.command(&["rotate", "brevo@acme", "--resume", "--stdin"]);
        command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
        let ran = crate::support::world::finish(command, &new.secret);
        // Whatever was given and may be alive is in the store, under some record.
        let kept = || {
            let inventory = shop.rig().inventory();
            let keys: Vec<String> = inventory.keys.keys().map(ToString::to_string).collect();
            let slots = |key: &String| ["current", "pending", "previous"].map(|it| shop.rig().get(key, it));
            keys.iter().flat_map(slots).flatten().any(|it| it == narrow.secret)
        };
        assert!(kept(), "killed at point {point}: the key given before is lost");
        if ran.code != 0 {
            let stage = shop.rig().status().first().map(|it| it["stage"].clone());
            match stage.as_ref().and_then(Value::as_str) {
                Some("creating" | "created") => drop(shop.give(&new.secret, 0)),
                _ => drop(shop.rig().rotate(&["brevo@acme", "--resume"], 0)),
            }
        }
        let context = format!("killed at point {point}");
        assert!(kept(), "{context}: the key given before is lost");
        assert_eq!(shop.rig().get("brevo@acme", "current").unwrap(), new.secret, "{context}");
        assert_eq!(shop.rig().inventory().keys.len(), 2, "{context}: it is announced once");
        if ran.code == 0 {
            return assert!(point > 10, "only {point} points");
        }
    }
}
