//! What only the providers can tell: keys that exist there and not here, the
//! reverse, and old keys that are still in use. Sends reading calls only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::finding::{Finding, Id};
use crate::clock::rfc3339;
use crate::commands::accounts::{Mark, marks_of};
use crate::commands::parallel;
use crate::context::{Context, Slot};
use crate::inventory::Inventory;
use crate::key::text::printable;
use crate::key::{KeyRef, KeyState, Kind, ProviderId, Reason, Record, Secret, Verdict};
use crate::provider::{self, Credential, Family, KeyAdmin, Net, RemoteKey, Trouble};
use crate::rotation::Rotation;
use crate::state::{EVIDENCE, Evidence};

/// How many accounts are asked at the same time.
const JOBS: usize = 8;

type Keys<'a> = BTreeMap<&'a KeyRef, &'a Record>;

/// What was found, and whether something that was needed could not be read.
#[derive(Debug, Default)]
pub struct Found {
    pub findings: Vec<Finding>,
    pub unread: bool,
}

/// The look at all providers.
struct Look<'a> {
    context: &'a Context,
    inventory: &'a Inventory,
    keys: &'a Keys<'a>,
    evidence: BTreeMap<String, Evidence>,
    found: Found,
}

/// Asks the providers of the selected keys.
///
/// # Errors
/// When the network cannot be set up (a bad variable).
pub fn look(context: &Context, inventory: &Inventory, keys: &Keys<'_>) -> anyhow::Result<Found> {
    let evidence = context.state.read(EVIDENCE);
    let mut look = Look { context, inventory, keys, evidence, found: Found::default() };
    for provider in ProviderId::ALL {
        if let Some(admin) = provider::provider(provider).keys() {
            look.lists(provider, admin)?;
            look.uses(provider, admin)?;
        }
    }
    // A key that is gone cannot look, and that says nothing new.
    let gone: BTreeSet<KeyRef> = look
        .found
        .findings
        .iter()
        .filter(|it| it.id == Id::NotAtProvider)
        .filter_map(|it| it.key.clone())
        .collect();
    let repeats =
        |it: &Finding| it.id == Id::NotLookedAt && it.key.as_ref().is_some_and(|key| gone.contains(key));
    look.found.findings.retain(|it| !repeats(it));
    Ok(look.found)
}

impl Look<'_> {
    /// Compares each account's list of keys with the records: some accounts at
    /// a time, each asked by one of its keys.
    fn lists(&mut self, provider: ProviderId, admin: &dyn KeyAdmin) -> anyhow::Result<()> {
        let mut managers: VecDeque<(&KeyRef, &Record)> = self
            .keys
            .iter()
            .filter(|(key, record)| key.provider == provider && may_list(record))
            .map(|(key, record)| (*key, *record))
            .collect();
        if managers.is_empty() {
            return Ok(());
        }
        let progress = self.context.console.progress(managers.len(), "listing keys");
        let network = self.context.net()?;
        let timeout = self.context.timeout();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        while !managers.is_empty() {
            let before = managers.len();
            let wave = self.next_wave(&mut managers, &seen);
            (managers.len()..before).for_each(|_| progress.step());
            let listed = parallel::each(&wave, JOBS, |(_, record, secret)| {
                let family = Family { kind: record.kind, domain: None, region: record.region };
                let net = Net { deadline: Instant::now() + timeout, ..network };
                admin.list(&net, &Credential::of(record, secret), &family)
            });
            for ((key, record, secret), listed) in wave.iter().zip(listed) {
                let again = own_id(provider, record, secret).is_some_and(|id| seen.contains(&id));
                match listed {
                    // Another key of the account was in the same wave.
                    Ok(_) if again => {}
                    Ok(listed) => {
                        seen.extend(listed.iter().map(|it| it.id.to_ascii_lowercase()));
                        self.compare(key, admin, &listed);
                    }
                    Err(trouble) => self.not_read(key, &trouble),
                }
            }
        }
        Ok(())
    }

    /// Takes the next keys that are to be asked, as far as is known one of an
    /// account; the others of these accounts wait, what was `seen` is done.
    fn next_wave<'k>(
        &self,
        managers: &mut VecDeque<(&'k KeyRef, &'k Record)>,
        seen: &BTreeSet<String>,
    ) -> Vec<(&'k KeyRef, &'k Record, Secret)> {
        let mut wave = Vec::new();
        let mut accounts: BTreeSet<Mark> = BTreeSet::new();
        let mut waiting = Vec::new();
        while wave.len() < JOBS
            && let Some((key, record)) = managers.pop_front()
        {
            let marks = marks_of(record, self.evidence.get(record.id.as_str()));
            if marks.iter().any(|it| accounts.contains(it)) {
                waiting.push((key, record));
                continue;
            }
            let Ok(Some(secret)) = self.context.secret(self.inventory, key, record, Slot::Current) else {
                continue;
            };
            if own_id(key.provider, record, &secret).is_none_or(|id| !seen.contains(&id)) {
                accounts.extend(marks);
                wave.push((key, record, secret));
            }
        }
        waiting.into_iter().rev().for_each(|it| managers.push_front(it));
        wave
    }

    fn compare(&mut self, manager: &KeyRef, admin: &dyn KeyAdmin, listed: &[RemoteKey]) {
        let provider = manager.provider;
        let known = self.known(provider, admin, listed);
        for remote in listed.iter().filter(|it| is_kept(it, provider)) {
            if !known.contains(&remote.id.to_ascii_lowercase()) {
                self.found.findings.push(not_recorded(manager, remote));
            }
        }
        let ids: BTreeSet<String> = listed.iter().map(|it| it.id.to_ascii_lowercase()).collect();
        let manager_marks = match self.inventory.keys.get(manager) {
            Some(record) => marks_of(record, self.evidence.get(record.id.as_str())),
            None => Vec::new(),
        };
        for (key, record) in self.keys {
            let listable = matches!(record.kind, Kind::Account | Kind::Sending | Kind::Private);
            let Some(id) = record.remote_id.as_ref().map(|it| it.to_ascii_lowercase()) else { continue };
            if key.provider != provider || !listable || record.state != KeyState::Active {
                continue;
            }
            if let Some(remote) = listed.iter().find(|it| it.id.eq_ignore_ascii_case(&id)) {
                if remote.disabled {
                    self.found.findings.push(gone(key, "the provider lists it as disabled"));
                }
                continue;
            }
            let marks = marks_of(record, self.evidence.get(record.id.as_str()));
            let same_account = marks.iter().any(|mark| match mark {
                Mark::Key(other) => *other != id && ids.contains(other),
                Mark::Account(_) | Mark::Domain(_) => manager_marks.contains(mark),
            });
            if same_account {
                self.found.findings.push(gone(key, "the provider no longer lists it"));
            }
        }
    }

    /// Returns the ids of every key that is recorded, or part of a rotation.
    fn known(&self, provider: ProviderId, admin: &dyn KeyAdmin, listed: &[RemoteKey]) -> BTreeSet<String> {
        let mut known = BTreeSet::new();
        for (key, record) in self.inventory.keys.iter().filter(|(key, _)| key.provider == provider) {
            match &record.remote_id {
                Some(id) => {
                    known.insert(id.to_ascii_lowercase());
                }
                None => {
                    // Its id is in the secret, or what the provider shows of it.
                    let secret = self.context.secret(self.inventory, key, record, Slot::Current);
                    let own =
                        secret.ok().flatten().and_then(|secret| Some(admin.own(listed, &secret)?.id.clone()));
                    known.extend(own.map(|it| it.to_ascii_lowercase()));
                }
            }
        }
        let sides = self.inventory.rotations.values().flat_map(|it| [&it.old, &it.new]);
        known.extend(sides.filter_map(|side| side.remote_id.as_ref()).map(|it| it.to_ascii_lowercase()));
        known
    }

    /// Asks the logs whether keys that are being retired are still in use.
    fn uses(&mut self, provider: ProviderId, admin: &dyn KeyAdmin) -> anyhow::Result<()> {
        for rotation in self.inventory.rotations.values() {
            let Some(key) = rotation.keys.iter().find(|key| self.keys.contains_key(key)) else { continue };
            let (Some(id), Some(since), true) =
                (&rotation.old.remote_id, given_up(rotation), key.provider == provider)
            else {
                continue;
            };
            let Some((reader, record)) = self.reader(rotation, key) else { continue };
            let Ok(Some(secret)) = self.context.secret(self.inventory, reader, record, Slot::Current) else {
                continue;
            };
            let credential = Credential::of(record, &secret);
            let net = self.context.net_until(Instant::now() + self.context.timeout())?;
            match admin.last_use(&net, &credential, id, since) {
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
    fn reader<'k>(&'k self, rotation: &'k Rotation, key: &'k KeyRef) -> Option<(&'k KeyRef, &'k Record)> {
        let name = rotation.using.as_ref().filter(|it| self.inventory.keys.contains_key(it)).unwrap_or(key);
        self.inventory.keys.get_key_value(name)
    }

    /// A key that may not look is worth a note; a provider that could not be
    /// asked leaves the audit undecided.
    fn not_read(&mut self, key: &KeyRef, trouble: &Trouble) {
        let may_not = matches!(trouble.reason, Reason::PermissionMissing | Reason::PermissionNotCheckable);
        self.found.unread |= !may_not && trouble.reason.verdict() == Verdict::Unknown;
        let fix = trouble.hint.clone().unwrap_or_else(|| format!("`keyctl validate {key}`"));
        self.found.findings.push(Finding::on_key(Id::NotLookedAt, key, trouble.detail.clone(), fix));
    }
}

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
fn is_kept(remote: &RemoteKey, provider: ProviderId) -> bool {
    !remote.disabled && (provider != ProviderId::Mailgun || remote.kind.is_some())
}

fn not_recorded(manager: &KeyRef, remote: &RemoteKey) -> Finding {
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
