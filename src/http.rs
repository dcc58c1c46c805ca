//! The only sender of HTTP requests: limits, waiting out rate limits, no
//! redirects, https or loopback, redaction. What a request means, and what a
//! reply proves, is the providers' business.

mod breakdown;
mod budget;
mod client;
mod encode;
mod origin;
mod pace;

use std::sync::Arc;
use std::time::Duration;

pub use budget::Patience;
pub use client::{Client, Settings, holds_certificate, install_crypto};
pub use encode::segment;
pub use origin::Origin;
pub use pace::wait_hint;

use crate::key::{Reason, Secret};

/// A vendor's origin, and the variable that puts another one in its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    /// `https://api.example.net`, no trailing slash
    pub origin: &'static str,
    /// `KEYCTL_…_URL`
    pub variable: &'static str,
}

impl Host {
    /// Returns the vendor's host name, as messages call it.
    pub fn name(&self) -> &'static str {
        self.origin.split_once("://").map_or(self.origin, |(_, rest)| rest)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Whether a request may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing: repeated after a limit or a broken connection.
    Reads,
    /// Changes something at the provider: sent once. Only a reply that says it
    /// was not processed (429, 420) is waited out.
    Mutates,
}

/// How a request proves who sends it.
#[derive(Debug, Clone, Copy)]
pub enum Auth<'a> {
    None,
    Basic {
        user: &'a str,
        secret: &'a Secret,
    },
    Bearer(&'a Secret),
    /// A header of its own: Brevo's `api-key`, Klaviyo's
    /// `Authorization: Klaviyo-API-Key …`.
    Header {
        name: &'static str,
        prefix: &'static str,
        secret: &'a Secret,
    },
}

#[derive(Clone, PartialEq)]
pub enum Body {
    None,
    /// `application/x-www-form-urlencoded`
    Form(Vec<(&'static str, String)>),
    /// `multipart/form-data`; an empty list is a valid empty form.
    Multipart(Vec<(&'static str, String)>),
    Json(serde_json::Value),
}

/// Shows the kind of body only: a new password or a pushed key may be in it.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Form(_) => "Form(***)",
            Self::Multipart(_) => "Multipart(***)",
            Self::Json(_) => "Json(***)",
        })
    }
}

/// A limit the vendor publishes, or what is kept of it so that something is
/// left to the account's other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub calls: usize,
    pub per: Duration,
}

/// `15 a minute`, as messages say it.
impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.per.as_secs() {
            1 => write!(f, "{} a second", self.calls),
            60 => write!(f, "{} a minute", self.calls),
            3600 => write!(f, "{} an hour", self.calls),
            seconds => write!(f, "{} in {seconds} seconds", self.calls),
        }
    }
}

/// Whose budget a call counts against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The account's id.
    Account(String),
    /// A key whose account nobody told: an account of its own, until it is
    /// learned in this run ([`Http::learn`]).
    Key(String),
    /// The same where limits are tight: until it is learned, it may be of any
    /// account, so that all such keys are counted together.
    Stranger(String),
}

/// The limits of a class of calls. All of them hold, for each account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    pub owner: Owner,
    /// Calls of one class are counted together; unique among all vendors.
    pub class: &'static str,
    pub limits: &'static [Limit],
}

/// One request, as data.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub method: Method,
    pub host: &'static Host,
    /// The vendor's whole path, percent-encoded, such as `/v4/domains`.
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub auth: Auth<'a>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
    pub effect: Effect,
    /// `None`: no limit is known that a run could reach.
    pub pace: Option<Pace>,
}

impl<'a> Request<'a> {
    /// Returns a GET that changes nothing.
    pub fn get(host: &'static Host, path: impl Into<String>, auth: Auth<'a>) -> Self {
        Self {
            method: Method::Get,
            host,
            path: path.into(),
            query: Vec::new(),
            auth,
            headers: Vec::new(),
            body: Body::None,
            effect: Effect::Reads,
            pace: None,
        }
    }

    /// Returns a request that changes something.
    pub fn change(
        method: Method,
        host: &'static Host,
        path: impl Into<String>,
        auth: Auth<'a>,
        body: Body,
    ) -> Self {
        Self { method, body, effect: Effect::Mutates, ..Self::get(host, path, auth) }
    }

    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What came back, whatever its status. The body is capped and scrubbed of the
/// secret that was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub latency: Duration,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON, whatever its content type says (vendors serve
    /// JSON as `text/plain`).
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// Returns whether a page for people came instead of an API's answer.
    pub fn is_html(&self) -> bool {
        let start = self.body.trim_start().get(..15).unwrap_or(self.body.trim_start()).to_ascii_lowercase();
        self.header("content-type").is_some_and(|it| it.contains("html"))
            && !start.starts_with('{')
            && start.starts_with('<')
            || start.starts_with("<!doctype")
            || start.starts_with("<html")
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    /// One clause, without the URL's query and without any secret.
    pub message: String,
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Refused, no such host, network down: the request was not processed.
    NotSent,
    /// It was not sent: the account's calls are used up.
    OverBudget,
    /// It was sent, but no whole answer came (cut, timed out): a change may
    /// have been made.
    NoAnswer,
    Tls,
    /// The answer was larger than the cap, or no HTTP.
    Malformed,
}

impl Failure {
    pub fn reason(&self) -> Reason {
        match self.kind {
            FailureKind::NotSent | FailureKind::NoAnswer => Reason::Unreachable,
            FailureKind::OverBudget => Reason::RateLimited,
            FailureKind::Tls => Reason::Tls,
            FailureKind::Malformed => Reason::UnexpectedResponse,
        }
    }

    /// Returns whether a change may have been made all the same.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self.kind, FailureKind::NoAnswer | FailureKind::Malformed)
    }
}

/// Sends requests. The client of the real world is [`Client`]; tests have others.
pub trait Http: Sync {
    /// Sends `request`, waiting out limits until `deadline`.
    ///
    /// # Errors
    /// [`Failure`] when there is no HTTP answer at all; any status is a reply.
    fn send(&self, request: &Request<'_>, deadline: std::time::Instant) -> Result<Reply, Failure>;

    /// Sends `request` like [`Self::send`], but waits for the account's budget
    /// at the cost of `patience`: what it has spent is added to `deadline`.
    fn send_in_turn(
        &self,
        request: &Request<'_>,
        deadline: std::time::Instant,
        _patience: &Patience<'_>,
    ) -> Result<Reply, Failure> {
        self.send(request, deadline)
    }

    /// Takes note of the account a key is of, and of `others` that are of the
    /// same one, as [`Owner`] names them.
    fn learn(&self, _key: &str, _others: &[Arc<str>], _account: &str) {}
}
