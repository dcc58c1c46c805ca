//! `identify`, `set`, `rename`, `remove`: what is recorded of a key, and its end.

use serde_json::json;

use super::keep::{Scene, stored};
use super::support::World;
use super::support::session::{Keyring, inside, lock, secret_tool_lookup};
use super::support::terminal::Terminal;

fn made_up(n: u8) -> String {
    format!("{n:032x}-{n:08x}-{n:08x}")
}

/// A home with keys that nobody validates.
fn world(keys: &[&str]) -> World {
    let world = World::new().with("KEYCTL_NO_INPUT", "1");
    for (n, key) in keys.iter().enumerate() {
        let arguments = ["add", key, "--stdin", "--no-validate", "--kind", "account", "--consumer", "shop"];
        let _ = world.run_with(&arguments, &made_up(n as u8 + 1)).exits(0);
    }
    world
}

#[test]
fn identify_tells_what_a_text_is_and_who_holds_it() {
    let world = world(&["mailgun@acme", "mailgun@beta"]);
    let before = world.files();
    let identify =
        |text: &str, code: i32| world.run_with(&["-f", "json", "identify", "--stdin"], text).exits(code);
    let data = identify(&format!("Bearer {}", made_up(1)), 0).data();
    let candidate =
        |kind: &str| json!({"provider": "mailgun", "kind": kind, "certain": false, "stripped": ["Bearer"]});
    assert_eq!(
        data,
        json!({"candidates": [candidate("account"), candidate("sending"), candidate("smtp")], "matches": ["mailgun@acme"]})
    );
    let brevo = ["xsmtp", "sib-", &"0a".repeat(32), "-", &"aB3".repeat(5), "x"].concat();
    let data = identify(&brevo, 0).data();
    assert_eq!(
        data,
        json!({"candidates": [{"provider": "brevo", "kind": "smtp", "certain": true, "stripped": []}], "matches": []})
    );
    let error = identify(&["pub", "key-", &"0a".repeat(16)].concat(), 2).json();
    assert_eq!(error["error"]["code"], "not-a-key");
    assert_eq!(identify("hello", 0).data(), json!({"candidates": [], "matches": []}));
    let _ = identify("", 2);
    assert_eq!(world.files(), before);
}

#[test]
fn set_changes_what_is_said_and_nothing_else() {
    let world = world(&["mailgun@acme"]);
    let commented = format!("# ours\n{}", world.inventory());
    world.write_inventory(&commented);
    let set =
        |arguments: &[&str], code: i32| world.data(&[&["set", "mailgun@acme"], arguments].concat(), code);
    let data = set(
        &[
            "--note",
            "by Jo",
            "--expires",
            "2027-01-31",
            "--created",
            "2026-01-02T03:04:05Z",
            "--region",
            "eu",
        ],
        0,
    );
    assert_eq!(data, json!({"key": "mailgun@acme", "changed": ["region", "created", "expires", "note"]}));
    let shown = world.data(&["show", "mailgun@acme"], 0)["key"].clone();
    assert_eq!((&shown["note"], &shown["expires"]), (&json!("by Jo"), &json!("2027-01-31T00:00:00Z")));
    assert_eq!((&shown["created"], &shown["region"]), (&json!("2026-01-02T03:04:05Z"), &json!("eu")));
    assert_eq!(set(&["--expires", "never", "--note", ""], 0)["changed"], json!(["expires", "note"]));
    assert_eq!(set(&["--expires", "never"], 0)["changed"], json!([]));
    assert!(world.inventory().starts_with("# ours\n"));
    assert_eq!(
        set(&["--kind", "smtp", "--login", "shop@mg.acme.example"], 0)["changed"],
        json!(["kind", "domain", "login"])
    );
    let before = world.files();
    for (arguments, code, word) in [
        (&["mailgun@acme"][..], 2, "--note"),
        (&["mailgun@acme", "--kind", "api"], 2, "no `api` keys"),
        (&["mailgun@acme", "--expires", "later"], 2, "later"),
        (&["mailgun@acme", "--note", "a\u{1b}b"], 2, "--note"),
        (&["mailgun@acme/berlin", "--note", "x"], 8, "inherits"),
        (&["brevo@acme", "--note", "x"], 8, "brevo@acme"),
    ] {
        let ran = world.run(&[&["set"], arguments].concat()).exits(code);
        assert!(ran.stderr.contains(word), "{arguments:?}: {}", ran.stderr);
    }
    world.unchanged_since(&before);
}

#[test]
fn a_domain_is_recorded_only_when_it_can_be_chosen() {
    let scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "new.acme.example", "unverified");
    let _ = scene.add("mailgun@acme", &scene.key("admin").secret, &[], 0);
    let set = |arguments: &[&str], code: i32| {
        scene.world.run(&[&["set", "mailgun@acme", "--domain"], arguments].concat()).exits(code)
    };
    let before = scene.world.files();
    assert!(set(&["new.acme.example"], 3).stderr.contains("new.acme.example"));
    let _ = set(&["nowhere.example"], 3);
    scene.sandbox.fault(json!({"host": "*", "action": {"status": 503}}));
    assert!(set(&["mg.acme.example", "--timeout", "2s"], 4).stderr.contains("--force"));
    scene.world.unchanged_since(&before);
    let _ = set(&["new.acme.example", "--force"], 0);
    scene.sandbox.clear_faults();
    let _ = set(&["mg.acme.example"], 0);
    assert_eq!(scene.show("mailgun@acme")["domain"], "mg.acme.example");
}

#[test]
fn rename_moves_the_record_and_leaves_the_store() {
    let world = world(&["mailgun@acme", "mailgun@beta"]);
    let id = world.data(&["show", "mailgun@acme"], 0)["key"]["item"].clone();
    let store = std::fs::read(world.path("home/.local/share/keyctl/secrets.age")).unwrap();
    let data = world.data(&["rename", "mailgun@acme", "mailgun:old@acme/berlin"], 0);
    assert_eq!(data, json!({"from": "mailgun@acme", "key": "mailgun:old@acme/berlin"}));
    let shown = world.data(&["show", "mailgun:old@acme/berlin"], 0)["key"].clone();
    assert_eq!((&shown["item"], &shown["consumers"]), (&id, &json!(["shop"])));
    assert_eq!(world.run(&["get", "mailgun:old@acme/berlin"]).exits(0).stdout.trim_end(), made_up(1));
    assert_eq!(std::fs::read(world.path("home/.local/share/keyctl/secrets.age")).unwrap(), store);
    assert!(world.inventory().contains("[agency.acme.location.berlin]"));
    let before = world.files();
    for (from, to, code) in [
        ("mailgun@acme", "mailgun@gamma", 8),
        ("mailgun@beta", "mailgun:old@acme/berlin", 9),
        ("mailgun@beta", "mailgun@beta", 2),
        ("mailgun@beta", "brevo@beta", 2),
    ] {
        let _ = world.run(&["rename", from, to]).exits(code);
    }
    world.unchanged_since(&before);
}

#[test]
fn rename_takes_the_rotation_along() {
    let world = world(&["mailgun@acme", "mailgun:admin@acme"]);
    let text = format!(
        "{}\n[rotation.rabcdefgh]\nkeys = [\"mailgun@acme\"]\nstage = \"grace\"\nstarted = \"2026-11-22T08:00:00Z\"\nusing = \"mailgun:admin@acme\"\nconsumers = [\n    {{ key = \"mailgun@acme\", name = \"shop\", kind = \"manual\", state = \"acked\" }},\n]\n",
        world.inventory()
    );
    world.write_inventory(&text);
    let _ = world.run(&["rename", "mailgun@acme", "mailgun@beta"]).exits(0);
    let _ = world.run(&["rename", "mailgun:admin@acme", "mailgun:root@acme"]).exits(0);
    let text = world.inventory();
    assert!(
        text.contains("keys = [\"mailgun@beta\"]") && text.contains("using = \"mailgun:root@acme\""),
        "{text}"
    );
    assert!(text.contains("key = \"mailgun@beta\", name = \"shop\""), "{text}");
    assert_eq!(world.data(&["show", "mailgun@beta"], 0)["key"]["rotation"], "grace");
    // Neither the key nor the one that manages may go now, nor be replaced.
    let before = world.files();
    for command in [
        &["remove", "mailgun@beta", "--forget"][..],
        &["remove", "mailgun:root@acme", "--forget"],
        &["set", "mailgun@beta", "--kind", "sending", "--domain", "a.example", "--force"],
        &["add", "mailgun@beta", "--stdin", "--replace", "--no-validate"],
    ] {
        let ran = world.run_with(command, &made_up(9)).exits(9);
        assert!(ran.stderr.contains("rotat"), "{}", ran.stderr);
    }
    world.unchanged_since(&before);
}

#[test]
fn a_key_that_works_is_not_removed_without_a_word() {
    let scene = Scene::new();
    let key = scene.key("admin");
    let _ = scene.add("mailgun@acme", &key.secret, &["--consumer", "shop"], 0);
    let before = scene.world.files();
    let remove = |arguments: &[&str], code: i32| {
        scene.world.run(&[&["-f", "json", "remove", "mailgun@acme"], arguments].concat()).exits(code)
    };
    let error = remove(&[], 9).json()["error"].clone();
    assert_eq!(error["code"], "still-works");
    assert!(error["hint"].as_str().unwrap().contains("--forget"));
    scene.sandbox.fault(json!({"host": "*", "action": {"status": 503}}));
    let _ = remove(&["--timeout", "2s"], 4);
    scene.sandbox.clear_faults();
    scene.world.unchanged_since(&before);
    // What its provider refuses may go.
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", key.id), json!({"delete": true}));
    let data = remove(&[], 0).data();
    assert_eq!(data, json!({"key": "mailgun@acme", "removed": true, "how": "dead", "consumers": ["shop"]}));
    let _ = scene.world.run(&["show", "mailgun@acme"]).exits(8);
    assert!(!scene.world.inventory().contains("[key."), "{}", scene.world.inventory());
}

#[test]
fn forget_removes_record_and_secret_only() {
    let scene = Scene::new();
    let key = scene.key("admin");
    let _ = scene.add("mailgun@acme", &key.secret, &[], 0);
    scene.sandbox.clear_requests();
    let ran = scene.world.run(&["remove", "mailgun@acme", "--forget"]).exits(0);
    assert!(ran.stderr.contains("may go on working"), "{}", ran.stderr);
    assert_eq!(scene.sandbox.request_lines(), Vec::<String>::new(), "nobody is asked");
    let _ = scene.world.run(&["get", "mailgun@acme"]).exits(8);
    // The secret is gone from the store: the same id has no item left.
    let _ = scene.add("mailgun@acme", &key.secret, &[], 0);
    assert_eq!(stored(&scene.world, &["mailgun@acme"]), ["mailgun@acme#1"]);
}

#[test]
fn revoke_deletes_by_another_key_and_proves_it() {
    let scene = Scene::new();
    let (admin, old) = (scene.key("admin"), scene.key("developer"));
    let _ = scene.add("mailgun@acme", &old.secret, &["--consumer", "shop"], 0);
    let revoke = |arguments: &[&str], code: i32| {
        scene
            .world
            .run(&[&["-f", "json", "remove", "mailgun@acme", "--revoke"], arguments].concat())
            .exits(code)
    };
    // Nobody may: a developer deletes no keys.
    let error = revoke(&["--yes"], 2).json()["error"].clone();
    assert!(error["hint"].as_str().unwrap().contains("--using"), "{error}");
    let _ = scene.add("mailgun:admin@acme", &admin.secret, &[], 0);
    let before = scene.world.files();
    let error = revoke(&[], 9).json()["error"].clone();
    assert!(error["hint"].as_str().unwrap().contains("--yes"), "{error}");
    let _ = revoke(&["--yes", "--using", "mailgun@acme"], 2);
    scene.world.unchanged_since(&before);
    let data = revoke(&["--yes"], 0).data();
    assert_eq!(
        data,
        json!({"key": "mailgun@acme", "removed": true, "how": "revoked", "consumers": ["shop"]})
    );
    let deletions =
        scene.sandbox.request_lines().into_iter().filter(|line| line.starts_with("DELETE")).count();
    assert_eq!(deletions, 1);
    let _ = scene.world.run(&["show", "mailgun@acme"]).exits(8);
    // The admin key itself, by nobody else: refused.
    let _ = scene.world.run(&["remove", "mailgun:admin@acme", "--revoke", "--yes"]).exits(2);
}

#[test]
fn a_revocation_killed_at_any_moment_is_finished_by_the_next() {
    for point in 0.. {
        let scene = Scene::new();
        let (admin, old) = (scene.key("admin"), scene.key("developer"));
        let _ = scene.add("mailgun:admin@acme", &admin.secret, &[], 0);
        let _ = scene.add("mailgun@acme", &old.secret, &[], 0);
        let arguments = ["remove", "mailgun@acme", "--revoke", "--yes"];
        let mut command = scene.world.command(&arguments);
        command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
        let ran = super::support::world::finish(command, "");
        if ran.code == 0 {
            assert!(point >= 6, "{point}: too few points");
            return;
        }
        assert_eq!(ran.code, -1, "{point}: killed: {ran:?}");
        let again = scene.world.run(&arguments);
        assert!([0, 8].contains(&again.code), "{point}: {again:?}");
        let _ = scene.world.run(&["show", "mailgun@acme"]).exits(8);
        let proof = ["validate", "--provider", "mailgun", "--kind", "account", "--stdin"];
        let _ = scene.run_with(&proof, &old.secret).exits(3);
        assert_eq!(scene.get("mailgun:admin@acme"), admin.secret, "{point}");
    }
}

#[test]
fn without_an_api_a_person_deletes_and_the_key_proves_it() {
    let mut scene = Scene::new();
    let brevo = scene.sandbox.control("POST", "/brevo/accounts", json!({}));
    let keys = format!("/brevo/accounts/{}/keys", brevo["id"].as_str().unwrap());
    let made = scene.sandbox.control("POST", &keys, json!({"kind": "api"}));
    let _ = scene.add("brevo@acme", made["secret"].as_str().unwrap(), &[], 0);
    let before = scene.world.files();
    let ran = scene.world.run(&["remove", "brevo@acme", "--revoke"]).exits(6);
    assert!(ran.stderr.contains("https://app.brevo.com/") && ran.stderr.contains("--done"), "{}", ran.stderr);
    assert!(ran.stderr.contains("German:"), "{}", ran.stderr);
    // Said to be done, but it still works.
    let ran = scene.world.run(&["remove", "brevo@acme", "--revoke", "--done"]).exits(3);
    assert!(ran.stderr.contains("still works"), "{}", ran.stderr);
    scene.world.unset("KEYCTL_NO_INPUT");
    let mut terminal = Terminal::start(scene.world.command(&["remove", "brevo@acme", "--revoke"]));
    terminal.until("Is `brevo@acme` deleted? [y/N] ");
    terminal.line("n");
    assert_eq!(terminal.end().1, 9);
    scene.world.unchanged_since(&before);
    let path = format!("/brevo/keys/{}", made["id"].as_str().unwrap());
    scene.sandbox.control("PUT", &path, json!({"state": "deleted"}));
    let data = scene.world.data(&["remove", "brevo@acme", "--revoke", "--done"], 0);
    assert_eq!(data["how"], "console");
}

#[test]
fn the_keyring_of_the_desktop_holds_the_key_and_lets_it_go() {
    inside("records::the_keyring_of_the_desktop_holds_the_key_and_lets_it_go", Keyring::Unlocked, || {
        let mut world = World::bare().with("KEYCTL_NO_INPUT", "1");
        for name in ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"] {
            world.set(name, &std::env::var(name).unwrap());
        }
        let add = |secret: &str, more: &[&str]| {
            let arguments = ["add", "mailgun@acme", "--stdin", "--no-validate", "--kind", "account"];
            world.run_with(&[&arguments, more].concat(), secret).exits(0)
        };
        let item = || {
            let item = world.data(&["show", "mailgun@acme"], 0)["key"]["item"].clone();
            item.as_str().unwrap().to_owned()
        };
        let ran = add(&made_up(1), &[]);
        assert!(ran.stderr.contains("will be kept in the keyring store"), "{}", ran.stderr);
        let first = item();
        assert_eq!(secret_tool_lookup(&first).as_deref(), Some(made_up(1).as_str()));
        let _ = add(&made_up(2), &["--replace"]);
        assert_ne!(item(), first);
        assert_eq!(secret_tool_lookup(&first), None, "the secret before is gone");
        assert_eq!(world.run(&["get", "mailgun@acme"]).exits(0).stdout.trim_end(), made_up(2));
        // A locked keyring is found before the key is asked for, and changes nothing.
        lock();
        let before = world.files();
        let _ = world.run_with(&["add", "brevo@acme", "--stdin"], "x").exits(7);
        let _ = world.run(&["get", "mailgun@acme"]).exits(7);
        world.unchanged_since(&before);
    });
}
