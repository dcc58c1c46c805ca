//! The sample that the tests of every report format share.

use std::io::{self, Write};

use super::checks::{Check, Checks, Family, Level, Outcome, Rule, Sample};

fn check(
    subject: &'static str,
    outcome: Outcome,
    level: Level,
    rule: Option<&'static str>,
) -> Check<'static> {
    Check {
        subject: subject.into(),
        group: "mailgun",
        rule,
        outcome,
        level,
        state: "rejected",
        message: "401: \"no\" <b>, 100%\nsecond | line",
        hint: Some("make a new key: `keyctl rotate`"),
        facts: vec!["causes: revoked".to_owned()],
        line: Some(7),
        milliseconds: Some(1_234),
    }
}

/// Returns one of everything, with every character that some format escapes.
pub fn sample() -> Checks<'static> {
    let key = |value: &'static str, up| Sample { labels: vec![("key", value.into())], value: up };
    Checks {
        command: "validate",
        at: "2026-11-22T10:00:00Z".parse().unwrap(),
        complete: true,
        summary: "5 checked".to_owned(),
        file: Some("keys/my inventory.toml".to_owned()),
        rules: vec![
            Rule { id: "unauthorized", text: "the provider refused the key", level: Level::Error },
            Rule { id: "unreachable", text: "nothing was proven", level: Level::Warning },
        ],
        checks: vec![
            Check { message: "fine", ..check("brevo@acme", Outcome::Passed, Level::Note, None) },
            check("mailgun@acme", Outcome::Failed, Level::Error, Some("unauthorized")),
            check("mailgun:x@acme", Outcome::Undecided, Level::Warning, Some("unreachable")),
            check("mailgun:y@acme", Outcome::Remarked, Level::Warning, Some("unauthorized")),
            check("mailgun:z@acme", Outcome::Waived, Level::Note, Some("unauthorized")),
        ],
        families: vec![
            Family {
                name: "keyctl_key_up",
                unit: None,
                help: "Whether the key works\nor \\ not",
                samples: Box::new(move || {
                    Box::new([key("mailgun@acme", 0.0), key("a\"b\\c\nd", 1.0)].into_iter())
                }),
            },
            Family {
                name: "keyctl_none",
                unit: None,
                help: "No sample",
                samples: Box::new(|| Box::new(std::iter::empty())),
            },
            Family::single("keyctl_key_age_seconds", Some("seconds"), "Age", 86_400.5),
        ],
    }
}

/// Returns what a format writes of the sample.
pub fn written(write: impl FnOnce(&Checks<'_>, &mut dyn Write) -> io::Result<()>) -> String {
    written_of(&sample(), write)
}

/// Returns what a format writes of these checks.
pub fn written_of(
    checks: &Checks<'_>,
    write: impl FnOnce(&Checks<'_>, &mut dyn Write) -> io::Result<()>,
) -> String {
    let mut out = Vec::new();
    write(checks, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_worst_comes_first() {
    let sample = sample();
    let order: Vec<&str> = sample.notable().iter().map(|it| &*it.subject).collect();
    assert_eq!(order, ["mailgun@acme", "mailgun:x@acme", "mailgun:z@acme", "mailgun:y@acme"]);
}
