//! `keyctl allowlist` against the sandbox, which lets in nobody who is not on
//! the list: shown, emptied, restored, and interrupted at every point.

use serde_json::{Value, json};

use super::support::scene::Scene;
use super::support::world::finish;

const KEY: &str = "mailgun@acme";

/// Where this machine's address is neither the first nor the last to go.
fn usual() -> Value {
    json!([
        {"address": "10.1.0.0/16", "description": "office"},
        {"address": "127.0.0.1", "description": "this machine"},
        {"address": "203.0.113.9", "description": null},
    ])
}

fn scene_with(list: &Value) -> Scene {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    let sending = scene.sandbox.mailgun_sending_key(&scene.account, "mg.acme.example");
    scene.records(&[
        (KEY, "kind = \"account\"", &key.secret),
        ("mailgun:send@acme", "kind = \"sending\"\ndomain = \"mg.acme.example\"", &sending.secret),
        ("brevo@acme", "kind = \"api\"", "x"),
    ]);
    put(&scene, list);
    scene
}

fn put(scene: &Scene, list: &Value) {
    let posted: Vec<Value> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!({"ip_address": it["address"], "description": it["description"].as_str().unwrap_or("")}))
        .collect();
    let path = format!("/mailgun/accounts/{}/allowlist", scene.account);
    scene.sandbox.control("PUT", &path, json!(posted));
}

/// Returns what is on the list, sorted, as `allowlist` tells it.
fn list(scene: &Scene) -> Value {
    let state = scene.sandbox.control("GET", "/state", Value::Null);
    let rows = state["mailgun"]["accounts"][&scene.account]["allowlist"].as_array().unwrap().clone();
    let told = |row: &Value| {
        let description = row["description"].as_str().filter(|it| !it.is_empty());
        json!({"address": row["ip_address"], "description": description})
    };
    let mut entries: Vec<Value> = rows.iter().map(told).collect();
    entries.sort_by_key(|it| it["address"].as_str().unwrap().to_owned());
    json!(entries)
}

#[test]
fn the_list_is_shown_and_nothing_changed() {
    let scene = scene_with(&usual());
    let data = scene.world.data(&["allowlist", KEY], 0);
    assert_eq!(data, json!({"key": KEY, "entries": usual(), "relaxed": false, "saved": [], "until": null}));
    assert_eq!(scene.sandbox.request_lines(), ["GET mailgun-us /v2/ip_whitelist"]);
    put(&scene, &json!([]));
    let ran = scene.world.run(&["allowlist", KEY]).exits(0);
    assert_eq!(ran.stdout, "The list is empty: every address may use the account.\n");
    let ran = scene.world.run(&["allowlist", KEY, "--relax"]).exits(0);
    assert!(ran.stderr.contains("is empty already"), "{}", ran.stderr);
    let ran = scene.world.run(&["-f", "json", "allowlist", KEY, "--restore"]).exits(8);
    assert_eq!(ran.json()["error"]["code"], "nothing-saved");
}

#[test]
fn a_list_is_emptied_with_consent_and_put_back() {
    let scene = scene_with(&usual());
    let ran = scene.world.run(&["-f", "json", "allowlist", KEY, "--relax"]).exits(9);
    assert_eq!(ran.json()["error"]["hint"], "add `--yes`");
    assert_eq!(list(&scene), usual());

    let data = scene.world.data(&["allowlist", KEY, "--relax", "--for", "15m", "--yes"], 0);
    assert_eq!((&data["entries"], &data["relaxed"], &data["saved"]), (&json!([]), &json!(true), &usual()));
    assert!(data["until"].is_string(), "{data}");
    assert_eq!(list(&scene), json!([]));
    assert_eq!(scene.world.data(&["show", KEY], 0)["key"]["allowlist"], "relaxed");

    let data = scene.world.data(&["allowlist", KEY, "--restore"], 0);
    assert_eq!(data, json!({"key": KEY, "entries": usual(), "relaxed": false, "saved": [], "until": null}));
    assert_eq!(list(&scene), usual());
    let _ = scene.world.run(&["allowlist", KEY, "--restore"]).exits(8);
}

#[test]
fn every_command_reminds_until_the_list_is_restored() {
    let mut scene = scene_with(&usual());
    let _ = scene.world.run(&["allowlist", KEY, "--relax", "--for", "15m", "--yes"]).exits(0);
    let ran = scene.world.run(&["list", "--quiet"]).exits(0);
    assert!(
        ran.stderr.starts_with("warning: the IP allowlist of `mailgun@acme` is relaxed"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("longer than wanted"));
    scene.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", "4500");
    let ran = scene.world.run(&["list"]).exits(0);
    assert!(ran.stderr.contains("60 minutes longer than wanted"), "{}", ran.stderr);
    assert_eq!(scene.world.run(&["get", KEY]).exits(0).stderr, "", "programs are not reminded");
    let _ = scene.world.run(&["allowlist", KEY, "--restore"]).exits(0);
    assert!(!scene.world.run(&["list"]).exits(0).stderr.contains("relaxed"));
}

#[test]
fn relaxing_again_adds_to_what_is_saved_and_loses_nothing() {
    let scene = scene_with(&usual());
    let _ = scene.world.run(&["allowlist", KEY, "--relax", "--yes"]).exits(0);
    put(&scene, &json!([{"address": "127.0.0.0/8", "description": "new"}]));
    let data = scene.world.data(&["allowlist", KEY, "--relax", "--yes"], 0);
    assert_eq!(data["saved"].as_array().unwrap().len(), 4, "{data}");
    // Nobody can be asked, and nobody has to be: nothing is left to delete.
    let again = scene.world.data(&["allowlist", KEY, "--relax"], 0);
    assert_eq!(again["saved"], data["saved"]);
    put(
        &scene,
        &json!([{"address": "127.0.0.2", "description": "later"}, {"address": "127.0.0.1", "description": null}]),
    );
    let ran = scene.world.run(&["allowlist", KEY, "--restore"]).exits(0);
    assert!(ran.stderr.contains("Kept, though not on the saved list: 127.0.0.2"), "{}", ran.stderr);
    assert_eq!(list(&scene).as_array().unwrap().len(), 5);
}

#[test]
fn a_list_that_lets_everybody_in_or_has_one_entry_needs_no_cover() {
    for usual in [
        json!([{"address": "127.0.0.1", "description": "only"}]),
        json!([{"address": "0.0.0.0/0", "description": "all"}, {"address": "203.0.113.9", "description": "x"}]),
    ] {
        let scene = scene_with(&usual);
        let _ = scene.world.run(&["allowlist", KEY, "--relax", "--yes"]).exits(0);
        assert_eq!(list(&scene), json!([]));
        let _ = scene.world.run(&["allowlist", KEY, "--restore"]).exits(0);
        assert_eq!(list(&scene), usual);
        let count = usual.as_array().unwrap().len();
        let sent = scene.sandbox.request_lines();
        assert_eq!(sent.iter().filter(|it| it.starts_with("POST")).count(), count, "{sent:?}");
    }
}

/// Kills `arguments` at every point; afterwards `ends` holds once the command
/// of `then` has run.
fn killed_at_every_point(arguments: &[&str], relaxed_before: bool, then: &[&str], end: &Value) {
    for point in 0.. {
        let scene = scene_with(&usual());
        if relaxed_before {
            let _ = scene.world.run(&["allowlist", KEY, "--relax", "--yes"]).exits(0);
        }
        let mut command = scene.world.command(arguments);
        command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
        let ran = finish(command, "");
        if ran.code == 0 {
            assert!(point > 12, "only {point} points");
            assert_eq!(list(&scene), if relaxed_before { usual() } else { json!([]) });
            return;
        }
        assert_eq!(ran.code, -1, "point {point}: it ended by itself: {}", ran.stderr);
        let again = scene.world.run(then);
        // Killed after the list was forgotten, or before it was saved.
        assert!(again.code == 0 || again.code == 8, "point {point}: {}", again.stderr);
        assert_eq!(&list(&scene), end, "point {point}: {}", again.stderr);
    }
}

#[test]
fn an_interrupted_relax_goes_on_or_back() {
    let relax = ["allowlist", KEY, "--relax", "--yes"];
    killed_at_every_point(&relax, false, &relax, &json!([]));
    killed_at_every_point(&relax, false, &["allowlist", KEY, "--restore"], &usual());
}

#[test]
fn an_interrupted_restore_goes_on_or_back() {
    let restore = ["allowlist", KEY, "--restore"];
    killed_at_every_point(&restore, true, &restore, &usual());
    killed_at_every_point(&restore, true, &["allowlist", KEY, "--relax", "--yes"], &json!([]));
}

#[test]
fn a_refusal_is_told_by_what_it_proves() {
    let scene = scene_with(&usual());
    let code = |arguments: &[&str], exit: i32| {
        let ran = scene.world.run(&[&["-f", "json", "allowlist"], arguments].concat()).exits(exit);
        ran.json()["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code(&["mailgun:send@acme"], 2), "usage");
    assert_eq!(code(&["brevo@acme"], 2), "usage");
    assert_eq!(code(&["mailgun@beta"], 8), "no-such-key");
    assert_eq!(code(&[KEY, "--for", "5m"], 2), "usage");
    assert_eq!(code(&[KEY, "--relax", "--restore"], 2), "usage");
    // The account is not known to have a list yet: a refusal is a refusal.
    scene.sandbox.caller_ip("198.51.100.7");
    assert_eq!(code(&[KEY], 3), "unauthorized");
    scene.sandbox.caller_ip("127.0.0.1");
    let _ = scene.world.run(&["allowlist", KEY]).exits(0);
    scene.sandbox.caller_ip("198.51.100.7");
    assert_eq!(code(&[KEY, "--relax", "--yes"], 4), "ip-blocked");
    scene.sandbox.caller_ip("127.0.0.1");
    let action = json!({"status": 400, "body": {"message": "Invalid IP Address or CIDR"}});
    scene.sandbox.fault(json!({"host": "*", "method": "POST", "action": action}));
    assert_eq!(code(&[KEY, "--relax", "--yes"], 4), "unexpected-response");
    assert_eq!(list(&scene), usual(), "nothing is deleted without the cover");
    assert_eq!(scene.world.data(&["show", KEY], 0)["key"]["allowlist"], Value::Null);
    scene.sandbox.clear_faults();
    let action = json!({"status": 503, "body": "down"});
    scene.sandbox.fault(json!({"host": "*", "method": "DELETE", "after": 1, "action": action}));
    assert_eq!(code(&[KEY, "--relax", "--yes"], 4), "provider-error");
    scene.sandbox.clear_faults();
    let _ = scene.world.run(&["allowlist", KEY, "--restore"]).exits(0);
    assert_eq!(list(&scene), usual());
}
