//! The new key: announced, made, kept, and only then referred to. A call that
//! makes a key is never repeated blindly: after an unknown outcome the list is
//! read, and what is found under this rotation's id is adopted or deleted.

use jiff::Timestamp;

use crate::clock::Span;
use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Kind, Reason, Record};
use crate::provider::{KeyAdmin, NewKey, Trouble};
use crate::rotation::{Rotation, Side, Stage};
use crate::workflow::managing_key::Keyed;
use crate::workflow::rotation::keep_new_key::{adopt, keep};
use crate::workflow::rotation::remote_keys::{clear_orphans, is_passing, list};
use crate::workflow::rotation::session::{Flow, Session, Snapshot};
use crate::workflow::rotation::step_create_pasted;
use crate::workflow::store_secret::own_store;

/// How often a run makes a key anew after it lost one to an unknown outcome.
const ATTEMPTS: usize = 2;
/// The longest description that is given to a provider.
const LONGEST_NAME: usize = 100;

/// Makes the new key, or finds out what became of the last attempt.
pub fn step(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
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
fn announce(work: &Session<'_>, login: Option<String>) -> anyhow::Result<()> {
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
    work: &Session<'_>,
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
                    .operator
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
    work: &Session<'_>,
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

/// Takes the key that a person makes in the console.
fn by_person(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    if snapshot.rotation.stage == Stage::Planned {
        announce(work, None)?;
    }
    step_create_pasted::step(work, &work.snapshot()?)
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
