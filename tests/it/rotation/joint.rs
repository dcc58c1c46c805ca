//! Records of the same secret rotate together.

use serde_json::json;

use super::rig::{Rig, manual};

fn twins() -> Rig {
    let mut rig = Rig::new();
    let key = rig.started_with["mailgun@acme"].clone();
    rig.record("mailgun@acme/berlin", &key, "kind = \"account\"");
    rig.append(&manual("mailgun@acme/berlin", "berlin"));
    rig
}

#[test]
fn records_of_one_secret_rotate_together() {
    let rig = twins();
    let rotation = rig.rotate(&["mailgun@acme/berlin", "--yes", "--grace", "0s"], 6);
    assert_eq!(rotation["records"], json!(["mailgun@acme", "mailgun@acme/berlin"]));
    assert_eq!(rotation["key"], "mailgun@acme");
    let current = rig.get("mailgun@acme", "current").unwrap();
    assert_eq!(rig.get("mailgun@acme/berlin", "current").unwrap(), current);
    assert_ne!(current, rig.started_with["mailgun@acme"].secret);
    assert_eq!(rig.keys().len(), 2, "one new key for both");
    for key in ["mailgun@acme", "mailgun@acme/berlin"] {
        rig.invariants(key, "both");
    }
    assert_eq!(rig.rotate(&["mailgun@acme", "--ack", "berlin"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "together");
    rig.is_done("mailgun@acme/berlin", "together");
}

#[test]
fn the_switch_of_both_is_one_write() {
    for point in 0.. {
        let rig = twins();
        let mut command = rig.world.command(&["rotate", "mailgun@acme", "--yes"]);
        command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
        let code = crate::support::world::finish(command, "").code;
        let context = format!("killed at point {point}");
        assert_eq!(
            rig.get("mailgun@acme", "current"),
            rig.get("mailgun@acme/berlin", "current"),
            "{context}: one is switched, the other is not"
        );
        rig.invariants("mailgun@acme/berlin", &context);
        if code != -1 {
            return assert_eq!(code, 6);
        }
        if !rig.inventory().rotations.is_empty() {
            assert_eq!(rig.rotate(&["mailgun@acme/berlin"], 6)["stage"], "deploying", "{context}");
            assert_eq!(
                rig.get("mailgun@acme", "current"),
                rig.get("mailgun@acme/berlin", "current"),
                "{context}"
            );
        }
    }
}

#[test]
fn a_roll_back_takes_both_back() {
    let rig = twins();
    let _ = rig.rotate(&["mailgun@acme", "--yes"], 6);
    let _ = rig.rotate(&["mailgun@acme", "--rollback"], 6);
    for key in ["mailgun@acme", "mailgun@acme/berlin"] {
        assert_eq!(rig.get(key, "current").unwrap(), rig.started_with["mailgun@acme"].secret);
    }
    assert_eq!(rig.rotate(&["--ack", "berlin"], 0)["stage"], "rolled-back");
    assert_eq!(rig.keys().len(), 1);
}
