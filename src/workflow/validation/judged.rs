//! One key, judged: the verdict on each scope where it is in effect.

use jiff::Timestamp;

use crate::context::Slot;
use crate::key::verdict::Facts;
use crate::key::{
    Domain, Expiry, Judgement, KeyRef, KeyState, Kind, ProviderId, Reason, Record, Scope, Verdict,
};
use crate::workflow::validation::answers::Domains;
use crate::workflow::validation::expectation::Expect;

/// One record, judged.
pub struct Judged<'a> {
    pub key: Option<&'a KeyRef>,
    pub provider: ProviderId,
    pub kind: Kind,
    pub record: Option<&'a Record>,
    pub judgement: Box<Judgement>,
    pub domains: Domains,
    pub at: Vec<At>,
    pub latency_ms: Option<u64>,
    pub checked_at: Option<Timestamp>,
    /// Against the verdict before; `None` when there was none.
    pub changed: Option<bool>,
    /// For `--expect rejected`: proven dead.
    pub dead: bool,
    /// A permission of `--require` is proven missing.
    pub lacks_required: bool,
    /// When the provider last accepted it, as far as this machine knows.
    pub last_success: Option<Timestamp>,
    /// How many domains can be chosen with it, where it may list them.
    pub selectable: Option<usize>,
    /// The version that was judged, where that is not the current one.
    pub slot: Option<Slot>,
}

/// The verdict at one scope where the key is effective.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct At {
    pub scope: Scope,
    pub domain: Option<Domain>,
    pub verdict: Verdict,
    pub reason: Option<Reason>,
}

impl<'a> Judged<'a> {
    /// Returns the key ref, or the provider of a key that is in no inventory.
    pub fn name(&self) -> &'a str {
        self.key.map_or(self.provider.as_str(), KeyRef::as_str)
    }

    /// Returns what the provider told, else what is recorded.
    pub fn told<'b, T>(
        &'b self,
        fact: impl FnOnce(&'b Facts) -> Option<T>,
        recorded: impl FnOnce(&'b Record) -> Option<T>,
    ) -> Option<T> {
        fact(&self.judgement.facts).or_else(|| self.record.and_then(recorded))
    }

    pub fn role(&self) -> Option<&str> {
        self.told(|it| it.role.as_deref(), |it| it.role.as_deref())
    }

    /// Returns when the key was made: as recorded, else as the provider says.
    pub fn created(&self) -> Option<Timestamp> {
        self.record.and_then(|it| it.created).or(self.judgement.facts.created)
    }

    pub fn expires(&self) -> Expiry {
        self.told(|it| it.expires, |it| Some(it.expires)).unwrap_or_default()
    }

    /// Returns the scopes worth naming: where it is not fit, unless a key that
    /// was not accepted is so everywhere alike.
    pub fn troubled(&self) -> impl Iterator<Item = (&At, Reason)> {
        let alike = self.at.windows(2).all(|pair| pair[0].reason == pair[1].reason);
        let places = if self.judgement.accepted() || !alike { self.at.as_slice() } else { &[] };
        places.iter().filter_map(|at| Some((at, at.reason?)))
    }

    /// Returns the verdict that counts for the exit code.
    pub fn counts_as(&self, expect: Option<Expect>) -> Verdict {
        let verdict = self.judgement.verdict();
        let switched_off = self.record.is_some_and(|it| it.state == KeyState::Disabled);
        match (expect, verdict) {
            (Some(Expect::Rejected), _) if self.dead => Verdict::Valid,
            (Some(Expect::Rejected), Verdict::Valid | Verdict::Limited) => Verdict::Rejected,
            (Some(Expect::Rejected), Verdict::Rejected | Verdict::Unknown) => Verdict::Unknown,
            (None, _) if self.lacks_required => Verdict::Rejected,
            // A key that is switched off is healthy when it is refused.
            (None, Verdict::Rejected) if switched_off => Verdict::Valid,
            (None, Verdict::Valid | Verdict::Limited) if switched_off => Verdict::Rejected,
            (None, verdict) => verdict,
        }
    }
}
