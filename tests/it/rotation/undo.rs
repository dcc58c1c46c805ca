//! Giving up before the switch, and going back after it, from every stage.

use serde_json::{Value, json};

use super::rig::{PAST_GRACE, Rig, manual};

fn finish(command: std::process::Command) -> i32 {
    crate::support::world::finish(command, "").code
}

/// Kills a run at its n-th point and returns the stage it was at, if a
/// rotation was begun.
fn killed(rig: &Rig, point: usize) -> Option<String> {
    let mut command = rig.world.command(&["rotate", "mailgun@acme", "--yes", "--grace", "0s"]);
    command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
    if finish(command) == 0 {
        return None;
    }
    let stage = rig.inventory().rotations.values().next().map(|it| it.stage.to_string());
    Some(stage.unwrap_or_default())
}

#[test]
fn a_rotation_killed_anywhere_can_be_aborted_or_rolled_back() {
    let mut seen = std::collections::BTreeSet::new();
    for point in 0.. {
        let rig = Rig::new();
        let Some(stage) = killed(&rig, point) else { break };
        let context = format!("killed at point {point}, stage {stage}");
        seen.insert(stage.clone());
        let verb = match stage.as_str() {
            "" | "retiring" | "retired-verifying" | "done" => continue,
            "planned" | "creating" | "created" | "tested" => "--abort",
            _ => "--rollback",
        };
        let rotation = rig.rotate(&["mailgun@acme", verb], 0);
        let end = if verb == "--abort" { "aborted" } else { "rolled-back" };
        assert_eq!(rotation["stage"], end, "{context}");
        rig.invariants("mailgun@acme", &context);
        assert_eq!(rig.status(), Vec::<Value>::new(), "{context}");
        let old = &rig.started_with["mailgun@acme"];
        assert_eq!(rig.get("mailgun@acme", "current").unwrap(), old.secret, "{context}");
        assert_eq!(rig.keys().len(), 1, "{context}: the unused key is gone");
        let shown = rig.world.data(&["show", "mailgun@acme"], 0)["key"].clone();
        assert_eq!(shown["remote_id"], old.id, "{context}");
        // And it can rotate again.
        assert_eq!(rig.rotate(&["mailgun@acme", "--yes", "--grace", "0s"], 0)["stage"], "done", "{context}");
        rig.is_done("mailgun@acme", &context);
    }
    for stage in ["planned", "creating", "created", "tested", "switched", "deploying", "grace"] {
        assert!(seen.contains(stage), "no point at stage {stage}: {seen:?}");
    }
}

#[test]
fn an_abort_or_roll_back_survives_a_kill_at_every_point() {
    for verb in ["--abort", "--rollback"] {
        for point in 0.. {
            let rig = Rig::new();
            if verb == "--abort" {
                rig.sandbox.settings(&rig.account, json!({"birth_delay_ms": 600_000}));
                let _ = rig.rotate(&["mailgun@acme", "--yes", "--timeout", "1s"], 1);
            } else {
                let _ = rig.rotate(&["mailgun@acme", "--yes"], 0);
            }
            let mut command = rig.world.command(&["rotate", "mailgun@acme", verb]);
            command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
            let code = finish(command);
            let context = format!("{verb} killed at point {point}");
            rig.invariants("mailgun@acme", &context);
            if code != 0 && !rig.inventory().rotations.is_empty() {
                let _ = rig.rotate(&["mailgun@acme", verb], 0);
            }
            assert_eq!(rig.status(), Vec::<Value>::new(), "{context}");
            assert_eq!(rig.keys().len(), 1, "{context}");
            assert_eq!(rig.get("mailgun@acme", "current").unwrap(), rig.started_with["mailgun@acme"].secret);
            if code == 0 {
                break;
            }
        }
    }
}

#[test]
fn what_was_pasted_has_to_be_pasted_back() {
    let rig = Rig::new();
    rig.append(&manual("mailgun@acme", "shop"));
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "ci", "--command", "sh -c 'cat > ci'"]).exits(0);
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes"], 6)["stage"], "deploying");
    assert_eq!(rig.rotate(&["mailgun@acme", "--ack", "shop"], 0)["stage"], "grace");
    let old = rig.started_with["mailgun@acme"].secret.clone();
    assert_ne!(std::fs::read_to_string(rig.world.path("ci")).unwrap(), old);
    let back = rig.rotate(&["mailgun@acme", "--rollback"], 6);
    assert_eq!((&back["stage"], &back["next"]["action"]), (&json!("rolling-back"), &json!("paste-back")));
    assert_eq!(back["next"]["url"], "https://shop.example/keys");
    assert_eq!(std::fs::read_to_string(rig.world.path("ci")).unwrap(), old, "programs get it back at once");
    assert_eq!(rig.get("mailgun@acme", "current").unwrap(), old);
    assert_eq!(rig.working().len(), 2, "the shop may still use the new key");
    rig.invariants("mailgun@acme", "while it is pasted back");
    assert_eq!(rig.rotate(&["mailgun@acme", "--ack", "shop"], 0)["stage"], "rolled-back");
    assert_eq!(rig.working(), [rig.started_with["mailgun@acme"].id.clone()]);
    assert_eq!(rig.status(), Vec::<Value>::new());
}

#[test]
fn an_unused_key_that_does_not_die_stays_listed() {
    let mut rig = Rig::new();
    rig.sandbox.settings(&rig.account, json!({"death_delay_ms": 3_600_000}));
    let _ = rig.rotate(&["mailgun@acme", "--yes"], 0);
    let back = rig.rotate(&["mailgun@acme", "--rollback"], 0);
    assert_eq!((&back["stage"], &back["new"]["state"]), (&json!("rolled-back"), &json!("retiring")));
    assert_eq!(rig.status().len(), 1);
    rig.invariants("mailgun@acme", "rolled back");
    rig.after(7_200);
    let _ = rig.rotate(&["--resume"], 0);
    assert_eq!(rig.status(), Vec::<Value>::new());
}

#[test]
fn each_way_back_has_its_time() {
    let mut rig = Rig::new();
    let _ = rig.run(&["rotate", "mailgun@acme", "--abort"]).exits(8);
    rig.sandbox.settings(&rig.account, json!({"death_delay_ms": 600_000_000}));
    let _ = rig.rotate(&["mailgun@acme", "--yes"], 0);
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--abort"]).exits(1);
    assert_eq!(ran.json()["error"]["code"], "switched-already");
    rig.after(PAST_GRACE);
    assert_eq!(rig.rotate(&["--resume"], 0)["stage"], "retired-verifying");
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--rollback"]).exits(1);
    assert_eq!(ran.json()["error"]["code"], "too-late");
    rig.invariants("mailgun@acme", "too late");
}

#[test]
fn an_old_key_that_died_meanwhile_is_not_made_current() {
    let rig = Rig::new();
    let _ = rig.rotate(&["mailgun@acme", "--yes"], 0);
    let old = &rig.started_with["mailgun@acme"].id;
    rig.sandbox.control("PUT", &format!("/mailgun/keys/{old}"), json!({"delete": true}));
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--rollback"]).exits(1);
    assert_eq!(ran.json()["error"]["code"], "too-late");
    rig.invariants("mailgun@acme", "no way back");
    assert_ne!(rig.get("mailgun@acme", "current").unwrap(), rig.started_with["mailgun@acme"].secret);
}
