//! Keeps a terminal from showing what is typed, from before a prompt for a
//! secret appears: whoever pastes at once must not see the secret echoed in the
//! moment between the prompt and the reading.

#[cfg(unix)]
pub use unix::Hidden;

#[cfg(unix)]
mod unix {
    use std::fs::File;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// A terminal without echo; it is as before when this is dropped.
    pub struct Hidden {
        terminal: File,
        before: Termios,
    }

    impl Hidden {
        /// Hides what is typed on the controlling terminal; `None` where there
        /// is none.
        pub fn on_terminal() -> Option<Self> {
            let terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
            let before = tcgetattr(&terminal).ok()?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
            tcsetattr(&terminal, OptionalActions::Now, &silent).ok()?;
            Some(Self { terminal, before })
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
        }
    }
}

/// Elsewhere the reader of secrets hides them by itself.
#[cfg(not(unix))]
pub struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    pub fn on_terminal() -> Option<Self> {
        None
    }
}
