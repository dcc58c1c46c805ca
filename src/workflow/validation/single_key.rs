//! One recorded key, tried with its provider: for callers that need no report
//! over an inventory.

use crate::context::{Context, Slot};
use crate::key::{Judgement, KeyRef};
use crate::workflow::smtp_login;

/// Tries the current secret of a recorded key.
///
/// # Errors
/// Exit 8 without such a key or secret, exit 7 when the store cannot be read,
/// exit 4 when what is stored is not the record's secret.
pub fn judge_key(context: &Context, key: &KeyRef) -> anyhow::Result<Judgement> {
    let inventory = context.inventory_file.load()?;
    let record = inventory.record(key)?;
    let secret = context.need_secret(&inventory, key, record, Slot::Current)?;
    smtp_login::judge(context, &inventory, (key, record), &secret)
}
