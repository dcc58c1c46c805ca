//! The old key is switched off before it is deleted, and comes back until then.

use serde_json::json;

use super::rig::PAST_GRACE;
use super::vendor::Vendor;

fn stage(rotation: &serde_json::Value) -> String {
    let text = |it: &serde_json::Value| it.as_str().unwrap_or("-").to_owned();
    [&rotation["stage"], &rotation["old"]["state"], &rotation["next"]["action"]].map(text).join(" ")
}

#[test]
fn a_key_that_a_person_switched_off_is_switched_on_again_by_a_roll_back() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let new = vendor.make();
    let _ = vendor.rig.world.run_with(&["rotate", "brevo@acme", "--yes", "--stdin"], &new.secret).exits(0);
    vendor.rig.after(PAST_GRACE);
    assert_eq!(stage(&vendor.rig.rotate(&["--resume"], 6)), "disabled live disable");
    vendor.change(&old.id, json!({"state": "deactivated"}));
    assert_eq!(stage(&vendor.rig.rotate(&["--resume"], 6)), "disabled disabled delete");
    let ran = vendor.rig.run(&["rotate", "brevo@acme", "--rollback", "--yes"]).exits(6);
    assert!(ran.stderr.contains("Switch the old key of `brevo@acme`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Activate"), "{}", ran.stderr);
    assert_eq!(vendor.rig.get("brevo@acme", "current").unwrap(), new.secret, "until the old one works");
    assert_eq!(vendor.rig.status()[0]["stage"], "disabled");
    vendor.change(&old.id, json!({"state": "active"}));
    let back = vendor.rig.rotate(&["brevo@acme", "--rollback"], 6);
    assert_eq!(stage(&back), "rolling-back live delete");
    assert_eq!(vendor.rig.get("brevo@acme", "current").unwrap(), old.secret);
    // Switched off is not deleted.
    vendor.change(&new.id, json!({"state": "deactivated"}));
    assert_eq!(stage(&vendor.rig.rotate(&["--resume"], 6)), "rolling-back live delete");
    vendor.change(&new.id, json!({"state": "deleted"}));
    assert_eq!(vendor.rig.rotate(&["--resume"], 0)["stage"], "rolled-back");
}

#[test]
fn a_key_that_was_deleted_at_once_is_proven_dead_and_does_not_come_back() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let new = vendor.make();
    let arguments = ["rotate", "brevo@acme", "--yes", "--stdin", "--grace", "0s"];
    let _ = vendor.rig.world.run_with(&arguments, &new.secret).exits(6);
    vendor.change(&old.id, json!({"state": "deleted"}));
    let ran = vendor.rig.run(&["-f", "json", "rotate", "brevo@acme", "--rollback"]).exits(1);
    assert_eq!(ran.json()["error"]["code"], "too-late");
    assert_eq!(vendor.rig.rotate(&["--resume"], 0)["stage"], "done");
}

#[test]
fn a_key_that_leaked_is_deleted_without_a_second_way_to_the_console() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let new = vendor.make();
    let arguments = ["-f", "json", "rotate", "brevo@acme", "--yes", "--stdin", "--compromised"];
    let ran = vendor.rig.world.run_with(&arguments, &new.secret).exits(6);
    assert_eq!(stage(&ran.data()["rotations"][0]), "retiring live delete", "{}", ran.stderr);
}

#[test]
fn a_key_that_was_switched_off_by_api_is_switched_on_again_by_a_roll_back() {
    let mut vendor = Vendor::klaviyo();
    let old = vendor.make();
    vendor.record("klaviyo@acme", &old, "private");
    let scopes = json!({"scopes": ["accounts:read", "credentials:read", "credentials:write"]});
    let manager = vendor.make_with(scopes);
    vendor.record("klaviyo:admin@acme", &manager, "private");
    let new = vendor.make();
    let arguments = ["rotate", "klaviyo@acme", "--yes", "--stdin", "--grace", "0s"];
    let _ = vendor.rig.world.run_with(&arguments, &new.secret).exits(6);
    assert_eq!(vendor.rig.status()[0]["old"]["state"], "disabled");
    let back = vendor.rig.rotate(&["klaviyo@acme", "--rollback"], 6);
    assert_eq!(stage(&back), "rolling-back live delete");
    assert_eq!(vendor.rig.get("klaviyo@acme", "current").unwrap(), old.secret);
    let lines = vendor.rig.sandbox.request_lines();
    assert_eq!(lines.iter().filter(|it| it.starts_with("PATCH")).count(), 2, "off, and on: {lines:?}");
}
