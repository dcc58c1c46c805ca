//! The answers of the providers as they arrive from the probes, and what is
//! done about probes that hang.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::context::Context;
use crate::key::Domain;
use crate::key::Judgement;
use crate::provider::PermissionState;
use crate::workflow::interrupt::Interruption;

/// How long probes that are under way are waited for after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether all that was asked was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    Whole,
    /// Probes hung for some time after Ctrl-C.
    Abandoned,
}

/// One answer, reduced.
#[derive(Debug, Clone)]
pub struct Answer {
    pub judgement: Box<Judgement>,
    pub domains: Domains,
    pub permissions: Vec<PermissionState>,
    pub latency: Duration,
    pub at: Timestamp,
}

/// All answers; none for what was not asked before the interruption.
pub struct Answers {
    answers: Vec<Option<Answer>>,
    common: Common,
    pub complete: bool,
}

impl Answers {
    /// Returns no answers yet.
    pub fn none() -> Self {
        Self { answers: Vec::new(), common: Common::default(), complete: true }
    }

    /// Returns the answer of the n-th probe, if it came.
    pub fn get(&self, n: usize) -> Option<&Answer> {
        self.answers.get(n).and_then(Option::as_ref)
    }

    /// Makes room for the answers of `count` probes; returns how many had room
    /// before: from there on nothing was asked yet.
    pub fn make_room(&mut self, count: usize) -> usize {
        let begin = self.answers.len();
        self.answers.resize_with(count, || None);
        begin
    }

    /// Takes what is known when the rest is not waited for.
    pub fn abandon(&mut self) -> Self {
        Self { complete: false, ..std::mem::replace(self, Self::none()) }
    }

    /// Notes whether every probe was answered.
    pub fn settle(&mut self) {
        self.complete &= self.answers.iter().all(Option::is_some);
    }

    /// Returns an answer for good the `last` time, before that a copy.
    pub fn give(&mut self, n: usize, last: bool) -> Option<Answer> {
        let answer = self.answers.get_mut(n)?;
        if last { answer.take() } else { answer.clone() }
    }

    /// Takes what arrives from the workers until the last has ended, and says
    /// once why an interrupted run does not end at once: what was asked is
    /// waited for, some time.
    pub fn take(
        &mut self,
        context: &Context,
        interrupted: &Interruption,
        arriving: &Receiver<(usize, Answer)>,
    ) -> Arrival {
        let mut told: Option<Instant> = None;
        loop {
            match arriving.recv_timeout(Duration::from_millis(200)) {
                Ok((n, answer)) => {
                    let kept = self.common.kept(answer);
                    if let Some(slot) = self.answers.get_mut(n) {
                        *slot = Some(kept);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Arrival::Whole,
            }
            match told {
                None if interrupted.is_raised() => {
                    told = Some(Instant::now());
                    context.operator.note(
                        "interrupted: waiting a moment for what was asked already; Ctrl-C again ends at once",
                    );
                }
                Some(at) if at.elapsed() > PATIENCE => return Arrival::Abandoned,
                _ => {}
            }
        }
    }

    /// Returns how many probes were answered.
    pub fn count(&self) -> usize {
        self.answers.iter().flatten().count()
    }
}

/// Returns a length of time in whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a check told of the account's domains, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Domains {
    /// How many can be chosen where the US rule counts, and where it does not;
    /// `None` where the key may not list domains or a part was not read.
    pub under_us_rule: Option<usize>,
    pub elsewhere: Option<usize>,
}

impl Domains {
    pub fn selectable(self, us_rule: bool) -> Option<usize> {
        if us_rule { self.under_us_rule } else { self.elsewhere }
    }
}

/// What many answers have in common, kept once: the keys of one account all
/// tell the same ids and domains.
#[derive(Default)]
pub struct Common {
    ids: HashSet<Arc<str>>,
    domains: HashSet<Domain>,
}

impl Common {
    /// Returns an answer with what it shares with others.
    pub fn kept(&mut self, mut answer: Answer) -> Answer {
        let facts = &mut answer.judgement.facts;
        for id in &mut facts.sibling_ids {
            share(&mut self.ids, id);
        }
        for fact in facts.domains.iter_mut().flatten() {
            share(&mut self.domains, &mut fact.name);
        }
        answer
    }
}

pub fn share<T: Clone + Eq + Hash>(held: &mut HashSet<T>, one: &mut T) {
    match held.get(one) {
        Some(same) => one.clone_from(same),
        None => drop(held.insert(one.clone())),
    }
}
