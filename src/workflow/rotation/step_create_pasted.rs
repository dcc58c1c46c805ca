//! A key that a person gives: from stdin or a hidden prompt. One that is
//! somebody else's is refused before it is stored; one that turns out not to
//! be meant is given up, and announced for as long as it may be alive.

use crate::context::Slot;
use crate::exit::{Exit, Situation};
use crate::inventory::Mark;
use crate::key::{KeyRef, Name, Record, Secret};
use crate::operator::{Presence, Testimony, TestimonyQuestion};
use crate::provider;
use crate::provider::ConsoleTask;
use crate::rotation::{Liveness, Rotation, Stage};
use crate::workflow::evidence::{Claim, Evidence};
use crate::workflow::rotation::keep_new_key::{announced_anew, refer, store, unstore};
use crate::workflow::rotation::key_condition::Condition;
use crate::workflow::rotation::session::{Flow, Session, Snapshot, as_side};
use crate::workflow::rotation::{console_instructions, key_condition};
use crate::workflow::secret_input;
use crate::workflow::secret_input::Source;
use crate::workflow::store_secret::{Existing, Keeping};

/// Returns whether a rotation waits for, or may still exchange, a key that a
/// person gives.
pub fn is_wanted(snapshot: &Snapshot) -> bool {
    let stage = snapshot.rotation.stage;
    matches!(stage, Stage::Planned | Stage::Creating | Stage::Created) && snapshot.by_person()
}

/// Refuses a key on stdin that a rotation has no use for.
///
/// # Errors
/// Exit 2; the key was not read.
pub fn must_be_wanted(snapshot: &Snapshot) -> Result<(), Situation> {
    if is_wanted(snapshot) {
        return Ok(());
    }
    let (key, stage) = (snapshot.key(), snapshot.rotation.stage);
    Err(Situation::usage(format!(
        "`{key}` is at stage {stage}, where no key is wanted; the one on stdin was not taken"
    ))
    .hint(format!("go on without `--stdin`: `keyctl rotate {key} --resume`")))
}

/// Returns, where a person gave the key, how another is given in its place.
pub fn or_another(snapshot: &Snapshot) -> &'static str {
    if snapshot.by_person() { ", or give another key with `--resume --stdin`" } else { "" }
}

/// Takes the key that a person makes in the console.
pub fn step(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let key = snapshot.key();
    let user = work.context.environment.user();
    let said = if work.said_not_made() { Testimony::Given } else { Testimony::NoOne };
    let claim = Claim { of: "no new key was made", by: &user, at: work.context.now() };
    if let Some(known) = Evidence::of_testimony(claim, said, "said with `--not-made`") {
        not_made(work, &known)?;
        work.context
            .operator
            .hint(format!("`keyctl rotate {key} --resume` when you make one, else `--abort`"));
        return Ok(Flow::Stop(Exit::Human));
    }
    let source = if work.options.stdin {
        Source::Stdin
    } else {
        let record = snapshot.record()?;
        let title = format!("Make the new key of `{key}`:");
        console_instructions::show(
            work.context,
            &title,
            console_instructions::guide(snapshot, record, ConsoleTask::Create).as_ref(),
        );
        if work.context.operator.presence() == Presence::NoOne {
            work.context.operator.hint(format!(
                "then give it: `printf %s \"$NEW\" | keyctl rotate {key} --resume --stdin`; if none was made, `--abort`"
            ));
            return Ok(Flow::Stop(Exit::Human));
        }
        Source::Prompt(format!("New key of {key}"))
    };
    let secret = take(work, snapshot, &source)?;
    store(work, &snapshot.inventory, &snapshot.rotation, &secret)?;
    refer(work, snapshot, &secret, None)
}

/// Takes another key in the place of one that was not switched to yet.
pub fn another(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let secret = take(work, snapshot, &Source::Stdin)?;
    if let Some(earlier) = work.secret(snapshot, Slot::Pending)? {
        if earlier.fingerprint() == secret.fingerprint() {
            work.context.operator.note("note: this key was given before; it is tested again");
            return Ok(Flow::On);
        }
        give_up(work, snapshot, &earlier)?;
    }
    // From here on nobody refers to the earlier one; if somebody has switched
    // to it meanwhile, this fails and it stays.
    announced_anew(work)?;
    unstore(work, snapshot);
    let snapshot = work.snapshot()?;
    store(work, &snapshot.inventory, &snapshot.rotation, &secret)?;
    refer(work, &snapshot, &secret, None)
}

fn take(work: &Session<'_>, snapshot: &Snapshot, source: &Source) -> anyhow::Result<Secret> {
    let key = snapshot.key();
    work.given.set(true);
    let taken = secret_input::take(work.context, source)?;
    work.context.restart_clock();
    taken.fits(key.provider, Some(snapshot.record()?.kind))?;
    let refused = |message: String| Situation::new(Exit::Usage, "not-new", message).hint("paste the new one");
    let old = work.secret(snapshot, Slot::Current)?;
    if old.is_some_and(|it| it.fingerprint() == taken.secret.fingerprint()) {
        return Err(refused(format!("this is the key that `{key}` has already")).into());
    }
    if let Some(holder) = held_by(work, snapshot, &taken.secret)? {
        return Err(refused(format!("this is the key of `{holder}`; it was not taken for `{key}`")).into());
    }
    Ok(taken.secret)
}

/// Returns the record that holds a secret already, as its current one or as
/// one that it had, is to have, or takes part in a rotation with.
fn held_by(work: &Session<'_>, snapshot: &Snapshot, secret: &Secret) -> anyhow::Result<Option<KeyRef>> {
    let fingerprint = secret.fingerprint();
    let inventory = &snapshot.inventory;
    for rotation in inventory.rotations.values().filter(|it| it.id != snapshot.rotation.id) {
        let sides = [&rotation.old, &rotation.new];
        if sides.iter().any(|it| it.fingerprint.as_ref() == Some(&fingerprint)) {
            return Ok(Some(rotation.keys[0].clone()));
        }
    }
    let login = snapshot.rotation.old.login.as_ref();
    let chosen = snapshot.provider().chosen_by_person(snapshot.record()?.kind);
    let provider = snapshot.key().provider;
    let mut recorded = inventory.keys.marked(&Mark::Fingerprint(fingerprint)).map(|(key, _)| key);
    let current = recorded.find(|key| !snapshot.rotation.keys.contains(*key));
    // What is kept besides the current secret has no fingerprint on record.
    // A password that a person chose may be the same for two logins.
    let mut of_login = None;
    let mut of_provider = None;
    if chosen {
        of_login = login.map(|it| inventory.keys.marked(&Mark::Login(provider, it.clone())));
    } else {
        of_provider = Some(inventory.keys.iter().filter(|(key, _)| key.provider == provider));
    }
    let others = of_login.into_iter().flatten().chain(of_provider.into_iter().flatten());
    // The first by name is told.
    let kept = others
        .take_while(|(key, _)| current.is_none_or(|current| *key < current))
        .find(|(key, record)| holds(work, snapshot, (key, record), secret));
    Ok(kept.map(|(key, _)| key).or(current).cloned())
}

fn holds(
    work: &Session<'_>,
    snapshot: &Snapshot,
    (key, record): (&KeyRef, &Record),
    secret: &Secret,
) -> bool {
    let ours = snapshot.rotation.keys.contains(key);
    let slots = Slot::ALL.into_iter().filter(|slot| match slot {
        Slot::Current => record.fingerprint.is_none(),
        // The one that is about to be exchanged.
        Slot::Pending => !ours,
        Slot::Previous => true,
    });
    slots.filter(|slot| slot.version(record).is_some()).any(|slot| {
        let held = work.context.secret(&snapshot.inventory, key, record, slot).ok().flatten();
        held.is_some_and(|it| it.fingerprint() == secret.fingerprint())
    })
}

/// Gives a key up for another: what may be alive is kept under a key ref of
/// its own, where `remove --revoke` ends it.
fn give_up(work: &Session<'_>, snapshot: &Snapshot, earlier: &Secret) -> anyhow::Result<()> {
    let operator = &work.context.operator;
    let new = &snapshot.rotation.new;
    let which = format!("the key given before{}", console_instructions::described(new));
    if new.foreign {
        operator.note(format!("{which} is of another account: it is dropped here, and left alone there"));
        return Ok(());
    }
    work.forget(earlier);
    let condition = key_condition::condition(work, snapshot, new, earlier)?;
    if matches!(condition, Condition::Gone(_) | Condition::Refused(_)) {
        operator.note(format!("{which} does not work: it is dropped"));
        return Ok(());
    }
    let place = snapshot.key();
    let Some(key) = name_for(work, snapshot, earlier)? else { return Ok(()) };
    let described = as_side(place, snapshot.record()?, new);
    let chosen = snapshot.provider().chosen_by_person(described.kind);
    Keeping::begin(work.context, &snapshot.inventory, &key, Existing::Refuse)?.keep(
        described.kind,
        earlier,
        |record| {
            record.describe_secret(earlier, chosen);
            record.region = described.region;
            record.domain.clone_from(&described.domain);
            record.login.clone_from(&described.login);
            record.account_id.clone_from(&described.account_id);
            record.remote_id.clone_from(&described.remote_id);
            record.created = new.created;
            record.note = Some(format!("given to the rotation of {} and not used", snapshot.key()));
        },
    )?;
    operator.warning(format!("{which} may be alive: it is kept as `{key}`"));
    operator.hint(format!("if nothing uses it: `keyctl remove {key} --revoke`"));
    Ok(())
}

/// Returns a free key ref for a key that was given up; `None`: it is kept already.
fn name_for(work: &Session<'_>, snapshot: &Snapshot, secret: &Secret) -> anyhow::Result<Option<KeyRef>> {
    let place = snapshot.key();
    for n in 1.. {
        let label = match n {
            1 => format!("unused-{}", snapshot.rotation.id),
            n => format!("unused-{}-{n}", snapshot.rotation.id),
        };
        let label = Name::parse(&label).map_err(|error| anyhow::anyhow!("{error}"))?;
        let key = KeyRef::new(place.provider, Some(label), place.scope.clone());
        let Some(record) = snapshot.inventory.keys.get(&key) else { return Ok(Some(key)) };
        let slot = if record.current.is_some() { Slot::Current } else { Slot::Pending };
        let held = work.context.secret(&snapshot.inventory, &key, record, slot).map_err(Situation::from)?;
        match held {
            Some(held) if held.fingerprint() != secret.fingerprint() => {}
            Some(_) if record.current.is_some() => return Ok(None),
            // An interrupted attempt to keep this one goes on.
            Some(_) | None => return Ok(Some(key)),
        }
    }
    Ok(None)
}

/// Notes that the key that was given is of another account: whatever becomes
/// of the rotation, it is not ours to end.
pub fn mark_foreign(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<()> {
    if !snapshot.by_person() || snapshot.rotation.new.foreign {
        return Ok(());
    }
    work.save(Stage::Created, |_, rotation| {
        rotation.new.foreign = true;
        Ok(())
    })
}

/// Takes the announcement of a new key back.
pub fn not_made(work: &Session<'_>, known: &Evidence) -> anyhow::Result<()> {
    work.save(Stage::Creating, |_, rotation| {
        rotation.evidence.push(known.basis().clone());
        rotation.stage = Stage::Planned;
        Ok(())
    })
}

/// Drops a key that is not the rotation's: its secret goes, it itself stays.
pub fn drop_foreign(rotation: &mut Rotation, known: &Evidence) {
    rotation.evidence.push(known.basis().clone());
    rotation.new.foreign = true;
    rotation.new.state = Some(Liveness::Lost);
    rotation.stage = Stage::Aborted;
}

/// Asks whether a key that was given is the rotation's to end. `false`: it was
/// dropped. Without an answer it is told how to delete it, as one that is.
pub fn is_to_end(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<bool> {
    let given = snapshot.by_person() && work.secret(snapshot, Slot::Pending)?.is_some();
    if snapshot.rotation.stage != Stage::Aborting || !given {
        return Ok(true);
    }
    let new = &snapshot.rotation.new;
    let question = TestimonyQuestion::GivenForRotation { key: console_instructions::described(new) };
    if work.testify(&question) != Testimony::Refused {
        return Ok(true);
    }
    let user = work.context.environment.user();
    let claim = Claim { of: "the key that was given is somebody's", by: &user, at: work.context.now() };
    let known = Evidence::assumed(claim, "a person only said that it was not made for this rotation");
    work.save(Stage::Aborting, |_, rotation| {
        drop_foreign(rotation, &known);
        Ok(())
    })?;
    told_dropped(work, snapshot);
    Ok(false)
}

/// Says that a key was dropped that goes on living.
pub fn told_dropped(work: &Session<'_>, snapshot: &Snapshot) {
    work.context.operator.note(format!(
        "`{}`: the key that was given{} is dropped here, and left alone at {}",
        snapshot.key(),
        console_instructions::described(&snapshot.rotation.new),
        provider::provider(snapshot.key().provider).id()
    ));
}
