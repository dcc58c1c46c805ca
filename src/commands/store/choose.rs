//! `keyctl store set`: where this inventory keeps new secrets. Secrets that are
//! kept already stay where they are, and their records say so from then on.

use serde_json::Value;

use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::output::{Page, Report, Tone};
use crate::store::DEFAULT;

/// Arguments of `store set`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The store: keyring, file, env
    #[arg(value_name = "NAME")]
    name: String,
}

/// Chooses the inventory's store, after proving that it can be used.
///
/// # Errors
/// Exit 2 for an unknown store, exit 7 for one that cannot be used.
pub fn run(args: &Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let store = context.store(&args.name)?;
    let checked = if store.row().writable { store.check_writable() } else { store.check_readable() };
    checked.map_err(Situation::from)?;
    let report = context.update(|inventory| Ok(choose(inventory, store.name())))?;
    if report.keys_elsewhere > 0 {
        let from = report.previous.as_deref().unwrap_or(DEFAULT);
        context.console.hint(format!(
            "secrets kept before stay where they are; move them with `keyctl store copy {from} {} --switch`",
            report.store
        ));
    }
    context.console.report(&report)?;
    Ok(Exit::Done)
}

/// Makes `name` the inventory's store and ties the records that had no store of
/// their own to the one that holds their secrets.
pub fn choose(inventory: &mut Inventory, name: &'static str) -> SetReport {
    let previous = inventory.store.replace(name.to_owned());
    let before = previous.clone().unwrap_or_else(|| DEFAULT.to_owned());
    for record in inventory.keys.values_mut() {
        match record.store.as_deref() {
            None if before != name && record.highest > 0 => record.store = Some(before.clone()),
            Some(own) if own == name => record.store = None,
            _ => {}
        }
    }
    let keys_elsewhere = inventory.keys.values().filter(|record| record.store.is_some()).count();
    SetReport { store: name, previous, keys_elsewhere }
}

/// What `store set` did.
pub struct SetReport {
    store: &'static str,
    previous: Option<String>,
    keys_elsewhere: usize,
}

impl Report for SetReport {
    fn command(&self) -> &'static str {
        "store"
    }

    fn data(&self) -> Value {
        serde_json::json!({
            "store": self.store,
            "previous": self.previous,
            "keys_elsewhere": self.keys_elsewhere,
        })
    }

    fn human(&self, page: &mut Page) {
        page.line(Tone::Plain, format!("New secrets are kept in: {}", self.store));
    }
}
