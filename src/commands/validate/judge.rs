//! Makes the verdict of each record of the providers' answers: what the rest
//! of the run proves about a refusal, what the record and its scopes need, and
//! what is about to end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::probes::{Answer, Answers, Ask, Batch, millis};
use super::{Args, Expect};
use crate::clock::{Span, rfc3339, spoken};
use crate::commands::remember;
use crate::context::Context;
use crate::inventory::Inventory;
use crate::key::verdict::{DomainFact, Facts};
use crate::key::{Domain, Judgement, KeyRef, KeyState, Kind, ProviderId, Reason, Record, Scope, Verdict};
use crate::provider;
use crate::state::{EVIDENCE, Evidence, LastVerdict};

/// A key that ends within this is `expires-soon`.
const SOON: Span = Span::seconds(14 * 86_400);

/// What a run has to judge.
pub struct Run<'a> {
    pub context: &'a Context,
    pub inventory: &'a Inventory,
    pub args: &'a Args,
    pub batch: &'a Batch<'a>,
    pub answers: &'a Answers,
}

/// One record, judged.
pub struct Judged<'a> {
    pub key: Option<&'a KeyRef>,
    pub provider: ProviderId,
    pub kind: Kind,
    pub record: Option<&'a Record>,
    pub judgement: Judgement,
    pub at: Vec<At>,
    pub latency_ms: Option<u64>,
    pub checked_at: Option<Timestamp>,
    /// Against the verdict before; `None` when there was none.
    pub changed: Option<bool>,
    /// For `--expect rejected`: proven dead.
    pub dead: bool,
    /// When the provider last accepted it, as far as this machine knows.
    pub last_success: Option<Timestamp>,
    /// How many domains can be chosen with it, where it may list them.
    pub selectable: Option<usize>,
    pub now: Timestamp,
}

/// The verdict at one scope where the key is effective.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct At {
    pub scope: Scope,
    pub domain: Option<Domain>,
    pub verdict: Verdict,
    pub reason: Option<Reason>,
}

impl<'a> Run<'a> {
    /// Judges every record that was asked about.
    ///
    /// # Errors
    /// When this machine's memory cannot be written.
    pub fn judge(&self) -> anyhow::Result<Vec<Judged<'a>>> {
        let evidence: BTreeMap<String, Evidence> = self.context.state.read(EVIDENCE);
        let places = self.places();
        let now = self.context.now();
        let mut judged = Vec::new();
        for (key, record, ask) in &self.batch.records {
            let answer = match ask {
                Ask::Probe(n) => match self.answers.answers.get(*n).and_then(Option::as_ref) {
                    Some(answer) => Some(answer),
                    None => continue,
                },
                Ask::Known(_) | Ask::Remembered(_) => None,
            };
            let known = evidence.get(record.id.as_str());
            let mut one = self.first(key, record, ask, answer, now);
            if matches!(ask, Ask::Probe(_)) {
                one.dead = self.is_dead(&one.judgement, record, known);
                self.weigh_refusal(&mut one.judgement, key, record, known);
                judge_account(&mut one.judgement, record);
                judge_alone(&mut one.judgement, key.provider, record, &self.args.require, now);
            }
            let scopes = places.get(*key).map(Vec::as_slice).unwrap_or_default();
            self.judge_places(&mut one, scopes);
            one.changed = self.changed(record, &one.judgement);
            one.last_success = if matches!(ask, Ask::Probe(_)) && one.judgement.accepted() {
                one.checked_at
            } else {
                self.batch.before.get(record.id.as_str()).and_then(|it| it.accepted_at)
            };
            let rule = self.inventory.us_rule(&key.scope.agency);
            let domains = one.judgement.facts.domains.as_deref();
            one.selectable =
                domains.map(|it| it.iter().filter(|it| against(it, rule).next().is_none()).count());
            judged.push(one);
        }
        self.remember(&judged)?;
        Ok(judged)
    }

    fn first(
        &self,
        key: &'a KeyRef,
        record: &'a Record,
        ask: &Ask,
        answer: Option<&Answer>,
        now: Timestamp,
    ) -> Judged<'a> {
        let (judgement, checked_at) = match (ask, answer) {
            (_, Some(answer)) => (answer.judgement.clone(), Some(answer.at)),
            (Ask::Remembered(last), None) => (remembered(last), Some(last.checked_at)),
            (Ask::Known(judgement), None) => (judgement.clone(), Some(now)),
            (Ask::Probe(_), None) => (Judgement::default(), None),
        };
        Judged {
            key: Some(key),
            provider: key.provider,
            kind: record.kind,
            record: Some(record),
            judgement,
            at: Vec::new(),
            latency_ms: answer.map(|it| millis(it.latency)),
            checked_at,
            changed: None,
            dead: false,
            last_success: None,
            selectable: None,
            now,
        }
    }

    /// A refusal without a cause may be a block of this address: when the
    /// account is known to have an allowlist and no other key of it was
    /// accepted from here.
    fn weigh_refusal(
        &self,
        judgement: &mut Judgement,
        key: &KeyRef,
        record: &Record,
        known: Option<&Evidence>,
    ) {
        if judgement.reason() != Some(Reason::Unauthorized) || known.and_then(|it| it.allowlist) != Some(true)
        {
            return;
        }
        if self.sibling_accepted(record, known) {
            return;
        }
        judgement.remove(Reason::Unauthorized);
        judgement.add(Reason::IpBlocked);
        judgement.hint = Some(format!(
            "the account allows only listed addresses: call from one of them, or see `keyctl allowlist {key}`"
        ));
    }

    fn sibling_accepted(&self, record: &Record, known: Option<&Evidence>) -> bool {
        let Some(known) = known else { return false };
        let own = record.remote_id.as_deref();
        self.answers.accepted().any(|other| {
            let facts = &other.facts;
            facts.remote_id.as_deref() != own && same_account(known, facts)
        })
    }

    fn is_dead(&self, judgement: &Judgement, record: &Record, known: Option<&Evidence>) -> bool {
        let refused = judgement.reason() == Some(Reason::Unauthorized);
        says_dead(judgement) || (refused && self.sibling_accepted(record, known))
    }

    fn judge_places(&self, one: &mut Judged<'_>, scopes: &[Scope]) {
        let rule = one.key.is_some_and(|key| self.inventory.us_rule(&key.scope.agency));
        for scope in scopes {
            let domain = self.inventory.domain_at(scope).map(|(domain, _)| domain);
            let mut here = one.judgement.clone();
            if let Some((reason, detail)) = at_scope(one, domain.as_ref(), rule) {
                here.add(reason);
                one.judgement.hint.get_or_insert_with(|| {
                    format!(
                        "`keyctl domains {scope} --explain {}` tells more",
                        domain.as_ref().map_or("DOMAIN", Domain::as_str)
                    )
                });
                if here.reason() == Some(reason) {
                    one.judgement.detail = format!("{}; {scope}: {detail}", one.judgement.detail);
                }
            }
            one.at.push(At { scope: scope.clone(), domain, verdict: here.verdict(), reason: here.reason() });
        }
        // The worst of its scopes is the verdict of the key.
        for reason in one.at.iter().filter_map(|at| at.reason).collect::<Vec<_>>() {
            one.judgement.add(reason);
        }
    }

    /// Returns the scopes where each key is effective, each scope resolved once.
    fn places(&self) -> BTreeMap<&'a KeyRef, Vec<Scope>> {
        let mut places: BTreeMap<&'a KeyRef, Vec<Scope>> = BTreeMap::new();
        let agencies: BTreeSet<_> = self.batch.records.iter().map(|(key, ..)| &key.scope.agency).collect();
        for (scope, _) in self.inventory.scopes() {
            if !agencies.contains(&scope.agency) || self.inventory.sends_elsewhere(&scope) {
                continue;
            }
            for effective in self.inventory.effective(&scope) {
                places.entry(effective.key).or_default().push(scope.clone());
            }
        }
        places
    }

    fn changed(&self, record: &Record, judgement: &Judgement) -> Option<bool> {
        let last = self.batch.before.get(record.id.as_str())?;
        let reasons = judgement.reasons().iter().map(|it| it.as_str());
        Some(
            last.verdict != judgement.verdict().as_str()
                || !last.reasons.iter().map(String::as_str).eq(reasons),
        )
    }

    fn remember(&self, judged: &[Judged<'a>]) -> anyhow::Result<()> {
        let fresh = judged.iter().zip(&self.batch.records).filter_map(|(one, _)| {
            let (key, record) = (one.key?, one.record?);
            (one.latency_ms.is_some()).then_some((key, record, &one.judgement))
        });
        remember::remember(self.context, &fresh.collect::<Vec<_>>())
    }
}

fn remembered(last: &LastVerdict) -> Judgement {
    let mut judgement = Judgement::valid(format!("as checked at {}", rfc3339(last.checked_at)));
    for reason in last.reasons.iter().filter_map(|it| it.parse().ok()) {
        judgement.add(reason);
    }
    judgement
}

/// Returns whether facts tell of the account that evidence was taken at.
fn same_account(known: &Evidence, facts: &Facts) -> bool {
    if known.account_id.is_some() || facts.account_id.is_some() {
        return known.account_id == facts.account_id;
    }
    let by_id = facts.sibling_ids.iter().chain(&facts.remote_id).any(|id| known.key_ids.contains(id));
    let domains = facts.domains.as_deref().unwrap_or_default();
    by_id || domains.iter().any(|it| known.domains.iter().any(|held| held == it.name.as_str()))
}

/// The provider's stable account id must be the recorded one.
fn judge_account(judgement: &mut Judgement, record: &Record) {
    let (Some(recorded), Some(told)) = (&record.account_id, judgement.facts.account_id.clone()) else {
        return;
    };
    if judgement.accepted() && *recorded != told {
        judgement.add(Reason::WrongAccount);
        judgement.detail =
            format!("the key works, but in another account ({told}) than recorded ({recorded})");
        judgement.hint =
            Some("add it under a key ref of its own, or record it again with `keyctl add --replace`".into());
    }
}

/// Judges a key that no record and no other key tells more of.
pub fn judge_alone(
    judgement: &mut Judgement,
    provider: ProviderId,
    record: &Record,
    required: &[String],
    now: Timestamp,
) {
    judge_permissions(judgement, provider, record, required);
    judge_expiry(judgement, record, now);
}

/// Returns whether the provider itself says that a key is no more.
pub fn says_dead(judgement: &Judgement) -> bool {
    matches!(judgement.reason(), Some(Reason::Disabled | Reason::Expired | Reason::KeyNotFound))
}

/// Recorded and required permissions must be proven; too many are told, too.
fn judge_permissions(judgement: &mut Judgement, provider: ProviderId, record: &Record, required: &[String]) {
    if !judgement.accepted() {
        return;
    }
    let normalise = |name: &String| match provider::provider(provider).permissions() {
        Some(facet) => facet.normalise(name).unwrap_or_else(|_| name.clone()),
        None => name.clone(),
    };
    let needed = required.iter().chain(&record.permissions).map(normalise).collect::<Vec<_>>();
    // A Mailgun role is the permission of a Mailgun key.
    let told =
        judgement.facts.permissions.clone().or_else(|| judgement.facts.role.clone().map(|it| vec![it]));
    let Some(told) = told else {
        judge_single(judgement, &needed, required.len());
        return;
    };
    for name in needed {
        if !told.contains(&name) && !judgement.missing.contains(&name) {
            judgement.missing.push(name);
        }
    }
    tell_missing(judgement);
}

/// Judges by single proofs; the first `required` names must be proven.
fn judge_single(judgement: &mut Judgement, needed: &[String], required: usize) {
    let proven = |name: &String| {
        let found = judgement.facts.proven.iter().find(|(it, _)| it == name);
        found.and_then(|(_, granted)| *granted)
    };
    let missing: Vec<String> = needed.iter().filter(|it| proven(it) == Some(false)).cloned().collect();
    let unclear = needed.iter().take(required).any(|it| proven(it).is_none());
    for name in missing {
        if !judgement.missing.contains(&name) {
            judgement.missing.push(name);
        }
    }
    tell_missing(judgement);
    if unclear {
        judgement.add(Reason::PermissionNotCheckable);
        judgement.hint = Some("`keyctl permissions` tells what can be found out".into());
    }
}

fn tell_missing(judgement: &mut Judgement) {
    if !judgement.missing.is_empty() {
        judgement.add(Reason::PermissionMissing);
        judgement.detail = format!("{}; it lacks {}", judgement.detail, judgement.missing.join(", "));
    }
}

fn judge_expiry(judgement: &mut Judgement, record: &Record, now: Timestamp) {
    let told = judgement.facts.expires.and_then(|it| it.at()).or_else(|| record.expires.at());
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

/// Returns what speaks against a key at a scope with this domain.
fn at_scope(one: &Judged<'_>, domain: Option<&Domain>, us_rule: bool) -> Option<(Reason, String)> {
    if !one.judgement.accepted() || one.provider != ProviderId::Mailgun {
        return None;
    }
    if let (Kind::Sending | Kind::Smtp, Some(wanted)) = (one.kind, domain) {
        let bound = one.record.and_then(|it| it.domain.as_ref())?;
        return (bound != wanted).then(|| {
            (Reason::DomainNotFound, format!("the key is bound to {bound} and cannot send from {wanted}"))
        });
    }
    let domains = one.judgement.facts.domains.as_deref()?;
    match domain {
        Some(wanted) => match domains.iter().find(|it| it.name == *wanted) {
            None => Some((Reason::DomainNotFound, format!("{wanted} is not in the account"))),
            Some(fact) => {
                let reason = against(fact, us_rule).next()?;
                Some((reason, format!("{wanted} cannot be chosen ({reason})")))
            }
        },
        None if us_rule && !domains.iter().any(|it| against(it, true).next().is_none()) => {
            Some((Reason::NoVerifiedUsDomain, "no domain of the account can be chosen".to_owned()))
        }
        None => None,
    }
}

fn against(fact: &DomainFact, us_rule: bool) -> impl Iterator<Item = Reason> {
    fact.against.iter().copied().filter(move |it| us_rule || *it != Reason::DomainInEu)
}

impl Judged<'_> {
    /// Returns the verdict that counts for the exit code.
    pub fn counts_as(&self, expect: Option<Expect>) -> Verdict {
        let verdict = self.judgement.verdict();
        let switched_off = self.record.is_some_and(|it| it.state == KeyState::Disabled);
        match (expect, verdict) {
            (Some(Expect::Rejected), _) if self.dead => Verdict::Valid,
            (Some(Expect::Rejected), Verdict::Valid | Verdict::Limited) => Verdict::Rejected,
            (Some(Expect::Rejected), Verdict::Rejected | Verdict::Unknown) => Verdict::Unknown,
            // A key that is switched off is healthy when it is refused.
            (None, Verdict::Rejected) if switched_off => Verdict::Valid,
            (None, Verdict::Valid | Verdict::Limited) if switched_off => Verdict::Rejected,
            (None, verdict) => verdict,
        }
    }
}
