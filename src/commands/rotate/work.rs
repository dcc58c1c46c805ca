//! Works on one rotation: takes the next step, does it, saves, again. Every
//! step can be entered a second time; what stops one is kept with the rotation.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::{
    Options, by_hand, create, deploy, owner, pasted, preflight, retire, swap, switch_off, test_key, used,
    walk,
};
use crate::commands::logins;
use crate::commands::managing::Keyed;
use crate::context::{Context, Slot, Unusable};
use crate::exit::{self, Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Fingerprint, Judgement, KeyRef, Record, Secret};
use crate::output::Answer;
use crate::provider::{self, ConsoleTask, KeyAdmin, Provider};
use crate::rotation::{
    Canary, Liveness, Means, Owner, Pause, Progress, Rotation, RotationId, Side, Stage, Step, next,
};
use crate::store::Item;

/// What a step says about going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    On,
    Stop(Exit),
}

/// How work on a rotation ended this time.
#[derive(Debug)]
pub struct Ended {
    pub exit: Exit,
    /// As it was last seen; `Done` when nothing is left of it.
    pub rotation: Rotation,
    pub inventory: Inventory,
}

/// One rotation in the hands of this process.
pub struct Work<'a> {
    pub context: &'a Context,
    pub options: &'a Options,
    pub id: RotationId,
    me: Owner,
    /// Whether the person named this key in this call, or began the rotation
    /// with it: only then are questions taken up again that are open.
    pub named: bool,
    /// What was proven of a secret in this run: one probe each.
    judged: RefCell<BTreeMap<Fingerprint, Judgement>>,
    /// Whether the key that a person gives was asked for in this run.
    pub given: Cell<bool>,
    /// What this run brought into the store, and no run before it.
    stored: RefCell<Vec<Item>>,
    /// Where the rotation stood when this run took it in hand: what a person
    /// said with `--done` is meant for that step and no later one.
    begun: Option<(Stage, Option<Liveness>)>,
    /// Whether a step asked for what a person said with an option.
    heard: Cell<bool>,
    /// Set when the rotation was taken out of the inventory.
    last: RefCell<Option<Rotation>>,
}

/// The inventory as it stands, and the rotation in it.
pub struct Snapshot {
    pub inventory: Inventory,
    pub rotation: Rotation,
}

impl Snapshot {
    pub fn key(&self) -> &KeyRef {
        &self.rotation.keys[0]
    }

    /// Returns the record that names the rotation.
    ///
    /// # Errors
    /// Exit 8 when somebody removed it.
    pub fn record(&self) -> Result<&Record, Situation> {
        self.inventory.record(self.key())
    }

    pub fn provider(&self) -> &'static dyn Provider {
        provider::provider(self.key().provider)
    }

    /// Returns whether a person is to clone the old key: its console can, and
    /// nobody knows all that it may do.
    pub fn clones(&self) -> bool {
        let wanted = self.record().is_ok_and(|it| !self.rotation.wanted(it).is_empty());
        self.provider().clones() && !wanted
    }

    /// Returns the facet that makes and deletes such keys, where it does.
    pub fn admin(&self) -> Option<&'static dyn KeyAdmin> {
        let record = self.record().ok()?;
        let login = if self.rotation.stage.is_undoing() {
            &self.rotation.new.login
        } else {
            &self.rotation.old.login
        };
        self.provider().keys().filter(|it| it.can_replace(record.kind, login.as_deref()).is_ok())
    }

    /// Returns whether a person makes the new key, and gives it.
    pub fn by_person(&self) -> bool {
        self.rotation.using.is_none() || self.admin().is_none()
    }

    /// Returns how the old key can be switched off before it is deleted.
    pub fn means(&self) -> Means {
        means(self.provider(), self.record().ok(), &self.rotation)
    }
}

/// Returns how the old key of a rotation can be switched off.
pub fn means(provider: &dyn Provider, record: Option<&Record>, rotation: &Rotation) -> Means {
    let switch = provider.keys().is_some_and(|it| it.switch().is_some());
    let console = |record| provider.console(ConsoleTask::Disable, &preflight::console_ask(record, &[], &[]));
    Means {
        switches_off: switch && rotation.using.is_some() && rotation.old.remote_id.is_some(),
        person_switches_off: record.and_then(console).is_some(),
    }
}

impl<'a> Work<'a> {
    /// Takes a rotation in hand.
    ///
    /// # Errors
    /// Exit 9 when somebody else has it.
    pub fn take(context: &'a Context, options: &'a Options, id: &RotationId) -> anyhow::Result<Self> {
        let me = owner::me(context)?;
        let (named, begun) = context.update(|inventory| {
            let rotation = inventory.rotations.get_mut(id).ok_or_else(|| gone(id))?;
            owner::take(rotation, &me, options.take_over)?;
            let named = rotation.keys.iter().any(|key| options.named.contains(key));
            refresh(rotation, options);
            if named {
                take_up(rotation);
            }
            Ok((named, (rotation.stage, rotation.leaving().state)))
        })?;
        let work = Self::held(context, options, id.clone(), me);
        Ok(Self { named, begun: Some(begun), ..work })
    }

    /// Returns the work on a rotation that this process has just begun.
    pub fn held(context: &'a Context, options: &'a Options, id: RotationId, me: Owner) -> Self {
        context.restart_clock();
        Self {
            context,
            options,
            id,
            me,
            named: true,
            judged: RefCell::new(BTreeMap::new()),
            given: Cell::new(false),
            stored: RefCell::default(),
            begun: None,
            heard: Cell::new(false),
            last: RefCell::new(None),
        }
    }

    /// Asks a person for what only they can know. A job that resumes everything
    /// asks nobody.
    pub fn testify(&self, question: &str) -> Answer {
        let answer = if self.options.all { Answer::Nobody } else { self.context.console.testify(question) };
        self.context.restart_clock();
        answer
    }

    /// Returns whether `--done` was said of the step that the rotation is at.
    pub fn said_done(&self, rotation: &Rotation) -> bool {
        self.options.done && self.begun == Some((rotation.stage, rotation.leaving().state)) && self.heard()
    }

    /// Returns whether a person said that no key was made.
    pub fn said_not_made(&self) -> bool {
        self.options.not_made && self.heard()
    }

    /// Returns whether a person said that nothing uses the old key.
    pub fn said_unused(&self) -> bool {
        self.options.unused && self.heard()
    }

    fn heard(&self) -> bool {
        self.heard.set(true);
        true
    }

    /// Makes sure, just before something is changed at a provider or a place,
    /// that the rotation is still ours and where it was.
    ///
    /// # Errors
    /// Exit 9 when somebody else took it over or moved it.
    pub fn still_ours(&self, stage: Stage) -> anyhow::Result<()> {
        self.ours(&self.context.inventory_file.load()?, stage).map(drop)
    }

    /// Notes what this run has stored.
    pub fn note_stored(&self, item: Item) {
        self.stored.borrow_mut().push(item);
    }

    /// Returns whether this run has brought anything into the store.
    pub fn has_stored(&self) -> bool {
        !self.stored.borrow().is_empty()
    }

    /// Deletes from the store what this run brought there, as far as the
    /// inventory refers to it nowhere but in `pending`, and the rotation is
    /// still ours. What another run stored is never touched.
    pub fn drop_stored(&self, stage: Stage) {
        if self.still_ours(stage).is_err() {
            return;
        }
        let Ok(inventory) = self.context.inventory_file.load() else { return };
        for item in self.stored.borrow_mut().drain(..) {
            let Some((_, record)) = inventory.keys.iter().find(|(_, it)| it.id == item.id) else { continue };
            if [record.current, record.previous].contains(&Some(item.version)) {
                continue;
            }
            if let Ok(store) = self.context.store_of(&inventory, record) {
                let _ = store.delete(&item);
            }
        }
    }

    /// Reads the rotation as it stands.
    ///
    /// # Errors
    /// Exit 8 when it is not there any more.
    pub fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let mut inventory = self.context.inventory_file.load()?;
        let rotation = inventory.rotations.get(&self.id).cloned().ok_or_else(|| gone(&self.id))?;
        for key in &rotation.keys {
            if let Some(record) = inventory.keys.get_mut(key) {
                preflight::place(record);
            }
        }
        Ok(Snapshot { inventory, rotation })
    }

    /// Changes the rotation, and whatever else of the inventory belongs to that
    /// step, in one write. Nothing happens unless the rotation is still ours
    /// and at `stage`: of two operators only one goes on.
    ///
    /// # Errors
    /// Exit 9 when somebody else took it over or moved it.
    pub fn save(
        &self,
        stage: Stage,
        change: impl FnOnce(&mut Inventory, &mut Rotation) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let now = self.context.now();
        self.context.update(|inventory| {
            let mut rotation = self.ours(inventory, stage)?;
            change(inventory, &mut rotation)?;
            rotation.trouble = None;
            if let Some(owner) = &mut rotation.owner {
                owner.at = now;
            }
            inventory.rotations.insert(self.id.clone(), rotation);
            Ok(())
        })
    }

    /// Takes the rotation out of the inventory, with what belongs to that step.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn remove(
        &self,
        stage: Stage,
        change: impl FnOnce(&mut Inventory, &Rotation) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let last = self.context.update(|inventory| {
            let rotation = self.ours(inventory, stage)?;
            change(inventory, &rotation)?;
            inventory.rotations.remove(&self.id);
            Ok(rotation)
        })?;
        let stage = if last.stage.is_undoing() { last.stage } else { Stage::Done };
        *self.last.borrow_mut() = Some(Rotation { stage, owner: None, trouble: None, ..last });
        Ok(())
    }

    fn ours(&self, inventory: &Inventory, stage: Stage) -> anyhow::Result<Rotation> {
        let rotation = inventory.rotations.get(&self.id).cloned().ok_or_else(|| gone(&self.id))?;
        let mine = rotation.owner.as_ref().is_some_and(|it| owner::same(it, &self.me));
        if !mine || rotation.stage != stage {
            let message = format!("somebody else went on with the rotation of `{}`", rotation.keys[0]);
            return Err(Situation::new(Exit::Refused, "rotation-busy", message)
                .hint(format!("`keyctl rotate {} --status`", rotation.keys[0]))
                .into());
        }
        Ok(rotation)
    }

    /// Goes on until something has to be waited for, or went wrong.
    ///
    /// # Errors
    /// Only when the inventory itself cannot be read any more.
    pub fn go(&self) -> anyhow::Result<Ended> {
        let result = self.steps();
        if self.options.stdin && !self.given.get() {
            self.context.console.warning("the key on stdin was not taken: none was wanted");
        }
        let says = self.options.done || self.options.not_made || self.options.unused;
        if says && !self.heard.get() && result.is_ok() {
            self.context.console.warning(
                "nobody waited for what you said (`--done`, `--not-made`, `--unused`); it was not recorded",
            );
        }
        if let Some(rotation) = self.last.borrow().clone() {
            let inventory = self.context.inventory_file.load()?;
            let exit = result.unwrap_or(Exit::Failed);
            return Ok(Ended { exit, rotation, inventory });
        }
        let (exit, trouble) = match result {
            Ok(exit) => (exit, None),
            Err(error) => {
                let (exit, code, message, hint) = exit::situation(&error);
                let situation = Situation { exit, code, message: message.clone(), hint };
                self.tell(&situation);
                (exit, Some(message))
            }
        };
        self.release(trouble.as_deref());
        let Snapshot { inventory, rotation } = self.snapshot()?;
        Ok(Ended { exit, rotation, inventory })
    }

    /// Lets the rotation go as it is.
    pub fn let_go(&self) {
        self.release(None);
    }

    fn release(&self, trouble: Option<&str>) {
        let release = self.context.update(|inventory| {
            if let Some(rotation) = inventory.rotations.get_mut(&self.id)
                && rotation.owner.as_ref().is_some_and(|it| owner::same(it, &self.me))
            {
                rotation.owner = None;
                if let Some(trouble) = trouble {
                    rotation.trouble = Some(crate::key::text::printable(trouble, 400));
                }
            }
            Ok(())
        });
        if let Err(error) = release {
            self.context.console.warning(format!("{error:#}"));
        }
    }

    /// Says what stopped the work on this rotation.
    pub fn tell(&self, situation: &Situation) {
        let console = &self.context.console;
        let name = self.snapshot().map(|it| format!("`{}`: ", it.key())).unwrap_or_default();
        console.warning(format!("{name}{}", situation.message));
        if let Some(hint) = &situation.hint {
            console.hint(hint);
        }
    }

    fn steps(&self) -> anyhow::Result<Exit> {
        loop {
            let snapshot = self.snapshot()?;
            let step = next(&snapshot.rotation, self.context.now(), snapshot.means());
            self.context.console.detail(format!(
                "{}: {} → {step:?}",
                snapshot.key(),
                snapshot.rotation.stage
            ));
            let flow = match step {
                Step::Create => create::step(self, &snapshot)?,
                Step::Test if self.options.stdin && !self.given.get() && snapshot.by_person() => {
                    pasted::another(self, &snapshot)?
                }
                Step::Test => test_key::step(self, &snapshot)?,
                Step::Switch => swap::switch(self, &snapshot)?,
                Step::Deploy => deploy::step(self, &snapshot)?,
                Step::BeginGrace => deploy::begin_grace(self, &snapshot)?,
                Step::CheckUse => used::step(self, &snapshot)?,
                Step::Disable => switch_off::step(self, &snapshot)?,
                Step::Retire => retire::retire(self, &snapshot)?,
                Step::Prove => retire::prove(self, &snapshot)?,
                Step::Finish => retire::finish(self, &snapshot)?,
                Step::Wait(Pause::People) => walk::step(self, &snapshot)?,
                Step::Wait(Pause::Campaign) => deploy::held_up(self, &snapshot),
                Step::Wait(Pause::Time(until)) => by_hand::wait(self, &snapshot, until),
            };
            if let Flow::Stop(exit) = flow {
                return Ok(exit);
            }
            if self.last.borrow().is_some() {
                return Ok(Exit::Done);
            }
        }
    }

    /// Returns what a secret is worth, asked once in this run.
    ///
    /// # Errors
    /// When the network cannot be set up.
    pub fn judge(&self, key: &KeyRef, record: &Record, secret: &Secret) -> anyhow::Result<Judgement> {
        if let Some(known) = self.judged.borrow().get(&secret.fingerprint()) {
            return Ok(known.clone());
        }
        let inventory = self.context.inventory()?;
        let judgement = logins::judge(self.context, inventory, (key, record), secret)?;
        self.judged.borrow_mut().insert(secret.fingerprint(), judgement.clone());
        Ok(judgement)
    }

    /// Forgets what was proven of a secret: it may be otherwise by now.
    pub fn forget(&self, secret: &Secret) {
        self.judged.borrow_mut().remove(&secret.fingerprint());
    }

    /// Returns one of the secrets of a rotation, if the store has it.
    ///
    /// # Errors
    /// Exit 7 when the store cannot be read.
    pub fn secret(&self, snapshot: &Snapshot, slot: Slot) -> anyhow::Result<Option<Secret>> {
        let record = snapshot.record()?;
        match self.context.secret(&snapshot.inventory, snapshot.key(), record, slot) {
            // What is not the rotation's is as good as lost, and never sent.
            Err(Unusable::Mismatch(mismatch)) => {
                self.context.hint_once(format!("{}; it is not used", mismatch.message()));
                Ok(None)
            }
            other => Ok(other.map_err(Situation::from)?),
        }
    }

    /// Returns the key that manages this rotation.
    ///
    /// # Errors
    /// Exit 7 or 8 when its secret cannot be had.
    pub fn manager(&self, snapshot: &Snapshot) -> anyhow::Result<Option<Keyed>> {
        let using = match &self.options.using {
            Some(named) => Some(self.context.complete(named)?),
            None => snapshot.rotation.using.clone(),
        };
        using.map(|it| Keyed::read(self.context, &snapshot.inventory, &it)).transpose()
    }
}

/// Returns the record as it is of one side's key. A login that is the account's
/// is the same for both, and what is recorded may have been put right meanwhile.
pub fn as_side(key: &KeyRef, record: &Record, side: &Side) -> Record {
    let mut record = record.clone();
    let own = side.login.clone();
    record.login = match logins::are_the_accounts(key.provider, record.kind) {
        true => record.login.or(own),
        false => own.or(record.login),
    };
    record.remote_id.clone_from(&side.remote_id);
    record
}

fn gone(id: &RotationId) -> Situation {
    Situation::missing("no-such-rotation", format!("there is no rotation {id} any more"))
        .hint("`keyctl rotate --status` shows what is under way")
}

/// Takes up what a person has to look at, since they named the key: the canary
/// question is asked again, and a damaged location may be written again.
fn take_up(rotation: &mut Rotation) {
    if rotation.canary == Some(Canary::Open) {
        rotation.canary = None;
    }
    for delivery in rotation.consumers.iter_mut().filter(|it| it.state == Progress::Damaged) {
        delivery.state = Progress::Todo;
    }
}

/// What is said when a rotation is taken up again counts from then on.
fn refresh(rotation: &mut Rotation, options: &Options) {
    rotation.compromised |= options.compromised;
    rotation.kill_now |= options.kill_now;
    let grace = options.grace.map(|it| it.seconds).or(options.compromised.then_some(0));
    if let Some(seconds) = grace {
        rotation.grace_seconds = seconds;
        if rotation.stage == Stage::Grace {
            rotation.grace_until =
                rotation.delivered_at().map(|at| crate::clock::Span::seconds(seconds).after(at));
        }
    }
}
