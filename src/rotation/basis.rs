//! On what a statement about a key stands: what is kept of it with the rotation.
//! Knowledge itself is `workflow::evidence::Evidence`, which is made from a fresh
//! look or a person's word, never from what is stored here.

use jiff::Timestamp;

use crate::key::kind::fixed_words;

/// Where knowledge came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The provider said it of this very thing.
    Answer,
    /// Another key of the account, or a whole listing, speaks for it.
    Witness,
    /// A person said it of this thing.
    Testimony,
}

impl Source {
    pub const ALL: [Self; 3] = [Self::Answer, Self::Witness, Self::Testimony];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Witness => "witness",
            Self::Testimony => "testimony",
        }
    }
}
fixed_words!(Source, "source of evidence");

/// What is kept of a piece of evidence: no secret, and nothing to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// What it says: `the old key is dead`.
    pub of: String,
    pub source: Source,
    /// Who said it: a person, a key ref, a provider.
    pub by: String,
    pub at: Timestamp,
    pub detail: String,
}
