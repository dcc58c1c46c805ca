//! `keyctl permissions`: Klaviyo's scopes, Mailgun's roles, and what a request
//! needs.

use serde_json::{Value, json};

use super::support::World;
use super::support::scene::Scene;

fn states(data: &Value) -> Vec<(String, String)> {
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let all = data["permissions"].as_array().unwrap();
    all.iter().map(|it| (text(it, "name"), text(it, "state"))).collect()
}

#[test]
fn a_mailgun_role_answers_by_the_table_of_roles() {
    let mut scene = Scene::new();
    let developer = scene.sandbox.mailgun_key(&scene.account, "developer");
    let support = scene.sandbox.mailgun_key(&scene.account, "support");
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &developer.secret),
        ("mailgun@beta", "kind = \"account\"", &support.secret),
    ]);
    let data = scene.world.data(&["permissions", "mailgun@acme"], 0);
    assert_eq!(data["key"], "mailgun@acme");
    let told = states(&data);
    for (name, state) in
        [("developer", "granted"), ("admin", "missing"), ("keys:read", "granted"), ("keys:write", "missing")]
    {
        assert!(told.contains(&(name.to_owned(), state.to_owned())), "{name} {state}: {told:?}");
    }
    let run = |arguments: &[&str], code| scene.world.run(&[&["permissions"], arguments].concat()).exits(code);
    let _ = run(&["mailgun@acme", "--require", "messages:send,keys:read"], 0);
    let _ = run(&["mailgun@acme", "--require", "admin"], 3);
    let _ = run(&["mailgun@acme", "--exact", "developer"], 0);
    let _ = run(&["mailgun@acme", "--exact", "keys:read"], 3);
    let _ = run(&["mailgun@acme", "--for", "DELETE /v1/keys/x"], 3);
    // The role of a key that may not read keys is not known.
    let _ = run(&["mailgun@beta", "--require", "keys:read"], 4);
    let said = run(&["mailgun@acme", "--require", "kays:read"], 2).stderr;
    assert!(said.contains("`kays:read` is no Mailgun role or permission; known: admin, basic,"), "{said}");
    assert!(scene.sandbox.request_lines().iter().all(|line| line.starts_with("GET ")));
}

#[test]
fn a_key_that_is_refused_or_cannot_be_asked_has_its_code() {
    let mut scene = Scene::new();
    let dead = ["key-", &"0".repeat(32)].concat();
    scene.records(&[("mailgun@acme", "kind = \"account\"", &dead), ("brevo@acme", "kind = \"api\"", "x")]);
    let _ = scene.world.run(&["permissions", "mailgun@acme"]).exits(3);
    scene.sandbox.fault(json!({"host": "*", "action": {"status": 500}}));
    let _ = scene.world.run(&["permissions", "mailgun@acme"]).exits(4);
    let ran = scene.world.run(&["permissions", "brevo@acme"]).exits(2);
    assert!(ran.stderr.contains("brevo does not tell what a key may do"), "{}", ran.stderr);
    let _ = scene.world.run(&["permissions", "mailgun@nobody"]).exits(8);
    let _ = scene.world.run(&["permissions"]).exits(2);
}

#[test]
fn what_a_request_needs_is_told_offline() {
    let world = World::bare();
    let data = world.data(&["permissions", "--for", "GET /api/profiles?include=lists"], 0);
    assert_eq!(data["key"], Value::Null);
    let names: Vec<String> = states(&data).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["lists:read", "profiles:read"]);
    let ran = world.run(&["-f", "plain", "permissions", "--for", "POST /api/profiles"]).exits(0);
    assert_eq!(ran.stdout, "profiles:write\tunknown\tklaviyo: `POST /api/profiles` needs it\n");
    let _ = world.run(&["permissions", "--for", "GET /coffee"]).exits(2);
    assert!(world.files().is_empty());
}
