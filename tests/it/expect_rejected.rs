//! `validate --expect rejected` in words: what is proven dead, what is not and
//! why; and advice of `validate` that fits the call.

use serde_json::json;

use super::support::scene::Scene;

#[test]
fn keys_that_were_switched_off_are_asked_of_a_whole_scope() {
    let mut scene = Scene::new();
    let keys = ["a", "b", "c"].map(|_| scene.sandbox.mailgun_key(&scene.account, "admin"));
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &keys[0].secret),
        ("mailgun:old@acme", "kind = \"account\"\nstate = \"disabled\"", &keys[1].secret),
        ("mailgun:old@beta", "kind = \"account\"\nstate = \"disabled\"", &keys[2].secret),
    ]);
    let _ = scene.validate(&["mailgun@acme", "mailgun:old@acme"], 3);
    for key in &keys[1..] {
        scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", key.id), json!({"delete": true}));
    }
    let data = scene.validate(&["acme", "--expect", "rejected"], 3);
    let verdicts: Vec<_> = data["results"].as_array().unwrap().iter().map(|it| &it["verdict"]).collect();
    assert_eq!(verdicts, ["rejected", "valid"], "{data}");
    let detail = data["results"][0]["detail"].as_str().unwrap();
    assert!(!detail.contains("not proven dead"), "beside the other it is: {detail}");
    // Without the expectation they are left out.
    assert_eq!(scene.validate(&["acme"], 0)["summary"]["checked"], 1);
    // No other key of its account stands at the scope of this one.
    let told = scene.world.run(&["validate", "beta", "--expect", "rejected"]).exits(4).stdout;
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("not proven dead: a refusal may have other causes"), "{told}");
    assert!(told.contains("`keyctl add mailgun:LABEL@beta`"), "{told}");
}

#[test]
fn a_block_of_this_address_is_told_as_the_reason() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    let list = format!("/mailgun/accounts/{}/allowlist", scene.account);
    scene.sandbox.control("PUT", &list, json!([{"ip_address": "127.0.0.1"}]));
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let _ = scene.validate(&[], 0);
    scene.sandbox.caller_ip("203.0.113.9");
    let data = scene.validate(&["--expect", "rejected"], 4);
    let one = &data["results"][0];
    assert!(one["detail"].as_str().unwrap().starts_with("not proven dead: this address is blocked"), "{one}");
    assert!(one["hint"].as_str().unwrap().contains("keyctl allowlist"), "{one}");
}

#[test]
fn what_is_not_used_of_a_call_is_said() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let _ = scene.validate(&[], 0);
    for (more, code) in [(["--require", "admin"], 0), (["--expect", "rejected"], 3)] {
        let ran = scene.world.run(&[&["validate", "--max-age", "1h"][..], &more].concat()).exits(code);
        assert!(ran.stderr.contains("note: `--max-age` is not used"), "{}", ran.stderr);
    }
    let ran = scene.world.run(&["validate", "--max-age", "1h"]).exits(0);
    assert!(!ran.stderr.contains("--max-age"), "{}", ran.stderr);
}

#[test]
fn one_key_that_is_in_no_inventory_gets_advice_for_this_call() {
    let scene = Scene::new();
    let secret = ["xsmtpsib-", &"0a".repeat(32), "-", &"aB3".repeat(6)[..16]].concat();
    let call = ["-f", "json", "validate", "--provider", "brevo", "--kind", "smtp", "--stdin"];
    let data = scene.world.run_with(&call, &secret).exits(4).data();
    let hint = data["results"][0]["hint"].as_str().unwrap();
    assert!(hint.starts_with("give the login as well: `--login LOGIN`"), "{hint}");
    let dead = ["key-", &"0".repeat(32)].concat();
    let call = ["validate", "--provider", "mailgun", "--kind", "account", "--expect", "rejected", "--stdin"];
    let told = scene.world.run_with(&call, &dead).exits(4).stdout;
    assert!(told.contains("not proven dead: "), "{told}");
}
