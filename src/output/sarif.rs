//! SARIF 2.1.0 (OASIS Standard), as code scanning reads it: one result for
//! each check that needs an eye, at the line that declares its subject, with a
//! fingerprint that survives when that line moves.

use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::checks::{Check, Checks, Level, Outcome};
use super::json::Escaping;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What stands for the results, which are written one at a time.
const NO_RESULTS: &str = "\"results\": []";

/// Writes the whole document.
///
/// # Errors
/// As `out` says.
pub fn write(all: &Checks<'_>, out: &mut dyn Write) -> io::Result<()> {
    let out: &mut dyn Write = &mut Escaping(out);
    let around = format!("{:#}\n", document(all));
    let mut notable = all.checks.iter().filter(|it| it.outcome.is_notable()).peekable();
    let (before, after) = match around.split_once(NO_RESULTS) {
        Some(parts) if notable.peek().is_some() => parts,
        _ => return out.write_all(around.as_bytes()),
    };
    write!(out, "{before}\"results\": [")?;
    while let Some(check) = notable.next() {
        let result = format!("\n{:#}", result(check, all)).replace('\n', "\n        ");
        write!(out, "{result}{}", if notable.peek().is_some() { "," } else { "\n      ]" })?;
    }
    out.write_all(after.as_bytes())
}

/// Returns the document without results.
fn document(all: &Checks<'_>) -> Value {
    let rules: Vec<Value> = all
        .rules
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.id,
                "shortDescription": {"text": rule.text},
                "defaultConfiguration": {"level": rule.level.as_str()},
                "properties": {"tags": ["security", "credentials"]},
            })
        })
        .collect();
    let mut invocation =
        json!({"executionSuccessful": all.complete, "endTimeUtc": crate::clock::rfc3339(all.at)});
    if !all.complete {
        invocation["toolExecutionNotifications"] = json!([{
            "level": "warning",
            "message": {"text": "The run was interrupted: what it did not reach is not among the results."},
        }]);
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "keyctl",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "automationDetails": {"id": format!("keyctl/{}/", all.command)},
            "invocations": [invocation],
            "columnKind": "unicodeCodePoints",
            "results": [],
        }],
    })
}

fn result(check: &Check<'_>, all: &Checks<'_>) -> Value {
    let rule = check.rule.unwrap_or("other");
    let level = if check.outcome == Outcome::Waived { Level::Note } else { check.level };
    let mut message = format!("{}: {}: {}", check.subject, check.state, check.message);
    for fact in &check.facts {
        message += &format!("\n{fact}");
    }
    if let Some(hint) = &check.hint {
        message += &format!("\nhint: {hint}");
    }
    let mut result = json!({
        "ruleId": rule,
        "level": level.as_str(),
        "message": {"text": message},
        "partialFingerprints": {"keyctl/v1": fingerprint(&[all.command, rule, &check.subject])},
    });
    if let Some(index) = all.rules.iter().position(|it| it.id == rule) {
        result["ruleIndex"] = json!(index);
    }
    if let Some(file) = &all.file {
        result["locations"] = json!([{
            "physicalLocation": {
                "artifactLocation": artifact(file),
                "region": {"startLine": check.line.unwrap_or(1)},
            },
            "logicalLocations": [{"fullyQualifiedName": check.subject, "kind": "object"}],
        }]);
    }
    if check.outcome == Outcome::Waived {
        result["suppressions"] = json!([{"kind": "external", "status": "accepted"}]);
    }
    result
}

/// Returns what stays the same while a finding stays the same, wherever the
/// file moves it.
fn fingerprint(parts: &[&str]) -> String {
    let hash = Sha256::digest(parts.join("\n").as_bytes());
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn artifact(file: &str) -> Value {
    let absolute = std::path::Path::new(file).is_absolute();
    let uri = uri(file);
    if absolute {
        json!({"uri": format!("file://{uri}")})
    } else {
        json!({"uri": uri, "uriBaseId": "%SRCROOT%"})
    }
}

/// Percent-encodes a path (RFC 3986; `/` stays).
fn uri(path: &str) -> String {
    const KEEP: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(path, KEEP).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sample, written, written_of};
    use super::*;

    #[test]
    fn a_result_stands_at_its_line_with_a_lasting_fingerprint() {
        let first: Value = serde_json::from_str(&written(write)).unwrap();
        let results = first["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), 4, "what passed is no result");
        let place = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(
            *place,
            json!({
                "artifactLocation": {"uri": "keys/my%20inventory.toml", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 7},
            })
        );
        assert_eq!((&results[0]["ruleId"], &results[0]["ruleIndex"]), (&json!("unauthorized"), &json!(0)));
        assert_eq!(results[3]["suppressions"][0]["status"], "accepted");
        let mut moved = sample();
        moved.checks[1].line = Some(99);
        moved.checks[1].message = "other words";
        let second: Value = serde_json::from_str(&written_of(&moved, write)).unwrap();
        let prints = |document: &Value| document["runs"][0]["results"][0]["partialFingerprints"].clone();
        assert_eq!(prints(&first), prints(&second));
        let mut none = sample();
        none.checks.clear();
        let one_by_one = written(write);
        let whole: Value = serde_json::from_str(&one_by_one).unwrap();
        assert_eq!(one_by_one, format!("{whole:#}\n"), "it is laid out like one document");
        assert_eq!(written_of(&none, write), format!("{:#}\n", document(&none)));
        assert_eq!(artifact("/etc/k.toml"), json!({"uri": "file:///etc/k.toml"}));
    }
}
