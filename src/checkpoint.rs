//! Named points around every durable change: a provider mutation, a write to a
//! store, a save of the inventory. In builds with debug assertions a test can
//! have the process killed at the n-th of them; in a release build a point
//! costs nothing and cannot be armed.

/// Marks a point before or after a durable change.
#[cfg(not(debug_assertions))]
#[inline]
pub fn pass(_name: &str) {}

#[cfg(debug_assertions)]
pub use armed::{arm, pass};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::atomic::{AtomicI64, Ordering};

    /// Points left until the process dies; negative: never.
    static LEFT: AtomicI64 = AtomicI64::new(-1);

    /// Has the process killed (SIGKILL, as by a power cut) at the `n`-th point
    /// from now, the first being 0.
    pub fn arm(n: i64) {
        LEFT.store(n, Ordering::SeqCst);
    }

    /// Marks a point before or after a durable change.
    pub fn pass(_name: &str) {
        if LEFT.load(Ordering::SeqCst) < 0 {
            return;
        }
        if LEFT.fetch_sub(1, Ordering::SeqCst) == 0 {
            die();
        }
    }

    fn die() -> ! {
        #[cfg(unix)]
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort()
    }
}
