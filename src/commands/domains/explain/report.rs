//! How an explanation reads: one line a check, what is wrong below it.

use serde_json::Value;

use super::check::{Check, Outcome, verdict};
use crate::key::text::printable;
use crate::key::{Domain, KeyRef};
use crate::output::{Page, Report, Tone};

/// The answer, its fields in the contract's order.
pub struct Explanation {
    domain: Domain,
    key: Option<KeyRef>,
    pub selectable: Option<bool>,
    checks: Vec<Check>,
}

impl Explanation {
    pub fn new(domain: &Domain, key: Option<&KeyRef>, checks: Vec<Check>) -> Self {
        Self { domain: domain.clone(), key: key.cloned(), selectable: verdict(&checks), checks }
    }

    /// Returns whether a DNS record is not as it should be.
    pub fn lacks_records(&self) -> bool {
        self.checks.iter().any(|it| it.provider.is_some() && it.result == Outcome::Fail)
    }
}

impl Report for Explanation {
    fn command(&self) -> &'static str {
        "domains"
    }

    fn data(&self) -> Value {
        serde_json::json!({
            "domain": self.domain,
            "selectable": self.selectable,
            "checks": self.checks,
            "key": self.key,
        })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("checks")
    }

    fn human(&self, page: &mut Page) {
        let (tone, verdict) = match self.selectable {
            Some(true) => (Tone::Good, "can be chosen"),
            Some(false) => (Tone::Bad, "cannot be chosen"),
            None => (Tone::Warn, "may or may not be chosen: not everything could be told"),
        };
        let with = self.key.as_ref().map(|key| format!(" (asked with {key})")).unwrap_or_default();
        page.pieces(&[
            (Tone::Strong, self.domain.as_str()),
            (Tone::Plain, " "),
            (tone, verdict),
            (Tone::Dim, &with),
        ]);
        page.blank();
        let widest = self.checks.iter().map(|it| title(&it.id).len()).max().unwrap_or(0);
        for check in &self.checks {
            human(check, widest, page);
        }
    }
}

fn human(check: &Check, widest: usize, page: &mut Page) {
    let (tone, mark) = match check.result {
        Outcome::Pass => (Tone::Good, "pass"),
        Outcome::Fail => (Tone::Bad, "FAIL"),
        Outcome::NotCheckable => (Tone::Warn, "?   "),
    };
    let name = title(&check.id);
    let is_record = check.provider.is_some();
    let found = check.found.as_deref().filter(|_| !(is_record && check.result == Outcome::Pass));
    match found {
        Some(found) if check.result == Outcome::Pass && found.len() <= 46 => {
            page.pieces(&[(tone, mark), (Tone::Plain, &format!("  {name:<widest$}  ")), (Tone::Dim, found)]);
        }
        _ => {
            page.pieces(&[(tone, mark), (Tone::Plain, &format!("  {name}"))]);
            if let Some(found) = found {
                page.paragraph(Tone::Plain, 6, &format!("found: {found}"));
            }
        }
    }
    if check.result == Outcome::Pass {
        let more = if is_record { &check.expected } else { &check.fix };
        // A good DKIM key is 400 characters that nobody compares.
        let limit = if is_record { 110 } else { 2_000 };
        let more = printable(more.as_deref().unwrap_or_default(), limit);
        page.paragraph(Tone::Dim, 6, &more);
        return;
    }
    // What is expected of a record stands in the fix.
    if let Some(expected) = check.expected.as_ref().filter(|_| !is_record || check.fix.is_none()) {
        page.paragraph(Tone::Plain, 6, &format!("expected: {expected}"));
    }
    if let Some(fix) = check.fix.as_ref() {
        page.paragraph(Tone::Strong, 6, &format!("fix: {fix}"));
    }
}

/// Returns what a check is called for people.
fn title(id: &str) -> String {
    let fixed = match id {
        "in-account" => "in the account",
        "region" => "region",
        "state" => "state",
        "disabled" => "not disabled",
        "type" => "type",
        "key-may-list" => "the key may list domains",
        "ip-allowlist" => "IP allowlist",
        "inbound-route" => "inbound route",
        "route-not-shadowed" => "route not shadowed",
        "unique-location" => "one location only",
        "level" => "level",
        _ => return record_title(id),
    };
    fixed.to_owned()
}

fn record_title(id: &str) -> String {
    let rest = id.strip_prefix("dns-").unwrap_or(id);
    let (word, number) = rest.split_once('-').unwrap_or((rest, ""));
    let word = match word {
        "tracking" | "other" => word.to_owned(),
        _ => word.to_uppercase(),
    };
    format!("DNS {word} {number}").trim_end().to_owned()
}
