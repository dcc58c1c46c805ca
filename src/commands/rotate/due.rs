//! `--due`: the keys that policy says are due, listed or begun.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::commands::CommandContext;
use crate::commands::rotate::report::Rotations;
use crate::exit::Exit;
use crate::inventory::select::Selected;
use crate::key::KeyRef;
use crate::output::{Page, Report, Table};
use crate::workflow::rotation::due::{Due, due_keys};
use crate::workflow::rotation::options::Options;
use crate::workflow::rotation::start;

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
    let found = due_keys(context, what)?;
    if found.unknown_age > 0 {
        context.operator.note(format!(
            "note: the age of {} keys is not known, so policy cannot tell; record it: `keyctl set KEYREF --created DATE`",
            found.unknown_age
        ));
    }
    if begin && !found.due.is_empty() {
        let keys: BTreeSet<KeyRef> = found.due.into_iter().map(|it| it.key).collect();
        let outcome = start::start_keys(context, &keys, options)?;
        context.console.report(&Rotations::of(context, &outcome.ended))?;
        return Ok(outcome.exit());
    }
    let exit = if found.due.is_empty() { Exit::Done } else { Exit::Rejected };
    if exit != Exit::Done {
        context.operator.hint("`keyctl rotate --due --start` plans and begins them");
    }
    context.console.report(&DueReport { due: found.due })?;
    Ok(exit)
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
