//! What the provider says of one domain: the lists of the account, the domain
//! itself on each host, the IP allowlist, the inbound routes. Everything that
//! does not need another answer first is asked at the same time.

use crate::context::Context;
use crate::domain::{SendingDomain, UsRule};
use crate::key::{Domain, Region};
use crate::provider;
use crate::provider::{AllowlistEntry, DomainListing, Net, Trouble};
use crate::workflow::domains::inbound_route::Routes;
use crate::workflow::domains::keys_to_ask;
use crate::workflow::domains::keys_to_ask::Target;
use crate::workflow::{provider_failure, worker_pool};

/// Whether the domain is in one region of the account (or in the account,
/// where the provider has no regions).
pub enum Presence {
    Here(Box<SendingDomain>),
    Absent,
    Unknown(Trouble),
}

/// What was seen.
pub struct Seen {
    pub listing: DomainListing,
    pub presence: Vec<(Option<Region>, Presence)>,
    /// `None`: the provider has no such list.
    pub allowlist: Option<Result<Vec<AllowlistEntry>, Trouble>>,
    pub routes: Option<Result<Routes, Trouble>>,
    rule: UsRule,
}

impl Seen {
    /// Asks everything.
    pub fn ask(context: &Context, net: &Net<'_>, target: &Target, domain: &Domain) -> Self {
        let weigh = |trouble| provider_failure::weighed(context, target.record(), trouble);
        let vendor = provider::provider(target.provider);
        let credential = target.credential();
        let regions: Vec<Option<Region>> = vendor.terms().regions.iter().copied().map(Some).collect();
        let (listing, allowlist, shown) = std::thread::scope(|scope| {
            let listing = scope.spawn(|| vendor.domains().map(|it| it.list(net.by(&credential))));
            let allowlist = scope.spawn(|| vendor.allowlist().map(|it| it.read(net.by(&credential))));
            let show = |region: &Option<Region>| {
                vendor.domains().map(|it| it.show(net.by(&credential), domain, *region))
            };
            let shown = worker_pool::each(&regions, regions.len(), show);
            (worker_pool::joined(listing), worker_pool::joined(allowlist), shown)
        });
        let mut listing = listing.unwrap_or_default();
        for (_, trouble) in &mut listing.troubles {
            *trouble = weigh(trouble.clone());
        }
        let mut presence: Vec<(Option<Region>, Presence)> = regions
            .iter()
            .zip(shown)
            .map(|(region, shown)| (*region, merged(&listing, domain, *region, shown.unwrap_or(Ok(None)))))
            .collect();
        if presence.is_empty() {
            presence.push((None, alone(net, target, &listing, domain)));
        }
        for (_, one) in &mut presence {
            if let Presence::Unknown(trouble) = one {
                *trouble = weigh(trouble.clone());
            }
        }
        let allowlist = allowlist.map(|it| it.map_err(weigh));
        let mut seen = Self { listing, presence, allowlist, routes: None, rule: target.rule };
        // Routes are per region; HighLevel's is the US one.
        let region = seen.domain().and_then(|it| it.region).unwrap_or(Region::Us);
        seen.routes = vendor.inbound().map(|it| Routes::ask(it, net, &credential, domain, region));
        seen
    }

    /// Returns the domain: of the US region first, which is the one that counts.
    pub fn domain(&self) -> Option<&SendingDomain> {
        self.presence.iter().find_map(|(_, it)| match it {
            Presence::Here(domain) => Some(domain.as_ref()),
            Presence::Absent | Presence::Unknown(_) => None,
        })
    }

    /// Returns the first trouble that leaves open whether the domain is there.
    pub fn doubt(&self) -> Option<&Trouble> {
        self.presence.iter().find_map(|(_, it)| match it {
            Presence::Unknown(trouble) => Some(trouble),
            Presence::Here(_) | Presence::Absent => None,
        })
    }

    pub fn rule(&self) -> UsRule {
        self.rule
    }
}

/// Makes one of what the list and the domain itself told.
fn merged(
    listing: &DomainListing,
    domain: &Domain,
    region: Option<Region>,
    shown: Result<Option<SendingDomain>, Trouble>,
) -> Presence {
    let listed = listing.domains.iter().find(|it| it.name == *domain && it.region == region);
    let whole = !listing.troubles.iter().any(|(it, _)| *it == region);
    match (shown, listed) {
        (Ok(Some(found)), _) => Presence::Here(Box::new(found)),
        (_, Some(listed)) => Presence::Here(Box::new(listed.clone())),
        (Ok(None), None) => Presence::Absent,
        (Err(_), None) if whole => Presence::Absent,
        (Err(trouble), None) => Presence::Unknown(trouble),
    }
}

/// A provider without regions: the list may hold the records already, and
/// asking costs calls that are scarce.
fn alone(net: &Net<'_>, target: &Target, listing: &DomainListing, domain: &Domain) -> Presence {
    let listed = listing.domains.iter().find(|it| it.name == *domain);
    match listed {
        Some(listed) if listed.records.is_some() => return Presence::Here(Box::new(listed.clone())),
        None if listing.troubles.is_empty() => return Presence::Absent,
        Some(_) | None => {}
    }
    let shown = match keys_to_ask::facet(target.provider) {
        Ok(facet) => facet.show(net.by(&target.credential()), domain, None),
        Err(_) => Ok(None),
    };
    merged(listing, domain, None, shown)
}
