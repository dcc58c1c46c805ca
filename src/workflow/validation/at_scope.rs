//! What speaks against a key at one scope: the scope's domain must be one that
//! can be chosen with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::Inventory;
use crate::key::{Domain, KeyRef, Kind, Reason, Record, Region, Scope};
use crate::provider;
use crate::workflow::validation::judged::Judged;
use crate::workflow::validation::reduce::against;
use crate::workflow::verdict_memory;

/// The scopes where each key is effective.
pub type Places<'a> = BTreeMap<&'a KeyRef, Vec<Scope>>;

/// Returns the scopes where each key is effective, each scope resolved once.
pub fn all<'a>(inventory: &'a Inventory, keys: &BTreeSet<&KeyRef>) -> BTreeMap<&'a KeyRef, Vec<Scope>> {
    let mut places: BTreeMap<&'a KeyRef, Vec<Scope>> = BTreeMap::new();
    let agencies: BTreeSet<_> = keys.iter().map(|key| &key.scope.agency).collect();
    for (scope, _) in inventory.scopes() {
        if !agencies.contains(&scope.agency) || inventory.sends_elsewhere(&scope) {
            continue;
        }
        for effective in inventory.effective(&scope) {
            if keys.contains(effective.key) {
                // Most keys are effective at one scope.
                let one = || Vec::with_capacity(1);
                places.entry(effective.key).or_insert_with(one).push(scope.clone());
            }
        }
    }
    places
}

/// Returns a digest of what the inventory adds to the verdict of a key.
pub fn basis(
    inventory: &Inventory,
    key: &KeyRef,
    record: &Record,
    places: &BTreeMap<&KeyRef, Vec<Scope>>,
) -> String {
    let scopes = places.get(key).into_iter().flatten();
    let scopes: Vec<(&Scope, Option<Domain>)> =
        scopes.map(|scope| (scope, inventory.domain_at(scope).map(|(domain, _)| domain))).collect();
    verdict_memory::basis(record, &scopes, inventory.us_rule(&key.scope.agency))
}

/// Returns what speaks against a key at a scope with this domain, with a
/// clause that says it.
pub fn judge(one: &Judged<'_>, domain: Option<&Domain>, us_rule: bool) -> Option<(Reason, String)> {
    let sends = provider::provider(one.provider).terms().sends_for_highlevel;
    if !one.judgement.accepted() || !sends {
        return None;
    }
    if let (Kind::Sending | Kind::Smtp, Some(wanted)) = (one.kind, domain) {
        let bound = one.record.and_then(|it| it.domain.as_ref())?;
        return (bound != wanted).then(|| {
            (Reason::DomainNotFound, format!("the key is bound to {bound} and cannot send from {wanted}"))
        });
    }
    let facts = &one.judgement.facts;
    let domains = facts.domains.as_deref()?;
    let Some(wanted) = domain else {
        if !us_rule || one.domains.selectable(true) != Some(0) {
            return not_read(one, &facts.unread_regions, us_rule && one.domains.selectable(true).is_none());
        }
        return Some((Reason::NoVerifiedUsDomain, "no domain of the account can be chosen".to_owned()));
    };
    // The same name may be in both regions: the better one counts.
    let best = domains
        .iter()
        .filter(|it| it.name == *wanted)
        .min_by_key(|it| against(it, us_rule).next().map_or((0, None), |reason| (1, Some(reason))));
    match best {
        Some(fact) => {
            let reason = against(fact, us_rule).next()?;
            Some((reason, format!("{wanted} cannot be chosen ({reason})")))
        }
        None if !facts.unread_regions.is_empty() => not_read(one, &facts.unread_regions, true),
        None => Some((Reason::DomainNotFound, format!("{wanted} is not in the account"))),
    }
}

/// Where the US rule does not count, a domain in the EU is only worth a word.
pub fn eu_hint(one: &Judged<'_>, domain: Option<&Domain>, us_rule: bool) -> Option<String> {
    let wanted = domain.filter(|_| !us_rule && one.judgement.accepted())?;
    let mut held = one.judgement.facts.domains.iter().flatten().filter(|it| it.name == *wanted).peekable();
    held.peek()?;
    held.all(|it| it.against == [Reason::DomainInEu]).then(|| {
        format!("{wanted} is in the EU region: HighLevel could not choose it, if it were used there")
    })
}

/// A list that was needed and could not be read proves nothing.
fn not_read(one: &Judged<'_>, unread: &[Region], needed: bool) -> Option<(Reason, String)> {
    let recorded = one.record.and_then(|it| it.region);
    let elsewhere = recorded.is_some_and(|it| !unread.contains(&it));
    if !needed || unread.is_empty() || elsewhere {
        return None;
    }
    let regions: Vec<String> = unread.iter().map(|it| it.as_str().to_uppercase()).collect();
    Some((Reason::Unreachable, format!("the {} list of domains could not be read", regions.join(" and "))))
}
