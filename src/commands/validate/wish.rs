//! What is asked of every key, and when a verdict given before answers it.

use std::collections::BTreeMap;

use super::place;
use super::versions::Versions;
use crate::clock::Span;
use crate::context::Context;
use crate::inventory::Inventory;
use crate::key::{KeyRef, Record, Scope, Verdict};
use crate::state::LastVerdict;

/// What is asked of every key.
#[derive(Clone, Copy)]
pub struct Wish<'w, 'a> {
    /// Permissions each key must be proven to have.
    pub require: &'w [String],
    /// Reuse verdicts younger than this.
    pub max_age: Option<Span>,
    /// The scopes where each key is effective.
    pub places: &'w BTreeMap<&'a KeyRef, Vec<Scope>>,
    /// The versions that the `env` store may hold besides the current ones.
    pub versions: &'a Versions,
}

impl Wish<'_, '_> {
    /// Returns whether a verdict may be used again. One that proved nothing is
    /// never young enough, and one that was judged by other records than now is
    /// not of this question. Whether it is of the same secret only the store can
    /// tell: reading that costs little beside the calls that are saved.
    pub fn is_young(
        &self,
        last: &LastVerdict,
        context: &Context,
        inventory: &Inventory,
        (key, record): (&KeyRef, &Record),
    ) -> bool {
        let Some(max_age) = self.max_age else { return false };
        let age = context.now().as_second() - last.checked_at.as_second();
        let proven = last.verdict != Verdict::Unknown.as_str();
        let young = proven && age >= 0 && age <= max_age.seconds;
        young && last.basis == place::basis(inventory, key, record, self.places)
    }
}
