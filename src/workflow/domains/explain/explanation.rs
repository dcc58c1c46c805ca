//! What the checks of one domain came to.

use crate::key::{Domain, KeyRef};
use crate::workflow::checklist::{self, Check, Outcome};

/// The answer, its fields in the contract's order.
pub struct Explanation {
    pub domain: Domain,
    pub key: Option<KeyRef>,
    pub selectable: Option<bool>,
    pub checks: Vec<Check>,
}

impl Explanation {
    pub fn new(domain: &Domain, key: Option<&KeyRef>, checks: Vec<Check>) -> Self {
        Self { domain: domain.clone(), key: key.cloned(), selectable: checklist::verdict(&checks), checks }
    }

    /// Returns whether a DNS record is not as it should be.
    pub fn lacks_records(&self) -> bool {
        self.checks.iter().any(|it| it.provider.is_some() && it.result == Outcome::Fail)
    }
}
