//! What a key may do at its provider: the seam between Klaviyo's scopes and
//! the commands.

use super::{Credential, Net, Provider, Trouble};
use crate::key::Judgement;

/// Whether a key has one permission, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionState {
    pub name: String,
    /// `None`: unknown.
    pub granted: Option<bool>,
    pub how: String,
}

/// Tells what a key may do at its provider.
pub trait Permissions: Sync {
    /// Returns the state of `wanted`, or of all the provider has when empty.
    /// `probe_write`: also tries writes that change nothing.
    fn check(
        &self,
        net: &Net<'_>,
        credential: &Credential<'_>,
        wanted: &[String],
        probe_write: bool,
    ) -> Result<Vec<PermissionState>, Trouble>;

    /// Returns a permission's one spelling; the error lists what is known.
    ///
    /// # Errors
    /// Names no such permission.
    fn normalise(&self, name: &str) -> Result<String, String>;

    /// Returns what `METHOD /path` needs, offline; `None`: no such route.
    fn needed_for(&self, method: &str, path: &str) -> Option<Vec<String>>;
}

/// Asks for the permissions `needed` of an accepted key whose check did not
/// tell them all, and puts them into the facts of `judgement`.
pub fn prove(
    provider: &dyn Provider,
    net: &Net<'_>,
    credential: &Credential<'_>,
    needed: &[String],
    judgement: &mut Judgement,
) {
    let Some(facet) = provider.permissions() else { return };
    if !judgement.accepted() || judgement.facts.permissions.is_some() || needed.is_empty() {
        return;
    }
    let mut names: Vec<String> =
        needed.iter().map(|it| facet.normalise(it).unwrap_or_else(|_| it.clone())).collect();
    names.sort();
    names.dedup();
    // A trouble leaves them unknown, which the judge tells from missing.
    if let Ok(states) = facet.check(net, credential, &names, false) {
        judgement.facts.proven = states.into_iter().map(|it| (it.name, it.granted)).collect();
    }
}
