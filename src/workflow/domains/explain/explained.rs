//! What the checks of one domain have at hand.

use crate::inventory::Inventory;
use crate::key::Domain;
use crate::workflow::domains::explain::provider_answers::Seen;
use crate::workflow::domains::keys_to_ask::Target;

/// What the checks are made of.
pub struct Explained<'a> {
    pub domain: &'a Domain,
    pub target: &'a Target,
    pub inventory: Option<&'a Inventory>,
    pub seen: &'a Seen,
}
