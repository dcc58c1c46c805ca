//! The persisted state machine of a rotation, pure: what is saved between two
//! steps, and which step comes next. Doing the steps is `commands::rotate`.
//!
//! Names follow AWS Secrets Manager: create, test, finish; current, pending,
//! previous.

use std::fmt;

use jiff::Timestamp;

use crate::key::kind::fixed_words;
use crate::key::{ConsumerKind, Fingerprint, KeyRef};

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
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RotationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a rotation stands. Each is saved before and after its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Planned,
    Creating,
    Created,
    Tested,
    Switched,
    Deploying,
    Grace,
    Disabled,
    Retiring,
    RetiringVerifying,
    Done,
    Aborting,
    Aborted,
    RollingBack,
    RolledBack,
}

impl Stage {
    pub const ALL: [Self; 15] = [
        Self::Planned,
        Self::Creating,
        Self::Created,
        Self::Tested,
        Self::Switched,
        Self::Deploying,
        Self::Grace,
        Self::Disabled,
        Self::Retiring,
        Self::RetiringVerifying,
        Self::Done,
        Self::Aborting,
        Self::Aborted,
        Self::RollingBack,
        Self::RolledBack,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Tested => "tested",
            Self::Switched => "switched",
            Self::Deploying => "deploying",
            Self::Grace => "grace",
            Self::Disabled => "disabled",
            Self::Retiring => "retiring",
            Self::RetiringVerifying => "retiring-verifying",
            Self::Done => "done",
            Self::Aborting => "aborting",
            Self::Aborted => "aborted",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
        }
    }

    /// Returns whether nothing is left to do.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Aborted | Self::RolledBack)
    }

    /// Returns whether the pointer has not moved yet, so that `--abort` may.
    pub fn before_switch(self) -> bool {
        matches!(self, Self::Planned | Self::Creating | Self::Created | Self::Tested)
    }
}
fixed_words!(Stage, "stage");

/// What is known of one of the two keys of a rotation at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    Live,
    Disabled,
    Retiring,
    Dead,
    Lost,
}

impl Liveness {
    pub const ALL: [Self; 5] = [Self::Live, Self::Disabled, Self::Retiring, Self::Dead, Self::Lost];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Disabled => "disabled",
            Self::Retiring => "retiring",
            Self::Dead => "dead",
            Self::Lost => "lost",
        }
    }
}
fixed_words!(Liveness, "state of a key");

/// One side of a rotation: the old key or the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    pub fingerprint: Option<Fingerprint>,
    pub last2: Option<String>,
    pub remote_id: Option<String>,
    pub login: Option<String>,
    /// `None`: nothing known yet (the new key before it exists).
    pub state: Option<Liveness>,
}

/// How far one consumer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    Todo,
    Pushed,
    Acked,
    Failed,
}

impl Progress {
    pub const ALL: [Self; 4] = [Self::Todo, Self::Pushed, Self::Acked, Self::Failed];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Todo => "todo",
            Self::Pushed => "pushed",
            Self::Acked => "acked",
            Self::Failed => "failed",
        }
    }
    /// Returns whether nothing is left to do for this consumer.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Pushed | Self::Acked)
    }
}
fixed_words!(Progress, "consumer state");

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
    pub at: Timestamp,
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
    /// When a retired key must be proven dead.
    pub deadline: Option<Timestamp>,
    /// The key leaked: no grace.
    pub compromised: bool,
    /// The old key goes before the acknowledgements.
    pub kill_now: bool,
    /// Permissions the new key is asked to have (Klaviyo).
    pub permissions: Vec<String>,
    pub old: Side,
    pub new: Side,
    pub consumers: Vec<Delivery>,
    pub owner: Option<Owner>,
    /// The last thing that went wrong, for `--status`.
    pub trouble: Option<String>,
}

impl Rotation {
    /// Returns whether every consumer has the new key.
    pub fn delivered(&self) -> bool {
        self.consumers.iter().all(|it| it.state.is_done())
    }
}
