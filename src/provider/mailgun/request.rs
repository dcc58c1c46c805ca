//! Mailgun's requests, as data.

use super::{EU, US};
use crate::http::{Auth, Body, Effect, Host, Method, Request, segment};
use crate::key::{Domain, Region, Secret};

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

/// Returns a page of `GET /v4/domains`, of which 1000 is the most.
pub(super) fn domains<'a>(region: Region, secret: &'a Secret, skip: usize) -> Request<'a> {
    let request = Request::get(host(region), "/v4/domains", auth(secret)).query("limit", 1000);
    if skip == 0 { request } else { request.query("skip", skip) }
}

/// Returns `GET /v4/domains/{name}`.
pub(super) fn domain<'a>(region: Region, secret: &'a Secret, domain: &Domain) -> Request<'a> {
    Request::get(host(region), format!("/v4/domains/{}", segment(domain.as_str())), auth(secret))
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
    Request {
        effect: Effect::Reads,
        ..Request::change(
            Method::Post,
            host(region),
            format!("/v3/{}/messages", segment(domain.as_str())),
            auth(secret),
            Body::Multipart(Vec::new()),
        )
    }
}
