//! What Klaviyo's answers prove. A 401 may be one endpoint's own trouble, a
//! JSON 403 proves that the key lives, an HTML 403 proves nothing at all.

use super::wire::{AccountFields, ApiError, Envelope, Errors, HOST, Resource};
use crate::http::Reply;
use crate::key::verdict::Facts;
use crate::key::{Cause, Reason};
use crate::provider::finding::{Finding, common, quoted, unexpected};

/// How a key stands after one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// 2xx with JSON:API in it.
    Granted,
    /// JSON 403: the key lives, the scope (or the plan) is missing.
    Denied,
    /// JSON 401: refused here; dead only if no other call accepts it.
    Refused(Finding),
    /// Proves nothing.
    Unclear(Finding),
}

/// Reads one reply.
pub fn standing(reply: &Reply) -> Standing {
    if let Some(finding) = common(&HOST, reply) {
        return Standing::Unclear(finding);
    }
    let errors = serde_json::from_str::<Errors>(&reply.body).ok();
    let first = errors.and_then(|it| it.errors.into_iter().next());
    match (reply.status, first) {
        (200..=299, _) => {
            let data = reply.json().is_some_and(|it| it.get("data").is_some());
            if data { Standing::Granted } else { Standing::Unclear(unexpected(&HOST, reply, "")) }
        }
        (403, Some(_)) => Standing::Denied,
        (401, Some(error)) => refused(reply, &error),
        (410, error) => {
            let finding = unexpected(&HOST, reply, &words(error.as_ref()));
            Standing::Unclear(finding.hint("this revision of Klaviyo's API is retired; update keyctl"))
        }
        (_, error) => Standing::Unclear(unexpected(&HOST, reply, &words(error.as_ref()))),
    }
}

fn words(error: Option<&ApiError>) -> String {
    error.and_then(|it| it.detail.clone().or_else(|| it.title.clone())).unwrap_or_default()
}

fn refused(reply: &Reply, error: &ApiError) -> Standing {
    let said = words(Some(error));
    if error.code.as_deref() == Some("not_authenticated") {
        let hint = "the key never reached Klaviyo; something in between drops the `Authorization` header";
        return Standing::Unclear(unexpected(&HOST, reply, &said).hint(hint));
    }
    if said.to_lowercase().contains("disabled") {
        let detail = format!("this key is disabled{}", quoted(&said));
        return Standing::Refused(Finding::new(Reason::Disabled, detail));
    }
    let finding = Finding::new(Reason::Unauthorized, format!("Klaviyo refuses this key{}", quoted(&said)));
    Standing::Refused(finding.causes(&[Cause::Revoked, Cause::Truncated]).hint(
        "it was deleted or disabled (Settings › API keys › Activity), or is not whole; Klaviyo disables leaked keys",
    ))
}

/// Returns what `/api/accounts` tells.
pub fn account(reply: &Reply) -> Facts {
    let Ok(envelope) = serde_json::from_str::<Envelope<Vec<Resource<AccountFields>>>>(&reply.body) else {
        return Facts::default();
    };
    let Some(account) = envelope.data.into_iter().next() else { return Facts::default() };
    let contact = account.attributes.contact_information;
    let mut identity = match (contact.organization_name, contact.default_sender_email) {
        (Some(name), Some(email)) if !name.is_empty() => Some(format!("{name} ({email})")),
        (name, email) => name.filter(|it| !it.is_empty()).or(email),
    };
    if account.attributes.test_account {
        identity = identity.map(|it| format!("{it}, test account"));
    }
    let id = Some(account.id).filter(|it| !it.is_empty()).or(account.attributes.public_api_key);
    Facts { identity, account_id: id, ..Facts::default() }
}

/// Returns the body of a success as `T`, or what the reply says instead.
/// `scope`: what the call needs.
pub fn read<T: serde::de::DeserializeOwned>(reply: &Reply, scope: &str) -> Result<T, Finding> {
    match standing(reply) {
        Standing::Granted => serde_json::from_str(&reply.body)
            .map_err(|_| unexpected(&HOST, reply, "the body is not what was asked for")),
        Standing::Denied => Err(lacks(scope)),
        Standing::Refused(finding) | Standing::Unclear(finding) => Err(finding),
    }
}

/// Like [`read`] for the beta API, which an account may not have: then the
/// finding says so in one sentence, and callers go the guided way.
pub fn read_beta<T: serde::de::DeserializeOwned>(
    reply: &Reply,
    what: &str,
    scope: &str,
) -> Result<T, Finding> {
    if matches!(reply.status, 400 | 404 | 405 | 410) && common(&HOST, reply).is_none() {
        let said =
            serde_json::from_str::<Errors>(&reply.body).ok().and_then(|it| it.errors.into_iter().next());
        let words = quoted(&words(said.as_ref()));
        let detail = format!("Klaviyo's beta for {what} said no (HTTP {}){words}", reply.status);
        return Err(Finding::new(Reason::UnexpectedResponse, detail).hint("do it in Klaviyo's console"));
    }
    read(reply, scope)
}

/// Returns "the key lives but has no `scope`".
pub fn lacks(scope: &str) -> Finding {
    Finding::new(Reason::PermissionMissing, format!("the key has no `{scope}`"))
        .missing(&[scope])
        .hint("scopes cannot be added to a Klaviyo key; make a new one with them")
}
