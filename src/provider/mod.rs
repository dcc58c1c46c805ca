//! What each vendor does. A provider is one file (or folder) and one row of
//! [`TABLE`]; what it can do beyond a check is the presence of a facet.
//!
//! Each provider's file reads from top to bottom: constants → request builders
//! → reply readers and judge (pure) → glue. Only [`Net`] sends.

mod allowlist;
pub mod brevo;
mod console;
mod credential;
mod finding;
pub mod highlevel;
pub mod klaviyo;
mod locations;
pub mod mailgun;
mod paste;
mod permissions;
#[cfg(test)]
mod tests;
mod trouble;

pub use allowlist::{Allowlist, AllowlistEntry};
pub use console::{ConsoleAsk, ConsoleTask, Guide, Model, Stays};
pub use credential::Credential;
pub use locations::{FieldChange, LocationSnapshot, Locations, MailgunPush, RemoteLocation};
pub use paste::{Form, Identified, Unwrapped, form, identify, unwrap};
pub use permissions::{PermissionState, Permissions};

use std::time::Instant;

use jiff::Timestamp;

use crate::clock::Span;
use crate::domain::SendingDomain;
use crate::http::{Failure, Host, Http, Patience, Reply, Request};
use crate::key::verdict::Facts;
use crate::key::{Domain, Judgement, Kind, ProviderId, Reason, Region, Secret};
use crate::smtp::{Message, Relay, Smtp};

/// The way out, the hour, and the moment to give up.
#[derive(Clone, Copy)]
pub struct Net<'a> {
    pub http: &'a dyn Http,
    pub smtp: &'a dyn Smtp,
    pub now: Timestamp,
    pub deadline: Instant,
    /// What may be waited for budgets besides; `None`: nothing.
    pub patience: Option<&'a Patience<'a>>,
}

impl Net<'_> {
    /// Sends one request within the deadline.
    ///
    /// # Errors
    /// [`Failure`] when no HTTP answer came.
    pub fn send(&self, request: &Request<'_>) -> Result<Reply, Failure> {
        let Some(patience) = self.patience else { return self.http.send(request, self.deadline) };
        self.http.send_in_turn(request, self.deadline, patience)
    }
}

/// A kind a pasted text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub kind: Kind,
    /// The text can be nothing else.
    pub certain: bool,
}

/// What a provider makes of a pasted text, offline. The text was trimmed of
/// wrappings (`crate::provider::unwrap`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognition {
    /// Not this provider's.
    No,
    Key(Vec<Candidate>),
    /// This provider's, but nothing that can be kept.
    Refused(Refusal),
}

/// A text that is no key to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it is: `a public validation key of Mailgun`.
    pub what: String,
    /// What is wanted instead.
    pub wanted: String,
}

/// A secret whose kind is not known, and what was said of it.
#[derive(Debug, Clone, Copy)]
pub struct Unsorted<'a> {
    pub secret: &'a Secret,
    pub region: Option<Region>,
    pub domain: Option<&'a Domain>,
    pub login: Option<&'a str>,
}

/// What probing made of an [`Unsorted`] secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detection {
    /// The provider accepted it as this kind.
    Is(Kind, Judgement),
    /// It was accepted as none of the kinds that could be tried; the judgement
    /// is that of the likeliest.
    Unclear(Judgement),
}

/// A value handed to a program. Origins and relays are named, not spelt: an
/// override may stand in their place.
#[derive(Debug, Clone)]
pub enum Handout {
    Plain(String),
    Secret(Secret),
    Origin(&'static Host),
    RelayHost(&'static Relay),
    RelayPort(&'static Relay),
}

/// What is needed to name a program's variables.
#[derive(Debug, Clone, Copy)]
pub struct HandoutAsk<'a> {
    pub credential: Credential<'a>,
    /// The domain in effect at the scope asked for.
    pub domain: Option<&'a Domain>,
}

/// A vendor. What it cannot do is a facet that is not there.
pub trait Provider: Sync {
    fn id(&self) -> ProviderId;

    /// Returns the API hosts and SMTP relays with their overriding variables.
    fn hosts(&self) -> &'static [&'static Host];
    fn relays(&self) -> &'static [&'static Relay];

    /// Returns what a pasted text is, offline.
    fn recognise(&self, text: &str) -> Recognition;

    /// Returns whether a text may be a key of `kind`, offline: looser than
    /// `recognise` where a person may have chosen the secret.
    ///
    /// # Errors
    /// What the text is and what is wanted.
    fn fits(&self, kind: Kind, text: &str) -> Result<(), Refusal> {
        match self.recognise(text) {
            Recognition::Key(list) if list.iter().any(|it| it.kind == kind) => Ok(()),
            Recognition::Refused(refusal) => Err(refusal),
            Recognition::Key(list) => {
                let kinds: Vec<&str> = list.iter().map(|it| it.kind.as_str()).collect();
                Err(Refusal {
                    what: format!("a {} key of kind {}", self.id(), kinds.join(" or ")),
                    wanted: format!("a {} key of kind {kind}", self.id()),
                })
            }
            Recognition::No => Err(Refusal {
                what: format!("no {} key", self.id()),
                wanted: format!("a {} key of kind {kind}", self.id()),
            }),
        }
    }

    /// Finds out by probing what kind of key a secret is, where texts of
    /// several kinds look alike; `None`: nothing to find out.
    fn detect(&self, _net: &Net<'_>, _unsorted: &Unsorted<'_>) -> Option<Detection> {
        None
    }

    /// Proves live what a key is worth: GETs, Mailgun's empty message and SMTP
    /// AUTH only. Never fails: what could not be proven is in the judgement.
    fn check(&self, net: &Net<'_>, credential: &Credential<'_>) -> Judgement;

    /// Returns the key as program variables (the names that `run` documents), in their order.
    fn handout(&self, ask: &HandoutAsk<'_>) -> Vec<(&'static str, Handout)>;

    /// Returns every variable name `handout` may use; `run` clears them first.
    fn handout_names(&self) -> &'static [&'static str];

    /// Returns the origin or relay a kind of key is used at (`api-url`,
    /// `smtp-host`, `smtp-port`), where there is one. Overrides are the caller's.
    fn endpoint(&self, kind: Kind, region: Option<Region>)
    -> (Option<&'static Host>, Option<&'static Relay>);

    /// Returns the way through the vendor's console.
    fn console(&self, task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide>;

    /// Returns whether its console clones keys, permissions and all: what one may
    /// do is then found out before a person makes another like it.
    fn clones(&self) -> bool {
        false
    }

    /// Returns whether a person may have chosen such a secret, so that its
    /// fingerprint must not be shown.
    fn chosen_by_person(&self, _kind: Kind) -> bool {
        false
    }

    /// Returns the kind of key whose check tells the login that keys of `kind`
    /// of the same account are used with, where there is one.
    fn login_teller(&self, _kind: Kind) -> Option<Kind> {
        None
    }

    /// Returns the shortest and longest life that a key with an end can be given.
    fn lifetimes(&self) -> Option<(Span, Span)> {
        None
    }

    /// Returns how long a key may lie unused before the provider ends it.
    fn idle_limit(&self) -> Option<Span> {
        None
    }

    /// Returns how long an old key lives beside the one that replaces it, where
    /// the provider's own way of rotating ends it by itself.
    fn overlap_limit(&self) -> Option<Span> {
        None
    }

    /// Returns the public id of the key that it carries inside itself, offline.
    fn embedded_id(&self, _secret: &Secret) -> Option<String> {
        None
    }

    /// Returns the id of the account that a key names inside itself, offline.
    fn embedded_account(&self, _secret: &Secret) -> Option<String> {
        None
    }

    fn domains(&self) -> Option<&dyn DomainList> {
        None
    }
    fn test_mail(&self) -> Option<&dyn TestMail> {
        None
    }
    /// Returns the facet that lists, creates and deletes keys by API.
    fn keys(&self) -> Option<&dyn KeyAdmin> {
        None
    }
    fn allowlist(&self) -> Option<&dyn Allowlist> {
        None
    }
    fn inbound(&self) -> Option<&dyn Inbound> {
        None
    }
    fn permissions(&self) -> Option<&dyn Permissions> {
        None
    }
    fn locations(&self) -> Option<&dyn Locations> {
        None
    }
}

/// Trouble with one call, as a judgement would name it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Trouble {
    pub reason: Reason,
    pub detail: String,
    pub hint: Option<String>,
    /// The provider was asked to change something and did not say whether it did.
    pub outcome_unknown: bool,
}

/// Domains, as far as they could be read.
#[derive(Debug, Clone, Default)]
pub struct DomainListing {
    pub domains: Vec<SendingDomain>,
    /// Parts that could not be read (a region, a page), each with why. A
    /// listing with trouble proves presence, never absence.
    pub troubles: Vec<(Option<Region>, Trouble)>,
}

/// Lists the domains a key can see.
pub trait DomainList: Sync {
    /// Returns whether keys of this kind may list domains at all.
    fn may_list(&self, kind: Kind) -> bool;

    /// Returns all domains of all regions, all pages.
    fn list(&self, net: &Net<'_>, credential: &Credential<'_>) -> DomainListing;

    /// Returns one domain with its DNS records; `Ok(None)`: not in the account
    /// (in that region).
    ///
    /// # Errors
    /// When it could not be told.
    fn show(
        &self,
        net: &Net<'_>,
        credential: &Credential<'_>,
        domain: &Domain,
        region: Option<Region>,
    ) -> Result<Option<SendingDomain>, Trouble>;

    /// Asks the provider to check DNS again: a change at the provider.
    ///
    /// # Errors
    /// When it was refused or could not be told.
    fn verify(
        &self,
        net: &Net<'_>,
        credential: &Credential<'_>,
        domain: &Domain,
        region: Option<Region>,
    ) -> Result<SendingDomain, Trouble>;
}

/// Whether a message is to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Real,
    /// The provider's test mode: delivers nothing.
    TestMode,
}

/// A test mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub message_id: Option<String>,
    pub detail: String,
    pub at: Timestamp,
}

/// Something the provider noted about a message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MailEvent {
    pub event: String,
    pub at: Option<String>,
    pub detail: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    Pending,
    Delivered,
    Failed,
}

/// Sends a test mail by API or relay and follows it.
pub trait TestMail: Sync {
    /// Sends by API.
    ///
    /// # Errors
    /// Why it was not taken.
    fn send(
        &self,
        net: &Net<'_>,
        credential: &Credential<'_>,
        message: &Message,
        domain: &Domain,
        delivery: Delivery,
    ) -> Result<Sent, Trouble>;

    /// Sends through the relay.
    ///
    /// # Errors
    /// Why it was not taken.
    fn relay(
        &self,
        net: &Net<'_>,
        credential: &Credential<'_>,
        message: &Message,
        delivery: Delivery,
    ) -> Result<Sent, Trouble>;

    /// Returns whether only a template at the provider can be sent.
    fn needs_template(&self) -> bool {
        false
    }

    /// Sends a template of the provider's as a test.
    ///
    /// # Errors
    /// Why it was not taken, or that this provider has no such thing.
    fn send_template(
        &self,
        _net: &Net<'_>,
        _credential: &Credential<'_>,
        _template: &str,
        _to: &str,
    ) -> Result<Sent, Trouble> {
        let detail = "this provider sends no templates as a test; leave `--template` out".to_owned();
        Err(Trouble { reason: Reason::PermissionNotCheckable, detail, hint: None, outcome_unknown: false })
    }

    /// Asks what became of it; needs a key that may read events.
    ///
    /// # Errors
    /// When that could not be read.
    fn follow(
        &self,
        net: &Net<'_>,
        reader: &Credential<'_>,
        sent: &Sent,
        domain: &Domain,
        region: Option<Region>,
    ) -> Result<(Fate, Vec<MailEvent>), Trouble>;
}

/// A key as the provider lists it. For SMTP logins `id` is the login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteKey {
    pub id: String,
    /// The description or name it was given.
    pub name: Option<String>,
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
    ///
    /// # Errors
    /// The sentence for people.
    fn can_replace(&self, kind: Kind, login: Option<&str>) -> Result<(), String>;

    /// Returns whether a key with these facts may create and delete keys of `kind`.
    fn may_manage(&self, manager: Kind, facts: &Facts, kind: Kind) -> Right;

    /// Returns the whole list.
    ///
    /// # Errors
    /// When it may not or could not be read.
    fn list(
        &self,
        net: &Net<'_>,
        manager: &Credential<'_>,
        family: &Family<'_>,
    ) -> Result<Vec<RemoteKey>, Trouble>;

    /// Makes a key. Never repeated: after `outcome_unknown` the caller lists.
    ///
    /// # Errors
    /// Why none was made, or that it is not known.
    fn create(
        &self,
        net: &Net<'_>,
        manager: &Credential<'_>,
        new: &NewKey<'_>,
    ) -> Result<CreatedKey, Trouble>;

    /// Deletes a key; `Ok(false)`: it was gone already.
    ///
    /// # Errors
    /// When it may still be there.
    fn delete(
        &self,
        net: &Net<'_>,
        manager: &Credential<'_>,
        family: &Family<'_>,
        id: &str,
    ) -> Result<bool, Trouble>;

    /// Returns which of `listed` is the key with this secret, where the
    /// provider shows enough of it; `None` also when two look the same.
    fn own<'l>(&self, _listed: &'l [RemoteKey], _secret: &Secret) -> Option<&'l RemoteKey> {
        None
    }

    /// Returns whether `listed`, the whole list of an account, shows enough of
    /// each key to tell that none of them has this secret.
    fn is_absent(&self, _listed: &[RemoteKey], _secret: &Secret) -> bool {
        false
    }

    /// Switches a key off or on, where that is a step of its own.
    fn switch(&self) -> Option<&dyn KeySwitch> {
        None
    }

    /// Returns whether the provider's logs name the key of each message, for
    /// keys of this kind: then they are asked before such a key is retired.
    fn logs_name(&self, kind: Kind) -> bool;

    /// Returns when the key with this id last sent or called since `since`, as
    /// the provider's logs tell; `Ok(None)`: not since then.
    ///
    /// # Errors
    /// When the logs cannot be read or do not tell.
    fn last_use(
        &self,
        net: &Net<'_>,
        reader: &Credential<'_>,
        id: &str,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, Trouble>;
}

/// Disables and enables a key by API, reversibly.
pub trait KeySwitch: Sync {
    /// Switches the key with this id on or off.
    ///
    /// # Errors
    /// When it was refused or could not be told.
    fn set(&self, net: &Net<'_>, manager: &Credential<'_>, id: &str, enabled: bool) -> Result<(), Trouble>;
}

/// A rule for mail that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundRoute {
    pub id: String,
    pub priority: i64,
    pub expression: String,
    pub actions: Vec<String>,
    pub description: Option<String>,
}

/// Reads the rules for mail that comes in.
pub trait Inbound: Sync {
    /// Returns the route that takes mail for `address`, if any.
    ///
    /// # Errors
    /// When it could not be told.
    fn matching(
        &self,
        net: &Net<'_>,
        credential: &Credential<'_>,
        address: &str,
        region: Region,
    ) -> Result<Option<InboundRoute>, Trouble>;

    /// Returns all routes of a region.
    ///
    /// # Errors
    /// When they could not be read.
    fn list(
        &self,
        net: &Net<'_>,
        credential: &Credential<'_>,
        region: Region,
    ) -> Result<Vec<InboundRoute>, Trouble>;
}

/// Every provider, in the order of listings.
pub const TABLE: &[&dyn Provider] =
    &[&mailgun::Mailgun, &brevo::Brevo, &klaviyo::Klaviyo, &highlevel::Highlevel];

/// Returns the provider with this id.
pub fn provider(id: ProviderId) -> &'static dyn Provider {
    match id {
        ProviderId::Mailgun => &mailgun::Mailgun,
        ProviderId::Brevo => &brevo::Brevo,
        ProviderId::Klaviyo => &klaviyo::Klaviyo,
        ProviderId::Highlevel => &highlevel::Highlevel,
    }
}
