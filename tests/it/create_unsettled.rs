//! `create` after a lost reply, or killed in between: the announcement stays
//! until it is known what was made, and no second key is made before.

use serde_json::{Value, json};

use super::create::{create, remote, scene};
use super::keep::{Scene, stored};
use super::support::world::finish;

const NEW: &str = "mailgun:new@acme";

/// Moves both clocks.
fn after(scene: &mut Scene, seconds: i64) {
    scene.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", &seconds.to_string());
    scene.sandbox.clock(seconds);
}

/// Returns how often a key or a login was asked for.
fn posts(scene: &Scene) -> usize {
    let made =
        |it: &&String| it.starts_with("POST ") && (it.ends_with("/v1/keys") || it.ends_with("/credentials"));
    scene.sandbox.request_lines().iter().filter(made).count()
}

fn logins(scene: &Scene) -> Vec<String> {
    let state = scene.sandbox.control("GET", "/state", Value::Null);
    let all = state["mailgun"]["credentials"].as_array().unwrap().clone();
    all.iter().map(|it| it["login"].as_str().unwrap().to_owned()).collect()
}

/// Strikes the next making of a key.
fn fault(scene: &Scene, action: Value) {
    scene.sandbox.fault(
        json!({"host": "*", "method": "POST", "path_prefix": "/v1/keys", "times": 1, "action": action}),
    );
}

/// Asserts that the key is announced, with the moment of the call.
#[track_caller]
fn announced(scene: &Scene) {
    assert_eq!(scene.show(NEW)["state"], "pending");
    let inventory = scene.world.inventory();
    assert!(inventory.contains("asked_at = ") && inventory.contains("[keyctl k"), "{inventory}");
}

/// Asserts exit 4, nothing said that is not known, and the way on.
#[track_caller]
fn unsettled(scene: &Scene, arguments: &[&str]) -> Value {
    let error = create(scene, arguments, 4);
    let hint = error["hint"].as_str().unwrap();
    assert_eq!(error["code"], "outcome-unknown", "{error}");
    assert!(!error.to_string().contains("nothing was made"), "{error}");
    assert!(!error["message"].as_str().unwrap().contains("was not made"), "{error}");
    let again = format!("`keyctl create {}`", arguments.join(" "));
    assert!(
        hint.contains(&again) && hint.contains("--not-made`") && hint.contains("run the command again in"),
        "{hint}"
    );
    announced(scene);
    error
}

/// The replies that tell nothing of a call that was processed.
fn lost_replies() -> [Value; 5] {
    [
        json!({"cut": "after-processing"}),
        json!({"cut": "mid-body"}),
        json!({"process_then": {"status": 502}}),
        json!({"process_then": {"status": 200, "body": {"message": "great success"}}}),
        json!({"process_then": {"html_proxy": 408}}),
    ]
}

#[test]
fn a_lost_reply_is_never_followed_by_a_second_key() {
    for action in lost_replies() {
        let mut scene = scene();
        let before = remote(&scene).len();
        scene.sandbox.settings(&scene.account, json!({"list_lag_ms": 60_000}));
        fault(&scene, action.clone());
        let arguments = [NEW, "--role", "developer"];
        let error = unsettled(&scene, &arguments);
        assert!(error["message"].as_str().unwrap().contains("not known whether a key was made"), "{error}");
        // Not in the list, but there: nobody may say that none was made.
        unsettled(&scene, &arguments);
        assert_eq!((posts(&scene), remote(&scene).len()), (1, before + 1), "{action}");
        // The list shows it before the time is over: it is deleted, and its end waited for.
        after(&mut scene, 61);
        let error = unsettled(&scene, &arguments);
        assert!(error["message"].as_str().unwrap().contains("was deleted again"), "{error}");
        assert_eq!((posts(&scene), remote(&scene).len()), (1, before), "{action}");
        after(&mut scene, 100);
        unsettled(&scene, &arguments);
        assert_eq!(posts(&scene), 1, "{action}");
        after(&mut scene, 200);
        let data = create(&scene, &arguments, 0);
        assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1), "{action}");
        assert!(remote(&scene).iter().any(|(id, _)| *id == data["remote_id"]), "{data}");
        assert_eq!(
            (&scene.show(NEW)["state"], scene.world.inventory().contains("asked_")),
            (&json!("active"), false)
        );
    }
}

#[test]
fn after_the_lists_delay_one_run_deletes_the_orphan_and_makes_the_key() {
    for action in lost_replies() {
        let mut scene = scene();
        let before = remote(&scene);
        scene.sandbox.settings(&scene.account, json!({"list_lag_ms": 60_000}));
        fault(&scene, action.clone());
        unsettled(&scene, &[NEW]);
        let orphan = remote(&scene).into_iter().find(|it| !before.contains(it)).unwrap();
        after(&mut scene, 130);
        let data = create(&scene, &[NEW], 0);
        assert_eq!((posts(&scene), remote(&scene).len()), (2, before.len() + 1), "{action}");
        assert!(!remote(&scene).contains(&orphan) && data["remote_id"] != orphan.0, "{action}");
    }
}

#[test]
fn a_key_that_the_list_shows_at_once_is_deleted_at_once() {
    let mut scene = scene();
    let before = remote(&scene).len();
    fault(&scene, json!({"cut": "after-processing"}));
    let error = unsettled(&scene, &[NEW]);
    assert!(error["message"].as_str().unwrap().contains("it was deleted again"), "{error}");
    assert_eq!((posts(&scene), remote(&scene).len()), (1, before));
    after(&mut scene, 121);
    create(&scene, &[NEW], 0);
    assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1));
}

#[test]
fn a_call_that_never_arrived_is_repeated_only_when_that_is_known() {
    let mut scene = scene();
    let before = remote(&scene).len();
    fault(&scene, json!({"cut": "before"}));
    unsettled(&scene, &[NEW]);
    after(&mut scene, 110);
    unsettled(&scene, &[NEW]);
    assert_eq!((posts(&scene), remote(&scene).len()), (1, before));
    // A list that cannot be read, or not whole, is no witness.
    after(&mut scene, 130);
    for body in [json!({"items": [], "total_count": 1}), json!({"items": [{}]}), json!("no")] {
        let action = json!({"status": 200, "body": body});
        // The managing key is proven by that list, too: only what comes after that fails.
        scene.sandbox.fault(
            json!({"host": "*", "method": "GET", "path_prefix": "/v1/keys", "after": 1, "action": action}),
        );
        let error = create(&scene, &[NEW], 4);
        assert!(error["hint"].as_str().unwrap().contains("a key may have been made"), "{error}");
        scene.sandbox.clear_faults();
        announced(&scene);
    }
    assert_eq!(posts(&scene), 1);
    create(&scene, &[NEW], 0);
    assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1));
}

#[test]
fn a_list_that_fails_after_the_lost_reply_proves_nothing() {
    let mut scene = scene();
    let before = remote(&scene).len();
    fault(&scene, json!({"cut": "after-processing"}));
    // The managing key is proven by the first reading.
    scene.sandbox.fault(json!({"host": "*", "method": "GET", "path_prefix": "/v1/keys", "after": 1,
        "action": {"status": 500}}));
    let error = create(&scene, &[NEW], 4);
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("it is not known whether a key was made for `mailgun:new@acme`"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("`keyctl create mailgun:new@acme`"), "{error}");
    announced(&scene);
    assert_eq!((posts(&scene), remote(&scene).len()), (1, before + 1));
    scene.sandbox.clear_faults();
    after(&mut scene, 130);
    create(&scene, &[NEW], 0);
    assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1));
}

#[test]
fn a_deletion_whose_reply_is_lost_leaves_the_announcement() {
    for (action, code) in [
        (json!({"cut": "after-processing"}), 4),
        (json!({"cut": "before"}), 4),
        (json!({"status": 503}), 4),
        (json!({"status": 403, "body": {"message": "Forbidden"}}), 1),
    ] {
        let mut scene = scene();
        let before = remote(&scene).len();
        fault(&scene, json!({"cut": "after-processing"}));
        let lost = json!({"host": "*", "method": "DELETE", "times": 1, "action": action});
        scene.sandbox.fault(lost);
        let error = create(&scene, &[NEW], code);
        assert!(
            error["hint"].as_str().unwrap().contains("`keyctl create mailgun:new@acme` tries again"),
            "{error}"
        );
        announced(&scene);
        after(&mut scene, 60);
        unsettled(&scene, &[NEW]);
        after(&mut scene, 200);
        create(&scene, &[NEW], 0);
        assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1), "{action}");
    }
}

#[test]
fn a_lost_login_is_found_by_its_name() {
    let mut scene = scene();
    let strike = || {
        scene.sandbox.fault(json!({"host": "*", "method": "POST", "path_prefix": "/v3/domains/", "times": 1,
            "action": {"cut": "after-processing"}}));
    };
    strike();
    scene.sandbox.settings(&scene.account, json!({"list_lag_ms": 60_000}));
    let arguments = [NEW, "--kind", "smtp", "--domain", "mg.acme.example", "--login", "a@mg.acme.example"];
    unsettled(&scene, &arguments);
    assert_eq!((posts(&scene), logins(&scene).len()), (1, 1));
    // Another kind asked for now does not make it forget what was asked for then.
    let error = create(&scene, &[NEW], 4);
    assert_eq!(error["code"], "outcome-unknown", "{error}");
    after(&mut scene, 130);
    let error = create(&scene, &arguments, 4);
    assert!(error["message"].as_str().unwrap().contains("was deleted again"), "{error}");
    assert_eq!(
        (posts(&scene), logins(&scene).len()),
        (1, 0),
        "the name is used again: its end is waited for"
    );
    after(&mut scene, 260);
    let data = create(&scene, &arguments, 0);
    assert_eq!((&data["login"], &data["verdict"]), (&json!("a@mg.acme.example"), &json!("valid")));
    assert_eq!((posts(&scene), logins(&scene).len()), (2, 1));
}

#[test]
fn a_login_that_somebody_else_made_later_is_left_alone() {
    let mut scene = scene();
    scene.sandbox.fault(json!({"host": "*", "method": "POST", "path_prefix": "/v3/domains/", "times": 1,
        "action": {"cut": "before"}}));
    let arguments = [NEW, "--kind", "smtp", "--domain", "mg.acme.example", "--login", "a@mg.acme.example"];
    unsettled(&scene, &arguments);
    after(&mut scene, 3600);
    scene.sandbox.credential(&scene.account, "us", "a@mg.acme.example");
    let error = create(&scene, &arguments, 9);
    assert_eq!(error["code"], "login-exists", "{error}");
    assert_eq!(logins(&scene), ["a@mg.acme.example"]);
    announced(&scene);
    assert_eq!(create(&scene, &[NEW, "--not-made"], 0)["withdrawn"], true);
}

#[test]
fn a_persons_word_takes_the_announcement_back() {
    let scene = scene();
    let inventory = scene.world.inventory();
    fault(&scene, json!({"cut": "before"}));
    unsettled(&scene, &[NEW]);
    // Until then nothing else takes its place, whatever is consented to.
    let secret = scene.key("developer").secret;
    for (arguments, code) in [
        (&["add", NEW, "--stdin"][..], 9),
        (&["add", NEW, "--stdin", "--replace", "--force", "--yes"], 9),
        (&["create", NEW, "--stdin", "--yes"], 9),
        (&["remove", NEW, "--yes"], 9),
        (&["remove", NEW, "--revoke", "--yes"], 9),
        (&["remove", "mailgun@acme", "--forget", "--yes"], 9),
        (&["set", NEW, "--kind", "sending", "--domain", "mg.acme.example", "--force"], 9),
    ] {
        let ran = scene.run_with(arguments, &secret).exits(code);
        assert_eq!(ran.json()["error"]["code"], "create-unsettled", "{arguments:?}");
        assert!(ran.stderr.contains("keyctl create mailgun:new@acme"), "{}", ran.stderr);
    }
    announced(&scene);
    scene.sandbox.clear_requests();
    assert_eq!(create(&scene, &[NEW, "--not-made"], 0), json!({"key": NEW, "withdrawn": true}));
    assert_eq!(scene.sandbox.request_lines(), Vec::<String>::new());
    assert_eq!(scene.world.inventory(), inventory);
    create(&scene, &[NEW], 0);
    assert_eq!(create(&scene, &[NEW, "--not-made"], 9)["code"], "nothing-announced");
    let _ = create(&scene, &["mailgun:none@acme", "--not-made"], 8);
    let _ = create(&scene, &[NEW, "--not-made", "--role", "admin"], 2);
}

#[test]
fn only_the_account_that_was_asked_tells_what_was_made() {
    let mut scene = scene();
    let other = scene.sandbox.mailgun_account();
    let key = scene.sandbox.mailgun_key(&other, "admin").secret;
    let _ = scene.add("mailgun:other@acme", &key, &[], 0);
    let before = remote(&scene).len();
    scene.sandbox.settings(&scene.account, json!({"list_lag_ms": 60_000}));
    fault(&scene, json!({"cut": "after-processing"}));
    unsettled(&scene, &[NEW, "--using", "mailgun@acme"]);
    let _ = scene.world.run(&["rename", "mailgun@acme", "mailgun:first@acme"]).exits(0);
    after(&mut scene, 130);
    let data = create(&scene, &[NEW, "--using", "mailgun:other@acme"], 0);
    assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1), "{data}");
}

#[test]
fn a_short_delay_is_for_a_provider_on_this_machine() {
    let mut scene = scene();
    let before = remote(&scene).len();
    fault(&scene, json!({"cut": "after-processing"}));
    scene.world.set("KEYCTL_SETTLE", "0s");
    let error = create(&scene, &[NEW], 4);
    assert!(error["hint"].as_str().unwrap().contains("run the command again now"), "{error}");
    create(&scene, &[NEW], 0);
    assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1));
    // One of Mailgun's hosts is the vendor's own again: two minutes it is.
    scene.world.unset("KEYCTL_MAILGUN_EU_URL");
    scene.sandbox.clear_requests();
    let inventory = scene.world.inventory();
    for (value, code) in [("119s", 2), ("two", 2)] {
        scene.world.set("KEYCTL_SETTLE", value);
        let ran = scene.world.run(&["create", "mailgun:second@acme", "--using", "mailgun@acme"]).exits(code);
        assert!(ran.stderr.contains("KEYCTL_SETTLE"), "{}", ran.stderr);
    }
    assert_eq!((posts(&scene), scene.world.inventory()), (0, inventory));
}

#[test]
fn a_key_that_cannot_be_kept_is_deleted_again_and_stays_announced() {
    let mut scene = scene();
    let before = remote(&scene).len();
    let recipients = scene.world.path("home/.local/share/keyctl").join("secrets.age.recipients");
    let good = std::fs::read(&recipients).unwrap();
    let slow = json!({"host": "*", "method": "POST", "path_prefix": "/v1/keys", "times": 1,
        "action": {"latency_ms": 2000}});
    scene.sandbox.fault(slow);
    // The store breaks while the key is being made: after the announcement.
    let command = scene.world.command(&["create", NEW]);
    let running = std::thread::spawn(move || finish(command, ""));
    while !scene.world.inventory().contains("asked_at") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::fs::write(&recipients, "not a recipient\n").unwrap();
    let ran = running.join().unwrap().exits(7);
    assert!(ran.stderr.contains("could not be kept and was deleted again"), "{}", ran.stderr);
    assert_eq!(remote(&scene).len(), before, "{}", ran.stderr);
    announced(&scene);
    std::fs::write(&recipients, good).unwrap();
    unsettled(&scene, &[NEW]);
    after(&mut scene, 130);
    create(&scene, &[NEW], 0);
    assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1));
}

#[test]
fn a_pending_record_of_an_earlier_version_waits_from_now_on() {
    let mut scene = scene();
    let before = remote(&scene).len();
    fault(&scene, json!({"cut": "before"}));
    unsettled(&scene, &[NEW]);
    let inventory = scene.world.inventory();
    let old: Vec<&str> = inventory.lines().filter(|it| !it.starts_with("asked_")).collect();
    scene.world.write_inventory(&format!("{}\n", old.join("\n")));
    after(&mut scene, 500);
    unsettled(&scene, &[NEW]);
    after(&mut scene, 630);
    create(&scene, &[NEW], 0);
    assert_eq!((posts(&scene), remote(&scene).len()), (2, before + 1));
}

/// Kills a creation at each point; `settle` says how the next run gets over
/// what it does not know.
fn killed_at_every_point(settle: impl Fn(&mut Scene), goes_on: &[i32]) {
    for point in 0.. {
        let mut scene = scene();
        let before = remote(&scene).len();
        let arguments = ["create", NEW, "--role", "developer"];
        let mut command = scene.world.command(&arguments);
        command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
        let ran = finish(command, "");
        if ran.code == 0 {
            assert!(point >= 8, "{point}: too few points");
            return;
        }
        assert_eq!(ran.code, -1, "{point}: killed: {ran:?}");
        let made = remote(&scene).len() - before;
        let inventory = scene.world.inventory();
        assert!(
            made == 0 || inventory.contains("[keyctl k"),
            "{point}: made, but not announced: {inventory}"
        );
        let again = scene.world.run(&arguments);
        assert!(goes_on.contains(&again.code), "{point}: {again:?}");
        assert!(posts(&scene) <= 1 || again.code != 4, "{point}: a second key was asked for: {again:?}");
        if again.code == 4 {
            settle(&mut scene);
            let _ = scene.world.run(&arguments).exits(0);
        }
        assert_eq!(remote(&scene).len(), before + 1, "{point}: one key, no orphan: {:?}", remote(&scene));
        let shown = scene.show(NEW);
        assert_eq!(shown["state"], "active", "{point}");
        assert_eq!(stored(&scene.world, &[NEW]).len(), 1, "{point}");
        let data = scene.world.data(&["validate", NEW], 0);
        assert_eq!(data["results"][0]["role"], "developer", "{point}");
        assert!(!scene.world.inventory().contains("asked_"), "{point}: {}", scene.world.inventory());
    }
}

#[test]
fn a_creation_killed_at_any_moment_is_finished_when_its_outcome_is_known() {
    killed_at_every_point(|scene| after(scene, 130), &[0, 4, 9]);
}
