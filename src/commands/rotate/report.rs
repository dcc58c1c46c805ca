//! How rotations are told: what is under way, and what came of it.

use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::commands::CommandContext;
use crate::commands::rotate::next_step::{By, Next, next_of};
use crate::commands::rotate::place::Place;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::inventory::select::Selected;
use crate::key::{Fingerprint, KeyRef};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::rotation::{Basis, Liveness, Progress, Rotation, RotationId, Side, Source, Stage};
use crate::workflow::consumers::paste_page;
use crate::workflow::rotation::acknowledge::Acknowledged;
use crate::workflow::rotation::engine::Ended;
use crate::workflow::rotation::plan::Plan;
use crate::workflow::rotation::start::{Outcome, Planned, selected_rotations};

/// One of the two keys, its fields in the order of JSON.
#[derive(Debug, Clone, Serialize)]
struct Key {
    fingerprint: Option<Fingerprint>,
    last2: Option<String>,
    remote_id: Option<String>,
    login: Option<String>,
    state: Option<Liveness>,
}

impl From<&Side> for Key {
    fn from(side: &Side) -> Self {
        Self {
            fingerprint: side.fingerprint.clone(),
            last2: side.last2.clone(),
            remote_id: side.remote_id.clone(),
            login: side.login.clone(),
            state: side.state,
        }
    }
}

/// On what a step that cannot be undone stood.
#[derive(Debug, Clone, Serialize)]
struct Known {
    of: String,
    source: Source,
    by: String,
    at: String,
    detail: String,
}

impl From<&Basis> for Known {
    fn from(basis: &Basis) -> Self {
        let Basis { of, source, by, at, detail } = basis.clone();
        Self { of, source, by, at: rfc3339(at), detail }
    }
}

#[derive(Debug, Clone, Serialize)]
struct Owner {
    user: String,
    host: String,
    pid: u32,
    at: String,
}

/// One rotation, its fields in the contract's order; what was added stands last.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    key: KeyRef,
    id: Option<RotationId>,
    stage: Stage,
    next: Option<Next>,
    old: Key,
    new: Key,
    grace_until: Option<String>,
    consumers: Vec<Place>,
    records: Vec<KeyRef>,
    evidence: Vec<Known>,
    using: Option<KeyRef>,
    compromised: bool,
    owner: Option<Owner>,
    trouble: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// The result of every verb of `rotate`.
pub struct Rotations {
    rotations: Vec<Line>,
}

impl Rotations {
    /// Returns how work ended.
    pub fn of(context: &CommandContext, ended: &[Ended]) -> Self {
        let lines = ended.iter().map(|it| line(context, &it.inventory, &it.rotation));
        Self::sorted(lines.collect())
    }

    /// Returns rotations as they stand, and plans.
    pub fn planned(
        context: &CommandContext,
        inventory: &Inventory,
        running: Vec<Rotation>,
        plans: &[Plan],
    ) -> Self {
        let running = running.iter().map(|it| line(context, inventory, it));
        Self::sorted(running.chain(plans.iter().map(plan_line)).collect())
    }

    fn sorted(mut rotations: Vec<Line>) -> Self {
        rotations.sort_by(|one, other| one.key.cmp(&other.key));
        Self { rotations }
    }
}

/// `--status`
///
/// # Errors
/// Exit 8 for a key or scope that is not there.
pub fn status(context: &CommandContext, what: &[Selected]) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    for it in what {
        match it {
            Selected::Key(key) => drop(inventory.record(key)?),
            Selected::Scope(scope) => inventory.need_scope(scope)?,
        }
    }
    let running: Vec<Rotation> = selected_rotations(inventory, what).cloned().collect();
    if running.is_empty() {
        context.console.hint("no rotation is under way");
    }
    context.console.report(&Rotations::planned(context, inventory, running, &[]))?;
    Ok(Exit::Done)
}

/// Reports what a call did, and returns the code that speaks for all of it.
///
/// # Errors
/// When stdout cannot be written.
pub fn outcome(context: &CommandContext, outcome: &Outcome) -> anyhow::Result<Exit> {
    context.console.report(&Rotations::of(context, &outcome.ended))?;
    Ok(outcome.exit())
}

/// Reports what a call would do.
///
/// # Errors
/// When stdout cannot be written.
pub fn planned(context: &CommandContext, planned: Planned) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    context.console.report(&Rotations::planned(context, inventory, planned.running, &planned.plans))?;
    Ok(Exit::Done)
}

/// Reports what came of an acknowledgement.
///
/// # Errors
/// When the inventory cannot be read.
pub fn acknowledged(context: &CommandContext, said: Acknowledged) -> anyhow::Result<Exit> {
    let id = match said {
        Acknowledged::Resumed(ended) => return outcome(context, &vec![*ended].into()),
        Acknowledged::Noted(id) => id,
    };
    let inventory = context.inventory_file.load()?;
    let rotations = inventory.rotations.get(&id).cloned().into_iter().collect();
    context.console.report(&Rotations::planned(context, &inventory, rotations, &[]))?;
    Ok(Exit::Done)
}

fn plan_line(plan: &Plan) -> Line {
    let place = |it: &crate::rotation::Delivery| Place {
        name: it.name.clone(),
        kind: it.kind,
        state: it.state,
        by: None,
        at: None,
        key: it.key.clone(),
        url: None,
    };
    let steps = plan.steps();
    let by =
        if plan.maker == crate::workflow::rotation::plan::Maker::Person { By::Human } else { By::Keyctl };
    Line {
        key: plan.key().clone(),
        id: None,
        stage: Stage::Planned,
        next: Some(Next {
            action: "create",
            by,
            detail: steps.first().cloned().unwrap_or_default(),
            url: plan.guide.as_ref().filter(|_| by == By::Human).map(|it| it.url.clone()),
        }),
        old: Key::from(&plan.old),
        new: Key::from(&Side::default()),
        grace_until: None,
        consumers: plan.consumers.iter().map(place).collect(),
        records: plan.keys.clone(),
        evidence: Vec::new(),
        using: plan.using.clone(),
        compromised: plan.compromised,
        owner: None,
        trouble: None,
        warnings: plan.warnings.iter().cloned().chain(plan.breaks()).collect(),
        steps,
    }
}

fn line(context: &CommandContext, inventory: &Inventory, rotation: &Rotation) -> Line {
    let url = |it: &crate::rotation::Delivery| {
        let record = inventory.keys.get(&it.key)?;
        paste_page::url(inventory, &it.key, record.consumers.iter().find(|held| held.name == it.name)?)
    };
    let mut consumers: Vec<Place> = Vec::new();
    for delivery in &rotation.consumers {
        consumers.push(Place {
            name: delivery.name.clone(),
            kind: delivery.kind,
            state: delivery.state,
            by: delivery.by.clone(),
            at: delivery.at.map(rfc3339),
            key: delivery.key.clone(),
            url: url(delivery),
        });
    }
    Line {
        key: rotation.keys[0].clone(),
        id: Some(rotation.id.clone()),
        stage: rotation.stage,
        next: next_of(context, inventory, rotation, &consumers),
        old: Key::from(&rotation.old),
        new: Key::from(&rotation.new),
        grace_until: rotation.grace_until.map(rfc3339),
        consumers,
        records: rotation.keys.clone(),
        evidence: rotation.evidence.iter().map(Known::from).collect(),
        using: rotation.using.clone(),
        compromised: rotation.compromised,
        owner: rotation.owner.as_ref().map(|it| Owner {
            user: it.user.clone(),
            host: it.host.clone(),
            pid: it.pid,
            at: rfc3339(it.at),
        }),
        trouble: rotation.trouble.clone(),
        steps: Vec::new(),
        warnings: Vec::new(),
    }
}

impl Report for Rotations {
    fn command(&self) -> &'static str {
        "rotate"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "rotations": self.rotations })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("rotations")
    }

    fn human(&self, page: &mut Page) {
        for (n, line) in self.rotations.iter().enumerate() {
            if n > 0 {
                page.blank();
            }
            one(page, line);
        }
    }
}

fn one(page: &mut Page, line: &Line) {
    let id = line.id.as_ref().map(|it| format!("  {it}")).unwrap_or_default();
    page.pieces(&[
        (Tone::Strong, line.key.as_str()),
        (Tone::Plain, "  "),
        (Tone::Warn, line.stage.as_str()),
        (Tone::Dim, &id),
    ]);
    let also: Vec<&str> = line.records.iter().filter(|it| **it != line.key).map(KeyRef::as_str).collect();
    let owner =
        line.owner.as_ref().map(|it| format!("{} on {} (process {}, {})", it.user, it.host, it.pid, it.at));
    page.fields(&[
        ("  also", also.join(", ").into()),
        ("  old", side(&line.old)),
        ("  new", side(&line.new)),
        ("  until", line.grace_until.clone().unwrap_or_default().into()),
        ("  next", line.next.as_ref().map(|it| it.detail.clone()).unwrap_or_default().into()),
        ("  at", line.next.as_ref().and_then(|it| it.url.clone()).unwrap_or_default().into()),
        ("  in the hands of", owner.unwrap_or_default().into()),
        ("  trouble", Cell::toned(line.trouble.clone().unwrap_or_default(), Tone::Bad)),
    ]);
    for (n, step) in line.steps.iter().enumerate() {
        page.paragraph(Tone::Plain, 2, &format!("{}. {step}", n + 1));
    }
    for warning in &line.warnings {
        page.paragraph(Tone::Warn, 2, &format!("! {warning}"));
    }
    let mut table = Table::new(&["  place", "kind", "state", "by", "at"]);
    for place in &line.consumers {
        let tone = match place.state {
            Progress::Pushed | Progress::Acked => Tone::Good,
            Progress::Skipped => Tone::Dim,
            Progress::Todo => Tone::Warn,
            Progress::Failed | Progress::Damaged => Tone::Bad,
        };
        table.row([
            format!("  {}", place.name).into(),
            place.kind.as_str().into(),
            Cell::toned(place.state.as_str(), tone),
            place.by.clone().unwrap_or_default().into(),
            place.at.clone().unwrap_or_default().into(),
        ]);
    }
    page.table(&table);
}

fn side(key: &Key) -> Cell {
    let parts = [
        key.state.map(|it| it.to_string()),
        key.last2.as_ref().map(|it| format!("…{it}")),
        key.login.clone(),
        key.remote_id.clone(),
    ];
    Cell::from(parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}
