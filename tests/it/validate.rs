//! `keyctl validate` against the sandbox: verdicts, evidence, exit codes, what
//! is sent and what is remembered. Secrets come from the `env` store.

use serde_json::{Value, json};

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
