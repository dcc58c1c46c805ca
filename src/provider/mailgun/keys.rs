//! Lists, makes and deletes keys: account and sending keys by the Keys API,
//! SMTP logins by the credentials of their domain. There is no update, no
//! disabling and no second look at a secret.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::answer::{Answer, sort};
use super::domains::home;
use super::listing::trouble_of;
use super::wire::{self, KeyRow};
use super::{Mailgun, logs, request, shape};
use crate::http::{Failure, FailureKind, Reply, Request};
use crate::key::text::printable;
use crate::key::verdict::Facts;
use crate::key::{Domain, Kind, Reason, Region, Secret};
use crate::provider::{
    Call, CreatedKey, Credential, Family, KeyAdmin, KeySwitch, Net, NewKey, Outcome, RemoteKey, Right,
    Trouble,
};

/// The most pages of 1000 SMTP logins that are read.
const MOST_PAGES: usize = 20;

impl KeyAdmin for Mailgun {
    fn can_replace(&self, kind: Kind, login: Option<&str>) -> Result<(), String> {
        match login {
            Some(login) if kind == Kind::Smtp && login.to_ascii_lowercase().starts_with("postmaster@") => {
                Err(format!(
                    "Mailgun cannot delete the login `{login}`, so its old password cannot be retired; make a login \
                     of another name and use that"
                ))
            }
            _ => Ok(()),
        }
    }

    fn may_manage(&self, manager: Kind, facts: &Facts, _kind: Kind) -> Right {
        if manager != Kind::Account {
            return Right::No(format!(
                "a {manager} key of Mailgun cannot manage keys, only an account key can"
            ));
        }
        match facts.role.as_deref() {
            Some("admin") => Right::Yes,
            Some(role) => Right::No(format!(
                "its role is {}, and only the role admin may create and delete keys",
                printable(role, 40)
            )),
            None => Right::Unknown(
                "its role could not be read; only admin keys and developers may read it".to_owned(),
            ),
        }
    }

    fn list(
        &self,
        Call { net, credential: manager }: Call<'_>,
        family: &Family<'_>,
    ) -> Outcome<Vec<RemoteKey>> {
        if family.kind == Kind::Smtp { list_logins(net, manager, family) } else { list_keys(net, manager) }
    }

    fn create(&self, Call { net, credential: manager }: Call<'_>, new: &NewKey<'_>) -> Outcome<CreatedKey> {
        if new.kind == Kind::Smtp { create_login(net, manager, new) } else { create_key(net, manager, new) }
    }

    fn delete(
        &self,
        Call { net, credential: manager }: Call<'_>,
        family: &Family<'_>,
        id: &str,
    ) -> Outcome<bool> {
        let request = match (family.kind, family.domain) {
            (Kind::Smtp, Some(domain)) => {
                let region = home(net, manager, domain, family.region)?;
                request::delete_login(region, manager.secret, domain, id)
            }
            (Kind::Smtp, None) => return Err(no_domain()),
            _ => request::delete_key(manager.region.unwrap_or(Region::Us), manager.secret, id),
        };
        let shown = printable(id, 80);
        match sort(request.host, &net.send(&request)) {
            Answer::Json(_) => Ok(true),
            Answer::Missing(text) if names_the_missing(&text) => Ok(false),
            Answer::Missing(text) => {
                Err(Trouble::new(Reason::UnexpectedResponse, format!("deleting {shown}: {text}")))
            }
            Answer::Bad(text) => Err(Trouble::new(
                Reason::PermissionMissing,
                format!("Mailgun would not delete {shown}: {text}"),
            )),
            answer => Err(only_admins(trouble_of(answer, &format!("deleting {shown}")))),
        }
    }

    fn own<'l>(&self, listed: &'l [RemoteKey], secret: &Secret) -> Option<&'l RemoteKey> {
        let id = shape::embedded_id(secret)?;
        listed.iter().find(|it| it.id.eq_ignore_ascii_case(&id))
    }

    fn is_absent(&self, _: &[RemoteKey], _: &Secret) -> bool {
        false
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        None
    }

    /// The entries of `POST /v1/analytics/logs` have `api-key-id`; nothing in
    /// them tells one SMTP login from another.
    fn logs_name(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Account | Kind::Sending)
    }

    fn last_use(
        &self,
        Call { net, credential: reader }: Call<'_>,
        id: &str,
        since: Timestamp,
    ) -> Outcome<Option<Timestamp>> {
        logs::last_use(net, reader, id, since)
    }
}

/// `no key matching id`, `Credentials not found`
fn names_the_missing(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.contains("no key") || lower.contains("key not found") || lower.contains("credentials not found")
}

fn no_domain() -> Trouble {
    Trouble::new(Reason::DomainNotFound, "the SMTP logins of Mailgun belong to a domain, and none is known")
        .with_hint("record it: `keyctl set KEYREF --domain DOMAIN`")
}

/// What a refused change most likely means: the vendor answers a role without
/// the right with 401 or 403.
fn only_admins(trouble: Trouble) -> Trouble {
    match trouble.reason {
        Reason::Unauthorized | Reason::PermissionMissing => trouble
            .with_hint("only account keys with the role admin may create and delete keys (`--using KEYREF`)"),
        _ => trouble,
    }
}

/// Asks a host about what is global; the other one where this one is not there.
fn ask_global<'a>(
    net: &Net<'_>,
    region: Option<Region>,
    build: impl Fn(Region) -> Request<'a>,
) -> (Region, Result<Reply, Failure>) {
    let first = region.unwrap_or(Region::Us);
    match net.send(&build(first)) {
        Err(failure) if failure.kind == FailureKind::NotSent => {
            let other = first.other();
            match net.send(&build(other)) {
                Ok(reply) => (other, Ok(reply)),
                Err(_) => (first, Err(failure)),
            }
        }
        result => (first, result),
    }
}

fn list_keys(net: &Net<'_>, manager: &Credential<'_>) -> Result<Vec<RemoteKey>, Trouble> {
    let (region, result) = ask_global(net, manager.region, |region| request::keys(region, manager.secret));
    let answer = sort(request::host(region), &result);
    let rows = match &answer {
        Answer::Json(json) => KeyRow::read_complete(json),
        _ => None,
    };
    match rows {
        Some(rows) => Ok(rows.into_iter().map(remote).collect()),
        None => Err(trouble_of(answer, "reading the whole list of keys")),
    }
}

fn remote(row: KeyRow) -> RemoteKey {
    RemoteKey {
        kind: match row.kind.as_deref() {
            Some("user") => Some(Kind::Account),
            Some("domain") => Some(Kind::Sending),
            // `web`: a session of the console, nothing a person keeps.
            _ => None,
        },
        id: row.id,
        name: row.description,
        role: row.role,
        domain: row.domain,
        created: row.created,
        expires: row.expires,
        disabled: row.is_disabled,
        permissions: None,
        masked: None,
    }
}

fn create_key(net: &Net<'_>, manager: &Credential<'_>, new: &NewKey<'_>) -> Result<CreatedKey, Trouble> {
    let mut fields = vec![("description", new.name.to_owned())];
    let region = if new.kind == Kind::Sending {
        let domain = new.domain.ok_or_else(no_domain)?;
        fields.push(("kind", "domain".to_owned()));
        fields.push(("role", "sending".to_owned()));
        fields.push(("domain_name", domain.to_string()));
        home(net, manager, domain, new.region).map_err(before_the_call)?
    } else {
        fields.push(("kind", "user".to_owned()));
        fields.push(("role", new.role.unwrap_or("admin").to_owned()));
        manager.region.unwrap_or(Region::Us)
    };
    if let Some(span) = new.expires_in {
        fields.push(("expiration", span.seconds.to_string()));
    }
    let request = request::create_key(region, manager.secret, fields);
    let result = net.send(&request);
    let answer = sort(request.host, &result);
    match &answer {
        Answer::Json(json) => read_created(json).ok_or_else(|| {
            Trouble::new(Reason::UnexpectedResponse, "Mailgun made a key, but its answer does not tell it")
                .unknown_outcome()
        }),
        Answer::Denied(text) if text.to_ascii_lowercase().contains("limit") => {
            Err(Trouble::new(Reason::PermissionMissing, format!("Mailgun would not make a key: {text}"))
                .with_hint("delete a key that is not used any more, then try again"))
        }
        Answer::Bad(text) => {
            Err(Trouble::new(Reason::UnexpectedResponse, format!("Mailgun would not make a key: {text}")))
        }
        _ => Err(only_admins(of_change(answer, &result, "making a key"))),
    }
}

/// Nothing was asked to be made yet.
fn before_the_call(trouble: Trouble) -> Trouble {
    Trouble { outcome_unknown: false, ..trouble }
}

/// Returns what a call that makes something ended in. Only Mailgun's own words
/// are a refusal: a 4xx in words of another may be a gateway's, which had
/// passed the call on.
fn of_change(answer: Answer, result: &Result<Reply, Failure>, what: &str) -> Trouble {
    let foreign = matches!(answer, Answer::Trouble(_));
    let limited = result.as_ref().is_ok_and(|reply| matches!(reply.status, 429 | 420));
    let trouble = trouble_of(answer, what);
    if foreign && result.is_ok() && !limited { trouble.unknown_outcome() } else { trouble }
}

/// `{"message":"great success","key":{…,"secret":"…"}}`
fn read_created(json: &Value) -> Option<CreatedKey> {
    let key = json.get("key")?;
    let secret = Secret::new(wire::text(key, "secret")?);
    let row = KeyRow::read(key).or_else(|| {
        // The secret is told once: rather an id out of it than none at all.
        Some(KeyRow { id: shape::embedded_id(&secret)?, ..KeyRow::default() })
    })?;
    Some(CreatedKey { remote: remote(row), secret })
}

fn list_logins(
    net: &Net<'_>,
    manager: &Credential<'_>,
    family: &Family<'_>,
) -> Result<Vec<RemoteKey>, Trouble> {
    let domain = family.domain.ok_or_else(no_domain)?;
    let region = home(net, manager, domain, family.region)?;
    let host = request::host(region);
    let (mut logins, mut seen) = (Vec::new(), BTreeSet::new());
    for _ in 0..MOST_PAGES {
        let result = net.send(&request::logins(region, manager.secret, domain, logins.len()));
        let answer = sort(host, &result);
        let (page, total) = match &answer {
            Answer::Json(json) => (wire::list(json, "items"), wire::number(json, "total_count")),
            _ => (None, None),
        };
        let Some(page) = page else {
            return Err(trouble_of(answer, &format!("reading the SMTP logins of {domain}")));
        };
        let before = logins.len();
        let rows = page.iter().filter_map(|row| read_login_row(row, domain));
        logins.extend(rows.filter(|row| seen.insert(row.id.clone())));
        let whole = total.and_then(|it| usize::try_from(it).ok()).is_none_or(|it| logins.len() >= it);
        if whole {
            return Ok(logins);
        }
        if logins.len() == before {
            break;
        }
    }
    let detail = format!("the list of the SMTP logins of {domain} could not be read to its end");
    Err(Trouble::new(Reason::UnexpectedResponse, detail).with_hint("try again later"))
}

fn read_login_row(row: &Value, domain: &Domain) -> Option<RemoteKey> {
    Some(RemoteKey {
        id: wire::text(row, "login").or_else(|| wire::text(row, "mailbox"))?,
        kind: Some(Kind::Smtp),
        domain: Some(domain.to_string()),
        created: wire::time(row, "created_at"),
        ..RemoteKey::default()
    })
}

fn create_login(net: &Net<'_>, manager: &Credential<'_>, new: &NewKey<'_>) -> Result<CreatedKey, Trouble> {
    let domain = new.domain.ok_or_else(no_domain)?;
    let login = new.login.ok_or_else(|| {
        Trouble::new(Reason::UnexpectedResponse, "an SMTP login needs a name, and none was given")
            .with_hint("say it: `--login NAME@DOMAIN`")
    })?;
    let region = home(net, manager, domain, new.region).map_err(before_the_call)?;
    let request = request::create_login(region, manager.secret, domain, login);
    let result = net.send(&request);
    let answer = sort(request.host, &result);
    match &answer {
        Answer::Json(json) => read_login(json, login).ok_or_else(|| {
            Trouble::new(
                Reason::UnexpectedResponse,
                format!("Mailgun made the login {login}, but its answer does not tell the password"),
            )
            .unknown_outcome()
        }),
        Answer::Bad(text) => Err(Trouble::new(
            Reason::UnexpectedResponse,
            format!("Mailgun would not make the login {login}: {text}"),
        )),
        _ => Err(only_admins(of_change(answer, &result, &format!("making the login {login}")))),
    }
}

/// `{"credentials":{"user@domain":"<password>"}}`
fn read_login(json: &Value, login: &str) -> Option<CreatedKey> {
    let made = json.get("credentials")?.as_object()?;
    let named = made.iter().find(|(name, _)| name.eq_ignore_ascii_case(login));
    let only = made.iter().next().filter(|_| made.len() == 1);
    let (name, password) = named.or(only)?;
    let secret = Secret::new(password.as_str().filter(|it| !it.is_empty())?.to_owned());
    let remote = RemoteKey {
        id: name.clone(),
        kind: Some(Kind::Smtp),
        domain: name.split_once('@').map(|(_, domain)| domain.to_owned()),
        ..RemoteKey::default()
    };
    Some(CreatedKey { secret, remote })
}
