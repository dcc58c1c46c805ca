//! What an audit can find: stable ids, how grave each is, and one finding.

use serde::Serialize;

use crate::key::kind::fixed_words;
use crate::key::{KeyRef, Scope};
use crate::output::Level;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    Note,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }

    pub fn level(self) -> Level {
        match self {
            Self::Error => Level::Error,
            Self::Warning => Level::Warning,
            Self::Note => Level::Note,
        }
    }
}

macro_rules! rules {
    ($($variant:ident => $id:literal, $severity:ident, $text:literal;)+) => {
        /// What can be found. The ids are part of the interface: waivers name them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Id { $($variant,)+ }

        impl Id {
            pub const ALL: [Self; [$($id),+].len()] = [$(Self::$variant,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// Returns what the rule is, in one sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

rules! {
    OlderThanPolicy => "older-than-policy", Warning, "The key is older than `rotate_every` allows";
    AgeUnknown => "age-unknown", Note, "Policy wants the key rotated, but when it was made is not recorded";
    Expired => "expired", Error, "The recorded end of the key has passed";
    ExpiresSoon => "expires-soon", Warning, "The key ends within 14 days";
    NeverValidated => "never-validated", Warning, "The key was never proven from this machine";
    CheckTooOld => "check-too-old", Warning, "The last check is older than `--max-age`";
    LastRejected => "last-rejected", Error, "The provider refused the key at the last check";
    StillWorks => "still-works", Error, "A key recorded as switched off was accepted at the last check";
    Unused => "unused", Warning, "The provider ends keys that are not used, and this one has not been seen in use";
    NoConsumer => "no-consumer", Warning, "No place is recorded where the key is used";
    SeveralConsumers => "several-integrations", Warning, "Several integrations share one key";
    SameSecret => "same-secret", Warning, "Two records hold one secret";
    SameAsAgency => "same-as-agency", Warning, "A location's key is the agency's key";
    TooPowerful => "account-key-for-sending", Note, "An account key where a sending key would do";
    NotEffective => "not-effective", Warning, "The key is recorded where no key is in effect";
    LocationGone => "location-gone", Warning, "The platform says that this location does not exist any more";
    LocationMissing => "location-missing", Note, "No import lists this location any more; it is still served";
    EuDomain => "eu-domain", Warning, "The chosen domain is in the EU region, where it cannot be chosen";
    DomainUnfit => "domain-unfit", Warning, "The chosen domain could not be chosen at the last check";
    DomainShared => "domain-shared", Warning, "Several locations send from one domain";
    RotationOverdue => "rotation-overdue", Warning, "A rotation could go on, and does not";
    RotationStuck => "rotation-stuck", Warning, "A rotation does not get on";
    NotProvenDead => "not-proven-dead", Warning, "A retired key is not proven dead yet";
    AllowlistRelaxed => "allowlist-relaxed", Warning, "An IP allowlist was emptied and not restored";
    InventoryReadable => "inventory-readable", Note, "Other users of this machine can read the inventory";
    WaiverExpired => "waiver-expired", Warning, "A waiver has passed its date";
    WaiverUnused => "waiver-unused", Note, "A waiver waives nothing";
    NotAtProvider => "not-at-provider", Error, "The provider no longer lists a recorded key";
    NotRecorded => "not-recorded", Warning, "The provider lists a key that is not recorded here";
    OldKeyInUse => "old-key-in-use", Warning, "A key that is being retired is still in use";
    NotLookedAt => "not-looked-at", Note, "The provider could not be asked";
}
fixed_words!(Id, "audit finding");

/// One finding, its fields in the contract's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(serialize_with = "word")]
    pub id: Id,
    pub severity: Severity,
    pub key: Option<KeyRef>,
    pub scope: Option<Scope>,
    pub detail: String,
    pub fix: String,
    pub waived: bool,
    /// Why and until when, where it is waived.
    pub waiver: Option<Waived>,
    /// Which of several things of its subject it is about.
    #[serde(skip)]
    pub about: Option<String>,
    /// It leaves the audit undecided.
    #[serde(skip)]
    pub undecided: bool,
}

/// What a waiver says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waived {
    pub reason: String,
    pub until: Option<String>,
}

fn word<S: serde::Serializer>(id: &Id, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.as_str())
}

impl Finding {
    /// Returns a finding on a key.
    pub fn on_key(id: Id, key: &KeyRef, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { key: Some(key.clone()), scope: Some(key.scope.clone()), ..Self::anywhere(id, detail, fix) }
    }

    /// Returns the finding that something could not be looked at which the
    /// audit should have seen.
    pub fn undecided(key: &KeyRef, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { undecided: true, ..Self::on_key(Id::NotLookedAt, key, detail, fix) }
    }

    /// Returns a finding on a scope.
    pub fn on_scope(id: Id, scope: &Scope, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { scope: Some(scope.clone()), ..Self::anywhere(id, detail, fix) }
    }

    /// Returns a finding on neither.
    pub fn anywhere(id: Id, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            id,
            severity: id.severity(),
            key: None,
            scope: None,
            detail: detail.into(),
            fix: fix.into(),
            waived: false,
            waiver: None,
            about: None,
            undecided: false,
        }
    }

    /// Tells it from others with its id on the same key or scope.
    #[must_use]
    pub fn about(mut self, thing: impl Into<String>) -> Self {
        self.about = Some(thing.into());
        self
    }

    /// Returns what it is about; no two findings with one id have the same.
    pub fn subject(&self) -> String {
        let place = match (&self.key, &self.scope) {
            (Some(key), Some(scope)) if key.scope != *scope => format!("{key} at {scope}"),
            (Some(key), _) => key.to_string(),
            (None, Some(scope)) => scope.to_string(),
            (None, None) => "inventory".to_owned(),
        };
        match &self.about {
            Some(thing) => format!("{place} ({thing})"),
            None => place,
        }
    }
}
