//! Keys listed, made, switched and deleted by API: the seam between the
//! vendors and the commands.

use jiff::Timestamp;

use super::{Call, Outcome};
use crate::clock::Span;
use crate::key::verdict::Facts;
use crate::key::{Domain, Kind, Region, Secret};

/// A key as the provider lists it. For SMTP logins `id` is the login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteKey {
    pub id: String,
    /// The description or name it was given.
    pub name: Option<String>,
    /// `None`: no key that somebody keeps, such as a session of the console.
    pub kind: Option<Kind>,
    pub role: Option<String>,
    pub domain: Option<String>,
    pub created: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub disabled: bool,
    pub permissions: Option<Vec<String>>,
    /// The provider's masked form of the secret, such as `pk_****abcd`.
    pub masked: Option<String>,
}

/// Which list of keys is meant: account and sending keys are one list of the
/// account, SMTP logins one list per domain and region.
#[derive(Debug, Clone, Copy)]
pub struct Family<'a> {
    pub kind: Kind,
    pub domain: Option<&'a Domain>,
    pub region: Option<Region>,
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey<'a> {
    pub kind: Kind,
    pub domain: Option<&'a Domain>,
    pub region: Option<Region>,
    pub role: Option<&'a str>,
    /// The description, with the rotation id in it where one runs.
    pub name: &'a str,
    pub expires_in: Option<Span>,
    /// The login of a new SMTP credential, whole (`user@domain`).
    pub login: Option<&'a str>,
}

/// A key that was made. The secret is told this once.
#[derive(Debug, Clone)]
pub struct CreatedKey {
    pub secret: Secret,
    pub remote: RemoteKey,
}

/// Whether a key may manage others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    Yes,
    /// Why not, in one clause.
    No(String),
    Unknown(String),
}

/// Lists, creates, disables and deletes keys by API.
pub trait KeyAdmin: Sync {
    /// Returns whether the provider's API can create and delete keys of `kind`;
    /// otherwise why not (`postmaster` cannot be deleted, a console only …).
    fn can_replace(&self, kind: Kind, login: Option<&str>) -> Result<(), String>;

    /// Returns whether a key with these facts may create and delete keys of `kind`.
    fn may_manage(&self, manager: Kind, facts: &Facts, kind: Kind) -> Right;

    /// Returns the whole list.
    fn list(&self, call: Call<'_>, family: &Family<'_>) -> Outcome<Vec<RemoteKey>>;

    /// Makes a key. Never repeated: after `outcome_unknown` the caller lists.
    ///
    /// # Errors
    /// Why none was made, or that it is not known.
    fn create(&self, call: Call<'_>, new: &NewKey<'_>) -> Outcome<CreatedKey>;

    /// Deletes a key; `Ok(false)`: it was gone already.
    ///
    /// # Errors
    /// When it may still be there.
    fn delete(&self, call: Call<'_>, family: &Family<'_>, id: &str) -> Outcome<bool>;

    /// Returns which of `listed` is the key with this secret, where the
    /// provider shows enough of it; `None` also when two look the same.
    fn own<'l>(&self, listed: &'l [RemoteKey], secret: &Secret) -> Option<&'l RemoteKey>;

    /// Returns whether `listed`, the whole list of an account, shows enough of
    /// each key to tell that none of them has this secret.
    fn is_absent(&self, listed: &[RemoteKey], secret: &Secret) -> bool;

    /// Switches a key off or on, where that is a step of its own.
    fn switch(&self) -> Option<&dyn KeySwitch>;

    /// Returns whether the provider's logs name the key of each message, for
    /// keys of this kind: then they are asked before such a key is retired.
    fn logs_name(&self, kind: Kind) -> bool;

    /// Returns when the key with this id last sent or called since `since`, as
    /// the provider's logs tell; `Ok(None)`: not since then.
    fn last_use(&self, call: Call<'_>, id: &str, since: Timestamp) -> Outcome<Option<Timestamp>>;
}

/// Disables and enables a key by API, reversibly.
pub trait KeySwitch: Sync {
    /// Switches the key with this id on or off.
    fn set(&self, call: Call<'_>, id: &str, enabled: bool) -> Outcome<()>;
}
