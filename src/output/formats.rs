//! The report formats in one ordered table, and `FORMAT=PATH` as it is typed.
//! A format is a row and a function that writes [`Checks`].

use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use super::checks::Checks;
use super::{Report, github, json, junit, markdown, openmetrics, sarif};

/// What a report is made of: the data of the command and the neutral shape.
#[derive(Clone, Copy)]
pub struct Material<'a, 'b> {
    pub report: &'a dyn Report,
    pub checks: &'a Checks<'b>,
}

/// One format.
pub struct Row {
    pub name: &'static str,
    /// For people: what it is.
    pub about: &'static str,
    /// Whether it names the line that declares a subject.
    pub needs_lines: bool,
    pub write: fn(&Material<'_, '_>, &mut dyn Write) -> io::Result<()>,
}

/// Every format, in the order of the help.
pub const TABLE: &[Row] = &[
    Row {
        name: "json",
        about: "the document of `--format json`",
        needs_lines: false,
        write: |it, out| json::write(it.report, out),
    },
    Row {
        name: "junit",
        about: "JUnit XML, for test reports of CI servers",
        needs_lines: false,
        write: |it, out| junit::write(it.checks, out),
    },
    Row {
        name: "sarif",
        about: "SARIF 2.1.0, for code scanning",
        needs_lines: true,
        write: |it, out| sarif::write(it.checks, out),
    },
    Row {
        name: "github",
        about: "annotations of GitHub Actions, and the step summary",
        needs_lines: true,
        write: |it, out| github::write(it.checks, out),
    },
    Row {
        name: "openmetrics",
        about: "metrics, for Prometheus' textfile collector",
        needs_lines: false,
        write: |it, out| openmetrics::write(it.checks, out),
    },
    Row {
        name: "markdown",
        about: "a table for people",
        needs_lines: false,
        write: |it, out| markdown::write(it.checks, out),
    },
];

/// Where a report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the place of the normal output.
    Stdout,
    File(PathBuf),
}

/// One `--report`.
#[derive(Clone)]
pub struct Target {
    pub row: &'static Row,
    pub place: Place,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={:?}", self.row.name, self.place)
    }
}

impl FromStr for Target {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || TABLE.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        let shown = crate::key::text::printable(text, 80);
        let (name, path) = text
            .split_once('=')
            .ok_or_else(|| format!("`{shown}` is not FORMAT=PATH, such as `junit=keys.xml`"))?;
        let row = TABLE
            .iter()
            .find(|row| row.name == name)
            .ok_or_else(|| format!("`{shown}` names no report format; known: {}", known()))?;
        match path {
            "" => Err(format!("`{shown}` names no file; `-` stands for the normal output")),
            "-" => Ok(Self { row, place: Place::Stdout }),
            _ => Ok(Self { row, place: Place::File(path.into()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_known_format_and_a_place() {
        let target: Target = "junit=a=b.xml".parse().unwrap();
        assert_eq!((target.row.name, target.place), ("junit", Place::File("a=b.xml".into())));
        assert_eq!("sarif=-".parse::<Target>().unwrap().place, Place::Stdout);
        for (bad, word) in [("junit", "FORMAT=PATH"), ("junit=", "no file"), ("csv=x", "openmetrics")] {
            let error = bad.parse::<Target>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
