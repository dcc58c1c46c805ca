//! `--due`: what policy says should be rotated: older than `rotate_every` of
//! its location or agency, or about to expire.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::clock::{Span, rfc3339, spoken};
use crate::commands::CommandContext;
use crate::commands::rotate::start;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::inventory::select::{Filter, Reach, Selected};
use crate::key::{KeyRef, Record};
use crate::output::{Page, Report, Table};
use crate::workflow::rotation::options::Options;

/// A key that expires within this time is due.
const SOON: Span = Span::seconds(14 * 86_400);

/// One key that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Due {
    key: KeyRef,
    /// `age` or `expires`
    reason: &'static str,
    since: String,
    detail: String,
}

/// Lists what is due, or begins to rotate it.
///
/// # Errors
/// As `rotate` itself.
pub fn run(
    context: &CommandContext,
    what: &[Selected],
    begin: bool,
    options: &Options,
) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    if what.is_empty() && inventory.keys.is_empty() {
        context.console.report(&DueReport { due: Vec::new() })?;
        return Ok(Exit::Done);
    }
    let keys = inventory.select(what, Reach::Below, Filter::default())?.keys;
    let mut due = Vec::new();
    let mut unknown = 0;
    for key in keys {
        let record = inventory.record(key)?;
        if inventory.rotation_of(key).is_some() {
            continue;
        }
        match judge(inventory, key, record, context.now()) {
            Some(found) => due.push(found),
            None if record.created.is_none() && inventory.rotation_policy(&key.scope).is_some() => {
                unknown += 1
            }
            None => {}
        }
    }
    if unknown > 0 {
        context.console.note(format!(
            "note: the age of {unknown} keys is not known, so policy cannot tell; record it: `keyctl set KEYREF --created DATE`"
        ));
    }
    if begin && !due.is_empty() {
        let keys: BTreeSet<KeyRef> = due.into_iter().map(|it| it.key).collect();
        return start::start_keys(context, &keys, options);
    }
    let exit = if due.is_empty() { Exit::Done } else { Exit::Rejected };
    if exit != Exit::Done {
        context.console.hint("`keyctl rotate --due --start` plans and begins them");
    }
    context.console.report(&DueReport { due })?;
    Ok(exit)
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

struct DueReport {
    due: Vec<Due>,
}

impl Report for DueReport {
    fn command(&self) -> &'static str {
        "rotate"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "rotations": [], "due": self.due })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("due")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["key", "why", "since"]);
        for line in &self.due {
            table.row([line.key.as_str().into(), line.detail.clone().into(), line.since.clone().into()]);
        }
        page.table(&table);
    }
}
