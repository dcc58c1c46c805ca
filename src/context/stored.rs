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
use crate::store::{Row, StoreError};

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
    store: &'static Row,
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
        let place = self.store.set_by_person(key).unwrap_or_else(|| format!("the {} store", self.store.name));
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
        match self.store.set_by_person(key) {
            Some(name) => format!(
                "set {name} to the secret{which}; if the key was replaced, record the new one: \
                 `keyctl add {key} --replace`"
            ),
            None => format!("store the secret{which} again: `keyctl add {key} --replace`"),
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
        if !self.store.is_versioned() && self.slot == Slot::Current && self.refusal.is_none() {
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
    pub fn compare(&self, store: &'static Row, text: Secret) -> Stored {
        let fingerprint = text.fingerprint();
        let is = |slot: Slot| self.recorded(slot) == Some(&fingerprint);
        if is(self.slot) || (store.is_versioned() && self.is_to_be_replaced(&fingerprint)) {
            return Stored::Fits(text);
        }
        if !store.is_versioned()
            && let Some(other) = Slot::ALL.into_iter().find(|it| is(*it))
        {
            return Stored::OtherVersion(other, text);
        }
        let recorded = self.recorded(self.slot).cloned();
        let refusal = match provider::form(self.key.provider, self.record.kind, &text) {
            Form::Fits if recorded.is_none() => return Stored::Fits(text),
            // What a store keeps by its id was put there by keyctl.
            Form::Unknown(_) if recorded.is_none() && store.is_versioned() => return Stored::Fits(text),
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

/// Says that a store which keeps one text for all versions holds another than
/// the current one, under the name `place`.
pub fn other_version(place: &str, key: &KeyRef, slot: Slot) -> String {
    let when = match slot {
        Slot::Pending => "set it to the current one until the rotation has switched",
        Slot::Previous => "set it to the current one before the rotation ends",
        Slot::Current => "it is the current one",
    };
    format!("{place} holds the {slot} version of `{key}`; {when} (`keyctl rotate {key} --status`)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::RecordId;
    use crate::store::{Naming, Surroundings};

    /// A store that is in no table: one text for all versions, at a path.
    const SHELF: Row = Row {
        name: "shelf",
        summary: "a shelf",
        writable: false,
        naming: Naming::ByKey(|key| format!("shelf/{key}")),
        open: |_: &Surroundings| unreachable!("nothing is read"),
    };

    #[test]
    fn the_row_of_any_store_decides_what_its_text_may_be() {
        let key: KeyRef = "mailgun@acme".parse().unwrap();
        let mut record = Record::new(RecordId::parse("kabc").unwrap(), Kind::Account);
        record.fingerprint = Some(Secret::new("the recorded one".to_owned()).fingerprint());
        let inventory = Inventory::default();
        let wanted = Wanted { inventory: &inventory, key: &key, record: &record, slot: Slot::Current };
        let text = || Secret::new(["key-", &"0".repeat(32)].concat());
        let Stored::Mismatch(shelf) = wanted.compare(&SHELF, text()) else { panic!("it fits") };
        assert_eq!(
            shelf.message(),
            "shelf/mailgun@acme holds another secret than the one recorded for `mailgun@acme`"
        );
        assert!(shelf.hint().starts_with("set shelf/mailgun@acme to the secret"), "{}", shelf.hint());
        assert!(shelf.handed_out().is_ok(), "a person set it there");
        const VAULT: Row = Row { name: "vault", writable: true, naming: Naming::ByVersion, ..SHELF };
        let Stored::Mismatch(vault) = wanted.compare(&VAULT, text()) else { panic!("it fits") };
        assert!(vault.message().starts_with("the vault store holds another secret"), "{}", vault.message());
        assert!(vault.handed_out().is_err());
    }
}
