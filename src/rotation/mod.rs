//! The persisted state machine of a rotation, pure: what is saved between two
//! steps, and which step comes next. Doing the steps is `commands::rotate`.
//!
//! Names follow AWS Secrets Manager: create, test, finish; current, pending,
//! previous.

mod basis;
mod next;

use std::fmt;

use jiff::Timestamp;

pub use basis::{Basis, Source};
pub use next::{Means, Pause, Step, next};

use crate::key::words::words;
use crate::key::{ConsumerKind, Expiry, Fingerprint, KeyRef, Record, RecordId};

/// The random id of a rotation, also written into the new key's description
/// where the provider has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct RotationId(Box<str>);

impl RotationId {
    /// Parses `r` followed by lower-case letters and digits.
    pub fn parse(text: &str) -> Option<Self> {
        let ok = text.len() >= 4
            && text.len() <= 40
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        ok.then(|| Self(text.into()))
    }

    /// Makes an id from 10 random bytes.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        let letters = RecordId::from_random(bytes);
        Self(format!("r{}", letters.as_str().get(1..).unwrap_or_default()).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RotationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// Where a rotation stands. Each is saved before and after its step.
    #[derive(PartialOrd, Ord)]
    pub enum Stage("stage") {
        Planned = "planned",
        Creating = "creating",
        Created = "created",
        Tested = "tested",
        Switched = "switched",
        Deploying = "deploying",
        Grace = "grace",
        Disabled = "disabled",
        Retiring = "retiring",
        RetiredVerifying = "retired-verifying",
        Done = "done",
        Aborting = "aborting",
        Aborted = "aborted",
        RollingBack = "rolling-back",
        RolledBack = "rolled-back",
    }
}

impl Stage {
    /// Returns whether the pointer has not moved yet, so that `--abort` may.
    pub fn before_switch(self) -> bool {
        matches!(self, Self::Planned | Self::Creating | Self::Created | Self::Tested)
    }

    /// Returns whether the new key is the one that goes.
    pub fn is_undoing(self) -> bool {
        matches!(self, Self::Aborting | Self::Aborted | Self::RollingBack | Self::RolledBack)
    }
}

words! {
    /// What is known of one of the two keys of a rotation at the provider.
    pub enum Liveness("state of a key") {
        Live = "live",
        Disabled = "disabled",
        Retiring = "retiring",
        Dead = "dead",
        Lost = "lost",
    }
}

/// One side of a rotation: the old key or the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    pub fingerprint: Option<Fingerprint>,
    pub last2: Option<String>,
    pub remote_id: Option<String>,
    pub login: Option<String>,
    /// `None`: nothing known yet (the new key before it exists).
    pub state: Option<Liveness>,
    /// What the record says, or will say, of this key while it is current.
    pub name: Option<String>,
    pub role: Option<String>,
    pub created: Option<Timestamp>,
    pub expires: Expiry,
    pub permissions: Vec<String>,
    /// A person gave it, and it is of another account: not ours to end.
    pub foreign: bool,
}

words! {
    /// How far one consumer is.
    pub enum Progress("consumer state") {
        Todo = "todo",
        Pushed = "pushed",
        Acked = "acked",
        Failed = "failed",
        /// The place has the key, but the write changed other settings of it.
        Damaged = "damaged",
        /// It needs none: it is gone, or never had the key that is taken back.
        Skipped = "skipped",
    }
}

impl Progress {
    /// Returns whether nothing is left to do for this consumer.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Pushed | Self::Acked | Self::Skipped)
    }
}

/// One consumer of a rotation: one line of the file, so that two people's
/// acknowledgements merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub key: KeyRef,
    pub name: String,
    pub kind: ConsumerKind,
    pub state: Progress,
    pub by: Option<String>,
    pub at: Option<Timestamp>,
}

/// Who is working on a rotation right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub user: String,
    pub host: String,
    pub pid: u32,
    /// Random, one for each run: host names and process numbers repeat.
    pub token: String,
    /// The start of the system and the process namespace in which `pid` counts;
    /// elsewhere that number says nothing. `None` where the system has neither.
    pub space: Option<String>,
    pub at: Timestamp,
}

words! {
    /// What was said when the first HighLevel location of a rotation was written
    /// and somebody was asked whether the others follow.
    pub enum Canary("answer to the canary question") {
        /// The others may be written.
        Agreed = "agreed",
        /// A person refused, or nobody was there: asked again only when a person
        /// names the key.
        Open = "open",
    }
}

/// A rotation as saved between two steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    pub id: RotationId,
    /// The records that hold the same secret and rotate together, sorted;
    /// the first names the rotation.
    pub keys: Vec<KeyRef>,
    pub stage: Stage,
    pub started: Timestamp,
    /// The key that manages: creates and retires. `None`: a human does.
    pub using: Option<KeyRef>,
    /// Seconds between the last consumer and the end of the old key.
    pub grace_seconds: i64,
    pub grace_until: Option<Timestamp>,
    /// When the pointer moved; usage of the old key after this counts.
    pub switched_at: Option<Timestamp>,
    /// The last use of the old key seen after the last consumer was done: it
    /// began another grace period.
    pub used_at: Option<Timestamp>,
    /// When a retired key must be proven dead.
    pub deadline: Option<Timestamp>,
    /// The key leaked: no grace.
    pub compromised: bool,
    /// The old key goes before the acknowledgements.
    pub kill_now: bool,
    /// Permissions the new key is asked to have (Klaviyo).
    pub permissions: Vec<String>,
    /// What the old key was found to have, where nothing says what it should.
    pub held: Vec<String>,
    /// `held` is all of it: a list told so.
    pub held_whole: bool,
    pub old: Side,
    pub new: Side,
    pub consumers: Vec<Delivery>,
    /// `None`: nobody was asked yet.
    pub canary: Option<Canary>,
    /// On what each step that cannot be undone stood, oldest first.
    pub evidence: Vec<Basis>,
    pub owner: Option<Owner>,
    /// The last thing that went wrong, for `--status`.
    pub trouble: Option<String>,
}

/// Returns what a new key is asked to have: what was said, else what is on
/// record, else all (`true`) that the old one was found to have. Empty: not known.
pub fn wanted<'a>(
    said: &'a [String],
    record: &'a Record,
    (held, whole): (&'a [String], bool),
) -> &'a [String] {
    let known = [said, &record.permissions].into_iter().find(|it| !it.is_empty());
    known.unwrap_or(if whole { held } else { &[] })
}

impl Rotation {
    /// Returns what the new key is asked to have, as [`wanted`].
    pub fn wanted<'a>(&'a self, record: &'a Record) -> &'a [String] {
        wanted(&self.permissions, record, (&self.held, self.held_whole))
    }

    /// Returns whether every consumer has the new key.
    pub fn delivered(&self) -> bool {
        self.consumers.iter().all(|it| it.state.is_done())
    }

    /// Returns whether HighLevel locations may be written now, as far as what
    /// was saved goes: none was damaged, and the canary question is not open.
    pub fn may_write_locations(&self) -> bool {
        self.canary != Some(Canary::Open) && self.consumers.iter().all(|it| it.state != Progress::Damaged)
    }

    /// Returns when the last consumer was done; without consumers, when the
    /// pointer moved.
    pub fn delivered_at(&self) -> Option<Timestamp> {
        self.consumers.iter().filter_map(|it| it.at).chain(self.switched_at).max()
    }

    /// Returns the key that is to go in the end: the old one, or, when the
    /// rotation is being undone, the new one.
    pub fn leaving(&self) -> &Side {
        if self.stage.is_undoing() { &self.new } else { &self.old }
    }

    pub fn leaving_mut(&mut self) -> &mut Side {
        if self.stage.is_undoing() { &mut self.new } else { &mut self.old }
    }
}
