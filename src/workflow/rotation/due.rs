//! `--due`: what policy says should be rotated: older than `rotate_every` of
//! its location or agency, or about to expire.

use serde::Serialize;

use crate::clock::{Span, rfc3339, spoken};
use crate::context::Context;
use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Reach, Selected};
use crate::key::{KeyRef, Record};

/// A key that expires within this time is due.
const SOON: Span = Span::seconds(14 * 86_400);

/// One key that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    pub key: KeyRef,
    /// `age` or `expires`
    pub reason: &'static str,
    pub since: String,
    pub detail: String,
}

/// What is due of the selected keys.
#[derive(Debug, Default)]
pub struct DueKeys {
    pub due: Vec<Due>,
    /// Keys under a policy whose age is not known.
    pub unknown_age: usize,
}

/// Finds what is due.
///
/// # Errors
/// Exit 8 when nothing is selected.
pub fn due_keys(context: &Context, what: &[Selected]) -> anyhow::Result<DueKeys> {
    let inventory = context.inventory()?;
    let mut found = DueKeys::default();
    if what.is_empty() && inventory.keys.is_empty() {
        return Ok(found);
    }
    for key in inventory.select(what, Reach::Below, Filter::default())?.keys {
        let record = inventory.record(key)?;
        if inventory.rotation_of(key).is_some() {
            continue;
        }
        match judge(inventory, key, record, context.now()) {
            Some(due) => found.due.push(due),
            None if record.created.is_none() && inventory.rotation_policy(&key.scope).is_some() => {
                found.unknown_age += 1;
            }
            None => {}
        }
    }
    Ok(found)
}

fn judge(inventory: &Inventory, key: &KeyRef, record: &Record, now: jiff::Timestamp) -> Option<Due> {
    let found = |reason, since: jiff::Timestamp, detail| Due {
        key: key.clone(),
        reason,
        since: rfc3339(since),
        detail,
    };
    if let Some(end) = record.expires.at()
        && end <= SOON.after(now)
    {
        let left = end.as_second() - now.as_second();
        let detail = if left > 0 { format!("expires in {}", spoken(left)) } else { "has expired".to_owned() };
        let since = jiff::Timestamp::from_second(end.as_second() - SOON.seconds).unwrap_or(end);
        return Some(found("expires", since, detail));
    }
    let (every, _) = inventory.rotation_policy(&key.scope)?;
    let since = every.after(record.created?);
    (since <= now).then(|| {
        let age = spoken(now.as_second() - record.created.map_or(0, |it| it.as_second()));
        found("age", since, format!("{age} old; policy: every {}", spoken(every.seconds)))
    })
}
