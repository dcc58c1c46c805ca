//! The domains a key can see: the seam between the vendors and the commands.

use super::{Call, Outcome, Trouble};
use crate::domain::SendingDomain;
use crate::key::{Domain, Kind, Region};

/// Domains, as far as they could be read.
#[derive(Debug, Clone, Default)]
pub struct DomainListing {
    pub domains: Vec<SendingDomain>,
    /// Parts that could not be read (a region, a page), each with why. A
    /// listing with trouble proves presence, never absence.
    pub troubles: Vec<(Option<Region>, Trouble)>,
}

/// Lists the domains a key can see.
pub trait DomainList: Sync {
    /// Returns whether keys of this kind may list domains at all.
    fn may_list(&self, kind: Kind) -> bool;

    /// Returns all domains of all regions, all pages.
    fn list(&self, call: Call<'_>) -> DomainListing;

    /// Returns one domain with its DNS records; `Ok(None)`: not in the account
    /// (in that region).
    fn show(&self, call: Call<'_>, domain: &Domain, region: Option<Region>)
    -> Outcome<Option<SendingDomain>>;

    /// Asks the provider to check DNS again: a change at the provider.
    fn verify(&self, call: Call<'_>, domain: &Domain, region: Option<Region>) -> Outcome<SendingDomain>;
}
