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
mod operator;
mod sarif;
pub mod table;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use serde_json::Value;

pub use checks::{Check, Checks, Family, Level, Outcome, Rule, Sample, Samples};
pub use console::{Console, Want};
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

    /// Returns which list of `data` makes the lines of `plain`; `None`: `data`
    /// itself is the one line.
    fn rows(&self) -> Option<&'static str> {
        None
    }

    /// Returns the report as one that is written piece by piece; `None`: it is
    /// short, and written as a whole.
    fn pieces(&self) -> Option<&dyn Pieces> {
        None
    }

    /// Writes what a person reads.
    fn human(&self, page: &mut Page);
}

/// A report of so many lines that no tree of all its values is made.
pub trait Pieces {
    /// Writes `data` as JSON.
    ///
    /// # Errors
    /// As `out` says.
    fn json(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Gives what makes the lines of `plain` to `line`, one after the other.
    ///
    /// # Errors
    /// What `line` returns.
    fn each_row(&self, line: &mut dyn FnMut(&Value) -> io::Result<()>) -> io::Result<()>;
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
