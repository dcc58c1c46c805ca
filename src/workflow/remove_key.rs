//! A key that is no more leaves the inventory and the store, in the order that
//! loses nothing: mark, delete, drop the mark.

use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::{Inventory, Mark};
use crate::key::{Judgement, KeyRef, KeyState, Reason, Record, Verdict};
use crate::state::{EVIDENCE, Evidence, VERDICTS, Verdicts};
use crate::store::Item;
use crate::workflow::managing_key::Keyed;
use crate::workflow::smtp_login;
use crate::workflow::store_secret::not_in_rotation;

/// How it came to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Deleted at the provider by API.
    Revoked,
    /// Deleted in the console by a person.
    Console,
    /// Refused by the provider already, or never there.
    Dead,
    /// Only here.
    Forgotten,
}

/// The key in question.
pub struct Subject<'a> {
    pub context: &'a Context,
    pub inventory: &'a Inventory,
    pub key: &'a KeyRef,
    pub record: &'a Record,
}

impl Subject<'_> {
    /// Returns the record with its secret, current or announced; `None` when no
    /// store has one.
    pub fn keyed(&self) -> anyhow::Result<Option<Keyed>> {
        for slot in [Slot::Current, Slot::Pending] {
            let secret =
                self.context.secret(self.inventory, self.key, self.record, slot).map_err(Situation::from)?;
            if let Some(secret) = secret {
                return Ok(Some(Keyed { key: self.key.clone(), record: self.record.clone(), secret }));
            }
        }
        Ok(None)
    }

    /// Asks the provider. A bare refusal may be a block of this address where
    /// the account is known to have an allowlist.
    pub fn judgement(&self, keyed: &Keyed) -> anyhow::Result<Judgement> {
        let whole = (self.key, self.record);
        let mut judgement = smtp_login::judge(self.context, self.inventory, whole, &keyed.secret)?;
        smtp_login::doubt(self.key.provider, self.record.kind, &mut judgement);
        let known: std::collections::BTreeMap<String, Evidence> = self.context.state.read(EVIDENCE);
        let allowlist = known.get(self.record.id.as_str()).and_then(|it| it.allowlist);
        if judgement.reason() == Some(Reason::Unauthorized) && allowlist == Some(true) {
            judgement.remove(Reason::Unauthorized);
            judgement.add(Reason::IpBlocked);
        }
        Ok(judgement)
    }

    /// Returns whether the provider ever accepted the key, as far as this
    /// machine knows.
    pub fn worked(&self) -> bool {
        let known: Verdicts = self.context.state.read(VERDICTS);
        known.get(self.record.id.as_str()).is_some_and(|it| it.accepted_at.is_some())
    }

    /// Returns whether the login was told by another key and never proven: that
    /// key may be of another account, and this one alive in its own.
    pub fn login_is_a_guess(&self) -> bool {
        let told =
            smtp_login::are_the_accounts(self.key.provider, self.record.kind) && self.record.login.is_none();
        told && !self.worked()
    }

    /// Only what its provider refuses may go without another word.
    pub fn must_be_dead(&self) -> anyhow::Result<()> {
        let key = self.key;
        let words = format!(
            "`keyctl remove {key} --revoke` deletes it at {} first; `--forget` removes it here only",
            key.provider
        );
        let Some(keyed) = self.keyed()? else {
            // What was announced and never stored, or is half removed, works nowhere.
            if self.record.current.is_none() && self.record.state == KeyState::Pending {
                return Ok(());
            }
            let message =
                format!("whether `{key}` still works cannot be told: its secret is not in the store");
            return Err(Situation::refused("may-still-work", message).hint(words).into());
        };
        let judgement = self.judgement(&keyed)?;
        match judgement.verdict() {
            Verdict::Rejected if self.login_is_a_guess() => {
                let message = format!(
                    "whether `{key}` still works cannot be told: it was never accepted with the login that another \
                     key told ({})",
                    judgement.detail
                );
                Err(Situation::new(Exit::Unknown, "login-unknown", message).hint(words).into())
            }
            Verdict::Rejected => Ok(()),
            Verdict::Valid | Verdict::Limited => {
                Err(Situation::refused("still-works", format!("`{key}` still works")).hint(words).into())
            }
            Verdict::Unknown => {
                let message = format!("whether `{key}` still works could not be told: {}", judgement.detail);
                let code = judgement.reason().map_or("unknown", Reason::as_str);
                Err(Situation::new(Exit::Unknown, code, message).hint(words).into())
            }
        }
    }

    /// Removes secret and record: marked first, so that a crash leaves nothing
    /// in the store that no record tells of.
    pub fn drop_it(&self) -> anyhow::Result<()> {
        let Record { id, current, pending, previous, highest, .. } = self.record.clone();
        let store = self.context.store_of(self.inventory, self.record)?;
        let lowest = [current, pending, previous].into_iter().flatten().min();
        if let Some(lowest) = lowest.filter(|_| store.row().writable) {
            self.context.update(|inventory| {
                let record = self.still_the_same(inventory)?;
                record.state = KeyState::Pending;
                (record.current, record.pending, record.previous) = (None, None, Some(lowest));
                Ok(())
            })?;
            for version in lowest..=highest {
                let item = Item { id: id.clone(), version, key: self.key.clone() };
                store.delete(&item).map_err(Situation::from)?;
            }
        }
        self.context.update(|inventory| {
            self.still_the_same(inventory)?;
            inventory.keys.remove(self.key);
            inventory.waivers.retain(|it| it.key.as_ref() != Some(self.key));
            Ok(())
        })
    }

    pub fn still_the_same<'i>(&self, inventory: &'i mut Inventory) -> Result<&'i mut Record, Situation> {
        not_in_rotation(inventory, self.key)?;
        let record = inventory.keys.get_mut(self.key);
        record.filter(|it| it.id == self.record.id && it.highest == self.record.highest).ok_or_else(|| {
            Situation::refused(
                "changed-meanwhile",
                format!("`{}` was changed by another process meanwhile", self.key),
            )
            .hint("look at it with `keyctl show`, and try again")
        })
    }
}

/// A rotation that is under way needs the key that manages, and so does a
/// creation of which the outcome is not known.
pub fn not_managing(inventory: &Inventory, key: &KeyRef) -> Result<(), Situation> {
    let asked_with = |it: &Record| it.create_call.as_ref().and_then(|it| it.using.as_ref()) == Some(key);
    let waits = |record: &Record| record.is_unsettled() && asked_with(record);
    if let Some((made, _)) = inventory.keys.iter().find(|(_, record)| waits(record)) {
        return Err(Situation::refused(
            "create-unsettled",
            format!("`{key}` asked for `{made}`, and it is not known yet whether that was made"),
        )
        .hint(format!("finish that first: `keyctl create {made}`")));
    }
    match inventory.rotations.values().find(|it| it.using.as_ref() == Some(key)) {
        None => Ok(()),
        Some(rotation) => {
            let rotated = &rotation.keys[0];
            Err(Situation::refused(
                "rotation-running",
                format!("`{key}` manages the rotation of `{rotated}`"),
            )
            .hint(format!("finish that first: `keyctl rotate {rotated} --resume`")))
        }
    }
}

/// Returns the other records of the same secret.
pub fn same_secret(inventory: &Inventory, key: &KeyRef, record: &Record) -> Vec<KeyRef> {
    let Some(fingerprint) = record.fingerprint.clone() else { return Vec::new() };
    let same = inventory.keys.marked(&Mark::Fingerprint(fingerprint));
    same.map(|(other, _)| other).filter(|other| *other != key).cloned().collect()
}
