//! Named points around every durable change: a provider mutation, a write to a
//! store, a save of the inventory. In builds with debug assertions a test can
//! have the process killed, or stopped, at the n-th of them; in a release build a point
//! costs nothing and cannot be armed.

/// Marks a point before or after a durable change.
#[cfg(not(debug_assertions))]
#[inline]
pub fn pass(_name: &str) {}

#[cfg(debug_assertions)]
pub use armed::{arm, arm_to_stop, pass};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

    /// Points left until it happens; negative: never.
    static LEFT: AtomicI64 = AtomicI64::new(-1);
    static STOPS: AtomicBool = AtomicBool::new(false);

    /// Has the process killed (SIGKILL, as by a power cut) at the `n`-th point
    /// from now, the first being 0.
    pub fn arm(n: i64) {
        LEFT.store(n, Ordering::SeqCst);
    }

    /// Has the process stopped (SIGSTOP, as by a laptop that falls asleep) at the
    /// `n`-th point from now; SIGCONT wakes it.
    pub fn arm_to_stop(n: i64) {
        STOPS.store(true, Ordering::SeqCst);
        arm(n);
    }

    /// Marks a point before or after a durable change.
    pub fn pass(_name: &str) {
        if LEFT.load(Ordering::SeqCst) < 0 {
            return;
        }
        if LEFT.fetch_sub(1, Ordering::SeqCst) != 0 {
            return;
        }
        if STOPS.load(Ordering::SeqCst) { stop() } else { die() }
    }

    fn stop() {
        #[cfg(unix)]
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
    }

    fn die() -> ! {
        #[cfg(unix)]
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort()
    }
}
