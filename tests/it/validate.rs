//! `keyctl validate` against the sandbox: verdicts, evidence, exit codes, what
//! is sent and what is remembered. Secrets come from the `env` store.

use serde_json::{Value, json};

use super::support::World;
use super::support::scene::Scene;

fn result<'a>(data: &'a Value, key: &str) -> &'a Value {
    data["results"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["key"] == key)
        .unwrap_or_else(|| panic!("{key}: {data}"))
}

#[test]
fn one_secret_under_two_records_is_one_probe() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.acme.example", "active");
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &key.secret),
        ("mailgun@beta", "kind = \"account\"", &key.secret),
    ]);
    let data = scene.validate(&[], 0);
    assert_eq!(
        data["summary"],
        json!({"checked": 2, "valid": 2, "limited": 0, "rejected": 0, "unknown": 0, "probes": 1, "complete": true})
    );
    assert_eq!(result(&data, "mailgun@acme")["role"], "admin");
    assert_eq!(result(&data, "mailgun@acme")["changed"], Value::Null);
    let sent = scene.sandbox.request_lines();
    assert_eq!(sent.iter().filter(|line| line.contains("/v1/keys")).count(), 1, "{sent:?}");
    assert!(sent.iter().all(|line| line.contains("GET")), "validate sends GETs only: {sent:?}");
    // Nothing but this machine's memory was written.
    let again = scene.validate(&[], 0);
    assert_eq!(result(&again, "mailgun@acme")["changed"], false);
}

#[test]
fn a_revoked_key_is_rejected_and_its_change_is_told() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "developer");
    let other = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &key.secret),
        ("mailgun:x@acme", "kind = \"account\"", &other.secret),
    ]);
    let _ = scene.validate(&[], 0);
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", key.id), json!({"is_disabled": true}));
    let data = scene.validate(&["mailgun@acme"], 3);
    let one = result(&data, "mailgun@acme");
    assert_eq!(
        (&one["verdict"], &one["reason"], &one["changed"]),
        (&json!("rejected"), &json!("unauthorized"), &json!(true))
    );
    assert!(one["causes"].as_array().unwrap().contains(&json!("revoked")), "{one}");
    assert!(one["hint"].is_string());
    // Dead is proven only beside a sibling that works from here.
    let _ = scene.validate(&["mailgun@acme", "mailgun:x@acme", "--expect", "rejected"], 3);
    let _ = scene.validate(&["mailgun@acme", "--fail-on", "unknown"], 0);
}

#[test]
fn a_blocked_address_is_not_a_dead_key() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.sandbox.control(
        "PUT",
        &format!("/mailgun/accounts/{}/allowlist", scene.account),
        json!([{"ip_address": "127.0.0.1"}]),
    );
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let _ = scene.validate(&[], 0);
    scene.sandbox.caller_ip("203.0.113.9");
    let data = scene.validate(&[], 4);
    assert_eq!(result(&data, "mailgun@acme")["reason"], "ip-blocked", "{data}");
    let _ = scene.validate(&["--expect", "rejected"], 4);
}

#[test]
fn each_location_is_judged_by_its_own_domain() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.berlin.example", "active");
    scene.sandbox.domain(&scene.account, "us", "mg.paris.example", "unverified");
    scene.sandbox.domain(&scene.account, "eu", "mg.wien.example", "active");
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let mut text = scene.world.inventory();
    for place in ["berlin", "paris", "wien"] {
        text.push_str(&format!("\n[agency.acme.location.{place}]\ndomain = \"mg.{place}.example\"\n"));
    }
    scene.world.write_inventory(&text);
    let data = scene.validate(&[], 0);
    let one = result(&data, "mailgun@acme");
    assert_eq!(one["verdict"], "limited");
    assert_eq!(
        one["at"],
        json!([
            {"scope": "acme", "domain": null, "verdict": "valid", "reason": null},
            {"scope": "acme/berlin", "domain": "mg.berlin.example", "verdict": "valid", "reason": null},
            {"scope": "acme/paris", "domain": "mg.paris.example", "verdict": "limited", "reason": "domain-not-verified"},
            {"scope": "acme/wien", "domain": "mg.wien.example", "verdict": "limited", "reason": "domain-in-eu"},
        ])
    );
    let _ = scene.validate(&["--strict"], 5);
    let _ = scene.validate(&["--fail-on", "limited"], 5);
}

#[test]
fn a_network_failure_proves_nothing_and_reuse_saves_a_probe() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let _ = scene.validate(&[], 0);
    let data = scene.validate(&["--max-age", "1h"], 0);
    assert_eq!(data["summary"]["probes"], 0);
    scene.world.set("KEYCTL_MAILGUN_US_URL", "http://127.0.0.1:1");
    scene.world.set("KEYCTL_MAILGUN_EU_URL", "http://127.0.0.1:1");
    let data = scene.validate(&[], 4);
    assert_eq!(result(&data, "mailgun@acme")["reason"], "unreachable");
    assert_eq!(result(&data, "mailgun@acme")["changed"], true);
}

#[test]
fn a_missing_secret_is_a_state_of_one_key() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &key.secret),
        ("mailgun@beta", "kind = \"account\"", "x"),
    ]);
    scene.world.unset("KEYCTL_SECRET_MAILGUN__BETA");
    let data = scene.validate(&[], 4);
    assert_eq!(result(&data, "mailgun@acme")["verdict"], "valid");
    assert_eq!(result(&data, "mailgun@beta")["reason"], "secret-missing");
}

#[test]
fn a_key_in_no_inventory_is_validated_and_forgotten() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "basic");
    scene.world.set("MY_KEY", &key.secret);
    let data = scene.validate(&["--provider", "mailgun", "--from-env", "MY_KEY"], 0);
    let one = &data["results"][0];
    assert_eq!(
        (&one["key"], &one["scope"], &one["verdict"], &one["kind"]),
        (&Value::Null, &Value::Null, &json!("valid"), &json!("account"))
    );
    assert_eq!(one["last2"], key.secret[key.secret.len() - 2..]);
    assert!(scene.world.files().is_empty(), "nothing is kept of it");
    let ran = scene.world.run_with(&["validate", "--stdin"], &format!("api:{}\n", key.secret)).exits(0);
    assert!(ran.stderr.contains("taken away from the pasted text: api:"), "{}", ran.stderr);
    let _ = scene.world.run_with(&["validate", "--stdin"], "pubkey-").exits(2);
    let _ = scene.world.run(&["validate", "--domain", "a.example"]).exits(2);
}

/// Returns a scene with an old key that was revoked, and another key of the
/// same account; `seen`: both were validated while they worked.
fn retired(seen: bool) -> Scene {
    let mut scene = Scene::new();
    let old = scene.sandbox.mailgun_key(&scene.account, "admin");
    let new = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[
        ("mailgun:old@acme", "kind = \"account\"", &old.secret),
        ("mailgun@acme", "kind = \"account\"", &new.secret),
    ]);
    if seen {
        let _ = scene.validate(&[], 0);
    }
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", old.id), json!({"delete": true}));
    scene
}

#[test]
fn a_key_is_proven_dead_by_another_key_of_its_account() {
    let scene = retired(true);
    let data = scene.validate(&["mailgun:old@acme", "--expect", "rejected"], 0);
    // The witness was asked, and is no result.
    assert_eq!((&data["summary"]["probes"], &data["summary"]["checked"]), (&json!(2), &json!(1)));
    assert_eq!(data["results"][0]["key"], "mailgun:old@acme");
    // The network of the witness alone does not prove it.
    scene.sandbox.fault(json!({"host": "*", "path_prefix": "/v4/domains", "action": {"status": 500}}));
    let _ = scene.validate(&["mailgun:old@acme", "--expect", "rejected"], 4);
    scene.sandbox.clear_faults();
    // A living key is a finding, also without a witness.
    let _ = scene.validate(&["mailgun@acme", "--expect", "rejected"], 3);
    let junit = scene
        .world
        .run(&["validate", "mailgun@acme", "--expect", "rejected", "--report", "junit=-"])
        .exits(3);
    assert!(junit.stdout.contains("<failure type=\"still-works\""), "{}", junit.stdout);
}

#[test]
fn a_refusal_without_a_witness_of_the_same_account_proves_nothing() {
    let scene = retired(false);
    let _ = scene.validate(&["mailgun:old@acme", "--expect", "rejected"], 4);
}

#[test]
fn a_key_that_is_listed_no_more_is_dead_without_its_secret() {
    let mut scene = retired(true);
    scene.world.unset("KEYCTL_SECRET_MAILGUN_OLD__ACME");
    let variable = keyctl::store::env::variable(&"mailgun:old@acme".parse().unwrap());
    scene.world.unset(&variable);
    let data = scene.validate(&["mailgun:old@acme", "--expect", "rejected"], 4);
    assert_eq!(data["results"][0]["reason"], "secret-missing");
    // Where its id is recorded, the list of the account's keys tells.
    let gone = ["ffffffff", "-00000000"].concat();
    let text =
        scene.world.inventory().replacen("current = 1", &format!("remote_id = \"{gone}\"\ncurrent = 1"), 1);
    scene.world.write_inventory(&text);
    let _ = scene.validate(&["mailgun:old@acme", "--expect", "rejected"], 0);
}

#[test]
fn a_required_role_is_proven_or_not() {
    let mut scene = Scene::new();
    let admin = scene.sandbox.mailgun_key(&scene.account, "admin");
    let basic = scene.sandbox.mailgun_key(&scene.account, "basic");
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &admin.secret),
        ("mailgun@beta", "kind = \"account\"", &basic.secret),
    ]);
    let _ = scene.validate(&["mailgun@acme", "--require", "admin,keys:write"], 0);
    let data = scene.validate(&["mailgun@acme", "--require", "sending"], 3);
    let one = result(&data, "mailgun@acme");
    assert_eq!(
        (&one["verdict"], &one["reason"], &one["missing"]),
        (&json!("limited"), &json!("permission-missing"), &json!(["sending"]))
    );
    // Analyst and support cannot be told apart: such a key may not read keys.
    let data = scene.validate(&["mailgun@beta", "--require", "messages:send"], 4);
    assert_eq!(result(&data, "mailgun@beta")["reason"], "permission-not-checkable");
    let _ = scene.validate(&["mailgun@acme", "--require", "campaigns:read"], 2);
    // A verdict that was given before does not answer what is asked now.
    let data = scene.validate(&["mailgun@acme", "--require", "admin", "--max-age", "1h"], 0);
    assert_eq!(data["summary"]["probes"], 1);
}

#[test]
fn what_is_reused_is_told_per_location_and_what_proved_nothing_is_asked_again() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.berlin.example", "active");
    scene.sandbox.domain(&scene.account, "us", "mg.paris.example", "unverified");
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let mut text = scene.world.inventory();
    for place in ["berlin", "paris"] {
        text.push_str(&format!("\n[agency.acme.location.{place}]\ndomain = \"mg.{place}.example\"\n"));
    }
    scene.world.write_inventory(&text);
    let fresh = scene.validate(&[], 0);
    let again = scene.validate(&["--max-age", "1h"], 0);
    assert_eq!(again["summary"]["probes"], 0);
    assert_eq!(result(&again, "mailgun@acme")["at"], result(&fresh, "mailgun@acme")["at"]);
    assert_eq!(result(&again, "mailgun@acme")["changed"], false);
    scene.sandbox.fault(json!({"host": "*", "path_prefix": "/v4/domains", "action": {"status": 500}}));
    let _ = scene.validate(&[], 4);
    scene.sandbox.clear_faults();
    let data = scene.validate(&["--max-age", "1h"], 0);
    assert_eq!(data["summary"]["probes"], 1);
}

#[test]
fn a_verdict_is_not_reused_for_what_the_inventory_says_otherwise_now() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.berlin.example", "active");
    scene.sandbox.domain(&scene.account, "us", "mg.paris.example", "unverified");
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let text = scene.world.inventory();
    let place =
        |name: &str, domain: &str| format!("\n[agency.acme.location.{name}]\ndomain = \"{domain}\"\n");
    scene.world.write_inventory(&(text.clone() + &place("berlin", "mg.paris.example")));
    let reuse =
        |code| result(&scene.validate(&["--max-age", "1h", "--strict"], code), "mailgun@acme").clone();
    assert_eq!(reuse(5)["at"][1]["reason"], "domain-not-verified");
    let unfit = |world: &World| {
        let all = world.data(&["audit"], 3)["findings"].as_array().unwrap().clone();
        all.iter().any(|it| it["id"] == "domain-unfit")
    };
    assert!(unfit(&scene.world));
    // Another domain, another location, another end: each is judged anew.
    scene.world.write_inventory(&(text.clone() + &place("berlin", "mg.berlin.example")));
    assert!(!unfit(&scene.world), "nothing is known of the new domain");
    assert_eq!(reuse(0)["verdict"], "valid");
    let two = place("berlin", "mg.berlin.example") + &place("rome", "mg.paris.example");
    scene.world.write_inventory(&(text + &two));
    assert_eq!(reuse(5)["at"][2]["verdict"], "limited");
    assert_eq!(scene.validate(&["--max-age", "1h"], 0)["summary"]["probes"], 0, "nothing changed");
    let _ = scene.world.run(&["set", "mailgun@acme", "--expires", "2099-01-01"]).exits(0);
    assert_eq!(scene.validate(&["--max-age", "1h"], 0)["summary"]["probes"], 1);
}

#[test]
fn a_region_that_was_not_read_proves_nothing_of_its_domains() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.acme.example", "active");
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    scene
        .world
        .write_inventory(&(scene.world.inventory() + "\n[agency.acme]\ndomain = \"mg.acme.example\"\n"));
    scene
        .sandbox
        .fault(json!({"host": "mailgun-us", "path_prefix": "/v4/domains", "action": {"status": 500}}));
    let data = scene.validate(&[], 4);
    let one = result(&data, "mailgun@acme");
    assert_eq!((&one["verdict"], &one["reason"]), (&json!("unknown"), &json!("unreachable")), "{one}");
}

#[test]
fn fail_on_lowers_what_it_does_not_name() {
    let mut scene = Scene::new();
    let dead = ["key-", &"0".repeat(32)].concat();
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &dead),
        ("mailgun@beta", "kind = \"account\"", "x"),
    ]);
    scene.world.unset("KEYCTL_SECRET_MAILGUN__BETA");
    for (fail_on, code) in [("rejected", 3), ("unknown", 4), ("limited", 0), ("rejected,unknown", 3)] {
        let _ = scene.validate(&["--fail-on", fail_on], code);
    }
    let _ = scene.validate(&["mailgun@nobody", "--fail-on", "limited"], 8);
}

#[test]
fn a_domain_in_the_eu_is_only_a_hint_without_highlevel() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "eu", "mg.acme.example", "active");
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let place = |platform: &str| {
        format!("\n[agency.acme]\ndomain = \"mg.acme.example\"\nplatform = \"{platform}\"\n")
    };
    let text = scene.world.inventory();
    scene.world.write_inventory(&(text.clone() + &place("none")));
    let data = scene.validate(&["--strict"], 0);
    assert!(result(&data, "mailgun@acme")["hint"].as_str().unwrap().contains("EU region"), "{data}");
    scene.world.write_inventory(&(text + &place("highlevel")));
    let data = scene.validate(&["--strict"], 5);
    assert_eq!(result(&data, "mailgun@acme")["reason"], "domain-in-eu");
}
