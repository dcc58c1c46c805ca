//! `--abort` before the switch, `--rollback` while the old key exists.

use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::select::Selected;
use crate::key::{Judgement, Reason, Verdict};
use crate::operator::{Testimony, TestimonyQuestion};
use crate::provider::ConsoleTask;
use crate::rotation::{Liveness, Stage};
use crate::workflow::evidence::{Claim, Evidence};
use crate::workflow::rotation::engine::{self, Ended};
use crate::workflow::rotation::options::Options;
use crate::workflow::rotation::session::{Session, Snapshot, as_side};
use crate::workflow::rotation::start::chosen;
use crate::workflow::rotation::step_switch::swap_back;
use crate::workflow::rotation::{console_instructions, step_create_pasted};
use crate::workflow::smtp_login;

/// Gives up before the switch: the unused key is deleted.
///
/// # Errors
/// Exit 8 without such a rotation, exit 1 after the switch, exit 9 while
/// somebody else has it.
pub fn abort(context: &Context, what: &[Selected], options: &Options) -> anyhow::Result<Ended> {
    let id = chosen(context, what)?;
    let work = Session::take(context, options, &id)?;
    let begun = begin_abort(&work);
    end(&work, begun)
}

fn begin_abort(work: &Session<'_>) -> anyhow::Result<()> {
    let snapshot = work.snapshot()?;
    let stage = snapshot.rotation.stage;
    if matches!(stage, Stage::Aborting | Stage::Aborted) {
        return Ok(());
    }
    if !stage.before_switch() {
        return Err(Situation::failed(
            "switched-already",
            format!("`{}` is switched already (stage {stage})", snapshot.key()),
        )
        .hint(format!("the way back is `keyctl rotate {} --rollback`", snapshot.key()))
        .into());
    }
    let claim = |of| Claim { of, by: snapshot.key().as_str(), at: work.context.now() };
    let nothing_made = Evidence::assumed(claim("no new key was made"), "no call was announced");
    let foreign_known = Evidence::assumed(
        claim("the key that was given is of another account"),
        "its account was compared when it was tested, and is not looked at again",
    );
    // Not ours to end, and nothing to wait for.
    let foreign = snapshot.rotation.new.foreign;
    work.save(stage, |_, rotation| {
        rotation.stage = Stage::Aborting;
        if stage == Stage::Planned {
            // Nothing was made yet.
            rotation.evidence.push(nothing_made.basis().clone());
            rotation.new.state = Some(Liveness::Dead);
            rotation.stage = Stage::Aborted;
        } else if foreign {
            step_create_pasted::drop_foreign(rotation, &foreign_known);
        }
        Ok(())
    })?;
    if foreign {
        step_create_pasted::told_dropped(work, &snapshot);
    }
    Ok(())
}

/// Makes the old key current again.
///
/// # Errors
/// Exit 8 without such a rotation, exit 1 when the old key is gone or does not
/// work, exit 4 when that could not be told, exit 9 while somebody else has it.
pub fn rollback(context: &Context, what: &[Selected], options: &Options) -> anyhow::Result<Ended> {
    let id = chosen(context, what)?;
    let work = Session::take(context, options, &id)?;
    let begun = begin_rollback(&work);
    end(&work, begun)
}

fn begin_rollback(work: &Session<'_>) -> anyhow::Result<()> {
    let snapshot = work.snapshot()?;
    let key = snapshot.key();
    let stage = snapshot.rotation.stage;
    let by_hand = stage == Stage::Retiring
        && snapshot.rotation.old.state != Some(Liveness::Retiring)
        && snapshot.admin().is_none();
    match stage {
        Stage::RollingBack | Stage::RolledBack => return Ok(()),
        Stage::Switched | Stage::Deploying | Stage::Grace | Stage::Disabled => {}
        Stage::Retiring if by_hand => {}
        _ if stage.before_switch() => {
            return Err(Situation::failed(
                "not-switched",
                format!("`{key}` is not switched yet (stage {stage})"),
            )
            .hint(format!("give up with `keyctl rotate {key} --abort`"))
            .into());
        }
        _ => return Err(too_late(&snapshot, "it is being deleted").into()),
    }
    if snapshot.rotation.old.state == Some(Liveness::Dead) {
        return Err(too_late(&snapshot, "it is dead").into());
    }
    if snapshot.rotation.old.state == Some(Liveness::Disabled) {
        switch_on(work, &snapshot)?;
    }
    old_works(work, &snapshot)?;
    work.save(stage, |inventory, rotation| {
        rotation.old.state = Some(Liveness::Live);
        swap_back(inventory, rotation)
    })
}

fn too_late(snapshot: &Snapshot, why: &str) -> Situation {
    Situation::failed(
        "too-late",
        format!("the old key of `{}` cannot become current again: {why}", snapshot.key()),
    )
    .hint(format!("rotate once more: `keyctl rotate {}` when this rotation is done", snapshot.key()))
}

fn switch_on(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<()> {
    let switch = snapshot.provider().keys().and_then(|it| it.switch());
    let id = snapshot.rotation.old.remote_id.as_deref();
    if let (Some(switch), Some(id), Some(manager)) = (switch, id, work.manager(snapshot)?) {
        switch.set(work.context.net()?.by(&manager.credential()), id, true).map_err(|trouble| {
            let exit =
                if trouble.reason.verdict() == Verdict::Unknown { Exit::Unknown } else { Exit::Failed };
            let message = format!("the old key was not switched on again: {}", trouble.detail);
            Situation::new(exit, trouble.reason.as_str(), message)
        })?;
    }
    Ok(())
}

fn old_works(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<()> {
    let secret = work.secret(snapshot, Slot::Previous)?;
    let Some(secret) = secret else {
        return Err(too_late(snapshot, "its secret is not in the store").into());
    };
    let key = snapshot.key();
    let record = as_side(key, snapshot.record()?, &snapshot.rotation.old);
    let mut shown = false;
    loop {
        let mut judgement = smtp_login::judge(work.context, &snapshot.inventory, (key, &record), &secret)?;
        smtp_login::doubt(key.provider, record.kind, &mut judgement);
        match judgement.verdict() {
            Verdict::Valid | Verdict::Limited => return Ok(()),
            Verdict::Rejected if sleeps(snapshot, &judgement) => switched_on(work, snapshot, &mut shown)?,
            Verdict::Rejected => return Err(too_late(snapshot, &judgement.detail).into()),
            Verdict::Unknown => {
                return Err(Situation::new(
                    Exit::Unknown,
                    judgement.reason().map_or("unknown", Reason::as_str),
                    format!("whether the old key still works could not be told: {}", judgement.detail),
                )
                .hint("nothing was changed; try again")
                .into());
            }
        }
    }
}

/// Returns whether a refused key may only be switched off: the provider says
/// so, or it was switched off and the provider does not tell more.
fn sleeps(snapshot: &Snapshot, judgement: &Judgement) -> bool {
    let off = snapshot.rotation.stage == Stage::Disabled && judgement.reason() == Some(Reason::Unauthorized);
    snapshot.means().person_switches_off && (off || judgement.reason() == Some(Reason::Disabled))
}

/// Shows a person how the old key is switched on again, and waits for them.
fn switched_on(work: &Session<'_>, snapshot: &Snapshot, shown: &mut bool) -> anyhow::Result<()> {
    let key = snapshot.key();
    if !*shown {
        let old = &snapshot.rotation.old;
        let title =
            format!("Switch the old key of `{key}`{} on again:", console_instructions::described(old));
        let guide = console_instructions::guide(snapshot, snapshot.record()?, ConsoleTask::Enable);
        console_instructions::show(work.context, &title, guide.as_ref());
        *shown = true;
    }
    if work.testify(&TestimonyQuestion::StepDone) == Testimony::Given {
        return Ok(());
    }
    Err(Situation::human(format!(
        "a person switches the old key of `{key}` on again; nothing was changed yet"
    ))
    .hint(format!("then `keyctl rotate {key} --rollback`"))
    .into())
}

/// Goes on with what was begun; what could not be begun is an error, and the
/// rotation is let go as it was.
fn end(work: &Session<'_>, begun: anyhow::Result<()>) -> anyhow::Result<Ended> {
    if let Err(error) = begun {
        work.let_go();
        return Err(error);
    }
    engine::go(work)
}
