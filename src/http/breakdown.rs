//! An exchange that broke down, in words: whether anything was sent, whether a
//! read may be tried again, what to do about it.

use std::error::Error as _;

use super::origin::{Origin, Place};
use super::{Failure, FailureKind};
use crate::key::text::printable;

/// A failure, and whether a read may be tried again at once.
pub struct Broken {
    pub failure: Failure,
    pub again: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self { failure, again: false }
    }
}

/// Why a body did not come whole.
pub enum BodyTrouble {
    /// It has more than so many bytes.
    TooLarge(usize),
    Late,
    Cut,
}

impl Broken {
    /// Reads why no answer came. `proxy`: the variable that sets one.
    pub fn of(error: &reqwest::Error, origin: &Origin, proxy: Option<&str>) -> Self {
        let host = host_of(origin);
        let words = innermost(error);
        let proxy = proxy.filter(|_| origin.place() == Place::World);
        let clause = proxy.map_or(String::new(), |name| format!("; the proxy of {name} is in use"));
        // Of an encrypted connection that breaks later it is not known what arrived.
        let (kind, message) = if is_tls(error) && error.is_connect() {
            (FailureKind::Tls, format!("no trusted TLS connection to {host}: {words}"))
        } else if error.is_builder() {
            (FailureKind::NotSent, format!("the request to {host} could not be built: {words}"))
        } else if error.is_connect() {
            let why = if error.is_timeout() { "no connection in time".to_owned() } else { words };
            (FailureKind::NotSent, format!("cannot connect to {host}: {why}"))
        } else if error.is_timeout() {
            (FailureKind::NoAnswer, format!("{host} did not answer in time"))
        } else if is_no_http(&words) {
            (FailureKind::Malformed, format!("{host} did not answer in HTTP: {words}"))
        } else {
            (FailureKind::NoAnswer, format!("the connection to {host} broke before an answer came: {words}"))
        };
        let hint = match kind {
            FailureKind::Tls => Some(format!(
                "check the clock and the system's root certificates; for a root of your own (an inspecting \
                 proxy) name a PEM file in KEYCTL_CA_FILE{clause}"
            )),
            FailureKind::NotSent | FailureKind::NoAnswer if proxy.is_some() => {
                Some(format!("check the network{clause}"))
            }
            FailureKind::NotSent => Some("check the network, then try again".to_owned()),
            FailureKind::NoAnswer | FailureKind::Malformed | FailureKind::OverBudget => None,
        };
        let again = kind == FailureKind::NoAnswer && !error.is_timeout();
        Self { failure: Failure { kind, message, hint }, again }
    }

    /// Says why a body did not come whole.
    pub fn of_body(trouble: BodyTrouble, origin: &Origin) -> Self {
        let host = host_of(origin);
        let (kind, message, again) = match trouble {
            BodyTrouble::TooLarge(limit) => {
                (FailureKind::Malformed, format!("{host} sent more than {} MiB", limit >> 20), false)
            }
            BodyTrouble::Late => {
                (FailureKind::NoAnswer, format!("{host} did not finish its answer in time"), false)
            }
            BodyTrouble::Cut => {
                (FailureKind::NoAnswer, format!("{host} broke off in the middle of its answer"), true)
            }
        };
        Self { failure: Failure { kind, message, hint: None }, again }
    }
}

/// Host and port, without the rest of the URL.
pub fn host_of(origin: &Origin) -> String {
    let rest = origin.as_str().split_once("://").map_or(origin.as_str(), |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

/// The last error of the chain says what happened; those above repeat the URL.
pub fn innermost(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    if error.source().is_none() { "no details".to_owned() } else { printable(&last.to_string(), 200) }
}

/// A certificate nobody vouches for sits inside `io::Error`s deep in the chain,
/// one in the other; their `source` skips what they hold.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.is_some_and(|it| is_tls(it)) || error.source().is_some_and(is_tls)
}

/// hyper's parse errors are not told apart by type outside of hyper.
fn is_no_http(words: &str) -> bool {
    words.contains("invalid HTTP") || words.contains("message head is too large")
}
