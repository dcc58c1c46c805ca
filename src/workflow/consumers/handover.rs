//! A secret on its way to one consumer, and what came of it.

use serde::Serialize;

use crate::inventory::Inventory;
use crate::key::Domain;
use crate::key::{Consumer, KeyRef, Record, Secret};
use crate::workflow::checklist::Check;

/// A secret on its way to one consumer.
#[derive(Clone, Copy)]
pub struct Handover<'a> {
    pub inventory: &'a Inventory,
    pub key: &'a KeyRef,
    /// As it is for this secret: its login, its domain.
    pub record: &'a Record,
    pub secret: &'a Secret,
    pub consumer: &'a Consumer,
    /// Asked just before the secret goes out: whether it is still the one that
    /// this place is to get.
    pub still_wanted: &'a dyn Fn() -> bool,
}

impl Handover<'_> {
    /// Refuses to hand out a secret that somebody else has replaced meanwhile.
    pub fn must_be_wanted(&self) -> Result<(), Failed> {
        match (self.still_wanted)() {
            true => Ok(()),
            false => Err(Failed::new("somebody else went on with the rotation; it was not written")),
        }
    }
}

/// Why a consumer did not get it; without the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub why: String,
    pub hint: Option<String>,
    /// The place has the key, and lost or changed other settings by it.
    pub damaged: bool,
}

impl Failed {
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), hint: None, damaged: false }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What can be said of a secret that was handed over.
#[derive(Debug, Clone)]
pub struct HandedOver {
    pub detail: String,
    /// Of a HighLevel location.
    pub proof: Option<Proof>,
}

/// What was proven after one push, its fields in the order of JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    pub domain: Domain,
    pub checks: Vec<Check>,
    /// Whether it was proven for this location, not for an earlier one.
    #[serde(skip)]
    pub fresh: bool,
}
