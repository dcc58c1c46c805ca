//! What one reply says against a key or a call, before it becomes a verdict
//! (of a check) or a trouble (of any other call). The part that is the same
//! for all vendors is here: limits, broken servers, pages for people.

use super::{Net, Trouble};
use crate::http::{Host, Reply, Request};
use crate::key::text::printable;
use crate::key::{Cause, Judgement, Reason};
use crate::smtp::SmtpFailure;

/// How much of a vendor's text is shown.
const SHOWN: usize = 240;

/// One thing found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub reason: Reason,
    pub causes: Vec<Cause>,
    pub missing: Vec<String>,
    pub detail: String,
    pub hint: Option<String>,
    /// A change was asked for, and it is not known whether it was made.
    pub outcome_unknown: bool,
}

impl Finding {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            causes: Vec::new(),
            missing: Vec::new(),
            detail: detail.into(),
            hint: None,
            outcome_unknown: false,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn causes(mut self, causes: &[Cause]) -> Self {
        self.causes = causes.to_vec();
        self
    }

    #[must_use]
    pub fn missing(mut self, permissions: &[&str]) -> Self {
        self.missing = permissions.iter().map(|it| (*it).to_owned()).collect();
        self
    }

    /// Returns this as the outcome of a check.
    pub fn judgement(self) -> Judgement {
        let mut judgement = Judgement::because(self.reason, self.detail).with_causes(self.causes);
        judgement.hint = self.hint;
        judgement.missing = self.missing;
        judgement
    }

    /// Returns this as the outcome of any other call.
    pub fn trouble(self) -> Trouble {
        Trouble {
            reason: self.reason,
            detail: self.detail,
            hint: self.hint,
            outcome_unknown: self.outcome_unknown,
        }
    }

    /// Returns what a conversation with a relay means that no reply explains.
    pub fn unspoken(failure: &SmtpFailure) -> Self {
        let finding = Self::new(failure.transport_reason(), printable(&failure.message, SHOWN));
        Self { hint: failure.hint().map(str::to_owned), ..finding }
    }
}

impl From<Trouble> for Finding {
    fn from(trouble: Trouble) -> Self {
        let Trouble { reason, detail, hint, outcome_unknown } = trouble;
        Self { hint, outcome_unknown, ..Self::new(reason, detail) }
    }
}

/// Returns a vendor's own words, quoted and safe to show; empty for none.
pub fn quoted(text: &str) -> String {
    let text = crate::key::shape::shown(text.trim(), SHOWN);
    if text.is_empty() { text } else { format!(": \"{text}\"") }
}

/// Returns what a reply means whoever sent it: limits, outages, redirects,
/// pages for people. `None`: the vendor's own reader has to look.
pub fn common(host: &Host, reply: &Reply) -> Option<Finding> {
    let guarded = reply.header("cf-mitigated").is_some() || reply.header("cf-ray").is_some();
    let finding = Finding::from(Trouble::of_reply(host, reply));
    match reply.status {
        300..=399 | 407 | 420 | 429 | 500..=599 => Some(finding),
        status if reply.is_html() && guarded => {
            let detail =
                format!("a guard in front of {} stopped the call ({status}, a web page)", host.name());
            let hint = "that says nothing about the key; try again, or from another network";
            Some(Finding { detail, hint: Some(hint.to_owned()), ..finding })
        }
        _ => reply.is_html().then_some(finding),
    }
}

/// Returns "nothing that proves anything", with the vendor's words.
pub fn unexpected(host: &Host, reply: &Reply, words: &str) -> Finding {
    let (name, status) = (host.name(), reply.status);
    let detail = format!("{name} answered {status} in a way that proves nothing{}", quoted(words));
    Finding::new(Reason::UnexpectedResponse, detail)
}

/// Sends a request that changes nothing.
pub fn ask(net: &Net<'_>, request: &Request<'_>) -> Result<Reply, Finding> {
    net.send(request).map_err(|failure| Finding::from(Trouble::from(&failure)))
}

/// Sends a request that changes something. A gateway's 5xx is a reply, but it
/// does not tell whether the change was made.
pub fn change(net: &Net<'_>, request: &Request<'_>) -> Result<Reply, Finding> {
    let reply = net.send(request).map_err(|failure| Finding::from(Trouble::from(&failure)))?;
    common(request.host, &reply).map_or(Ok(reply), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::FailureKind;

    static HOST: Host = Host { origin: "https://api.example.com", variable: "X" };

    fn reply(status: u16, kind: &str, body: &str) -> Reply {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Reply { status, headers, body: body.into(), ..Reply::default() }
    }

    #[test]
    fn what_proves_nothing_is_never_a_refusal() {
        let cases = [
            (reply(429, "application/json", "{}"), Reason::RateLimited),
            (reply(500, "application/json", "{}"), Reason::ProviderError),
            (reply(503, "text/html", "<html>"), Reason::ProviderError),
            (reply(403, "text/html", "<!DOCTYPE html>"), Reason::UnexpectedResponse),
            (reply(200, "text/html", "<html>Login</html>"), Reason::UnexpectedResponse),
        ];
        for (reply, expected) in cases {
            assert_eq!(common(&HOST, &reply).map(|it| it.reason), Some(expected), "{reply:?}");
        }
        assert_eq!(common(&HOST, &reply(401, "application/json", "{}")), None);
    }

    #[test]
    fn a_cut_change_is_of_unknown_outcome() {
        let http = crate::provider::tests::Script::new([
            ("PUT /x", Err(crate::provider::tests::failure(FailureKind::NoAnswer))),
            ("PUT /x", Err(crate::provider::tests::failure(FailureKind::NotSent))),
            ("PUT /x", Ok(reply(502, "text/html", "<html>"))),
        ]);
        let request = Request::change(
            crate::http::Method::Put,
            &HOST,
            "/x",
            crate::http::Auth::None,
            crate::http::Body::None,
        );
        let unknown: Vec<bool> =
            (0..3).map(|_| change(&http.net(), &request).unwrap_err().outcome_unknown).collect();
        assert_eq!(unknown, [true, false, true]);
    }
}
