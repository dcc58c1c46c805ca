//! Where a push into HighLevel goes: which location, with which domain, by
//! which token.

use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Selected};
use crate::key::{Consumer, Domain, KeyRef, Kind, ProviderId, Scope};
use crate::provider;
use crate::workflow::consumers::handover::Failed;

/// Where a push goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub location: Scope,
    pub location_id: String,
    pub company_id: Option<String>,
    pub domain: Domain,
    /// The token that writes it.
    pub token: KeyRef,
}

/// Returns where a consumer's pushes go.
///
/// # Errors
/// What the inventory does not say.
pub fn target(inventory: &Inventory, key: &KeyRef, consumer: &Consumer) -> Result<Target, Failed> {
    let record = inventory.keys.get(key);
    let taken = provider::provider(key.provider).terms().sends_for_highlevel;
    if !taken || record.is_some_and(|it| it.kind == Kind::Smtp) {
        return Err(Failed::new(format!("HighLevel takes Mailgun's API keys only, and `{key}` is none")));
    }
    let location =
        consumer.location.clone().or_else(|| key.scope.location.is_some().then(|| key.scope.clone()));
    let Some(location) = location.filter(|it| it.location.is_some()) else {
        return Err(Failed::new(format!("the consumer `{}` names no location", consumer.name))
            .hint("add it with `--location AGENCY/LOCATION`"));
    };
    let location_id = inventory.place(&location).and_then(|it| it.highlevel_id.clone()).ok_or_else(|| {
        Failed::new(format!("the HighLevel id of `{location}` is not recorded"))
            .hint(format!("`keyctl scope set {location} --highlevel-id ID`, or import the locations"))
    })?;
    let own = record.and_then(|it| it.domain.clone());
    let domain =
        own.or_else(|| inventory.domain_at(&location).map(|(domain, _)| domain)).ok_or_else(|| {
            Failed::new(format!("no domain is recorded for `{location}`"))
                .hint(format!("`keyctl scope set {location} --domain DOMAIN`"))
        })?;
    let agency = Scope::agency(location.agency.clone());
    let filter = Filter { provider: Some(ProviderId::Highlevel), ..Filter::default() };
    let token = inventory.choose(&Selected::Scope(agency.clone()), &[Kind::Agency], filter);
    let (token, _) = token.map_err(|error| {
        Failed::new(format!("no HighLevel token of `{agency}` can write the location: {error}"))
            .hint(format!("`keyctl add highlevel@{agency}` (a token with locations.write)"))
    })?;
    Ok(Target {
        location_id,
        company_id: inventory.place(&agency).and_then(|it| it.highlevel_id.clone()),
        domain,
        token: token.clone(),
        location,
    })
}
