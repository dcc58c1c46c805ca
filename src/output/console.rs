//! The only file that prints or prompts. stdout is data, stderr is everything
//! else; no character is shown that cannot be seen. A reader that closed its pipe has what it wanted: that is success.

use std::io::{BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::hidden::Hidden;
use super::table::{Page, Tone, wrapped};
use super::{Format, Report, failure_json, json};
use crate::exit::Situation;
use crate::key::Secret;
use crate::key::text::{printable, visible};

/// How many bytes of a long output are written at once.
const PIECE: usize = 64 * 1024;

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    Quiet,
    Normal,
    Verbose,
}

/// What the console must know before it says anything.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub format: Format,
    pub want: Want,
    /// `None`: decide by the terminal and the environment.
    pub color: Option<bool>,
    pub no_input: bool,
    pub yes: bool,
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// Nobody can be asked.
    Nobody,
}

/// The terminal, or what stands in for it.
#[derive(Debug, Clone)]
pub struct Console {
    setup: Setup,
    stdout_color: bool,
    stderr_color: bool,
    /// The progress bar on the screen, which steps aside for what is said.
    bar: Arc<Mutex<Option<indicatif::ProgressBar>>>,
}

impl Console {
    pub fn new(setup: Setup) -> Self {
        let choose = |choice: anstream::ColorChoice| choice != anstream::ColorChoice::Never;
        let stdout_color =
            setup.color.unwrap_or_else(|| choose(anstream::AutoStream::choice(&std::io::stdout())));
        let stderr_color =
            setup.color.unwrap_or_else(|| choose(anstream::AutoStream::choice(&std::io::stderr())));
        Self { setup, stdout_color, stderr_color, bar: Arc::default() }
    }

    pub fn format(&self) -> Format {
        self.setup.format
    }

    pub fn is_quiet(&self) -> bool {
        self.setup.want == Want::Quiet
    }

    pub fn said_yes(&self) -> bool {
        self.setup.yes
    }

    pub fn stdout_is_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Returns whether a person can be asked.
    pub fn can_ask(&self) -> bool {
        !self.setup.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Returns whether a person can be asked for a secret: a terminal is enough,
    /// whatever stdin and stderr are.
    pub fn can_ask_secret(&self) -> bool {
        !self.setup.no_input && std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").is_ok()
    }

    /// Writes a result in the chosen form.
    ///
    /// # Errors
    /// When stdout cannot be written (a closed pipe is no error).
    pub fn report(&self, report: &dyn Report) -> std::io::Result<()> {
        self.stream(|out| match self.setup.format {
            Format::Json => json::write(report, out),
            Format::Plain => json::write_plain(report, out),
            Format::Table => {
                let mut page = Page::new(width(), self.stdout_color);
                report.human(&mut page);
                out.write_all(page.finish().as_bytes())
            }
        })
    }

    /// Writes bytes to stdout as they are.
    ///
    /// # Errors
    /// When stdout cannot be written (a closed pipe is no error).
    pub fn data(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        read_enough(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// Lets `write` write to stdout, in large pieces.
    ///
    /// # Errors
    /// When stdout cannot be written (a closed pipe is no error).
    pub fn stream(&self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
        let mut out = BufWriter::with_capacity(PIECE, std::io::stdout().lock());
        read_enough(write(&mut out).and_then(|()| out.flush()))
    }

    /// Says what went wrong: the text on stderr and, in JSON, a document on stdout.
    pub fn failure(&self, command: Option<&str>, situation: &Situation, silent_stdout: bool) {
        if self.setup.format == Format::Json && !silent_stdout {
            let _ = self.data(failure_json(command, situation).as_bytes());
        }
        self.say(Tone::Bad, "error", &situation.message);
        if let Some(hint) = &situation.hint {
            self.say(Tone::Dim, "hint", hint);
        }
    }

    /// Says something that needs attention.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.say(Tone::Warn, "warning", text.as_ref());
    }

    /// Says what was done or comes next; silent with `--quiet`.
    pub fn note(&self, text: impl AsRef<str>) {
        if self.setup.want > Want::Quiet {
            self.stderr(text.as_ref());
        }
    }

    /// Says what to do next; silent with `--quiet`.
    pub fn hint(&self, text: impl AsRef<str>) {
        if self.setup.want > Want::Quiet {
            self.say(Tone::Dim, "hint", text.as_ref());
        }
    }

    /// Says a detail; only with `--verbose`.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.setup.want == Want::Verbose {
            self.write(&Tone::Dim.paint(&fitted(&visible(text.as_ref())), self.stderr_color));
        }
    }

    /// Writes a page (a plan, a guide) to stderr.
    pub fn page(&self, write: impl FnOnce(&mut Page)) {
        let mut page = Page::new(width(), self.stderr_color);
        write(&mut page);
        let text = page.finish();
        self.write(text.trim_end_matches('\n'));
    }

    /// Asks a question of fact, yes or no. Only a person at the terminal can
    /// answer: `--yes` agrees to what was shown and knows nothing.
    pub fn testify(&self, question: &str) -> Answer {
        match self.ask(&format!("{question} [y/N] ")) {
            None => Answer::Nobody,
            Some(text) if is_yes(&text) => Answer::Yes,
            Some(_) => Answer::No,
        }
    }

    /// Asks for consent to what was shown, yes or no. `--yes` answers yes.
    pub fn confirm(&self, question: &str) -> Answer {
        if self.setup.yes {
            return Answer::Yes;
        }
        self.testify(question)
    }

    /// Asks for a line; `None` when nobody can be asked or the input ended.
    pub fn ask(&self, prompt: &str) -> Option<String> {
        if !self.can_ask() {
            return None;
        }
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{}", visible(prompt));
        let _ = err.flush();
        drop(err);
        let mut text = String::new();
        match std::io::stdin().read_line(&mut text) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(text.trim_end_matches(['\n', '\r']).to_owned()),
        }
    }

    /// Asks for a secret on the terminal; nothing but stars is shown. `None`
    /// when nobody can be asked.
    pub fn ask_secret(&self, prompt: &str) -> Option<Secret> {
        self.prompt_secret(prompt).ok().flatten()
    }

    /// Like [`Self::ask_secret`], for who has to tell Ctrl-C from nobody.
    ///
    /// # Errors
    /// `Interrupted` when the person pressed Ctrl-C.
    pub fn prompt_secret(&self, prompt: &str) -> std::io::Result<Option<Secret>> {
        if self.setup.no_input {
            return Ok(None);
        }
        let _hidden = Hidden::on_terminal();
        let config = rpassword::ConfigBuilder::new().password_feedback_mask('*').build();
        match rpassword::prompt_password_with_config(format!("{}: ", visible(prompt)), config) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Starts a progress bar on stderr; invisible without a terminal or with `--quiet`.
    pub fn progress(&self, total: usize, what: &str) -> Progress {
        let visible = self.setup.want > Want::Quiet && std::io::stderr().is_terminal() && total > 1;
        let bar = visible.then(|| {
            let bar = indicatif::ProgressBar::new(total as u64);
            let style = indicatif::ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}");
            bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
            bar.set_message(what.to_owned());
            *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
            bar
        });
        Progress { bar }
    }

    fn say(&self, tone: Tone, word: &str, text: &str) {
        let lines: Vec<String> = text.lines().map(|line| printable(line, 2_000)).collect();
        let word = format!("{word}:");
        let text = fitted(&format!("{word} {}", lines.join("\n       ")));
        let rest = text.strip_prefix(&word).unwrap_or_default();
        self.write(&format!("{}{rest}", tone.paint(&word, self.stderr_color)));
    }

    fn stderr(&self, text: &str) {
        self.write(&fitted(&visible(text)));
    }

    fn write(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let write = || {
            let mut err = std::io::stderr().lock();
            let _ = writeln!(err, "{text}");
        };
        match bar.as_ref().filter(|it| !it.is_finished()) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

fn is_yes(text: &str) -> bool {
    ["y", "yes", "j", "ja"].contains(&text.trim().to_lowercase().as_str())
}

/// A reader that closed its pipe has read enough.
fn read_enough(written: std::io::Result<()>) -> std::io::Result<()> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Returns a text in lines that fit the terminal that stderr is, broken between
/// words; elsewhere as it is.
fn fitted(text: &str) -> String {
    match width_at(&std::io::stderr()) {
        Some(width) => wrapped(text, Some(usize::from(width).max(20))).join("\n"),
        None => text.to_owned(),
    }
}

/// A progress bar, or nothing where nobody looks.
#[derive(Debug)]
pub struct Progress {
    bar: Option<indicatif::ProgressBar>,
}

impl Progress {
    pub fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Takes the bar from the terminal.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Returns the width of the terminal that stdout is; `None` for pipes and files.
fn width() -> Option<u16> {
    width_at(&std::io::stdout())
}

#[cfg(unix)]
fn width_at(stream: &(impl IsTerminal + std::os::fd::AsFd)) -> Option<u16> {
    if !stream.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream).ok();
    Some(size.map(|it| it.ws_col).filter(|it| *it > 0).unwrap_or(80))
}

#[cfg(not(unix))]
fn width_at(stream: &impl IsTerminal) -> Option<u16> {
    stream.is_terminal().then_some(80)
}
