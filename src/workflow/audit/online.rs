//! What only the providers can tell: keys that exist there and not here, the
//! reverse, and old keys that are still in use. Sends reading calls only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crate::clock::rfc3339;
use crate::context::Context;
use crate::inventory::Inventory;
use crate::key::text::printable;
use crate::key::{KeyRef, KeyState, Kind, ProviderId, Reason, Record, Secret, Verdict};
use crate::provider;
use crate::provider::{Credential, Family, KeyAdmin, Net, RemoteKey, Trouble};
use crate::rotation::Rotation;
use crate::state::{EVIDENCE, Evidence};
use crate::workflow::account_identity::{Mark, marks_of};
use crate::workflow::audit::finding::{Finding, Id};
use crate::workflow::audit::secrets;
use crate::workflow::audit::secrets::Secrets;
use crate::workflow::interrupt::Interruption;
use crate::workflow::worker_pool;

/// How many accounts are asked at the same time.
const JOBS: usize = 8;

type Keys<'a> = BTreeMap<&'a KeyRef, &'a Record>;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub findings: Vec<Finding>,
    /// A store could not be opened, and no secret was read.
    pub locked: bool,
    /// Ctrl-C came before the end.
    pub interrupted: bool,
}

/// The look at all providers.
struct Look<'a> {
    context: &'a Context,
    inventory: &'a Inventory,
    keys: &'a Keys<'a>,
    evidence: BTreeMap<String, Evidence>,
    interruption: &'a Interruption,
    secrets: Secrets<'a>,
    found: Found,
}

/// What the lists of a provider's accounts are asked for.
#[derive(Default)]
struct Round<'a> {
    /// Who may list and was not asked yet.
    managers: VecDeque<(&'a KeyRef, &'a Record)>,
    /// Ids of all keys that were listed.
    seen: BTreeSet<String>,
    /// Marks of the accounts whose keys were listed.
    listed: BTreeSet<Mark>,
    /// Who cannot be asked. What is not listed by another either was not looked at.
    unread: Vec<(&'a Record, Finding)>,
}

/// Asks the providers of the selected keys.
///
/// # Errors
/// When the network cannot be set up (a bad variable).
pub fn look(
    context: &Context,
    inventory: &Inventory,
    keys: &Keys<'_>,
    interruption: &Interruption,
) -> anyhow::Result<Found> {
    let evidence = context.state.read(EVIDENCE);
    let (secrets, found) = (Secrets::new(context, inventory), Found::default());
    let mut look = Look { context, inventory, keys, evidence, interruption, secrets, found };
    for provider in ProviderId::ALL {
        if let Some(admin) = provider::provider(provider).keys() {
            look.lists(provider, admin)?;
            look.uses(provider, admin)?;
        }
    }
    let mut found = look.found;
    secrets::tidy(&mut found.findings);
    found.locked = look.secrets.locked();
    Ok(found)
}

impl<'a> Look<'a> {
    /// Compares each account's list of keys with the records: some accounts at
    /// a time, each asked by one of its keys.
    fn lists(&mut self, provider: ProviderId, admin: &dyn KeyAdmin) -> anyhow::Result<()> {
        let managers = self.keys.iter().filter(|(key, record)| key.provider == provider && may_list(record));
        let managers = managers.map(|(key, record)| (*key, *record)).collect();
        let mut round = Round { managers, ..Round::default() };
        if round.managers.is_empty() {
            return Ok(());
        }
        let progress = self.context.operator.progress(round.managers.len(), "listing keys");
        let network = self.context.net()?;
        let timeout = self.context.timeout();
        while !round.managers.is_empty() && !self.interruption.is_raised() {
            let before = round.managers.len();
            let wave = self.next_wave(&mut round);
            (round.managers.len()..before).for_each(|_| progress.step());
            let until = (self.interruption, &*self.context.operator);
            let listed = worker_pool::until(&wave, JOBS, until, |(_, record, secret)| {
                let family = Family { kind: record.kind, domain: None, region: record.region };
                let net = Net { deadline: Instant::now() + timeout, ..network };
                admin.list(net.by(&Credential::of(record, secret)), &family)
            });
            for ((key, record, secret), listed) in wave.iter().zip(listed) {
                let again = own_id(provider, record, secret).is_some_and(|id| round.seen.contains(&id));
                match listed {
                    // Another key of the account was in the same wave.
                    Some(Ok(_)) if again => {}
                    Some(Ok(listed)) => {
                        round.seen.extend(listed.iter().map(|it| it.id.to_ascii_lowercase()));
                        round.listed.extend(self.marks(record));
                        self.compare((key, record), admin, &listed);
                    }
                    Some(Err(trouble)) => self.not_read(key, &trouble),
                    None => self.found.interrupted = true,
                }
            }
        }
        self.found.interrupted |= !round.managers.is_empty();
        let listed = |mark: &Mark| {
            round.listed.contains(mark) || matches!(mark, Mark::Key(id) if round.seen.contains(id))
        };
        let unread = round.unread.into_iter();
        let missed = unread.filter(|(record, _)| !self.marks(record).iter().any(&listed));
        let missed: Vec<Finding> = missed.map(|(_, finding)| finding).collect();
        self.found.findings.extend(missed);
        Ok(())
    }

    /// Returns what is known of the account of a record.
    fn marks(&self, record: &Record) -> Vec<Mark> {
        marks_of(record, self.evidence.get(record.id.as_str()))
    }

    /// Takes the next keys that are to be asked, as far as is known one of an
    /// account; the others of these accounts wait, what was `seen` is done.
    fn next_wave(&mut self, round: &mut Round<'a>) -> Vec<(&'a KeyRef, &'a Record, Secret)> {
        let mut wave = Vec::new();
        let mut accounts: BTreeSet<Mark> = BTreeSet::new();
        let mut waiting = Vec::new();
        while wave.len() < JOBS
            && let Some((key, record)) = round.managers.pop_front()
        {
            let marks = self.marks(record);
            if marks.iter().any(|it| accounts.contains(it)) {
                waiting.push((key, record));
                continue;
            }
            match self.secrets.read(key, record) {
                Err(finding) => round.unread.push((record, *finding)),
                Ok(secret) => {
                    if own_id(key.provider, record, &secret).is_none_or(|id| !round.seen.contains(&id)) {
                        accounts.extend(marks);
                        wave.push((key, record, secret));
                    }
                }
            }
        }
        waiting.into_iter().rev().for_each(|it| round.managers.push_front(it));
        wave
    }

    fn compare(&mut self, manager: (&KeyRef, &Record), admin: &dyn KeyAdmin, listed: &[RemoteKey]) {
        let provider = manager.0.provider;
        let (known, unread) = self.known(manager, admin, listed);
        let strangers = listed.iter().filter(|it| is_kept(it));
        let strangers: Vec<&RemoteKey> =
            strangers.filter(|it| !known.contains(&it.id.to_ascii_lowercase())).collect();
        // They may be the very keys of which nothing could be read.
        if strangers.len() > unread.len() {
            self.found.findings.extend(strangers.iter().map(|it| not_recorded(manager.0, it, &unread)));
        } else if !strangers.is_empty() {
            self.found.findings.extend(unread);
        }
        let list = List {
            admin,
            keys: listed,
            ids: listed.iter().map(|it| it.id.to_ascii_lowercase()).collect(),
            marks: self.marks(manager.1),
        };
        let keys = self.keys;
        for (key, record) in keys {
            let listable = matches!(record.kind, Kind::Account | Kind::Sending | Kind::Private);
            if key.provider == provider && listable && record.state == KeyState::Active {
                let missing = self.missing(key, record, &list);
                self.found.findings.extend(missing.map(|why| gone(key, why)));
            }
        }
    }

    /// Returns why a recorded key counts as gone, if it does: the list of its
    /// account has it as disabled, or not at all.
    fn missing(&mut self, key: &KeyRef, record: &Record, list: &List<'_>) -> Option<&'static str> {
        let disabled = |it: &RemoteKey| it.disabled.then_some("the provider lists it as disabled");
        let marks = self.marks(record);
        let id = record.remote_id.as_ref().map(|it| it.to_ascii_lowercase());
        if let Some(found) = id.as_ref().and_then(|id| list.find(id)) {
            return disabled(found);
        }
        if !list.is_of_account(&marks, id.as_deref()) {
            return None;
        }
        if id.is_some() {
            return Some(UNLISTED);
        }
        // Its secret tells its id, or what the provider shows of it.
        let secret = self.secrets.own(key, record)?;
        if let Some(found) = list.admin.own(list.keys, &secret) {
            return disabled(found);
        }
        let id = own_id(key.provider, record, &secret);
        let by_id = id.is_some_and(|id| list.is_of_account(&marks, Some(&id)));
        (by_id || list.admin.is_absent(list.keys, &secret)).then_some(UNLISTED)
    }

    /// Returns the ids of every key that is recorded, or part of a rotation;
    /// and the records of which it could not be told.
    fn known(
        &mut self,
        (manager, managing): (&KeyRef, &Record),
        admin: &dyn KeyAdmin,
        listed: &[RemoteKey],
    ) -> (BTreeSet<String>, Vec<Finding>) {
        let (mut known, mut unread) = (BTreeSet::new(), Vec::new());
        let inventory = self.inventory;
        for (key, record) in inventory.keys.iter().filter(|(key, _)| key.provider == manager.provider) {
            let elsewhere = record.account_id.is_some()
                && managing.account_id.is_some()
                && record.account_id != managing.account_id;
            match &record.remote_id {
                Some(id) => {
                    known.insert(id.to_ascii_lowercase());
                }
                None if elsewhere => {}
                // Its id is in the secret, or what the provider shows of it.
                None => match self.secrets.read(key, record) {
                    Ok(secret) => {
                        known.extend(admin.own(listed, &secret).map(|it| it.id.to_ascii_lowercase()));
                    }
                    Err(finding) => unread.push(*finding),
                },
            }
        }
        let sides = inventory.rotations.values().flat_map(|it| [&it.old, &it.new]);
        known.extend(sides.filter_map(|side| side.remote_id.as_ref()).map(|it| it.to_ascii_lowercase()));
        (known, unread)
    }

    /// Asks the logs whether keys that are being retired are still in use.
    fn uses(&mut self, provider: ProviderId, admin: &dyn KeyAdmin) -> anyhow::Result<()> {
        let inventory = self.inventory;
        for rotation in inventory.rotations.values() {
            let Some(key) = rotation.keys.iter().find(|key| self.keys.contains_key(key)) else { continue };
            let (Some(id), Some(since), true) =
                (&rotation.old.remote_id, given_up(rotation), key.provider == provider)
            else {
                continue;
            };
            let Some((reader, record)) = self.reader(rotation, key) else { continue };
            if self.interruption.is_raised() {
                self.found.interrupted = true;
                break;
            }
            let secret = match self.secrets.read(reader, record) {
                Ok(secret) => secret,
                Err(finding) => {
                    self.found.findings.push(*finding);
                    continue;
                }
            };
            let credential = Credential::of(record, &secret);
            let net = self.context.net_until(Instant::now() + self.context.timeout())?;
            match admin.last_use(net.by(&credential), id, since) {
                Ok(Some(at)) if at > since => {
                    let detail = format!(
                        "the key that is being retired was used at {}, after its last place had the new one",
                        rfc3339(at)
                    );
                    let fix = format!("find who still has it: `keyctl rotate {key} --status`");
                    self.found.findings.push(Finding::on_key(Id::OldKeyInUse, key, detail, fix));
                }
                Ok(_) => {}
                Err(trouble) => self.not_read(key, &trouble),
            }
        }
        Ok(())
    }

    /// Returns the key that reads the logs: the one that manages the rotation,
    /// else the rotated one itself.
    fn reader(&self, rotation: &'a Rotation, key: &KeyRef) -> Option<(&'a KeyRef, &'a Record)> {
        let name = rotation.using.as_ref().filter(|it| self.inventory.keys.contains_key(it)).unwrap_or(key);
        self.inventory.keys.get_key_value(name)
    }

    /// A key that may not look is worth a note; a provider that could not be
    /// asked, or refused the key, leaves the audit undecided.
    fn not_read(&mut self, key: &KeyRef, trouble: &Trouble) {
        let may_not = matches!(trouble.reason, Reason::PermissionMissing | Reason::PermissionNotCheckable);
        let refused = trouble.reason.verdict() == Verdict::Rejected;
        let hint = trouble.hint.clone().filter(|_| !refused);
        let fix = hint.unwrap_or_else(|| format!("`keyctl validate {key}` tells why"));
        let detail = trouble.detail.clone();
        self.found.findings.push(match may_not {
            true => Finding::on_key(Id::NotLookedAt, key, detail, fix),
            false => Finding::undecided(key, detail, fix),
        });
    }
}

/// The whole list of the keys of one account.
struct List<'l> {
    admin: &'l dyn KeyAdmin,
    keys: &'l [RemoteKey],
    ids: BTreeSet<String>,
    /// What else tells the account.
    marks: Vec<Mark>,
}

impl<'l> List<'l> {
    fn find(&self, id: &str) -> Option<&'l RemoteKey> {
        self.keys.iter().find(|it| it.id.eq_ignore_ascii_case(id))
    }

    /// Returns whether marks are of this account; the key's `own` id tells
    /// nothing of that.
    fn is_of_account(&self, marks: &[Mark], own: Option<&str>) -> bool {
        marks.iter().any(|mark| match mark {
            Mark::Key(other) => Some(other.as_str()) != own && self.ids.contains(other),
            Mark::Account(_) | Mark::Domain(_) => self.marks.contains(mark),
        })
    }
}

const UNLISTED: &str = "the provider no longer lists it";

/// Returns since when nobody should use the old key any more.
fn given_up(rotation: &Rotation) -> Option<jiff::Timestamp> {
    if rotation.stage.before_switch() || rotation.stage.is_undoing() || !rotation.delivered() {
        return None;
    }
    rotation.delivered_at()
}

/// Returns the provider's id of a key: as recorded, or as its secret tells.
fn own_id(provider: ProviderId, record: &Record, secret: &Secret) -> Option<String> {
    let id = record.remote_id.clone().or_else(|| provider::provider(provider).embedded_id(secret));
    id.map(|it| it.to_ascii_lowercase())
}

/// Analysts and support may not read keys; asking them would tell nothing.
fn may_list(record: &Record) -> bool {
    let role = record.role.as_deref().is_none_or(|it| ["admin", "developer"].contains(&it));
    record.state == KeyState::Active && matches!(record.kind, Kind::Account | Kind::Private) && role
}

/// Returns whether a listed key is one that somebody keeps: not a session of
/// the console, not one that is off already.
fn is_kept(remote: &RemoteKey) -> bool {
    !remote.disabled && remote.kind.is_some()
}

fn not_recorded(manager: &KeyRef, remote: &RemoteKey, unread: &[Finding]) -> Finding {
    let mut detail = format!("{} has the key {}", manager.provider, printable(&remote.id, 60));
    if let Some(name) = remote.name.as_deref().filter(|it| !it.is_empty()) {
        detail += &format!(" \"{}\"", printable(name, 80));
    }
    let facts = [remote.role.as_deref(), remote.domain.as_deref()];
    for fact in facts.into_iter().flatten() {
        detail += &format!(", {}", printable(fact, 80));
    }
    if let Some(created) = remote.created {
        detail += &format!(", made at {}", rfc3339(created));
    }
    detail += &format!("; no record is of it (seen with `{manager}`)");
    if let Some(first) = unread.iter().find_map(|it| it.key.as_ref()) {
        let more = unread.len() - 1;
        let others = if more > 0 { format!(" and {more} more") } else { String::new() };
        detail += &format!("; that of `{first}`{others} could not be compared, its secret cannot be read");
    }
    let fix =
        format!("`keyctl add {}:LABEL@{}`, or delete it at the provider", manager.provider, manager.scope);
    let about = format!("{} {}", manager.provider, printable(&remote.id, 60));
    Finding::on_scope(Id::NotRecorded, &manager.scope, detail, fix).about(about)
}

fn gone(key: &KeyRef, detail: &str) -> Finding {
    let fix = format!(
        "`keyctl validate {key}`; then replace it: `keyctl rotate {key}`, or `keyctl remove {key} --forget`"
    );
    Finding::on_key(Id::NotAtProvider, key, detail, fix)
}
