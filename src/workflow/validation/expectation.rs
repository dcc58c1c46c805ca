//! What a validation is expected to find, and which verdicts count as failure.

use crate::key::kind::fixed_words;

/// What `--expect` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Rejected,
}

impl Expect {
    pub const ALL: [Self; 1] = [Self::Rejected];
    pub fn as_str(self) -> &'static str {
        "rejected"
    }
}

/// What `--fail-on` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailOn {
    Rejected,
    Unknown,
    Limited,
}

impl FailOn {
    pub const ALL: [Self; 3] = [Self::Rejected, Self::Unknown, Self::Limited];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Limited => "limited",
        }
    }
}

fixed_words!(Expect, "expectation");
fixed_words!(FailOn, "verdict to fail on");
