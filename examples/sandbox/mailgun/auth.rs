//! Who calls: Basic authentication with the user `api`, the IP allowlist, and
//! the table of roles.

use base64::Engine as _;
use jiff::Timestamp;
use serde_json::json;

use super::model::{Kind, Role};
use super::operations::{Access, Area};
use crate::call::{Call, Reply};
use crate::world::World;

/// The key a request was let in with.
#[derive(Debug, Clone)]
pub struct Caller {
    pub key_id: String,
    pub account: String,
    pub role: Role,
    pub legacy: bool,
    /// Where a sending key may send.
    pub domain_name: Option<String>,
}

/// Returns the id of the key that was presented, if there is such a key, and
/// the caller, if it is let in.
pub fn admit(world: &World, call: &Call, now: Timestamp) -> (Option<String>, Option<Caller>) {
    let mailgun = &world.mailgun;
    let Some(key) = presented(call).and_then(|secret| mailgun.key_by_secret(&secret)) else {
        return (None, None);
    };
    let listed = |account: &str| mailgun.accounts.get(account).is_some_and(|it| it.admits(world.caller_ip));
    // Keys of the web console are exempt from the allowlist.
    let admitted = key.works(now) && (key.kind == Kind::Web || listed(&key.account));
    let caller = admitted.then(|| Caller {
        key_id: key.id.clone(),
        account: key.account.clone(),
        role: key.role,
        legacy: key.legacy,
        domain_name: key.domain_name.clone(),
    });
    (Some(key.id.clone()), caller)
}

fn presented(call: &Call) -> Option<String> {
    let token = call.header("authorization")?.strip_prefix("Basic ")?;
    let pair = base64::engine::general_purpose::STANDARD.decode(token.trim()).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.strip_prefix("api:").map(str::to_owned)
}

/// Complains about a secret in a place that servers and proxies log.
pub fn secret_in_target(call: &Call) -> Option<String> {
    let secret = presented(call).filter(|it| it.len() >= 16)?;
    let queried = call.query.iter().any(|(_, value)| value.contains(&secret));
    (queried || call.path.contains(&secret)).then(|| "the secret stands in the URL".to_owned())
}

/// The one answer for whoever is not let in, whatever the reason.
pub fn refusal(area: Area) -> Reply {
    let reply = match area {
        Area::Messages => Reply::text(401, "Forbidden"),
        _ => Reply::json(401, &json!({"message": "Invalid private key"})),
    };
    reply.with("www-authenticate", "Basic realm=\"MG API\"")
}

/// Whether a role has a right (documentation.mailgun.com, "API Key Roles").
pub fn may(role: Role, area: Area, access: Access) -> bool {
    match (role, area, access) {
        (Role::Admin, _, _) => true,
        (Role::Developer, Area::Keys | Area::Credentials, Access::Write) => false,
        (Role::Developer, _, _) => true,
        (Role::Basic | Role::Support, Area::Keys | Area::Credentials, _) => false,
        (Role::Basic | Role::Support, _, access) => access == Access::Read,
        (Role::Sending, Area::Messages, Access::Write) => true,
        (Role::Sending, _, _) => false,
    }
}
