//! How `disable` and `enable` tell what came of it.

use serde_json::Value;

use crate::output::{Page, Report, Tone};
use crate::workflow::key_switch::Switched;

impl Report for Switched {
    fn command(&self) -> &'static str {
        self.command
    }

    fn data(&self) -> Value {
        serde_json::json!({
            "key": self.key,
            "state": self.state,
            "how": self.how,
            "verdict": self.verdict,
            "reason": self.reason,
        })
    }

    fn human(&self, page: &mut Page) {
        page.pieces(&[
            (Tone::Strong, self.key.as_str()),
            (Tone::Plain, "  "),
            (Tone::Plain, self.state.as_str()),
        ]);
        page.fields(&[
            ("  verdict", self.verdict.map(|it| it.as_str()).unwrap_or_default().into()),
            ("  reason", self.reason.map(|it| it.as_str()).unwrap_or_default().into()),
        ]);
    }
}
