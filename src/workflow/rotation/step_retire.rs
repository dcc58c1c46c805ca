//! The end of the key that leaves: deleted by another key than itself or by a
//! person, proven dead, and its secret deleted.

use crate::clock::rfc3339;
use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::key::{Kind, Secret};
use crate::operator::{Testimony, TestimonyQuestion};
use crate::provider::{ConsoleTask, KeyAdmin};
use crate::rotation::{Liveness, Rotation, Side, Stage};
use crate::store::Item;
use crate::workflow::evidence::Evidence;
use crate::workflow::managing_key;
use crate::workflow::managing_key::{Keyed, Managed};
use crate::workflow::rotation::console_instructions::described;
use crate::workflow::rotation::key_condition::{Condition, current_works};
use crate::workflow::rotation::remote_keys::{delete, deletion_asked, is_dead, list, of_this_rotation};
use crate::workflow::rotation::session::{Flow, Session, Snapshot};
use crate::workflow::rotation::{console_instructions, key_condition, step_create_pasted};

/// Deletes the key that leaves, or waits until a person has.
pub fn retire(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let stage = snapshot.rotation.stage;
    // A key that is switched off waits there until a person has deleted it.
    let waits = snapshot.admin().is_none() && snapshot.rotation.old.state == Some(Liveness::Disabled);
    if stage == Stage::Deploying || (stage == Stage::Disabled && !waits) {
        current_works(work, snapshot)?;
        let off_first = stage == Stage::Deploying && snapshot.means().switches_off;
        work.save(stage, |_, rotation| {
            rotation.stage = if off_first { Stage::Disabled } else { Stage::Retiring };
            Ok(())
        })?;
        return Ok(Flow::On);
    }
    if matches!(stage, Stage::Retiring | Stage::Disabled) {
        current_works(work, snapshot)?;
    }
    if !step_create_pasted::is_to_end(work, snapshot)? {
        return Ok(Flow::On);
    }
    // A key that a person gave may be somebody's: keyctl never ends it.
    let given = snapshot.rotation.stage.is_undoing() && snapshot.by_person();
    match snapshot.admin().filter(|_| !given).zip(deleter(work, snapshot)?) {
        Some((admin, manager)) => {
            work.still_ours(stage)?;
            by_api(work, snapshot, admin, &manager)?;
            deletion_asked(work, stage)?;
            Ok(Flow::On)
        }
        None => by_person(work, snapshot),
    }
}

/// Returns the key that deletes: the managing one, never the one that leaves.
fn deleter(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Option<Keyed>> {
    let Some(_) = snapshot.admin() else { return Ok(None) };
    let manager = match work.manager(snapshot)? {
        Some(manager) => Some(manager),
        None => {
            let managed = Managed { key: snapshot.key(), kind: snapshot.record()?.kind };
            managing_key::find(work.context, &snapshot.inventory, managed, None).ok().map(|it| it.keyed)
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

fn by_api(
    work: &Session<'_>,
    snapshot: &Snapshot,
    admin: &dyn KeyAdmin,
    manager: &Keyed,
) -> anyhow::Result<()> {
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
        work.context.operator.note(format!("`{}`: the key {id} is deleted at the provider", snapshot.key()));
    }
    Ok(())
}

fn sides(rotation: &Rotation) -> (&crate::rotation::Side, &crate::rotation::Side) {
    if rotation.stage.is_undoing() { (&rotation.new, &rotation.old) } else { (&rotation.old, &rotation.new) }
}

/// Shows the way through the console, and believes what is proven.
fn by_person(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let stage = snapshot.rotation.stage;
    let side = snapshot.rotation.leaving();
    let secret = leaving_secret(work, snapshot)?;
    let mut shown = false;
    loop {
        let condition = match &secret {
            Some(secret) => key_condition::condition(work, snapshot, side, secret)?,
            None => Condition::Unknown("its secret is not known".to_owned()),
        };
        // A key that was switched off before is refused in any case.
        let untold = stage == Stage::Disabled && matches!(condition, Condition::Refused(_));
        match &condition {
            Condition::Gone(known) => {
                is_dead(work, stage, known)?;
                return Ok(Flow::On);
            }
            Condition::Refused(known) if !untold => {
                is_dead(work, stage, known)?;
                return Ok(Flow::On);
            }
            Condition::Refused(_) | Condition::Alive | Condition::Off | Condition::Unknown(_) => {}
        }
        if !shown {
            let guide = console_instructions::guide(snapshot, snapshot.record()?, ConsoleTask::Delete);
            console_instructions::show(work.context, &title(snapshot, &condition), guide.as_ref());
            shown = true;
        }
        // What cannot be tried is believed on a person's word.
        let by_word = secret.is_none() || untold;
        let answer = said(work, snapshot, side, by_word);
        let user = work.context.environment.user();
        let claim = key_condition::claim(work, snapshot, &user);
        let known =
            Evidence::of_testimony(claim, answer, "said of the step in the console").filter(|_| by_word);
        if let Some(known) = known {
            is_dead(work, stage, &known)?;
            return Ok(Flow::On);
        }
        match (answer, &secret) {
            (Testimony::Given, secret) => secret.iter().for_each(|it| work.forget(it)),
            (Testimony::Refused | Testimony::NoOne, _) => {
                work.context.operator.hint(way_on(snapshot, by_word));
                return Ok(Flow::Stop(Exit::Human));
            }
        }
    }
}

/// Says how to go on once the step in the console is done.
fn way_on(snapshot: &Snapshot, by_word: bool) -> String {
    let (key, side) = (snapshot.key(), snapshot.rotation.leaving());
    let say = match (by_word, side.state) {
        (false, _) => format!("then `keyctl rotate {key} --resume`"),
        (true, Some(_)) => format!("then say so: `keyctl rotate {key} --done`"),
        (true, None) => format!(
            "then say so: `keyctl rotate {key} --done`; if no key was made: `keyctl rotate {key} --not-made`"
        ),
    };
    match snapshot.rotation.stage {
        Stage::Disabled => format!("{say}; until it is deleted, `--rollback` is the way back"),
        Stage::Aborting if side.state.is_some() && snapshot.by_person() => {
            format!("{say}; if that key is somebody's, say so at a terminal: `keyctl rotate {key} --abort`")
        }
        _ => say,
    }
}

/// Returns what a person says of the key that is to be deleted in a console:
/// by an option of this call, which is meant for the step that waited when it
/// began, else at the terminal. A job that resumes everything says nothing.
fn said(work: &Session<'_>, snapshot: &Snapshot, side: &Side, by_word: bool) -> Testimony {
    let made_none = || side.state.is_none() && work.said_not_made();
    if by_word && (made_none() || work.said_done(&snapshot.rotation)) {
        return Testimony::Given;
    }
    let question = match side.state {
        _ if !by_word => TestimonyQuestion::StepDone,
        None => TestimonyQuestion::NotMade,
        Some(_) => TestimonyQuestion::Deleted { key: None },
    };
    work.testify(&question)
}

fn title(snapshot: &Snapshot, condition: &Condition) -> String {
    let rotation = &snapshot.rotation;
    let which = if rotation.stage.is_undoing() { "unused new" } else { "old" };
    let off = match (rotation.stage, condition) {
        (Stage::Disabled, Condition::Alive) => "; it was switched off, but works again",
        (Stage::Disabled, _) => "; it is switched off, and nothing should miss it",
        (_, Condition::Off) => "; it is only switched off so far",
        _ => "",
    };
    format!("Delete the {which} key of `{}`{}{off}:", snapshot.key(), described(rotation.leaving()))
}

/// Tries once whether the key that leaves is dead.
pub fn prove(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let stage = snapshot.rotation.stage;
    let already = snapshot.rotation.leaving().state == Some(Liveness::Dead);
    let condition = if already {
        Condition::Gone(recorded(work, snapshot))
    } else {
        let secret = leaving_secret(work, snapshot)?;
        key_condition::of_deleted(work, snapshot, secret.as_ref(), deleter(work, snapshot)?.as_ref())?
    };
    let why = match condition {
        Condition::Gone(known) | Condition::Refused(known) => return proven(work, stage, &known),
        Condition::Off => {
            let claim = key_condition::claim(work, snapshot, snapshot.key().as_str());
            let why = "it was deleted, and the provider still knows it as disabled";
            return proven(work, stage, &Evidence::assumed(claim, why));
        }
        Condition::Alive => "it still works".to_owned(),
        Condition::Unknown(why) => format!("whether it still works could not be told: {why}"),
    };
    let key = snapshot.key();
    let deadline = snapshot.rotation.deadline.unwrap_or(work.context.now());
    if work.context.now() < deadline {
        work.context.operator.note(format!(
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

fn proven(work: &Session<'_>, stage: Stage, known: &Evidence) -> anyhow::Result<Flow> {
    work.save(stage, |_, rotation| {
        if rotation.leaving().state != Some(Liveness::Dead) {
            rotation.evidence.push(known.basis().clone());
        }
        rotation.leaving_mut().state = Some(Liveness::Dead);
        if stage == Stage::RetiredVerifying {
            rotation.stage = if rotation.delivered() { Stage::Done } else { Stage::Deploying };
        }
        Ok(())
    })?;
    Ok(Flow::On)
}

/// What an earlier step proved and saved, not looked at again.
pub fn recorded(work: &Session<'_>, snapshot: &Snapshot) -> Evidence {
    let claim = key_condition::claim(work, snapshot, snapshot.key().as_str());
    Evidence::assumed(claim, "an earlier step recorded it, and it is not looked at again")
}

fn leaving_secret(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Option<Secret>> {
    work.secret(snapshot, leaving_slot(snapshot.rotation.stage))
}

fn leaving_slot(stage: Stage) -> Slot {
    if stage.is_undoing() { Slot::Pending } else { Slot::Previous }
}

/// Returns whether a stored secret is that of the side that leaves. What was
/// announced and never referred to may be what somebody else stored.
fn is_of(side: &Side, slot: Slot, stored: Option<&Secret>) -> bool {
    match (stored, &side.fingerprint) {
        (None, _) => false,
        (Some(stored), Some(recorded)) => stored.fingerprint() == *recorded,
        // A password has no fingerprint: it was referred to if its moment is known.
        (Some(_), None) => slot != Slot::Pending || side.created.is_some(),
    }
}

/// Deletes the secret that is left over and takes the rotation out: marked in
/// the inventory, deleted in the store, mark dropped.
pub fn finish(work: &Session<'_>, snapshot: &Snapshot, known: &Evidence) -> anyhow::Result<Flow> {
    work.context.operator.detail(format!("{}: {}", snapshot.key(), known.basis().detail));
    let stage = snapshot.rotation.stage;
    let slot = leaving_slot(stage);
    for key in &snapshot.rotation.keys {
        let Some(record) = snapshot.inventory.keys.get(key) else { continue };
        let Some(version) = slot.version(record) else { continue };
        let store = work.context.store_of(&snapshot.inventory, record)?;
        let item = Item { id: record.id.clone(), version, key: key.clone() };
        if is_of(snapshot.rotation.leaving(), slot, store.get(&item).map_err(Situation::from)?.as_ref()) {
            store.delete(&item).map_err(Situation::from)?;
        }
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
