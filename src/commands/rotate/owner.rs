//! Who works on a rotation: a lock in the inventory, so that two operators on
//! two machines that share the file do not both proceed.

use jiff::Timestamp;

use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::rotation::{Owner, Rotation};

/// A lock older than this is stale: every step refreshes it.
const STALE_AFTER_SECONDS: i64 = 15 * 60;

/// Returns this process as an owner.
pub fn me(context: &Context) -> Owner {
    Owner { user: context.environment.user(), host: host(), pid: std::process::id(), at: context.now() }
}

/// Returns whether two owners are one process.
pub fn same(one: &Owner, other: &Owner) -> bool {
    one.host == other.host && one.pid == other.pid
}

/// How somebody else's lock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The process is gone for certain: it was on this machine.
    Gone,
    /// Nothing was heard of it for long.
    Stale,
    Busy,
}

/// Returns how `owner`'s lock stands, seen from `me`.
pub fn standing(owner: &Owner, me: &Owner, now: Timestamp) -> Standing {
    judge(owner, me, now, runs(owner.pid))
}

fn judge(owner: &Owner, me: &Owner, now: Timestamp, runs: bool) -> Standing {
    let age = now.as_second() - owner.at.as_second();
    match (owner.host == me.host, runs) {
        (true, false) => Standing::Gone,
        _ if age > STALE_AFTER_SECONDS => Standing::Stale,
        _ => Standing::Busy,
    }
}

/// Takes the lock of a rotation.
///
/// # Errors
/// Exit 9, naming owner, host and age: while somebody else is at work, and for
/// a stale lock that `take_over` does not name.
pub fn take(rotation: &mut Rotation, me: &Owner, take_over: bool) -> Result<(), Situation> {
    if let Some(owner) = rotation.owner.as_ref().filter(|it| !same(it, me)) {
        let who = || {
            let age = clock::spoken(me.at.as_second() - owner.at.as_second());
            format!(
                "`{}` is in the hands of {} on {} (process {}, {age} ago)",
                rotation.keys[0], owner.user, owner.host, owner.pid
            )
        };
        match (standing(owner, me, me.at), take_over) {
            (Standing::Gone, _) | (Standing::Stale, true) => {}
            (Standing::Stale, false) => {
                return Err(Situation::new(Exit::Refused, "rotation-stale", who()).hint(format!(
                    "if that work has stopped: `keyctl rotate {} --take-over`",
                    rotation.keys[0]
                )));
            }
            (Standing::Busy, _) => {
                return Err(Situation::new(Exit::Refused, "rotation-busy", who()).hint(
                    "wait until it is done; after 15 minutes without a sign of life `--take-over` is possible",
                ));
            }
        }
    }
    rotation.owner = Some(me.clone());
    Ok(())
}

fn host() -> String {
    #[cfg(unix)]
    return rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    return "this machine".to_owned();
}

/// Returns whether a process of this number runs on this machine.
#[cfg(unix)]
fn runs(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn runs(_pid: u32) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(host: &str, second: i64) -> Owner {
        let at = Timestamp::from_second(second).unwrap();
        Owner { user: "jo".to_owned(), host: host.to_owned(), pid: 7, at }
    }

    #[test]
    fn a_lock_is_judged_by_its_machine_and_age() {
        let me = owner("here", 10_000);
        let judged = |other: &Owner, runs| judge(other, &me, me.at, runs);
        assert_eq!(judged(&owner("here", 9_999), false), Standing::Gone);
        assert_eq!(judged(&owner("here", 9_999), true), Standing::Busy);
        assert_eq!(judged(&owner("there", 9_999), false), Standing::Busy);
        assert_eq!(judged(&owner("there", 0), false), Standing::Stale);
        assert_eq!(judged(&owner("here", 0), true), Standing::Stale);
    }
}
