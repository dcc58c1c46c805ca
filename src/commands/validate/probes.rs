//! Asks the providers: reads the secrets, finds those that are the same, and
//! checks each distinct one once, a bounded number at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::is_raised;
use crate::clock::Span;
use crate::context::{Context, Slot};
use crate::exit::Situation;
use crate::inventory::Inventory;
use crate::key::{Judgement, KeyRef, Kind, ProviderId, Reason, Record, Secret, Verdict};
use crate::provider::{self, Credential};
use crate::state::{LastVerdict, VERDICTS, Verdicts};
use crate::store::StoreProblem;

/// What makes two records one question: provider, kind, and the secret (its
/// whole hash, so that two secrets never pass for one).
type Question = (ProviderId, Kind, [u8; 32]);

/// One question: the secret and a record that describes it.
pub struct Probe<'a> {
    pub key: &'a KeyRef,
    pub record: &'a Record,
    secret: Secret,
}

/// The selected records and the questions they come to.
pub struct Batch<'a> {
    pub records: Vec<(&'a KeyRef, &'a Record, Ask)>,
    probes: Vec<Probe<'a>>,
    /// Verdicts before this run.
    pub before: Verdicts,
}

/// How a record gets its answer.
#[derive(Debug, Clone)]
pub enum Ask {
    /// The n-th probe.
    Probe(usize),
    /// No provider was asked: why.
    Known(Judgement),
    /// A verdict young enough to be used again.
    Remembered(LastVerdict),
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub judgement: Judgement,
    pub latency: Duration,
    pub at: Timestamp,
}

/// All answers; `None` for what was not asked before the interruption.
pub struct Answers {
    pub answers: Vec<Option<Answer>>,
    pub probes: usize,
    pub complete: bool,
}

impl<'a> Batch<'a> {
    /// Reads the secrets of the selected records.
    ///
    /// # Errors
    /// Exit 7 when stores failed and not a single key was read.
    pub fn read(
        context: &Context,
        inventory: &'a Inventory,
        keys: &BTreeSet<KeyRef>,
        max_age: Option<Span>,
    ) -> anyhow::Result<Self> {
        let before: Verdicts = context.state.read(VERDICTS);
        let mut batch = Self { records: Vec::new(), probes: Vec::new(), before };
        let mut questions: BTreeMap<Question, usize> = BTreeMap::new();
        let mut store_trouble = None;
        for key in keys {
            let Some((key, record)) = inventory.keys.get_key_value(key) else { continue };
            if let Some(last) = batch.young_enough(context, record, max_age) {
                batch.records.push((key, record, Ask::Remembered(last)));
                continue;
            }
            let ask = match context.secret(inventory, key, record, Slot::Current) {
                Ok(Some(secret)) => Ask::Probe(batch.question(&mut questions, key, record, secret)),
                Ok(None) => Ask::Known(missing(key)),
                Err(error) => {
                    let judgement = Judgement::because(Reason::StoreLocked, error.message.clone()).with_hint(
                        error.remedy.clone().unwrap_or_else(|| "`keyctl store status`".to_owned()),
                    );
                    // What the first read tells of the whole store need not be asked a thousand times.
                    let hopeless = matches!(error.problem, StoreProblem::TimedOut | StoreProblem::NoService);
                    store_trouble.get_or_insert(error);
                    if hopeless && batch.probes.is_empty() {
                        break;
                    }
                    Ask::Known(judgement)
                }
            };
            batch.records.push((key, record, ask));
        }
        match store_trouble {
            Some(error) if batch.probes.is_empty() && !batch.has_remembered() => {
                Err(Situation::from(error).into())
            }
            _ => Ok(batch),
        }
    }

    fn has_remembered(&self) -> bool {
        self.records.iter().any(|(_, _, ask)| matches!(ask, Ask::Remembered(_)))
    }

    fn young_enough(&self, context: &Context, record: &Record, max_age: Option<Span>) -> Option<LastVerdict> {
        let last = self.before.get(record.id.as_str())?;
        let same = record.fingerprint.as_ref().is_none_or(|it| it.as_str() == last.fingerprint);
        let age = context.now().as_second() - last.checked_at.as_second();
        (same && age >= 0 && age <= max_age?.seconds).then(|| last.clone())
    }

    fn question(
        &mut self,
        questions: &mut BTreeMap<Question, usize>,
        key: &'a KeyRef,
        record: &'a Record,
        secret: Secret,
    ) -> usize {
        let hash: [u8; 32] = Sha256::digest(secret.expose().as_bytes()).into();
        *questions.entry((key.provider, record.kind, hash)).or_insert_with(|| {
            self.probes.push(Probe { key, record, secret });
            self.probes.len() - 1
        })
    }

    /// Asks all questions, `jobs` at a time, until Ctrl-C.
    ///
    /// # Errors
    /// When the network cannot be set up (a bad variable).
    pub fn ask(
        &self,
        context: &Context,
        jobs: usize,
        required: &[String],
        interrupted: &AtomicBool,
    ) -> anyhow::Result<Answers> {
        let total = self.probes.len();
        let slots: Mutex<Vec<Option<Answer>>> = Mutex::new(vec![None; total]);
        let next = AtomicUsize::new(0);
        if total > 0 {
            let progress = context.console.progress(total, "validating");
            let network = context.net()?;
            let timeout = context.timeout();
            let (slots, next, progress) = (&slots, &next, &progress);
            std::thread::scope(|scope| {
                for _ in 0..jobs.min(total) {
                    scope.spawn(move || {
                        while !is_raised(interrupted) {
                            let n = next.fetch_add(1, Ordering::Relaxed);
                            let Some(probe) = self.probes.get(n) else { break };
                            // One probe has the whole command's time; of many, each has its own.
                            let deadline =
                                if total == 1 { network.deadline } else { Instant::now() + timeout };
                            let needed = self.needed(n, required);
                            let answer = probe.check(provider::Net { deadline, ..network }, &needed);
                            if let Ok(mut slots) = slots.lock() {
                                slots[n] = Some(answer);
                            }
                            progress.step();
                        }
                    });
                }
            });
        }
        let answers = slots.into_inner().unwrap_or_default();
        let probes = answers.iter().flatten().count();
        Ok(Answers { complete: probes == total, probes, answers })
    }

    /// Returns the permissions that the records behind the n-th probe, and the
    /// caller, want to see proven.
    fn needed(&self, n: usize, required: &[String]) -> Vec<String> {
        let asked = self.records.iter().filter(|(_, _, ask)| matches!(ask, Ask::Probe(it) if *it == n));
        let recorded = asked.flat_map(|(_, record, _)| &record.permissions);
        required.iter().chain(recorded).cloned().collect()
    }
}

impl Probe<'_> {
    fn check(&self, net: provider::Net<'_>, needed: &[String]) -> Answer {
        let credential = Credential {
            kind: self.record.kind,
            secret: &self.secret,
            region: self.record.region,
            domain: self.record.domain.as_ref(),
            login: self.record.login.as_deref(),
            remote_id: self.record.remote_id.as_deref(),
        };
        let start = Instant::now();
        let provider = provider::provider(self.key.provider);
        let mut judgement = provider.check(&net, &credential);
        provider::prove(provider, &net, &credential, needed, &mut judgement);
        Answer { judgement, latency: start.elapsed(), at: net.now }
    }
}

fn missing(key: &KeyRef) -> Judgement {
    Judgement::because(Reason::SecretMissing, format!("the store has no secret for `{key}`"))
        .with_hint(format!("store it again: `keyctl add {key} --replace`"))
}

impl Answers {
    /// Returns whether a probe was accepted by its provider.
    pub fn accepted(&self) -> impl Iterator<Item = &Judgement> {
        self.answers
            .iter()
            .flatten()
            .map(|it| &it.judgement)
            .filter(|it| matches!(it.verdict(), Verdict::Valid | Verdict::Limited))
    }
}

/// Returns a length of time in whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
