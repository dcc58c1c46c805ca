//! `create --not-made`: a person says that a call whose outcome is not known
//! made no key. The announcement goes by that word; nothing is sent.

use serde_json::Value;

use crate::commands::announcement;
use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::key::KeyRef;
use crate::output::{Page, Report, Tone};

/// Takes the announcement of a key back.
///
/// # Errors
/// Exit 8 for no such key, exit 9 when none is announced or its secret is in
/// the store, exit 7 when the store cannot tell.
pub fn run(context: &Context, key: &KeyRef) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let record = inventory.record(key)?;
    if !record.is_unsettled() {
        return Err(Situation::refused(
            "nothing-announced",
            format!("no key is announced for `{key}` of which it is not known whether it was made"),
        )
        .hint(format!("`keyctl show {key}` tells what is recorded"))
        .into());
    }
    // The store is a better witness than anybody's memory.
    if context.secret(inventory, key, record, Slot::Pending).map_err(Situation::from)?.is_some() {
        return Err(Situation::refused(
            "was-made",
            format!("the key of `{key}` was made: its secret is stored"),
        )
        .hint(format!("`keyctl create {key}` takes it up"))
        .into());
    }
    announcement::withdraw(context, key, record)?;
    context.console.report(&WithdrawnReport { key: key.clone() })?;
    Ok(Exit::Done)
}

struct WithdrawnReport {
    key: KeyRef,
}

impl Report for WithdrawnReport {
    fn command(&self) -> &'static str {
        "create"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "key": self.key, "withdrawn": true })
    }

    fn human(&self, page: &mut Page) {
        page.line(
            Tone::Plain,
            format!("`{}` is no longer announced: by your word no key was made", self.key),
        );
    }
}
