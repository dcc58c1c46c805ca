//! `audit --online`: what could not be looked at is never silence, and keys
//! that only one side knows are found without a recorded id, too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::World;
use super::support::sandbox::{Sandbox, SandboxKey};
use super::support::scene::Scene;

/// Returns the ids that were found, with key or scope, and the fix.
fn found(data: &Value) -> BTreeSet<(String, String)> {
    let all = data["findings"].as_array().unwrap().iter();
    let place = |it: &Value| it["key"].as_str().or_else(|| it["scope"].as_str()).unwrap_or("-").to_owned();
    all.map(|it| (it["id"].as_str().unwrap().to_owned(), place(it))).collect()
}

fn pairs(list: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    list.iter().map(|(id, place)| ((*id).to_owned(), (*place).to_owned())).collect()
}

/// Records a place for each key, and makes the inventory private.
fn in_order(world: &World, keys: &[&str]) {
    let places = keys
        .iter()
        .map(|key| format!("\n[[key.\"{key}\".consumer]]\nname = \"place of {key}\"\nkind = \"manual\"\n"));
    world.write_inventory(&(world.inventory() + &places.collect::<String>()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(world.inventory_path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Two Mailgun keys of one account in good order.
fn two() -> (Scene, SandboxKey) {
    let mut scene = Scene::new();
    let keys = [0, 1].map(|_| scene.sandbox.mailgun_key(&scene.account, "admin"));
    scene.records(&[
        ("mailgun:a@acme", "kind = \"account\"", &keys[0].secret),
        ("mailgun:b@acme", "kind = \"account\"", &keys[1].secret),
    ]);
    in_order(&scene.world, &["mailgun:a@acme", "mailgun:b@acme"]);
    let _ = scene.validate(&[], 0);
    assert_eq!(found(&scene.world.data(&["audit", "--online", "--strict"], 0)), pairs(&[]));
    let [first, _] = keys;
    (scene, first)
}

#[test]
fn a_manager_that_is_refused_leaves_the_audit_undecided() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    in_order(&scene.world, &["mailgun@acme"]);
    let _ = scene.validate(&[], 0);
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", key.id), json!({"delete": true}));
    let data = scene.world.data(&["audit", "--online"], 4);
    assert_eq!(found(&data), pairs(&[("not-looked-at", "mailgun@acme")]));
    assert!(
        data["findings"][0]["fix"].as_str().unwrap().contains("`keyctl validate mailgun@acme`"),
        "{data}"
    );
    let junit = scene.world.run(&["audit", "--online", "--report", "junit=-"]).exits(4).stdout;
    assert!(junit.contains("tests=\"1\" failures=\"0\" errors=\"1\""), "{junit}");
    let _ = scene.world.run(&["audit", "--online", "--strict"]).exits(3);
}

#[test]
fn a_key_that_is_gone_is_found_by_its_secret_where_no_id_is_recorded() {
    let (scene, first) = two();
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", first.id), json!({"delete": true}));
    let data = scene.world.data(&["audit", "--online"], 3);
    assert_eq!(found(&data), pairs(&[("not-at-provider", "mailgun:a@acme")]));
}

#[test]
fn without_its_secret_an_account_is_not_looked_at() {
    let (mut scene, _) = two();
    // The other key lists the account; which of the listed keys this one is, nobody knows.
    scene.world.unset("KEYCTL_SECRET_MAILGUN__ACME___A");
    let data = scene.world.data(&["audit", "--online"], 4);
    assert_eq!(found(&data), pairs(&[("not-looked-at", "mailgun:a@acme")]));
    let _ = scene.sandbox.mailgun_key(&scene.account, "admin");
    let data = scene.world.data(&["audit", "--online"], 3);
    assert_eq!(found(&data), pairs(&[("not-recorded", "acme")]));
    let detail = data["findings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("that of `mailgun:a@acme` could not be compared"), "{detail}");
    scene.world.unset("KEYCTL_SECRET_MAILGUN__ACME___B");
    let data = scene.world.data(&["audit", "--online"], 4);
    assert_eq!(
        found(&data),
        pairs(&[("not-looked-at", "mailgun:a@acme"), ("not-looked-at", "mailgun:b@acme")])
    );
    assert_eq!(data["findings"][0]["fix"], "set KEYCTL_SECRET_MAILGUN__ACME___A");
}

#[test]
fn a_store_that_cannot_be_opened_is_said_with_its_code() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let key = sandbox.mailgun_key(&account, "admin");
    let mut world = World::new();
    world.join(&sandbox.env());
    let _ = world.run_with(&["add", "mailgun@acme", "--kind", "account", "--stdin"], &key.secret).exits(0);
    in_order(&world, &["mailgun@acme"]);
    let _ = world.data(&["audit", "--online"], 0);
    world.set("KEYCTL_IDENTITY_FILE", "/nonexistent/identity");
    let data = world.data(&["audit", "--online"], 7);
    assert_eq!(found(&data), pairs(&[("not-looked-at", "mailgun@acme")]));
    let _ = world.data(&["audit"], 0);
}

/// An account of Klaviyo, with a key that may list keys and one that may not.
fn shop() -> (Sandbox, World, String, SandboxKey) {
    let sandbox = Sandbox::start();
    let account = sandbox.control("POST", "/klaviyo/accounts", json!({}))["id"].as_str().unwrap().to_owned();
    let mut world = World::new();
    world.join(&sandbox.env());
    let key = make(&sandbox, &account, &["accounts:read", "campaigns:read"]);
    let _ = world.run_with(&["add", "klaviyo@shop", "--stdin"], &key.secret).exits(0);
    (sandbox, world, account, key)
}

fn make(sandbox: &Sandbox, account: &str, scopes: &[&str]) -> SandboxKey {
    let body = json!({"scopes": scopes, "name": "shop"});
    let made = sandbox.control("POST", &format!("/klaviyo/accounts/{account}/keys"), body);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    SandboxKey { id: text("id"), secret: text("secret") }
}

#[test]
fn a_key_that_may_not_look_is_a_note_in_each_format() {
    let (_sandbox, world, _, _) = shop();
    in_order(&world, &["klaviyo@shop"]);
    let data = world.data(&["audit", "--online"], 0);
    assert_eq!(found(&data), pairs(&[("not-looked-at", "klaviyo@shop")]));
    let junit = world.run(&["audit", "--online", "--report", "junit=-"]).exits(0).stdout;
    assert!(junit.contains("tests=\"1\" failures=\"0\" errors=\"0\""), "{junit}");
}

#[test]
fn klaviyo_s_keys_are_compared_in_both_directions() {
    let (sandbox, world, account, key) = shop();
    let manager = make(&sandbox, &account, &["accounts:read", "credentials:read"]);
    let _ = world.run_with(&["add", "klaviyo:mgr@shop", "--stdin"], &manager.secret).exits(0);
    in_order(&world, &["klaviyo@shop", "klaviyo:mgr@shop"]);
    assert!(!world.inventory().contains(&key.id), "the key could not tell its id");
    let note = ("not-looked-at", "klaviyo@shop");
    assert_eq!(found(&world.data(&["audit", "--online"], 0)), pairs(&[note]));
    let stranger = make(&sandbox, &account, &["accounts:read"]);
    let data = world.data(&["audit", "--online"], 3);
    assert_eq!(found(&data), pairs(&[note, ("not-recorded", "shop")]));
    assert!(data.to_string().contains(&stranger.id), "{data}");
    // One of several is waived by its id, and no other with it.
    let waiver = format!(
        "\n[[waiver]]\nfinding = \"not-recorded\"\nscope = \"shop\"\nabout = \"{}\"\nreason = \"the agency's\"\n",
        stranger.id
    );
    world.write_inventory(&(world.inventory() + &waiver));
    let _ = world.data(&["audit", "--online"], 0);
    let _ = make(&sandbox, &account, &["accounts:read"]);
    let _ = world.data(&["audit", "--online"], 3);
    // The reverse: the list has no key that ends like it.
    sandbox.control("PUT", &format!("/klaviyo/keys/{}", key.id), json!({"deleted": true}));
    let data = world.data(&["audit", "--online"], 3);
    let expected = [("not-at-provider", "klaviyo@shop"), ("not-recorded", "shop")];
    assert_eq!(found(&data), pairs(&expected), "{data}");
}

#[cfg(unix)]
#[test]
fn an_interruption_leaves_what_was_found_and_says_so() {
    let sandbox = Sandbox::with(&["--latency", "250ms"]);
    let mut world = World::bare().with("KEYCTL_STORE", "env");
    world.join(&sandbox.env());
    let mut text = String::from("version = 1\n");
    for n in 0..40 {
        let key = format!("mailgun@a{n}");
        let secret = sandbox.mailgun_key(&sandbox.mailgun_account(), "admin").secret;
        text += &format!("\n[key.\"{key}\"]\nid = \"ktest{n}aaaa\"\nkind = \"account\"\n");
        world.set(&keyctl::store::env::variable(&key.parse().unwrap()), &secret);
    }
    world.write_inventory(&text);
    let report = world.path("audit.xml");
    let target = format!("junit={}", report.display());
    let mut command = world.command(&["-f", "json", "audit", "--online", "--report", &target]);
    let pipe = std::process::Stdio::piped;
    let child = command.stdout(pipe()).stderr(pipe()).spawn().unwrap();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while sandbox.requests().is_empty() {
        assert!(std::time::Instant::now() < patience, "nothing was asked");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted: not everything was looked at"), "{said}");
    let document: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(document["data"]["complete"], false);
    assert!(found(&document["data"]).contains(&("no-consumer".into(), "mailgun@a0".into())));
    let written = std::fs::read_to_string(report).unwrap();
    assert!(written.contains("<property name=\"complete\" value=\"false\"/>"), "{written}");
}
