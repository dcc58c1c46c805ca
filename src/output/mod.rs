//! How results reach the reader: a [`Report`] is data first; `json` and
//! `plain` follow from the data alone, the table is what a person reads.
//! Knows no domain type; only `console` prints or prompts.

pub mod checks;
pub mod console;
pub mod formats;
mod github;
mod hidden;
pub mod json;
mod junit;
pub mod markdown;
mod openmetrics;
mod sarif;
pub mod table;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use checks::{Check, Checks, Family, Level, Outcome, Rule, Sample};
pub use console::{Answer, Console, Progress, Want};
pub use table::{Cell, Page, Table, Tone};

use crate::exit::Situation;

/// The three forms of a result on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Table,
    Json,
    Plain,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Table, Self::Json, Self::Plain];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Plain => "plain",
        }
    }
}
crate::key::kind::fixed_words!(Format, "format");

/// The result of a command.
pub trait Report {
    /// Returns the command's word, `command` in JSON.
    fn command(&self) -> &'static str;

    /// Returns the `data` of JSON, its fields in the contract's order.
    fn data(&self) -> Value;

    /// Returns `data` as JSON text. What is long writes it without the detour
    /// over a tree of values.
    fn json(&self) -> String {
        self.data().to_string()
    }

    /// Returns which list of `data` makes the lines of `plain`; `None`: `data`
    /// itself is the one line.
    fn rows(&self) -> Option<&'static str> {
        None
    }

    /// Writes what a person reads.
    fn human(&self, page: &mut Page);
}

/// Returns a failure as one JSON document.
pub fn failure_json(command: Option<&str>, situation: &Situation) -> String {
    json::document(
        command,
        "error",
        serde_json::json!({
            "code": situation.code,
            "message": situation.message,
            "hint": situation.hint,
        }),
    )
}
