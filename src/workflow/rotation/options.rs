//! What a call asks of a rotation, beyond the keys, and what a person says in it.

use crate::clock::Span;
use crate::key::{KeyRef, KeyRefArg};
use crate::workflow::test_mail::address::Address;

/// What a run was asked for, beyond the keys.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub grace: Option<Span>,
    pub using: Option<KeyRefArg>,
    pub permissions: Vec<String>,
    pub stdin: bool,
    pub walk: bool,
    pub test_to: Option<Address>,
    pub compromised: bool,
    pub kill_now: bool,
    pub take_over: bool,
    /// The keys that were named by key ref: only their open questions are
    /// taken up again.
    pub named: Vec<KeyRef>,
    /// `--all`: nobody is asked for what only a person can know.
    pub all: bool,
    /// What a person says of the step that waits for them.
    pub done: bool,
    pub not_made: bool,
    pub unused: bool,
}
