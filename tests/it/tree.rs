//! Reads what is committed: nothing in it may name the machine or the place it
//! was written at, hold what looks like a real key, or point at a document that
//! is not there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::skip;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the tracked files that are text, by path; `None` outside a checkout.
fn tracked() -> Option<Vec<(String, String)>> {
    let listed = Command::new("git").arg("-C").arg(root()).args(["ls-files", "-z"]).output().ok()?;
    if !listed.status.success() {
        return None;
    }
    let names = String::from_utf8(listed.stdout).unwrap();
    let names = names.split('\0').filter(|name| !name.is_empty());
    let texts = names.filter_map(|name| {
        // A file deleted but not yet committed, or one that is no text.
        let text = std::fs::read_to_string(root().join(name)).ok()?;
        Some((name.to_owned(), text))
    });
    Some(texts.collect())
}

#[test]
fn nothing_names_the_place_it_was_written_at() {
    let Some(files) = tracked() else { return skip("not a git checkout") };
    // Built from parts, so that this file does not name them.
    let words: Vec<String> = [
        ["/wor", "k/"],
        ["/tmp/", "wt"],
        ["/tmp/hel", "pers"],
        ["/tmp/bash", "_jobs"],
        ["/ro", "ot/"],
        ["/home/", "runner"],
        [".lib", "rary/"],
        ["index.cra", "tes.io"],
        ["static.cra", "tes.io"],
        ["work", "place"],
        ["Clau", "de"],
        ["Anthro", "pic"],
        ["h-se", "ed"],
    ]
    .iter()
    .map(|parts| parts.concat())
    .collect();
    let mut wrong = Vec::new();
    for (name, text) in &files {
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                wrong.push(format!("{name}:{}: `{word}`", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns whether `text` has, at a word's begin, `prefix` and then at least
/// `least` characters of a key, more than a handful of them different.
fn looks_like_key(text: &str, prefix: &str, least: usize) -> bool {
    text.match_indices(prefix).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let word: Vec<u8> = text[at + prefix.len()..]
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            .collect();
        let different: std::collections::BTreeSet<_> = word.iter().collect();
        let begins = !before.is_some_and(|it| it.is_ascii_alphanumeric());
        begins && word.len() >= least && different.len() > 6
    })
}

#[test]
fn nothing_looks_like_a_real_key() {
    let Some(files) = tracked() else { return skip("not a git checkout") };
    let mut wrong = Vec::new();
    for (name, text) in files.iter().filter(|(name, _)| name != "Cargo.lock") {
        for (number, line) in text.lines().enumerate() {
            for (prefix, least) in
                [("key-", 32), ("xkeysib-", 64), ("xsmtpsib-", 64), ("pk_", 32), ("pit-", 36)]
            {
                if looks_like_key(line, prefix, least) {
                    wrong.push(format!("{name}:{}: looks like a `{prefix}…` key", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "build keys at run time from parts:\n{}", wrong.join("\n"));
}

#[test]
fn the_look_for_keys_finds_one() {
    let key = ["key-", "0123456789abcdef0123456789abcdef"].concat();
    assert!(looks_like_key(&format!("a `{key}` b"), "key-", 32));
    assert!(!looks_like_key("a key-value pair", "key-", 32));
    assert!(!looks_like_key(&["mon", &key].concat(), "key-", 32));
    assert!(!looks_like_key(&["key-", &"0".repeat(32)].concat(), "key-", 32));
}

#[test]
fn every_document_that_is_named_is_there() {
    let Some(files) = tracked() else { return skip("not a git checkout") };
    let mut wrong = Vec::new();
    for (name, text) in &files {
        if !(name.ends_with(".rs") || name.ends_with(".md") || name.ends_with(".toml"))
            || name == "Cargo.lock"
        {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || "-_./:".contains(c)));
            for word in words.filter(|word| word.len() > 3 && !word.contains(':')) {
                let document = word.trim_start_matches("./").trim_end_matches('.');
                if !document.ends_with(".md") || document.starts_with('.') {
                    continue;
                }
                let beside = Path::new(name).parent().map(|folder| folder.join(document));
                let there = [Some(PathBuf::from(document)), beside].into_iter().flatten();
                if !there.into_iter().any(|path| root().join(path).exists()) {
                    wrong.push(format!("{name}:{}: there is no `{document}`", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
