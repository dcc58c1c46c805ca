//! Reads `src/` and keeps the imports pointing one way, the printing in one
//! file, the ways out of a secret counted, and every file small and headed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Returns the code of every file below `src/` by its path there, without the
/// unit tests (also those in a `tests.rs` or `tests` folder of their own): they
/// may reach further than the code they test.
fn sources() -> BTreeMap<String, String> {
    let mut sources = whole_sources();
    sources.retain(|file, _| !file.ends_with("/tests.rs") && !file.contains("/tests/"));
    for text in sources.values_mut() {
        // `mod tests;` among the modules ends nothing.
        let inline = text
            .match_indices("#[cfg(test)]\nmod ")
            .find(|(at, _)| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{')));
        if let Some((at, _)) = inline {
            text.truncate(at);
        }
    }
    sources
}

/// Returns the whole text of every file below `src/` by its path there.
pub fn whole_sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, into);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                into.insert(name, std::fs::read_to_string(&path).unwrap());
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

/// Returns the module that a file below `src/` is: `key/mod.rs` → `key`.
fn module(file: &str) -> String {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

/// Returns the paths within the crate that a file's `use` lines name, whole.
fn used_paths(file: &str, text: &str) -> Vec<String> {
    let me = module(file);
    let mut paths = Vec::new();
    for line in text.split("\nuse ").skip(1) {
        let tree = line.split(';').next().unwrap_or_default();
        let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
        let (head, items) = tree.split_once('{').unwrap_or((&tree, ""));
        let parent = me.rsplit_once("::").map_or("", |(parent, _)| parent);
        let head = head.replacen("crate::", "", 1).replacen("self::", &format!("{me}::"), 1);
        let head = head.replacen("super::", &format!("{parent}::"), 1);
        if items.is_empty() {
            paths.push(head.clone());
        }
        let names = items.trim_end_matches('}').split(',');
        paths.extend(names.map(|it| format!("{head}{}", it.trim())).filter(|it| !it.ends_with("::")));
    }
    paths
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = sources();
    let files: BTreeMap<String, &String> = sources.keys().map(|file| (module(file), file)).collect();
    let mut imports: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for (file, text) in &sources {
        for path in used_paths(file, text) {
            let mut end = path.as_str();
            // The longest part of the path that is a file.
            while !files.contains_key(end) {
                let Some((shorter, _)) = end.rsplit_once("::") else { break };
                end = shorter;
            }
            if let Some(target) = files.get(end).filter(|it| **it != file) {
                imports.entry(file).or_default().push(target);
            }
        }
    }
    assert!(imports.len() > 200, "only {} files with imports were read", imports.len());
    // A file that can reach itself is in a circle.
    let mut circles = Vec::new();
    for start in sources.keys() {
        let mut seen = std::collections::BTreeSet::new();
        let mut next: Vec<&String> = imports.get(start).cloned().unwrap_or_default();
        while let Some(file) = next.pop() {
            if seen.insert(file) {
                next.extend(imports.get(file).into_iter().flatten());
            }
        }
        if seen.contains(start) {
            circles.push(start);
        }
    }
    assert!(circles.is_empty(), "in a circle: {circles:#?}");
}

/// What each top-level module may import. A module that is not in the table
/// fails the test: a newcomer has to decide where it stands.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("checkpoint", &[]),
    ("key", &["key"]),
    ("clock", &["key"]),
    ("domain", &["key", "clock"]),
    ("rotation", &["key", "clock"]),
    ("inventory", &["inventory", "key", "rotation", "clock", "exit", "checkpoint", "durable"]),
    ("store", &["store", "key", "checkpoint", "durable"]),
    ("exit", &["store", "key"]),
    ("http", &["key", "clock", "checkpoint"]),
    ("smtp", &["key", "checkpoint"]),
    ("dns", &["key"]),
    ("provider", &["provider", "key", "domain", "http", "smtp", "clock"]),
    ("operator", &["key"]),
    ("output", &["output", "operator", "exit", "clock", "key"]),
    (
        "context",
        &[
            "context",
            "operator",
            "inventory",
            "store",
            "provider",
            "state",
            "http",
            "smtp",
            "key",
            "domain",
            "rotation",
            "clock",
            "exit",
            "checkpoint",
            "dns",
            "durable",
        ],
    ),
    (
        "workflow",
        &[
            "workflow",
            "context",
            "operator",
            "inventory",
            "store",
            "provider",
            "state",
            "key",
            "domain",
            "rotation",
            "clock",
            "exit",
            "checkpoint",
            "dns",
            "durable",
            "http",
            "smtp",
        ],
    ),
    ("durable", &[]),
    ("protection", &[]),
    ("state", &["key", "clock", "checkpoint", "durable"]),
];

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let module = file.split(['/', '.']).next().unwrap_or_default().to_owned();
        // The top of the graph may see everything.
        if ["main", "lib", "cli", "commands"].contains(&module.as_str()) {
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
fn workflows_know_no_command_line() {
    for (file, text) in sources() {
        if !file.starts_with("workflow/") && !file.starts_with("operator/") && !file.starts_with("context/") {
            continue;
        }
        for word in ["clap", "comfy_table", "is_terminal", "\"CI\"", "IsTerminal"] {
            assert!(!text.contains(word), "src/{file} names {word}");
        }
    }
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

/// Every place where a secret leaves its type, by file. Each is a place to
/// read when a leak is looked for, so a new one has to be entered here, and
/// one that went has to be taken out.
const EXPOSE_CALLS: &[(&str, usize)] = &[
    ("commands/backup.rs", 1),
    ("workflow/consumers/program.rs", 1),
    ("workflow/rotation/step_wait_for_people.rs", 1),
    ("commands/add/dotenv.rs", 2),
    ("workflow/secret_input.rs", 3),
    ("workflow/validation/probe.rs", 1),
    ("commands/export/mod.rs", 1),
    ("commands/get.rs", 1),
    ("commands/run.rs", 1),
    ("http/encode.rs", 3),
    ("key/secret.rs", 5),
    ("provider/brevo/mod.rs", 1),
    ("provider/highlevel/wire.rs", 1),
    ("provider/klaviyo/mod.rs", 2),
    ("provider/mailgun/shape.rs", 3),
    ("provider/paste.rs", 2),
    ("smtp/session.rs", 2),
    ("store/file/content.rs", 2),
    ("store/file/identity.rs", 5),
    ("store/keyring/mod.rs", 1),
    ("store/mod.rs", 2),
];

#[test]
fn each_way_out_of_a_secret_is_entered() {
    let mut found = BTreeMap::new();
    for (file, text) in sources() {
        let calls = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let calls =
            calls.map(|line| line.matches(".expose()").count() + line.matches("expose_secret(").count());
        let calls: usize = calls.sum();
        if calls > 0 {
            found.insert(file, calls);
        }
    }
    let entered: BTreeMap<String, usize> =
        EXPOSE_CALLS.iter().map(|(file, calls)| ((*file).to_owned(), *calls)).collect();
    let mut wrong = Vec::new();
    for file in found.keys().chain(entered.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (is, was) = (found.get(file).unwrap_or(&0), entered.get(file).unwrap_or(&0));
        if is != was {
            wrong.push(format!("{file} exposes a secret in {is} places; the table of this test says {was}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_store_can_do_is_asked_of_its_row() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if file.starts_with("store/") {
            continue;
        }
        for row in keyctl::store::TABLE {
            let name = row.name;
            for compared in [
                format!("== \"{name}\""),
                format!("!= \"{name}\""),
                format!("Some(\"{name}\")"),
                format!("\"{name}\" =>"),
                format!("\"{name}\" |"),
                format!("| \"{name}\""),
                format!("unwrap_or(\"{name}\")"),
            ] {
                if text.contains(&compared) {
                    wrong.push(format!("src/{file}: `{compared}`"));
                }
            }
        }
        // The naming of one store, which its row has for whoever asks.
        if text.contains("store::env::variable") && file != "commands/show.rs" {
            wrong.push(format!("src/{file} names the variable of a key without asking the store's row"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where a step still stands on an assumption, by file. Only fewer may come.
const ASSUMED: &[(&str, usize)] = &[
    ("workflow/rotation/key_condition.rs", 3),
    ("workflow/rotation/step_create_pasted.rs", 1),
    ("workflow/rotation/step_retire.rs", 2),
    ("workflow/rotation/undo.rs", 2),
];

#[test]
fn assumptions_are_counted() {
    let mut found = Vec::new();
    for (file, text) in sources() {
        let calls = text.matches("Evidence::assumed(").count();
        if calls > 0 {
            found.push((file, calls));
        }
    }
    let entered: Vec<(String, usize)> = ASSUMED.iter().map(|(file, n)| ((*file).to_owned(), *n)).collect();
    assert_eq!(found, entered);
}

/// Where a provider is still named by its id outside `provider`, by file: what
/// differs by vendor is asked of the provider. Only fewer may come. Each of
/// these means HighLevel as the platform that locations are at, not as a vendor
/// among others.
const NAMED_PROVIDERS: &[(&str, usize)] = &[
    // A record of this provider says that the agency is at HighLevel; the
    // inventory may not ask a provider.
    ("inventory/mod.rs", 1),
    // The kind of consumer `highlevel` writes the locations of HighLevel.
    ("workflow/consumers/highlevel_location.rs", 1),
    // The way through its own settings, for a place that is named after it.
    ("workflow/consumers/paste_page.rs", 1),
    // The token that writes the location.
    ("workflow/consumers/target.rs", 1),
    // The list of locations is HighLevel's.
    ("workflow/location_import/highlevel_list.rs", 1),
];

#[test]
fn no_provider_is_matched_by_its_id() {
    let mut found = BTreeMap::new();
    for (file, text) in sources() {
        if file.starts_with("provider/") {
            continue;
        }
        let named = ["Mailgun", "Brevo", "Klaviyo", "Highlevel"]
            .map(|it| text.matches(&format!("ProviderId::{it}")).count());
        let named: usize = named.into_iter().sum();
        if named > 0 {
            found.insert(file, named);
        }
    }
    let entered: BTreeMap<String, usize> =
        NAMED_PROVIDERS.iter().map(|(file, n)| ((*file).to_owned(), *n)).collect();
    assert_eq!(found, entered);
}

#[test]
fn nothing_panics_for_want_of_a_value_or_is_left_to_do() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in [".unwrap()", "todo!(", "unimplemented!(", "dbg!("] {
                if code.contains(word) {
                    wrong.push(format!("src/{file}:{}: {word}", number + 1));
                }
            }
            for word in ["TO\u{44}O", "FIX\u{4d}E"] {
                if line.contains(word) {
                    wrong.push(format!("src/{file}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_owns() {
    for (file, text) in whole_sources() {
        assert!(text.starts_with("//! "), "src/{file} does not begin with a `//!` that says what it owns");
    }
}

/// A file is looked at again past 450 lines; past this it is split.
const MOST_LINES: usize = 600;

#[test]
fn no_file_outgrows_a_readers_head() {
    let mut wrong = Vec::new();
    for (file, text) in whole_sources() {
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("src/{file} has {lines} lines, more than {MOST_LINES}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_test_file_is_forgotten() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let declared = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        let is_module = name.ends_with(".rs") || folder.join(&name).join("mod.rs").exists();
        if !is_module || module == "main" {
            continue;
        }
        let line = format!("mod {module};");
        assert!(declared.lines().any(|it| it == line), "tests/it/main.rs does not declare `{line}`");
    }
}
