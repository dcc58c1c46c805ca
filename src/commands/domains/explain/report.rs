//! What an explanation looks like.

use serde_json::Value;

use super::check::{Check, Outcome};
use crate::key::Domain;
use crate::key::text::printable;
use crate::output::{Cell, Page, Report, Table, Tone};

/// As much of a value is shown in the table; JSON has it whole.
const FOUND_LIMIT: usize = 60;

/// The whole explanation.
pub struct ExplainReport {
    pub domain: Domain,
    /// `None`: it could not be told.
    pub selectable: Option<bool>,
    pub checks: Vec<Check>,
}

impl Report for ExplainReport {
    fn command(&self) -> &'static str {
        "domains"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "domain": self.domain, "selectable": self.selectable, "checks": self.checks })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("checks")
    }

    fn human(&self, page: &mut Page) {
        let (tone, words) = match self.selectable {
            Some(true) => (Tone::Good, "can be chosen"),
            Some(false) => (Tone::Bad, "cannot be chosen"),
            None => (Tone::Warn, "could not be told"),
        };
        page.pieces(&[(Tone::Strong, self.domain.as_str()), (Tone::Plain, "  "), (tone, words)]);
        let mut table = Table::new(&["check", "result", "found"]);
        for check in &self.checks {
            let (word, tone) = match check.result {
                Outcome::Pass => ("pass", Tone::Good),
                Outcome::Fail => ("fail", Tone::Bad),
                Outcome::NotCheckable => ("not checkable", Tone::Warn),
            };
            table.row([
                check.id.as_str().into(),
                Cell::toned(word, tone),
                printable(check.found.as_deref().unwrap_or_default(), FOUND_LIMIT).into(),
            ]);
        }
        page.table(&table);
        let fixes: Vec<_> = self.checks.iter().filter_map(|it| Some((&it.id, it.fix.as_ref()?))).collect();
        if !fixes.is_empty() {
            page.blank();
            page.line(Tone::Strong, "What to do");
            for (id, fix) in fixes {
                page.paragraph(Tone::Plain, 2, &format!("{id}: {fix}"));
            }
        }
    }
}
