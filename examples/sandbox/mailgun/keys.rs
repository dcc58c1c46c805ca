//! `/v1/keys`: list, create, delete. There is no update and no way to read a
//! secret again.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Visit;
use super::model::{Key, Kind, Role, Span};
use crate::call::Reply;
use crate::{chance, moment};

/// `GET /v1/keys`
pub fn list(visit: &mut Visit) -> Reply {
    let kind = match visit.call.query("kind").map(read_kind) {
        None => None,
        Some(Some(kind)) => Some(kind),
        Some(None) => {
            let text = "expected `kind` param to be one of [domain user web] or absent";
            return Reply::json(400, &json!({"message": text}));
        }
    };
    let domain = visit.call.query("domain_name");
    let with_disabled = visit.account().settings.list_is_disabled;
    let mailgun = &visit.world.mailgun;
    let items: Vec<Value> = mailgun
        .keys_of(&visit.caller.account)
        .filter(|key| key.is_shown(visit.now))
        .filter(|key| kind.is_none_or(|kind| key.kind == kind))
        .filter(|key| domain.is_none_or(|domain| key.domain_name.as_deref() == Some(domain)))
        .map(|key| shown(key, with_disabled))
        .collect();
    Reply::json(200, &json!({"total_count": items.len(), "items": items}))
}

/// `POST /v1/keys`
pub fn create(visit: &mut Visit) -> Reply {
    let form = &visit.call.form;
    let field = |name: &str| form.filled(name).map(str::to_owned);
    let role = match form.filled("role") {
        Some("admin") => Role::Admin,
        Some("basic") => Role::Basic,
        Some("sending") => Role::Sending,
        Some("developer") => Role::Developer,
        other => return bad(&format!("invalid role: {}", other.unwrap_or_default())).violating("role"),
    };
    let Some(kind) = form.filled("kind").map_or(Some(Kind::User), read_kind) else {
        return bad("expected `kind` param to be one of [domain user web] or absent").violating("kind");
    };
    let domain_name = field("domain_name");
    if (kind == Kind::Domain) != (role == Role::Sending) || (kind == Kind::Domain && domain_name.is_none()) {
        return bad("domain keys need the role `sending` and a `domain_name`");
    }
    if let Some(name) = &domain_name
        && visit.world.mailgun.domain(&visit.caller.account, visit.region, name).is_none()
    {
        return bad("domain not found");
    }
    let expires = match form.filled("expiration").map(str::parse::<i64>) {
        None => None,
        Some(Ok(seconds)) if seconds > 0 => Some(later(visit.now, seconds.saturating_mul(1000))),
        Some(_) => return bad("expiration must be a number of seconds above 0").violating("expiration"),
    };
    let settings = visit.account().settings.clone();
    let mailgun = &visit.world.mailgun;
    let count = || mailgun.keys_of(&visit.caller.account).filter(|it| it.exists(visit.now)).count();
    if settings.key_limit.is_some_and(|limit| count() >= limit) {
        return Reply::json(403, &json!({"message": "could not create key, account limit reached"}));
    }
    let (id, secret) = mailgun.mint(false);
    let key = Key {
        id,
        secret,
        account: visit.caller.account.clone(),
        role,
        kind,
        domain_name,
        description: field("description").unwrap_or_default(),
        user_id: field("user_id"),
        user_name: field("user_name"),
        requestor: field("email"),
        legacy: false,
        created: visit.now,
        updated: visit.now,
        expires,
        is_disabled: false,
        disabled_reason: None,
        usable_from: later(visit.now, settings.birth_delay_ms),
        dies: None,
        listed: Span::from(later(visit.now, settings.list_lag_ms)),
    };
    let mut shown = shown(&key, true);
    shown["secret"] = Value::from(key.secret.clone());
    visit.mailgun().add_key(key);
    Reply::json(200, &json!({"message": "great success", "key": shown}))
}

/// `DELETE /v1/keys/{id}`
pub fn delete(visit: &mut Visit) -> Reply {
    let (now, account) = (visit.now, visit.caller.account.clone());
    let (delay, lag) = (visit.account().settings.death_delay_ms, visit.account().settings.list_lag_ms);
    let id = visit.parameter(0).to_owned();
    let mailgun = visit.mailgun();
    if !mailgun.keys.get(&id).is_some_and(|key| key.account == account && key.exists(now)) {
        return Reply::json(404, &json!({"message": "no key matching id"}));
    }
    mailgun.delete_key(&id, later(now, delay), later(now, lag));
    Reply::json(200, &json!({"message": "key deleted"}))
}

/// `POST /v1/keys/public`
pub fn renew_public(_visit: &mut Visit) -> Reply {
    let message = "The public API key has been successfully regenerated.";
    Reply::json(200, &json!({"key": format!("pubkey-{}", chance::hex(32)), "message": message}))
}

/// Returns a moment some milliseconds later.
pub fn later(now: Timestamp, milliseconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_millis(milliseconds)).unwrap_or(now)
}

fn shown(key: &Key, with_disabled: bool) -> Value {
    let mut shown = json!({
        "id": key.id, "description": key.description, "kind": key.kind, "role": key.role,
        "created_at": moment::naive(key.created), "updated_at": moment::naive(key.updated),
        "domain_name": key.domain_name, "requestor": key.requestor, "user_name": key.user_name,
    });
    if with_disabled {
        shown["is_disabled"] = Value::from(key.is_disabled);
    }
    if let Some(at) = key.expires {
        shown["expires_at"] = Value::from(moment::naive(at));
    }
    if let Some(reason) = &key.disabled_reason {
        shown["disabled_reason"] = Value::from(reason.clone());
    }
    shown
}

fn read_kind(text: &str) -> Option<Kind> {
    match text {
        "user" => Some(Kind::User),
        "domain" => Some(Kind::Domain),
        "web" => Some(Kind::Web),
        _ => None,
    }
}

fn bad(message: &str) -> Reply {
    Reply::json(400, &json!({"message": message}))
}
