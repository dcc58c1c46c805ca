//! The one neutral shape that every report format is made of: subjects, what
//! was found on each, and numbers. Knows no key, no verdict and no vendor.

use std::borrow::Cow;

use jiff::Timestamp;

/// What became of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Passed,
    /// Good enough, with something to say.
    Remarked,
    /// A finding somebody decided to live with.
    Waived,
    /// Nothing was proven.
    Undecided,
    Failed,
}

impl Outcome {
    /// Returns whether a reader should be told more than a tick.
    pub fn is_notable(self) -> bool {
        self != Self::Passed
    }
}

/// How loud a check is where annotations have levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Note,
    Warning,
    Error,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One subject and what was found on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check<'a> {
    /// What was checked, in one word: `mailgun@acme`.
    pub subject: Cow<'a, str>,
    /// What such subjects have in common, for grouping.
    pub group: &'a str,
    /// The stable id of what was found; none where nothing was.
    pub rule: Option<&'static str>,
    pub outcome: Outcome,
    pub level: Level,
    /// The word for the state: a verdict, a severity.
    pub state: &'a str,
    pub message: &'a str,
    pub hint: Option<&'a str>,
    /// Further lines, one fact each.
    pub facts: Vec<String>,
    /// The line of [`Checks::file`] that declares the subject.
    pub line: Option<usize>,
    pub milliseconds: Option<u64>,
}

/// A rule that a check can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub id: &'static str,
    /// One sentence without a period.
    pub text: &'static str,
    pub level: Level,
}

/// A family of gauges.
pub struct Family<'a> {
    /// Ends in the unit where there is one.
    pub name: &'static str,
    pub unit: Option<&'static str>,
    pub help: &'static str,
    /// Makes them anew for each report: one at a time, since there may be many.
    pub samples: Box<dyn Fn() -> Samples<'a> + 'a>,
}

/// The samples of a family, one after the other.
pub type Samples<'a> = Box<dyn Iterator<Item = Sample<'a>> + 'a>;

impl<'a> Family<'a> {
    /// Returns a family of one number that belongs to the run.
    pub fn single(name: &'static str, unit: Option<&'static str>, help: &'static str, value: f64) -> Self {
        let sample = move || Sample { labels: Vec::new(), value };
        Self { name, unit, help, samples: Box::new(move || Box::new(std::iter::once(sample()))) }
    }
}

/// One number and what it belongs to. What is not known has no sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    pub labels: Vec<(&'static str, Cow<'a, str>)>,
    pub value: f64,
}

/// Everything one run has to report.
pub struct Checks<'a> {
    /// The command's word.
    pub command: &'static str,
    pub at: Timestamp,
    /// `false` when the run was interrupted.
    pub complete: bool,
    /// One line that sums up.
    pub summary: String,
    /// The file that declares the subjects: a path relative to the working
    /// tree where it is below it, otherwise absolute.
    pub file: Option<String>,
    pub rules: Vec<Rule>,
    pub checks: Vec<Check<'a>>,
    pub families: Vec<Family<'a>>,
}

impl<'a> Checks<'a> {
    /// Returns how many checks ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|it| it.outcome == outcome).count()
    }

    /// Returns the checks that need a reader's eye, the worst first.
    pub fn notable(&self) -> Vec<&Check<'a>> {
        let mut notable: Vec<&Check<'a>> = self.checks.iter().filter(|it| it.outcome.is_notable()).collect();
        notable.sort_by_key(|it| std::cmp::Reverse((it.outcome, it.level)));
        notable
    }
}
