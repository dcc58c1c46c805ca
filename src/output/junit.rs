//! JUnit XML as Jenkins' schema (`junit-10.xsd`) and GitLab read it: a failed
//! check is a `failure`, one that proved nothing an `error`, a waived finding
//! `skipped`; a remark is text beside a passed case.

use std::io::{self, Write};

use super::checks::{Check, Checks, Outcome};
use crate::key::text::{Hidden, hidden};

/// Writes the whole document.
///
/// # Errors
/// As `out` says.
pub fn write(all: &Checks<'_>, out: &mut dyn Write) -> io::Result<()> {
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\"",
        all.checks.len(),
        all.count(Outcome::Failed),
        all.count(Outcome::Undecided)
    );
    let name = format!("keyctl {}", all.command);
    let time = seconds(all.checks.iter().filter_map(|it| it.milliseconds).sum());
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"{name}\" {counts} time=\"{time}\">")?;
    writeln!(
        out,
        "  <testsuite name=\"{name}\" {counts} skipped=\"{}\" time=\"{time}\" timestamp=\"{}\">",
        all.count(Outcome::Waived),
        crate::clock::rfc3339(all.at).trim_end_matches('Z')
    )?;
    writeln!(
        out,
        "    <properties>\n      <property name=\"complete\" value=\"{}\"/>\n    </properties>",
        all.complete
    )?;
    for check in &all.checks {
        case(check, all.command, out)?;
    }
    out.write_all(b"  </testsuite>\n</testsuites>\n")
}

fn case(check: &Check<'_>, command: &str, out: &mut dyn Write) -> io::Result<()> {
    let name = match (check.rule, command) {
        // One subject may break several rules there, and cases are told apart by name.
        (Some(rule), "audit") => format!("{} {rule}", check.subject),
        _ => check.subject.to_string(),
    };
    write!(
        out,
        "    <testcase name=\"{}\" classname=\"keyctl.{command}.{}\" time=\"{}\"",
        attribute(&name),
        attribute(check.group),
        seconds(check.milliseconds.unwrap_or(0))
    )?;
    let element = match check.outcome {
        Outcome::Passed => {
            return out.write_all(b"/>\n");
        }
        Outcome::Remarked => None,
        Outcome::Waived => Some("skipped"),
        Outcome::Undecided => Some("error"),
        Outcome::Failed => Some("failure"),
    };
    out.write_all(b">\n")?;
    let rule = check.rule.unwrap_or(check.state);
    let mut lines = vec![format!("{}: {rule}", check.state), check.message.to_owned()];
    lines.extend(check.facts.iter().cloned());
    lines.extend(check.hint.map(|it| format!("hint: {it}")));
    let body = content(&lines.join("\n"));
    match element {
        Some(element) => writeln!(
            out,
            "      <{element} type=\"{}\" message=\"{}\">{body}</{element}>",
            attribute(rule),
            attribute(check.message)
        )?,
        None => writeln!(out, "      <system-out>{body}</system-out>")?,
    }
    out.write_all(b"    </testcase>\n")
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}

fn attribute(text: &str) -> String {
    escaped(text, true)
}

fn content(text: &str) -> String {
    escaped(text, false)
}

/// Escapes markup; what XML 1.0 has no character for, or nobody can see, becomes U+FFFD.
fn escaped(text: &str, attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            '\n' | '\t' | '\r' if attribute => out.push_str(&format!("&#{};", c as u32)),
            '\n' | '\t' => out.push(c),
            c if hidden(c).is_some_and(|it| it != Hidden::Space) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::written;
    use super::*;

    #[test]
    fn each_outcome_has_its_element() {
        let text = written(write);
        let head = "<testsuite name=\"keyctl validate\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"1\" \
                    time=\"6.170\" timestamp=\"2026-11-22T10:00:00\">";
        assert!(text.contains(head), "{text}");
        assert!(text.contains(
            "<testcase name=\"brevo@acme\" classname=\"keyctl.validate.mailgun\" time=\"1.234\"/>"
        ));
        let failure = "<failure type=\"unauthorized\" message=\"401: &quot;no&quot; &lt;b&gt;, 100%&#10;second | \
                       line\">rejected: unauthorized\n401: \"no\" &lt;b&gt;, 100%\nsecond | line\ncauses: revoked\n\
                       hint: make a new key: `keyctl rotate`</failure>";
        assert!(text.contains(failure), "{text}");
        for (element, times) in [("<failure", 1), ("<error", 1), ("<skipped", 1), ("<system-out>", 1)] {
            assert_eq!(text.matches(element).count(), times, "{element}");
        }
        assert_eq!(escaped("a\u{1b}b\u{0}c\u{202e}\u{ffff}", true), "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}");
    }
}
