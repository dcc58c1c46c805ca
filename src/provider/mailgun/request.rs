//! Mailgun's requests, as data.

use std::sync::Arc;
use std::time::Duration;

use super::{EU, US};
use crate::http::{Auth, Body, Effect, Host, Limit, Method, Owner, Pace, Request, segment};
use crate::key::{Domain, Region, Secret};
use crate::provider::Net;

/// Returns the API host of a region.
pub(super) fn host(region: Region) -> &'static Host {
    match region {
        Region::Us => &US,
        Region::Eu => &EU,
    }
}

/// HTTP Basic, user `api`.
pub(super) fn auth(secret: &Secret) -> Auth<'_> {
    Auth::Basic { user: "api", secret }
}

/// The domains' API has 300 calls a minute per account (Mailgun's documents);
/// some are left to the account's other programs.
const DOMAINS: [Limit; 1] = [Limit { calls: 240, per: Duration::from_secs(60) }];

/// Mailgun names no account: a key is one of its own, until a list of keys
/// tells which belong together.
fn domains_pace(secret: &Secret) -> Pace {
    Pace { owner: Owner::Key(known_as(secret)), class: "mailgun domains", limits: &DOMAINS }
}

/// What a list of keys calls a key: the id inside it. Older ones have none.
fn known_as(secret: &Secret) -> String {
    super::shape::embedded_id(secret).unwrap_or_else(|| secret.fingerprint().to_string())
}

/// Takes note that a key and those listed with it are of one account, which
/// goes by the first of their ids.
pub(super) fn learn(net: &Net<'_>, secret: &Secret, listed: &[Arc<str>]) {
    if let Some(first) = listed.iter().min() {
        net.http.learn(&known_as(secret), listed, first);
    }
}

/// Returns a page of `GET /v4/domains`, of which 1000 is the most.
pub(super) fn domains<'a>(region: Region, secret: &'a Secret, skip: usize) -> Request<'a> {
    let request = Request::get(host(region), "/v4/domains", auth(secret))
        .query("limit", 1000)
        .paced(domains_pace(secret));
    if skip == 0 { request } else { request.query("skip", skip) }
}

/// Returns `GET /v4/domains/{name}`.
pub(super) fn domain<'a>(region: Region, secret: &'a Secret, domain: &Domain) -> Request<'a> {
    let path = format!("/v4/domains/{}", segment(domain.as_str()));
    Request::get(host(region), path, auth(secret)).paced(domains_pace(secret))
}

/// Returns `GET /v1/keys`. Keys are global: any host answers.
pub(super) fn keys(region: Region, secret: &Secret) -> Request<'_> {
    Request::get(host(region), "/v1/keys", auth(secret))
}

/// Returns `GET /v2/ip_whitelist`, the only name in use.
pub(super) fn allowlist(region: Region, secret: &Secret) -> Request<'_> {
    Request::get(host(region), "/v2/ip_whitelist", auth(secret))
}

/// Returns `POST /v3/{domain}/messages` with an empty form: it is refused
/// before anything is sent, and tells whether the key may send there.
pub(super) fn empty_message<'a>(region: Region, secret: &'a Secret, domain: &Domain) -> Request<'a> {
    Request { effect: Effect::Reads, ..message(region, secret, domain, Vec::new()) }
}

/// Returns `POST /v3/{domain}/messages` with a message.
pub(super) fn message<'a>(
    region: Region,
    secret: &'a Secret,
    domain: &Domain,
    fields: Vec<(&'static str, String)>,
) -> Request<'a> {
    let path = format!("/v3/{}/messages", segment(domain.as_str()));
    change(Method::Post, region, path, secret, Body::Multipart(fields))
}

/// Returns `PUT /v4/domains/{name}/verify`, which may put the domain into the
/// state unverified while it checks.
pub(super) fn verify<'a>(region: Region, secret: &'a Secret, domain: &Domain) -> Request<'a> {
    let path = format!("/v4/domains/{}/verify", segment(domain.as_str()));
    change(Method::Put, region, path, secret, Body::None).paced(domains_pace(secret))
}

/// Returns `POST /v1/keys`.
pub(super) fn create_key<'a>(
    region: Region,
    secret: &'a Secret,
    fields: Vec<(&'static str, String)>,
) -> Request<'a> {
    change(Method::Post, region, "/v1/keys".to_owned(), secret, Body::Multipart(fields))
}

/// Returns `DELETE /v1/keys/{id}`.
pub(super) fn delete_key<'a>(region: Region, secret: &'a Secret, id: &str) -> Request<'a> {
    change(Method::Delete, region, format!("/v1/keys/{}", segment(id)), secret, Body::None)
}

fn credentials(domain: &Domain) -> String {
    format!("/v3/domains/{}/credentials", segment(domain.as_str()))
}

/// Returns a page of a domain's SMTP logins, of which 1000 is the most.
pub(super) fn logins<'a>(region: Region, secret: &'a Secret, domain: &Domain, skip: usize) -> Request<'a> {
    Request::get(host(region), credentials(domain), auth(secret)).query("limit", 1000).query("skip", skip)
}

/// Returns the making of an SMTP login; without a password Mailgun makes one.
pub(super) fn create_login<'a>(
    region: Region,
    secret: &'a Secret,
    domain: &Domain,
    login: &str,
) -> Request<'a> {
    let fields = vec![("login", login.to_owned())];
    change(Method::Post, region, credentials(domain), secret, Body::Multipart(fields))
}

/// Returns the deletion of an SMTP login.
pub(super) fn delete_login<'a>(
    region: Region,
    secret: &'a Secret,
    domain: &Domain,
    login: &str,
) -> Request<'a> {
    // `@` may stand in a path as it is (RFC 3986 section 3.3), as the vendor writes it.
    let spec = segment(login).replace("%40", "@");
    let path = format!("{}/{spec}", credentials(domain));
    change(Method::Delete, region, path, secret, Body::None)
}

/// Returns `POST /v1/analytics/logs`, which only reads.
pub(super) fn logs(region: Region, secret: &Secret, body: serde_json::Value) -> Request<'_> {
    let path = "/v1/analytics/logs".to_owned();
    Request { effect: Effect::Reads, ..change(Method::Post, region, path, secret, Body::Json(body)) }
}

/// Returns the adding of an entry to the allowlist.
pub(super) fn allow<'a>(
    region: Region,
    secret: &'a Secret,
    fields: Vec<(&'static str, String)>,
) -> Request<'a> {
    change(Method::Post, region, "/v2/ip_whitelist".to_owned(), secret, Body::Multipart(fields))
}

/// Returns the removal of an entry from the allowlist.
pub(super) fn disallow<'a>(region: Region, secret: &'a Secret, address: &str) -> Request<'a> {
    change(Method::Delete, region, "/v2/ip_whitelist".to_owned(), secret, Body::None)
        .query("address", address)
}

/// Returns `GET /v3/routes/match`.
pub(super) fn route_for<'a>(region: Region, secret: &'a Secret, address: &str) -> Request<'a> {
    Request::get(host(region), "/v3/routes/match", auth(secret)).query("address", address)
}

/// Returns a page of `GET /v3/routes`, of which 1000 is the most.
pub(super) fn routes(region: Region, secret: &Secret, skip: usize) -> Request<'_> {
    Request::get(host(region), "/v3/routes", auth(secret)).query("limit", 1000).query("skip", skip)
}

fn change(method: Method, region: Region, path: String, secret: &Secret, body: Body) -> Request<'_> {
    Request::change(method, host(region), path, auth(secret), body)
}
