//! Keeps other programs of the same user out of this process's memory, and
//! secrets out of core files. Only in release builds: debuggers and crash
//! tests need the opposite.

/// Protects the process; what cannot be had on this system is left.
pub fn on() {
    #[cfg(all(target_os = "linux", not(debug_assertions)))]
    {
        use rustix::process::{
            DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
        };
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let held = getrlimit(Resource::Core);
        CORE.get_or_init(|| held.current);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: held.maximum });
    }
}

/// Gives a program that is about to take this process's place the limits it
/// would have had: they are inherited, unlike the protection of memory.
pub fn off_for_child() {
    #[cfg(all(target_os = "linux", not(debug_assertions)))]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Core).maximum;
        if let Some(current) = CORE.get() {
            let _ = setrlimit(Resource::Core, Rlimit { current: *current, maximum });
        }
    }
}

/// The limit before [`on`].
#[cfg(all(target_os = "linux", not(debug_assertions)))]
static CORE: std::sync::OnceLock<Option<u64>> = std::sync::OnceLock::new();
