//! `keyctl backup` and `restore`: everything comes back on a machine that lost
//! it, and nothing that is there is touched. `doctor` beside them.

use serde_json::json;

use super::support::World;

fn secret() -> String {
    ["can", "ary", "-backup-", "0123456789"].concat()
}

/// A world with one key in its file store, put there by the library.
fn world_with_a_key() -> World {
    let world = World::new();
    let surroundings = keyctl::store::Surroundings {
        data_dir: world.path("home/.local/share/keyctl"),
        config_dir: world.path("home/.config/keyctl"),
        ..keyctl::store::Surroundings::default()
    };
    let store = (keyctl::store::row("file").unwrap().open)(&surroundings);
    let item = keyctl::store::Item {
        id: keyctl::key::RecordId::parse("kbackup1").unwrap(),
        version: 2,
        key: "mailgun@acme/berlin".parse().unwrap(),
    };
    store.put(&item, &keyctl::key::Secret::new(secret())).unwrap();
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
    let data = world.data(&["restore", "all.age"], 0);
    assert_eq!(data["keys"], json!([{"key": "mailgun@acme/berlin", "result": "already-here"}]));

    // The inventory and the store are gone; the identity is not.
    std::fs::remove_file(world.inventory_path()).unwrap();
    for name in ["secrets.age", "secrets.age.recipients"] {
        std::fs::remove_file(world.path("home/.local/share/keyctl").join(name)).unwrap();
    }
    let _ = world.run(&["store", "init", "file"]).exits(0);
    let before = world.files();
    let data = world.data(&["restore", "all.age", "--dry-run"], 0);
    assert_eq!(data["keys"], json!([{"key": "mailgun@acme/berlin", "result": "restored"}]));
    assert_eq!(world.files(), before, "--dry-run changes nothing");
    let _ = world.run(&["restore", "all.age"]).exits(0);
    let surroundings = keyctl::store::Surroundings {
        data_dir: world.path("home/.local/share/keyctl"),
        config_dir: world.path("home/.config/keyctl"),
        ..keyctl::store::Surroundings::default()
    };
    let store = (keyctl::store::row("file").unwrap().open)(&surroundings);
    let item = keyctl::store::Item {
        id: keyctl::key::RecordId::parse("kbackup1").unwrap(),
        version: 2,
        key: "mailgun@acme/berlin".parse().unwrap(),
    };
    assert_eq!(store.get(&item).unwrap().unwrap().expose(), secret());
    assert!(world.inventory().contains("name = \"Acme\""), "{}", world.inventory());
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
