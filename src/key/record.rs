//! What the inventory knows about one key. Never the secret.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::kind::{Kind, Region};
use super::name::Domain;
use super::reference::{KeyRef, Scope};
use super::secret::{Fingerprint, Secret};
use super::words::words;

/// The random, never reused name of a record in the store. Unique across
/// inventories, so two of them may share one keyring.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(Box<str>);

impl RecordId {
    /// Parses `k` followed by lower-case letters and digits.
    pub fn parse(text: &str) -> Option<Self> {
        let ok = (4..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        ok.then(|| Self(text.into()))
    }

    /// Makes an id from 10 random bytes.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut text = String::from("k");
        let mut buffer: u32 = 0;
        let mut bits = 0;
        for byte in bytes {
            buffer = (buffer << 8) | u32::from(byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                text.push(ALPHABET[(buffer >> bits) as usize & 31] as char);
            }
        }
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// Whether a record is in use.
    #[derive(Default)]
    pub enum KeyState("key state") {
        #[default]
        Active = "active",
        /// Switched off at the provider: expected to be refused.
        Disabled = "disabled",
        /// Announced, but its secret is not there yet.
        Pending = "pending",
    }
}

/// When a key stops working by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expiry {
    #[default]
    Unknown,
    Never,
    At(Timestamp),
}

impl Expiry {
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Unknown | Self::Never => None,
        }
    }
}

words! {
    /// How a consumer gets a new secret.
    pub enum ConsumerKind("kind of consumer") {
        /// A person pastes it and says so.
        Manual = "manual",
        /// An approved argv gets it on stdin.
        Command = "command",
        /// `PUT /locations/{id}` at HighLevel.
        Highlevel = "highlevel",
    }
}

/// A place where a key has been pasted or deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Free text without control characters; unique within a key.
    pub name: String,
    pub kind: ConsumerKind,
    /// The location a `highlevel` consumer pushes to.
    pub location: Option<Scope>,
    pub url: Option<String>,
    /// The argv of a `command` consumer.
    pub command: Vec<String>,
}

impl Consumer {
    pub fn manual(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: ConsumerKind::Manual, location: None, url: None, command: Vec::new() }
    }
}

/// Returns the mark of a record: see [`Record::mark`].
pub fn mark(id: &RecordId) -> String {
    format!("[keyctl {id}]")
}

/// The last call that made, or deleted again, a key whose outcome is not
/// settled: until the provider's list had time to show it, nobody knows
/// whether there is a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCall {
    /// Right before the call; once it has ended, then.
    pub at: Timestamp,
    /// The managing key that asked: it sees the list which would show the key.
    pub using: Option<KeyRef>,
}

/// One key as the inventory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: RecordId,
    pub kind: Kind,
    pub state: KeyState,
    pub region: Option<Region>,
    /// The domain a sending key or SMTP login belongs to.
    pub domain: Option<Domain>,
    pub login: Option<String>,
    /// The store that holds the versions; `None` means the inventory's.
    pub store: Option<String>,
    /// The version in use, the one being introduced, the one being retired.
    pub current: Option<u32>,
    pub pending: Option<u32>,
    pub previous: Option<u32>,
    /// The highest version ever announced; never goes down.
    pub highest: u32,
    /// A key was asked for by API, and it is not kept yet.
    pub create_call: Option<CreateCall>,
    pub fingerprint: Option<Fingerprint>,
    pub last2: Option<String>,
    pub created: Option<Timestamp>,
    pub expires: Expiry,
    /// Who the provider said this is, in one line.
    pub identity: Option<String>,
    /// The provider's stable account id, where there is one.
    pub account_id: Option<String>,
    pub role: Option<String>,
    /// The provider's public id of the key.
    pub remote_id: Option<String>,
    pub remote_name: Option<String>,
    pub permissions: Vec<String>,
    pub note: Option<String>,
    pub consumers: Vec<Consumer>,
}

impl Record {
    /// Returns a record of `kind` with nothing known yet.
    pub fn new(id: RecordId, kind: Kind) -> Self {
        Self {
            id,
            kind,
            state: KeyState::Active,
            region: None,
            domain: None,
            login: None,
            store: None,
            current: None,
            pending: None,
            previous: None,
            highest: 0,
            create_call: None,
            fingerprint: None,
            last2: None,
            created: None,
            expires: Expiry::Unknown,
            identity: None,
            account_id: None,
            role: None,
            remote_id: None,
            remote_name: None,
            permissions: Vec::new(),
            note: None,
            consumers: Vec::new(),
        }
    }

    /// Returns the mark in the provider's name of a key that was made for this
    /// record: by it the key is found where the reply was lost.
    pub fn mark(&self) -> String {
        mark(&self.id)
    }

    /// Returns whether a key was asked for by API, and it is not known yet
    /// whether one was made: the record is its announcement. Earlier versions
    /// recorded the mark only.
    pub fn is_unsettled(&self) -> bool {
        let marked = || self.remote_name.as_ref().is_some_and(|it| it.contains(&self.mark()));
        self.current.is_none() && self.state == KeyState::Pending && (self.create_call.is_some() || marked())
    }

    /// Records what may be shown of `secret`: fingerprint and last two
    /// characters, neither for a secret a person may have chosen.
    pub fn describe_secret(&mut self, secret: &Secret, chosen_by_person: bool) {
        self.fingerprint = (!chosen_by_person).then(|| secret.fingerprint());
        self.last2 = (!chosen_by_person).then(|| secret.last2());
    }

    pub fn age_days(&self, now: Timestamp) -> Option<i64> {
        self.created.map(|created| (now.as_second() - created.as_second()).div_euclid(86_400))
    }
}
