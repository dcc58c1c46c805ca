//! The control API, on a listener of its own, without authentication. JSON in,
//! JSON out; a mistake is answered 400, 404 or 409 with `{"error": …}`. All
//! listeners share one world and one clock.
//!
//! # What is common to all vendors
//! ```text
//! GET    /state                     everything, secrets included
//! GET    /requests[?since=N&host=H] what was asked, oldest first: n, at, protocol (http|smtp), host,
//!                                   method, path, query, headers, body, form, status (null: none was
//!                                   sent), credential_presented, key_id, authenticated, fault,
//!                                   contract_violation (what the vendor's document forbids, or null);
//!                                   SMTP sessions: transcript, encrypted, login, auth_attempts,
//!                                   authenticated
//! DELETE /requests                  forgets requests and mails
//! GET    /messages                  the mails accepted: host, via, message_id, domain, from, to,
//!                                   subject, text, test_mode, key_id, login, at
//! PUT    /clock      {"offset_seconds": 86400}       how far the sandbox is ahead of this machine
//! PUT    /caller_ip  {"ip": "203.0.113.5"}           what allowlists compare with; at first 127.0.0.1
//! PUT    /dns        {"name": "mg.a.example", "type": "TXT", "values": ["…"], "rcode"?: "SERVFAIL"}
//!                                   goes before what the domains publish; types A TXT MX CNAME NS;
//!                                   rcodes NXDOMAIN SERVFAIL REFUSED
//! GET    /faults                    as posted, with what is left of each
//! POST   /faults     {host, method?, path_prefix?, after?, times?, action}
//! DELETE /faults
//! ```
//! A fault's `host` is a listener's name (`mailgun-us`, `mailgun-eu`, `mailgun-us-smtp`,
//! `mailgun-eu-smtp`, `brevo`, `brevo-smtp`, `klaviyo`, `highlevel`) or `*`; `after` lets so many
//! matching requests through first; `times` is how
//! often it strikes (absent: for ever). The first that matches strikes. An action is one of
//! ```text
//! {"status": 503, "headers": {}, "body": "…" or {…}, "content_type": "…"}   answers, without processing
//! {"process_then": {"status": …}}          processes, but answers this
//! {"cut": "before"|"after-processing"|"mid-body"}    {"hang": true}
//! {"html_proxy": true or STATUS}           a filtering proxy's page
//! {"oversize": BYTES}                      a reply of that length
//! {"redirect": "http://…"}
//! {"rate_limit": "retry-after"|"epoch-ms"|"text-seconds"|"text-date"|"420"|"retry-seconds-body", "seconds": N}
//! ```
//! and may have `"latency_ms": N`, which can also stand alone. For SMTP relays it is one of
//! ```text
//! {"reply_at": MOMENT, "reply": "535 5.7.8 …"}   {"no_starttls": true}   {"cut_at": MOMENT}   {"hang_at": MOMENT}
//! ```
//! with MOMENT one of `connect ehlo starttls auth mail rcpt data`.
//!
//! # Mailgun
//! ```text
//! POST   /mailgun/accounts                              → {id}
//! POST   /mailgun/accounts/{id}/keys        {role, kind?, domain_name?, expires_in?, age_seconds?, description?,
//!                                            legacy?, is_disabled?, user_id?}            → {id, secret}
//! PUT    /mailgun/keys/{key id}             {is_disabled?, disabled_reason?, expires_in?, description?, delete?}
//! POST   /mailgun/accounts/{id}/domains     {name, region, state, type?, is_disabled?, automatic_security?,
//!                                            dns?: {spf, dkim, mx, tracking: "valid"|"unknown"}}
//! PUT    /mailgun/accounts/{id}/domains/{region}/{name}   {state?, is_disabled?, automatic_security?, dns?}
//! DELETE /mailgun/accounts/{id}/domains/{region}/{name}
//! POST   /mailgun/accounts/{id}/credentials {login, region, password?}                  → {login, password}
//! POST   /mailgun/accounts/{id}/routes      {region, expression, actions, priority?, description?} → {id}
//! PUT    /mailgun/accounts/{id}/allowlist   [{ip_address, description?}, …]
//! PUT    /mailgun/accounts/{id}/recipients  ["a@b", …]      whom sandbox domains may write to
//! PUT    /mailgun/accounts/{id}/subaccounts ["name", …]
//! POST   /mailgun/accounts/{id}/messages    {region, domain, to, key_id?}   a mail sent by somebody else
//! PUT    /mailgun/accounts/{id}/settings    any of the fields of `mailgun::model::Settings`: key_limit,
//!        birth_delay_ms, death_delay_ms, list_lag_ms, delivery_delay_ms, denied_keys_status, unverified_status,
//!        not_activated_status, sandbox_status, activated, free_plan, key_id_header, legacy_key_id_header,
//!        list_is_disabled, json_content_type, state_before_fields
//! ```
//! # Brevo
//! ```text
//! POST   /brevo/accounts                    any settings        → {id, organization_id, smtp_login}
//! PUT    /brevo/accounts/{id}/settings      company, email, activated, plan, credits, no_credit_status, api_blocking,
//!        smtp_blocking, authorised (addresses), under_validation, delivery_delay_ms, calls_per_hour
//! POST   /brevo/accounts/{id}/keys          {kind: api|smtp, name?, short?, permissions?: [account senders domains
//!                                            templates email events]}                  → {id, secret, login}
//! PUT    /brevo/keys/{key id}               {state?: active|deactivated|deleted, expires_in?}
//! POST   /brevo/accounts/{id}/domains       {name, authenticated?, verified?, dkim?}   replaces one of that name
//! POST   /brevo/accounts/{id}/senders       {email, active?}
//! ```
//! # Klaviyo
//! ```text
//! POST   /klaviyo/accounts                  any settings        → {id}
//! PUT    /klaviyo/accounts/{id}/settings    organization_name, email, test_account, beta, webhooks, limits
//! POST   /klaviyo/accounts/{id}/keys        {scopes, name?, older?}                    → {id, secret}
//! PUT    /klaviyo/keys/{key id}             {disabled?, deleted?, scopes?}
//! POST   /klaviyo/accounts/{id}/domains     {domain, status: pending|warming|active, published?}
//! POST   /klaviyo/accounts/{id}/templates   {id?}               → {id}
//! ```
//! # HighLevel
//! ```text
//! POST   /highlevel/companies                       {name?}     → {id}
//! PUT    /highlevel/companies/{id}/settings         page_limit, put_loses (fields), tries_mailgun,
//!                                                   absent_status (of an id that does not exist)
//! POST   /highlevel/companies/{id}/locations        any fields  → {id}
//! POST   /highlevel/companies/{id}/tokens           {level: agency|location, location?, scopes?} → {id, secret}
//! PUT    /highlevel/tokens/{id}                     {dead?, scopes?}
//! PUT    /highlevel/locations/{id}                  any fields
//! PUT    /highlevel/locations/{id}/listed           true|false: whether the list shows it; GET by id does
//! DELETE /highlevel/locations/{id}
//! ```
//! Mailgun's regions are `us` and `eu`; roles `admin basic developer support sending`; kinds `user domain web`;
//! states `active unverified disabled`; types `custom sandbox`; `expires_in` is in seconds from now.

use std::net::IpAddr;

use jiff::SignedDuration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::http::Host;
use crate::vendors::CONTROLS;
use crate::world::World;

/// The control listener.
pub const HOST: Host = Host { name: "control", answer, observed: false };

/// What a control request leads to.
pub type Answer = Result<Value, Reply>;

/// Makes the refusal of a control request.
pub fn refused(status: u16, message: String) -> Reply {
    Reply::json(status, &json!({"error": message}))
}

/// Makes the reply to a control request.
pub fn done(answer: Answer) -> Reply {
    match answer {
        Ok(value) => Reply::json(200, &value),
        Err(reply) => reply,
    }
}

/// Returns `current` with the fields of the request's body put in.
pub fn merged<T: Serialize + DeserializeOwned>(current: &T, call: &Call) -> Result<T, Reply> {
    let mut value = json!(current);
    match call.json().map_err(|error| refused(400, error))? {
        Value::Object(changes) => {
            for (name, change) in changes {
                value[name] = change;
            }
        }
        _ => return Err(refused(400, "the body is no JSON object".to_owned())),
    }
    serde_json::from_value(value).map_err(|error| refused(400, error.to_string()))
}

fn answer(world: &mut World, call: &Call) -> Reply {
    let segments = call.segments();
    let first = segments.first().map(String::as_str).unwrap_or_default();
    match CONTROLS.iter().find(|it| it.name == first) {
        Some(vendor) => (vendor.answer)(world, call),
        None => done(common(world, call)),
    }
}

fn common(world: &mut World, call: &Call) -> Answer {
    let body = call.json().map_err(|error| refused(400, error))?;
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/state") => {
            let mut state = json!({"now": world.now().to_string(), "caller_ip": world.caller_ip.to_string()});
            for vendor in CONTROLS {
                state[vendor.name] = (vendor.state)(world);
            }
            Ok(state)
        }
        ("GET", "/requests") => {
            let since = call.query("since").and_then(|it| it.parse().ok()).unwrap_or(0);
            Ok(world.record.entries(since, call.query("host")))
        }
        ("DELETE", "/requests") => {
            world.record.clear();
            Ok(json!({}))
        }
        ("GET", "/messages") => Ok(json!(world.record.mails())),
        ("PUT", "/dns") => {
            world.zone.set(body).map_err(|error| refused(400, error))?;
            Ok(json!({}))
        }
        ("GET", "/faults") => Ok(world.faults.listing()),
        ("POST", "/faults") => {
            world.faults.add(body).map_err(|error| refused(400, error))?;
            Ok(json!({}))
        }
        ("DELETE", "/faults") => {
            world.faults.clear();
            Ok(json!({}))
        }
        ("PUT", "/clock") => {
            let seconds = body["offset_seconds"].as_i64();
            let seconds = seconds.ok_or_else(|| refused(400, "offset_seconds is missing".to_owned()))?;
            world.ahead = SignedDuration::from_secs(seconds);
            Ok(json!({"now": world.now().to_string()}))
        }
        ("PUT", "/caller_ip") => {
            let ip = body["ip"].as_str().and_then(|it| it.parse::<IpAddr>().ok());
            world.caller_ip = ip.ok_or_else(|| refused(400, "ip is no address".to_owned()))?;
            Ok(json!({}))
        }
        _ => Err(refused(404, format!("no control {} {}", call.method, call.path))),
    }
}
