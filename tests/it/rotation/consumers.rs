//! The places where a key is used: recorded, approved, served, walked through.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::rig::{Rig, manual};
use crate::support::terminal::Terminal;

#[test]
fn places_are_recorded_listed_and_forgotten() {
    let rig = Rig::new();
    let added = rig
        .world
        .data(&["consumer", "add", "mailgun@acme", "Web shop, Köln", "--url", "https://shop.example"], 0);
    assert_eq!(
        added,
        json!({"consumers": [{"key": "mailgun@acme", "name": "Web shop, Köln", "kind": "manual", "location": null,
            "url": "https://shop.example", "command": [], "approved": null}]})
    );
    let ran = rig.run(&["consumer", "add", "mailgun@acme", "CI", "--command", "deploy", "key", "-"]).exits(0);
    assert!(ran.stderr.contains("approved on this machine: deploy key -"), "{}", ran.stderr);
    let listed = rig.world.data(&["consumer", "list"], 0);
    assert_eq!(listed["consumers"][1]["command"], json!(["deploy", "key", "-"]));
    assert_eq!(listed["consumers"][1]["approved"], true);
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "CI"]).exits(9);
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "a\u{1b}b"]).exits(2);
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "x", "--kind", "command"]).exits(2);
    let _ = rig.run(&["consumer", "add", "mailgun@nobody", "x"]).exits(8);
    let _ = rig.run(&["consumer", "remove", "mailgun@acme", "nobody"]).exits(8);
    let _ = rig.run(&["consumer", "remove", "mailgun@acme", "CI"]).exits(0);
    assert_eq!(
        rig.world.data(&["consumer", "list", "mailgun@acme"], 0)["consumers"].as_array().unwrap().len(),
        1
    );
    assert!(rig.world.inventory().contains("# kept: who may order keys is Jo"));
}

#[test]
fn each_location_where_the_key_is_effective_gets_a_place() {
    let rig = Rig::new();
    rig.append(
        "\n[agency.acme.location.berlin]\nname = \"Berlin\"\n\n[agency.acme.location.paris]\nemail_provider = \"other\"\n\n[agency.acme.location.rome]\n",
    );
    let added = rig.world.data(&["consumer", "add", "mailgun@acme", "HighLevel", "--each-location"], 0);
    let names: Vec<&str> =
        added["consumers"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["HighLevel berlin", "HighLevel rome"]);
    assert_eq!(added["consumers"][0]["location"], "acme/berlin");
}

#[test]
fn a_program_gets_the_secret_on_stdin_and_no_secret_in_its_environment() {
    let mut rig = Rig::new();
    rig.world.set("KEYCTL_SECRET_OTHER", "of somebody else");
    let script = rig.world.path("take");
    std::fs::write(&script, "#!/bin/sh\ncat > taken\nenv > environment\necho \"$*\" > arguments\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = format!("{} 'two words'", script.display());
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "shop", "--command", &command]).exits(0);
    let ran = rig.run(&["-f", "json", "consumer", "push", "mailgun@acme", "--all"]).exits(0);
    rig.keeps_secrets(&ran);
    assert_eq!(ran.data()["consumers"][0]["state"], "pushed");
    let read = |name: &str| std::fs::read_to_string(rig.world.path(name)).unwrap();
    let secret = &rig.started_with["mailgun@acme"].secret;
    assert_eq!(&read("taken"), secret, "the secret, and nothing after it");
    assert_eq!(read("arguments"), "two words\n");
    let environment = read("environment");
    assert!(
        environment.contains("KEYCTL_KEY=mailgun@acme\n") && environment.contains("KEYCTL_CONSUMER=shop\n")
    );
    assert!(!environment.contains(secret) && !environment.contains("KEYCTL_SECRET_"), "{environment}");
}

#[test]
fn a_program_that_fails_is_shown_without_the_secret() {
    let rig = Rig::new();
    let command = "sh -c 'read -r key; echo \"no such place: $key\" >&2; exit 7'";
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "shop", "--command", command]).exits(0);
    let ran = rig.run(&["consumer", "push", "mailgun@acme", "shop"]).exits(1);
    rig.keeps_secrets(&ran);
    assert!(ran.stderr.contains("ended with code 7: no such place: ***"), "{}", ran.stderr);
    let slow = "sh -c 'exec sleep 60'";
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "slow", "--command", slow]).exits(0);
    let ran = rig.run(&["consumer", "push", "mailgun@acme", "slow", "--timeout", "1s"]).exits(1);
    assert!(ran.stderr.contains("did not end within 1 s"), "{}", ran.stderr);
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "gone", "--command", "/no/such/program"]).exits(0);
    assert!(rig.run(&["consumer", "push", "mailgun@acme", "gone"]).exits(1).stderr.contains("cannot start"));
    rig.append(&manual("mailgun@acme", "desk"));
    let _ = rig.run(&["consumer", "push", "mailgun@acme", "desk"]).exits(2);
}

#[test]
fn an_approval_is_of_this_machine_and_of_exactly_this_command() {
    let rig = Rig::new();
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "shop", "--command", "true", "a"]).exits(0);
    assert_eq!(rig.run(&["consumer", "push", "mailgun@acme", "shop"]).code, 0);
    // Somebody edits the shared inventory.
    rig.world.write_inventory(&rig.world.inventory().replace("[\"true\", \"a\"]", "[\"true\", \"b\"]"));
    let ran = rig.run(&["-f", "json", "consumer", "push", "mailgun@acme", "shop", "--yes"]).exits(9);
    assert_eq!(ran.json()["error"]["code"], "command-not-approved");
    // At a prompt it can be approved.
    let mut terminal = Terminal::start(rig.world.command(&["consumer", "push", "mailgun@acme", "shop"]));
    terminal.until("Allow it on this machine?");
    terminal.line("y");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(rig.run(&["consumer", "push", "mailgun@acme", "shop"]).code, 0);
}

#[test]
fn a_place_added_during_a_rotation_has_to_get_the_key_too() {
    let rig = Rig::new();
    assert_eq!(rig.rotate(&["mailgun@acme", "--yes"], 0)["stage"], "grace");
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "late"]).exits(0);
    let status = rig.status();
    assert_eq!(status[0]["consumers"][0]["state"], "todo");
    assert_eq!(rig.rotate(&["--resume"], 6)["next"]["action"], "acknowledge");
    let _ = rig.run(&["consumer", "remove", "mailgun@acme", "late"]).exits(0);
    assert_eq!(rig.rotate(&["--resume"], 0)["stage"], "grace");
}

#[test]
fn acknowledgements_are_said_and_taken_back() {
    let rig = Rig::new();
    rig.append(&manual("mailgun@acme", "desk"));
    rig.append(&manual("mailgun@acme", "shop"));
    let rotation = rig.rotate(&["mailgun@acme", "--yes"], 6);
    assert_eq!(rotation["next"]["url"], "https://desk.example/keys");
    let _ = rig.run(&["rotate", "mailgun@acme", "--ack", "nobody"]).exits(8);
    let acked = rig.rotate(&["--ack", "desk"], 0);
    assert_eq!(acked["stage"], "deploying");
    assert_eq!(acked["consumers"][0]["by"], "ana");
    assert_eq!(rig.rotate(&["mailgun@acme", "--unack", "desk"], 0)["consumers"][0]["state"], "todo");
    let _ = rig.rotate(&["--resume"], 6);
    let all = rig.rotate(&["mailgun@acme", "--ack-all"], 0);
    assert_eq!(all["stage"], "grace");
    let until: jiff::Timestamp = all["grace_until"].as_str().unwrap().parse().unwrap();
    let done: jiff::Timestamp = all["consumers"][1]["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(until.as_second() - done.as_second(), 86_400, "grace counts from the last acknowledgement");
    let back = rig.rotate(&["mailgun@acme", "--unack", "shop"], 0);
    assert_eq!((&back["stage"], &back["grace_until"]), (&json!("deploying"), &Value::Null));
}

#[test]
fn the_acknowledgements_of_two_people_merge() {
    let rig = Rig::new();
    for name in ["desk", "shop", "till"] {
        rig.append(&manual("mailgun@acme", name));
    }
    let _ = rig.rotate(&["mailgun@acme", "--yes"], 6);
    let base = rig.world.inventory();
    let of = |name: &str| {
        rig.world.write_inventory(&base);
        let _ = rig.rotate(&["mailgun@acme", "--ack", name], 0);
        let path = rig.world.path(name);
        std::fs::write(&path, rig.world.inventory()).unwrap();
        path
    };
    let (one, two) = (of("desk"), of("shop"));
    let original = rig.world.path("base");
    std::fs::write(&original, &base).unwrap();
    let merged = std::process::Command::new("git")
        .args(["merge-file", "-p"])
        .args([&one, &original, &two])
        .output()
        .unwrap();
    assert!(merged.status.success(), "a conflict:\n{}", String::from_utf8_lossy(&merged.stdout));
    rig.world.write_inventory(&String::from_utf8(merged.stdout).unwrap());
    let states: Vec<Value> =
        rig.status()[0]["consumers"].as_array().unwrap().iter().map(|it| it["state"].clone()).collect();
    assert_eq!(states, ["acked", "acked", "todo"]);
    assert_eq!(rig.rotate(&["--ack", "till"], 0)["stage"], "grace");
}

#[test]
fn the_places_are_walked_through_one_by_one() {
    let rig = Rig::new();
    rig.append(&manual("mailgun@acme", "desk"));
    rig.append(&manual("mailgun@acme", "shop"));
    let mut terminal = Terminal::start(rig.world.command(&["rotate", "mailgun@acme", "--walk"]));
    terminal.until("Rotate `mailgun@acme`?");
    terminal.line("y");
    terminal.until("https://desk.example/keys");
    terminal.until("stop`: ");
    terminal.line("show");
    terminal.until("Show it?");
    terminal.line("y");
    let current = loop {
        match rig.get("mailgun@acme", "current") {
            Some(current) if current != rig.started_with["mailgun@acme"].secret => break current,
            _ => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    };
    terminal.until(&current);
    terminal.until("stop`: ");
    terminal.line("");
    terminal.until("2 of 2: shop");
    terminal.until("stop`: ");
    terminal.line("");
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("grace"), "{shown}");
}

#[test]
fn a_leaked_key_gets_no_grace() {
    let rig = Rig::new();
    rig.append(&manual("mailgun@acme", "shop"));
    let _ = rig.run(&["consumer", "add", "mailgun@acme", "ci", "--command", "sh -c 'cat > ci'"]).exits(0);
    let plan = rig.rotate(&["mailgun@acme", "--compromised", "--plan"], 0);
    let warnings = plan["warnings"].to_string();
    assert!(warnings.contains("stops working when it dies: `shop`"), "{warnings}");
    let rotation = rig.rotate(&["mailgun@acme", "--compromised", "--yes"], 6);
    assert_eq!(rotation["stage"], "deploying");
    assert_eq!(
        std::fs::read_to_string(rig.world.path("ci")).unwrap(),
        rig.get("mailgun@acme", "current").unwrap()
    );
    assert_eq!(rig.working().len(), 2, "not before the acknowledgements");
    assert_eq!(rig.rotate(&["mailgun@acme", "--ack", "shop"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "after a leak");
}

#[test]
fn a_leaked_key_can_die_at_once() {
    let rig = Rig::new();
    rig.append(&manual("mailgun@acme", "shop"));
    let _ = rig.run(&["rotate", "mailgun@acme", "--kill-now", "--yes"]).exits(2);
    let rotation = rig.rotate(&["mailgun@acme", "--compromised", "--kill-now", "--yes"], 6);
    assert_eq!((&rotation["stage"], &rotation["old"]["state"]), (&json!("deploying"), &json!("dead")));
    assert_eq!(rig.working().len(), 1);
    rig.invariants("mailgun@acme", "killed at once");
    assert_eq!(rig.rotate(&["mailgun@acme", "--ack", "shop"], 0)["stage"], "done");
    rig.is_done("mailgun@acme", "killed at once");
}

/// A HighLevel company with locations, recorded, and its token.
pub fn company(rig: &mut Rig, names: &[&str]) -> String {
    let post = |path: &str, body: Value| rig.sandbox.control("POST", path, body);
    let company = post("/highlevel/companies", json!({}))["id"].as_str().unwrap().to_owned();
    let mut text = format!("\n[agency.acme]\nhighlevel_id = \"{company}\"\ndomain = \"mg.acme.example\"\n");
    for name in names {
        let made = post(&format!("/highlevel/companies/{company}/locations"), json!({"name": name}));
        text.push_str(&format!(
            "\n[agency.acme.location.{name}]\nhighlevel_id = \"{}\"\n",
            made["id"].as_str().unwrap()
        ));
    }
    let token = post(&format!("/highlevel/companies/{company}/tokens"), json!({"level": "agency"}));
    let secret = keyctl::key::Secret::new(token["secret"].as_str().unwrap().to_owned());
    rig.append(&text);
    rig.record_secret(
        "highlevel@acme",
        &secret,
        &format!("kind = \"agency\"\nfingerprint = \"{}\"", secret.fingerprint()),
    );
    company
}

#[test]
fn locations_are_written_one_first_and_the_rest_after_a_word() {
    let mut rig = Rig::new();
    let company = company(&mut rig, &["berlin", "rome"]);
    let add = ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--each-location"];
    let _ = rig.run(&add).exits(0);
    let rotation = {
        // A word of consent to the plan, none after the first location.
        let mut terminal = Terminal::start(rig.world.command(&["rotate", "mailgun@acme"]));
        terminal.until("Rotate `mailgun@acme`?");
        terminal.line("y");
        terminal.until("Address for a test mail");
        terminal.line("");
        terminal.until("The first location is written. Go on with 1 more?");
        terminal.line("n");
        assert_eq!(terminal.end().1, 6);
        rig.status()[0].clone()
    };
    assert_eq!((&rotation["next"]["action"], &rotation["next"]["by"]), (&json!("canary"), &json!("human")));
    // Neither a job nor its `--yes` has looked at the location.
    for job in [&["--resume", "--all"][..], &["--resume", "--all", "--yes"], &["--resume", "--yes"]] {
        assert_eq!(rig.rotate(job, 6)["consumers"][1]["state"], "todo", "{job:?}");
    }
    let states: Vec<&str> =
        rotation["consumers"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["pushed", "todo"]);
    assert!(rig.sandbox.messages().is_empty(), "no address, no mail");
    let resume =
        ["-f", "json", "rotate", "mailgun@acme", "--resume", "--yes", "--test-to", "ops@acme.example"];
    let ran = rig.run(&resume).exits(0);
    assert_eq!(ran.data()["rotations"][0]["stage"], "grace");
    let current = rig.get("mailgun@acme", "current").unwrap();
    // The rest is proven with the new key: by the reply route, which is not there, and a mail.
    assert!(ran.stderr.contains("inbound-route failed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("on its way from keyctl-test@mg.acme.example"), "{}", ran.stderr);
    assert_eq!(rig.sandbox.messages().len(), 1);
    let state = rig.sandbox.control("GET", "/state", Value::Null)["highlevel"].to_string();
    assert_eq!(state.matches(&current).count(), 2, "both locations have it: {company}");
}

#[test]
fn a_canary_that_meets_nobody_is_asked_again_only_of_who_names_the_key() {
    let mut rig = Rig::new();
    let _ = company(&mut rig, &["berlin", "paris", "rome"]);
    let add = ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--each-location"];
    let _ = rig.run(&add).exits(0);
    // Killed between the first write and the question: nobody has agreed yet.
    let states = |rotation: &Value| -> Vec<String> {
        let places = rotation["consumers"].as_array().unwrap().iter();
        places.map(|it| it["state"].as_str().unwrap().to_owned()).collect()
    };
    for crash in 1.. {
        let mut command = rig.world.command(&["rotate", "mailgun@acme", "--yes"]);
        command.env("KEYCTL_DEBUG_CRASH_AT", crash.to_string());
        let _ = crate::support::world::finish(command, "");
        let status = rig.status();
        let written = status.first().map(states).unwrap_or_default();
        if written.iter().any(|it| it == "pushed") {
            assert_eq!(written, ["pushed", "todo", "todo"], "crash {crash}");
            break;
        }
        if status.is_empty() {
            continue;
        }
        // Begun, not written yet: go on up to the next moment.
        assert!(crash < 200, "{status:?}");
    }
    for _ in 0..2 {
        assert_eq!(states(&rig.rotate(&["--resume", "--all", "--yes"], 6)), ["pushed", "todo", "todo"]);
    }
    let done = rig.rotate(&["mailgun@acme", "--resume", "--yes"], 0);
    assert_eq!((states(&done), &done["stage"]), (vec!["pushed".to_owned(); 3], &json!("grace")));
}

#[test]
fn a_location_that_lost_a_setting_stops_the_rest() {
    let mut rig = Rig::new();
    let company = company(&mut rig, &["berlin", "rome"]);
    let path = format!("/highlevel/companies/{company}/settings");
    rig.sandbox.control("PUT", &path, json!({"put_loses": ["name"]}));
    let add = ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--each-location"];
    let _ = rig.run(&add).exits(0);
    let ran = rig.run(&["-f", "json", "rotate", "mailgun@acme", "--yes", "--grace", "0s"]).exits(1);
    rig.keeps_secrets(&ran);
    let rotation = ran.data()["rotations"][0].clone();
    let states = |rotation: &Value| {
        format!("{} {}", rotation["consumers"][0]["state"], rotation["consumers"][1]["state"])
    };
    assert_eq!(
        (&rotation["stage"], states(&rotation)),
        (&json!("deploying"), r#""damaged" "todo""#.to_owned())
    );
    assert!(
        rotation["trouble"].as_str().unwrap().contains("other settings of the location changed, too: /"),
        "{rotation}"
    );
    assert_eq!(rotation["next"]["by"], "human", "{rotation}");
    assert_eq!(rig.working().len(), 2);
    // The settings as they were are kept, for this user only.
    let kept = rig.world.path("home/.local/state/keyctl/locations");
    let files: Vec<_> = std::fs::read_dir(&kept).unwrap().map(|it| it.unwrap().path()).collect();
    let damaged: Vec<_> = files
        .iter()
        .filter(|it| it.file_name().unwrap().to_string_lossy().starts_with("damaged-"))
        .filter(|it| it.extension().is_some_and(|it| it == "json"))
        .collect();
    assert_eq!(damaged.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(damaged[0]).unwrap();
    assert!(text.contains("/name") && text.contains("berlin"), "{text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(damaged[0]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // No later run writes another location, whoever it rotates for …
    let writes = || rig.sandbox.request_lines().iter().filter(|it| it.starts_with("PUT highlevel")).count();
    let before = writes();
    for job in [&["--resume", "--all"][..], &["--resume", "--all", "--yes"], &["--resume", "--yes"]] {
        assert_eq!(states(&rig.rotate(job, 6)), r#""damaged" "todo""#, "{job:?}");
    }
    assert_eq!(writes(), before);
    // … until a person names the key; each location is looked at anew.
    let rotation = rig.rotate(&["mailgun@acme", "--resume", "--yes"], 1);
    assert_eq!(states(&rotation), r#""pushed" "damaged""#);
    assert_eq!(states(&rig.rotate(&["--resume", "--all"], 6)), r#""pushed" "damaged""#);
    assert_eq!(rig.rotate(&["mailgun@acme", "--resume", "--yes"], 0)["stage"], "done");
}

#[test]
fn a_damage_is_seen_although_the_look_after_the_write_failed() {
    let mut rig = Rig::new();
    let company = company(&mut rig, &["berlin"]);
    let path = format!("/highlevel/companies/{company}/settings");
    rig.sandbox.control("PUT", &path, json!({"put_loses": ["name"]}));
    let add =
        ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--location", "acme/berlin"];
    let _ = rig.run(&add).exits(0);
    // The look before passes, the one after does not.
    rig.sandbox.fault(json!({"host": "highlevel", "path_prefix": "/locations/", "method": "GET", "after": 1, "action": {"status": 500}}));
    let rotation = rig.rotate(&["mailgun@acme", "--yes"], 1);
    assert_eq!(rotation["consumers"][0]["state"], "failed", "{rotation}");
    rig.sandbox.clear_faults();
    // The next try measures by what was there before the first one.
    assert_eq!(rig.rotate(&["--resume", "--all"], 1)["consumers"][0]["state"], "damaged");
}

#[test]
fn a_damage_outside_of_a_rotation_stops_those_of_other_keys() {
    let mut rig = Rig::new();
    let company = company(&mut rig, &["berlin", "rome"]);
    let path = format!("/highlevel/companies/{company}/settings");
    let add = ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--each-location"];
    let _ = rig.run(&add).exits(0);
    rig.sandbox.control("PUT", &path, json!({"put_loses": ["name"]}));
    let _ = rig.run(&["consumer", "push", "mailgun@acme", "HighLevel berlin", "--yes"]).exits(1);
    rig.sandbox.control("PUT", &path, json!({"put_loses": []}));
    let other = rig.sandbox.mailgun_key(&rig.account, "admin");
    rig.record("mailgun:b@acme", &other, "kind = \"account\"");
    let ran = rig.run(&[
        "consumer",
        "add",
        "mailgun:b@acme",
        "HL",
        "--kind",
        "highlevel",
        "--location",
        "acme/rome",
    ]);
    let _ = ran.exits(0);
    let ran = rig.run(&["consumer", "push", "mailgun:b@acme", "--yes"]).exits(6);
    assert!(ran.stderr.contains("writing `mailgun@acme` changed other settings"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`keyctl consumer push mailgun@acme`"), "{}", ran.stderr);
    let _ = rig.run(&["consumer", "push", "mailgun@acme", "--yes"]).exits(0);
    let _ = rig.run(&["consumer", "push", "mailgun:b@acme", "--yes"]).exits(0);
}

/// Returns the places' states, joined.
fn states(rotation: &Value) -> String {
    let places = rotation["consumers"].as_array().unwrap().iter();
    places.map(|it| it["state"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_look_outlives_refused_writes_and_other_secrets() {
    let mut rig = Rig::new();
    let company = company(&mut rig, &["berlin"]);
    let path = format!("/highlevel/companies/{company}/settings");
    rig.sandbox.control("PUT", &path, json!({"put_loses": ["name"]}));
    let add =
        ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--location", "acme/berlin"];
    let _ = rig.run(&add).exits(0);
    // The write was made, the answer says that it failed.
    let put = |action: Value| json!({"host": "highlevel", "path_prefix": "/locations/", "method": "PUT", "times": 1, "action": action});
    rig.sandbox.fault(put(json!({"process_then": {"status": 500}})));
    assert_eq!(states(&rig.rotate(&["mailgun@acme", "--yes"], 1)), "failed");
    rig.sandbox.clear_faults();
    rig.sandbox.fault(put(json!({"status": 422})));
    assert_eq!(states(&rig.rotate(&["mailgun@acme", "--resume", "--yes"], 1)), "failed");
    rig.sandbox.clear_faults();
    // Another secret is written now: the old key goes back.
    let back = rig.rotate(&["mailgun@acme", "--rollback", "--yes"], 1);
    assert_eq!(states(&back), "damaged", "{back}");
    let kept = rig.world.path("home/.local/state/keyctl/locations");
    let damaged = std::fs::read_dir(&kept).unwrap().map(|it| it.unwrap().path());
    let text: String = damaged.map(|it| std::fs::read_to_string(it).unwrap()).collect();
    assert!(text.contains("berlin"), "{text}");
}

#[test]
fn a_rollback_writes_only_places_that_may_have_the_new_key() {
    let mut rig = Rig::new();
    let _ = company(&mut rig, &["berlin", "paris", "rome"]);
    let add = ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--each-location"];
    let _ = rig.run(&add).exits(0);
    // The canary question meets nobody: no `--yes` after the start.
    let mut terminal = Terminal::start(rig.world.command(&["rotate", "mailgun@acme"]));
    terminal.until("Rotate `mailgun@acme`?");
    terminal.line("y");
    terminal.until("Address for a test mail");
    terminal.line("");
    terminal.until("Go on with 2 more?");
    terminal.line("n");
    assert_eq!(terminal.end().1, 6);
    let writes = || rig.sandbox.request_lines().iter().filter(|it| it.starts_with("PUT highlevel")).count();
    let before = writes();
    let back = rig.rotate(&["mailgun@acme", "--rollback", "--yes"], 0);
    assert_eq!(states(&back), "pushed skipped skipped", "{back}");
    assert_eq!(writes(), before + 1, "{:?}", rig.sandbox.request_lines());
}

#[test]
fn a_location_that_is_gone_is_no_place() {
    let mut rig = Rig::new();
    let _ = company(&mut rig, &["berlin", "rome"]);
    let add = ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--each-location"];
    let _ = rig.run(&add).exits(0);
    let text = rig.world.inventory().replace(
        "[agency.acme.location.rome]\n",
        "[agency.acme.location.rome]\nmissing = \"2026-11-20T00:00:00Z\"\ngone = true\n",
    );
    rig.world.write_inventory(&text);
    let rotation = rig.rotate(&["mailgun@acme", "--yes"], 0);
    assert_eq!((states(&rotation), &rotation["stage"]), ("pushed".to_owned(), &json!("grace")));
}

#[test]
fn who_looked_at_one_damaged_place_has_not_agreed_to_the_others() {
    let mut rig = Rig::new();
    let company = company(&mut rig, &["berlin", "rome"]);
    let path = format!("/highlevel/companies/{company}/settings");
    rig.sandbox.control("PUT", &path, json!({"put_loses": ["name"]}));
    let add = ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--each-location"];
    let _ = rig.run(&add).exits(0);
    assert_eq!(states(&rig.rotate(&["mailgun@acme", "--yes"], 1)), "damaged todo");
    let _ = rig.run(&["rotate", "mailgun@acme", "--ack", "HighLevel berlin"]);
    // Another machine knows only what the inventory says.
    std::fs::remove_dir_all(rig.world.path("home/.local/state/keyctl")).unwrap();
    for job in [&["--resume", "--all"][..], &["--resume", "--all", "--yes"]] {
        let rotation = rig.rotate(job, 6);
        assert_eq!(states(&rotation), "acked todo", "{job:?}");
        assert_eq!(rotation["next"]["by"], "human", "{rotation}");
    }
}
