//! Annotations of GitHub Actions: workflow commands, one a line, with their
//! own escapes (docs.github.com, "Workflow commands", and the runner's
//! `ActionCommand`).

use super::checks::{Check, Checks, Level};

/// What is said before the sum of an interrupted run.
const PARTIAL: &str = "interrupted, these are not all: ";

/// Returns one line for each check that needs an eye, and one that sums up.
pub fn text(all: &Checks) -> String {
    let mut out = String::new();
    for check in all.notable() {
        out += &annotation(check, all);
        out.push('\n');
    }
    let (word, partial) = if all.complete { ("notice", "") } else { ("warning", PARTIAL) };
    out += &format!("::{word} title=keyctl {}::{partial}{}\n", all.command, data(&all.summary));
    out
}

fn annotation(check: &Check, all: &Checks) -> String {
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
    let what = check.rule.unwrap_or(&check.state);
    let title = property(&format!("{}: {what}", check.subject));
    let mut message = check.message.clone();
    for line in check.facts.iter().chain(&check.hint) {
        message += &format!("\n{line}");
    }
    format!("::{word} {place}title={title}::{}", data(&message))
}

/// Escapes a command's data.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn annotations_are_escaped_and_the_worst_comes_first() {
        let text = text(&sample());
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
