//! One checked thing: its stable id, what came of it, what was found, what is
//! expected, and what to do.

use serde::Serialize;

use crate::domain::DnsState;

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
