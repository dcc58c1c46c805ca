//! `keyctl store …` as a person meets it: what it prints, what it leaves on disk,
//! and that moving secrets between stores loses none, whenever it is killed.

use std::collections::BTreeMap;

use keyctl::key::{RecordId, Secret};
use keyctl::store::{self, Item, Surroundings};

use crate::support::World;
use crate::support::session::{self, Keyring, inside};

fn secret() -> String {
    ["0a".repeat(16).as_str(), "-0a1b2c3d", "-4e5f6a7b"].concat()
}

fn inventory(store: &str, id: &str) -> String {
    format!(
        "version = 1\nstore = \"{store}\"\n\n[key.\"mailgun@acme\"]\nid = \"{id}\"\n\
         kind = \"account\"\ncurrent = 1\nhighest = 1\n"
    )
}

fn surroundings(world: &World) -> Surroundings {
    Surroundings {
        data_dir: world.path("home/.local/share/keyctl"),
        config_dir: world.path("home/.config/keyctl"),
        ..Surroundings::default()
    }
}

fn item(id: &str) -> Item {
    Item { id: RecordId::parse(id).unwrap(), version: 1, key: "mailgun@acme".parse().unwrap() }
}

/// Returns a world whose file store holds the secret of `mailgun@acme`.
fn kept_in_file(id: &str) -> World {
    let mut world = World::new();
    world.unset("KEYCTL_STORE");
    world.write_inventory(&inventory("file", id));
    let file = store::open("file", &surroundings(&world)).unwrap();
    file.put(&item(id), &Secret::new(secret())).unwrap();
    world
}

/// Returns every file by its name.
fn kept(world: &World) -> BTreeMap<String, Vec<u8>> {
    let name = |path: std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    world.files().into_iter().map(|(path, bytes)| (name(path), bytes)).collect()
}

fn in_file(world: &World, id: &str) -> bool {
    store::open("file", &surroundings(world)).unwrap().get(&item(id)).unwrap().is_some()
}

#[test]
fn a_new_user_is_told_what_to_do() {
    let world = World::bare();
    let data = world.data(&["store", "status"], 7);
    assert_eq!((&data["store"], &data["chosen_by"]), (&"keyring".into(), &"default".into()));
    let names: Vec<_> = data["stores"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["keyring", "file", "env"]);
    assert_eq!(data["stores"][0]["state"], "store-no-service");
    assert!(data["stores"][0]["hint"].as_str().unwrap().contains("keyctl store init file"));
    assert_eq!(data["stores"][1]["state"], "store-not-initialised");
    assert_eq!(data["stores"][2]["state"], "read-only");
    let ran = world.run(&["store", "status"]).exits(7);
    assert!(ran.stdout.starts_with("Secrets are kept in: keyring (the default; "), "{}", ran.stdout);
    assert!(world.files().is_empty(), "{:?}", world.files().keys());
}

#[test]
fn init_makes_a_store_that_is_used_from_then_on() {
    let world = World::bare();
    let data = world.data(&["store", "init", "file"], 0);
    assert_eq!(data["in_use"], true);
    assert!(data["recipient"].as_str().unwrap().starts_with("age1"));
    let names: Vec<String> = kept(&world).into_keys().collect();
    assert_eq!(names, ["identity.txt", "keyctl.toml", "secrets.age", "secrets.age.recipients"]);
    assert!(world.inventory().contains("store = \"file\""), "{}", world.inventory());
    let data = world.data(&["store", "status"], 0);
    assert_eq!(data["chosen_by"], "inventory");
    assert_eq!(data["stores"][1]["state"], "ready");

    let before = kept(&world);
    let ran = world.run(&["-f", "json", "store", "init", "file"]).exits(7);
    assert!(ran.json()["error"]["message"].as_str().unwrap().contains("already"));
    assert!(kept(&world) == before, "something was replaced");
}

#[test]
fn init_elsewhere_says_how_to_use_it() {
    let world = World::bare();
    let path = world.path("team/keys.age");
    let identity = world.path("secret/me.txt");
    let arguments = ["store", "init", "file", "--path", path.to_str().unwrap(), "--identity"];
    let ran = world.run(&[&arguments[..], &[identity.to_str().unwrap()]].concat()).exits(0);
    let set =
        format!("set KEYCTL_STORE_FILE={} and KEYCTL_IDENTITY_FILE={}", path.display(), identity.display());
    assert!(ran.stderr.contains(&set), "{}", ran.stderr);
    let world = world
        .with("KEYCTL_STORE_FILE", path.to_str().unwrap())
        .with("KEYCTL_IDENTITY_FILE", identity.to_str().unwrap())
        .with("KEYCTL_STORE", "file");
    let data = world.data(&["store", "status"], 0);
    assert_eq!(data["chosen_by"], "call");
}

#[test]
fn a_passphrase_is_asked_for_or_read_from_a_file() {
    let mut world = World::bare();
    let ran = world.run(&["--no-input", "store", "init", "file", "--passphrase"]).exits(6);
    assert!(ran.stderr.contains("KEYCTL_PASSPHRASE_FILE"), "{}", ran.stderr);
    assert!(world.files().is_empty());
    let file = world.path("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    world.set("KEYCTL_PASSPHRASE_FILE", file.to_str().unwrap());
    let _ = world.run(&["store", "init", "file", "--passphrase"]).exits(0);
    let _ = world.run(&["store", "status"]).exits(0);
    world.unset("KEYCTL_PASSPHRASE_FILE");
    let data = world.data(&["--no-input", "store", "status"], 7);
    assert_eq!(data["stores"][1]["state"], "store-locked");
}

#[test]
fn recipients_are_added_listed_and_removed() {
    let world = kept_in_file("kteam");
    let other = World::new();
    let own = other.data(&["store", "recipient", "list"], 0)["recipients"][0]["recipient"].clone();
    let own = own.as_str().unwrap();
    let data = world.data(&["store", "recipient", "add", own, "--name", "CI"], 0);
    assert_eq!(data["recipients"][1], serde_json::json!({"name": "CI", "recipient": own}));
    let _ = world.run(&["store", "recipient", "add", own, "--name", "again"]).exits(9);
    let _ = world.run(&["store", "recipient", "add", "age1nonsense", "--name", "x"]).exits(2);
    let _ = world.run(&["store", "recipient", "remove", "nobody"]).exits(8);
    let _ = world.run(&["store", "recipient", "remove", "test"]).exits(9);
    let ran = world.run(&["store", "recipient", "remove", "CI"]).exits(0);
    assert!(ran.stderr.contains("warning: `CI` could read 1 secrets"), "{}", ran.stderr);
    let _ = world.run(&["store", "recipient", "remove", "test"]).exits(9);
    let plain = world.run(&["-f", "plain", "store", "recipient", "list"]).exits(0).stdout;
    assert_eq!(plain.lines().count(), 1);
    assert!(plain.starts_with("test\tage1"), "{plain}");
    let identity = ["AGE-SECRET", "-KEY-1", &"Q".repeat(58)].concat();
    let ran = world.run(&["store", "recipient", "add", &identity, "--name", "x"]).exits(2);
    assert!(!format!("{ran:?}").contains(&"Q".repeat(58)));
}

#[test]
fn another_store_is_chosen_without_losing_what_the_first_holds() {
    let world = kept_in_file("kset");
    let before = world.inventory();
    let _ = world.run(&["store", "set", "keyring"]).exits(7);
    let _ = world.run(&["store", "set", "plain"]).exits(2);
    assert_eq!(world.inventory(), before);
    let ran = world.run(&["store", "set", "env"]).exits(0);
    assert!(ran.stderr.contains("keyctl store copy file env --switch"), "{}", ran.stderr);
    let text = world.inventory();
    assert!(text.contains("store = \"env\""), "{text}");
    let key = text.split("[key.").nth(1).unwrap();
    assert!(key.contains("store = \"file\""), "{text}");
    let _ = world.run(&["store", "set", "file"]).exits(0);
    let key = world.inventory();
    assert!(!key.split("[key.").nth(1).unwrap().contains("store ="), "{key}");
}

#[test]
fn secrets_of_a_ci_job_are_copied_into_a_file() {
    let world = World::new().with("KEYCTL_SECRET_MAILGUN__ACME", &secret());
    let mut world = world;
    world.unset("KEYCTL_STORE");
    world.write_inventory(&inventory("env", "kcijob"));
    let data = world.data(&["store", "copy", "env", "file"], 0);
    assert_eq!(data["keys"][0]["state"], "copied");
    assert!(in_file(&world, "kcijob"));
    assert_eq!(world.inventory(), inventory("env", "kcijob"));
    let _ = world.run(&["store", "copy", "env", "file", "--delete-source"]).exits(2);
    let _ = world.run(&["store", "copy", "env", "file", "--switch", "--delete-source"]).exits(2);
    let _ = world.run(&["store", "copy", "file", "file"]).exits(2);
    let _ = world.run(&["store", "copy", "file", "env"]).exits(7);
    world.unset("KEYCTL_SECRET_MAILGUN__ACME");
    let data = world.data(&["store", "copy", "env", "file", "--switch"], 8);
    assert_eq!(data["keys"][0]["state"], "missing");
    let key = world.inventory();
    assert!(key.split("[key.").nth(1).unwrap().contains("store = \"env\""), "{key}");
}

/// Gives a world the message bus of the session the test runs in.
fn with_bus(world: World) -> World {
    world.with("DBUS_SESSION_BUS_ADDRESS", &std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap())
}

#[test]
fn secrets_move_into_the_keyring() {
    inside("store_command::secrets_move_into_the_keyring", Keyring::Unlocked, || {
        let world = with_bus(kept_in_file("kmove"));
        let before = kept(&world);
        let call = ["store", "copy", "file", "keyring", "--switch", "--delete-source"];
        let _ = world.run(&[&["--no-input"], &call[..]].concat()).exits(9);
        assert!(kept(&world) == before, "something was changed");
        assert_eq!(session::secret_tool_lookup("kmove#1"), None);
        let data = world.data(&[&["--yes"], &call[..]].concat(), 0);
        let expected = serde_json::json!(
            {"key": "mailgun@acme", "state": "switched", "versions": [1], "deleted": [1]}
        );
        assert_eq!(data["keys"][0], expected);
        assert_eq!(session::secret_tool_lookup("kmove#1"), Some(secret()));
        assert!(!in_file(&world, "kmove"));
        assert!(world.inventory().contains("store = \"keyring\""), "{}", world.inventory());
        let data = world.data(&["store", "status"], 0);
        assert_eq!(data["stores"][0]["state"], "ready");
        assert_eq!(data["stores"][0]["keys"], 1);
    });
}

#[test]
fn a_move_that_is_killed_can_be_run_again() {
    inside("store_command::a_move_that_is_killed_can_be_run_again", Keyring::Unlocked, || {
        let call = ["--yes", "store", "copy", "file", "keyring", "--switch", "--delete-source"];
        let mut killed = 0;
        loop {
            let id = format!("kcrash{killed}");
            let user = format!("{id}#1");
            let mut world = with_bus(kept_in_file(&id));
            world.set("KEYCTL_DEBUG_CRASH_AT", &killed.to_string());
            let code = world.run(&call).code;
            world.unset("KEYCTL_DEBUG_CRASH_AT");
            let keyring = world.inventory().contains("store = \"keyring\"");
            let there =
                if keyring { session::secret_tool_lookup(&user).is_some() } else { in_file(&world, &id) };
            assert!(there, "killed at {killed}: the inventory refers to a store without the secret");
            let _ = world.run(&call).exits(0);
            assert_eq!(session::secret_tool_lookup(&user), Some(secret()), "killed at {killed}");
            assert!(!in_file(&world, &id), "killed at {killed}");
            if code == 0 {
                break;
            }
            killed += 1;
        }
        assert!(killed >= 6, "only {killed} points were passed");
    });
}
