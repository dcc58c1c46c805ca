//! `create --not-made`: a person says that a call whose outcome is not known
//! made no key. The announcement goes by that word; nothing is sent.

use crate::context::{Context, Slot};
use crate::exit::Situation;
use crate::key::KeyRef;
use crate::workflow::create_announcement;

/// Takes the announcement of a key back.
///
/// # Errors
/// Exit 8 for no such key, exit 9 when none is announced or its secret is in
/// the store, exit 7 when the store cannot tell.
pub fn run(context: &Context, key: &KeyRef) -> anyhow::Result<()> {
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
    create_announcement::withdraw(context, key, record)?;
    Ok(())
}
