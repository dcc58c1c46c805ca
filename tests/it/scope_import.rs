//! `scope import` never takes away: a list that is short, lags behind or is
//! empty leaves every location in use. Only HighLevel's answer about one
//! location ends it.

use serde_json::{Value, json};

use super::highlevel::Agency;
use super::support::World;

/// An agency whose locations and token are recorded; returns their ids.
fn agency(names: &[&str]) -> (Agency, Vec<String>) {
    let agency = Agency::new();
    let ids = names.iter().map(|name| agency.location(json!({"name": name}))).collect();
    agency.add(&["highlevel@acme", "--kind", "agency"], &agency.token(json!({"level": "agency"})).secret, 0);
    agency.import(&[], 0);
    (agency, ids)
}

fn unlist(agency: &Agency, id: &str, listed: bool) {
    agency.sandbox.control("PUT", &format!("/highlevel/locations/{id}/listed"), json!(listed));
}

fn show(world: &World, scope: &str) -> Value {
    world.data(&["scope", "show", scope], 0)["scope"].clone()
}

/// Writes a CSV file and imports it.
fn import_csv(world: &World, text: &str, code: i32) -> Value {
    std::fs::write(world.path("list.csv"), text).unwrap();
    let columns = ["--id-column", "id", "--name-column", "name"];
    let arguments =
        [&["-f", "json", "scope", "import", "acme", "--from-csv", "list.csv"], &columns[..]].concat();
    let json = world.run(&arguments).exits(code).json();
    if json["error"].is_null() { json["data"].clone() } else { json["error"].clone() }
}

fn changes(data: &Value) -> Vec<String> {
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let lines = data["locations"].as_array().unwrap().iter();
    lines.map(|it| [text(it, "scope"), text(it, "change")].join(" ")).collect()
}

#[test]
fn a_location_that_a_lagging_list_lacks_still_gets_the_new_key() {
    let (agency, ids) = agency(&["Berlin", "Rome"]);
    agency.mailgun("mailgun@acme");
    unlist(&agency, &ids[1], false);
    assert_eq!(agency.import(&[], 0), ["acme/berlin unchanged", "acme/rome missing"]);
    let rome = show(&agency.world, "acme/rome");
    assert!(rome["missing"].is_string() && rome["gone"] == false, "{rome}");
    let line = agency.world.run(&["scope", "list"]).exits(0).stdout;
    assert!(line.lines().any(|it| it.contains("acme/rome") && it.contains("missing")), "{line}");

    // It is a place of the key, and the rotation serves it.
    let add = ["consumer", "add", "mailgun@acme", "HL", "--kind", "highlevel", "--each-location"];
    assert_eq!(agency.world.data(&add, 0)["consumers"].as_array().unwrap().len(), 2);
    let which = agency.world.data(&["which", "acme/rome", "--provider", "mailgun"], 0);
    assert_eq!(which["effective"][0]["key"], "mailgun@acme");
    let _ = agency.world.run(&["rotate", "mailgun@acme", "--yes"]).exits(0);
    let current = agency.world.run(&["get", "mailgun@acme"]).exits(0).stdout;
    for id in &ids {
        assert_eq!(agency.mailgun_at(id)["apiKey"], current.trim_end(), "{id}");
    }

    // The day stays until the list has it again.
    assert_eq!(agency.import(&[], 0), ["acme/berlin unchanged", "acme/rome unchanged"]);
    assert_eq!(show(&agency.world, "acme/rome")["missing"], rome["missing"]);
    unlist(&agency, &ids[1], true);
    assert_eq!(agency.import(&[], 0), ["acme/berlin unchanged", "acme/rome changed"]);
    assert_eq!(show(&agency.world, "acme/rome")["missing"], Value::Null);
}

#[test]
fn only_highlevels_answer_makes_a_location_gone() {
    for status in [400, 404, 422] {
        let (agency, ids) = agency(&["Berlin", "Rome", "Wien"]);
        agency.settings(json!({"absent_status": status}));
        unlist(&agency, &ids[1], false);
        agency.sandbox.control("DELETE", &format!("/highlevel/locations/{}", ids[2]), Value::Null);
        let expected = ["acme/berlin unchanged", "acme/rome missing", "acme/wien gone"];
        assert_eq!(agency.import(&["--dry-run"], 0), expected, "{status}");
        assert_eq!(agency.import(&[], 0), expected, "{status}");
        let wien = show(&agency.world, "acme/wien");
        assert!(wien["gone"] == true && wien["missing"].is_string(), "{wien}");
        // What was answered once is not asked again.
        agency.sandbox.clear_requests();
        assert_eq!(agency.import(&[], 0).last().unwrap(), "acme/wien unchanged");
        let asked: Vec<String> = agency.sandbox.request_lines();
        assert!(asked.iter().any(|it| it.contains(&ids[1])), "{asked:?}");
        assert!(!asked.iter().any(|it| it.contains(&ids[2])), "{asked:?}");
    }
}

#[test]
fn a_location_that_cannot_be_asked_about_stays_in_use() {
    let (agency, ids) = agency(&["Berlin", "Rome", "Wien"]);
    for id in &ids[1..] {
        agency.sandbox.control("DELETE", &format!("/highlevel/locations/{id}"), Value::Null);
    }
    let path = format!("/locations/{}", ids[1]);
    for (action, asked) in [
        (
            json!({"status": 403, "body": {"message": "The token does not have access to this location."}}),
            true,
        ),
        (json!({"status": 400, "body": {"message": "bad request"}}), true),
        (json!({"html_proxy": 404}), true),
        (json!({"cut": "before"}), false),
        (json!({"status": 503}), false),
    ] {
        agency.sandbox.fault(json!({"host": "highlevel", "path_prefix": path, "action": action}));
        let ran = agency
            .world
            .run(&[
                "-f",
                "json",
                "scope",
                "import",
                "acme",
                "--from",
                "highlevel",
                "--dry-run",
                "--timeout",
                "5s",
            ])
            .exits(0);
        let told = changes(&ran.data());
        // What is the host's trouble ends the asking.
        let wien = if asked { "acme/wien gone" } else { "acme/wien missing" };
        assert_eq!(told, ["acme/berlin unchanged", "acme/rome missing", wien], "{action}");
        assert!(ran.stderr.contains("`acme/rome` is not in HighLevel's list"), "{}", ran.stderr);
        assert_eq!(ran.stderr.contains("this time: 1 of the locations"), !asked, "{}", ran.stderr);
        agency.sandbox.clear_faults();
    }
}

#[test]
fn an_empty_list_changes_nothing() {
    let (agency, ids) = agency(&["Berlin"]);
    unlist(&agency, &ids[0], false);
    let before = agency.world.files();
    for more in [&[][..], &["--dry-run"]] {
        let import = ["scope", "import", "acme", "--from", "highlevel"];
        let ran = agency.world.run(&[&["-f", "json"], &import[..], more].concat()).exits(4);
        assert_eq!(ran.json()["error"]["code"], "empty-source");
    }
    for text in ["id,name\n", "id,name\n,\n , \n\n", "id,name\n,,,\n"] {
        assert_eq!(import_csv(&agency.world, text, 4)["code"], "empty-source", "{text:?}");
    }
    std::fs::remove_file(agency.world.path("list.csv")).unwrap();
    agency.world.unchanged_since(&before);
}

#[test]
fn a_list_that_repeats_a_page_changes_nothing() {
    let (agency, _) = agency(&["Berlin"]);
    let rows: Vec<Value> =
        (0..100).map(|n| json!({"id": format!("L{n}"), "name": format!("N{n}")})).collect();
    let page = json!({"status": 200, "body": {"locations": rows}});
    agency.sandbox.fault(json!({"host": "highlevel", "path_prefix": "/locations/search", "action": page}));
    let before = agency.world.files();
    let ran = agency.world.run(&["scope", "import", "acme", "--from", "highlevel"]).exits(4);
    assert!(ran.stderr.contains("repeated a page"), "{}", ran.stderr);
    agency.world.unchanged_since(&before);
}

#[test]
fn a_part_of_the_list_in_a_file_takes_nothing_away() {
    let (agency, ids) = agency(&["Berlin", "Rome"]);
    let before = show(&agency.world, "acme/rome");
    let part = format!("id,name\n{},\nTyped,Typed\n,\n", ids[0]);
    let told = changes(&import_csv(&agency.world, &part, 0));
    assert_eq!(told, ["acme/berlin unchanged", "acme/rome missing", "acme/typed new"]);
    assert_eq!(show(&agency.world, "acme/berlin")["name"], "Berlin", "an empty cell takes no name away");
    let rome = show(&agency.world, "acme/rome");
    for field in ["name", "highlevel_id", "gone", "imported"] {
        assert_eq!(rome[field], before[field], "{field}");
    }
    // An id that HighLevel never listed is not taken for a deleted location.
    let told = agency.import(&[], 0);
    assert_eq!(told, ["acme/berlin unchanged", "acme/rome changed", "acme/typed missing"]);
    assert_eq!(show(&agency.world, "acme/typed")["gone"], false);
    let found = agency.world.data(&["audit", "--strict"], 3)["findings"].clone();
    let found = found.as_array().unwrap().iter().find(|it| it["id"] == "location-missing").cloned().unwrap();
    assert_eq!((&found["scope"], &found["severity"]), (&json!("acme/typed"), &json!("note")));
    // Another id is another location: what was known of the one before goes.
    let _ = agency.world.run(&["scope", "set", "acme/typed", "--highlevel-id", &ids[0]]).exits(0);
    assert_eq!(show(&agency.world, "acme/typed")["missing"], Value::Null);
}

#[test]
fn a_location_that_an_old_version_called_gone_comes_back() {
    let (agency, _) = agency(&["Berlin", "Rome"]);
    let inventory = agency.world.inventory();
    let (head, tail) = inventory.split_once("[agency.acme.location.rome]\n").unwrap();
    agency.world.write_inventory(&format!("{head}[agency.acme.location.rome]\ngone = true\n{tail}"));
    assert_eq!(show(&agency.world, "acme/rome")["gone"], true);
    assert_eq!(agency.import(&[], 0), ["acme/berlin unchanged", "acme/rome changed"]);
    assert_eq!(show(&agency.world, "acme/rome")["gone"], false);
    assert!(!agency.world.inventory().contains("gone"), "{}", agency.world.inventory());
}

#[test]
fn a_file_that_would_be_read_short_is_refused_with_its_line() {
    let world = World::bare();
    for (text, part) in [
        ("id,name\nL1,\"Berlin\nL2,Rome\nL3,Wien\n", "the quote that opens in line 2"),
        (
            "id,name\n\n\nL1,Berlin\n1.23E+19,Rome\n",
            "line 5 of `list.csv` has a location id that a spreadsheet",
        ),
        ("id,name\nL1,\"Ber\nlin\"\n\n,Rome\n", "line 5 of `list.csv` has no location id"),
        ("id,name\nL1,Acme, Berlin\n", "line 2 of `list.csv` has 3 cells"),
        ("id,name\nL1,A\nL1,B\n", "line 3 of `list.csv` has a location id that an earlier line has"),
    ] {
        let error = import_csv(&world, text, 2);
        assert!(error["message"].as_str().unwrap().contains(part), "{text:?}: {error}");
        assert!(world.inventory().is_empty());
    }
}
