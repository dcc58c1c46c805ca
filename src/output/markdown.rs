//! A Markdown table for people: whole for a file, the notable part for a
//! summary page that has a size limit.

use std::io::{self, Write};

use super::checks::{Check, Checks, Outcome};
use crate::key::text::visible;

/// GitHub cuts a step's summary at 1 MiB; a table that long is read by nobody.
const SUMMARY_ROWS: usize = 500;

/// Writes a table of every check.
///
/// # Errors
/// As `out` says.
pub fn write(all: &Checks<'_>, out: &mut dyn Write) -> io::Result<()> {
    page(all, &all.checks.iter().collect::<Vec<_>>(), 0, out)
}

/// Writes a table of the checks that need an eye, the worst first.
///
/// # Errors
/// As `out` says.
pub fn write_summary(all: &Checks<'_>, out: &mut dyn Write) -> io::Result<()> {
    let notable = all.notable();
    let shown = notable.get(..SUMMARY_ROWS).unwrap_or(&notable);
    page(all, shown, notable.len() - shown.len(), out)
}

fn page(all: &Checks<'_>, rows: &[&Check<'_>], more: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### keyctl {}\n\n{}", all.command, cell(&all.summary))?;
    if !all.complete {
        writeln!(out, "\nInterrupted: these are not all.")?;
    }
    if !rows.is_empty() {
        writeln!(out, "\n| | what | state | reason | detail | next |\n|---|---|---|---|---|---|")?;
    }
    for check in rows {
        let detail = std::iter::once(check.message).chain(check.facts.iter().map(String::as_str)).map(cell);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            mark(check.outcome),
            cell(&check.subject),
            cell(check.state),
            check.rule.unwrap_or_default(),
            detail.collect::<Vec<_>>().join("<br>"),
            check.hint.map(cell).unwrap_or_default()
        )?;
    }
    if more > 0 {
        writeln!(out, "\n… and {more} more.")?;
    }
    Ok(())
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "✅",
        Outcome::Remarked => "⚠️",
        Outcome::Waived => "💤",
        Outcome::Undecided => "❔",
        Outcome::Failed => "❌",
    }
}

/// Escapes what would be markup, without what cannot be seen; `code` stays code.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_code = false;
    for c in visible(text).chars() {
        match c {
            '`' => {
                in_code = !in_code;
                out.push(c);
            }
            '|' => out.push_str("\\|"),
            '\n' | '\r' => out.push(' '),
            '<' if !in_code => out.push_str("&lt;"),
            '>' if !in_code => out.push_str("&gt;"),
            '&' if !in_code => out.push_str("&amp;"),
            '*' | '_' | '[' | ']' | '\\' if !in_code => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{sample, written, written_of};
    use super::*;

    #[test]
    fn rows_are_escaped_and_a_summary_has_the_notable_ones() {
        let whole = written(write);
        assert_eq!(whole.lines().filter(|line| line.starts_with("| ")).count(), 6);
        let row = "| ❌ | mailgun@acme | rejected | unauthorized | 401: \"no\" &lt;b&gt;, 100% second \\| line<br>\
                   causes: revoked | make a new key: `keyctl rotate` |";
        assert!(whole.contains(row), "{whole}");
        assert_eq!(written(write_summary).lines().filter(|line| line.starts_with("| ")).count(), 5);
        let mut many = sample();
        many.checks = vec![many.checks[1].clone(); SUMMARY_ROWS + 2];
        assert!(written_of(&many, write_summary).ends_with("\n… and 2 more.\n"));
    }
}
