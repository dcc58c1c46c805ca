//! The port to the person: what is told, what is asked. A terminal is one
//! implementation (`output::console`); [`Unattended`] serves the library, jobs
//! and tests. Consent and testimony are different questions with different
//! answers, so that none is taken for the other.

mod question;

use std::io;

pub use question::{ConsentQuestion, TestimonyQuestion};

use crate::key::Secret;

/// How much something that is told matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only for who wants to know everything.
    Detail,
    /// What was done or comes next.
    Note,
    /// What to do next.
    Hint,
    /// What needs attention; also told who wants quiet.
    Warning,
    /// What the person must do or paste; also told who wants quiet.
    Task,
}

/// How a line of a [`Sheet`] stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emphasis {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
}

/// One paragraph of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetLine {
    /// In characters; an indented line is broken to fit the reader's width.
    pub indent: usize,
    pub pieces: Vec<(Emphasis, String)>,
}

/// Several lines that belong together: a way through a vendor's console, a
/// plan, the places where a key has to be pasted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    pub lines: Vec<SheetLine>,
}

impl Sheet {
    /// Returns a sheet with a title.
    pub fn titled(title: impl Into<String>) -> Self {
        let mut sheet = Self::default();
        sheet.line(Emphasis::Strong, 0, title);
        sheet
    }

    /// Adds a paragraph.
    pub fn line(&mut self, emphasis: Emphasis, indent: usize, text: impl Into<String>) {
        self.lines.push(SheetLine { indent, pieces: vec![(emphasis, text.into())] });
    }

    /// Adds a line of several pieces.
    pub fn pieces(&mut self, pieces: &[(Emphasis, &str)]) {
        let pieces = pieces.iter().map(|(emphasis, text)| (*emphasis, (*text).to_owned())).collect();
        self.lines.push(SheetLine { indent: 0, pieces });
    }
}

/// What is told.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    Text(&'a str),
    Sheet(&'a Sheet),
}

/// The answer to a question of consent: it agrees to what was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Consent {
    Given,
    Refused,
    /// Nobody was there, or the input ended.
    NoOne,
}

/// The answer to a question of fact that only a person can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Testimony {
    Given,
    Refused,
    /// Nobody was there, or the input ended: nothing is known.
    NoOne,
}

/// Who can answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A person who reads what is told and types answers.
    Person,
    /// A terminal for a secret, while stdin or stderr are something else.
    SecretOnly,
    NoOne,
}

/// The progress of many calls; gone when dropped.
pub trait Progress: Sync {
    fn step(&self);
    /// Takes it from the screen.
    fn clear(&self);
}

/// What is told and asked. An answer is never a bool, and none has a default.
pub trait Operator: Send + Sync {
    fn tell(&self, level: Level, notice: Notice<'_>);

    /// Asks for consent to what was shown. `--yes` gives it, except where the
    /// question says that it does not.
    fn consent(&self, question: &ConsentQuestion) -> Consent;

    /// Asks for what only a person can know. No option answers it in general.
    fn testimony(&self, question: &TestimonyQuestion) -> Testimony;

    /// Asks for a line of text; `None`: no one answered.
    fn line(&self, prompt: &str) -> Option<String>;

    /// Asks for a secret, hidden; `None`: no one answered.
    ///
    /// # Errors
    /// `Interrupted` when the person pressed Ctrl-C.
    fn secret(&self, prompt: &str) -> io::Result<Option<Secret>>;

    fn presence(&self) -> Presence;

    /// Returns whether consent was given beforehand (`--yes`).
    fn agreed_beforehand(&self) -> bool;

    /// Returns whether what a program hands out would be shown on a screen.
    fn shows_results(&self) -> bool;

    fn progress(&self, total: usize, what: &str) -> Box<dyn Progress>;
}

impl dyn Operator {
    pub fn detail(&self, text: impl AsRef<str>) {
        self.tell(Level::Detail, Notice::Text(text.as_ref()));
    }

    pub fn note(&self, text: impl AsRef<str>) {
        self.tell(Level::Note, Notice::Text(text.as_ref()));
    }

    pub fn hint(&self, text: impl AsRef<str>) {
        self.tell(Level::Hint, Notice::Text(text.as_ref()));
    }

    pub fn warning(&self, text: impl AsRef<str>) {
        self.tell(Level::Warning, Notice::Text(text.as_ref()));
    }

    pub fn sheet(&self, level: Level, sheet: &Sheet) {
        self.tell(level, Notice::Sheet(sheet));
    }
}

/// Nobody: every question stays open, and nothing is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unattended;

struct NoProgress;

impl Progress for NoProgress {
    fn step(&self) {}
    fn clear(&self) {}
}

impl Operator for Unattended {
    fn tell(&self, _: Level, _: Notice<'_>) {}

    fn consent(&self, _: &ConsentQuestion) -> Consent {
        Consent::NoOne
    }

    fn testimony(&self, _: &TestimonyQuestion) -> Testimony {
        Testimony::NoOne
    }

    fn line(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> io::Result<Option<Secret>> {
        Ok(None)
    }

    fn presence(&self) -> Presence {
        Presence::NoOne
    }

    fn agreed_beforehand(&self) -> bool {
        false
    }

    fn shows_results(&self) -> bool {
        false
    }

    fn progress(&self, _: usize, _: &str) -> Box<dyn Progress> {
        Box::new(NoProgress)
    }
}
