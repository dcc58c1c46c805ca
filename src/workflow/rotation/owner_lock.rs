//! Who works on a rotation: a lock in the inventory, so that two operators on
//! two machines that share the file do not both proceed.

use jiff::Timestamp;

use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::rotation::{Owner, Rotation};

/// A lock older than this is stale: every step refreshes it.
const STALE_AFTER_SECONDS: i64 = 15 * 60;

/// Returns this run as an owner.
///
/// # Errors
/// When the system gives no random bytes.
pub fn me(context: &Context) -> anyhow::Result<Owner> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(Owner {
        user: context.environment.user(),
        host: host(),
        pid: std::process::id(),
        token: random.iter().map(|byte| format!("{byte:02x}")).collect(),
        space: space(),
        at: context.now(),
    })
}

/// Returns whether two owners are one run. Two containers may share a host
/// name and a process number; nobody shares the token.
pub fn same(one: &Owner, other: &Owner) -> bool {
    !one.token.is_empty() && one.token == other.token
}

/// How somebody else's lock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The process is gone for certain: its number counts here, and nobody has it.
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
    // A lock from the future was written by a clock that is ahead.
    let age = (now.as_second() - owner.at.as_second()).abs();
    let counts_here = owner.host == me.host && owner.space == me.space;
    match (counts_here, runs) {
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

/// Returns the start of the system and the process namespace, by which two
/// containers of one host name are told apart.
fn space() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let number: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}-{number}", boot.trim().get(..8)?))
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
        let space = Some("boot-1".to_owned());
        Owner { user: "jo".to_owned(), host: host.to_owned(), pid: 7, token: "a".to_owned(), space, at }
    }

    #[test]
    fn two_containers_of_one_host_name_are_two() {
        let me = owner("app", 10_000);
        let other = Owner { token: "b".to_owned(), space: Some("boot-2".to_owned()), ..me.clone() };
        assert!(same(&me, &me.clone()));
        assert!(!same(&me, &other), "same host, same process number");
        assert_eq!(judge(&other, &me, me.at, false), Standing::Busy, "its process does not count here");
        // An older program wrote neither.
        let unmarked = Owner { token: String::new(), space: None, ..me.clone() };
        assert!(!same(&unmarked, &unmarked.clone()));
        assert_eq!(judge(&unmarked, &me, me.at, false), Standing::Busy);
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
        assert_eq!(judged(&owner("there", 10_100), false), Standing::Busy);
        assert_eq!(judged(&owner("there", 99_999), false), Standing::Stale, "its clock is ahead");
    }
}
