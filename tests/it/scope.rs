//! `keyctl scope` and `keyctl which`: agencies, locations, and which key is
//! effective where.

use serde_json::{Value, json};

use super::support::World;

fn world() -> World {
    let world = World::bare().with("KEYCTL_STORE", "env");
    world.write_inventory(
        "version = 1 # ours\n\n\
         [key.\"mailgun@acme\"]\nid = \"ka1111\"\nkind = \"account\"\ncurrent = 1\nhighest = 1\n\n\
         [key.\"mailgun@acme/berlin\"]\nid = \"ka2222\"\nkind = \"account\"\ncurrent = 1\nhighest = 1\n\n\
         [key.\"brevo@acme\"]\nid = \"ka3333\"\nkind = \"api\"\nstate = \"disabled\"\ncurrent = 1\nhighest = 1\n",
    );
    world
}

#[test]
fn a_scope_is_added_changed_shown_and_removed() {
    let world = world();
    let data =
        world.data(&["scope", "add", "beta", "--name", "Beta GmbH", "--rotate-every", "90d", "--default"], 0);
    assert_eq!(data["scope"]["name"], "Beta GmbH");
    assert_eq!((&data["scope"]["rotate_every"], &data["scope"]["default"]), (&json!("90d"), &json!(true)));
    let _ = world.run(&["scope", "add", "beta"]).exits(9);
    let _ = world.run(&["scope", "set", "gamma", "--name", "x"]).exits(8);
    let _ = world.run(&["scope", "set", "beta"]).exits(2);
    let data = world
        .data(&["scope", "add", "beta/paris", "--domain", "mg.paris.example", "--highlevel-id", "abc"], 0);
    assert_eq!(data["scope"]["domain"], "mg.paris.example");
    let listed = world.data(&["scope", "list"], 0);
    let names: Vec<&str> =
        listed["scopes"].as_array().unwrap().iter().map(|it| it["scope"].as_str().unwrap()).collect();
    assert_eq!(names, ["acme", "acme/berlin", "beta", "beta/paris"]);
    let _ = world.run(&["scope", "remove", "acme/berlin"]).exits(8);
    let _ = world.run(&["scope", "remove", "beta"]).exits(9);
    let _ = world.run(&["scope", "remove", "beta/paris"]).exits(0);
    let _ = world.run(&["scope", "remove", "beta"]).exits(0);
    assert!(world.inventory().starts_with("version = 1 # ours\n"), "{}", world.inventory());
    assert!(!world.inventory().contains("beta"), "{}", world.inventory());
}

#[test]
fn a_bad_name_says_which_character_and_changes_nothing() {
    let world = world();
    let before = world.files();
    for (name, says) in
        [("Acme", "`A`"), ("a--b", "`--`"), ("mailgun", "provider"), ("a/b/c", "more than one `/`")]
    {
        let ran = world.run(&["scope", "add", name]).exits(2);
        assert!(ran.stderr.contains(says), "{name}: {}", ran.stderr);
    }
    let _ = world.run(&["scope", "add", "x", "--domain", "nodot"]).exits(2);
    let _ = world.run(&["scope", "add", "x", "--rotate-every", "90"]).exits(2);
    assert_eq!(world.files(), before);
}

#[test]
fn which_tells_the_nearest_level_and_what_is_not_in_effect() {
    let world = world();
    let lines = world.data(&["which", "acme/berlin"], 0);
    let lines = lines["effective"].as_array().unwrap();
    let own = &lines[0];
    assert_eq!(
        (&own["key"], &own["origin"], &own["overrides"]),
        (&json!("mailgun@acme/berlin"), &json!("own"), &json!("mailgun@acme"))
    );
    assert_eq!(
        (&lines[1]["provider"], &lines[1]["origin"], &lines[1]["key"]),
        (&json!("brevo"), &json!("none"), &Value::Null)
    );
    let _ = world.run(&["scope", "add", "acme/paris"]).exits(0);
    let lines = world.data(&["which", "acme/paris", "--provider", "mailgun"], 0);
    assert_eq!(lines["effective"][0]["origin"], "inherited");
    let _ = world.run(&["which", "acme/paris", "--provider", "brevo"]).exits(8);
    let _ = world.run(&["which", "nowhere"]).exits(8);
    let _ = world.run(&["scope", "set", "acme/paris", "--email-provider", "other"]).exits(0);
    let ran = world.run(&["which", "acme/paris"]).exits(8);
    assert!(ran.stderr.contains("sends with another e-mail provider"), "{}", ran.stderr);
}

#[test]
fn a_rename_moves_everything_recorded_under_the_name() {
    let world = world();
    let _ = world.run(&["scope", "rename", "acme", "apex"]).exits(0);
    let data = world.data(&["list"], 0);
    let names: Vec<&str> =
        data["keys"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert_eq!(names, ["brevo@apex", "mailgun@apex", "mailgun@apex/berlin"]);
    let _ = world.run(&["scope", "rename", "apex/berlin", "mitte"]).exits(0);
    let _ = world.run(&["show", "mailgun@apex/mitte"]).exits(0);
    let _ = world.run(&["scope", "rename", "apex/mitte", "other/mitte"]).exits(2);
    let _ = world.run(&["scope", "rename", "nowhere", "x"]).exits(8);
}

#[test]
fn locations_come_from_a_csv_file_and_keep_their_names() {
    let world = World::bare();
    std::fs::write(world.path("a.csv"), "Location Id,Name,Other\nL1,\"Zürich, Süd\",x\nL2,Berlin,y\n")
        .unwrap();
    let import = |path: &str, more: &[&str], code| {
        let arguments = [
            "scope",
            "import",
            "acme",
            "--from-csv",
            path,
            "--id-column",
            "Location Id",
            "--name-column",
            "Name",
        ];
        world.data(&[&arguments[..], more].concat(), code)
    };
    let data = import("a.csv", &["--dry-run"], 0);
    assert_eq!(data["dry_run"], true);
    assert!(world.inventory().is_empty());
    let data = import("a.csv", &[], 0);
    assert_eq!(
        data["locations"],
        json!([
            {"scope": "acme/berlin", "highlevel_id": "L2", "name": "Berlin", "change": "new"},
            {"scope": "acme/zurich-sud", "highlevel_id": "L1", "name": "Zürich, Süd", "change": "new"},
        ])
    );
    std::fs::write(world.path("b.csv"), "Location Id,Name\nL1,Zürich Nord\n").unwrap();
    let data = import("b.csv", &[], 0);
    assert_eq!(data["locations"][0]["change"], "missing");
    assert_eq!(
        (&data["locations"][1]["scope"], &data["locations"][1]["change"]),
        (&json!("acme/zurich-sud"), &json!("changed"))
    );
    let ran = world
        .run(&[
            "scope",
            "import",
            "acme",
            "--from-csv",
            "a.csv",
            "--id-column",
            "Nope",
            "--name-column",
            "Name",
        ])
        .exits(2);
    assert!(ran.stderr.contains("`Location Id`, `Name`, `Other`"), "{}", ran.stderr);
    let _ = world.run(&["scope", "import", "acme"]).exits(2);
    let _ = world.run(&["scope", "import", "acme", "--from", "highlevel"]).exits(8);
}

#[test]
fn help_completions_and_manual_pages_come_from_one_table() {
    let world = world();
    for topic in
        ["key-refs", "verdicts", "exit-codes", "environment", "stores", "rotation", "formats", "rotate"]
    {
        assert!(!world.run(&["help", topic]).exits(0).stdout.is_empty(), "{topic}");
    }
    let _ = world.run(&["help", "nonsense"]).exits(2);
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.run(&["completions", shell]).exits(0).stdout.contains("keyctl"), "{shell}");
    }
    let ran = world.run(&["-f", "json", "completions", "tcsh"]).exits(2);
    assert_eq!(ran.stdout, "");
    let _ = world.run(&["man", "--output-dir", "pages"]).exits(0);
    assert!(world.path("pages/keyctl-scope-import.1").exists());
    // A shell's question is answered from the inventory alone.
    let mut asked = world.command(&["--", "keyctl", "show", "mailgun@acme/"]);
    asked.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "2").env("_CLAP_IFS", "\n");
    let ran = super::support::world::finish(asked, "").exits(0);
    assert_eq!(ran.stdout.trim(), "mailgun@acme/berlin", "{}", ran.stderr);
}

#[test]
fn a_cell_that_looks_like_a_key_is_refused_with_its_line() {
    let world = World::new();
    let key = [&"0".repeat(32), "-", &"1".repeat(8), "-", &"2".repeat(8)].concat();
    for row in [format!("{key},Berlin"), format!("ABCDEFGHIJKLMNOPQRST,{key}")] {
        std::fs::write(world.path("l.csv"), format!("id,name\n{row}\n")).unwrap();
        let ran = world
            .run(&[
                "scope",
                "import",
                "acme",
                "--from-csv",
                "l.csv",
                "--id-column",
                "id",
                "--name-column",
                "name",
            ])
            .exits(2);
        assert!(ran.stderr.contains("line 2") && !ran.stderr.contains(&key), "{}", ran.stderr);
        assert!(!world.inventory().contains(&key));
    }
}
