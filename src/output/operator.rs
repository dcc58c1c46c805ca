//! The person at the terminal, as workflows see them: what is told goes to
//! stderr, questions to whoever sits there, `--yes` agrees to what was shown.

use std::io;

use super::console::{Answer, Console, Progress};
use super::table::{Page, Tone};
use crate::key::Secret;
use crate::operator::{
    self, Consent, ConsentQuestion, Emphasis, Level, Notice, Operator, Presence, Sheet, Testimony,
    TestimonyQuestion,
};

impl Operator for Console {
    fn tell(&self, level: Level, notice: Notice<'_>) {
        match (level, notice) {
            (Level::Task, Notice::Sheet(sheet)) => self.sheet(sheet),
            (_, Notice::Sheet(sheet)) => {
                if !self.is_quiet() {
                    self.sheet(sheet);
                }
            }
            (Level::Detail, Notice::Text(text)) => self.detail(text),
            (Level::Note, Notice::Text(text)) => self.note(text),
            (Level::Hint, Notice::Text(text)) => self.hint(text),
            (Level::Warning, Notice::Text(text)) => self.warning(text),
            (Level::Task, Notice::Text(text)) => self.task(text),
        }
    }

    fn consent(&self, question: &ConsentQuestion) -> Consent {
        if self.said_yes() && question.is_answered_by_yes() {
            return Consent::Given;
        }
        match self.ask_yes_or_no(&question.words()) {
            Answer::Yes => Consent::Given,
            Answer::No => Consent::Refused,
            Answer::Nobody => Consent::NoOne,
        }
    }

    fn testimony(&self, question: &TestimonyQuestion) -> Testimony {
        match self.ask_yes_or_no(&question.words()) {
            Answer::Yes => Testimony::Given,
            Answer::No => Testimony::Refused,
            Answer::Nobody => Testimony::NoOne,
        }
    }

    fn line(&self, prompt: &str) -> Option<String> {
        self.ask(prompt)
    }

    fn secret(&self, prompt: &str) -> io::Result<Option<Secret>> {
        self.prompt_secret(prompt)
    }

    fn presence(&self) -> Presence {
        match (self.can_ask(), self.can_ask_secret()) {
            (true, _) => Presence::Person,
            (false, true) => Presence::SecretOnly,
            (false, false) => Presence::NoOne,
        }
    }

    fn agreed_beforehand(&self) -> bool {
        self.said_yes()
    }

    fn shows_results(&self) -> bool {
        self.stdout_is_terminal()
    }

    fn progress(&self, total: usize, what: &str) -> Box<dyn operator::Progress> {
        Box::new(self.bar(total, what))
    }
}

impl Console {
    fn sheet(&self, sheet: &Sheet) {
        self.page(|page| page.sheet(sheet));
    }
}

impl Page {
    /// Adds the lines of a sheet.
    pub fn sheet(&mut self, sheet: &Sheet) {
        for line in &sheet.lines {
            let pieces: Vec<(Tone, &str)> =
                line.pieces.iter().map(|(emphasis, text)| (tone(*emphasis), text.as_str())).collect();
            match (line.indent, pieces.as_slice()) {
                (0, pieces) => self.pieces(pieces),
                (indent, pieces) => {
                    pieces.iter().for_each(|(tone, text)| self.paragraph(*tone, indent, text))
                }
            }
        }
    }
}

fn tone(emphasis: Emphasis) -> Tone {
    match emphasis {
        Emphasis::Plain => Tone::Plain,
        Emphasis::Strong => Tone::Strong,
        Emphasis::Dim => Tone::Dim,
        Emphasis::Good => Tone::Good,
        Emphasis::Warn => Tone::Warn,
        Emphasis::Bad => Tone::Bad,
    }
}

impl operator::Progress for Progress {
    fn step(&self) {
        self.advance();
    }

    fn clear(&self) {
        self.finish();
    }
}
