//! The new key: announced, made, kept, and only then referred to. A call that
//! makes a key is never repeated blindly: after an unknown outcome the list is
//! read, and what is found under this rotation's id is adopted or deleted.

use jiff::Timestamp;

use super::pasted;
use super::work::{Flow, Snapshot, Work};
use crate::clock::Span;
use crate::commands::keeping::own_store;
use crate::commands::managing::Keyed;
use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Expiry, Kind, Reason, Record, Secret};
use crate::provider::{CreatedKey, KeyAdmin, NewKey, RemoteKey, Trouble};
use crate::rotation::{Liveness, Rotation, Side, Stage};
use crate::store::Item;

/// How often a run makes a key anew after it lost one to an unknown outcome.
const ATTEMPTS: usize = 2;
/// The longest description that is given to a provider.
const LONGEST_NAME: usize = 100;

/// Makes the new key, or finds out what became of the last attempt.
pub fn step(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    if snapshot.rotation.stage == Stage::Creating
        && let Some(secret) = work.secret(snapshot, Slot::Pending)?
    {
        // Kept, but not yet referred to: adopted.
        return adopt(work, snapshot, &secret);
    }
    match (snapshot.admin(), work.manager(snapshot)?) {
        (Some(admin), Some(manager)) if snapshot.rotation.using.is_some() => {
            by_api(work, snapshot, admin, &manager)
        }
        _ => by_person(work, snapshot),
    }
}

/// Announces the intent: from now on a key may exist.
/// A clone has no name of its own, by which the old key might be taken for it.
fn announce(work: &Work<'_>, login: Option<String>) -> anyhow::Result<()> {
    let today = work.context.now();
    let clones = work.snapshot()?.clones();
    work.save(Stage::Planned, |inventory, rotation| {
        let first = inventory.record(&rotation.keys[0])?;
        let name = (!clones).then(|| description(first, rotation, today));
        for key in &rotation.keys {
            let store = work.context.store_name_of(inventory, inventory.record(key)?).to_owned();
            let store = own_store(inventory, &store);
            let Some(record) = inventory.keys.get_mut(key) else {
                return Err(inventory.no_such_key(key).into());
            };
            // A name that an earlier attempt may have used is not used again.
            record.highest += 1;
            record.pending = Some(record.highest);
            // Where `--store` led, the record has to lead from now on.
            record.store = store;
        }
        rotation.new = Side { name, login: login.or_else(|| rotation.old.login.clone()), ..Side::default() };
        rotation.stage = Stage::Creating;
        Ok(())
    })
}

/// Returns the new key's description: the old one's, with the rotation's id in
/// it, by which it is found again.
fn description(record: &Record, rotation: &Rotation, now: Timestamp) -> String {
    let old = rotation.old.name.as_deref().or(record.remote_name.as_deref()).unwrap_or_default();
    let base = old.split(" [keyctl ").next().unwrap_or_default().trim();
    let base = if base.is_empty() { format!("keyctl {}", rotation.keys[0]) } else { base.to_owned() };
    let mark = format!(" [keyctl {} {}]", &day(now), rotation.id);
    let room = LONGEST_NAME.saturating_sub(mark.len());
    let base: String = base.chars().take(room).collect();
    format!("{}{mark}", base.trim_end())
}

/// `20261122`
fn day(now: Timestamp) -> String {
    now.strftime("%Y%m%d").to_string()
}

fn by_api(
    work: &Work<'_>,
    snapshot: &Snapshot,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
) -> anyhow::Result<Flow> {
    let record = snapshot.record()?.clone();
    if snapshot.rotation.stage == Stage::Planned {
        let login = match record.kind {
            Kind::Smtp => Some(free_login(work, &record, admin, manager, work.context.now())?),
            _ => None,
        };
        announce(work, login)?;
    } else {
        clear_orphans(work, snapshot, &record, admin, manager)?;
    }
    for attempt in 1..=ATTEMPTS {
        let snapshot = work.snapshot()?;
        let net = work.context.net()?;
        work.still_ours(Stage::Creating)?;
        match admin.create(net.by(&manager.credential()), &wanted(&snapshot, &record)) {
            Ok(created) => return keep(work, &snapshot, &created, Some((admin, manager))),
            Err(trouble) if trouble.outcome_unknown => {
                work.context
                    .console
                    .warning(format!("whether the new key was made is not known: {}", trouble.detail));
                clear_orphans(work, &snapshot, &record, admin, manager)?;
                if attempt == ATTEMPTS {
                    return Err(not_made(&trouble).into());
                }
            }
            Err(trouble) => {
                work.save(Stage::Creating, |_, rotation| {
                    rotation.stage = Stage::Planned;
                    Ok(())
                })?;
                return Err(refused(&snapshot, &trouble).into());
            }
        }
    }
    Ok(Flow::On)
}

fn wanted<'a>(snapshot: &'a Snapshot, record: &'a Record) -> NewKey<'a> {
    let old = &snapshot.rotation.old;
    let lifetime = old.expires.at().zip(old.created).map(|(end, start)| end.as_second() - start.as_second());
    NewKey {
        kind: record.kind,
        domain: record.domain.as_ref(),
        region: record.region,
        role: old.role.as_deref(),
        name: snapshot.rotation.new.name.as_deref().unwrap_or_default(),
        expires_in: lifetime.filter(|it| *it > 0).map(Span::seconds),
        login: snapshot.rotation.new.login.as_deref().filter(|_| record.kind == Kind::Smtp),
    }
}

fn not_made(trouble: &Trouble) -> Situation {
    // An answer that says no in words of its own is a no.
    let said_no = trouble.reason == Reason::UnexpectedResponse && !trouble.outcome_unknown;
    let exit = if is_passing(trouble.reason) && !said_no { Exit::Unknown } else { Exit::Failed };
    let situation = Situation::new(
        exit,
        trouble.reason.as_str(),
        format!("the new key was not made: {}", trouble.detail),
    );
    situation.hint(trouble.hint.clone().unwrap_or_else(|| "try again with `--resume`".to_owned()))
}

/// A definite no: nothing was made, nothing changed. Keys of earlier rotations
/// that only wait for their end are room that can be made.
fn refused(snapshot: &Snapshot, trouble: &Trouble) -> Situation {
    let situation = not_made(trouble);
    let provider = snapshot.key().provider;
    let waiting = snapshot.inventory.rotations.values().filter(|it| {
        it.id != snapshot.rotation.id && it.keys[0].provider == provider && !it.stage.before_switch()
    });
    let waiting: Vec<String> = waiting.map(|it| format!("`{}`", it.keys[0])).collect();
    if waiting.is_empty() || situation.exit == Exit::Unknown {
        return situation;
    }
    let hint = situation.hint.clone().unwrap_or_default();
    situation.hint(format!("{hint}; old keys of other rotations still exist: {}", waiting.join(", ")))
}

/// Returns a login that nobody has: the old one's name, the date, a number.
fn free_login(
    work: &Work<'_>,
    record: &Record,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
    now: Timestamp,
) -> anyhow::Result<String> {
    let old = record.login.as_deref().unwrap_or_default();
    let (user, domain) = old.split_once('@').ok_or_else(|| {
        Situation::usage(format!("the login `{old}` has no domain"))
            .hint("`keyctl set KEYREF --login USER@DOMAIN`")
    })?;
    let taken = list(work, record, admin, manager)?;
    let base = format!("{}-{}", without_date(user), day(now));
    let free = |login: &String| !taken.iter().any(|row| row.id.eq_ignore_ascii_case(login));
    let numbered = (2..1000).map(|n| format!("{base}-{n}@{domain}"));
    let mut names = std::iter::once(format!("{base}@{domain}")).chain(numbered);
    names
        .find(free)
        .ok_or_else(|| Situation::failed("no-free-login", format!("every login `{base}-N` is taken")).into())
}

/// Takes the date (and number) of an earlier rotation away.
fn without_date(user: &str) -> &str {
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let cut = |text: &str, length: std::ops::RangeInclusive<usize>| {
        let (head, tail) = text.rsplit_once('-')?;
        (digits(tail) && length.contains(&tail.len()) && !head.is_empty()).then_some(head.len())
    };
    let dated = |text: &str| cut(text, 8..=8);
    if let Some(end) = dated(user) {
        return &user[..end];
    }
    let numbered = cut(user, 1..=3).map(|end| &user[..end]);
    match numbered.and_then(|head| dated(head).map(|end| &head[..end])) {
        Some(head) => head,
        None => user,
    }
}

/// Reads the list the record's key belongs to.
///
/// # Errors
/// Exit 4: a needed list could not be read.
pub fn list(
    work: &Work<'_>,
    record: &Record,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
) -> anyhow::Result<Vec<RemoteKey>> {
    let family = super::preflight::family(record, None);
    admin.list(work.context.net()?.by(&manager.credential()), &family).map_err(|trouble| {
        let message = format!("the list of keys could not be read: {}", trouble.detail);
        let hint =
            trouble.hint.unwrap_or_else(|| "nothing was changed; try again with `--resume`".to_owned());
        Situation::new(Exit::Unknown, trouble.reason.as_str(), message).hint(hint).into()
    })
}

/// Returns the keys that carry this rotation's id, or its new login.
pub fn of_this_rotation<'l>(rotation: &Rotation, kind: Kind, rows: &'l [RemoteKey]) -> Vec<&'l RemoteKey> {
    let carries = |row: &RemoteKey| match kind {
        Kind::Smtp => {
            rotation.new.login.is_some()
                && rotation.new.login != rotation.old.login
                && Some(&row.id) == rotation.new.login.as_ref()
        }
        _ => row.name.as_ref().is_some_and(|name| {
            name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == rotation.id.as_str())
        }),
    };
    rows.iter().filter(|row| carries(row)).collect()
}

/// Deletes what an earlier attempt made and nobody knows the secret of.
fn clear_orphans(
    work: &Work<'_>,
    snapshot: &Snapshot,
    record: &Record,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
) -> anyhow::Result<()> {
    let rows = list(work, record, admin, manager)?;
    for row in of_this_rotation(&snapshot.rotation, record.kind, &rows) {
        work.context.console.note(format!(
            "`{}`: a key made by an interrupted attempt is deleted again, its secret is not known ({})",
            snapshot.key(),
            row.id
        ));
        delete(work, record, admin, manager, &row.id)?;
    }
    Ok(())
}

/// Deletes one key; what is gone already is gone.
///
/// # Errors
/// Exit 4 or 1 when it may still be there.
pub fn delete(
    work: &Work<'_>,
    record: &Record,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
    id: &str,
) -> anyhow::Result<()> {
    let family = super::preflight::family(record, None);
    let result = admin.delete(work.context.net()?.by(&manager.credential()), &family, id);
    let Err(trouble) = result else { return Ok(()) };
    // Deleting twice is harmless: what the list no longer has is gone.
    if trouble.outcome_unknown && !list(work, record, admin, manager)?.iter().any(|row| row.id == id) {
        return Ok(());
    }
    let unknown = trouble.outcome_unknown || trouble.reason.verdict() == crate::key::Verdict::Unknown;
    let exit = if unknown { Exit::Unknown } else { Exit::Failed };
    let message = format!("the key {id} was not deleted: {}", trouble.detail);
    let hint = trouble.hint.unwrap_or_else(|| "try again with `--resume`".to_owned());
    Err(Situation::new(exit, trouble.reason.as_str(), message).hint(hint).into())
}

/// Keeps a secret that was told once, under every record's announced version.
/// When that fails, the key is deleted again: nobody could ever use it.
fn keep(
    work: &Work<'_>,
    snapshot: &Snapshot,
    created: &CreatedKey,
    undo: Option<(&dyn KeyAdmin, &Keyed)>,
) -> anyhow::Result<Flow> {
    if let Err(error) = store(work, &snapshot.inventory, &snapshot.rotation, &created.secret) {
        let Some((admin, manager)) = undo else { return Err(error) };
        // The store may have been waited for a long time.
        work.context.restart_clock();
        // Whoever took the rotation over may have put this very key to use.
        let ours = work.still_ours(Stage::Creating);
        if ours.is_err() && (work.has_stored() || is_known(work, &created.secret)) {
            return Err(error);
        }
        let record = snapshot.record()?;
        let id = if record.kind == Kind::Smtp { snapshot.rotation.new.login.clone() } else { None };
        let id = id.unwrap_or_else(|| created.remote.id.clone());
        return Err(match delete(work, record, admin, manager, &id) {
            // Nobody else ever saw this key.
            Ok(()) if ours.is_err() => error,
            Ok(()) => {
                work.drop_stored(Stage::Creating);
                work.save(Stage::Creating, |_, rotation| {
                    rotation.stage = Stage::Planned;
                    Ok(())
                })?;
                error.context(
                    "the new key could not be kept and was deleted again; the old one is still current",
                )
            }
            Err(why) => error.context(format!(
                "the new key could not be kept, and not deleted again ({why}); delete it by its id {id}"
            )),
        });
    }
    refer(work, snapshot, &created.secret, Some(&created.remote))
}

/// Returns whether the inventory refers to a secret; where it cannot be read, it
/// may.
fn is_known(work: &Work<'_>, secret: &Secret) -> bool {
    let fingerprint = Some(secret.fingerprint());
    let Ok(inventory) = work.context.inventory_file.load() else { return true };
    let mut sides = inventory.rotations.values().flat_map(|it| [&it.old, &it.new]);
    inventory.keys.values().any(|it| it.fingerprint == fingerprint)
        || sides.any(|it| it.fingerprint == fingerprint)
}

/// Keeps a secret under every record's announced version.
///
/// # Errors
/// Exit 7 when the store does not hold it.
pub fn store(
    work: &Work<'_>,
    inventory: &Inventory,
    rotation: &Rotation,
    secret: &Secret,
) -> anyhow::Result<()> {
    for key in &rotation.keys {
        let record = inventory.record(key)?;
        let Some(version) = record.pending else { continue };
        let item = Item { id: record.id.clone(), version, key: key.clone() };
        let store = work.context.store_of(inventory, record)?;
        let new = store.get(&item).map_err(Situation::from)?.is_none();
        if new {
            work.note_stored(item.clone());
        }
        work.context.keep(store.as_ref(), &item, secret).map_err(Situation::from)?;
    }
    Ok(())
}

/// Deletes the pending version that `before` shows from the store, once the
/// inventory refers to it no more; what is referred to stays.
pub fn unstore(work: &Work<'_>, before: &Snapshot) {
    let Ok(inventory) = work.context.inventory_file.load() else { return };
    for key in &before.rotation.keys {
        let Some(version) = before.inventory.keys.get(key).and_then(|it| it.pending) else { continue };
        let Some(record) = inventory.keys.get(key) else { continue };
        if Slot::ALL.iter().any(|slot| slot.version(record) == Some(version)) {
            continue;
        }
        if let Ok(store) = work.context.store_of(&inventory, record) {
            let _ = store.delete(&Item { id: record.id.clone(), version, key: key.clone() });
        }
    }
}

/// Goes on with a secret that an interrupted run had kept already.
fn adopt(work: &Work<'_>, snapshot: &Snapshot, secret: &Secret) -> anyhow::Result<Flow> {
    store(work, &snapshot.inventory, &snapshot.rotation, secret)?;
    let record = snapshot.record()?;
    let mut row = None;
    if let (Some(admin), Some(manager)) = (snapshot.admin(), work.manager(snapshot)?) {
        let rows = list(work, record, admin, &manager)?;
        let embedded = snapshot.provider().embedded_id(secret);
        let own = |row: &&RemoteKey| embedded.as_ref().is_none_or(|id| row.id == *id);
        row = of_this_rotation(&snapshot.rotation, record.kind, &rows).into_iter().find(own).cloned();
    }
    refer(work, snapshot, secret, row.as_ref())
}

/// Records what is known of the new key; from here on it is tested.
pub fn refer(
    work: &Work<'_>,
    snapshot: &Snapshot,
    secret: &Secret,
    remote: Option<&RemoteKey>,
) -> anyhow::Result<Flow> {
    let record = snapshot.record()?;
    let provider = snapshot.provider();
    let chosen = provider.chosen_by_person(record.kind);
    let embedded =
        provider.embedded_id(secret).filter(|_| !matches!(record.kind, Kind::Private | Kind::Smtp));
    let now = work.context.now();
    let told = remote.map(|it| it.id.clone());
    let side = Side {
        fingerprint: (!chosen).then(|| secret.fingerprint()),
        last2: (!chosen).then(|| secret.last2()),
        remote_id: told.filter(|it| !it.is_empty() && record.kind != Kind::Smtp).or(embedded),
        login: snapshot.rotation.new.login.clone().or_else(|| snapshot.rotation.old.login.clone()),
        state: Some(Liveness::Live),
        name: remote
            .and_then(|it| it.name.clone())
            .or_else(|| snapshot.rotation.new.name.clone())
            .or_else(|| snapshot.rotation.old.name.clone()),
        role: remote.and_then(|it| it.role.clone()),
        created: remote.and_then(|it| it.created).or(Some(now)),
        expires: remote.and_then(|it| it.expires).map_or(Expiry::Unknown, Expiry::At),
        permissions: snapshot.rotation.permissions.clone(),
        foreign: false,
    };
    work.save(Stage::Creating, |_, rotation| {
        rotation.new = side;
        rotation.stage = Stage::Created;
        Ok(())
    })?;
    Ok(Flow::On)
}

/// Takes the key that a person makes in the console.
fn by_person(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    if snapshot.rotation.stage == Stage::Planned {
        announce(work, None)?;
    }
    pasted::step(work, &work.snapshot()?)
}

/// Announces once more, under a new version: the key before is given up.
pub fn announced_anew(work: &Work<'_>) -> anyhow::Result<()> {
    work.save(Stage::Created, |inventory, rotation| {
        for key in &rotation.keys {
            if let Some(record) = inventory.keys.get_mut(key) {
                record.highest += 1;
                record.pending = Some(record.highest);
            }
        }
        let login = rotation.old.login.clone();
        let name = rotation.new.name.take();
        rotation.new = Side { name, login, ..Side::default() };
        rotation.stage = Stage::Creating;
        Ok(())
    })
}

/// Returns the reasons that are a matter of the network or the hour.
pub fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Unreachable
            | Reason::Tls
            | Reason::RateLimited
            | Reason::ProviderError
            | Reason::IpBlocked
            | Reason::UnexpectedResponse
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_login_does_not_grow_with_every_rotation() {
        assert_eq!(without_date("news"), "news");
        assert_eq!(without_date("news-20261122"), "news");
        assert_eq!(without_date("news-20261122-2"), "news");
        assert_eq!(without_date("news-2"), "news-2");
        assert_eq!(without_date("-20261122"), "-20261122");
    }
}
