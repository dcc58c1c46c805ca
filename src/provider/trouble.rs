//! Answers that mean the same at every vendor: silence, limits, outages, and
//! pages that are no answer at all.

use super::Trouble;
use crate::http::{Failure, Host, Reply};
use crate::key::Reason;
use crate::key::shape;

impl Trouble {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), hint: None, outcome_unknown: false }
    }

    /// Returns what a provider says that has no templates to test.
    pub fn no_templates() -> Self {
        let detail = "this provider sends no templates as a test; leave `--template` out";
        Self::new(Reason::PermissionNotCheckable, detail)
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that a change may have been made all the same.
    #[must_use]
    pub fn unknown_outcome(mut self) -> Self {
        self.outcome_unknown = true;
        self
    }

    /// Reads a reply that proves nothing: a limit, an outage, a redirect, a
    /// page for people, a status the vendor does not document. For a change,
    /// only a limit and a refusal (4xx) say that nothing was changed.
    pub fn of_reply(host: &Host, reply: &Reply) -> Self {
        let name = host.name();
        let status = reply.status;
        if matches!(status, 429 | 420) {
            return Self::new(
                Reason::RateLimited,
                format!("{name} refuses more requests for now ({status})"),
            )
            .with_hint("try again later, or allow more time with `--timeout`");
        }
        let trouble = match status {
            500..=599 => {
                Self::new(Reason::ProviderError, format!("{name} has trouble of its own ({status})"))
                    .with_hint("try again later; the provider's status page may say more")
            }
            300..=399 => Self::new(
                Reason::UnexpectedResponse,
                format!("{name} redirects elsewhere ({status}); the key was not sent there"),
            ),
            407 => Self::new(Reason::Unreachable, "the proxy wants a login of its own (407)".to_owned())
                .with_hint("put the proxy's user name and password in HTTPS_PROXY"),
            _ if reply.is_html() => Self::new(
                Reason::UnexpectedResponse,
                format!("{name} answered with a web page ({status}), as proxies and log-in pages do"),
            )
            .with_hint("check whether a proxy or a captive portal stands in between"),
            _ if reply.body.trim().is_empty() => {
                Self::new(Reason::UnexpectedResponse, format!("{name} answered {status} with nothing in it"))
            }
            _ => Self::new(
                Reason::UnexpectedResponse,
                format!("{name} answered {status} with a text not known: {}", shape::shown(&reply.body, 120)),
            ),
        };
        if (400..500).contains(&status) { trouble } else { trouble.unknown_outcome() }
    }
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Self {
        Self {
            reason: failure.reason(),
            detail: failure.message.clone(),
            hint: failure.hint.clone(),
            outcome_unknown: failure.outcome_unknown(),
        }
    }
}
