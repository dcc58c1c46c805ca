//! What the documents say of inventory, exit codes and environment is true.

use std::collections::BTreeSet;
use std::path::PathBuf;

use keyctl::context::env::DOCUMENTED;
use keyctl::inventory::Inventory;
use keyctl::inventory::file::InventoryFile;
use keyctl::key::{ConsumerKind, KeyRef, Scope};
use keyctl::store;

fn read(path: &str) -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

/// Loads a text as the inventory that it is.
fn load(text: &str) -> Inventory {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyctl.toml");
    std::fs::write(&path, text).unwrap();
    InventoryFile::at(path).load().unwrap_or_else(|error| panic!("{}\n{text}", error.message))
}

/// Returns the names that a TOML text gives, in the order of the text.
fn fields(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
    lines.filter_map(|line| line.split_once(" = ").map(|(name, _)| name)).collect()
}

#[test]
fn the_inventory_in_the_readme_loads() {
    let readme = read("README.md");
    let text = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let inventory = load(text);
    assert_eq!(inventory.domain_at(&scope("acme/berlin")).unwrap().0.to_string(), "mg.berlin.example");
    assert_eq!(inventory.only_scope(), Some(scope("acme")));
    let record = inventory.keys.get(&key("mailgun@acme")).unwrap();
    assert_eq!(record.current, Some(3));
    assert_eq!(record.consumers[0].name, "HighLevel agency settings");
    assert!(fields(text).is_subset(&fields(&read("examples/keyctl.toml"))));
}

#[test]
fn the_example_inventory_means_what_its_comments_say() {
    let inventory = load(&read("examples/keyctl.toml"));
    let at = |text: &str| -> Vec<String> {
        inventory.effective(&scope(text)).iter().map(|it| it.key.to_string()).collect()
    };
    assert!(at("acme/berlin").contains(&"mailgun@acme/berlin".to_owned()));
    assert!(at("acme").contains(&"mailgun@acme".to_owned()));
    assert!(inventory.sends_elsewhere(&scope("acme/hamburg")));
    assert!(inventory.us_rule(&scope("acme").agency));
    assert!(!inventory.us_rule(&scope("bakery").agency));
    let kinds: BTreeSet<&str> = inventory
        .keys
        .values()
        .flat_map(|record| record.consumers.iter().map(|consumer| consumer.kind.as_str()))
        .collect();
    assert_eq!(kinds, ConsumerKind::ALL.map(ConsumerKind::as_str).into());
    assert_eq!(inventory.waivers.len(), 1);
}

/// Returns the first cells of the table below a heading of a Markdown text.
fn first_cells(text: &str, heading: &str) -> Vec<String> {
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.skip(2).map(|row| row.split('|').nth(1).unwrap().trim().to_owned()).collect()
}

#[test]
fn the_readme_has_every_exit_code() {
    let source = read("src/exit.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | "));
    let codes: Vec<&str> = rows.filter_map(|row| row.split(" |").next()).skip(1).collect();
    assert!(codes.contains(&"0") && codes.contains(&"130"), "{codes:?}");
    assert_eq!(first_cells(&read("README.md"), "Exit codes"), codes);
}

#[test]
fn the_readme_has_every_variable_that_is_read() {
    let cells = first_cells(&read("README.md"), "Environment").join(" ");
    let told: BTreeSet<&str> = cells.split('`').filter(|it| !it.trim().is_empty()).collect();
    let names = DOCUMENTED.iter().flat_map(|(names, _)| names.split(", "));
    // The vault store's variables are told where there is a vault store.
    let read: BTreeSet<&str> =
        names.filter(|name| store::row("vault").is_some() || !name.starts_with("VAULT_")).collect();
    assert_eq!(told, read);
}
