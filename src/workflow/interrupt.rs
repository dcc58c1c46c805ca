//! Ctrl-C in a command that can give what it has: the first one raises a flag,
//! a second ends the process as always.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::operator::Operator;

/// Whether Ctrl-C came.
#[derive(Debug, Clone)]
pub struct Interruption(Arc<AtomicBool>);

impl Interruption {
    /// Catches the first Ctrl-C from now on.
    pub fn watch() -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        {
            use signal_hook::consts::SIGINT;
            let _ = signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&flag));
            let _ = signal_hook::flag::register(SIGINT, Arc::clone(&flag));
        }
        Self(flag)
    }

    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns the flag itself, for those who know no commands.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// Waits until every sender of `end` is dropped, and says once why an
    /// interrupted run does not end at once: what was asked is waited for.
    pub fn wait(&self, operator: &(dyn Operator + 'static), end: &Receiver<()>) {
        let mut told = false;
        while end.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
            if self.is_raised() && !told {
                told = true;
                operator.note("interrupted: waiting for what was asked already; Ctrl-C again ends at once");
            }
        }
    }
}
