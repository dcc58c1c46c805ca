//! `keyctl rename`: another name or scope for a key. The store is not touched:
//! its items are named by the record's id, which stays.

use serde_json::Value;

use crate::cli::completions;
use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{KeyRef, KeyRefArg};
use crate::output::{Page, Report, Tone};

/// Arguments of `rename`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl rename brevo@acme brevo:webshop@acme
  keyctl rename mailgun@acme mailgun@acme/berlin")]
pub struct Args {
    /// The key
    #[arg(value_name = "KEYREF", add = completions::keys())]
    from: KeyRefArg,
    /// Its new name
    #[arg(value_name = "NEW", add = completions::keys())]
    to: KeyRefArg,
}

/// Renames a key in one rewrite of the inventory.
///
/// # Errors
/// Exit 8 for no such key, exit 9 when the new name is taken, exit 2 for
/// another provider or the same name.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let from = context.complete(&args.from)?;
    let to = context.complete(&args.to)?;
    if from.provider != to.provider {
        return Err(Situation::usage(format!("`{from}` is a key of {} and stays one", from.provider)).into());
    }
    if from == to {
        return Err(Situation::usage(format!("`{from}` has that name already")).into());
    }
    let inventory = context.inventory()?;
    let row = context.store_row_of(inventory, inventory.record(&from)?);
    context.update(|inventory| {
        rename(inventory, &from, &to)?;
        Ok(())
    })?;
    let name = |key: &KeyRef| row.and_then(|it| it.set_by_person(key));
    if let (Some(old), Some(new)) = (name(&from), name(&to)) {
        context.console.warning(format!("its variable is `{new}` from now on, no longer `{old}`"));
    }
    context.console.report(&RenameReport { from, to })?;
    Ok(Exit::Done)
}

fn rename(inventory: &mut Inventory, from: &KeyRef, to: &KeyRef) -> Result<(), Situation> {
    inventory.record(from)?;
    if inventory.keys.contains_key(to) {
        return Err(Situation::refused("key-exists", format!("there is a key `{to}` already"))
            .hint("take another label, or remove that key first"));
    }
    if let Some(rotation) = inventory.rotation_of(from)
        && let Some(owner) = &rotation.owner
    {
        let who = format!("{} on {}", owner.user, owner.host);
        return Err(Situation::refused("rotation-running", format!("`{from}` is being rotated by {who}"))
            .hint(format!("wait until that is done, or see `keyctl rotate {from} --status`")));
    }
    let Some(record) = inventory.keys.remove(from) else { return Err(inventory.no_such_key(from)) };
    inventory.keys.insert(to.clone(), record);
    inventory.place_mut(&to.scope);
    let swap = |key: &mut KeyRef| {
        if key == from {
            *key = to.clone();
        }
    };
    for rotation in inventory.rotations.values_mut() {
        rotation.keys.iter_mut().for_each(swap);
        rotation.keys.sort();
        rotation.using.iter_mut().for_each(swap);
        rotation.consumers.iter_mut().for_each(|it| swap(&mut it.key));
    }
    let calls = inventory.keys.values_mut().filter_map(|it| it.create_call.as_mut());
    calls.filter_map(|it| it.using.as_mut()).for_each(swap);
    inventory.waivers.iter_mut().filter_map(|it| it.key.as_mut()).for_each(swap);
    Ok(())
}

struct RenameReport {
    from: KeyRef,
    to: KeyRef,
}

impl Report for RenameReport {
    fn command(&self) -> &'static str {
        "rename"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "from": self.from, "key": self.to })
    }

    fn human(&self, page: &mut Page) {
        page.line(Tone::Strong, format!("{} is {} now", self.from, self.to));
    }
}
