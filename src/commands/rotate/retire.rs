//! The end of the key that leaves: switched off where that can be undone,
//! deleted by another key than itself, proven dead, and its secret deleted.

use super::by_hand::{self, described};
use super::create::{delete, list, of_this_rotation};
use super::work::{Flow, Snapshot, Work, as_side};
use crate::clock::{Span, rfc3339};
use crate::commands::logins;
use crate::commands::managing::{self, Keyed, Managed};
use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Kind, Reason, Secret, Verdict};
use crate::output::Answer;
use crate::provider::{ConsoleTask, KeyAdmin};
use crate::rotation::{Liveness, Rotation, Stage};
use crate::store::Item;

/// How long a deleted key may go on working before it is a failure: the
/// longest delay reported of any provider (Mailgun's blog, GitGuardian: 48 h).
const DEADLINE: Span = Span::seconds(48 * 60 * 60);

/// Switches the old key off: the step that can be undone.
pub fn disable(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let switch = snapshot.provider().keys().and_then(|it| it.switch());
    let id = snapshot.rotation.old.remote_id.as_deref();
    let (Some(switch), Some(id), Some(manager)) = (switch, id, work.manager(snapshot)?) else {
        return Err(Situation::failed("not-disabled", "the old key cannot be switched off").into());
    };
    current_works(work, snapshot)?;
    if let Err(trouble) = switch.set(&work.context.net()?, &manager.credential(), id, false)
        && trouble.reason != Reason::KeyNotFound
    {
        let exit = if trouble.reason.verdict() == Verdict::Unknown { Exit::Unknown } else { Exit::Failed };
        let message = format!("the old key was not switched off: {}", trouble.detail);
        return Err(Situation::new(exit, trouble.reason.as_str(), message).into());
    }
    work.save(Stage::Disabled, |_, rotation| {
        rotation.old.state = Some(Liveness::Disabled);
        Ok(())
    })?;
    Ok(Flow::On)
}

/// Deletes the key that leaves, or waits until a person has.
pub fn retire(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let stage = snapshot.rotation.stage;
    if matches!(stage, Stage::Deploying | Stage::Disabled) {
        work.save(stage, |_, rotation| {
            rotation.stage = Stage::Retiring;
            Ok(())
        })?;
        return Ok(Flow::On);
    }
    if stage == Stage::Retiring {
        current_works(work, snapshot)?;
    }
    match snapshot.admin().zip(deleter(work, snapshot)?) {
        Some((admin, manager)) => {
            by_api(work, snapshot, admin, &manager)?;
            after(work, stage, Liveness::Retiring)?;
            Ok(Flow::On)
        }
        None => by_person(work, snapshot),
    }
}

/// The one invariant that is never traded: before a key that worked goes, the
/// one that takes its place is seen to work.
fn current_works(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<()> {
    let record = snapshot.record()?;
    let secret = work.context.need_secret(&snapshot.inventory, snapshot.key(), record, Slot::Current)?;
    let judgement = work.judge(snapshot.key(), record, &secret)?;
    if judgement.accepted() {
        return Ok(());
    }
    let (exit, what) = match judgement.verdict() {
        Verdict::Rejected => (Exit::Failed, "the new key does not work"),
        _ => (Exit::Unknown, "whether the new key works could not be told"),
    };
    let reason = judgement.reason().map_or("unknown", Reason::as_str);
    Err(Situation::new(exit, reason, format!("{what}; the old one is kept: {}", judgement.detail))
        .hint(format!(
            "`keyctl validate {0}`; the way back is `keyctl rotate {0} --rollback`",
            snapshot.key()
        ))
        .into())
}

/// Returns the key that deletes: the managing one, never the one that leaves.
fn deleter(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Option<Keyed>> {
    let Some(_) = snapshot.admin() else { return Ok(None) };
    let manager = match work.manager(snapshot)? {
        Some(manager) => Some(manager),
        None => {
            let managed = Managed { key: snapshot.key(), kind: snapshot.record()?.kind };
            managing::find(work.context, &snapshot.inventory, managed, None).ok().map(|it| it.keyed)
        }
    };
    let leaving = snapshot.rotation.leaving();
    let itself = |it: &Keyed| {
        let same = leaving.fingerprint.as_ref().is_some_and(|leaves| it.secret.fingerprint() == *leaves);
        let id = snapshot.provider().embedded_id(&it.secret);
        same || (id.is_some() && id == leaving.remote_id)
    };
    if manager.as_ref().is_some_and(itself) {
        return Err(Situation::usage("the key that leaves cannot be the one that deletes it")
            .hint("name another managing key with `--using KEYREF`")
            .into());
    }
    let id = if snapshot.record()?.kind == Kind::Smtp { &leaving.login } else { &leaving.remote_id };
    // A key whose id nobody knows (an old one, from before keys had one) is
    // found by a person only; unless it is a new one, which carries our mark.
    Ok(manager.filter(|_| id.is_some() || snapshot.rotation.stage.is_undoing()))
}

fn by_api(work: &Work<'_>, snapshot: &Snapshot, admin: &dyn KeyAdmin, manager: &Keyed) -> anyhow::Result<()> {
    let record = snapshot.record()?;
    let rotation = &snapshot.rotation;
    let (leaving, staying) = sides(rotation);
    let id = |side: &crate::rotation::Side| {
        if record.kind == Kind::Smtp { side.login.clone() } else { side.remote_id.clone() }
    };
    let stays = id(staying);
    let mut ids: Vec<String> = id(leaving).into_iter().collect();
    // Whatever an interrupted attempt of this rotation left goes as well.
    let rows = list(work, record, admin, manager)?;
    ids.extend(of_this_rotation(rotation, record.kind, &rows).into_iter().map(|row| row.id.clone()));
    ids.sort();
    ids.dedup();
    for id in ids.iter().filter(|it| Some(*it) != stays.as_ref()) {
        delete(work, record, admin, manager, id)?;
        work.context.console.note(format!("`{}`: the key {id} is deleted at the provider", snapshot.key()));
    }
    Ok(())
}

fn sides(rotation: &Rotation) -> (&crate::rotation::Side, &crate::rotation::Side) {
    if rotation.stage.is_undoing() { (&rotation.new, &rotation.old) } else { (&rotation.old, &rotation.new) }
}

/// Saves that the key was deleted; whether it is dead is proven next.
fn after(work: &Work<'_>, stage: Stage, state: Liveness) -> anyhow::Result<()> {
    let deadline = DEADLINE.after(work.context.now());
    work.save(stage, |_, rotation| {
        rotation.leaving_mut().state = Some(state);
        rotation.deadline.get_or_insert(deadline);
        rotation.stage = match stage {
            Stage::Aborting => Stage::Aborted,
            Stage::RollingBack => Stage::RolledBack,
            _ => Stage::RetiredVerifying,
        };
        Ok(())
    })
}

/// Shows the way through the console, and believes what is proven.
fn by_person(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let stage = snapshot.rotation.stage;
    let key = snapshot.key();
    let record = snapshot.record()?;
    let console = &work.context.console;
    let side = snapshot.rotation.leaving();
    let secret = leaving_secret(work, snapshot)?;
    let which = if snapshot.rotation.stage.is_undoing() { "unused new" } else { "old" };
    let mut shown = false;
    loop {
        let death = match &secret {
            Some(secret) => probed(work, snapshot, secret)?,
            None => Death::Unknown("its secret is not known".to_owned()),
        };
        if death == Death::Dead {
            after(work, stage, Liveness::Dead)?;
            return Ok(Flow::On);
        }
        if !shown {
            let title = format!("Delete the {which} key of `{key}`{}:", described(side));
            by_hand::show(
                work.context,
                &title,
                by_hand::guide(snapshot, record, ConsoleTask::Delete).as_ref(),
            );
            shown = true;
        }
        // What cannot be tried is believed on a person's word.
        let question = match (&secret, side.state) {
            (Some(_), _) => "Done?",
            (None, None) => "Was no key made, or is it deleted again?",
            (None, Some(_)) => "Is it deleted?",
        };
        let answer =
            if secret.is_some() && console.said_yes() { Answer::Nobody } else { console.confirm(question) };
        work.context.restart_clock();
        match (answer, &secret) {
            (Answer::Yes, None) => {
                after(work, stage, Liveness::Dead)?;
                return Ok(Flow::On);
            }
            (Answer::Yes, Some(secret)) => work.forget(secret),
            (Answer::No | Answer::Nobody, _) => {
                console.hint(format!("then `keyctl rotate {key} --resume`"));
                return Ok(Flow::Stop(Exit::Human));
            }
        }
    }
}

/// Tries once whether the key that leaves is dead.
pub fn prove(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let stage = snapshot.rotation.stage;
    let already = snapshot.rotation.leaving().state == Some(Liveness::Dead);
    let death = if already { Death::Dead } else { dead(work, snapshot)? };
    let why = match death {
        Death::Dead => {
            work.save(stage, |_, rotation| {
                rotation.leaving_mut().state = Some(Liveness::Dead);
                if stage == Stage::RetiredVerifying {
                    rotation.stage = if rotation.delivered() { Stage::Done } else { Stage::Deploying };
                }
                Ok(())
            })?;
            return Ok(Flow::On);
        }
        Death::Alive => "it still works".to_owned(),
        Death::Unknown(why) => format!("whether it still works could not be told: {why}"),
    };
    let key = snapshot.key();
    let deadline = snapshot.rotation.deadline.unwrap_or(work.context.now());
    if work.context.now() < deadline {
        work.context.console.note(format!(
            "`{key}`: the deleted key is not proven dead yet ({why}); `keyctl rotate {key} --resume` tries again"
        ));
        return Ok(Flow::Stop(Exit::Done));
    }
    Err(Situation::failed(
        "still-alive",
        format!("the deleted key is not dead, and should have been by {}: {why}", rfc3339(deadline)),
    )
    .hint("look for it in the provider's console, and ask its support")
    .into())
}

/// What is known of the end of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Death {
    Dead,
    Alive,
    Unknown(String),
}

fn dead(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Death> {
    if let Some(secret) = leaving_secret(work, snapshot)? {
        // What was seen of it before it was deleted counts no more.
        work.forget(&secret);
        match probed(work, snapshot, &secret)? {
            Death::Unknown(_) => {}
            certain => return Ok(certain),
        }
    }
    let Some((admin, manager)) = snapshot.admin().zip(deleter(work, snapshot)?) else {
        return Ok(Death::Unknown("no list of keys can be read".to_owned()));
    };
    let record = snapshot.record()?;
    let leaving = snapshot.rotation.leaving();
    let id = if record.kind == Kind::Smtp { &leaving.login } else { &leaving.remote_id };
    let rows = match list(work, record, admin, &manager) {
        Ok(rows) => rows,
        Err(error) => return Ok(Death::Unknown(error.to_string())),
    };
    let listed = rows.iter().any(|row| Some(&row.id) == id.as_ref())
        || (snapshot.rotation.stage.is_undoing()
            && !of_this_rotation(&snapshot.rotation, record.kind, &rows).is_empty());
    Ok(if listed { Death::Alive } else { Death::Dead })
}

/// Tries the key itself. A bare refusal counts only when another key of the
/// account was accepted from here in this run: else this address may be blocked.
fn probed(work: &Work<'_>, snapshot: &Snapshot, secret: &Secret) -> anyhow::Result<Death> {
    let key = snapshot.key();
    let record = snapshot.record()?;
    let leaving = snapshot.rotation.leaving();
    let as_it_was = as_side(key, record, leaving);
    let judgement = work.judge(key, &as_it_was, secret)?;
    if judgement.accepted() {
        return Ok(Death::Alive);
    }
    match judgement.reason() {
        Some(Reason::KeyNotFound | Reason::Disabled | Reason::Expired) => return Ok(Death::Dead),
        Some(Reason::Unauthorized) if logins::is_suspect(key.provider, record.kind, &judgement) => {
            return Ok(Death::Unknown(judgement.detail));
        }
        // The login is recorded, and told by a key that was accepted from here:
        // that one is of the account, and testifies.
        Some(Reason::Unauthorized)
            if as_it_was.login.is_some() && logins::is_the_keys(key.provider, record.kind, &judgement) =>
        {
            return Ok(Death::Dead);
        }
        Some(Reason::Unauthorized) => {}
        _ => return Ok(Death::Unknown(judgement.detail)),
    }
    let current =
        work.context.secret(&snapshot.inventory, key, record, Slot::Current).map_err(Situation::from)?;
    let witness = match current {
        Some(current) => work.judge(key, record, &current)?.accepted(),
        None => false,
    };
    Ok(if witness {
        Death::Dead
    } else {
        Death::Unknown("no other key of the account was accepted from here".to_owned())
    })
}

fn leaving_secret(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Option<Secret>> {
    work.secret(snapshot, leaving_slot(snapshot.rotation.stage))
}

fn leaving_slot(stage: Stage) -> Slot {
    if stage.is_undoing() { Slot::Pending } else { Slot::Previous }
}

/// Deletes the secret that is left over and takes the rotation out: marked in
/// the inventory, deleted in the store, mark dropped.
pub fn finish(work: &Work<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let stage = snapshot.rotation.stage;
    let slot = leaving_slot(stage);
    for key in &snapshot.rotation.keys {
        let Some(record) = snapshot.inventory.keys.get(key) else { continue };
        let Some(version) = slot.version(record) else { continue };
        let store = work.context.store_of(&snapshot.inventory, record)?;
        let item = Item { id: record.id.clone(), version, key: key.clone() };
        store.delete(&item).map_err(Situation::from)?;
    }
    work.remove(stage, |inventory, rotation| {
        for key in &rotation.keys {
            let Some(record) = inventory.keys.get_mut(key) else { continue };
            match slot {
                Slot::Pending => record.pending = None,
                Slot::Previous | Slot::Current => record.previous = None,
            }
        }
        Ok(())
    })?;
    Ok(Flow::On)
}
