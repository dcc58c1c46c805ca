//! Whether a domain can be chosen at a scope, asked live with the key that is
//! effective there: the check before a domain is recorded.

use crate::context::{Context, Usable};
use crate::domain::{SelectableDomain, SendingDomain, UsRule};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Selected};
use crate::key::{Domain, KeyRef, Kind, Record, Scope};
use crate::provider;
use crate::provider::{Credential, DomainListing};

/// What a check before recording found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    Selectable(SelectableDomain),
    /// No key that may list domains is effective there.
    NoKey,
}

/// Returns whether the US rule counts at a scope.
pub fn us_rule(inventory: &Inventory, scope: &Scope) -> UsRule {
    if inventory.us_rule(&scope.agency) { UsRule::Counts } else { UsRule::Waived }
}

/// Returns the account key that HighLevel sends with at a scope, if there is one; a
/// location that is not recorded yet inherits its agency's.
pub fn account_key<'a>(inventory: &'a Inventory, scope: &Scope) -> Option<(&'a KeyRef, &'a Record)> {
    let filter = Filter { provider: Some(provider::sender_for_highlevel()?), ..Filter::default() };
    let known = scope.levels().find(|level| inventory.has_scope(level))?;
    inventory.choose(&Selected::Scope(known), &[Kind::Account], filter).ok()
}

/// Lists the domains that can be seen at a scope with its account key.
///
/// # Errors
/// When the secret cannot be had or the network cannot be set up.
pub fn listing(
    context: &Context,
    inventory: &Inventory,
    scope: &Scope,
) -> anyhow::Result<Option<DomainListing>> {
    let Some((key, record)) = account_key(inventory, scope) else { return Ok(None) };
    let Some(facet) = provider::provider(key.provider).domains() else { return Ok(None) };
    let Usable { secret, record } = context.usable(inventory, key, record)?;
    let credential = Credential {
        kind: record.kind,
        secret: &secret,
        region: record.region,
        domain: None,
        login: None,
        remote_id: record.remote_id.as_deref(),
        account_id: record.account_id.as_deref(),
    };
    Ok(Some(facet.list(context.net()?.by(&credential))))
}

/// Checks that `domain` can be chosen at `scope`.
///
/// # Errors
/// Exit 3 with the reasons when it cannot, exit 4 when that could not be told.
pub fn check(
    context: &Context,
    inventory: &Inventory,
    scope: &Scope,
    domain: &Domain,
) -> anyhow::Result<Checked> {
    let Some(listing) = listing(context, inventory, scope)? else { return Ok(Checked::NoKey) };
    let rule = us_rule(inventory, scope);
    let hint =
        format!("`keyctl domains {scope} --explain {domain}` tells more; --force records it all the same");
    let found: Vec<&SendingDomain> = listing.domains.iter().filter(|it| it.name == *domain).collect();
    let mut against = Vec::new();
    for one in &found {
        match SelectableDomain::check(one, rule) {
            Ok(selectable) => return Ok(Checked::Selectable(selectable)),
            Err(reasons) => against.extend(reasons.iter().map(|it| it.as_str())),
        }
    }
    if let Some((_, trouble)) = listing.troubles.first() {
        let message = format!("whether `{domain}` can be chosen could not be told: {}", trouble.detail);
        return Err(Situation::new(Exit::Unknown, "domains-unreadable", message).hint(hint).into());
    }
    let why = if found.is_empty() { "it is not in the account".to_owned() } else { against.join(", ") };
    let message = format!("`{domain}` cannot be chosen at `{scope}`: {why}");
    Err(Situation::new(Exit::Rejected, "domain-not-selectable", message).hint(hint).into())
}
