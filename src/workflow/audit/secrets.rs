//! The secrets that a look at the providers needs: which could not be read,
//! and what that leaves open.

use std::collections::BTreeSet;

use crate::context::{Context, Slot, Stored};
use crate::inventory::Inventory;
use crate::key::{KeyRef, Record, Secret};
use crate::store::StoreProblem;
use crate::workflow::audit::finding::{Finding, Id};
use crate::workflow::verdict_memory::Asked;

/// Reads secrets and counts how it went.
pub struct Secrets<'a> {
    context: &'a Context,
    inventory: &'a Inventory,
    read: usize,
    failed: usize,
    /// Stores that do not answer are not asked again.
    hopeless: BTreeSet<String>,
}

impl<'a> Secrets<'a> {
    pub fn new(context: &'a Context, inventory: &'a Inventory) -> Self {
        Self { context, inventory, read: 0, failed: 0, hopeless: BTreeSet::new() }
    }

    /// Reads the current secret of a record.
    ///
    /// # Errors
    /// The finding that it cannot be read, so that nothing was looked at.
    pub fn read(&mut self, key: &KeyRef, record: &Record) -> Result<Secret, Box<Finding>> {
        let undecided = |detail: String, fix: String| Box::new(Finding::undecided(key, detail, fix));
        let store = self.context.store_name_of(self.inventory, record);
        if self.hopeless.contains(store) {
            let detail = format!("its secret cannot be read: the {store} store does not answer");
            return Err(undecided(detail, "`keyctl store status`".to_owned()));
        }
        match self.context.stored(self.inventory, key, record, Slot::Current) {
            Ok(Stored::Fits(secret)) => {
                self.read += 1;
                Ok(secret)
            }
            // What another version may see says nothing of this one.
            Ok(Stored::OtherVersion(slot, _)) => {
                self.read += 1;
                let fix = format!("`keyctl rotate {key} --status`");
                Err(undecided(self.context.other_version(self.inventory, key, record, slot), fix))
            }
            Ok(Stored::Mismatch(mismatch)) => {
                self.read += 1;
                Err(undecided(format!("{}; it was not sent", mismatch.message()), mismatch.hint()))
            }
            Ok(Stored::Absent) => {
                let again = self.context.store_again(self.inventory, key, record);
                Err(undecided(format!("the {store} store has no secret of it"), again))
            }
            Err(error) => {
                self.failed += 1;
                if matches!(error.problem, StoreProblem::TimedOut | StoreProblem::NoService) {
                    self.hopeless.insert(store.to_owned());
                }
                let fix = error.remedy.unwrap_or_else(|| "`keyctl store status`".to_owned());
                Err(undecided(format!("its secret cannot be read: {}", error.message), fix))
            }
        }
    }

    /// Reads a secret that is known not to be another than the record's.
    pub fn own(&mut self, key: &KeyRef, record: &Record) -> Option<Secret> {
        let secret = self.read(key, record).ok()?;
        let asked = Asked::of(self.context, self.inventory, key, record, &secret);
        asked.is_current().then_some(secret)
    }

    /// Returns whether stores failed and not a single secret was read.
    pub fn locked(&self) -> bool {
        self.failed > 0 && self.read == 0
    }
}

/// Returns the findings that stand for what was not looked at: one for a key,
/// and none for a key that is found to be gone.
pub fn tidy(findings: &mut Vec<Finding>) {
    let gone: BTreeSet<KeyRef> =
        findings.iter().filter(|it| it.id == Id::NotAtProvider).filter_map(|it| it.key.clone()).collect();
    let mut told: BTreeSet<(KeyRef, String)> = BTreeSet::new();
    findings.retain(|it| match (&it.key, it.id) {
        (Some(key), Id::NotLookedAt) => !gone.contains(key) && told.insert((key.clone(), it.detail.clone())),
        _ => true,
    });
}
