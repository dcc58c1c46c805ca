//! `keyctl backup` and `restore`: everything comes back on a machine that lost
//! it, and nothing that is there is touched. `doctor` beside them.

use serde_json::json;

use super::support::World;

fn secret() -> String {
    ["can", "ary", "-backup-", "0123456789"].concat()
}

fn surroundings(world: &World) -> keyctl::store::Surroundings {
    keyctl::store::Surroundings {
        data_dir: world.path("home/.local/share/keyctl"),
        config_dir: world.path("home/.config/keyctl"),
        ..keyctl::store::Surroundings::default()
    }
}

fn store(world: &World) -> Box<dyn keyctl::store::Store> {
    (keyctl::store::row("file").unwrap().open)(&surroundings(world))
}

/// The item of the key in that world.
fn item() -> keyctl::store::Item {
    keyctl::store::Item {
        id: keyctl::key::RecordId::parse("kbackup1").unwrap(),
        version: 2,
        key: "mailgun@acme/berlin".parse().unwrap(),
    }
}

/// Loses the secrets; the identity is kept.
fn lose_the_store(world: &World) {
    for name in ["secrets.age", "secrets.age.recipients"] {
        std::fs::remove_file(world.path("home/.local/share/keyctl").join(name)).unwrap();
    }
    let _ = world.run(&["store", "init", "file"]).exits(0);
}

/// Restores, after a dry run that says the same and changes nothing; returns
/// the only key's line.
#[track_caller]
fn restore(world: &World, code: i32) -> serde_json::Value {
    let before = world.files();
    let told = world.data(&["restore", "all.age", "--dry-run"], code);
    world.unchanged_since(&before);
    let data = world.data(&["restore", "all.age"], code);
    assert_eq!(told["keys"], data["keys"]);
    data["keys"][0].clone()
}

/// A world with one key in its file store, put there by the library.
fn world_with_a_key() -> World {
    let world = World::new();
    store(&world).put(&item(), &keyctl::key::Secret::new(secret())).unwrap();
    world.write_inventory(
        "# ours\nversion = 1\nstore = \"file\"\n\n[agency.acme]\nname = \"Acme\"\n\n[agency.acme.location.berlin]\n\n\
         [key.\"mailgun@acme/berlin\"]\nid = \"kbackup1\"\nkind = \"account\"\ncurrent = 2\nhighest = 2\n",
    );
    world
}

#[test]
fn a_backup_restores_what_was_lost_and_touches_nothing_else() {
    let world = world_with_a_key();
    let data = world.data(&["backup", "all.age"], 0);
    assert_eq!(data, json!({"path": "all.age", "keys": 1, "secrets": 1, "missing": []}));
    let bytes = std::fs::read(world.path("all.age")).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains(&secret()));
    let _ = world.run(&["backup", "all.age"]).exits(9);
    assert_eq!(std::fs::read(world.path("all.age")).unwrap(), bytes, "an existing file is left alone");
    let line = |result: &str| json!({"key": "mailgun@acme/berlin", "result": result, "missing": []});
    assert_eq!(restore(&world, 0), line("already-here"));

    // The inventory and the store are gone; the identity is not.
    std::fs::remove_file(world.inventory_path()).unwrap();
    lose_the_store(&world);
    let before = world.files();
    let data = world.data(&["restore", "all.age", "--dry-run"], 0);
    assert_eq!(data["keys"], json!([line("restored")]));
    assert_eq!(world.files(), before, "--dry-run changes nothing");
    let _ = world.run(&["restore", "all.age"]).exits(0);
    assert_eq!(store(&world).get(&item()).unwrap().unwrap().expose(), secret());
    assert!(world.inventory().contains("name = \"Acme\""), "{}", world.inventory());
}

#[test]
fn a_key_that_comes_back_without_its_secret_is_no_success() {
    let world = world_with_a_key();
    assert!(store(&world).delete(&item()).unwrap());
    let _ = world.run(&["backup", "all.age"]).exits(4);
    // The record is here, and its secret is nowhere.
    let without = json!({"key": "mailgun@acme/berlin", "result": "secret-missing", "missing": ["current"]});
    assert_eq!(restore(&world, 1), without);
    std::fs::remove_file(world.inventory_path()).unwrap();
    let ran = world.run(&["-f", "json", "restore", "all.age"]).exits(1);
    assert_eq!(ran.data()["keys"][0], without);
    let named = "the current secret of `mailgun@acme/berlin` is not in the backup";
    assert!(ran.stderr.contains(named), "{}", ran.stderr);
    assert!(world.inventory().contains("kbackup1"), "what is known of it is back: {}", world.inventory());
}

#[test]
fn a_record_that_went_on_since_the_backup_needs_the_secret_it_has_now() {
    let world = world_with_a_key();
    let _ = world.run(&["backup", "all.age"]).exits(0);
    world.write_inventory(&world.inventory().replace("= 2", "= 3"));
    assert_eq!(restore(&world, 1)["result"], "secret-missing", "version 2 is not version 3");
    // Under another name it is the same record.
    world.write_inventory(
        &world.inventory().replace("= 3", "= 2").replace("mailgun@acme/berlin", "mailgun:b@acme/berlin"),
    );
    assert_eq!(restore(&world, 0)["key"], "mailgun:b@acme/berlin");
    lose_the_store(&world);
    assert_eq!(restore(&world, 0)["result"], "secret-restored");
    assert_eq!(world.inventory().matches("kbackup1").count(), 1, "{}", world.inventory());
}

#[test]
fn a_secret_that_the_store_does_not_take_is_named() {
    let world = world_with_a_key();
    let _ = world.run(&["backup", "all.age"]).exits(0);
    std::fs::remove_file(world.inventory_path()).unwrap();
    lose_the_store(&world);
    let other = keyctl::key::Secret::new(["another", "-", "secret"].concat());
    store(&world).put(&item(), &other).unwrap();
    assert_eq!(restore(&world, 1)["result"], "not-stored");
    let ran = world.run(&["restore", "all.age"]).exits(1);
    let why = "`mailgun@acme/berlin` was not restored: the file store has another secret under its name";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    assert!(!world.inventory().contains("kbackup1"), "{}", world.inventory());
    assert_eq!(store(&world).get(&item()).unwrap().unwrap().expose(), other.expose());
}

#[test]
fn a_backup_of_another_version_is_refused() {
    let world = world_with_a_key();
    let recipients = keyctl::store::file::list_recipients(&surroundings(&world)).unwrap();
    let recipients: Vec<String> = recipients.into_iter().map(|it| it.key).collect();
    let before = world.files();
    for (archive, code, word) in [
        (
            json!({"version": 0, "inventory": "version = 1\n", "secrets": {}}),
            "other-version",
            "has version 0",
        ),
        (json!({"version": 2, "parts": []}), "other-version", "has version 2"),
        (
            json!({"version": 1, "inventory": "version = 2\n", "secrets": {}}),
            "other-version",
            "the inventory in the backup has version 2",
        ),
        (
            json!({"version": 1, "inventory": "version = 0\n", "secrets": {}}),
            "other-version",
            "the inventory in the backup has version 0",
        ),
    ] {
        let sealed = keyctl::store::file::seal_to(archive.to_string().as_bytes(), &recipients).unwrap();
        std::fs::write(world.path("other.age"), sealed).unwrap();
        for more in [&[][..], &["--dry-run"]] {
            let ran = world.run(&[&["-f", "json", "restore", "other.age"], more].concat()).exits(9);
            let error = ran.json()["error"].clone();
            assert_eq!(error["code"], code, "{error}");
            assert!(error["message"].as_str().unwrap().contains(word), "{error}");
        }
        std::fs::remove_file(world.path("other.age")).unwrap();
        world.unchanged_since(&before);
    }
    let sealed = keyctl::store::file::seal_to(b"{\"a\": 1}", &recipients).unwrap();
    std::fs::write(world.path("other.age"), sealed).unwrap();
    assert!(world.run(&["restore", "other.age"]).exits(2).stderr.contains("holds something else"));
}

#[test]
fn a_passphrase_can_protect_a_backup() {
    let mut world = world_with_a_key();
    std::fs::write(world.path("pass"), "correct horse\n").unwrap();
    let path = world.path("pass").to_string_lossy().into_owned();
    world.set("KEYCTL_PASSPHRASE_FILE", &path);
    let _ = world.run(&["backup", "all.age", "--passphrase"]).exits(0);
    let _ = world.run(&["restore", "all.age"]).exits(0);
    std::fs::write(world.path("pass"), "wrong\n").unwrap();
    let ran = world.run(&["restore", "all.age"]).exits(7);
    assert!(ran.stderr.contains("does not open the backup `all.age`"), "{}", ran.stderr);
    std::fs::write(world.path("junk.age"), "junk").unwrap();
    let ran = world.run(&["restore", "junk.age"]).exits(2);
    assert!(ran.stderr.contains("is no age file"), "{}", ran.stderr);
}

#[test]
fn doctor_tells_pass_from_fail_and_mends_modes() {
    use std::os::unix::fs::PermissionsExt;
    let world = world_with_a_key();
    std::fs::set_permissions(world.inventory_path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let check = |arguments: &[&str], code, id: &str| {
        let data = world.data(arguments, code);
        data["checks"].as_array().unwrap().iter().find(|it| it["id"] == id).unwrap()["result"].clone()
    };
    assert_eq!(check(&["doctor"], 0, "inventory-mode"), "warn");
    assert_eq!(check(&["doctor", "--fix"], 0, "inventory-mode"), "pass");
    let mode = std::fs::metadata(world.inventory_path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(check(&["doctor"], 0, "store"), "pass");
    assert_eq!(check(&["--store", "keyring", "doctor"], 7, "store"), "fail");
    world.write_inventory("version = ");
    assert_eq!(check(&["doctor"], 2, "inventory"), "fail");
}
