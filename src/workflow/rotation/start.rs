//! Beginning rotations, and taking up those under way.

use std::collections::BTreeSet;

use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Reach, Selected};
use crate::key::KeyRef;
use crate::operator::{Consent, ConsentQuestion, Level};
use crate::rotation::{Rotation, RotationId, Side, Stage};
use crate::workflow::rotation::engine;
use crate::workflow::rotation::engine::Ended;
use crate::workflow::rotation::options::Options;
use crate::workflow::rotation::plan::{Maker, Plan};
use crate::workflow::rotation::same_secret::groups;
use crate::workflow::rotation::session::{Session, Snapshot};
use crate::workflow::rotation::{console_instructions, owner_lock, preflight, step_create_pasted};

/// What a call would do.
#[derive(Debug)]
pub struct Planned {
    /// Rotations under way, which would go on.
    pub running: Vec<Rotation>,
    pub plans: Vec<Plan>,
}

/// What a call did.
#[derive(Debug, Default)]
pub struct Outcome {
    pub ended: Vec<Ended>,
    /// What those came to that could not be taken in hand.
    passed_over: Vec<Exit>,
}

impl Outcome {
    /// Returns what speaks for all of it.
    pub fn exit(&self) -> Exit {
        Exit::merge(self.ended.iter().map(|it| it.exit).chain(self.passed_over.iter().copied()))
    }
}

impl From<Vec<Ended>> for Outcome {
    fn from(ended: Vec<Ended>) -> Self {
        Self { ended, passed_over: Vec::new() }
    }
}

/// Finds out what would be done; changes nothing.
///
/// # Errors
/// What would stop it.
pub fn plan(context: &Context, what: &[Selected], options: &Options) -> anyhow::Result<Planned> {
    let (under_way, plans) = checked(context, &selected(context, what)?, options)?;
    let inventory = context.inventory()?;
    let running = under_way.iter().filter_map(|id| inventory.rotations.get(id)).cloned().collect();
    Ok(Planned { running, plans })
}

/// Begins rotations of the selected keys, and goes on with those under way.
///
/// # Errors
/// Before the first change: whatever stands in the way of any of them.
pub fn start(context: &Context, what: &[Selected], options: &Options) -> anyhow::Result<Outcome> {
    let keys = selected(context, what)?;
    start_keys(context, &keys, options)
}

/// As [`start`], for keys.
///
/// # Errors
/// As [`start`].
pub fn start_keys(context: &Context, keys: &BTreeSet<KeyRef>, options: &Options) -> anyhow::Result<Outcome> {
    let (under_way, plans) = checked(context, keys, options)?;
    if options.stdin && under_way.len() + plans.len() > 1 {
        return Err(Situation::usage("`--stdin` gives one key; name the one that rotates").into());
    }
    if !plans.is_empty() {
        consent(context, &plans, options)?;
        let inventory = context.inventory()?;
        for plan in &plans {
            preflight::approvals(context, inventory, &plan.keys)?;
        }
    }
    for id in &under_way {
        wants_key(context.inventory()?, id, options)?;
    }
    let mut ended = Vec::new();
    for id in &under_way {
        ended.push(engine::go(&Session::take(context, options, id)?)?);
    }
    for plan in &plans {
        ended.push(engine::go(&begin(context, plan, options)?)?);
    }
    Ok(ended.into())
}

fn selected(context: &Context, what: &[Selected]) -> anyhow::Result<BTreeSet<KeyRef>> {
    let selection = context.inventory()?.select(what, Reach::Below, Filter::default())?;
    for skipped in &selection.skipped {
        context.operator.note(format!("note: {skipped}"));
    }
    let mut keys = BTreeSet::new();
    keys.extend(selection.keys.into_iter().cloned());
    Ok(keys)
}

/// Splits the keys into rotations under way and plans that passed every check.
fn checked(
    context: &Context,
    keys: &BTreeSet<KeyRef>,
    options: &Options,
) -> anyhow::Result<(Vec<RotationId>, Vec<Plan>)> {
    let inventory = context.inventory()?;
    let mut under_way: Vec<RotationId> = Vec::new();
    let mut plans = Vec::new();
    for group in groups(context, inventory, keys) {
        match group.iter().find_map(|key| inventory.rotation_of(key)) {
            Some(rotation) if under_way.contains(&rotation.id) => {}
            Some(rotation) => under_way.push(rotation.id.clone()),
            None => {
                context.restart_clock();
                plans.push(preflight::check(context, inventory, &group, options)?);
            }
        }
    }
    Ok((under_way, plans))
}

/// Shows the plan and asks.
fn consent(context: &Context, plans: &[Plan], options: &Options) -> anyhow::Result<()> {
    for plan in plans {
        context.operator.sheet(Level::Note, &plan.sheet());
    }
    let what = match plans {
        [only] => format!("`{}`", only.key()),
        several => format!("these {} keys", several.len()),
    };
    let answer = context.operator.consent(&ConsentQuestion::Rotate { what });
    context.restart_clock();
    match answer {
        Consent::Given => Ok(()),
        Consent::Refused => Err(Situation::refused("not-confirmed", "nothing was changed").into()),
        Consent::NoOne => {
            let by_hand = plans.iter().all(|plan| plan.maker == Maker::Person) && !options.stdin;
            if by_hand {
                for plan in plans {
                    let title = format!("Make the new key of `{}`:", plan.key());
                    console_instructions::show(context, &title, plan.guide.as_ref());
                }
                return Err(Situation::human("a person makes the new key in the console")
                    .hint("then give it to the same command with `--yes --stdin` added: `printf %s \"$NEW\" | keyctl rotate … --yes --stdin`")
                    .into());
            }
            Err(Situation::refused("not-confirmed", "a rotation needs a word of consent")
                .hint("add `--yes`; `--plan` shows what would be done")
                .into())
        }
    }
}

/// Saves the intent, in our hands.
fn begin<'a>(context: &'a Context, plan: &Plan, options: &'a Options) -> anyhow::Result<Session<'a>> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let id = RotationId::from_random(random);
    let me = owner_lock::me(context)?;
    let kill_now = plan.kill_now || (plan.compromised && kills_now(context, plan));
    context.update(|inventory| {
        for (key, version) in plan.keys.iter().zip(&plan.versions) {
            let record = inventory.record(key)?;
            if inventory.rotation_of(key).is_some() || record.current != *version {
                return Err(Situation::new(
                    Exit::Refused,
                    "rotation-busy",
                    format!("somebody else changed or began to rotate `{key}` just now"),
                )
                .hint("nothing was changed; look with `--status`")
                .into());
            }
        }
        let rotation = Rotation {
            id: id.clone(),
            keys: plan.keys.clone(),
            stage: Stage::Planned,
            started: me.at,
            using: plan.using.clone(),
            grace_seconds: plan.grace_seconds,
            grace_until: None,
            switched_at: None,
            used_at: None,
            deadline: None,
            compromised: plan.compromised,
            kill_now,
            permissions: plan.permissions.clone(),
            held: plan.held.names.clone(),
            held_whole: plan.held.whole,
            old: plan.old.clone(),
            new: Side::default(),
            consumers: plan.consumers.clone(),
            canary: None,
            evidence: Vec::new(),
            owner: Some(me.clone()),
            trouble: None,
        };
        inventory.rotations.insert(id.clone(), rotation);
        Ok(())
    })?;
    Ok(Session::held(context, options, id, me))
}

/// Asks whether a leaked key is to die before the places have the new one.
fn kills_now(context: &Context, plan: &Plan) -> bool {
    if plan.consumers.is_empty() || context.operator.agreed_beforehand() {
        return false;
    }
    context.operator.consent(&ConsentQuestion::KillNow) == Consent::Given
}

/// Goes on with a rotation: the one of the key, the only one, or all.
///
/// # Errors
/// Exit 8 when there is none, exit 2 when it is not clear which, exit 9 while
/// somebody else has it.
pub fn resume(context: &Context, what: &[Selected], all: bool, options: &Options) -> anyhow::Result<Outcome> {
    let inventory = context.inventory()?;
    if !all {
        let ids = match what {
            [] | [Selected::Key(_)] => vec![chosen(context, what)?],
            _ => meant(context, what)?,
        };
        let says = options.done || options.not_made || options.unused;
        if says && ids.len() > 1 {
            return Err(Situation::usage("`--done`, `--not-made` and `--unused` are said of one key")
                .hint("name it by its key ref: `keyctl rotate mailgun@acme --done`")
                .into());
        }
        if options.stdin && ids.len() > 1 {
            return Err(Situation::usage("`--stdin` gives one key; name the one that rotates").into());
        }
        for id in &ids {
            wants_key(inventory, id, options)?;
        }
        let mut ended = Vec::new();
        for id in ids {
            ended.push(engine::go(&Session::take(context, options, &id)?)?);
        }
        return Ok(ended.into());
    }
    if options.stdin && inventory.rotations.len() > 1 {
        return Err(Situation::usage("`--stdin` gives one key; name the one that rotates").into());
    }
    if options.stdin {
        let only = inventory.rotations.keys().next().ok_or_else(none)?;
        wants_key(inventory, only, options)?;
    }
    let mut outcome = Outcome::default();
    for id in inventory.rotations.keys() {
        match Session::take(context, options, id) {
            Ok(work) => outcome.ended.push(engine::go(&work)?),
            Err(error) => {
                // A job that meets another at work leaves it alone.
                let (_, code, message, _) = crate::exit::situation(&error);
                context.operator.warning(message);
                outcome.passed_over.push(if code == "rotation-busy" { Exit::Done } else { Exit::Human });
            }
        }
    }
    Ok(outcome)
}

/// Refuses a key on stdin before anything is done, where none is wanted.
fn wants_key(inventory: &Inventory, id: &RotationId, options: &Options) -> anyhow::Result<()> {
    let Some(rotation) = inventory.rotations.get(id).filter(|_| options.stdin) else { return Ok(()) };
    let snapshot = Snapshot { inventory: inventory.clone(), rotation: rotation.clone() };
    Ok(step_create_pasted::must_be_wanted(&snapshot)?)
}

fn meant(context: &Context, what: &[Selected]) -> anyhow::Result<Vec<RotationId>> {
    let inventory = context.inventory()?;
    let ids: Vec<RotationId> = selected_rotations(inventory, what).map(|it| it.id.clone()).collect();
    if ids.is_empty() { Err(none().into()) } else { Ok(ids) }
}

fn none() -> Situation {
    Situation::missing("no-such-rotation", "no rotation is under way")
        .hint("`keyctl rotate KEYREF` begins one; `keyctl rotate --status` lists them")
}

/// Returns the rotation that is meant: that of the key, else the only one.
///
/// # Errors
/// Exit 8 when there is none, exit 2 when there are several.
pub fn chosen(context: &Context, what: &[Selected]) -> anyhow::Result<RotationId> {
    let inventory = context.inventory()?;
    if let [Selected::Key(key)] = what {
        inventory.record(key)?;
        return inventory.rotation_of(key).map(|it| it.id.clone()).ok_or_else(|| {
            Situation::missing("no-such-rotation", format!("`{key}` does not rotate"))
                .hint(format!("`keyctl rotate {key}` begins it"))
                .into()
        });
    }
    let found: Vec<&Rotation> = selected_rotations(inventory, what).collect();
    match found.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => Err(none().into()),
        several => {
            let keys: Vec<String> = several.iter().map(|it| format!("`{}`", it.keys[0])).collect();
            Err(Situation::usage(format!("several rotations are under way: {}", keys.join(", ")))
                .hint("name the key, or `--resume --all`")
                .into())
        }
    }
}

/// Returns the rotations that the arguments mean; none means all.
pub fn selected_rotations<'a>(
    inventory: &'a Inventory,
    what: &'a [Selected],
) -> impl Iterator<Item = &'a Rotation> {
    let meant = |rotation: &Rotation| {
        what.is_empty()
            || what.iter().any(|it| match it {
                Selected::Key(key) => rotation.keys.contains(key),
                Selected::Scope(scope) => rotation.keys.iter().any(|key| scope.covers(&key.scope)),
            })
    };
    inventory.rotations.values().filter(move |it| meant(it))
}
