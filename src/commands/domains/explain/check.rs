//! One check of an explanation: what was found, what is expected, how to mend it.

use serde::Serialize;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pass,
    Fail,
    NotCheckable,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub id: String,
    pub result: Outcome,
    pub found: Option<String>,
    pub expected: Option<String>,
    pub fix: Option<String>,
    /// Decides whether the domain is in the list.
    #[serde(skip)]
    pub decides: bool,
}

impl Check {
    pub fn new(id: &str, result: Outcome, found: impl Into<String>) -> Self {
        let found = Some(found.into()).filter(|it| !it.is_empty());
        Self { id: id.to_owned(), result, found, expected: None, fix: None, decides: false }
    }

    pub fn of(
        id: &str,
        good: bool,
        found: impl Into<String>,
        expected: &str,
        fix: impl FnOnce() -> String,
    ) -> Self {
        let outcome = if good { Outcome::Pass } else { Outcome::Fail };
        let fix = if good { None } else { Some(fix()) };
        Self { expected: Some(expected.to_owned()), fix, ..Self::new(id, outcome, found) }
    }

    pub fn unknown(id: &str, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..Self::new(id, Outcome::NotCheckable, why) }
    }

    pub fn deciding(mut self) -> Self {
        self.decides = true;
        self
    }
}
