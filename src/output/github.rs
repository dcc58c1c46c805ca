//! Annotations of GitHub Actions: workflow commands, one a line, with their
//! own escapes (docs.github.com, "Workflow commands", and the runner's
//! `ActionCommand`).

use std::io::{self, Write};

use super::checks::{Check, Checks, Level};
use crate::key::text::visible;

/// What is said before the sum of an interrupted run.
const PARTIAL: &str = "interrupted, these are not all: ";

/// Writes one line for each check that needs an eye, and one that sums up.
///
/// # Errors
/// As `out` says.
pub fn write(all: &Checks<'_>, out: &mut dyn Write) -> io::Result<()> {
    for check in all.notable() {
        writeln!(out, "{}", annotation(check, all))?;
    }
    let (word, partial) = if all.complete { ("notice", "") } else { ("warning", PARTIAL) };
    writeln!(out, "::{word} title=keyctl {}::{partial}{}", all.command, data(&all.summary))
}

fn annotation(check: &Check<'_>, all: &Checks<'_>) -> String {
    let word = match check.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let place = match (&all.file, check.line) {
        (Some(file), Some(line)) => format!("file={},line={line},", property(file)),
        (Some(file), None) => format!("file={},", property(file)),
        (None, _) => String::new(),
    };
    let what = check.rule.unwrap_or(check.state);
    let title = property(&format!("{}: {what}", check.subject));
    let mut message = check.message.to_owned();
    for line in check.facts.iter().map(String::as_str).chain(check.hint) {
        message += &format!("\n{line}");
    }
    format!("::{word} {place}title={title}::{}", data(&message))
}

/// Escapes a command's data, without what cannot be seen.
fn data(text: &str) -> String {
    visible(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::tests::written;
    use super::*;

    #[test]
    fn annotations_are_escaped_and_the_worst_comes_first() {
        let text = written(write);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(
            lines[0],
            "::error file=keys/my inventory.toml,line=7,title=mailgun@acme%3A unauthorized::401: \"no\" <b>, \
             100%25%0Asecond | line%0Acauses: revoked%0Amake a new key: `keyctl rotate`"
        );
        assert!(lines[1].starts_with("::warning "), "{}", lines[1]);
        assert_eq!(lines[4], "::notice title=keyctl validate::5 checked");
    }
}
