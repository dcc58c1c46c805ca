//! What a key may do at its provider: the seam between Klaviyo's scopes,
//! Mailgun's roles and the commands.

use super::{Call, Outcome};
use crate::key::Reason;
use crate::key::verdict::Facts;

/// Whether a key has one permission, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionState {
    pub name: String,
    /// `None`: unknown.
    pub granted: Option<bool>,
    pub how: String,
    /// Why it could not be asked now; `None` where it was, or where no call tells.
    pub trouble: Option<Reason>,
}

impl PermissionState {
    /// Returns what was told by a list or an answer.
    pub fn told(name: impl Into<String>, granted: bool, how: impl Into<String>) -> Self {
        Self { name: name.into(), granted: Some(granted), how: how.into(), trouble: None }
    }

    /// Returns what no call tells.
    pub fn unknown(name: impl Into<String>, how: impl Into<String>) -> Self {
        Self { name: name.into(), granted: None, how: how.into(), trouble: None }
    }

    /// Returns what could not be asked.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.trouble = Some(reason);
        self
    }
}

/// Tells what a key may do at its provider.
pub trait Permissions: Sync {
    /// Returns the state of `wanted`, or of all the provider has when empty.
    /// `probe_write`: also tries writes that change nothing.
    fn check(&self, call: Call<'_>, wanted: &[String], probe_write: bool) -> Outcome<Vec<PermissionState>>;

    /// Returns the state of permissions that another key of the same account was
    /// seen to use: a refusal then is not the plan's.
    fn compare(&self, call: Call<'_>, held: &[String]) -> Outcome<Vec<PermissionState>>;

    /// Returns the state of `wanted` as far as a check told it already, without
    /// another call; `None`: it told nothing of permissions.
    fn told(&self, facts: &Facts, wanted: &[String]) -> Option<Vec<PermissionState>> {
        let held = facts.permissions.as_ref()?;
        let state = |name: &String| {
            let name = self.normalise(name).unwrap_or_else(|_| name.clone());
            let granted = held.contains(&name);
            PermissionState::told(name, granted, "the provider's list of keys")
        };
        Some(wanted.iter().map(state).collect())
    }

    /// Returns a permission's one spelling; the error lists what is known.
    fn normalise(&self, name: &str) -> Result<String, String>;

    /// Returns the names that words such as `read-only` and `full` stand for,
    /// and all others in their one spelling, each once.
    fn expand(&self, asked: &[String]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in asked {
            let name = self.normalise(name).unwrap_or_else(|_| name.clone());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns what `METHOD /path` needs, offline; `None`: no such route.
    fn needed_for(&self, method: &str, path: &str) -> Option<Vec<String>>;
}
