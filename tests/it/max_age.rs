//! `validate --max-age`: a verdict is used again only for the secret, and the
//! record, that it was given on.

use serde_json::{Value, json};

use super::support::World;
use super::support::sandbox::Sandbox;
use super::support::scene::Scene;

const DAY: i64 = 86_400;

fn one(data: &Value) -> Value {
    json!([data["results"][0]["verdict"], data["results"][0]["reason"], data["summary"]["probes"]])
}

/// A world whose file store holds an account key that was just proven.
fn proven() -> (Sandbox, World) {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let key = sandbox.mailgun_key(&account, "admin");
    let mut world = World::new();
    world.join(&sandbox.env());
    let added =
        world.run_with(&["add", "mailgun@acme", "--kind", "account", "--stdin", "--no-input"], &key.secret);
    let _ = added.exits(0);
    (sandbox, world)
}

#[test]
fn a_password_that_was_replaced_is_asked_anew() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    sandbox.domain(&account, "us", "mg.acme.example", "active");
    let login = "news@mg.acme.example";
    let password = sandbox.credential(&account, "us", login);
    let mut world = World::new();
    world.join(&sandbox.env());
    let key = "mailgun:mail@acme";
    let add = ["add", key, "--kind", "smtp", "--login", login, "--domain", "mg.acme.example", "--stdin"];
    let _ = world.run_with(&add, &password).exits(0);
    let reuse = |code| one(&world.data(&["validate", key, "--max-age", "1h"], code));
    assert_eq!(reuse(0), json!(["valid", null, 0]));
    assert_eq!(world.data(&["list"], 0)["keys"][0]["last_verdict"], "valid");
    let replace = [&add[..], &["--replace", "--no-validate"]].concat();
    let _ = world.run_with(&replace, &["wrong", "password"].concat()).exits(0);
    assert_eq!(world.data(&["list"], 0)["keys"][0]["last_verdict"], Value::Null);
    assert_eq!(reuse(3), json!(["rejected", "unauthorized", 1]));
    // The success of the one before is none of this one.
    let audit = world.data(&["audit"], 3).to_string();
    assert!(audit.contains("last-rejected"), "{audit}");
}

#[test]
fn what_another_secret_proves_is_not_remembered_as_the_record_s() {
    let (_sandbox, mut world) = proven();
    world.set("KEYCTL_SECRET_MAILGUN__ACME", &["key-", &"0".repeat(32)].concat());
    let other = ["validate", "--store", "env"];
    let ran = world.run(&other).exits(4);
    assert!(ran.stdout.contains("secret-mismatch"), "{}", ran.stdout);
    assert_eq!(world.data(&["list"], 0)["keys"][0]["last_verdict"], "valid");
    assert!(!world.data(&["audit"], 3).to_string().contains("last-rejected"));
    assert_eq!(one(&world.data(&["validate", "--max-age", "1h"], 0)), json!(["valid", null, 0]));
    // Nor is the verdict on the record's used for the other.
    let again = world.data(&[&other[..], &["--max-age", "1h"]].concat(), 4);
    assert_eq!(one(&again), json!(["unknown", "secret-mismatch", 0]));
}

#[test]
fn without_its_secret_nothing_is_used_again() {
    let (_sandbox, mut world) = proven();
    let reuse = ["validate", "--max-age", "1h"];
    assert_eq!(one(&world.data(&reuse, 0)), json!(["valid", null, 0]));
    let missing = world.data(&[&reuse[..], &["--store", "env"]].concat(), 4);
    assert_eq!(one(&missing), json!(["unknown", "secret-missing", 0]));
    world.set("KEYCTL_IDENTITY_FILE", "/nonexistent/identity");
    let _ = world.run(&reuse).exits(7);
}

#[test]
fn a_record_without_a_fingerprint_is_compared_by_what_was_asked() {
    let mut scene = Scene::new();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    let other = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene
        .world
        .write_inventory("version = 1\n[key.\"mailgun@acme\"]\nid = \"ktest0aaaa\"\nkind = \"account\"\n");
    scene.world.set("KEYCTL_SECRET_MAILGUN__ACME", &key.secret);
    let probes = |scene: &Scene| scene.validate(&["--max-age", "1h"], 0)["summary"]["probes"].clone();
    assert_eq!((probes(&scene), probes(&scene)), (json!(1), json!(0)));
    scene.world.set("KEYCTL_SECRET_MAILGUN__ACME", &other.secret);
    assert_eq!((probes(&scene), probes(&scene)), (json!(1), json!(0)));
}

#[test]
fn an_end_that_came_near_since_is_told() {
    let mut scene = Scene::new();
    // The provider tells the end; nothing is recorded of it.
    let body = json!({"role": "admin", "expires_in": 15 * DAY});
    let key = scene.sandbox.mailgun_key_with(&scene.account, body);
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let reuse = ["--max-age", "7d", "--strict"];
    assert_eq!(one(&scene.validate(&reuse, 0)), json!(["valid", null, 1]));
    scene.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", &(2 * DAY).to_string());
    assert_eq!(one(&scene.validate(&reuse, 5)), json!(["limited", "expires-soon", 0]));
    let detail = scene.validate(&reuse, 5)["results"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("as checked at ") && detail.contains("it expires in 1"), "{detail}");
}
