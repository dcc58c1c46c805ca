//! What is said of a bad file: each message whole.

use std::fs;

use keyctl::inventory::InventoryFile;

use super::{Desk, SAMPLE};

/// Returns message and hint with the folder left out.
fn said(desk: &Desk) -> String {
    let situation = desk.file.load().unwrap_err();
    let folder = desk.path().parent().unwrap().display().to_string();
    let text = match situation.hint {
        Some(hint) => format!("{}\n  hint: {hint}", situation.message),
        None => situation.message,
    };
    text.replace(&format!("{folder}/"), "")
        .replace(&folder, "FOLDER")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

fn said_of(text: &str) -> String {
    said(&Desk::with(text))
}

#[test]
fn each_bad_text_has_its_message() {
    let key = |fields: &str| format!("[key.\"mailgun@acme\"]\nid = \"kaaa\"\nkind = \"account\"\n{fields}\n");
    let rotation = |fields: &str| format!("[rotation.raaa]\n{fields}\n");
    let bad = [
        "store = ",
        "a = 1\na = 2",
        "store = \"x",
        "version = 2",
        "version = 0",
        "version = \"1\"",
        "store = 3",
        "default_scope = \"acme/a/b\"",
        "[agency.Acme]",
        "[agency.mailgun]",
        "agency = 3",
        "[agency.acme]\nplatform = \"wordpress\"",
        "[agency.acme]\ndomain = \"localhost\"",
        "[agency.acme]\nrotate_every = \"90\"",
        "[agency.acme]\ngone = \"yes\"",
        "[agency.acme.location.\"b--c\"]",
        "[key.\"mailgun\"]",
        "[key.\"sendgrid@acme\"]",
        "[key.\"mailgun@acme\"]",
        "[key.\"mailgun@acme\"]\nid = \"K-1\"",
        "[key.\"klaviyo@acme\"]\nid = \"kaaa\"\nkind = \"account\"",
        "[key.\"klaviyo@acme\"]\nid = \"kaaa\"\nkind = \"acount\"",
        "[key]\n\"brevo@a\" = { id = \"kaaa\", kind = \"api\" }\n\"brevo@b\" = { id = \"kaaa\", kind = \"api\" }",
        &key("state = \"off\""),
        &key("region = \"de\""),
        &key("current = -1"),
        &key("current = 0"),
        &key("current = 99999999999"),
        &key("current = 4\nhighest = 3"),
        &key("fingerprint = \"xyz\""),
        &key("last2 = \"abc\""),
        &key("created = \"22.11.2026\""),
        &key("expires = \"soon\""),
        &key("permissions = \"all\""),
        &key("permissions = [1]"),
        &key("note = [\"a\"]"),
        &key("login = \"a\\nb\""),
        &key("consumer = \"shop\""),
        &key("[[key.\"mailgun@acme\".consumer]]\nkind = \"manual\""),
        &key("consumer = [{ name = \"shop\" }, { name = \"shop\" }]"),
        &key("consumer = [{ name = \"shop\", kind = \"webhook\" }]"),
        "[rotation.R1]",
        &rotation("keys = []"),
        &rotation("keys = [\"mailgun\"]"),
        &rotation("keys = [\"mailgun@acme\"]"),
        &rotation("keys = [\"mailgun@acme\"]\nstage = \"almost\""),
        &rotation("keys = [\"mailgun@acme\"]\nstage = \"grace\"\nstarted = \"2026-11-22\"\ngrace = -5"),
        "[[waiver]]\nfinding = \"x\"",
    ];
    let said: Vec<String> = bad.iter().map(|text| said_of(text)).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_is_no_readable_file_has_its_message() {
    let desk = Desk::empty();
    fs::create_dir(desk.path()).unwrap();
    let folder = said(&desk);
    let desk = Desk::empty();
    fs::write(desk.path(), b"a = 1\nb = \"\xff\"\n").unwrap();
    let latin = said(&desk);
    let below = Desk { file: InventoryFile::at(desk.path().join("deeper.toml")), ..desk };
    insta::assert_snapshot!([folder, latin, said(&below)].join("\n"));
}

#[test]
fn a_secret_in_the_wrong_place_is_never_repeated() {
    let secret = ["pk_", &"0f".repeat(17)].concat();
    let quoted = format!("\"{secret}\"");
    let line = |text: &str| {
        let said = said_of(text);
        assert!(!said.contains("0f0f"), "{said}");
        said.contains("never holds a secret")
    };
    for field in [
        "kind",
        "state",
        "region",
        "domain",
        "fingerprint",
        "last2",
        "created",
        "expires",
        "permissions",
        "current",
        "consumer",
        "id",
    ] {
        let mut text = format!("[key.\"mailgun@acme\"]\n{field} = {quoted}\n");
        for (name, value) in [("id", "kaaa"), ("kind", "account")] {
            if field != name {
                text.push_str(&format!("{name} = \"{value}\"\n"));
            }
        }
        assert!(line(&text), "{field}");
    }
    assert!(line(&format!("[key.{quoted}]")));
    assert!(!line(&format!("[key]\n{quoted} = 3")));
    assert!(line(&format!("[agency.{quoted}]")));
    assert!(line(&format!("[agency.acme.location]\n{quoted} = {{}}")));
    assert!(line(&format!("[rotation.{quoted}]")));
    assert!(line(&format!("default_scope = {quoted}")));
    assert!(line(&format!("version = {quoted}")));
    assert!(line(&format!("waiver = {quoted}")));
    assert!(line(&format!("[[waiver]]\nkey = {quoted}\nfinding = \"a\"\nreason = \"b\"")));
    // Not even by a text that is no TOML at all, which has no field to name.
    assert!(!line(&format!("{secret}\n")));
    assert!(!line(&format!("x = \"{secret}\n")));
    assert!(!line(&format!("x = {secret}\n")));
    assert!(!line(&format!("\"{secret}\" = 1\n\"{secret}\" = 2\n")));
    // A key ref with a slip is not taken for one.
    let said = said_of("[rotation.raaa]\nkeys = [\"mailgun:long-label@acme/berlin/mitte\"]");
    assert!(said.contains("`mailgun:long-label@acme/berlin/mitte`"), "{said}");
}

#[test]
fn the_position_counts_lines_and_characters() {
    let broken = SAMPLE.replace("store = \"file\"", "store = \"file\"\nregion = \"äö\"");
    let line = broken.lines().position(|line| line.contains("äö")).unwrap() + 1;
    assert!(said_of(&broken).starts_with(&format!("keyctl.toml:{line}:10: ")), "{}", said_of(&broken));
    let said = said_of("store = \"ä\"; x");
    assert!(said.starts_with("keyctl.toml:1:12: "), "{said}");
    let said = said_of("\u{feff}store = 3");
    assert!(said.starts_with("keyctl.toml:1:9: "), "{said}");
}
