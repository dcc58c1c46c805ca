//! One suite over every writable store that needs nothing but a folder. Stores
//! that need a service run the same checks against a real one in `tests/it`.

use super::*;

fn item(id: &str, version: u32) -> Item {
    Item { id: RecordId::parse(id).unwrap(), version, key: "brevo:web-shop@acme/berlin".parse().unwrap() }
}

/// Checks that a store keeps what the trait promises.
fn conforms(row: &Row, surroundings: &Surroundings) {
    let store = (row.open)(surroundings);
    assert_eq!(store.name(), row.name);
    store.check_writable().unwrap();
    store.check_readable().unwrap();
    let values = [
        ["key-", &"0".repeat(32)].concat(),
        "x".repeat(1200),
        "päss \"wörd\" \\ 密碼 🗝".to_owned(),
        " \tedges kept\n".to_owned(),
    ];
    for (at, value) in values.iter().enumerate() {
        let item = item("kconform", u32::try_from(at).unwrap() + 1);
        assert!(store.get(&item).unwrap().is_none());
        store.put(&item, &Secret::new(value.clone())).unwrap();
        assert_eq!(store.get(&item).unwrap().unwrap().expose(), value);
        store.put(&item, &Secret::new(value.clone())).unwrap();
        let other = store.put(&item, &Secret::new("another".to_owned())).unwrap_err();
        assert_eq!(other.problem, StoreProblem::Other);
        let again = (row.open)(surroundings);
        assert_eq!(again.get(&item).unwrap().unwrap().expose(), value);
    }
    let first = item("kconform", 1);
    assert!(store.delete(&first).unwrap());
    assert!(!store.delete(&first).unwrap());
    assert!(store.get(&first).unwrap().is_none());
    let second = store.get(&item("kconform", 2)).unwrap().unwrap();
    assert_eq!(second.expose(), values[1]);
    assert!(!store.describe().location.is_empty());
}

#[test]
fn the_file_store_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let surroundings = Surroundings {
        data_dir: folder.path().join("data"),
        config_dir: folder.path().join("config"),
        ..Surroundings::default()
    };
    file::init(&surroundings, "test", None).unwrap();
    conforms(&file::ROW, &surroundings);
}

#[test]
fn every_row_has_a_suite() {
    let names: Vec<&str> = TABLE.iter().filter(|row| row.writable).map(|row| row.name).collect();
    // `file` above, `keyring` in tests/it/stores.rs.
    assert_eq!(names, ["keyring", "file"]);
    assert!(row("env").is_some_and(|row| !row.writable));
    let unknown = open("plain", &Surroundings::default()).err().unwrap();
    assert_eq!(unknown.to_string(), "`plain` is no store; there are keyring, file, env");
}
