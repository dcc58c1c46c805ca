//! Makes the verdict of each record of the providers' answers: what the rest
//! of the run proves about a refusal, what the record and its scopes need, and
//! what is about to end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::clock::{Span, rfc3339, spoken};
use crate::context::Context;
use crate::inventory::Inventory;
use crate::key::{Domain, Expiry, Judgement, KeyRef, ProviderId, Reason, Record, Scope, Verdict};
use crate::provider::PermissionState;
use crate::state::{Entries, Evidence, LastVerdict, Unfit};
use crate::workflow::smtp_login::Told;
use crate::workflow::validation::answers::Domains;
use crate::workflow::validation::answers::{Answer, Answers, millis};
use crate::workflow::validation::expectation::Expect;
use crate::workflow::validation::judged::{At, Judged};
use crate::workflow::validation::probe::{Ask, Batch};
use crate::workflow::validation::witness::Accounts;
use crate::workflow::validation::{at_scope, witness};
use crate::workflow::{account_identity, key_permissions, smtp_login, verdict_memory};

/// A key that ends within this is `expires-soon`.
const SOON: Span = Span::seconds(14 * 86_400);

/// What a run has to judge.
pub struct Run<'r, 'a> {
    pub context: &'r Context,
    pub inventory: &'a Inventory,
    /// Permissions that each key must be proven to have.
    pub require: &'r [String],
    pub expect: Option<Expect>,
    pub batch: &'r Batch<'a>,
    pub places: &'r BTreeMap<&'a KeyRef, Vec<Scope>>,
    /// Verdicts before this run, by record id.
    pub before: &'r Entries<LastVerdict>,
    /// What the last successes told, by record id.
    pub evidence: &'r Entries<Evidence>,
    pub now: Timestamp,
}

/// What is known of a key besides the answer to its probe.
struct Knowledge<'k> {
    /// What its last success told.
    known: Option<&'k Evidence>,
    /// An accepted probe of the same account.
    witness: Option<usize>,
    /// The login that another key of the account told.
    login: Option<&'k smtp_login::Told>,
}

impl<'a> Run<'_, 'a> {
    /// Judges every record that was asked about, and uses the answers up: their
    /// memory is the results'.
    ///
    /// # Errors
    /// When the network cannot be set up (a bad variable).
    pub fn judge(&self, mut answers: Answers) -> anyhow::Result<Vec<Judged<'a>>> {
        let in_doubt = match self.expect {
            // What the inventory says may turn against any of them yet.
            Some(_) => self.batch.records.iter().map(|(key, record, _)| (*key, *record)).collect(),
            None => self.batch.in_doubt(&answers),
        };
        let accounts = Accounts::of(self.batch, &answers, &in_doubt, self.evidence);
        drop(in_doubt);
        let logins = self.logins(&answers);
        let last_uses = self.batch.last_uses();
        let mut judged = Vec::with_capacity(self.batch.records.len());
        for (n, (key, record, ask)) in self.batch.records.iter().enumerate() {
            let (own, answer) = match ask {
                Ask::Probe(own) => (Some(*own), answers.give(*own, last_uses.get(own) == Some(&n))),
                Ask::Known(_) | Ask::Remembered(_) => (None, None),
            };
            let known = self.evidence.get(record.id.as_str());
            let known = known.as_ref();
            let witness = accounts.witness(own, key, record, known);
            let mut one = match (ask, answer) {
                (_, Some(answer)) => {
                    let knowledge = Knowledge { known, witness, login: logins.get(key) };
                    self.weighed(key, record, answer, knowledge)
                }
                (Ask::Probe(_), None) => continue,
                (Ask::Remembered(last), None) => self.again(key, record, last),
                (Ask::Known(judgement), None) => self.first(key, record, judgement.clone()),
            };
            // What is refused of another version proves nothing of the current one.
            one.dead = one.slot.is_none() && self.is_dead(&one.judgement, key, record, witness)?;
            match ask {
                Ask::Remembered(last) => self.places_again(&mut one, last),
                Ask::Probe(_) | Ask::Known(_) => self.judge_places(&mut one),
            }
            if let Some(slot) = one.slot {
                let version = self.context.other_version(self.inventory, key, record, slot);
                hint_at_version(&mut one.judgement, version);
            } else {
                one.changed = self.changed(record, &one.judgement);
            }
            if self.expect.is_some() && !one.dead {
                witness::say_unproven(&mut one.judgement, one.key, one.slot);
            }
            judged.push(one);
        }
        Ok(judged)
    }

    /// Judges an answer by itself, then by what else is known.
    fn weighed(
        &self,
        key: &'a KeyRef,
        record: &'a Record,
        answer: Answer,
        knowledge: Knowledge<'_>,
    ) -> Judged<'a> {
        let (mut one, permissions) = self.answered(key, record, answer);
        if let (Some(login), Some(told)) = (&record.login, knowledge.login) {
            smtp_login::compare(&mut one.judgement, key, login, told);
        }
        weigh_refusal(&mut one.judgement, key, knowledge.known, knowledge.witness);
        self.warn_of_other_account(&one.judgement, key, knowledge.known);
        account_identity::judge(&mut one.judgement, self.inventory, key, Some(record), record.kind);
        let described = (key.provider, record);
        one.lacks_required = judge_alone(&mut one.judgement, described, self.require, &permissions, self.now);
        one
    }

    fn first(&self, key: &'a KeyRef, record: &'a Record, judgement: Box<Judgement>) -> Judged<'a> {
        Judged {
            key: Some(key),
            provider: key.provider,
            kind: record.kind,
            record: Some(record),
            judgement,
            domains: Domains::default(),
            at: Vec::new(),
            latency_ms: None,
            checked_at: Some(self.now),
            changed: None,
            dead: false,
            lacks_required: false,
            last_success: self.before.get(record.id.as_str()).and_then(|it| it.accepted_at),
            selectable: None,
            slot: self.batch.asked(key).version(),
        }
    }

    fn again(&self, key: &'a KeyRef, record: &'a Record, last: &LastVerdict) -> Judged<'a> {
        let mut one = self.first(key, record, Box::new(remembered(last, record, self.now)));
        one.checked_at = Some(last.checked_at);
        one.selectable = last.selectable;
        one
    }

    fn answered(
        &self,
        key: &'a KeyRef,
        record: &'a Record,
        answer: Answer,
    ) -> (Judged<'a>, Vec<PermissionState>) {
        let mut one = self.first(key, record, answer.judgement);
        one.domains = answer.domains;
        one.latency_ms = Some(millis(answer.latency));
        one.checked_at = Some(answer.at);
        one.selectable = answer.domains.selectable(self.inventory.us_rule(&key.scope.agency));
        if one.judgement.accepted() {
            one.last_success = one.checked_at;
        }
        (one, answer.permissions)
    }

    /// Another key of the account may tell that the login is right, or not.
    fn logins(&self, answers: &Answers) -> BTreeMap<&'a KeyRef, Told> {
        let with_login = self.batch.records.iter().filter(|(_, record, _)| record.login.is_some());
        let told = with_login.filter_map(|(key, record, _)| {
            let teller = smtp_login::teller(self.inventory, smtp_login::Sought::of(key, record));
            Some((*key, self.batch.told(teller?.0, answers)?))
        });
        told.collect()
    }

    /// Mailgun has no account id: key ids and domains that are both others
    /// than before are worth a word, but no verdict.
    fn warn_of_other_account(&self, judgement: &Judgement, key: &KeyRef, known: Option<&Evidence>) {
        let (Some(known), facts) = (known, &judgement.facts) else { return };
        if !judgement.accepted() || facts.account_id.is_some() {
            return;
        }
        let names = facts.domains.iter().flatten().map(|it| it.name.as_str());
        let (mut names, mut ids) = (names.peekable(), facts.sibling_ids.iter().peekable());
        let seen = names.peek().is_some() && ids.peek().is_some();
        let before = !known.domains.is_empty() && !known.key_ids.is_empty();
        let shared = names.any(|it| known.domains.iter().any(|held| held == it))
            || ids.any(|it| known.key_ids.iter().any(|held| **held == **it));
        if seen && before && !shared {
            self.context.operator.warning(format!(
                "`{key}`: neither a key nor a domain of its account is one seen before: perhaps it is another account"
            ));
        }
    }

    fn is_dead(
        &self,
        judgement: &Judgement,
        key: &KeyRef,
        record: &Record,
        witness: Option<usize>,
    ) -> anyhow::Result<bool> {
        if self.expect.is_none() || judgement.accepted() {
            return Ok(false);
        }
        if says_dead(judgement) || (judgement.reason() == Some(Reason::Unauthorized) && witness.is_some()) {
            return Ok(true);
        }
        let Some(probe) = witness.and_then(|n| self.batch.probes.get(n)) else { return Ok(false) };
        let deadline = std::time::Instant::now() + self.context.timeout();
        Ok(witness::is_unlisted(&self.context.net_until(deadline)?, probe, key, record))
    }

    fn judge_places(&self, one: &mut Judged<'_>) {
        let Some(key) = one.key else { return };
        let rule = self.inventory.us_rule(&key.scope.agency);
        let mut added = BTreeSet::new();
        let places = self.places.get(key).map_or(&[][..], Vec::as_slice);
        one.at.reserve_exact(places.len());
        for scope in places {
            let domain = self.inventory.domain_at(scope).map(|(domain, _)| domain);
            let found = at_scope::judge(one, domain.as_ref(), rule);
            if let Some((reason, detail)) = &found {
                added.insert(*reason);
                one.judgement.hint.get_or_insert_with(|| {
                    format!(
                        "`keyctl domains {scope} --explain {}` tells more",
                        domain.as_ref().map_or("DOMAIN", Domain::as_str)
                    )
                });
                if one.judgement.reason().is_none_or(|it| *reason < it) {
                    one.judgement.detail = format!("{}; {scope}: {detail}", one.judgement.detail);
                }
            }
            if let Some(hint) = at_scope::eu_hint(one, domain.as_ref(), rule) {
                one.judgement.hint.get_or_insert(hint);
            }
            let reason = found.map(|(reason, _)| reason).into_iter().chain(one.judgement.reason()).min();
            let verdict = reason.map_or(Verdict::Valid, Reason::verdict);
            one.at.push(At { scope: scope.clone(), domain, verdict, reason });
        }
        // The worst of its scopes is the verdict of the key.
        for reason in added {
            one.judgement.add(reason);
        }
    }

    /// Says again what was found at each scope.
    fn places_again(&self, one: &mut Judged<'_>, last: &LastVerdict) {
        let Some(key) = one.key else { return };
        let mut added = BTreeSet::new();
        for scope in self.places.get(key).into_iter().flatten() {
            let held = last.places.get(&scope.to_string()).and_then(|it| it.reason.parse().ok());
            added.extend(held);
            let reason = held.into_iter().chain(one.judgement.reason()).min();
            one.at.push(At {
                scope: scope.clone(),
                domain: self.inventory.domain_at(scope).map(|(domain, _)| domain),
                verdict: reason.map_or(Verdict::Valid, Reason::verdict),
                reason,
            });
        }
        for reason in added {
            one.judgement.add(reason);
        }
    }

    fn changed(&self, record: &Record, judgement: &Judgement) -> Option<bool> {
        let last = self.before.get(record.id.as_str())?;
        let reasons = judgement.reasons().iter().map(|it| it.as_str());
        Some(
            last.verdict != judgement.verdict().as_str()
                || !last.reasons.iter().map(String::as_str).eq(reasons),
        )
    }

    /// Returns what was proven in this run, to be remembered.
    pub fn proven<'b>(&self, judged: &'b [Judged<'_>]) -> Vec<verdict_memory::Proven<'b>> {
        let fresh = judged.iter().filter(|one| one.latency_ms.is_some()).filter_map(|one| {
            let unfit = |at: &At| {
                let domain = at.domain.as_ref().map(ToString::to_string);
                Some((at.scope.to_string(), Unfit { reason: at.reason?.as_str().to_owned(), domain }))
            };
            let places = match one.judgement.accepted() {
                true => one.at.iter().filter_map(unfit).collect(),
                false => BTreeMap::new(),
            };
            let basis = at_scope::basis(self.inventory, one.key?, one.record?, self.places);
            let more = verdict_memory::More { places, selectable: one.selectable, basis };
            let asked = self.batch.asked(one.key?);
            Some(verdict_memory::Proven { record: one.record?, asked, judgement: &one.judgement, more })
        });
        fresh.collect()
    }
}

/// Returns what is remembered of the key itself, without its scopes. Its end
/// came nearer since.
fn remembered(last: &LastVerdict, record: &Record, now: Timestamp) -> Judgement {
    let mut judgement = Judgement::valid(format!("as checked at {}", rfc3339(last.checked_at)));
    let of_place = |word: &String| last.places.values().any(|it| it.reason == *word);
    for reason in last.reasons.iter().filter(|it| !of_place(it)).filter_map(|it| it.parse().ok()) {
        judgement.add(reason);
    }
    judgement.facts.expires = Some(last.expires).filter(|it| *it != Expiry::Unknown);
    judge_expiry(&mut judgement, record, now);
    judgement
}

/// Says which version was judged, before what there is to say of it.
fn hint_at_version(judgement: &mut Judgement, version: String) {
    judgement.hint = Some(match judgement.hint.take() {
        Some(hint) => format!("{version}; {hint}"),
        None => version,
    });
}

/// A refusal without a cause may be a block of this address: when the account
/// is known to have an allowlist and no other key of it was accepted from here.
fn weigh_refusal(judgement: &mut Judgement, key: &KeyRef, known: Option<&Evidence>, witness: Option<usize>) {
    let refused = judgement.reason() == Some(Reason::Unauthorized);
    if !refused || witness.is_some() || known.and_then(|it| it.allowlist) != Some(true) {
        return;
    }
    judgement.remove(Reason::Unauthorized);
    judgement.add(Reason::IpBlocked);
    judgement.hint = Some(format!(
        "the account allows only listed addresses: call from one of them, or see `keyctl allowlist {key}`"
    ));
}

/// Judges a key that no other key tells more of. Returns whether a required
/// permission was proven missing.
pub fn judge_alone(
    judgement: &mut Judgement,
    (provider, record): (ProviderId, &Record),
    required: &[String],
    states: &[PermissionState],
    now: Timestamp,
) -> bool {
    let spell = |names: &[String]| -> Vec<String> {
        names.iter().map(|it| key_permissions::spelling(provider, it)).collect()
    };
    let recorded = spell(&record.permissions);
    let lacks = key_permissions::judge(judgement, &spell(required), &recorded, states);
    if let Some(held) = judgement.facts.permissions.as_ref().filter(|_| !recorded.is_empty()) {
        let excess: Vec<String> = held.iter().filter(|it| !recorded.contains(it)).cloned().collect();
        key_permissions::judge_excess(judgement, &excess);
    }
    judge_expiry(judgement, record, now);
    lacks
}

/// Returns whether the provider itself says that a key is no more.
pub fn says_dead(judgement: &Judgement) -> bool {
    matches!(judgement.reason(), Some(Reason::Disabled | Reason::Expired | Reason::KeyNotFound))
}

fn judge_expiry(judgement: &mut Judgement, record: &Record, now: Timestamp) {
    let told = judgement.facts.expires.map_or_else(|| record.expires.at(), |it| it.at());
    let Some(end) = told else { return };
    let left = end.as_second() - now.as_second();
    if judgement.accepted() && left <= SOON.seconds {
        judgement.add(Reason::ExpiresSoon);
        if left > 0 {
            judgement.detail = format!("{}; it expires in {}", judgement.detail, spoken(left));
        } else {
            judgement.detail = format!("{}; its recorded end was {}", judgement.detail, rfc3339(end));
        }
        judgement.hint.get_or_insert_with(|| "replace it without an outage: `keyctl rotate`".to_owned());
    }
}
