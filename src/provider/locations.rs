//! The locations of an agency and the Mailgun settings pushed to them: the seam
//! between HighLevel and the commands. A location is kept whole, so that no
//! field is lost unseen.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Call, Outcome};
use crate::key::{Domain, Secret};

/// A location (sub-account) of an agency, as the provider lists it. Neither
/// phone nor address is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteLocation {
    pub id: String,
    pub name: String,
    /// The agency it belongs to, where the reply tells.
    pub company_id: Option<String>,
}

/// A whole location: every field by its JSON pointer, so that nothing is lost
/// unseen when one setting is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocationSnapshot {
    pub location: RemoteLocation,
    /// `/business/email` → its JSON text.
    pub fields: BTreeMap<String, String>,
}

impl LocationSnapshot {
    /// Returns every field that differs, except times of change.
    pub fn changes(&self, after: &Self) -> Vec<FieldChange> {
        let names: BTreeSet<&String> = self.fields.keys().chain(after.fields.keys()).collect();
        let clock = |name: &str| name.ends_with("/dateUpdated") || name.ends_with("/updatedAt");
        let change = |field: &String| FieldChange {
            field: field.clone(),
            before: self.fields.get(field).cloned(),
            after: after.fields.get(field).cloned(),
        };
        names
            .into_iter()
            .filter(|it| !clock(it) && self.fields.get(*it) != after.fields.get(*it))
            .map(change)
            .collect()
    }
}

/// A field of a location that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// A JSON pointer.
    pub field: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// The locations of an agency, and the Mailgun settings pushed to them.
pub trait Locations: Sync {
    /// Returns all locations the token can see, of `company` where it is known.
    ///
    /// # Errors
    /// When the list could not be read to its end.
    fn list(&self, call: Call<'_>, company: Option<&str>) -> Outcome<Vec<RemoteLocation>>;

    /// Returns one location whole; `Ok(None)`: there is none with this id.
    fn read(&self, call: Call<'_>, id: &str) -> Outcome<Option<LocationSnapshot>>;

    /// Writes Mailgun key and domain into a location's settings. Whether the
    /// provider leaves all else alone is not documented: read before and
    /// after, and compare ([`LocationSnapshot::changes`]).
    ///
    /// # Errors
    /// Why it was refused, or that it is not known whether it was done.
    fn put_mailgun(&self, call: Call<'_>, push: &MailgunPush<'_>) -> Outcome<()>;
}

/// Mailgun settings on their way to a location.
#[derive(Debug, Clone, Copy)]
pub struct MailgunPush<'a> {
    pub location: &'a str,
    pub company: &'a str,
    pub key: &'a Secret,
    pub domain: &'a Domain,
}
