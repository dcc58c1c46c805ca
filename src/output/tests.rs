//! The sample that the tests of every report format share.

use super::checks::{Check, Checks, Family, Level, Outcome, Rule, Sample};

fn check(subject: &str, outcome: Outcome, level: Level, rule: Option<&'static str>) -> Check {
    Check {
        subject: subject.to_owned(),
        group: "mailgun".to_owned(),
        rule,
        outcome,
        level,
        state: "rejected".to_owned(),
        message: "401: \"no\" <b>, 100%\nsecond | line".to_owned(),
        hint: Some("make a new key: `keyctl rotate`".to_owned()),
        facts: vec!["causes: revoked".to_owned()],
        line: Some(7),
        milliseconds: Some(1_234),
    }
}

/// Returns one of everything, with every character that some format escapes.
pub fn sample() -> Checks {
    let label = |value: &str| vec![("key", value.to_owned())];
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
            Check { message: "fine".into(), ..check("brevo@acme", Outcome::Passed, Level::Note, None) },
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
                samples: vec![
                    Sample { labels: label("mailgun@acme"), value: 0.0 },
                    Sample { labels: label("a\"b\\c\nd"), value: 1.0 },
                ],
            },
            Family { name: "keyctl_none", unit: None, help: "No sample", samples: Vec::new() },
            Family {
                name: "keyctl_key_age_seconds",
                unit: Some("seconds"),
                help: "Age",
                samples: vec![Sample { labels: Vec::new(), value: 86_400.5 }],
            },
        ],
    }
}

#[test]
fn the_worst_comes_first() {
    let sample = sample();
    let order: Vec<&str> = sample.notable().iter().map(|it| it.subject.as_str()).collect();
    assert_eq!(order, ["mailgun@acme", "mailgun:x@acme", "mailgun:z@acme", "mailgun:y@acme"]);
}
