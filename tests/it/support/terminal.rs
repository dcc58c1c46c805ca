//! The program on a terminal of its own, as a person has it.

use std::process::Command;

use rexpect::session::PtySession;

/// A program on a pseudo terminal.
pub struct Terminal {
    session: PtySession,
}

impl Terminal {
    /// Starts a command; what is awaited must come within ten seconds.
    pub fn start(command: Command) -> Self {
        Self { session: rexpect::session::spawn_command(command, Some(10_000)).unwrap() }
    }

    /// Waits for a text and returns what came before it.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        self.session.exp_string(text).unwrap_or_else(|error| panic!("`{text}` did not come: {error}"))
    }

    /// Types a line.
    pub fn line(&mut self, text: &str) {
        self.session.send_line(text).unwrap();
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) {
        self.session.send_control('c').unwrap();
    }

    /// Returns what came until the end, and the exit code.
    #[track_caller]
    pub fn end(mut self) -> (String, i32) {
        let shown = self.session.exp_eof().unwrap();
        // The status' type is not public: `Exited(Pid(1), 0)`.
        let status = format!("{:?}", self.session.process().wait().unwrap());
        // Pressed before the prompt took the keys for itself; a shell says 130.
        if status.contains("SIGINT") {
            return (shown, 130);
        }
        let code = status.strip_prefix("Exited(").and_then(|it| it.trim_end_matches(')').rsplit(' ').next());
        let code = code.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{status}: {shown}"));
        (shown, code)
    }
}
