//! The inventory: agencies, locations, key records, consumers, rotations.
//! Never a secret. `mod` is the model in memory, `wire` its versioned TOML
//! form, `file` the locked, atomic file that keeps a person's comments.

pub mod file;
pub mod wire;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::key::kind::fixed_words;
use crate::key::resolve::{self, Effective};
use crate::key::{Domain, KeyRef, Name, ProviderId, Record, Scope};
use crate::rotation::{Rotation, RotationId};

/// The platform an agency's e-mail is used from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// HighLevel or a white label of it: only verified US domains can be chosen.
    Highlevel,
    None,
}

impl Platform {
    pub const ALL: [Self; 2] = [Self::Highlevel, Self::None];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Highlevel => "highlevel",
            Self::None => "none",
        }
    }
}
fixed_words!(Platform, "platform");

/// What a location sends with, where that is not decided by its Mailgun key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailProvider {
    Mailgun,
    /// Its own SMTP or Gmail: keys are not in effect there.
    Other,
}

impl EmailProvider {
    pub const ALL: [Self; 2] = [Self::Mailgun, Self::Other];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mailgun => "mailgun",
            Self::Other => "other",
        }
    }
}
fixed_words!(EmailProvider, "e-mail provider");

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
    /// The last import no longer found it.
    pub gone: bool,
    /// An import from HighLevel made or touched it.
    pub imported: Option<Timestamp>,
}

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
    pub reason: String,
    pub until: Option<Timestamp>,
}

/// Everything the inventory file holds, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    pub store: Option<String>,
    pub default_scope: Option<Scope>,
    pub agencies: BTreeMap<Name, Agency>,
    pub keys: BTreeMap<KeyRef, Record>,
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

    /// Returns every scope: agencies, each followed by its locations.
    pub fn scopes(&self) -> impl Iterator<Item = (Scope, &Place)> {
        self.agencies.iter().flat_map(|(name, agency)| {
            let own = std::iter::once((Scope::agency(name.clone()), &agency.place));
            let locations = agency.locations.iter().map(|(location, place)| {
                (Scope { agency: name.clone(), location: Some(location.clone()) }, place)
            });
            own.chain(locations)
        })
    }

    /// Returns the scope that completes a key ref typed without one: the
    /// default, else the only agency.
    pub fn only_scope(&self) -> Option<Scope> {
        self.default_scope.clone().or_else(|| {
            let mut agencies = self.agencies.keys();
            match (agencies.next(), agencies.next()) {
                (Some(only), None) => Some(Scope::agency(only.clone())),
                _ => None,
            }
        })
    }

    /// Returns the records of one agency, cheaply.
    pub fn keys_of_agency<'a>(&'a self, agency: &'a Name) -> impl Iterator<Item = (&'a KeyRef, &'a Record)> {
        self.keys.iter().filter(move |(key, _)| key.scope.agency == *agency)
    }

    /// Returns the keys effective at `scope` (see [`resolve::effective`]);
    /// none where the scope sends with another e-mail provider.
    pub fn effective(&self, scope: &Scope) -> Vec<Effective<'_>> {
        resolve::effective(self.keys_of_agency_of(scope), scope)
    }

    fn keys_of_agency_of<'a>(&'a self, scope: &Scope) -> Vec<(&'a KeyRef, &'a Record)> {
        self.keys.iter().filter(|(key, _)| key.scope.agency == scope.agency).collect()
    }

    /// Returns the recorded domain in effect at `scope` and where it is recorded.
    pub fn domain_at(&self, scope: &Scope) -> Option<(Domain, Scope)> {
        scope.levels().find_map(|level| {
            let domain = self.place(&level)?.domain.clone()?;
            Some((domain, level))
        })
    }

    /// Returns whether the scope sends with something else than its keys.
    pub fn sends_elsewhere(&self, scope: &Scope) -> bool {
        self.place(scope).and_then(|place| place.email_provider) == Some(EmailProvider::Other)
    }

    /// Returns whether the US rule counts here: the agency's platform is
    /// HighLevel by word, by a location, by an import or by a highlevel key.
    pub fn us_rule(&self, agency: &Name) -> bool {
        let Some(held) = self.agencies.get(agency) else {
            return self.has_highlevel_key(agency);
        };
        match held.place.platform {
            Some(Platform::Highlevel) => true,
            Some(Platform::None) => false,
            None => {
                !held.locations.is_empty()
                    || held.place.highlevel_id.is_some()
                    || held.place.imported.is_some()
                    || self.keys.keys().any(|key| key.scope.agency == *agency && key.scope.location.is_some())
                    || self.has_highlevel_key(agency)
            }
        }
    }

    fn has_highlevel_key(&self, agency: &Name) -> bool {
        self.keys.keys().any(|key| key.scope.agency == *agency && key.provider == ProviderId::Highlevel)
    }

    /// Returns the unfinished rotation that a record takes part in.
    pub fn rotation_of(&self, key: &KeyRef) -> Option<&Rotation> {
        self.rotations.values().find(|rotation| !rotation.stage.is_over() && rotation.keys.contains(key))
    }
}
