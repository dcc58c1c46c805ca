//! Test mails, and what became of them: the seam between the vendors and the
//! commands.

use jiff::Timestamp;

use super::{Call, Outcome};
use crate::key::{Domain, Region};
use crate::smtp::Message;

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
    fn send(&self, call: Call<'_>, message: &Message, domain: &Domain, delivery: Delivery) -> Outcome<Sent>;

    /// Sends through the relay.
    fn relay(&self, call: Call<'_>, message: &Message, delivery: Delivery) -> Outcome<Sent>;

    /// Returns whether only a template at the provider can be sent.
    fn needs_template(&self) -> bool;

    /// Sends a template of the provider's as a test.
    fn send_template(&self, call: Call<'_>, template: &str, to: &str) -> Outcome<Sent>;

    /// Returns what test mode proves or costs, where that is worth a word.
    fn test_mode_note(&self) -> Option<&'static str>;

    /// Asks what became of it; needs a key that may read events.
    fn follow(
        &self,
        call: Call<'_>,
        sent: &Sent,
        domain: &Domain,
        region: Option<Region>,
    ) -> Outcome<(Fate, Vec<MailEvent>)>;
}
