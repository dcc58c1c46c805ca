//! Which records rotate together: those that hold the same secret. What is
//! left of one of them would be a dead copy of the other.

use std::collections::BTreeSet;

use crate::context::{Context, Slot};
use crate::inventory::{Inventory, Mark};
use crate::key::{KeyRef, KeyState, Record};

/// Returns the selected keys in groups, each with every other record of the
/// same secret, sorted.
pub fn groups(context: &Context, inventory: &Inventory, keys: &BTreeSet<KeyRef>) -> Vec<Vec<KeyRef>> {
    let mut seen = BTreeSet::new();
    let mut groups = Vec::new();
    for key in keys {
        if seen.contains(key) {
            continue;
        }
        let group = joined(context, inventory, key);
        seen.extend(group.iter().cloned());
        groups.push(group);
    }
    groups
}

fn joined(context: &Context, inventory: &Inventory, key: &KeyRef) -> Vec<KeyRef> {
    let Some(record) = inventory.keys.get(key) else { return vec![key.clone()] };
    // Only what is marked alike can be the same.
    let mark = match (&record.fingerprint, &record.login) {
        (Some(fingerprint), _) => Mark::Fingerprint(fingerprint.clone()),
        (None, Some(login)) => Mark::Login(key.provider, login.clone()),
        (None, None) => return vec![key.clone()],
    };
    let others = inventory.keys.marked(&mark).filter(|(other, it)| {
        *other != key
            && other.provider == key.provider
            && it.kind == record.kind
            && it.state != KeyState::Pending
            && same(context, inventory, (key, record), (other, it))
    });
    let mut group: Vec<KeyRef> = others.map(|(other, _)| other.clone()).collect();
    group.push(key.clone());
    group.sort();
    group
}

/// Fingerprints decide; a password that a person may have chosen has none, so
/// for one login the secrets themselves are compared.
fn same(
    context: &Context,
    inventory: &Inventory,
    (key, record): (&KeyRef, &Record),
    (other, it): (&KeyRef, &Record),
) -> bool {
    match (&record.fingerprint, &it.fingerprint) {
        (Some(one), Some(two)) => one == two,
        (None, None) if record.login.is_some() && record.login == it.login => {
            let read = |key, record| context.secret(inventory, key, record, Slot::Current).ok().flatten();
            let secrets = read(key, record).zip(read(other, it));
            secrets.is_some_and(|(one, two)| one.fingerprint() == two.fingerprint())
        }
        _ => false,
    }
}
