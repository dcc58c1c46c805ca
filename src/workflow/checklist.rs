//! One checked thing: its stable id, what came of it, what was found, what is
//! expected, and what to do; and how it reads.

use serde::Serialize;

use crate::domain::DnsState;
use crate::key::text::printable;
use crate::operator::{Emphasis, Sheet};
use crate::provider::Trouble;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pass,
    Fail,
    NotCheckable,
}

/// One check, its fields in the contract's order.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub id: String,
    pub result: Outcome,
    pub found: Option<String>,
    pub expected: Option<String>,
    pub fix: Option<String>,
    /// Of a DNS record: what the provider last said of it.
    pub provider: Option<DnsState>,
    /// Of a DNS record: what the resolver sees, where it was asked.
    pub resolver: Option<&'static str>,
    /// Whether it decides if the domain can be chosen.
    #[serde(skip)]
    pub decides: bool,
}

impl Check {
    fn new(id: impl Into<String>, result: Outcome) -> Self {
        Self {
            id: id.into(),
            result,
            found: None,
            expected: None,
            fix: None,
            provider: None,
            resolver: None,
            decides: false,
        }
    }

    pub fn pass(id: impl Into<String>) -> Self {
        Self::new(id, Outcome::Pass)
    }

    pub fn fail(id: impl Into<String>) -> Self {
        Self::new(id, Outcome::Fail)
    }

    pub fn unclear(id: impl Into<String>) -> Self {
        Self::new(id, Outcome::NotCheckable)
    }

    /// Something that could not be read.
    pub fn troubled(id: impl Into<String>, trouble: &Trouble) -> Self {
        let check = Self::unclear(id).found(format!("{} ({})", trouble.detail, trouble.reason));
        match &trouble.hint {
            Some(hint) => check.fix(hint.clone()),
            None => check,
        }
    }

    #[must_use]
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.found = Some(text.into());
        self
    }

    #[must_use]
    pub fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = Some(text.into());
        self
    }

    #[must_use]
    pub fn fix(mut self, text: impl Into<String>) -> Self {
        self.fix = Some(text.into());
        self
    }

    /// Makes the check one of those that decide whether the domain can be chosen.
    #[must_use]
    pub fn deciding(mut self) -> Self {
        self.decides = true;
        self
    }
}

/// Returns whether the domain can be chosen; `None`: that could not be told.
pub fn verdict(checks: &[Check]) -> Option<bool> {
    let deciding = |wanted: Outcome| checks.iter().any(|it| it.decides && it.result == wanted);
    if deciding(Outcome::Fail) {
        Some(false)
    } else if deciding(Outcome::NotCheckable) {
        None
    } else {
        Some(true)
    }
}

/// Returns one line a check, and what is wrong below it.
pub fn sheet(checks: &[Check]) -> Sheet {
    let mut sheet = Sheet::default();
    let widest = checks.iter().map(|it| title(&it.id).len()).max().unwrap_or(0);
    for check in checks {
        line(check, widest, &mut sheet);
    }
    sheet
}

fn line(check: &Check, widest: usize, sheet: &mut Sheet) {
    let (tone, mark) = match check.result {
        Outcome::Pass => (Emphasis::Good, "pass"),
        Outcome::Fail => (Emphasis::Bad, "FAIL"),
        Outcome::NotCheckable => (Emphasis::Warn, "?   "),
    };
    let name = title(&check.id);
    let is_record = check.provider.is_some();
    let found = check.found.as_deref().filter(|_| !(is_record && check.result == Outcome::Pass));
    match found {
        Some(found) if check.result == Outcome::Pass && found.len() <= 46 => {
            sheet.pieces(&[
                (tone, mark),
                (Emphasis::Plain, &format!("  {name:<widest$}  ")),
                (Emphasis::Dim, found),
            ]);
        }
        _ => {
            sheet.pieces(&[(tone, mark), (Emphasis::Plain, &format!("  {name}"))]);
            if let Some(found) = found {
                sheet.line(Emphasis::Plain, 6, format!("found: {found}"));
            }
        }
    }
    if check.result == Outcome::Pass {
        let more = if is_record { &check.expected } else { &check.fix };
        // A good DKIM key is 400 characters that nobody compares.
        let limit = if is_record { 110 } else { 2_000 };
        let more = printable(more.as_deref().unwrap_or_default(), limit);
        sheet.line(Emphasis::Dim, 6, more);
        return;
    }
    // What is expected of a record stands in the fix.
    if let Some(expected) = check.expected.as_ref().filter(|_| !is_record || check.fix.is_none()) {
        sheet.line(Emphasis::Plain, 6, format!("expected: {expected}"));
    }
    if let Some(fix) = check.fix.as_ref() {
        sheet.line(Emphasis::Strong, 6, format!("fix: {fix}"));
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
        "test-mail" => "test mail",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_proven_no_decides_before_what_could_not_be_told() {
        let unclear = Check::unclear("region").deciding();
        let fail = Check::fail("state").deciding();
        let aside = Check::fail("dns-mx-1");
        assert_eq!(verdict(&[unclear.clone(), fail]), Some(false));
        assert_eq!(verdict(&[unclear, aside.clone()]), None);
        assert_eq!(verdict(&[Check::pass("in-account").deciding(), aside]), Some(true));
    }
}
