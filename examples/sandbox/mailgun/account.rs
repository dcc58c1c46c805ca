//! `/v5`: users, subaccounts, the webhook signing key, and the addresses a
//! sandbox domain may write to. Only as much as a client may stumble over.

use serde_json::{Value, json};

use super::Visit;
use crate::call::Reply;
use crate::moment;

/// `GET /v5/users/me`: for keys bound to a user only.
pub fn me(visit: &mut Visit) -> Reply {
    let key = visit.world.mailgun.keys.get(&visit.caller.key_id);
    match key.and_then(|key| key.user_id.as_ref().map(|id| (id, key))) {
        None => Reply::json(403, &json!({"message": "Incompatible key for this endpoint"})),
        Some((id, key)) => Reply::json(
            200,
            &json!({"id": id, "name": key.user_name, "email": key.requestor, "role": key.role,
                "activated": true, "is_disabled": false, "account_id": key.account}),
        ),
    }
}

/// `GET /v5/users`
pub fn users(visit: &mut Visit) -> Reply {
    let user = json!({
        "id": "1", "name": "Owner", "email": "owner@agency.example", "role": "admin", "activated": true,
        "is_disabled": false, "is_master": true, "account_id": visit.caller.account,
    });
    let wanted = visit.call.query("role").is_none_or(|role| role == "admin");
    let users = if wanted { vec![user] } else { Vec::new() };
    Reply::json(200, &json!({"users": users, "total": users.len()}))
}

/// `GET /v5/accounts/http_signing_key`
pub fn signing_key(visit: &mut Visit) -> Reply {
    Reply::json(200, &json!({"message": "success", "http_signing_key": visit.account().signing_key}))
}

/// `GET /v5/accounts/subaccounts`
pub fn subaccounts(visit: &mut Visit) -> Reply {
    let at = moment::gmt(visit.now);
    let filter = visit.call.query("filter").unwrap_or_default();
    let names = visit.account().subaccounts.clone();
    let list: Vec<Value> = names
        .iter()
        .enumerate()
        .filter(|(_, name)| name.contains(filter))
        .map(|(index, name)| {
            json!({"id": index.to_string(), "name": name, "status": "open", "created_at": at, "updated_at": at})
        })
        .collect();
    Reply::json(200, &json!({"subaccounts": list, "total": list.len()}))
}

/// `GET /v5/sandbox/auth_recipients`
pub fn recipients(visit: &mut Visit) -> Reply {
    let shown = |(email, activated): &(String, bool)| json!({"email": email, "activated": activated});
    let recipients: Vec<Value> = visit.account().recipients.iter().map(shown).collect();
    Reply::json(200, &json!({"recipients": recipients}))
}

/// `POST /v5/sandbox/auth_recipients`
pub fn add_recipient(visit: &mut Visit) -> Reply {
    let email = visit.call.query("email").unwrap_or_default().to_owned();
    let recipients = &mut visit.account().recipients;
    if recipients.len() >= 5 {
        return Reply::json(400, &json!({"message": "Only 5 sandbox recipients are allowed"}));
    }
    recipients.push((email.clone(), false));
    Reply::json(200, &json!({"recipient": {"email": email, "activated": false}}))
}

/// `DELETE /v5/sandbox/auth_recipients/{email}`
pub fn remove_recipient(visit: &mut Visit) -> Reply {
    let email = visit.parameter(0).to_owned();
    visit.account().recipients.retain(|(it, _)| *it != email);
    Reply::json(200, &json!({"message": "Sandbox recipient deleted"}))
}
