//! A guided rotation whose processes are killed at every point: a person who
//! goes on where it stands gets to the end.

use serde_json::{Value, json};

use super::rig::{PAST_GRACE, manual};
use super::vendor::Vendor;
use crate::support::sandbox::SandboxKey;

/// A vendor whose keys a person makes and ends, for the crash tests.
#[derive(Clone, Copy)]
enum ByHand {
    Brevo,
    Klaviyo,
    Highlevel,
}

impl ByHand {
    fn begin(self) -> (Vendor, SandboxKey, &'static str) {
        let (mut vendor, key, kind) = match self {
            Self::Brevo => (Vendor::brevo(), "brevo@acme", "api"),
            Self::Klaviyo => (Vendor::klaviyo(), "klaviyo@acme", "private"),
            Self::Highlevel => (Vendor::highlevel(), "highlevel@acme", "agency"),
        };
        let old = vendor.make();
        vendor.record(key, &old, kind);
        vendor.rig.append(&manual(key, "shop"));
        if let Self::Klaviyo = self {
            let scopes = ["accounts:read", "credentials:read", "credentials:write"];
            let manager = vendor.make_with(json!({"scopes": scopes}));
            vendor.record("klaviyo:admin@acme", &manager, "private");
            // So many processes in a minute are nobody's usual day.
            let settings = vendor.keys.replace("/keys", "/settings");
            vendor.rig.sandbox.control("PUT", &settings, json!({"limits": false}));
        }
        (vendor, old, key)
    }

    /// How a person switches a key off; Klaviyo's managing key does it by API.
    fn off(self) -> Option<Value> {
        match self {
            Self::Brevo => Some(json!({"state": "deactivated"})),
            Self::Klaviyo | Self::Highlevel => None,
        }
    }

    fn dead(self) -> Value {
        match self {
            Self::Brevo => json!({"state": "deleted"}),
            Self::Klaviyo => json!({"deleted": true}),
            Self::Highlevel => json!({"dead": true}),
        }
    }
}

/// A person's part: gives the key when one is wanted, says where it was
/// pasted, deletes the old one. Each is a process of its own, `crash` the point
/// at which the n-th of them dies; returns whether one did.
fn person_at_work(
    by_hand: ByHand,
    vendor: &mut Vendor,
    keys: (&SandboxKey, &SandboxKey),
    key: &str,
    crash: (usize, usize),
) -> bool {
    let (old, new) = keys;
    let mut died = false;
    let mut deleted = false;
    for run in 0..24 {
        let status = vendor.rig.status();
        let switched = vendor.rig.get(key, "current").as_deref() == Some(&new.secret);
        let (arguments, input): (Vec<&str>, &str) = match status.first() {
            None if switched => return died,
            None => (vec!["rotate", key, "--yes", "--no-input"], ""),
            Some(rotation) => match rotation["stage"].as_str().unwrap() {
                "planned" | "creating" => (vec!["rotate", key, "--resume", "--stdin", "--yes"], &new.secret),
                "deploying" => (vec!["rotate", key, "--ack", "shop", "--grace", "0s"], ""),
                _ => {
                    // In the console a person does what was told, once.
                    match (rotation["next"]["action"].as_str(), by_hand.off()) {
                        (Some("disable"), Some(off)) if rotation["next"]["by"] == "human" => {
                            vendor.change(&old.id, off);
                        }
                        (Some("delete"), _) if !deleted => {
                            vendor.change(&old.id, by_hand.dead());
                            deleted = true;
                        }
                        _ => {}
                    }
                    (vec!["rotate", key, "--resume", "--yes"], "")
                }
            },
        };
        let mut command = vendor.rig.world.command(&arguments);
        if run == crash.0 {
            command.env("KEYCTL_DEBUG_CRASH_AT", crash.1.to_string());
        }
        let ran = crate::support::world::finish(command, input);
        assert!(!ran.stdout.contains(&new.secret) && !ran.stderr.contains(&new.secret));
        died |= ran.code == -1;
        if ran.code == 0 && vendor.rig.status().first().is_some_and(|it| it["stage"] == "grace") {
            vendor.rig.after(PAST_GRACE);
        }
        // Some stored key works at every moment.
        let stored: Vec<String> =
            ["current", "pending", "previous"].iter().filter_map(|slot| vendor.rig.get(key, slot)).collect();
        assert!(
            stored.contains(&old.secret) || stored.contains(&new.secret),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(vendor.rig.world.inventory().contains("# kept: who may order keys is Jo"));
    }
    panic!("{crash:?}: does not end: {:#?}", vendor.rig.status());
}

/// So many kills are tried at the same time: most of it is waiting, since the
/// program keeps to Klaviyo's limits.
const AT_ONCE: usize = 12;

/// Kills each process of a guided rotation at each of its points.
fn guided_and_killed(by_hand: ByHand) {
    let killed = move |run: usize, point: usize| {
        let (mut vendor, old, key) = by_hand.begin();
        let new = vendor.make();
        let died = person_at_work(by_hand, &mut vendor, (&old, &new), key, (run, point));
        assert_eq!(vendor.rig.get(key, "current").unwrap(), new.secret);
        assert_eq!(vendor.rig.get(key, "previous"), None);
        assert_eq!(vendor.rig.get(key, "pending"), None);
        died
    };
    for run in 0.. {
        let mut points = 0;
        loop {
            let died = std::thread::scope(|scope| {
                let tries: Vec<_> =
                    (points..points + AT_ONCE).map(|point| scope.spawn(move || killed(run, point))).collect();
                tries.into_iter().map(|it| it.join().unwrap()).filter(|died| *died).count()
            });
            points += died;
            if died < AT_ONCE {
                break;
            }
        }
        if points == 0 {
            // There is no n-th process any more.
            return assert!(run > 2, "only {run} processes");
        }
    }
}

#[test]
fn a_guided_brevo_rotation_survives_a_kill_at_every_point() {
    guided_and_killed(ByHand::Brevo);
}

#[test]
fn a_guided_klaviyo_rotation_survives_a_kill_at_every_point() {
    guided_and_killed(ByHand::Klaviyo);
}

#[test]
fn a_guided_highlevel_rotation_survives_a_kill_at_every_point() {
    guided_and_killed(ByHand::Highlevel);
}
