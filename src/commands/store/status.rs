//! `keyctl store status`: every store in plain words. Asks nobody for anything
//! but what the store in use needs.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::output::{Cell, Page, Report, Tone};
use crate::store;
use crate::store::DEFAULT;
use crate::store::{Row, Store, StoreError};

/// Shows the stores.
///
/// # Errors
/// Exit 7 when the store in use cannot be used, after the report; exit 2 when
/// there is no such store.
pub fn run(context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let (name, chosen_by) = match (&context.options.store, &inventory.store) {
        (Some(name), _) => (name.as_str(), "call"),
        (None, Some(name)) => (name.as_str(), "inventory"),
        (None, None) => (DEFAULT, "default"),
    };
    let in_use = context.store(name)?;
    let mut quiet = context.surroundings();
    quiet.interactive = false;
    quiet.ask = None;
    quiet.notice = None;
    let mut stores = Vec::new();
    for row in store::TABLE {
        let used = row.name == in_use.name();
        let store = if used { Arc::clone(&in_use) } else { Arc::from((row.open)(&quiet)) };
        let keys = inventory
            .keys
            .values()
            .filter(|record| context.store_name_of(inventory, record) == row.name)
            .count();
        stores.push(line(row, &*store, used, keys));
    }
    let exit =
        if stores.iter().any(|it| it.in_use && it.message.is_some()) { Exit::Store } else { Exit::Done };
    context.console.report(&StatusReport { store: in_use.name(), chosen_by, stores })?;
    Ok(exit)
}

fn line(row: &Row, store: &dyn Store, in_use: bool, keys: usize) -> Line {
    // Only the store in use is written to, and only a probe that is taken away.
    let checked = if in_use && row.writable { store.check_writable() } else { store.check_readable() };
    let description = store.describe();
    let state = match &checked {
        Ok(()) if row.writable => "ready",
        Ok(()) => "read-only",
        Err(error) => error.problem.as_str(),
    };
    let (message, hint) = match checked {
        Ok(()) => (None, None),
        Err(StoreError { message, remedy, .. }) => (Some(message), remedy),
    };
    Line {
        name: row.name,
        in_use,
        state,
        keys,
        location: description.location,
        protects: description.protects,
        does_not_protect: description.does_not_protect,
        message,
        hint,
    }
}

/// One store, its fields in the order of the schema.
#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    in_use: bool,
    /// `ready`, `read-only`, or the word of the problem (`store-locked`, …).
    state: &'static str,
    /// How many records have their secrets here.
    keys: usize,
    location: String,
    protects: &'static str,
    does_not_protect: &'static str,
    message: Option<String>,
    hint: Option<String>,
}

struct StatusReport {
    store: &'static str,
    /// `call` (flag or `KEYCTL_STORE`), `inventory` or `default`.
    chosen_by: &'static str,
    stores: Vec<Line>,
}

impl Report for StatusReport {
    fn command(&self) -> &'static str {
        "store"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "store": self.store, "chosen_by": self.chosen_by, "stores": self.stores })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("stores")
    }

    fn human(&self, page: &mut Page) {
        let why = match self.chosen_by {
            "call" => "chosen by --store or KEYCTL_STORE",
            "inventory" => "chosen in the inventory",
            _ => "the default; change it with `keyctl store set NAME`",
        };
        page.paragraph(Tone::Plain, 0, &format!("Secrets are kept in: {} ({why})", self.store));
        for store in &self.stores {
            page.blank();
            let keys = match store.keys {
                0 => String::new(),
                1 => "1 key".to_owned(),
                many => format!("{many} keys"),
            };
            let tone = match (&store.message, store.in_use) {
                (None, _) => Tone::Good,
                (Some(_), true) => Tone::Bad,
                (Some(_), false) => Tone::Dim,
            };
            page.pieces(&[(Tone::Strong, store.name), (Tone::Plain, "  "), (tone, store.state)]);
            page.fields(&[
                ("where", store.location.as_str().into()),
                ("holds", keys.into()),
                ("protects", store.protects.into()),
                ("but not", store.does_not_protect.into()),
                ("problem", store.message.clone().map_or_else(Cell::default, |it| Cell::toned(it, tone))),
                ("do", store.hint.clone().unwrap_or_default().into()),
            ]);
        }
    }
}
