//! Which key is effective where the domain is used, by the inventory. What
//! HighLevel really uses cannot be asked.

use crate::inventory::Inventory;
use crate::key::resolve::Effective;
use crate::key::{KeyRef, Scope};
use crate::workflow::checklist::Check;
use crate::workflow::domains::explain::explained::Explained;
use crate::workflow::domains::inbound_route;

/// Where a person looks (help.gohighlevel.com, 48001209681).
const WHERE: &str = "HighLevel cannot be asked which key it uses; look there: agency view › Settings › Email \
                     Services, tab Domain Service (agency) or Location Settings (each location), \
                     https://app.gohighlevel.com/settings/email_services";

/// The key that was asked with is the one in effect where the domain is used.
pub fn level(it: &Explained<'_>) -> Check {
    let id = "level";
    let (Some(inventory), Some(key), Some(scope)) = (it.inventory, &it.target.key, &it.target.scope) else {
        return Check::unclear(id).found("the key is in no inventory").fix(WHERE);
    };
    // Other locations decide for themselves when one was asked about.
    let scopes = match scope.location {
        Some(_) => vec![scope.clone()],
        None => {
            let users = inbound_route::locations(inventory, it.domain);
            users.into_iter().filter(|it| it.agency == scope.agency).collect()
        }
    };
    let elsewhere: Vec<String> = scopes
        .iter()
        .filter_map(|at| Some((at, in_effect(inventory, at, it)?)))
        .filter(|(_, effective)| effective.key != key)
        .map(|(at, effective)| format!("at `{at}`, `{}` is in effect", effective.key))
        .collect();
    let check = if elsewhere.is_empty() {
        Check::pass(id).found(told(inventory, scope, key, it))
    } else {
        Check::fail(id).found(elsewhere.join("; "))
    };
    let expected = format!("`{key}` is the key in effect where {} is used", it.domain);
    check.expected(expected).fix(WHERE)
}

fn in_effect<'a>(inventory: &'a Inventory, scope: &Scope, it: &Explained<'_>) -> Option<Effective<'a>> {
    let found = inventory.effective(scope).into_iter();
    let mut same: Vec<_> = found
        .filter(|effective| {
            effective.key.provider == it.target.provider && effective.record.kind == it.target.kind
        })
        .collect();
    // Of several labels the one that was asked with is in effect, too.
    same.sort_by_key(|effective| {
        (Some(effective.key) != it.target.key.as_ref(), effective.key.label.is_some())
    });
    same.first().copied()
}

fn told(inventory: &Inventory, scope: &Scope, key: &KeyRef, it: &Explained<'_>) -> String {
    let overrides = in_effect(inventory, scope, it).filter(|it| it.key == key).and_then(|it| it.overrides);
    match overrides {
        Some(other) => format!("`{key}` is in effect at `{scope}`, in place of `{other}`"),
        None if key.scope == *scope => format!("`{key}` is in effect at `{scope}`"),
        None => format!("`{key}` is in effect at `{scope}`, inherited from `{}`", key.scope),
    }
}
