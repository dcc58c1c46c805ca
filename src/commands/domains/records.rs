//! One DNS record in words: for lists, for JSON, and as what to create.

use serde_json::Value;

use crate::domain::{DnsRecord, DnsState};
use crate::output::{Cell, Tone};

/// Returns a record as JSON.
pub fn json(record: &DnsRecord) -> Value {
    serde_json::json!({
        "role": record.role, "type": record.record_type, "name": record.name, "expected": record.expected,
        "priority": record.priority, "found": record.found, "state": record.state, "active": record.active,
    })
}

/// Returns a record as a row: type, name, state, expected.
pub fn row(record: &DnsRecord) -> [Cell; 4] {
    let tone = match record.state {
        DnsState::Valid => Tone::Good,
        DnsState::Unknown | DnsState::Invalid => Tone::Warn,
    };
    [
        record.record_type.clone().into(),
        record.name.clone().into(),
        Cell::toned(record.state.as_str(), tone),
        value(record).into(),
    ]
}

/// Returns the value a record is to have, the priority of an MX before it.
pub fn value(record: &DnsRecord) -> String {
    match record.priority {
        Some(priority) => format!("{priority} {}", record.expected),
        None => record.expected.clone(),
    }
}

/// Returns whether one of the values found is the one expected. MX hosts count
/// without their priority; TXT by its words, so that an SPF record that
/// includes more is right, too.
pub fn matches(record: &DnsRecord, found: &[String]) -> bool {
    let plain = |text: &str| text.trim().trim_end_matches('.').to_ascii_lowercase();
    let wanted = plain(&record.expected);
    found.iter().any(|value| {
        let value = plain(value);
        match record.record_type.as_str() {
            "MX" => value.split_whitespace().last() == wanted.split_whitespace().last(),
            "TXT" if wanted.starts_with("v=spf1") => {
                let needed = wanted.split_whitespace().filter(|word| word.starts_with("include:"));
                value.starts_with("v=spf1")
                    && needed.into_iter().all(|word| value.split_whitespace().any(|it| it == word))
            }
            // Compared below: a DKIM key tells cases apart.
            "TXT" => false,
            _ => value == wanted,
        }
    }) || (record.record_type == "TXT"
        && found.iter().any(|value| squeezed(value) == squeezed(&record.expected)))
}

/// Returns a text without what DNS consoles add; a DKIM key tells cases apart.
fn squeezed(text: &str) -> String {
    text.replace([' ', '"'], "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RecordRole;

    fn record(record_type: &str, expected: &str) -> DnsRecord {
        DnsRecord {
            role: RecordRole::Other,
            record_type: record_type.to_owned(),
            name: "mg.acme.example".to_owned(),
            expected: expected.to_owned(),
            priority: None,
            found: vec![],
            state: DnsState::Unknown,
            active: true,
        }
    }

    #[test]
    fn a_record_is_right_when_it_says_what_is_needed() {
        let says = |record: &DnsRecord, found: &str| matches(record, &[found.to_owned()]);
        let spf = record("TXT", "v=spf1 include:mailgun.org ~all");
        assert!(says(&spf, "v=spf1 include:_spf.example include:mailgun.org -all"));
        assert!(!says(&spf, "v=spf1 include:other.example ~all"));
        assert!(says(&record("MX", "mxa.mailgun.org"), "10 MXA.mailgun.org."));
        assert!(says(&record("CNAME", "mailgun.org"), "mailgun.org."));
        assert!(says(&record("TXT", "k=rsa; p=ABC"), "k=rsa;p=ABC"));
        assert!(!says(&record("TXT", "k=rsa; p=ABC"), "k=rsa; p=abc"));
    }
}
