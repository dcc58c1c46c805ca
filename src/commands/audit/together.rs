//! Findings that show only when records are seen together: shared secrets,
//! shared domains, locations, rotations, what this machine left undone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::finding::{Finding, Id, Severity};
use crate::clock::{Span, rfc3339, spoken};
use crate::commands::replies;
use crate::context::Context;
use crate::inventory::Inventory;
use crate::key::{Domain, Fingerprint, KeyRef, ProviderId, Reason, Record, Region, Scope};
use crate::rotation::{Rotation, Stage};
use crate::state::{ALLOWLISTS, Verdicts};

/// A rotation that has not moved for this long does not get on by itself.
const STUCK: Span = Span::seconds(7 * 86_400);

type Keys<'a> = BTreeMap<&'a KeyRef, &'a Record>;

/// Returns records that hold a secret which another one holds, too.
pub fn same_secrets(keys: &Keys<'_>) -> Vec<Finding> {
    let mut by_secret: BTreeMap<(ProviderId, &Fingerprint), Vec<&KeyRef>> = BTreeMap::new();
    for (key, record) in keys {
        if let Some(fingerprint) = &record.fingerprint {
            by_secret.entry((key.provider, fingerprint)).or_default().push(key);
        }
    }
    let mut found = Vec::new();
    for group in by_secret.values().filter(|group| group.len() > 1) {
        for (n, key) in group.iter().enumerate() {
            let agency = key.at(Scope::agency(key.scope.agency.clone()));
            let overrides = key.scope.location.is_some() && group.contains(&&agency);
            if overrides {
                let detail = format!("the same secret as `{agency}`, which is in effect here anyway");
                let fix = format!("`keyctl remove {key} --forget`");
                found.push(Finding::on_key(Id::SameAsAgency, key, detail, fix));
            } else if n > 0 {
                let detail = format!("the same secret as `{}`", group[0]);
                let fix =
                    format!("keep one record, or make a key of its own: `keyctl create {key} --replace`");
                found.push(Finding::on_key(Id::SameSecret, key, detail, fix));
            }
        }
    }
    found
}

/// Returns what is wrong with the chosen domains of the scopes, by the last
/// checks: it is in the EU, unfit, or another location's as well.
pub fn domains(
    inventory: &Inventory,
    verdicts: &Verdicts,
    keys: &Keys<'_>,
    scopes: &BTreeSet<Scope>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut told: BTreeSet<String> = BTreeSet::new();
    for (key, record) in keys {
        let Some(last) = verdicts.get(record.id.as_str()) else { continue };
        for (place, unfit) in &last.places {
            let Ok(scope) = place.parse::<Scope>() else { continue };
            let now = inventory.domain_at(&scope).map(|it| it.0.to_string());
            // Of a domain that was chosen since, nothing is known.
            if !scopes.contains(&scope) || !inventory.us_rule(&scope.agency) || now != unfit.domain {
                continue;
            }
            let (domain, reason) = (now.as_deref().unwrap_or("no domain"), &unfit.reason);
            let id = if *reason == Reason::DomainInEu.as_str() { Id::EuDomain } else { Id::DomainUnfit };
            let detail = format!("{domain} ({reason}), as checked at {}", rfc3339(last.checked_at));
            let fix = format!("`keyctl domains {scope}` lists what can be chosen");
            told.insert(scope.to_string());
            found.push(Finding { key: Some((*key).clone()), ..Finding::on_scope(id, &scope, detail, fix) });
        }
        let us_rule = inventory.us_rule(&key.scope.agency);
        let in_eu = us_rule && record.region == Some(Region::Eu) && record.domain.is_some();
        if in_eu && !told.contains(&key.scope.to_string()) {
            let domain = record.domain.as_ref().map_or("", Domain::as_str);
            let detail = format!("it is bound to {domain} in the EU region");
            let fix = format!("make a key for a US domain: `keyctl domains {}`", key.scope);
            found.push(Finding::on_key(Id::EuDomain, key, detail, fix));
        }
    }
    found.extend(shared_domains(inventory, scopes));
    found.extend(inherited_domains(inventory, scopes));
    found
}

/// Locations that inherit a domain share it as well. That is how agencies work
/// whose locations get no mail of strangers: a note at the agency.
fn inherited_domains(inventory: &Inventory, scopes: &BTreeSet<Scope>) -> Vec<Finding> {
    let mut found = Vec::new();
    for scope in scopes.iter().filter(|it| it.location.is_none() && inventory.us_rule(&it.agency)) {
        let Some(domain) = inventory.place(scope).and_then(|it| it.domain.as_ref()) else { continue };
        let users = replies::locations(inventory, domain);
        let inherits = |it: &&Scope| inventory.place(it).is_none_or(|place| place.domain.is_none());
        if users.len() < 2 || !users.iter().any(|it| inherits(&it)) {
            continue;
        }
        let detail = format!(
            "{} locations send from {domain}, by itself or by inheritance: mail of strangers reaches one of them at \
             most",
            users.len()
        );
        let fix =
            "give each location that takes such mail a domain: `keyctl scope set SCOPE --domain DOMAIN`";
        let finding = Finding::on_scope(Id::DomainShared, scope, detail, fix);
        found.push(Finding { severity: Severity::Note, ..finding });
    }
    found
}

fn shared_domains(inventory: &Inventory, scopes: &BTreeSet<Scope>) -> Vec<Finding> {
    let mut at: BTreeMap<&Domain, Vec<Scope>> = BTreeMap::new();
    for (scope, place) in inventory.scopes() {
        if let (Some(domain), Some(_)) = (&place.domain, &scope.location) {
            at.entry(domain).or_default().push(scope);
        }
    }
    let mut found = Vec::new();
    for (domain, places) in at.iter().filter(|(_, places)| places.len() > 1) {
        for scope in places.iter().filter(|it| scopes.contains(it)) {
            let others: Vec<String> =
                places.iter().filter(|it| *it != scope).map(|it| format!("`{it}`")).collect();
            let detail = format!(
                "{domain} is also the domain of {}: cold mail that comes in reaches one of them",
                others.join(", ")
            );
            let fix = format!("`keyctl scope set {scope} --domain DOMAIN`");
            found.push(Finding::on_scope(Id::DomainShared, scope, detail, fix));
        }
    }
    found
}

/// Returns the locations that an import did not find.
pub fn missing(inventory: &Inventory, scopes: &BTreeSet<Scope>) -> Vec<Finding> {
    let missing = inventory
        .scopes()
        .filter(|(scope, place)| (place.gone || place.missing.is_some()) && scopes.contains(scope));
    missing
        .map(|(scope, place)| {
            let ask = format!("`keyctl scope import {} --from highlevel` asks for it", scope.agency);
            let remove = format!("`keyctl scope remove {scope}`");
            match (place.gone, place.missing.map(rfc3339)) {
                (true, Some(since)) => {
                    let detail =
                        format!("HighLevel says that it does not exist any more (missing since {since})");
                    Finding::on_scope(Id::LocationGone, &scope, detail, remove)
                }
                (true, None) => {
                    let detail = "an earlier import did not find it";
                    Finding::on_scope(Id::LocationGone, &scope, detail, format!("{ask}; or {remove}"))
                }
                (false, since) => {
                    let since = since.unwrap_or_default();
                    let detail = format!("no import lists it since {since}; it is still served");
                    Finding::on_scope(Id::LocationMissing, &scope, detail, ask)
                }
            }
        })
        .collect()
}

/// Returns the rotations that could go on, do not get on, or have a retired
/// key that is not proven dead.
pub fn rotations(inventory: &Inventory, keys: &Keys<'_>, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    for rotation in inventory.rotations.values() {
        let Some(key) = rotation.keys.iter().find(|key| keys.contains_key(key)) else { continue };
        found.extend(unproven(rotation, key, now));
        found.extend(overdue(rotation, key, now).or_else(|| stuck(rotation, key, now)));
    }
    found
}

fn unproven(rotation: &Rotation, key: &KeyRef, now: Timestamp) -> Option<Finding> {
    let waits = match rotation.stage {
        Stage::Disabled | Stage::Retiring | Stage::RetiredVerifying => true,
        Stage::Aborted | Stage::RolledBack => {
            rotation.leaving().state.is_some_and(|it| it != crate::rotation::Liveness::Dead)
        }
        _ => false,
    };
    let name = rotation.leaving().last2.as_ref().map_or_else(String::new, |it| format!(" …{it}"));
    waits.then(|| {
        let late = rotation.deadline.is_some_and(|it| it < now);
        let word = if late { "; its deadline has passed" } else { "" };
        let detail = format!("the retired key{name} is not proven dead yet (stage {}){word}", rotation.stage);
        Finding::on_key(Id::NotProvenDead, key, detail, format!("`keyctl rotate {key} --resume`"))
    })
}

fn overdue(rotation: &Rotation, key: &KeyRef, now: Timestamp) -> Option<Finding> {
    let until = rotation.grace_until.filter(|it| *it < now && rotation.stage == Stage::Grace)?;
    let detail = format!("its grace period ended {} ago", spoken(now.as_second() - until.as_second()));
    Some(Finding::on_key(Id::RotationOverdue, key, detail, format!("`keyctl rotate {key} --resume`")))
}

fn stuck(rotation: &Rotation, key: &KeyRef, now: Timestamp) -> Option<Finding> {
    let moved = rotation
        .consumers
        .iter()
        .filter_map(|it| it.at)
        .chain([rotation.started])
        .chain(rotation.switched_at)
        .chain(rotation.used_at)
        .max()?;
    let idle = now.as_second() - moved.as_second();
    let waits_for_time = rotation.stage == Stage::Grace || rotation.stage == Stage::Done;
    if waits_for_time || (idle < STUCK.seconds && rotation.trouble.is_none()) {
        return None;
    }
    let todo: Vec<&str> =
        rotation.consumers.iter().filter(|it| !it.state.is_done()).map(|it| it.name.as_str()).collect();
    let why = match (&rotation.trouble, todo.as_slice()) {
        (Some(trouble), _) => trouble.clone(),
        (None, []) => "nothing has moved".to_owned(),
        (None, names) => format!("waits for {}", names.join(", ")),
    };
    let detail = format!("at stage {} since {}: {why}", rotation.stage, spoken(idle));
    Some(Finding::on_key(Id::RotationStuck, key, detail, format!("`keyctl rotate {key} --status`")))
}

/// Returns what this machine left undone.
pub fn machine(context: &Context, keys: &Keys<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let saved: BTreeMap<String, Value> = context.state.read(ALLOWLISTS);
    let relaxed = keys.iter().filter(|(_, record)| saved.contains_key(record.id.as_str()));
    for key in relaxed.map(|(key, _)| *key) {
        let detail = "the IP allowlist of its account was emptied and not restored";
        found.push(Finding::on_key(
            Id::AllowlistRelaxed,
            key,
            detail,
            format!("`keyctl allowlist {key} --restore`"),
        ));
    }
    if context.inventory_file.readable_by_others() {
        let path = context.inventory_file.path().display().to_string();
        let detail =
            format!("`{path}` tells other users of this machine whose keys there are (no secret is in it)");
        found.push(Finding::anywhere(
            Id::InventoryReadable,
            detail,
            format!("`chmod 600 {path}`, unless it is meant to be shared"),
        ));
    }
    found
}
