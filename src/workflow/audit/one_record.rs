//! Findings on single keys: age, end, proof, use, consumers.

use jiff::Timestamp;

use crate::clock::{Span, rfc3339, spoken};
use crate::inventory::Inventory;
use crate::key::{KeyRef, KeyState, Kind, Record, Verdict};
use crate::provider;
use crate::state::{LastVerdict, Verdicts};
use crate::workflow::audit::finding::{Finding, Id};
use crate::workflow::idle_keys;

/// A key that ends within this is worth a word.
const SOON: Span = Span::seconds(14 * 86_400);

/// What the rules on keys look at.
pub struct Look<'a> {
    pub inventory: &'a Inventory,
    pub verdicts: &'a Verdicts,
    pub now: Timestamp,
    pub max_age: Option<Span>,
}

impl Look<'_> {
    /// Returns the findings on one key.
    pub fn at(&self, key: &KeyRef, record: &Record) -> Vec<Finding> {
        let last = self.last(record);
        let found = match record.state {
            KeyState::Pending => vec![],
            KeyState::Disabled => vec![still_works(key, last)],
            KeyState::Active => vec![
                self.policy(key, record),
                self.end(key, record),
                self.proof(key, last),
                rejected(key, last),
                self.unused(key, record, last),
                no_consumer(key, record),
                several_consumers(key, record),
                self.too_powerful(key, record),
                self.not_effective(key),
            ],
        };
        let active = record.state == KeyState::Active;
        let overridden = if active { self.overridden(key, record) } else { Vec::new() };
        found.into_iter().flatten().chain(overridden).collect()
    }

    /// Returns the last verdict on the secret that is current.
    fn last(&self, record: &Record) -> Option<&LastVerdict> {
        self.verdicts.get(record.id.as_str()).filter(|it| it.is_of(record))
    }

    fn policy(&self, key: &KeyRef, record: &Record) -> Option<Finding> {
        let (every, level) = self.inventory.rotation_policy(&key.scope)?;
        // One that is being rotated is on its way.
        if self.inventory.rotation_of(key).is_some() {
            return None;
        }
        let Some(created) = record.created else {
            let detail = format!(
                "`{level}` wants keys rotated every {}, but when this one was made is not recorded",
                spoken(every.seconds)
            );
            return Some(Finding::on_key(
                Id::AgeUnknown,
                key,
                detail,
                format!("`keyctl set {key} --created DATE`"),
            ));
        };
        let age = self.now.as_second() - created.as_second();
        (age > every.seconds).then(|| {
            let detail =
                format!("{} old; `{level}` wants keys rotated every {}", spoken(age), spoken(every.seconds));
            Finding::on_key(Id::OlderThanPolicy, key, detail, format!("`keyctl rotate {key}`"))
        })
    }

    fn end(&self, key: &KeyRef, record: &Record) -> Option<Finding> {
        let end = record.expires.at()?;
        let left = end.as_second() - self.now.as_second();
        let fix = format!("`keyctl rotate {key}`; if it was prolonged: `keyctl set {key} --expires DATE`");
        if left <= 0 {
            let detail = format!("its recorded end was {}", rfc3339(end));
            return Some(Finding::on_key(Id::Expired, key, detail, fix));
        }
        (left <= SOON.seconds)
            .then(|| Finding::on_key(Id::ExpiresSoon, key, format!("it ends in {}", spoken(left)), fix))
    }

    fn proof(&self, key: &KeyRef, last: Option<&LastVerdict>) -> Option<Finding> {
        let fix = format!("`keyctl validate {key}`");
        // A check that proved nothing leaves the one before as the last.
        let proven = last.and_then(|it| match it.verdict == Verdict::Unknown.as_str() {
            true => it.accepted_at,
            false => Some(it.checked_at),
        });
        let Some(proven) = proven else {
            let detail = "never proven from this machine, or not since its secret changed";
            return Some(Finding::on_key(Id::NeverValidated, key, detail, fix));
        };
        let age = self.now.as_second() - proven.as_second();
        let limit = self.max_age?;
        (age > limit.seconds)
            .then(|| Finding::on_key(Id::CheckTooOld, key, format!("last proven {} ago", spoken(age)), fix))
    }

    fn unused(&self, key: &KeyRef, record: &Record, last: Option<&LastVerdict>) -> Option<Finding> {
        let idle = idle_keys::idle(key, record, last, self.now)?;
        let fix = format!("`keyctl validate {key}`; if nothing uses it: `keyctl remove {key} --revoke`");
        Some(Finding::on_key(Id::Unused, key, format!("it {}; {}", idle.seen, idle.rule), fix))
    }

    /// Where no location chooses domains with it, and no other key is managed
    /// by it, an account key may far more than send.
    fn too_powerful(&self, key: &KeyRef, record: &Record) -> Option<Finding> {
        let sends = !record.consumers.is_empty();
        if record.kind != Kind::Account || !sends || self.inventory.us_rule(&key.scope.agency) {
            return None;
        }
        let domain = record.domain.clone().or_else(|| Some(self.inventory.domain_at(&key.scope)?.0))?;
        let detail =
            "an account key may read and change the whole account; its consumers send from one domain";
        let fix = format!("`keyctl create mailgun:sending@{} --kind sending --domain {domain}`", key.scope);
        Some(Finding::on_key(Id::TooPowerful, key, detail, fix))
    }

    /// The key was put into the settings of a location where another one is
    /// recorded to be in effect.
    fn overridden(&self, key: &KeyRef, record: &Record) -> Vec<Finding> {
        let mut found = Vec::new();
        for consumer in &record.consumers {
            let Some(location) = consumer.location.as_ref().filter(|it| **it != key.scope) else { continue };
            let Some(other) = self.inventory.instead_of(key, record.kind, location) else { continue };
            let detail = format!(
                "its consumer `{}` is `{location}`, where `{other}` is recorded to be in effect",
                consumer.name
            );
            let fix =
                format!("`keyctl consumer remove {key} '{}'`, or `keyctl remove {other}`", consumer.name);
            found.push(Finding::on_key(Id::NotEffective, key, detail, fix).about(consumer.name.as_str()));
        }
        found
    }

    fn not_effective(&self, key: &KeyRef) -> Option<Finding> {
        if self.inventory.sends_elsewhere(&key.scope) {
            let detail = format!("`{}` sends with another e-mail provider", key.scope);
            let fix = format!(
                "`keyctl remove {key}`, or `keyctl scope set {} --email-provider mailgun`",
                key.scope
            );
            return Some(Finding::on_key(Id::NotEffective, key, detail, fix));
        }
        None
    }
}

fn rejected(key: &KeyRef, last: Option<&LastVerdict>) -> Option<Finding> {
    let last = last.filter(|it| it.verdict == Verdict::Rejected.as_str())?;
    let reason = last.reasons.first().map_or("rejected", String::as_str);
    let detail = format!("refused at {} ({reason})", rfc3339(last.checked_at));
    Some(Finding::on_key(Id::LastRejected, key, detail, format!("`keyctl validate {key}` tells why")))
}

fn still_works(key: &KeyRef, last: Option<&LastVerdict>) -> Option<Finding> {
    let last = last?;
    let accepted = [Verdict::Valid, Verdict::Limited].iter().any(|it| it.as_str() == last.verdict);
    accepted.then(|| {
        let detail = format!("recorded as disabled, but it was accepted at {}", rfc3339(last.checked_at));
        Finding::on_key(Id::StillWorks, key, detail, format!("`keyctl disable {key}`"))
    })
}

fn no_consumer(key: &KeyRef, record: &Record) -> Option<Finding> {
    // A token that reads and writes locations is this program's own.
    if !record.consumers.is_empty() || provider::provider(key.provider).locations().is_some() {
        return None;
    }
    let detail = "no place is recorded where it is used, so a rotation cannot know where to put a new one";
    Some(Finding::on_key(Id::NoConsumer, key, detail, format!("`keyctl consumer add {key} NAME`")))
}

fn several_consumers(key: &KeyRef, record: &Record) -> Option<Finding> {
    if !provider::provider(key.provider).terms().key_for_each_use || record.consumers.len() < 2 {
        return None;
    }
    let names: Vec<&str> = record.consumers.iter().map(|it| it.name.as_str()).collect();
    let detail = format!("{} integrations share it: {}", names.len(), names.join(", "));
    let fix = format!("a key for each: `keyctl create brevo:NAME@{}`", key.scope);
    Some(Finding::on_key(Id::SeveralConsumers, key, detail, fix))
}
