//! `keyctl identify` for every format the vendors' keys have, for what looks
//! like one, and for what people paste around them.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::World;

fn hex(length: usize) -> String {
    "0123456789abcdef".chars().cycle().take(length).collect()
}

fn letters(length: usize) -> String {
    "aB3dE6gH9".chars().cycle().take(length).collect()
}

fn uuid() -> String {
    [hex(8), hex(4), hex(4), hex(4), hex(12)].join("-")
}

/// Each format: a text, and `provider kind certain` of what it may be.
fn formats() -> Vec<(&'static str, String, Vec<&'static str>)> {
    let parts = |parts: &[&str]| parts.concat();
    vec![
        (
            "Mailgun, current",
            [hex(32), hex(8), hex(8)].join("-"),
            vec!["mailgun account false", "mailgun sending false", "mailgun smtp false"],
        ),
        ("Mailgun, legacy", parts(&["key-", &hex(32)]), vec!["mailgun account true"]),
        ("Mailgun, bare", hex(32), vec!["mailgun account false", "mailgun smtp false"]),
        ("Brevo API", parts(&["xkeysib-", &hex(64), "-", &letters(16)]), vec!["brevo api true"]),
        ("Brevo SMTP", parts(&["xsmtpsib-", &hex(64), "-", &letters(16)]), vec!["brevo smtp true"]),
        ("Brevo SMTP, short", letters(15), vec!["brevo smtp false"]),
        ("Brevo master password", letters(16), vec!["brevo smtp false"]),
        ("Klaviyo", parts(&["pk_", &letters(34)]), vec!["klaviyo private true"]),
        ("Klaviyo, hexadecimal", parts(&["pk_", &hex(34)]), vec!["klaviyo private true"]),
        ("Klaviyo, newer", parts(&["pk_", "AbC123", "_", &hex(34)]), vec!["klaviyo private true"]),
        ("HighLevel", parts(&["pit-", &uuid()]), vec!["highlevel agency false", "highlevel location false"]),
    ]
}

/// What is pasted around a key, and how that is named.
const WRAPPINGS: [(&str, &str, &[&str]); 11] = [
    ("\"", "\"", &["quotes"]),
    ("'", "'", &["quotes"]),
    ("“", "”", &["quotes"]),
    ("api:", "", &["api:"]),
    ("Bearer ", "", &["Bearer"]),
    ("Authorization: Bearer ", "", &["Authorization:", "whitespace", "Bearer"]),
    ("Klaviyo-API-Key ", "", &["Klaviyo-API-Key"]),
    ("Authorization: Klaviyo-API-Key ", "", &["Authorization:", "whitespace", "Klaviyo-API-Key"]),
    ("api-key: ", "", &["api-key:", "whitespace"]),
    ("\r\n", "\r\n\r\n", &["newline"]),
    ("export SOME_KEY=\"", "\"", &["export SOME_KEY=", "quotes"]),
];

fn candidates(data: &Value) -> Vec<String> {
    let list = data["candidates"].as_array().unwrap();
    let text = |it: &Value| {
        format!("{} {} {}", it["provider"].as_str().unwrap(), it["kind"].as_str().unwrap(), it["certain"])
    };
    list.iter().map(text).collect()
}

#[test]
fn every_format_is_told_bare_and_wrapped() {
    let world = World::bare();
    for (name, text, expected) in formats() {
        for (before, after, stripped) in [("", "", &[][..])].iter().chain(&WRAPPINGS) {
            let pasted = format!("{before}{text}{after}");
            let ran = world.run_with(&["-f", "json", "identify", "--stdin"], &pasted).exits(0);
            let data = ran.data();
            assert_eq!(candidates(&data), expected, "{name}: {before:?}…{after:?}");
            assert_eq!(data["candidates"][0]["stripped"], json!(stripped), "{name}: {before:?}…{after:?}");
            assert!(!ran.stdout.contains(&text) && !ran.stderr.contains(&text), "{name} is shown");
        }
    }
    assert!(world.files().is_empty(), "nothing is written");
}

#[test]
fn a_line_break_in_the_middle_is_mended() {
    let world = World::bare();
    for (name, text, expected) in formats().into_iter().filter(|(_, text, _)| text.len() > 20) {
        let (head, tail) = text.split_at(text.len() / 2);
        let pasted = format!("{head}\n{tail}\n");
        let data = world.run_with(&["-f", "json", "identify", "--stdin"], &pasted).exits(0).data();
        assert_eq!(candidates(&data), expected, "{name}");
        assert_eq!(data["candidates"][0]["stripped"], json!(["newline"]), "{name}");
    }
}

#[test]
fn what_only_looks_like_a_key_is_refused_by_its_name() {
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let api = ["xkeysib-", &hex(64), "-", &letters(16)].concat();
    let world = World::new();
    for (text, says) in [
        // Truncated and masked.
        ([hex(32), hex(8), hex(4)].join("-"), "a part is missing"),
        (["key-", &hex(20)].concat(), "a part is missing"),
        (api[..60].to_owned(), "a truncated Brevo API key"),
        (["xsmtpsib-", &hex(64)].concat(), "a truncated Brevo SMTP key"),
        (["xkeysib-", "****", &letters(4)].concat(), "masked"),
        (["pk_", &letters(30)].concat(), "a truncated Klaviyo private key"),
        (["pk_", "AbC123", "_", &hex(20)].concat(), "a truncated Klaviyo private key"),
        (["pk_", "****abcd"].concat(), "masked"),
        (["pit-", &uuid()[..30]].concat(), "a truncated or masked HighLevel token"),
        // Of another kind.
        (["pubkey-", &hex(32)].concat(), "a public validation key of Mailgun"),
        ("AbC123".to_owned(), "public key (site id)"),
        (["pk_", "live_", &letters(24)].concat(), "Stripe"),
        (["pk_", "test_", &letters(24)].concat(), "Stripe"),
        (["mcp_token_", &letters(24)].concat(), "a Brevo MCP token"),
        ("7f0a1b001@smtp-brevo.com".to_owned(), "SMTP login"),
        (["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxIn0", &letters(20)].join("."), "JWT"),
        (base64(&format!("{{\"api_key\":\"{api}\"}}")), "base64"),
        (base64(&["api:key-", &hex(32)].concat()), "Basic"),
        (["Basic ", &base64(&["api:key-", &hex(32)].concat())].concat(), "Basic"),
        (["SG.", &letters(66)].concat(), "SendGrid"),
        // Of nobody.
        ("https://api.mailgun.net/v3".to_owned(), "URL"),
        ("$MAILGUN_API_KEY".to_owned(), "variable"),
    ] {
        let ran = world.run_with(&["-f", "json", "identify", "--stdin"], &text).exits(2);
        let error = &ran.json()["error"];
        assert_eq!(error["code"], "not-a-key", "{text}: {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{text}: {error}");
        assert!(error["hint"].is_string(), "{text}: what is wanted is not said: {error}");
        // `add` refuses it as well, and keeps nothing.
        for key in ["mailgun@acme", "brevo@acme", "klaviyo@acme", "highlevel@acme"] {
            let _ = world.run_with(&["add", key, "--stdin", "--no-input"], &text).exits(2);
        }
    }
    assert!(world.inventory().is_empty());
    let _ = world.run_with(&["identify", "--stdin"], "\"\"\n").exits(2);
}

#[test]
fn a_key_of_one_vendor_is_not_taken_for_anothers() {
    let world = World::new();
    let before = world.files();
    for (name, text, expected) in formats() {
        for provider in ["mailgun", "brevo", "klaviyo", "highlevel"] {
            if expected.iter().any(|it| it.starts_with(provider)) {
                continue;
            }
            let ran = world.run_with(&["add", &format!("{provider}@acme"), "--stdin", "--no-input"], &text);
            let ran = ran.exits(2);
            assert!(!ran.stderr.contains(&text), "{name}");
        }
    }
    world.unchanged_since(&before);
}
