//! Every question that is asked, one row each: its words, and whether `--yes`
//! or an option of its own answers it. Consent agrees to what was shown;
//! testimony is what only a person can know.

/// A question of consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentQuestion {
    /// Rotations as their plans were shown.
    Rotate {
        what: String,
    },
    /// The old key dies before every place has the new one.
    KillNow,
    /// Further locations, after the first one; `named`: the key was named.
    WriteLocations {
        rest: usize,
        named: bool,
    },
    PushLocations {
        key: String,
        count: usize,
    },
    /// A program from the inventory gets a key.
    RunProgram {
        consumer: String,
        program: String,
    },
    /// A secret stays in the terminal's history.
    ShowSecret,
    SwitchOff {
        key: String,
        provider: String,
        used_by: String,
    },
    DeleteKey {
        key: String,
        provider: String,
        used_by: String,
    },
    SaveRefusedKey,
    EmptyAllowlist {
        key: String,
        entries: String,
    },
    VerifyDomain {
        provider: String,
        domain: String,
    },
    RemoveAgency {
        name: String,
        locations: usize,
    },
    MoveSecrets {
        from: String,
        to: String,
    },
    ReplaceFile {
        path: String,
    },
}

impl ConsentQuestion {
    /// Returns whether `--yes` answers it.
    pub fn is_answered_by_yes(&self) -> bool {
        match self {
            Self::Rotate { .. }
            | Self::PushLocations { .. }
            | Self::ShowSecret
            | Self::SwitchOff { .. }
            | Self::DeleteKey { .. }
            | Self::EmptyAllowlist { .. }
            | Self::VerifyDomain { .. }
            | Self::RemoveAgency { .. }
            | Self::MoveSecrets { .. }
            | Self::ReplaceFile { .. } => true,
            // A job that resumes everything has not seen the first location.
            Self::WriteLocations { named, .. } => *named,
            // `--kill-now`, an approval at a prompt and `--force` are said by themselves.
            Self::KillNow | Self::RunProgram { .. } | Self::SaveRefusedKey => false,
        }
    }

    /// Returns the question in words, without the way to answer.
    pub fn words(&self) -> String {
        match self {
            Self::Rotate { what } => format!("Rotate {what}?"),
            Self::KillNow => "Delete the old key at once, before every place has the new one?".to_owned(),
            Self::WriteLocations { rest, .. } => {
                format!("The first location is written. Go on with {rest} more?")
            }
            Self::PushLocations { key, count } => format!("Write `{key}` to {count} locations?"),
            Self::RunProgram { consumer, program } => format!(
                "The consumer `{consumer}` runs this program and gives it the key:\n  {program}\nAllow it on this machine?"
            ),
            Self::ShowSecret => "  It stays visible in this terminal's history. Show it?".to_owned(),
            Self::SwitchOff { key, provider, used_by } => {
                format!("Switch `{key}` off at {provider}{used_by}?")
            }
            Self::DeleteKey { key, provider, used_by } => {
                format!("Delete `{key}` at {provider}?{used_by} This cannot be undone.")
            }
            Self::SaveRefusedKey => "Save it all the same?".to_owned(),
            Self::EmptyAllowlist { key, entries } => format!(
                "Delete {entries} of the IP allowlist of `{key}`, so that every address may use the account \
                 until you restore it?"
            ),
            Self::VerifyDomain { provider, domain } => format!(
                "Have {provider} check the DNS of {domain} again? Until it is through, the domain may count as \
                 unverified"
            ),
            Self::RemoveAgency { name, locations } => {
                format!("remove the agency {name} and its {locations} locations from the inventory?")
            }
            Self::MoveSecrets { from, to } => {
                format!("Copy every secret from {from} to {to}, use the copies and delete them from {from}?")
            }
            Self::ReplaceFile { path } => format!("`{path}` exists; replace it?"),
        }
    }
}

/// A question of fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestimonyQuestion {
    /// The step in the vendor's console that was just shown; the key is tried
    /// afterwards.
    StepDone,
    /// The key that is to go is deleted; nothing can tell it.
    Deleted { key: Option<String> },
    /// No key was made in the console, or it is deleted again.
    NotMade,
    /// A key that was given was made for this rotation, and is to end.
    GivenForRotation { key: String },
    /// Nothing uses the old key; no log can tell it.
    Unused { key: String },
    /// The key was switched off or on in the console.
    Switched { key: String, how: &'static str },
}

impl TestimonyQuestion {
    /// Returns the option that says it without a terminal.
    pub fn option(&self) -> Option<&'static str> {
        match self {
            Self::StepDone | Self::Deleted { .. } | Self::Switched { .. } => Some("--done"),
            Self::NotMade => Some("--not-made"),
            Self::GivenForRotation { .. } => None,
            Self::Unused { .. } => Some("--unused"),
        }
    }

    /// Returns the question in words, without the way to answer.
    pub fn words(&self) -> String {
        match self {
            Self::StepDone => "Done?".to_owned(),
            Self::Deleted { key: None } => "Is it deleted?".to_owned(),
            Self::Deleted { key: Some(key) } => format!("Is `{key}` deleted?"),
            Self::NotMade => "Was no key made, or is it deleted again?".to_owned(),
            Self::GivenForRotation { key } => {
                format!("Was the key{key} made for this rotation, and is to end?")
            }
            Self::Unused { key } => format!("Do you know that nothing uses the old key of `{key}` any more?"),
            Self::Switched { key, how } => format!("Is `{key}` {how}?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_answers_no_question_that_is_said_by_itself() {
        assert!(ConsentQuestion::Rotate { what: "it".to_owned() }.is_answered_by_yes());
        for question in [
            ConsentQuestion::KillNow,
            ConsentQuestion::SaveRefusedKey,
            ConsentQuestion::WriteLocations { rest: 2, named: false },
            ConsentQuestion::RunProgram { consumer: String::new(), program: String::new() },
        ] {
            assert!(!question.is_answered_by_yes(), "{question:?}");
        }
        assert!(ConsentQuestion::WriteLocations { rest: 2, named: true }.is_answered_by_yes());
    }

    #[test]
    fn nobody_leaves_every_question_open() {
        use super::super::{Consent, Operator as _, Testimony, Unattended};
        assert_eq!(Unattended.consent(&ConsentQuestion::KillNow), Consent::NoOne);
        assert_eq!(Unattended.testimony(&TestimonyQuestion::NotMade), Testimony::NoOne);
    }
}
