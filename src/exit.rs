//! Exit codes, how several merge into one, and the map from errors.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; every key asked about is fit |
//! | 1 | the operation failed for a reason not below |
//! | 2 | usage or configuration error |
//! | 3 | rejected, none selectable, proven not so, findings |
//! | 4 | unknown: nothing was proven |
//! | 5 | only limited keys, with `--strict` |
//! | 6 | a human must act before it can go on |
//! | 7 | the secret store is locked, missing or cannot be written |
//! | 8 | no such key, scope or secret; nothing selected |
//! | 9 | refused: needs a word of consent, or the state forbids it |
//! | 64 | meant for the kernel keyring's `keyctl(1)` |
//! | 130 | interrupted |

use std::fmt;

/// Ends the process beside threads that cannot be stopped. What has to be
/// written is written before.
#[expect(clippy::exit, reason = "a thread that waits for a silent host cannot be joined")]
pub fn leave(exit: Exit) -> ! {
    std::process::exit(i32::from(exit.code()))
}

/// An exit code of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    Done,
    Failed,
    Usage,
    Rejected,
    Unknown,
    Limited,
    Human,
    Store,
    Missing,
    Refused,
    WrongProgram,
    Interrupted,
    /// Of a program that ran in this one's place, or could not: 126, 127.
    Child(u8),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Rejected => 3,
            Self::Unknown => 4,
            Self::Limited => 5,
            Self::Human => 6,
            Self::Store => 7,
            Self::Missing => 8,
            Self::Refused => 9,
            Self::WrongProgram => 64,
            Self::Interrupted => 130,
            Self::Child(code) => code,
        }
    }

    /// Returns the code that speaks for several results: 1, 2, 7, 3, 4, 6, 5, 0
    /// in this order; codes outside that list come first.
    pub fn merge(codes: impl IntoIterator<Item = Exit>) -> Exit {
        const ORDER: [Exit; 8] = [
            Exit::Failed,
            Exit::Usage,
            Exit::Store,
            Exit::Rejected,
            Exit::Unknown,
            Exit::Human,
            Exit::Limited,
            Exit::Done,
        ];
        let rank = |code: Exit| ORDER.iter().position(|it| *it == code).map_or(0, |at| at + 1);
        codes.into_iter().min_by_key(|code| rank(*code)).unwrap_or(Exit::Done)
    }
}

/// A situation a command ends in, with what to do next. This is the only
/// error type with a meaning for the exit code; anything else is code 1.
#[derive(Debug)]
pub struct Situation {
    pub exit: Exit,
    /// A stable kebab-case word, `error.code` in JSON.
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Situation {
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), hint: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A bad flag or combination of flags.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// No such key, scope or secret, or nothing selected.
    pub fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::Missing, code, message)
    }

    /// Something that needs a word of consent.
    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, code, message)
    }

    /// A human must act first.
    pub fn human(message: impl Into<String>) -> Self {
        Self::new(Exit::Human, "human-needed", message)
    }

    /// The operation failed.
    pub fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, code, message)
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Situation {}

impl From<crate::store::StoreError> for Situation {
    fn from(error: crate::store::StoreError) -> Self {
        let hint = error.remedy;
        Self { exit: Exit::Store, code: error.problem.as_str(), message: error.message, hint }
    }
}

/// Returns the situation in an error chain, or a plain failure around it.
pub fn situation(error: &anyhow::Error) -> (Exit, &'static str, String, Option<String>) {
    match error.chain().find_map(|cause| cause.downcast_ref::<Situation>()) {
        Some(found) => (found.exit, found.code, format!("{error:#}"), found.hint.clone()),
        None => (Exit::Failed, "failed", format!("{error:#}"), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_results_merge_in_the_order_of_the_contract() {
        assert_eq!(Exit::merge([Exit::Done, Exit::Unknown, Exit::Rejected]), Exit::Rejected);
        assert_eq!(Exit::merge([Exit::Human, Exit::Limited]), Exit::Human);
        assert_eq!(Exit::merge([Exit::Store, Exit::Rejected]), Exit::Store);
        assert_eq!(Exit::merge([]), Exit::Done);
    }
}
