//! The JSON Schemas in `docs/schemas`: what they say is what the program
//! writes. (Every other test holds the documents it reads against them, too.)

use std::collections::BTreeSet;

use keyctl::key::{Cause, ConsumerKind, KeyState, Kind, ProviderId, Reason, Verdict};
use keyctl::rotation::Stage;
use serde_json::{Value, json};

use super::support::World;
use super::support::scene::Scene;
use super::support::schemas;

#[test]
fn every_command_with_a_document_has_a_schema() {
    let raw = ["get", "run", "export", "completions", "man", "help"];
    let commands: BTreeSet<String> = keyctl::cli::command()
        .get_subcommands()
        .map(|it| it.get_name().to_owned())
        .filter(|it| !raw.contains(&it.as_str()))
        .collect();
    let mut files: BTreeSet<String> = schemas::files().into_keys().collect();
    assert!(files.remove("common"));
    assert_eq!(files, commands);
}

#[test]
fn every_schema_is_one_and_names_itself() {
    for (name, schema) in schemas::files() {
        assert!(jsonschema::meta::is_valid(&schema), "{name}.json is no JSON Schema");
        assert_eq!(schema["$id"], format!("https://keyctl.example/schemas/{name}.json"));
        if name != "common" {
            assert_eq!(schema["properties"]["command"], json!({"const": name}));
        }
    }
}

#[test]
fn the_fixed_words_are_the_programs() {
    let common = schemas::files().remove("common").unwrap();
    let words = |name: &str| -> BTreeSet<String> {
        let list = common["$defs"][name]["enum"].as_array().unwrap();
        list.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let owned = |list: &[&str]| -> BTreeSet<String> { list.iter().map(|it| (*it).to_owned()).collect() };
    assert_eq!(words("provider"), owned(&ProviderId::ALL.map(ProviderId::as_str)));
    assert_eq!(words("kind"), owned(&Kind::ALL.map(Kind::as_str)));
    assert_eq!(words("keyState"), owned(&KeyState::ALL.map(KeyState::as_str)));
    assert_eq!(words("consumerKind"), owned(&ConsumerKind::ALL.map(ConsumerKind::as_str)));
    assert_eq!(words("verdict"), owned(&Verdict::ALL.map(Verdict::as_str)));
    assert_eq!(words("reason"), owned(&Reason::ALL.map(Reason::as_str)));
    assert_eq!(words("cause"), owned(&Cause::ALL.map(Cause::as_str)));
    assert_eq!(words("stage"), owned(&Stage::ALL.map(Stage::as_str)));
}

#[test]
fn a_document_that_is_not_as_the_schema_says_is_found() {
    let good = json!({"schema_version": 1, "command": "set", "data": {"key": "mailgun@acme", "changed": []}});
    schemas::check(&good);
    let failure = json!({"code": "no-such-key", "message": "there is none", "hint": null});
    schemas::check(&json!({"schema_version": 1, "command": "set", "error": failure}));
    let bad = [
        json!({"key": "mailgun@acme"}),
        json!({"key": "acme", "changed": []}),
        json!({"key": "mailgun@acme", "changed": [], "news": 1}),
        json!({"changed": [], "key": "mailgun@acme"}),
    ];
    for data in bad {
        let document = json!({"schema_version": 1, "command": "set", "data": data});
        let caught = std::panic::catch_unwind(|| schemas::check(&document));
        assert!(caught.is_err(), "{document}");
    }
}

/// Returns a world with a file store and keys of one Mailgun account.
fn filled() -> (Scene, World) {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.acme.example", "active");
    let admin = scene.sandbox.mailgun_key(&scene.account, "admin");
    let mut world = World::new();
    world.join(&scene.sandbox.env());
    scene.world.set("A_KEY", &admin.secret);
    world.set("A_KEY", &admin.secret);
    (scene, world)
}

/// One run of each command, so that each schema meets a document of the
/// program whatever the other tests do.
#[test]
fn every_command_writes_what_its_schema_says() {
    let (scene, world) = filled();
    let mut seen = BTreeSet::new();
    let mut run = |arguments: &[&str], input: &str, code: i32| -> Value {
        let ran = world.run_with(&[&["-f", "json", "--no-input"], arguments].concat(), input).exits(code);
        let document = ran.json();
        if document.get("data").is_some() {
            seen.insert(document["command"].as_str().unwrap().to_owned());
        }
        document["data"].clone()
    };
    run(&["add", "mailgun@acme", "--from-env", "A_KEY", "--kind", "account"], "", 0);
    let other = scene.sandbox.mailgun_key(&scene.account, "developer").secret;
    run(&["add", "mailgun:b@acme", "--stdin", "--kind", "account", "--consumer", "shop"], &other, 0);
    run(&["scope", "add", "acme/berlin", "--domain", "mg.acme.example"], "", 0);
    run(&["scope", "list"], "", 0);
    run(&["scope", "show", "acme/berlin"], "", 0);
    run(&["list"], "", 0);
    run(&["show", "mailgun@acme"], "", 0);
    run(&["which", "acme/berlin"], "", 0);
    run(&["identify", "--from-env", "A_KEY"], "", 0);
    run(&["validate"], "", 0);
    run(&["domains", "acme/berlin", "--all"], "", 0);
    run(&["domains", "acme/berlin", "--explain", "mg.acme.example"], "", 0);
    run(
        &["send-test", "mailgun@acme", "--to", "a@b.example", "--domain", "mg.acme.example", "--dry-run"],
        "",
        0,
    );
    run(&["permissions", "mailgun@acme"], "", 0);
    run(&["audit"], "", 3);
    run(&["consumer", "list"], "", 0);
    run(&["allowlist", "mailgun@acme"], "", 0);
    run(&["set", "mailgun@acme", "--note", "n"], "", 0);
    run(&["create", "mailgun:c@acme", "--using", "mailgun@acme", "--role", "developer"], "", 0);
    run(&["rename", "mailgun:c@acme", "mailgun:d@acme"], "", 0);
    run(&["rotate", "mailgun:d@acme", "--plan"], "", 0);
    run(&["rotate", "--status"], "", 0);
    run(&["rotate", "--due"], "", 0);
    run(&["store", "status"], "", 0);
    run(&["store", "recipient", "list"], "", 0);
    run(&["doctor"], "", 0);
    let recipient = run(&["store", "recipient", "list"], "", 0)["recipients"][0]["recipient"]
        .as_str()
        .unwrap()
        .to_owned();
    let backup = world.path("all.age").to_string_lossy().into_owned();
    run(&["backup", &backup, "--recipient", &recipient], "", 0);
    run(&["restore", &backup, "--dry-run"], "", 0);
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", id_of(&other)), json!({"delete": true}));
    run(&["disable", "mailgun:b@acme", "--done"], "", 0);
    scene.sandbox.clear_requests();
    run(&["remove", "mailgun:d@acme", "--revoke", "--yes"], "", 0);
    run(&["show", "mailgun@nobody"], "", 8);
    let mut missing: BTreeSet<String> = schemas::files().into_keys().filter(|it| it != "common").collect();
    missing.retain(|it| !seen.contains(it));
    // Its document is that of `disable`.
    missing.remove("enable");
    assert_eq!(missing, BTreeSet::new());
}

/// The id that a Mailgun key carries in itself.
fn id_of(secret: &str) -> &str {
    &secret[secret.len() - 17..]
}
