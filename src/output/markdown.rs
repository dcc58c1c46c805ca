//! A Markdown table for people: whole for a file, the notable part for a
//! summary page that has a size limit.

use super::checks::{Check, Checks, Outcome};

/// GitHub cuts a step's summary at 1 MiB; a table that long is read by nobody.
const SUMMARY_ROWS: usize = 500;

/// Returns a table of every check.
pub fn text(all: &Checks) -> String {
    page(all, &all.checks.iter().collect::<Vec<_>>(), 0)
}

/// Returns a table of the checks that need an eye, the worst first.
pub fn summary(all: &Checks) -> String {
    let notable = all.notable();
    let shown = notable.get(..SUMMARY_ROWS).unwrap_or(&notable);
    page(all, shown, notable.len() - shown.len())
}

fn page(all: &Checks, rows: &[&Check], more: usize) -> String {
    let mut out = format!("### keyctl {}\n\n{}\n", all.command, cell(&all.summary));
    if !all.complete {
        out += "\nInterrupted: these are not all.\n";
    }
    if !rows.is_empty() {
        out += "\n| | what | state | reason | detail | next |\n|---|---|---|---|---|---|\n";
    }
    for check in rows {
        let detail = std::iter::once(&check.message).chain(&check.facts).map(|it| cell(it));
        out += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            mark(check.outcome),
            cell(&check.subject),
            cell(&check.state),
            check.rule.unwrap_or_default(),
            detail.collect::<Vec<_>>().join("<br>"),
            check.hint.as_deref().map(cell).unwrap_or_default()
        );
    }
    if more > 0 {
        out += &format!("\n… and {more} more.\n");
    }
    out
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

/// Escapes what would be markup; `code` stays code.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_code = false;
    for c in text.chars() {
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
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn rows_are_escaped_and_a_summary_has_the_notable_ones() {
        let whole = text(&sample());
        assert_eq!(whole.lines().filter(|line| line.starts_with("| ")).count(), 6);
        let row = "| ❌ | mailgun@acme | rejected | unauthorized | 401: \"no\" &lt;b&gt;, 100% second \\| line<br>\
                   causes: revoked | make a new key: `keyctl rotate` |";
        assert!(whole.contains(row), "{whole}");
        assert_eq!(summary(&sample()).lines().filter(|line| line.starts_with("| ")).count(), 5);
        let mut many = sample();
        many.checks = vec![many.checks[1].clone(); SUMMARY_ROWS + 2];
        assert!(summary(&many).ends_with("\n… and 2 more.\n"));
    }
}
