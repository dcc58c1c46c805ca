//! How an explanation reads: one line a check, what is wrong below it.

use serde_json::Value;

use crate::output::{Page, Report, Tone};
use crate::workflow::checklist;
use crate::workflow::domains::explain::explanation::Explanation;

impl Report for Explanation {
    fn command(&self) -> &'static str {
        "domains"
    }

    fn data(&self) -> Value {
        serde_json::json!({
            "domain": self.domain,
            "selectable": self.selectable,
            "checks": self.checks,
            "key": self.key,
        })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("checks")
    }

    fn human(&self, page: &mut Page) {
        let (tone, verdict) = match self.selectable {
            Some(true) => (Tone::Good, "can be chosen"),
            Some(false) => (Tone::Bad, "cannot be chosen"),
            None => (Tone::Warn, "may or may not be chosen: not everything could be told"),
        };
        let with = self.key.as_ref().map(|key| format!(" (asked with {key})")).unwrap_or_default();
        page.pieces(&[
            (Tone::Strong, self.domain.as_str()),
            (Tone::Plain, " "),
            (tone, verdict),
            (Tone::Dim, &with),
        ]);
        page.blank();
        page.sheet(&checklist::sheet(&self.checks));
    }
}
