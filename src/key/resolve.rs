//! Which key is effective at a scope, and why.
//!
//! Decided per provider, kind and label: the nearest level that has one wins,
//! location before agency. Disabled and pending records are not effective.

use std::collections::BTreeMap;

use super::kind::{Kind, ProviderId};
use super::record::{KeyState, Record};
use super::reference::{KeyRef, Scope};

/// Where an effective key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Recorded at the scope itself.
    Own,
    /// Recorded at the agency of the location.
    Inherited,
}

/// One effective key.
#[derive(Debug, Clone, Copy)]
pub struct Effective<'a> {
    pub key: &'a KeyRef,
    pub record: &'a Record,
    pub origin: Origin,
    /// The agency's key that this location key takes the place of.
    pub overrides: Option<&'a KeyRef>,
}

/// Why no single key could be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a> {
    None,
    Several(Vec<&'a KeyRef>),
}

/// Returns the keys effective at `scope`, sorted by key ref.
///
/// `records` may be the whole inventory; the cost is linear in it unless the
/// caller narrows it to the agency.
pub fn effective<'a>(
    records: impl IntoIterator<Item = (&'a KeyRef, &'a Record)>,
    scope: &Scope,
) -> Vec<Effective<'a>> {
    type Slot<'a> = (ProviderId, Kind, Option<&'a str>);
    let mut nearest: BTreeMap<Slot<'a>, Effective<'a>> = BTreeMap::new();
    for (key, record) in records {
        if record.state != KeyState::Active || !key.scope.covers(scope) {
            continue;
        }
        let origin = if key.scope == *scope { Origin::Own } else { Origin::Inherited };
        let slot = (key.provider, record.kind, key.label.as_ref().map(|l| l.as_str()));
        let found = Effective { key, record, origin, overrides: None };
        match nearest.get_mut(&slot) {
            None => {
                nearest.insert(slot, found);
            }
            Some(held) if held.origin == Origin::Inherited => {
                *held = Effective { overrides: Some(held.key), ..found };
            }
            Some(held) => held.overrides = Some(key),
        }
    }
    let mut keys: Vec<Effective<'a>> = nearest.into_values().collect();
    keys.sort_by(|a, b| a.key.cmp(b.key));
    keys
}

/// Chooses the one key a command needs: the unlabelled one, else the only
/// labelled one.
pub fn choose<'a>(candidates: &[Effective<'a>]) -> Result<Effective<'a>, Choice<'a>> {
    let unlabelled: Vec<_> = candidates.iter().filter(|it| it.key.label.is_none()).collect();
    let pool: Vec<_> = if unlabelled.is_empty() { candidates.iter().collect() } else { unlabelled };
    match pool.as_slice() {
        [] => Err(Choice::None),
        [only] => Ok(**only),
        several => Err(Choice::Several(several.iter().map(|it| it.key).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::RecordId;
    use super::*;

    fn record(kind: Kind) -> Record {
        Record::new(RecordId::from_random([7; 10]), kind)
    }

    fn inventory(keys: &[(&str, Kind)]) -> BTreeMap<KeyRef, Record> {
        keys.iter().map(|(text, kind)| (text.parse().unwrap(), record(*kind))).collect()
    }

    #[test]
    fn the_nearest_level_wins_per_kind_and_label() {
        let keys = inventory(&[
            ("mailgun@acme", Kind::Account),
            ("mailgun@acme/berlin", Kind::Account),
            ("mailgun:send@acme", Kind::Sending),
            ("mailgun@other", Kind::Account),
        ]);
        let found = effective(&keys, &"acme/berlin".parse().unwrap());
        let text: Vec<_> = found.iter().map(|it| (it.key.as_str(), it.origin)).collect();
        assert_eq!(text, [("mailgun:send@acme", Origin::Inherited), ("mailgun@acme/berlin", Origin::Own)]);
        assert_eq!(found[1].overrides.unwrap().as_str(), "mailgun@acme");
        assert_eq!(effective(&keys, &"acme/paris".parse().unwrap()).len(), 2);
    }

    #[test]
    fn a_disabled_override_does_not_hide_the_agency_key() {
        let mut keys = inventory(&[("mailgun@acme", Kind::Account), ("mailgun@acme/berlin", Kind::Account)]);
        keys.get_mut(&"mailgun@acme/berlin".parse().unwrap()).unwrap().state = KeyState::Disabled;
        let found = effective(&keys, &"acme/berlin".parse().unwrap());
        assert_eq!(found[0].key.as_str(), "mailgun@acme");
    }

    #[test]
    fn the_unlabelled_key_is_chosen_else_the_only_labelled_one() {
        let scope: Scope = "acme".parse().unwrap();
        let keys = inventory(&[("brevo:a@acme", Kind::Api), ("brevo@acme", Kind::Api)]);
        assert_eq!(choose(&effective(&keys, &scope)).unwrap().key.as_str(), "brevo@acme");
        let keys = inventory(&[("brevo:a@acme", Kind::Api), ("brevo:b@acme", Kind::Api)]);
        assert!(matches!(choose(&effective(&keys, &scope)), Err(Choice::Several(refs)) if refs.len() == 2));
    }
}
