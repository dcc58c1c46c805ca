//! `/v3/domains/{domain}/credentials`: SMTP logins. Passwords made by Mailgun
//! look like API keys.

use serde_json::{Value, json};

use super::model::Credential;
use super::{Visit, page};
use crate::call::Reply;
use crate::{chance, moment};

const NOTE: &str = "Please store your new password(s) now. You won't be able to see it anymore.";

/// `GET …/credentials`
pub fn list(visit: &mut Visit) -> Reply {
    let (limit, skip) = match page(visit.call, "Limit parameter can't be larger than 1000") {
        Ok(page) => page,
        Err(reply) => return reply,
    };
    let Some(domain) = domain(visit) else { return no_domain() };
    let logins = logins(visit, &domain);
    let mailgun = &visit.world.mailgun;
    let shown = |it: &Credential| {
        json!({"mailbox": it.login, "login": it.login, "created_at": moment::numeric_zone(it.created),
            "size_bytes": null})
    };
    let items: Vec<Value> = logins
        .iter()
        .skip(skip)
        .take(limit)
        .filter_map(|login| mailgun.credentials.get(&(visit.region, login.clone())))
        .map(shown)
        .collect();
    Reply::json(200, &json!({"items": items, "total_count": logins.len()}))
}

/// `POST …/credentials`
pub fn create(visit: &mut Visit) -> Reply {
    let Some(domain) = domain(visit) else { return no_domain() };
    let form = &visit.call.form;
    let login = full(form.filled("login").or_else(|| form.filled("mailbox")).unwrap_or_default(), &domain);
    if !login.ends_with(&format!("@{domain}")) {
        return Reply::json(400, &json!({"message": format!("The domain of {login} is not {domain}")}));
    }
    let message = "Created 1 credentials pair(s)";
    set_password(visit, login, domain, message)
}

/// `PUT …/credentials/{login}`
pub fn change(visit: &mut Visit) -> Reply {
    let Some(domain) = domain(visit) else { return no_domain() };
    let login = full(visit.parameter(1), &domain);
    if !visit.world.mailgun.credentials.contains_key(&(visit.region, login.clone())) {
        return not_found();
    }
    set_password(visit, login, domain, "Password changed")
}

/// `DELETE …/credentials/{login}`
pub fn delete(visit: &mut Visit) -> Reply {
    let Some(domain) = domain(visit) else { return no_domain() };
    let login = full(visit.parameter(1), &domain);
    let region = visit.region;
    if !logins(visit, &domain).contains(&login) {
        return not_found();
    }
    if login.starts_with("postmaster@") {
        let message = format!("Cannot delete system mailbox: {login}");
        return Reply::json(400, &json!({"message": message}));
    }
    visit.mailgun().remove_credential(region, &login);
    Reply::json(200, &json!({"message": "Credentials have been deleted", "spec": login}))
}

/// `DELETE …/credentials`
pub fn delete_all(visit: &mut Visit) -> Reply {
    let Some(domain) = domain(visit) else { return no_domain() };
    let (region, logins) = (visit.region, logins(visit, &domain));
    for login in &logins {
        visit.mailgun().remove_credential(region, login);
    }
    let message = "All domain credentials have been deleted";
    Reply::json(200, &json!({"message": message, "count": logins.len()}))
}

/// Returns a password as Mailgun makes them.
pub fn password() -> String {
    format!("{}-{}-{}", chance::hex(32), chance::hex(8), chance::hex(8))
}

/// Returns a login with its domain.
pub fn full(login: &str, domain: &str) -> String {
    if login.contains('@') { login.to_owned() } else { format!("{login}@{domain}") }
}

fn set_password(visit: &mut Visit, login: String, domain: String, message: &str) -> Reply {
    let chosen = visit.call.form.filled("password").map(str::to_owned);
    if chosen.as_ref().is_some_and(|it| !(5..=32).contains(&it.len())) {
        let message = "The password must be between 5 and 32 characters long";
        return Reply::json(400, &json!({"message": message}));
    }
    let password = chosen.unwrap_or_else(password);
    let credential = Credential {
        login: login.clone(),
        password: password.clone(),
        account: visit.caller.account.clone(),
        region: visit.region,
        domain,
        created: visit.now,
    };
    visit.mailgun().put_credential(credential);
    let mut credentials = serde_json::Map::new();
    credentials.insert(login, Value::from(password));
    Reply::json(200, &json!({"message": message, "note": NOTE, "credentials": credentials}))
}

fn domain(visit: &Visit) -> Option<String> {
    let mailgun = &visit.world.mailgun;
    mailgun.domain(&visit.caller.account, visit.region, visit.parameter(0)).map(|it| it.name.clone())
}

/// Returns the logins of a domain, in the order made.
fn logins(visit: &mut Visit, domain: &str) -> Vec<String> {
    let region = visit.region;
    let suffix = format!("@{domain}");
    let logins = &visit.account().logins;
    logins
        .iter()
        .filter(|(it, login)| *it == region && login.ends_with(&suffix))
        .map(|(_, it)| it.clone())
        .collect()
}

fn no_domain() -> Reply {
    Reply::json(404, &json!({"message": "Domain not found"}))
}

fn not_found() -> Reply {
    Reply::json(404, &json!({"message": "Credentials not found"}))
}
