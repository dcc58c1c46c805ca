//! Which other key can prove that a key is dead: one of the same account that
//! was accepted from here in this run. A refusal beside such a witness is the
//! key's own; without one it may be this address, or the network.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Slot;
use crate::inventory::Inventory;
use crate::key::{Judgement, KeyRef, KeyState, Kind, ProviderId, Reason, Record};
use crate::provider;
use crate::provider::{Family, Net};
use crate::state::{Entries, Evidence};
use crate::workflow::account_identity::{Mark, bound, marks, marks_of};
use crate::workflow::validation::answers::Answers;
use crate::workflow::validation::probe::{Batch, Probe};

/// How many keys are asked besides, to testify for one.
const WITNESSES: usize = 2;

/// The accepted answers, by the marks of their accounts.
pub struct Accounts {
    by_mark: BTreeMap<(ProviderId, Mark), Vec<usize>>,
}

impl Accounts {
    /// Returns those that share a mark with one of the keys `in_doubt`.
    pub fn of(
        batch: &Batch<'_>,
        answers: &Answers,
        in_doubt: &[(&KeyRef, &Record)],
        evidence: &Entries<Evidence>,
    ) -> Self {
        let mut by_mark: BTreeMap<(ProviderId, Mark), Vec<usize>> = BTreeMap::new();
        for (key, record) in in_doubt {
            let marks = marks_of(record, evidence.get(record.id.as_str()).as_ref());
            by_mark.extend(marks.into_iter().map(|mark| ((key.provider, mark), Vec::new())));
        }
        for (n, probe) in batch.probes.iter().enumerate() {
            let Some(answer) = answers.get(n).filter(|it| it.judgement.accepted()) else { continue };
            let facts = &answer.judgement.facts;
            let domains = facts.domains.iter().flatten().map(|it| it.name.as_str());
            let keys = facts.sibling_ids.iter().map(|it| &**it).chain(facts.remote_id.as_deref());
            let marks = marks(facts.account_id.as_deref(), keys, domains.chain(bound(probe.record)));
            for mark in marks {
                let Some(held) = by_mark.get_mut(&(probe.key.provider, mark)) else { continue };
                // Two are enough: one of them is another key than any that asks.
                if held.len() < 2 {
                    held.push(n);
                }
            }
        }
        Self { by_mark }
    }

    /// Returns an accepted probe of the same account that is not `own`.
    pub fn witness(
        &self,
        own: Option<usize>,
        key: &KeyRef,
        record: &Record,
        known: Option<&Evidence>,
    ) -> Option<usize> {
        let found = marks_of(record, known).into_iter().filter_map(|mark| {
            let held = self.by_mark.get(&(key.provider, mark))?;
            held.iter().copied().find(|it| Some(*it) != own)
        });
        found.into_iter().next()
    }
}

/// Returns the keys that are asked besides the selected ones: for each key
/// `in_doubt`, others of its provider below its agency, those first that are
/// known to share its account and may list keys.
pub fn candidates<'a>(
    inventory: &'a Inventory,
    selected: &BTreeSet<&KeyRef>,
    in_doubt: &[(&KeyRef, &Record)],
    evidence: &Entries<Evidence>,
) -> BTreeSet<&'a KeyRef> {
    let mut chosen = BTreeSet::new();
    for (key, record) in in_doubt {
        let own = marks_of(record, evidence.get(record.id.as_str()).as_ref());
        let others = inventory.keys_of_agency(&key.scope.agency).filter(|(other, held)| {
            other.provider == key.provider
                && held.state == KeyState::Active
                && !selected.contains(*other)
                && (held.fingerprint.is_none() || held.fingerprint != record.fingerprint)
        });
        let mut ranked: Vec<((bool, bool, bool), &KeyRef)> = others
            .map(|(other, held)| {
                let marks = marks_of(held, evidence.get(held.id.as_str()).as_ref());
                let shared = marks.iter().any(|it| own.contains(it));
                let lists = matches!(held.kind, Kind::Account | Kind::Api | Kind::Private | Kind::Agency);
                let near = other.scope.covers(&key.scope) || key.scope.covers(&other.scope);
                ((!shared, !lists, !near), other)
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        chosen.extend(ranked.into_iter().take(WITNESSES).map(|(_, other)| other));
    }
    chosen
}

/// Returns whether a witness lists the keys of the account, and the key is not
/// among them, or is there as disabled.
pub fn is_unlisted(net: &Net<'_>, witness: &Probe<'_>, key: &KeyRef, record: &Record) -> bool {
    let id = if record.kind == Kind::Smtp { record.login.as_ref() } else { record.remote_id.as_ref() };
    let (Some(id), Some(facet)) = (id, provider::provider(key.provider).keys()) else { return false };
    let family = Family { kind: record.kind, domain: record.domain.as_ref(), region: record.region };
    match facet.list(net.by(&witness.credential()), &family) {
        Ok(listed) => match listed.iter().find(|it| it.id.eq_ignore_ascii_case(id)) {
            None => true,
            Some(found) => found.disabled,
        },
        Err(_) => false,
    }
}

/// Says why a key that was not accepted is not proven dead, and what would
/// prove it; `key` is none for one that is in no inventory, `slot` the version
/// that was asked about where it is not the current one.
pub fn say_unproven(judgement: &mut Judgement, key: Option<&KeyRef>, slot: Option<Slot>) {
    if judgement.accepted() {
        return;
    }
    if let Some(slot) = slot {
        judgement.detail = format!("not proven dead: this is its {slot} version; {}", judgement.detail);
        return;
    }
    let why = match judgement.reason() {
        Some(Reason::Unauthorized) => {
            let add = key.map_or_else(|| "PROVIDER:LABEL@AGENCY".to_owned(), another);
            judgement.hint = Some(match key {
                Some(_) => {
                    format!("record another key of the same account, `keyctl add {add}`, and ask again")
                }
                None => format!(
                    "record it and another key of its account, `keyctl add {add}`, and ask for it there"
                ),
            });
            "a refusal may have other causes, and no other key of its account was accepted from here; "
        }
        Some(Reason::IpBlocked) => "this address is blocked, so its refusal says nothing of the key; ",
        Some(Reason::SecretMismatch) => "what another text would be answered says nothing of the key; ",
        Some(Reason::SecretMissing | Reason::StoreLocked) => "without its secret it cannot be tried; ",
        _ => "",
    };
    judgement.detail = format!("not proven dead: {why}{}", judgement.detail);
}

fn another(key: &KeyRef) -> String {
    format!("{}:LABEL@{}", key.provider, key.scope.agency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::RecordId;

    fn record(n: u8, kind: Kind) -> Record {
        Record::new(RecordId::from_random([n; 10]), kind)
    }

    #[test]
    fn a_sibling_of_the_same_account_that_lists_keys_is_asked_first() {
        let mut inventory = Inventory::default();
        let mut add = |text: &str, n, kind, remote: &str| {
            let mut record = record(n, kind);
            record.remote_id = Some(remote.to_owned());
            inventory.keys.insert(text.parse().unwrap(), record);
        };
        add("mailgun@acme", 1, Kind::Account, "aa-1");
        add("mailgun:old@acme", 2, Kind::Account, "aa-2");
        add("mailgun@acme/paris", 3, Kind::Account, "bb-1");
        add("mailgun@acme/wien", 4, Kind::Sending, "aa-3");
        add("mailgun@other", 5, Kind::Account, "aa-4");
        let old: KeyRef = "mailgun:old@acme".parse().unwrap();
        let in_doubt = (&old, &inventory.keys[&old]);
        let shared = Evidence { key_ids: vec!["aa-2".into()], ..Evidence::default() };
        let evidence = [4_u8].map(|n| (record(n, Kind::Sending).id.to_string(), shared.clone()));
        let evidence = evidence.into_iter().collect();
        let chosen = candidates(&inventory, &[&old].into(), &[in_doubt], &evidence);
        let names: Vec<&str> = chosen.iter().map(|it| it.as_str()).collect();
        assert_eq!(names, ["mailgun@acme", "mailgun@acme/wien"]);
    }
}
