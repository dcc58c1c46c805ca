//! What HighLevel's answers prove. A 401 does not always mean a dead token:
//! only its message tells a missing scope or a foreign location from that.

use super::wire::{HOST, Refusal};
use crate::http::Reply;
use crate::key::{Cause, Reason};
use crate::provider::finding::{Finding, common, quoted, unexpected};

/// Returns the body of a success as `T`, or what the reply says instead.
pub fn read<T: serde::de::DeserializeOwned>(reply: &Reply, scope: &str) -> Result<T, Finding> {
    if let Some(finding) = refusal(reply, scope) {
        return Err(finding);
    }
    serde_json::from_str(&reply.body)
        .map_err(|_| unexpected(&HOST, reply, "the body is not what was asked for"))
}

/// Returns whether a reply says that there is no location `id`. The document
/// of the API has no 404, so a 400 or 422 counts as well whose message says so
/// of the location: `Location with id … not found`.
pub fn is_absent(reply: &Reply, id: &str) -> bool {
    let says_so = || {
        let words = serde_json::from_str::<Refusal>(&reply.body).unwrap_or_default().words();
        let lower = words.to_lowercase();
        lower.contains("not found") && (lower.contains("location") || words.contains(id))
    };
    match reply.status {
        404 => !reply.is_html(),
        400 | 422 => says_so(),
        _ => false,
    }
}

/// Returns what speaks against the call; `None`: it succeeded. `scope`: what
/// the call needs.
pub fn refusal(reply: &Reply, scope: &str) -> Option<Finding> {
    if let Some(finding) = common(&HOST, reply) {
        return Some(finding);
    }
    if (200..300).contains(&reply.status) {
        return None;
    }
    let said = serde_json::from_str::<Refusal>(&reply.body).unwrap_or_default().words();
    let words = said.to_lowercase();
    Some(match reply.status {
        401 | 403 if words.contains("scope") => lacks_scope(scope, &said),
        401 | 403 if words.contains("location") => foreign_location(&said),
        401 if words.contains("expired") => {
            Finding::new(Reason::Expired, format!("this token has expired{}", quoted(&said)))
        }
        401 if dead(&words) => {
            Finding::new(Reason::Unauthorized, format!("HighLevel refuses this token{}", quoted(&said)))
                .causes(&[Cause::Revoked, Cause::Truncated])
                .hint("it was rotated or deleted (Settings › Private Integrations), or is not whole")
        }
        _ => unexpected(&HOST, reply, &said),
    })
}

/// `Invalid JWT`, `Invalid token: access token is invalid`, `Invalid Private
/// Integration token`, `Unauthorized`.
fn dead(words: &str) -> bool {
    let token = words.contains("token") || words.contains("jwt");
    (words.contains("invalid") && token) || words.trim() == "unauthorized"
}

fn lacks_scope(scope: &str, said: &str) -> Finding {
    let detail = format!("the token lives, but its scopes do not allow this{}", quoted(said));
    Finding::new(Reason::PermissionMissing, detail)
        .missing(&[scope])
        .hint(format!("add `{scope}` to the private integration; the token stays the same"))
}

fn foreign_location(said: &str) -> Finding {
    let detail = format!("the token lives, but not for this location{}", quoted(said));
    Finding::new(Reason::PermissionMissing, detail)
        .hint("a location's token works for that location only; use its own, or the agency's")
}
