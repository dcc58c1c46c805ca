//! Reads `src/` and keeps the imports pointing one way, the printing in one
//! file, and the ways out of a secret counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, into);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                // Unit tests may reach further than the code they test.
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
                into.insert(name, code);
            }
        }
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut into = BTreeMap::new();
    walk(&root, &root, &mut into);
    into
}

/// Returns the top-level modules of the crate that a source text mentions.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in text.split("crate::").skip(1) {
        if let Some(list) = piece.strip_prefix('{') {
            let inside = list.split('}').next().unwrap_or_default();
            found.extend(inside.split(',').map(|it| first_word(it.trim())));
        } else {
            found.push(first_word(piece));
        }
    }
    found.retain(|it| !it.is_empty());
    found.sort();
    found.dedup();
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What each top-level module may import. A module that is not in the table
/// fails the test: a newcomer has to decide where it stands.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("checkpoint", &[]),
    ("key", &["key"]),
    ("clock", &["key"]),
    ("domain", &["key", "clock"]),
    ("rotation", &["key", "clock"]),
    ("inventory", &["inventory", "key", "rotation", "clock", "exit", "checkpoint"]),
    ("store", &["store", "key", "checkpoint"]),
    ("exit", &["store", "key"]),
    ("http", &["key", "clock", "checkpoint"]),
    ("smtp", &["key", "checkpoint"]),
    ("dns", &["key"]),
    ("provider", &["provider", "key", "domain", "http", "smtp", "clock"]),
    ("output", &["output", "exit", "clock", "key"]),
    ("state", &["key", "clock", "checkpoint"]),
];

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let module = file.split(['/', '.']).next().unwrap_or_default().to_owned();
        // The top of the graph may see everything.
        if ["main", "lib", "cli", "context", "commands"].contains(&module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{file}: module `{module}` is not in the table of this test"));
            continue;
        };
        for import in imports(&text) {
            if !allowed.contains(&import.as_str()) {
                wrong.push(format!("{file} imports `crate::{import}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_console_prints() {
    for (file, text) in sources() {
        if file == "output/console.rs" {
            continue;
        }
        for word in ["println!", "print!(", "eprintln!", "eprint!(", "io::stdout()", "io::stderr()"] {
            assert!(!text.contains(word), "{file} uses {word}");
        }
    }
}
