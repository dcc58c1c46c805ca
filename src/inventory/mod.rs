//! The inventory: agencies, locations, key records, consumers, rotations.
//! Never a secret. `mod` is the model in memory, `wire` its versioned TOML
//! form, `file` the locked, atomic file that keeps a person's comments.

pub mod file;
mod keys;
pub mod select;
pub mod wire;

pub use file::InventoryFile;
pub use keys::{Keys, Mark};

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::clock::Span;
use crate::key::resolve::{self, Effective};
use crate::key::words::words;
use crate::key::{Domain, KeyRef, Kind, Name, ProviderId, Record, Scope};
use crate::rotation::{Rotation, RotationId};

words! {
    /// The platform an agency's e-mail is used from.
    pub enum Platform("platform") {
        /// HighLevel or a white label of it: only verified US domains can be chosen.
        Highlevel = "highlevel",
        None = "none",
    }
}

words! {
    /// What a location sends with, where that is not decided by its Mailgun key.
    pub enum EmailProvider("e-mail provider") {
        Mailgun = "mailgun",
        /// Its own SMTP or Gmail: keys are not in effect there.
        Other = "other",
    }
}

/// What is recorded of an agency or a location alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The display name, as the platform has it.
    pub name: Option<String>,
    /// Company id of an agency, location id of a location.
    pub highlevel_id: Option<String>,
    pub domain: Option<Domain>,
    pub platform: Option<Platform>,
    pub email_provider: Option<EmailProvider>,
    /// How often its keys should be rotated, as typed (`90d`).
    pub rotate_every: Option<String>,
    /// Since then no import's source lists it. It stays in use: a list may be
    /// short, or lag behind.
    pub missing: Option<Timestamp>,
    /// HighLevel itself said that there is none with this id any more: it is
    /// no place. Without `missing`: an earlier version took it from a list.
    pub gone: bool,
    /// When HighLevel listed it first, or with something new; of an agency, an
    /// import of any source.
    pub imported: Option<Timestamp>,
}

/// What is recorded of a scope that only key refs mention.
static NOTHING: Place = Place {
    name: None,
    highlevel_id: None,
    domain: None,
    platform: None,
    email_provider: None,
    rotate_every: None,
    missing: None,
    gone: false,
    imported: None,
};

/// An agency and its locations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agency {
    pub place: Place,
    pub locations: BTreeMap<Name, Place>,
}

/// A finding somebody decided to live with, until a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The id of the audit finding.
    pub finding: String,
    pub key: Option<KeyRef>,
    pub scope: Option<Scope>,
    /// Which of several things the finding is about: a provider's id of a key,
    /// a consumer's name.
    pub about: Option<String>,
    pub reason: String,
    pub until: Option<Timestamp>,
}

/// Everything the inventory file holds, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    pub store: Option<String>,
    pub default_scope: Option<Scope>,
    pub agencies: BTreeMap<Name, Agency>,
    pub keys: Keys,
    pub rotations: BTreeMap<RotationId, Rotation>,
    pub waivers: Vec<Waiver>,
}

impl Inventory {
    /// Returns what is recorded of a scope, if it is.
    pub fn place(&self, scope: &Scope) -> Option<&Place> {
        let agency = self.agencies.get(&scope.agency)?;
        match &scope.location {
            None => Some(&agency.place),
            Some(location) => agency.locations.get(location),
        }
    }

    /// Returns the place of a scope, adding it (and its agency) when missing.
    pub fn place_mut(&mut self, scope: &Scope) -> &mut Place {
        let agency = self.agencies.entry(scope.agency.clone()).or_default();
        match &scope.location {
            None => &mut agency.place,
            Some(location) => agency.locations.entry(location.clone()).or_default(),
        }
    }

    /// Returns every scope, in order: agencies, each followed by its
    /// locations. A scope exists when it has a table or a key.
    pub fn scopes(&self) -> impl Iterator<Item = (Scope, &Place)> {
        let mut all: BTreeMap<Scope, &Place> = BTreeMap::new();
        for scope in self.keys.scopes() {
            all.insert(Scope::agency(scope.agency.clone()), &NOTHING);
            all.insert(scope.clone(), &NOTHING);
        }
        for (name, agency) in &self.agencies {
            all.insert(Scope::agency(name.clone()), &agency.place);
            for (location, place) in &agency.locations {
                all.insert(Scope { agency: name.clone(), location: Some(location.clone()) }, place);
            }
        }
        all.into_iter()
    }

    /// Returns whether a scope has a table or a key.
    pub fn has_scope(&self, scope: &Scope) -> bool {
        match &scope.location {
            None => {
                self.agencies.contains_key(&scope.agency) || self.keys.below(&scope.agency).next().is_some()
            }
            Some(_) => self.place(scope).is_some() || self.keys.at(scope).next().is_some(),
        }
    }

    /// Returns the scope that completes a key ref typed without one: the
    /// default, else the only agency.
    pub fn only_scope(&self) -> Option<Scope> {
        if let Some(default) = &self.default_scope {
            return Some(default.clone());
        }
        let mut agencies: Vec<&Name> =
            self.agencies.keys().chain(self.keys.scopes().map(|scope| &scope.agency)).collect();
        agencies.sort_unstable();
        agencies.dedup();
        match agencies.as_slice() {
            [only] => Some(Scope::agency((*only).clone())),
            _ => None,
        }
    }

    /// Returns the records of one agency and its locations, scope by scope;
    /// costs what it returns.
    pub fn keys_of_agency<'a>(&'a self, agency: &Name) -> impl Iterator<Item = (&'a KeyRef, &'a Record)> {
        self.keys.below(agency)
    }

    /// Returns the keys effective at `scope` (see [`resolve::effective`]);
    /// costs what is recorded at the scope and its agency. Callers skip a
    /// scope that [sends elsewhere](Self::sends_elsewhere), and say so.
    pub fn effective(&self, scope: &Scope) -> Vec<Effective<'_>> {
        let levels: Vec<Scope> = scope.levels().collect();
        resolve::effective(levels.iter().flat_map(|level| self.keys.at(level)), scope)
    }

    /// Returns the key that is in effect at `scope` in the place of `key`, if
    /// another one of its kind and label is.
    pub fn instead_of(&self, key: &KeyRef, kind: Kind, scope: &Scope) -> Option<&KeyRef> {
        let same = |it: &Effective<'_>| {
            it.key.provider == key.provider && it.record.kind == kind && it.key.label == key.label
        };
        self.effective(scope).into_iter().find(same).map(|it| it.key).filter(|it| *it != key)
    }

    /// Returns the recorded domain in effect at `scope` and where it is recorded.
    pub fn domain_at(&self, scope: &Scope) -> Option<(Domain, Scope)> {
        scope.levels().find_map(|level| {
            let domain = self.place(&level)?.domain.clone()?;
            Some((domain, level))
        })
    }

    /// Returns how often keys of a scope should be rotated, and the level that
    /// says so: the location's word, else its agency's.
    pub fn rotation_policy(&self, scope: &Scope) -> Option<(Span, Scope)> {
        scope.levels().find_map(|level| {
            let every = self.place(&level)?.rotate_every.as_ref()?.parse().ok()?;
            Some((every, level))
        })
    }

    /// Returns whether the scope sends with something else than its keys.
    pub fn sends_elsewhere(&self, scope: &Scope) -> bool {
        self.place(scope).and_then(|place| place.email_provider) == Some(EmailProvider::Other)
    }

    /// Returns whether the US rule counts here: the agency's platform is
    /// HighLevel by word, by a location, by an import or by a highlevel key.
    pub fn us_rule(&self, agency: &Name) -> bool {
        let held = self.agencies.get(agency);
        if let Some(platform) = held.and_then(|held| held.place.platform) {
            return platform == Platform::Highlevel;
        }
        let recorded = held.is_some_and(|held| {
            !held.locations.is_empty() || held.place.highlevel_id.is_some() || held.place.imported.is_some()
        });
        recorded
            || self
                .keys_of_agency(agency)
                .any(|(key, _)| key.scope.location.is_some() || key.provider == ProviderId::Highlevel)
    }

    /// Returns the rotation that a record takes part in. One that is listed has
    /// something left to do, whatever its stage.
    pub fn rotation_of(&self, key: &KeyRef) -> Option<&Rotation> {
        self.rotations.values().find(|rotation| rotation.keys.contains(key))
    }
}
