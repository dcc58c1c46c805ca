//! What each vendor does. A provider is one file (or folder) and one row of
//! [`TABLE`]; what it can do beyond a check is the presence of a facet.
//!
//! Each provider's file reads from top to bottom: constants → request builders
//! → reply readers and judge (pure) → glue. Only [`Net`] sends.

mod allowlist;
pub mod brevo;
mod console;
mod credential;
mod domain_list;
mod finding;
pub mod highlevel;
mod inbound;
mod key_admin;
pub mod klaviyo;
mod locations;
pub mod mailgun;
mod paste;
mod permissions;
mod terms;
mod test_mail;
#[cfg(test)]
mod tests;
mod trouble;

pub use allowlist::{Allowlist, AllowlistEntry};
pub use console::{ConsoleAsk, ConsoleTask, Guide, Model, Stays};
pub use credential::{Call, Credential};
pub use domain_list::{DomainList, DomainListing};
pub use inbound::{Inbound, InboundRoute};
pub use key_admin::{CreatedKey, Family, KeyAdmin, KeySwitch, NewKey, RemoteKey, Right};
pub use locations::{FieldChange, LocationSnapshot, Locations, MailgunPush, RemoteLocation};
pub use paste::{Form, Identified, Unwrapped, form, identify, unwrap};
pub use permissions::{PermissionState, Permissions};
pub use terms::{DomainTerms, DotenvNames, KeyRoles, Terms};
pub use test_mail::{Delivery, Fate, MailEvent, Sent, TestMail};

use std::time::Instant;

use jiff::Timestamp;

use crate::clock::Span;
use crate::http::{Failure, Host, Http, Patience, Reply, Request};
use crate::key::{Domain, Judgement, Kind, ProviderId, Reason, Region, Scope, Secret};
use crate::smtp::{Relay, Smtp};

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
    fn detect(&self, net: &Net<'_>, unsorted: &Unsorted<'_>) -> Option<Detection>;

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

    /// Returns whether a person may have chosen such a secret, so that its
    /// fingerprint must not be shown.
    fn chosen_by_person(&self, kind: Kind) -> bool;

    /// Returns the kind of key whose check tells the login that keys of `kind`
    /// of the same account are used with, where there is one.
    fn login_teller(&self, kind: Kind) -> Option<Kind>;

    /// Returns the public id of the key that it carries inside itself, offline.
    fn embedded_id(&self, secret: &Secret) -> Option<String>;

    /// Returns the id of the account that a key names inside itself, offline.
    fn embedded_account(&self, secret: &Secret) -> Option<String>;

    /// Returns the kind of key that an agency, or one of its locations, has of
    /// its own, where the place decides; `None`: it does not.
    fn kind_at(&self, scope: &Scope) -> Option<Kind>;

    /// Returns what its console and its rules make of its keys.
    fn terms(&self) -> Terms;

    /// Returns what it can do beyond a check.
    fn facets(&self) -> Facets<'_>;

    fn clones(&self) -> bool {
        self.terms().clones
    }
    fn lifetimes(&self) -> Option<(Span, Span)> {
        self.terms().lifetimes
    }
    fn idle_limit(&self) -> Option<Span> {
        self.terms().idle_limit
    }
    fn overlap_limit(&self) -> Option<Span> {
        self.terms().overlap_limit
    }
    fn domains(&self) -> Option<&dyn DomainList> {
        self.facets().domains
    }
    fn test_mail(&self) -> Option<&dyn TestMail> {
        self.facets().test_mail
    }
    fn keys(&self) -> Option<&dyn KeyAdmin> {
        self.facets().keys
    }
    fn allowlist(&self) -> Option<&dyn Allowlist> {
        self.facets().allowlist
    }
    fn inbound(&self) -> Option<&dyn Inbound> {
        self.facets().inbound
    }
    fn permissions(&self) -> Option<&dyn Permissions> {
        self.facets().permissions
    }
    fn locations(&self) -> Option<&dyn Locations> {
        self.facets().locations
    }
}

/// What a provider can do beyond a check, each where it can.
#[derive(Clone, Copy)]
pub struct Facets<'a> {
    pub domains: Option<&'a dyn DomainList>,
    pub test_mail: Option<&'a dyn TestMail>,
    /// Lists, creates and deletes keys by API.
    pub keys: Option<&'a dyn KeyAdmin>,
    pub allowlist: Option<&'a dyn Allowlist>,
    pub inbound: Option<&'a dyn Inbound>,
    pub permissions: Option<&'a dyn Permissions>,
    pub locations: Option<&'a dyn Locations>,
}

/// What a call brought, or why it brought nothing.
pub type Outcome<T> = Result<T, Trouble>;

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

/// Returns the provider whose keys HighLevel sends with.
pub fn sender_for_highlevel() -> Option<ProviderId> {
    TABLE.iter().find(|it| it.terms().sends_for_highlevel).map(|it| it.id())
}
