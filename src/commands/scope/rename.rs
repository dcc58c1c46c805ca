//! `scope rename`: everything recorded under a name moves with it. Secrets stay
//! where they are: the store knows records, not names.

use super::tell;
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{KeyRef, Name, Scope};

/// Renames an agency or a location.
///
/// # Errors
/// Exit 8 when it is not known, exit 9 when the new name is taken.
pub fn run(scope: &Scope, new: &str, context: &Context) -> anyhow::Result<Exit> {
    let target = target(scope, new)?;
    context.update(|inventory| {
        inventory.need_scope(scope)?;
        if target == *scope {
            return Err(Situation::usage(format!("`{scope}` already has that name")).into());
        }
        if inventory.has_scope(&target) {
            return Err(Situation::refused("scope-exists", format!("there is a scope `{target}` already"))
                .hint(format!("take another name, or remove it first: `keyctl scope remove {target}`"))
                .into());
        }
        rename(inventory, scope, &target);
        Ok(())
    })?;
    context.console.note(format!("`{scope}` is now `{target}`"));
    tell::changed(&target, context)
}

fn target(scope: &Scope, new: &str) -> Result<Scope, Situation> {
    let usage = |error: String| Situation::usage(error);
    match &scope.location {
        Some(_) if !new.contains('/') => {
            let name = Name::parse(new).map_err(|error| usage(error.to_string()))?;
            Ok(Scope { agency: scope.agency.clone(), location: Some(name) })
        }
        _ => {
            let target: Scope = new
                .parse()
                .map_err(|error: crate::key::reference::ReferenceError| usage(error.to_string()))?;
            if target.location.is_some() != scope.location.is_some()
                || (scope.location.is_some() && target.agency != scope.agency)
            {
                return Err(usage(format!("`{scope}` cannot become `{target}`"))
                    .hint("an agency stays an agency, a location stays in its agency; move single keys with `keyctl rename`"));
            }
            Ok(target)
        }
    }
}

fn moved(held: &Scope, from: &Scope, to: &Scope) -> Option<Scope> {
    if !from.covers(held) {
        return None;
    }
    let location = if from.location.is_some() { to.location.clone() } else { held.location.clone() };
    Some(Scope { agency: to.agency.clone(), location })
}

fn rename(inventory: &mut Inventory, from: &Scope, to: &Scope) {
    match (&from.location, &to.location) {
        (Some(old), Some(new)) => {
            if let Some(agency) = inventory.agencies.get_mut(&from.agency)
                && let Some(place) = agency.locations.remove(old)
            {
                agency.locations.insert(new.clone(), place);
            }
        }
        _ => {
            if let Some(agency) = inventory.agencies.remove(&from.agency) {
                inventory.agencies.insert(to.agency.clone(), agency);
            }
        }
    }
    if let Some(default) = inventory.default_scope.as_ref().and_then(|held| moved(held, from, to)) {
        inventory.default_scope = Some(default);
    }
    rename_keys(inventory, from, to);
}

fn rename_keys(inventory: &mut Inventory, from: &Scope, to: &Scope) {
    let new_ref = |key: &KeyRef| moved(&key.scope, from, to).map(|scope| key.at(scope));
    let affected: Vec<KeyRef> =
        inventory.keys.keys().filter(|key| from.covers(&key.scope)).cloned().collect();
    for key in affected {
        if let (Some(record), Some(target)) = (inventory.keys.remove(&key), new_ref(&key)) {
            inventory.keys.insert(target, record);
        }
    }
    for record in inventory.keys.values_mut() {
        for consumer in &mut record.consumers {
            let scope = consumer.location.as_ref().and_then(|held| moved(held, from, to));
            consumer.location = scope.or(consumer.location.take());
        }
        if let Some(using) = record.create_call.as_mut().and_then(|it| it.using.as_mut()) {
            *using = new_ref(using).unwrap_or_else(|| using.clone());
        }
    }
    for rotation in inventory.rotations.values_mut() {
        let refs = rotation.keys.iter_mut().chain(rotation.using.iter_mut());
        for key in refs.chain(rotation.consumers.iter_mut().map(|it| &mut it.key)) {
            if let Some(target) = new_ref(key) {
                *key = target;
            }
        }
        rotation.keys.sort();
    }
    for waiver in &mut inventory.waivers {
        if let Some(target) = waiver.key.as_ref().and_then(new_ref) {
            waiver.key = Some(target);
        }
        if let Some(scope) = waiver.scope.as_ref().and_then(|held| moved(held, from, to)) {
            waiver.scope = Some(scope);
        }
    }
}
