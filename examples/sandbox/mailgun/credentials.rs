//! `/v3/domains/{domain}/credentials`: SMTP logins. Passwords made by Mailgun
//! look like API keys.

use serde_json::{Value, json};

use super::keys::later;
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
    let all = shown_logins(visit, &domain);
    let shown = |it: &Credential| {
        json!({"mailbox": it.login, "login": it.login, "created_at": moment::numeric_zone(it.created),
            "size_bytes": null})
    };
    let items: Vec<Value> = all.iter().skip(skip).take(limit).map(shown).collect();
    Reply::json(200, &json!({"items": items, "total_count": all.len()}))
}

/// Returns the logins that the list of a domain shows: it may lag behind.
fn shown_logins(visit: &mut Visit, domain: &str) -> Vec<Credential> {
    let (now, region, suffix) = (visit.now, visit.region, format!("@{domain}"));
    let logins = logins(visit, domain);
    let late = visit.account().late_logins.clone();
    let mailgun = &visit.world.mailgun;
    let there = logins.iter().filter_map(|login| mailgun.credentials.get(&(region, login.clone())));
    let mut all: Vec<Credential> = there.filter(|it| it.listed_from <= now).cloned().collect();
    let deleted = late.into_iter().filter(|(at, it, until)| {
        *at == region && it.login.ends_with(&suffix) && now < *until && !logins.contains(&it.login)
    });
    all.extend(deleted.map(|(_, it, _)| it));
    all
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
    let until = later(visit.now, visit.account().settings.list_lag_ms);
    if let Some(removed) = visit.mailgun().remove_credential(region, &login) {
        visit.account().late_logins.push((region, removed, until));
    }
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
    let lag = visit.account().settings.list_lag_ms;
    let before = visit.world.mailgun.credentials.get(&(visit.region, login.clone()));
    let listed_from = before.map_or_else(|| later(visit.now, lag), |it| it.listed_from);
    let credential = Credential {
        login: login.clone(),
        password: password.clone(),
        account: visit.caller.account.clone(),
        region: visit.region,
        domain,
        created: visit.now,
        listed_from,
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
