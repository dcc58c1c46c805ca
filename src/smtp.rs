//! The only speaker of SMTP: EHLO, STARTTLS (or TLS from the start on 465),
//! EHLO, AUTH, then QUIT or one message. TLS is always required.

mod message;
mod session;
mod tls;
mod wire;

use std::time::Instant;

pub use session::{Settings, Speaker};

use crate::key::{Reason, Secret};

/// A vendor's relay, its ports in the order of trying, and the variable
/// (`HOST:PORT`) that puts another one in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Relay {
    pub host: &'static str,
    /// 465 means TLS from the start, anything else STARTTLS.
    pub ports: &'static [u16],
    pub variable: &'static str,
}

/// How far a conversation got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    Connect,
    Greeting,
    StartTls,
    Tls,
    Auth,
    Mail,
    Data,
}

/// Why a conversation did not reach its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SmtpFailure {
    pub phase: Phase,
    /// The server's reply code, where it gave one (535, 525, 550, 454 …).
    pub code: Option<u16>,
    /// The server's text, scrubbed and printable, or what happened instead.
    pub message: String,
    /// No certificate that can be trusted, as opposed to no connection.
    pub tls: bool,
}

impl SmtpFailure {
    /// Returns the reason of a failure that no server reply explains.
    pub fn transport_reason(&self) -> Reason {
        if self.tls { Reason::Tls } else { Reason::Unreachable }
    }

    /// Returns what to do about a connection that cannot be trusted, where
    /// that is not a matter of certificates.
    pub fn hint(&self) -> Option<&'static str> {
        (self.tls && self.phase == Phase::StartTls).then_some(
            "something between this machine and the relay (a proxy, a firewall, an attacker) may be changing \
             the connection; try another network",
        )
    }
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// Headers of the vendor's own, such as `X-Mailgun-Drop-Message: yes`.
    pub headers: Vec<(&'static str, String)>,
}

/// What a server said to a conversation that reached its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The port that was used.
    pub port: u16,
    /// The reply to AUTH, or to the message.
    pub reply: String,
    /// The Message-ID that was sent along, with angle brackets.
    pub message_id: Option<String>,
    pub latency: std::time::Duration,
}

/// Speaks SMTP. The real one is [`Speaker`]; tests have others.
pub trait Smtp: Sync {
    /// Logs in and says goodbye; sends nothing. At most one AUTH: another port
    /// is tried only if AUTH was not sent.
    ///
    /// # Errors
    /// How far it got and what the server said.
    fn login(
        &self,
        relay: &'static Relay,
        login: &str,
        secret: &Secret,
        deadline: Instant,
    ) -> Result<Accepted, SmtpFailure>;

    /// Logs in and sends one message.
    ///
    /// # Errors
    /// How far it got and what the server said.
    fn send(
        &self,
        relay: &'static Relay,
        login: &str,
        secret: &Secret,
        message: &Message,
        deadline: Instant,
    ) -> Result<Accepted, SmtpFailure>;
}
