//! A backup that was made while a rotation was under way: what comes back, and
//! that nothing is dropped in silence.

use serde_json::{Value, json};

use super::rig::{PAST_GRACE, Rig};
use crate::support::world::Ran;

const KEY: &str = "mailgun@acme";

/// Starts a rotation up to its grace period and backs everything up.
fn backed_up(rig: &mut Rig) -> Value {
    let second = rig.sandbox.mailgun_key(&rig.account, "admin");
    rig.record("mailgun:second@acme", &second, "kind = \"account\"");
    let rotation = rig.rotate(&[KEY, "--using", "mailgun:second@acme", "--yes"], 0);
    assert_eq!(rotation["stage"], "grace");
    let _ = rig.run(&["backup", "all.age"]).exits(0);
    rotation
}

/// Loses the inventory and the secrets; the identity is kept.
fn lose_everything(rig: &Rig) {
    std::fs::remove_file(rig.world.inventory_path()).unwrap();
    lose_the_store(rig);
}

fn lose_the_store(rig: &Rig) {
    for name in ["secrets.age", "secrets.age.recipients"] {
        std::fs::remove_file(rig.world.path("home/.local/share/keyctl").join(name)).unwrap();
    }
    let _ = rig.run(&["store", "init", "file"]).exits(0);
}

/// Restores, after a dry run that says the same and changes nothing.
#[track_caller]
fn restore(rig: &Rig, code: i32) -> (Value, Ran) {
    let before = rig.files();
    let told = rig.world.data(&["restore", "all.age", "--dry-run"], code);
    assert_eq!(rig.files(), before, "--dry-run changes nothing");
    let ran = rig.run(&["-f", "json", "restore", "all.age"]).exits(code);
    let data = ran.data();
    assert_eq!((&told["keys"], &told["rotations"]), (&data["keys"], &data["rotations"]));
    rig.keeps_secrets(&ran);
    (data, ran)
}

fn results(data: &Value, of: &str) -> Vec<String> {
    data[of].as_array().unwrap().iter().map(|it| it["result"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_rotation_comes_back_with_its_keys_and_goes_on() {
    let mut rig = Rig::new();
    let rotation = backed_up(&mut rig);
    let (old, new) = (rig.get(KEY, "previous").unwrap(), rig.get(KEY, "current").unwrap());
    lose_everything(&rig);
    let (data, _) = restore(&rig, 0);
    assert_eq!(results(&data, "keys"), ["restored", "restored"]);
    assert_eq!(
        data["rotations"],
        json!([{"id": rotation["id"], "keys": [KEY], "stage": "grace", "result": "restored"}])
    );
    assert_eq!((rig.get(KEY, "previous").unwrap(), rig.get(KEY, "current").unwrap()), (old, new));
    assert_eq!(rig.status()[0]["id"], rotation["id"]);
    assert!(!rig.world.inventory().contains(".owner]"), "nobody works on it: {}", rig.world.inventory());
    let (data, _) = restore(&rig, 0);
    assert_eq!(
        (results(&data, "keys")[0].as_str(), results(&data, "rotations")),
        ("already-here", vec!["already-here".to_owned()])
    );
    rig.after(PAST_GRACE);
    let done = rig.rotate(&[KEY, "--resume"], 0);
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")));
    // What ended since the backup is not begun again.
    let (data, _) = restore(&rig, 0);
    assert_eq!(results(&data, "rotations"), ["ended-here"]);
    assert_eq!(rig.status(), Vec::<Value>::new());
}

#[test]
fn a_rotation_that_only_the_inventory_lost_comes_back() {
    let mut rig = Rig::new();
    let rotation = backed_up(&mut rig);
    let inventory = rig.world.inventory();
    let (head, _) = inventory.split_once("\n[rotation.").unwrap();
    rig.world.write_inventory(head);
    assert_eq!(rig.status(), Vec::<Value>::new());
    let (data, _) = restore(&rig, 0);
    assert_eq!(results(&data, "keys"), ["already-here", "already-here"]);
    assert_eq!(rig.status()[0]["id"], rotation["id"]);
}

#[test]
fn a_rotation_is_not_put_over_another_one_of_that_key() {
    let mut rig = Rig::new();
    let rotation = backed_up(&mut rig);
    let id = rotation["id"].as_str().unwrap();
    rig.world.write_inventory(&rig.world.inventory().replace(id, "rother1"));
    let before = rig.files();
    let (data, ran) = restore(&rig, 9);
    assert_eq!(results(&data, "rotations"), ["rotation-running"]);
    let named = format!("the rotation {id} of `{KEY}` (stage grace) was not restored: another rotation");
    assert!(ran.stderr.contains(&named), "{}", ran.stderr);
    assert_eq!(rig.files(), before);
}

#[test]
fn a_rotation_whose_key_does_not_come_back_is_named() {
    let mut rig = Rig::new();
    let rotation = backed_up(&mut rig);
    lose_everything(&rig);
    // The name is another key's now.
    rig.world.write_inventory("version = 1\nstore = \"file\"\n");
    let other = rig.sandbox.mailgun_key(&rig.account, "admin");
    rig.record(KEY, &other, "kind = \"account\"");
    rig.world.write_inventory(&rig.world.inventory().replace("id = \"k", "id = \"kother"));
    let (data, ran) = restore(&rig, 9);
    let lines = results(&data, "keys");
    assert_eq!((lines.len(), lines.iter().filter(|it| *it == "name-taken").count()), (2, 1), "{data}");
    assert_eq!(results(&data, "rotations"), ["keys-missing"]);
    let id = rotation["id"].as_str().unwrap();
    assert!(ran.stderr.contains(&format!("the rotation {id}")), "{}", ran.stderr);
    assert_eq!(rig.status(), Vec::<Value>::new());
}

#[test]
fn a_secret_that_a_rotation_needs_and_the_backup_lacks_is_named() {
    let mut rig = Rig::new();
    backed_up(&mut rig);
    // The old secret is lost, then backed up: the way back is gone.
    let inventory = rig.inventory();
    let key = KEY.parse().unwrap();
    let record = inventory.keys.get(&key).unwrap();
    let item = keyctl::store::Item { id: record.id.clone(), version: record.previous.unwrap(), key };
    assert!(rig.store().delete(&item).unwrap());
    let _ = rig.run(&["backup", "all.age", "--yes"]).exits(4);
    lose_everything(&rig);
    let (data, ran) = restore(&rig, 1);
    let line = data["keys"].as_array().unwrap().iter().find(|it| it["key"] == KEY).unwrap();
    assert_eq!((&line["result"], &line["missing"]), (&json!("restored"), &json!(["previous"])));
    assert!(
        ran.stderr.contains("the previous secret of `mailgun@acme` is not in the backup"),
        "{}",
        ran.stderr
    );
    assert_eq!(results(&data, "rotations"), ["restored"], "it still announces the keys");
    // The store alone is lost: the record that is here says which secrets it needs.
    lose_the_store(&rig);
    let (data, _) = restore(&rig, 0);
    assert_eq!(results(&data, "keys"), ["secret-restored", "secret-restored"]);
}
