//! What a store gave for a record, held against what the inventory records of
//! it. Only here is decided whether a text is the record's secret: one that is
//! not is neither sent nor, but for the `env` store, handed out.

use std::borrow::Cow;

use super::slot::Slot;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Fingerprint, Judgement, KeyRef, Kind, Reason, Record, Secret};
use crate::provider::{self, Form, Refusal};
use crate::rotation::Side;
use crate::store::{self, StoreError};

/// What a store gave for one version of a record.
#[derive(Debug)]
pub enum Stored {
    /// Nothing is kept under that name.
    Absent,
    /// The version that was asked for, as far as can be told.
    Fits(Secret),
    /// Another version of the same record. Only the `env` store, which has one
    /// text for all of them, gives that.
    OtherVersion(Slot, Secret),
    /// A text that is no version of the record.
    Mismatch(Box<Mismatch>),
}

/// A secret that may be sent, with the record as it is for that version.
#[derive(Debug)]
pub struct Usable<'r> {
    pub secret: Secret,
    /// The record; of another version than the current one with its id, login,
    /// expiry and fingerprint.
    pub record: Cow<'r, Record>,
}

/// Why the secret of a record cannot be used.
#[derive(Debug)]
pub enum Unusable {
    Store(StoreError),
    /// The store gave a text that is not the record's.
    Mismatch(Box<Mismatch>),
}

impl From<StoreError> for Unusable {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A mismatch ends a command with exit 4: nothing was proven of the record.
impl From<Unusable> for Situation {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Store(error) => error.into(),
            Unusable::Mismatch(mismatch) => mismatch.not_sent(),
        }
    }
}

/// A text that a store gave for a record and that is not the record's secret.
#[derive(Debug)]
pub struct Mismatch {
    key: KeyRef,
    kind: Kind,
    store: &'static str,
    slot: Slot,
    recorded: Option<Fingerprint>,
    /// What the text is, where its form is not that of such a key.
    refusal: Option<Refusal>,
    text: Secret,
}

impl Mismatch {
    /// Says which store holds what; never the text.
    pub fn message(&self) -> String {
        let key = &self.key;
        let place = match self.store {
            "env" => store::env::variable(key),
            name => format!("the {name} store"),
        };
        let version = match self.slot {
            Slot::Current => String::new(),
            slot => format!("the {slot} version of "),
        };
        match (&self.recorded, &self.refusal) {
            (None, Some(refusal)) => format!(
                "{place} holds {}; {version}`{key}` is recorded as a {} key of kind {}",
                self.text.scrub(&refusal.what),
                key.provider,
                self.kind
            ),
            _ => format!("{place} holds another secret than the one recorded for {version}`{key}`"),
        }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> String {
        let key = &self.key;
        let which =
            self.recorded.as_ref().map(|it| format!(" with the fingerprint {it}")).unwrap_or_default();
        match self.store {
            "env" => format!(
                "set {} to the secret{which}; if the key was replaced, record the new one: \
                 `keyctl add {key} --replace`",
                store::env::variable(key)
            ),
            _ => format!("store the secret{which} again: `keyctl add {key} --replace`"),
        }
    }

    /// Returns the verdict that nothing was proven, since nothing was sent.
    pub fn judgement(&self) -> Judgement {
        Judgement::because(Reason::SecretMismatch, format!("{}; it was not sent", self.message()))
            .with_hint(self.hint())
    }

    /// Returns the end of a command that would have sent it: exit 4.
    pub fn not_sent(&self) -> Situation {
        self.situation(Exit::Unknown, "it was not sent")
    }

    /// Returns the text for `get`, `run` and `export`: only the `env` store's,
    /// and only if its form is that of such a key.
    ///
    /// # Errors
    /// Exit 9 for any other.
    pub fn handed_out(self) -> Result<Secret, Situation> {
        if self.store == "env" && self.slot == Slot::Current && self.refusal.is_none() {
            return Ok(self.text);
        }
        Err(self.situation(Exit::Refused, "it was not handed out"))
    }

    fn situation(&self, exit: Exit, so: &str) -> Situation {
        let code = Reason::SecretMismatch.as_str();
        Situation::new(exit, code, format!("{}; {so}", self.message())).hint(self.hint())
    }
}

/// A record, where its secret is kept, and the version that is wanted of it.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub inventory: &'a Inventory,
    pub key: &'a KeyRef,
    pub record: &'a Record,
    pub slot: Slot,
}

impl Wanted<'_> {
    /// Decides what a text is that the store `store` gave for this version: by
    /// the fingerprint where one is recorded, else by its form.
    pub fn compare(&self, store: &'static str, text: Secret) -> Stored {
        let fingerprint = text.fingerprint();
        let is = |slot: Slot| self.recorded(slot) == Some(&fingerprint);
        if is(self.slot) || (store != "env" && self.is_to_be_replaced(&fingerprint)) {
            return Stored::Fits(text);
        }
        if store == "env"
            && let Some(other) = Slot::ALL.into_iter().find(|it| is(*it))
        {
            return Stored::OtherVersion(other, text);
        }
        let recorded = self.recorded(self.slot).cloned();
        let refusal = match provider::form(self.key.provider, self.record.kind, &text) {
            Form::Fits if recorded.is_none() => return Stored::Fits(text),
            // What a store keeps by its id was put there by keyctl.
            Form::Unknown(_) if recorded.is_none() && store != "env" => return Stored::Fits(text),
            Form::Fits => None,
            Form::Unknown(refusal) | Form::Other(refusal) => Some(refusal),
        };
        let (key, kind) = (self.key.clone(), self.record.kind);
        Stored::Mismatch(Box::new(Mismatch { key, kind, store, slot: self.slot, recorded, refusal, text }))
    }

    /// Returns whether a rotation that has not switched knows the current
    /// version as the key that it replaces: it can be given up even if somebody
    /// edited the record meanwhile.
    fn is_to_be_replaced(&self, fingerprint: &Fingerprint) -> bool {
        let rotation = self
            .inventory
            .rotation_of(self.key)
            .filter(|it| self.slot == Slot::Current && (it.stage.before_switch() || it.stage.is_undoing()));
        rotation.is_some_and(|it| it.old.fingerprint.as_ref() == Some(fingerprint))
    }

    /// Returns the fingerprint recorded of a version that the record has: the
    /// current one's stands in the record, the others' in the rotation.
    fn recorded(&self, slot: Slot) -> Option<&Fingerprint> {
        if slot == Slot::Current {
            return self.record.fingerprint.as_ref();
        }
        slot.version(self.record)?;
        side(self.inventory, self.key, slot)?.fingerprint.as_ref()
    }
}

/// Returns what a running rotation records of a version that is not current.
fn side<'a>(inventory: &'a Inventory, key: &KeyRef, slot: Slot) -> Option<&'a Side> {
    let rotation = inventory.rotation_of(key)?;
    match slot {
        Slot::Current => None,
        Slot::Pending => Some(&rotation.new),
        Slot::Previous => Some(&rotation.old),
    }
}

/// Returns the record as it is of one of its versions.
pub fn version_of<'r>(
    inventory: &Inventory,
    key: &KeyRef,
    record: &'r Record,
    slot: Slot,
) -> Cow<'r, Record> {
    let Some(side) = side(inventory, key, slot) else { return Cow::Borrowed(record) };
    let mut version = record.clone();
    version.fingerprint.clone_from(&side.fingerprint);
    version.last2.clone_from(&side.last2);
    version.remote_id.clone_from(&side.remote_id);
    version.remote_name.clone_from(&side.name);
    version.role = side.role.clone().or(version.role);
    version.created = side.created;
    version.expires = side.expires;
    // A login that is the account's is the same for every version.
    if provider::provider(key.provider).login_teller(record.kind).is_none() {
        version.login = side.login.clone().or(version.login);
    }
    if !side.permissions.is_empty() {
        version.permissions.clone_from(&side.permissions);
    }
    Cow::Owned(version)
}

/// Says that the `env` store holds another version than the current one.
pub fn other_version(key: &KeyRef, slot: Slot) -> String {
    let variable = store::env::variable(key);
    let when = match slot {
        Slot::Pending => "set it to the current one until the rotation has switched",
        Slot::Previous => "set it to the current one before the rotation ends",
        Slot::Current => "it is the current one",
    };
    format!("{variable} holds the {slot} version of `{key}`; {when} (`keyctl rotate {key} --status`)")
}
