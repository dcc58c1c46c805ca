//! `keyctl store copy`: every secret of one store into another. Copy first, then
//! one rewrite of the inventory, then delete: interrupted anywhere, it can be
//! run again and loses nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::commands::CommandContext;
use crate::context::{Slot, Stored, Wanted};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{KeyRef, Record, Secret};
use crate::operator::{Consent, ConsentQuestion};
use crate::output::{Page, Report, Table, Tone};
use crate::store::{DEFAULT, Item, Row, Store};

/// Arguments of `store copy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The store that holds the secrets
    #[arg(value_name = "FROM")]
    from: String,
    /// The store that shall hold them too
    #[arg(value_name = "TO")]
    to: String,
    /// Use the copies from then on
    #[arg(long)]
    switch: bool,
    /// Delete what was copied from the first store
    #[arg(long, requires = "switch")]
    delete_source: bool,
}

/// Copies, switches, deletes.
///
/// # Errors
/// Exit 7 when a store fails (nothing is switched or deleted then), exit 9
/// without consent to delete.
pub fn run(args: &Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let (from, to) = (context.store(&args.from)?, context.store(&args.to)?);
    if from.name() == to.name() {
        return Err(Situation::usage(format!("both stores are `{}`", to.name())).into());
    }
    if args.delete_source && !from.row().writable {
        return Err(
            Situation::usage(format!("nothing can be deleted from the `{}` store", from.name())).into()
        );
    }
    let inventory = context.inventory()?;
    from.check_readable().map_err(Situation::from)?;
    to.check_writable().map_err(Situation::from)?;
    if args.delete_source {
        consent(context, from.name(), to.name())?;
    }
    let mut lines = copy(context, inventory, &*from, &*to)?;
    if args.switch {
        context.update(|inventory| {
            switch(inventory, from.name(), to.name(), &mut lines);
            Ok(())
        })?;
    }
    if args.delete_source {
        let inventory = context.inventory_file.load()?;
        delete(&inventory, &*from, &*to, &mut lines)?;
    }
    let missing = lines.values().any(|line| line.state == State::Missing);
    let told = |line: &Line| line.state != State::ThereBefore || !line.deleted.is_empty();
    let keys = lines.into_iter().filter(|(_, line)| told(line)).collect();
    context.console.report(&CopyReport { from: from.name(), to: to.name(), switched: args.switch, keys })?;
    Ok(if missing { Exit::Missing } else { Exit::Done })
}

fn consent(context: &CommandContext, from: &str, to: &str) -> anyhow::Result<()> {
    let question = ConsentQuestion::MoveSecrets { from: from.to_owned(), to: to.to_owned() };
    match context.operator.consent(&question) {
        Consent::Given => Ok(()),
        Consent::Refused | Consent::NoOne => {
            Err(Situation::refused("not-confirmed", format!("nothing was copied or deleted from `{from}`"))
                .hint("agree with --yes")
                .into())
        }
    }
}

/// What became of one record's secrets.
#[derive(Debug, Clone)]
struct Line {
    versions: Vec<u32>,
    state: State,
    deleted: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Copied,
    Switched,
    /// The record refers to a secret that the first store does not hold.
    Missing,
    /// A version came or went meanwhile; run it again.
    Changed,
    /// It used the second store before; only leftovers are looked for.
    ThereBefore,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Switched => "switched",
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::ThereBefore => "there-before",
        }
    }
}

fn store_of<'a>(inventory: &'a Inventory, record: &'a Record) -> &'a str {
    // `--store` of this call does not move a record.
    record.store.as_deref().or(inventory.store.as_deref()).unwrap_or(DEFAULT)
}

/// Returns the versions that the record refers to.
fn needed(record: &Record) -> Vec<u32> {
    let mut versions: Vec<u32> =
        [record.current, record.pending, record.previous].into_iter().flatten().collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

fn item(key: &KeyRef, record: &Record, version: u32) -> Item {
    Item { id: record.id.clone(), version, key: key.clone() }
}

fn copy(
    context: &CommandContext,
    inventory: &Inventory,
    from: &dyn Store,
    to: &dyn Store,
) -> anyhow::Result<BTreeMap<KeyRef, Line>> {
    let of = |name: &'static str| {
        inventory.keys.iter().filter(move |(_, record)| store_of(inventory, record) == name)
    };
    let progress = context.operator.progress(of(from.name()).count(), "copying");
    let mut lines = BTreeMap::new();
    for (key, record) in of(from.name()) {
        let mut line = Line { versions: Vec::new(), state: State::Copied, deleted: Vec::new() };
        let needed = needed(record);
        // A version that was announced, but whose adoption was interrupted.
        let announced = (record.highest > 0 && !needed.contains(&record.highest)).then_some(record.highest);
        for version in needed.iter().copied().chain(announced) {
            let item = item(key, record, version);
            let text = from.get(&item).map_err(Situation::from)?;
            let wanted = Wanted { inventory, key, record, slot: slot_of(record, version) };
            match text.and_then(|text| own(context, wanted, from.row(), text)) {
                Some(secret) => {
                    to.put(&item, &secret).map_err(Situation::from)?;
                    line.versions.push(version);
                }
                None if needed.contains(&version) => line.state = State::Missing,
                None => {}
            }
        }
        lines.insert(key.clone(), line);
        progress.step();
    }
    for (key, record) in of(to.name()) {
        let line = Line { versions: needed(record), state: State::ThereBefore, deleted: Vec::new() };
        lines.insert(key.clone(), line);
    }
    Ok(lines)
}

/// Returns the slot of a version; one that was only announced will be pending.
fn slot_of(record: &Record, version: u32) -> Slot {
    let slot = Slot::ALL.into_iter().find(|slot| slot.version(record) == Some(version));
    slot.unwrap_or(Slot::Pending)
}

/// Returns a text if it is the record's secret: no other is kept under its name.
fn own(context: &CommandContext, wanted: Wanted<'_>, store: &'static Row, text: Secret) -> Option<Secret> {
    match wanted.compare(store, text) {
        Stored::Fits(secret) => Some(secret),
        Stored::OtherVersion(..) | Stored::Absent => None,
        Stored::Mismatch(mismatch) => {
            context.console.warning(format!("{}; it was not copied", mismatch.message()));
            None
        }
    }
}

/// Makes the records whose secrets were all copied refer to the second store,
/// and that one the inventory's if the first was.
fn switch(inventory: &mut Inventory, from: &str, to: &str, lines: &mut BTreeMap<KeyRef, Line>) {
    let default = inventory.store.clone().unwrap_or_else(|| DEFAULT.to_owned());
    let next = if default == from { to.to_owned() } else { default.clone() };
    for (key, record) in inventory.keys.iter_mut() {
        let mut holds = record.store.clone().unwrap_or_else(|| default.clone());
        if let Some(line) = lines.get_mut(key)
            && line.state == State::Copied
        {
            let whole = holds == from && needed(record).iter().all(|it| line.versions.contains(it));
            line.state = if whole { State::Switched } else { State::Changed };
            if whole {
                to.clone_into(&mut holds);
            }
        }
        record.store = (holds != next).then_some(holds);
    }
    if inventory.store.is_some() || next != DEFAULT {
        inventory.store = Some(next);
    }
}

/// Deletes from the first store what the second one gives back the same, also
/// what an interrupted run left.
fn delete(
    inventory: &Inventory,
    from: &dyn Store,
    to: &dyn Store,
    lines: &mut BTreeMap<KeyRef, Line>,
) -> anyhow::Result<()> {
    for (key, line) in lines.iter_mut() {
        let Some(record) = inventory.keys.get(key) else { continue };
        if !matches!(line.state, State::Switched | State::ThereBefore)
            || store_of(inventory, record) != to.name()
        {
            continue;
        }
        for version in line.versions.clone() {
            let item = item(key, record, version);
            let Some(left) = from.get(&item).map_err(Situation::from)? else { continue };
            let kept = to.get(&item).map_err(Situation::from)?;
            if kept.is_some_and(|kept| kept.fingerprint() == left.fingerprint())
                && from.delete(&item).map_err(Situation::from)?
            {
                line.deleted.push(version);
            }
        }
    }
    Ok(())
}

struct CopyReport {
    from: &'static str,
    to: &'static str,
    switched: bool,
    keys: Vec<(KeyRef, Line)>,
}

impl Report for CopyReport {
    fn command(&self) -> &'static str {
        "store"
    }

    fn data(&self) -> Value {
        let key = |(key, line): &(KeyRef, Line)| {
            serde_json::json!({
                "key": key,
                "state": line.state.as_str(),
                "versions": line.versions,
                "deleted": line.deleted,
            })
        };
        serde_json::json!({
            "from": self.from,
            "to": self.to,
            "switched": self.switched,
            "keys": self.keys.iter().map(key).collect::<Vec<_>>(),
        })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("keys")
    }

    fn human(&self, page: &mut Page) {
        let count = |state: State| self.keys.iter().filter(|(_, line)| line.state == state).count();
        let copied = count(State::Copied) + count(State::Switched);
        page.line(Tone::Plain, format!("Copied from {} to {}: {copied} keys", self.from, self.to));
        let mut table = Table::new(&["key", "state", "versions", "deleted"]);
        for (key, line) in &self.keys {
            let list = |versions: &[u32]| versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            table.row([
                key.as_str().into(),
                line.state.as_str().into(),
                list(&line.versions).into(),
                list(&line.deleted).into(),
            ]);
        }
        page.table(&table);
        if !self.switched {
            page.line(
                Tone::Dim,
                format!("Still in use: {}. `keyctl store copy … --switch` uses the copies", self.from),
            );
        }
    }
}
