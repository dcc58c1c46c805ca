//! Asks the providers: reads the secrets, finds those that are the same, and
//! checks each distinct one once, a bounded number at a time. What an answer
//! told is reduced at once, so that memory stays flat.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::context::{Context, Slot, Stored};
use crate::exit::{Exit, Situation};
use crate::http::Patience;
use crate::inventory::Inventory;
use crate::key::{Domain, Judgement, KeyRef, Kind, ProviderId, Reason, Record, Secret};
use crate::provider::Credential;
use crate::state::{Entries, LastVerdict, VERDICTS};
use crate::store::{StoreError, StoreProblem};
use crate::workflow::interrupt::Interruption;
use crate::workflow::smtp_login::Sought;
use crate::workflow::validation::answers::{Answer, Answers, Arrival};
use crate::workflow::validation::reduce;
use crate::workflow::validation::requirements::Wish;
use crate::workflow::verdict_memory::Asked;
use crate::workflow::{key_permissions, smtp_login};
use crate::{exit, provider};

/// How many times its `--timeout` a probe of many may wait for the budget of
/// its account, besides: by default 90 s, so that a budget of a minute is
/// waited for, and one of an hour is not.
const QUEUEING: u32 = 3;

/// What makes two records one question: provider, kind, and the secret (its
/// whole hash, so that two secrets never pass for one).
type Question = (ProviderId, Kind, [u8; 32]);

/// One question: the secret and a record that describes it.
pub struct Probe<'a> {
    pub key: &'a KeyRef,
    pub record: &'a Record,
    secret: Secret,
    /// Permissions to prove.
    permissions: Vec<String>,
    /// The domains of the scopes where it is effective.
    domains: BTreeSet<Domain>,
    /// The probe that tells the login, where none is recorded.
    teller: Option<usize>,
    /// What its provider said, where another probe needs that, too.
    said: Option<Box<OnceLock<Judgement>>>,
}

/// What the secrets are read with.
#[derive(Clone, Copy)]
struct Reading<'r, 'a> {
    context: &'r Context,
    inventory: &'a Inventory,
    wish: Wish<'r, 'a>,
    /// The verdicts before, where they may be used again.
    before: Option<&'r Entries<LastVerdict>>,
}

/// How a batch is asked.
#[derive(Clone, Copy)]
pub struct Asking<'r, 'a> {
    pub context: &'r Context,
    /// Probes at the same time.
    pub jobs: usize,
    pub interrupted: &'r Interruption,
    /// Tells what is known when probes still hang some time after Ctrl-C; the
    /// process ends with its code.
    pub abandon: &'r dyn Fn(&Batch<'a>, Answers) -> anyhow::Result<Exit>,
}

/// The selected records and the questions they come to.
pub struct Batch<'a> {
    pub records: Vec<(&'a KeyRef, &'a Record, Ask)>,
    pub probes: Vec<Probe<'a>>,
    /// The keys whose secret is not simply the recorded one.
    asked: BTreeMap<&'a KeyRef, Asked>,
    questions: BTreeMap<Question, usize>,
}

/// How a record gets its answer.
#[derive(Debug, Clone)]
pub enum Ask {
    /// The n-th probe.
    Probe(usize),
    /// No provider was asked: why.
    Known(Box<Judgement>),
    /// A verdict young enough to be used again.
    Remembered(Box<LastVerdict>),
}

impl<'a> Batch<'a> {
    /// Reads the secrets of the selected records.
    ///
    /// # Errors
    /// Exit 7 when stores failed and not a single key was read.
    pub fn read(
        context: &Context,
        inventory: &'a Inventory,
        keys: &BTreeSet<&'a KeyRef>,
        wish: Wish<'_, 'a>,
    ) -> anyhow::Result<Self> {
        let before = wish.max_age.map(|_| context.state.entries(VERDICTS));
        let (records, probes) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
        let (asked, questions) = (BTreeMap::new(), BTreeMap::new());
        let mut batch = Self { records, probes, asked, questions };
        let mut store_trouble = None;
        for key in keys {
            let Some(record) = inventory.keys.get(key) else { continue };
            let stored = match context.stored(inventory, key, record, Slot::Current) {
                Ok(stored) => stored,
                Err(error) => {
                    let judgement = unreadable(&error);
                    // What the first read tells of the whole store need not be asked a thousand times.
                    let hopeless = matches!(error.problem, StoreProblem::TimedOut | StoreProblem::NoService);
                    store_trouble.get_or_insert(error);
                    if hopeless && !batch.has_read() {
                        break;
                    }
                    batch.records.push((key, record, Ask::Known(Box::new(judgement))));
                    continue;
                }
            };
            let reading = Reading { context, inventory, wish, before: before.as_ref() };
            let (record, ask) = batch.held_against(reading, (key, record), stored);
            batch.records.push((key, record, ask));
        }
        match store_trouble {
            Some(error) if !batch.has_read() => Err(Situation::from(error).into()),
            _ => Ok(batch),
        }
    }

    /// Returns how a record gets its answer by what its store holds, and the
    /// record as it is of that version.
    fn held_against(
        &mut self,
        reading: Reading<'_, 'a>,
        (key, record): (&'a KeyRef, &'a Record),
        stored: Stored,
    ) -> (&'a Record, Ask) {
        let Reading { context, inventory, wish, before } = reading;
        let ask = match stored {
            Stored::Fits(secret) => {
                let asked = Asked::of(context, inventory, key, record, &secret);
                let last = before.and_then(|it| it.get(record.id.as_str()));
                let is_versioned = context.is_versioned(context.store_name_of(inventory, record));
                let young = |it: &LastVerdict| {
                    wish.is_young(it, context, inventory, (key, record))
                        && asked.is_that_of(it, record, is_versioned)
                };
                match last.filter(young) {
                    Some(last) => Ask::Remembered(Box::new(last)),
                    None => self.take(context, inventory, (key, record), (secret, asked), wish),
                }
            }
            Stored::OtherVersion(slot, secret) => {
                let version = wish.versions.get(key, slot).unwrap_or(record);
                let asked = (secret, Asked::Version(slot));
                return (version, self.take(context, inventory, (key, version), asked, wish));
            }
            Stored::Absent => {
                let again = context.store_again(inventory, key, record);
                Ask::Known(Box::new(missing(key).with_hint(again)))
            }
            Stored::Mismatch(mismatch) => Ask::Known(Box::new(mismatch.judgement())),
        };
        (record, ask)
    }

    /// Makes a question of a secret.
    fn take(
        &mut self,
        context: &Context,
        inventory: &'a Inventory,
        (key, record): (&'a KeyRef, &'a Record),
        (secret, asked): (Secret, Asked),
        wish: Wish<'_, 'a>,
    ) -> Ask {
        if asked != Asked::Recorded {
            self.asked.insert(key, asked);
        }
        let n = self.question(key, record, secret);
        self.probes[n].wish(inventory, key, record, wish);
        self.find_login(context, inventory, n);
        Ask::Probe(n)
    }

    /// Returns whose secret was asked about for a key.
    pub fn asked(&self, key: &KeyRef) -> Asked {
        self.asked.get(key).cloned().unwrap_or(Asked::Recorded)
    }

    /// Lets the n-th probe learn its login from another, where it has none.
    fn find_login(&mut self, context: &Context, inventory: &'a Inventory, n: usize) {
        let (key, record) = (self.probes[n].key, self.probes[n].record);
        if record.login.is_some() {
            return;
        }
        let Some((by, held)) = smtp_login::teller(inventory, Sought::of(key, record)) else { return };
        if let Ok(Some(secret)) = context.secret(inventory, by, held, Slot::Current) {
            let teller = self.question(by, held, secret);
            self.probes[teller].said = Some(Box::default());
            self.probes[n].teller = Some(teller);
        }
    }

    /// Returns the last record that each probe answers.
    pub fn last_uses(&self) -> BTreeMap<usize, usize> {
        let asked = |ask: &Ask| if let Ask::Probe(probe) = ask { Some(*probe) } else { None };
        self.records.iter().enumerate().filter_map(|(n, (_, _, ask))| Some((asked(ask)?, n))).collect()
    }

    /// Returns the keys that can tell whether a login that was refused is the
    /// account's, and were not asked.
    pub fn tellers(&self, inventory: &'a Inventory, answers: &Answers) -> BTreeSet<&'a KeyRef> {
        let refused = self.records.iter().filter(|(_, record, ask)| {
            let answer = if let Ask::Probe(n) = ask { answers.get(*n) } else { None };
            record.login.is_some() && answer.is_some_and(|it| smtp_login::matters(&it.judgement))
        });
        let tellers =
            refused.filter_map(|(key, record, _)| smtp_login::teller(inventory, Sought::of(key, record)));
        let new = |by: &&KeyRef| !self.probes.iter().any(|it| it.key == *by);
        tellers.map(|(by, _)| by).filter(new).collect()
    }

    /// Returns what a key told of its account's login in this run.
    pub fn told(&self, by: &KeyRef, answers: &Answers) -> Option<smtp_login::Told> {
        let n = self.probes.iter().position(|it| it.key == by)?;
        smtp_login::Told::read(by, &answers.get(n)?.judgement)
    }

    /// Adds keys that are asked only to testify for others. One whose secret
    /// cannot be read testifies nothing.
    pub fn add_witnesses(
        &mut self,
        context: &Context,
        inventory: &'a Inventory,
        keys: impl IntoIterator<Item = &'a KeyRef>,
    ) {
        for key in keys {
            let Some(record) = inventory.keys.get(key) else { continue };
            if let Ok(Some(secret)) = context.secret(inventory, key, record, Slot::Current) {
                self.question(key, record, secret);
            }
        }
    }

    /// Returns the records whose own answers do not prove them dead or alive.
    pub fn in_doubt(&self, answers: &Answers) -> Vec<(&'a KeyRef, &'a Record)> {
        let doubtful = |ask: &Ask| match ask {
            Ask::Probe(n) => answers.get(*n).is_some_and(|answer| {
                let judgement = &answer.judgement;
                !judgement.accepted() && !crate::workflow::validation::judge::says_dead(judgement)
            }),
            Ask::Known(_) | Ask::Remembered(_) => true,
        };
        let found = self.records.iter().filter(|(_, _, ask)| doubtful(ask));
        found.map(|(key, record, _)| (*key, *record)).collect()
    }

    /// Returns whether a single secret could be read.
    fn has_read(&self) -> bool {
        let read = |ask: &Ask| match ask {
            Ask::Probe(_) | Ask::Remembered(_) => true,
            Ask::Known(judgement) => judgement.has(Reason::SecretMismatch),
        };
        self.records.iter().any(|(_, _, ask)| read(ask))
    }

    fn question(&mut self, key: &'a KeyRef, record: &'a Record, secret: Secret) -> usize {
        let hash: [u8; 32] = Sha256::digest(secret.expose().as_bytes()).into();
        *self.questions.entry((key.provider, record.kind, hash)).or_insert_with(|| {
            let (permissions, domains) = (Vec::new(), BTreeSet::new());
            let (teller, said) = (None, None);
            self.probes.push(Probe { key, record, secret, permissions, domains, teller, said });
            self.probes.len() - 1
        })
    }

    /// Asks the questions that have no answer yet, `jobs` at a time, until Ctrl-C.
    ///
    /// # Errors
    /// When the network cannot be set up (a bad variable).
    pub fn ask(&self, asking: Asking<'_, 'a>, answers: &mut Answers) -> anyhow::Result<()> {
        let Asking { context, jobs, interrupted, abandon } = asking;
        let begin = answers.make_room(self.probes.len());
        let total = self.probes.len() - begin;
        if total == 0 {
            return Ok(());
        }
        let next = AtomicUsize::new(0);
        let progress = context.operator.progress(total, "validating");
        let network = context.net()?;
        let timeout = context.timeout();
        let order = self.order(begin);
        let (next, progress, order) = (&next, &progress, &order);
        std::thread::scope(|scope| {
            // It ends with the last worker.
            let (sender, arriving) = std::sync::mpsc::channel();
            for _ in 0..jobs.min(total) {
                let sender = sender.clone();
                scope.spawn(move || {
                    while !interrupted.is_raised() {
                        let Some(n) = order.get(next.fetch_add(1, Ordering::Relaxed)).copied() else { break };
                        let Some(probe) = self.probes.get(n) else { break };
                        // One probe has the whole command's time; of many, each has its own.
                        let one = self.probes.len() == 1;
                        let deadline = if one { network.deadline } else { Instant::now() + timeout };
                        let patience = Patience::new(timeout * QUEUEING, interrupted.flag());
                        let patience = Some(&patience).filter(|_| !one);
                        let answer = self.check(probe, provider::Net { deadline, patience, ..network });
                        // It gave up its place in the queue for the end's sake.
                        if interrupted.is_raised() && answer.judgement.has(Reason::RateLimited) {
                            break;
                        }
                        progress.step();
                        // The other end waits for the last worker.
                        let _ = sender.send((n, answer));
                    }
                });
            }
            drop(sender);
            if answers.take(context, interrupted, &arriving) == Arrival::Abandoned {
                progress.clear();
                let exit = abandon(self, answers.abandon()).unwrap_or(Exit::Interrupted);
                exit::leave(exit);
            }
        });
        answers.settle();
        Ok(())
    }
}

impl Batch<'_> {
    /// Returns the probes from `begin` on, the first of every account before
    /// the second of any: keys that share a budget wait for each other, and
    /// the others need not wait with them.
    fn order(&self, begin: usize) -> Vec<usize> {
        let mut met: BTreeMap<(ProviderId, String), usize> = BTreeMap::new();
        let mut rank = |probe: &Probe<'_>| match probe.account() {
            Some(account) => {
                let rank = met.entry((probe.key.provider, account)).or_default();
                *rank += 1;
                *rank
            }
            None => 0,
        };
        let mut ranked: Vec<(usize, usize)> =
            self.probes.iter().enumerate().skip(begin).map(|(n, probe)| (rank(probe), n)).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, n)| n).collect()
    }

    fn check(&self, probe: &Probe<'_>, net: provider::Net<'_>) -> Answer {
        let start = Instant::now();
        let teller = probe.teller.and_then(|n| self.probes.get(n));
        let tell = || teller.and_then(|it| smtp_login::Told::read(it.key, &it.judgement(&net, || None)));
        let mut judgement = probe.judgement(&net, tell);
        let permissions = if judgement.accepted() {
            let (provider, credential) = (probe.key.provider, probe.credential());
            key_permissions::prove(&net, provider, &credential, &judgement.facts, &probe.permissions)
        } else {
            Vec::new()
        };
        // All that a key may do is kept only where it is compared with something.
        let held = judgement.facts.permissions.take().filter(|_| !probe.permissions.is_empty());
        let domains = reduce::reduce(&mut judgement.facts, &probe.domains);
        judgement.facts.permissions = held;
        let judgement = Box::new(judgement);
        Answer { judgement, domains, permissions, latency: start.elapsed(), at: net.now }
    }
}

impl Probe<'_> {
    /// Returns the secret with what is recorded of it.
    pub fn credential(&self) -> Credential<'_> {
        Credential::of(self.record, &self.secret)
    }

    /// The account, as far as it is known offline.
    fn account(&self) -> Option<String> {
        let embedded = provider::provider(self.key.provider).embedded_account(&self.secret);
        embedded.or_else(|| self.record.account_id.clone())
    }

    fn wish(&mut self, inventory: &Inventory, key: &KeyRef, record: &Record, wish: Wish<'_, '_>) {
        for name in wish.require.iter().chain(&record.permissions) {
            let name = key_permissions::spelling(key.provider, name);
            if !self.permissions.contains(&name) {
                self.permissions.push(name);
            }
        }
        let scopes = wish.places.get(key).into_iter().flatten();
        self.domains.extend(scopes.filter_map(|scope| inventory.domain_at(scope)).map(|(domain, _)| domain));
    }

    /// Returns what its provider says. It is asked once, whoever wants to know.
    fn judgement(
        &self,
        net: &provider::Net<'_>,
        tell: impl FnOnce() -> Option<smtp_login::Told>,
    ) -> Judgement {
        let ask = || {
            // A defect met by one key must not take the answers of the others along.
            let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                smtp_login::prove(net, Sought::of(self.key, self.record), &self.credential(), tell)
            }));
            asked.unwrap_or_else(|_| {
                let detail = "keyctl failed on the answer; nothing was proven";
                Judgement::because(Reason::UnexpectedResponse, detail)
                    .with_hint("this is a defect of keyctl: please report it with the lines above")
            })
        };
        match &self.said {
            Some(said) => said.get_or_init(ask).clone(),
            None => ask(),
        }
    }
}

fn unreadable(error: &StoreError) -> Judgement {
    Judgement::because(Reason::StoreLocked, error.message.clone())
        .with_hint(error.remedy.clone().unwrap_or_else(|| "`keyctl store status`".to_owned()))
}

fn missing(key: &KeyRef) -> Judgement {
    Judgement::because(Reason::SecretMissing, format!("the store has no secret for `{key}`"))
}
