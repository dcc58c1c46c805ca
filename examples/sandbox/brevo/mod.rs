//! Brevo, as its OpenAPI document, its SDK's examples and recorded refusals
//! describe it. Five refusals share status and code; the message alone differs.

pub mod control;
pub mod demo;
mod mail;
mod model;
pub mod relay;

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::contract::{self, Aim, Contract};
use crate::moment;
use crate::world::World;
pub use model::Brevo;
use model::{Account, Domain, Key, Kind, State};

static CONTRACT: LazyLock<Contract> =
    LazyLock::new(|| Contract::read(include_str!("../../../tests/contracts/brevo.json")));

/// One request that was let in.
struct Visit<'a> {
    world: &'a mut World,
    call: &'a Call,
    account: String,
    now: Timestamp,
}

impl Visit<'_> {
    fn account(&mut self) -> &mut Account {
        self.world.brevo.accounts.entry(self.account.clone()).or_default()
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"message": message, "code": code}))
}

/// Answers on Brevo's one host.
pub fn answer(world: &mut World, call: &Call) -> Reply {
    match CONTRACT.aim(&call.method, &call.segments()) {
        Aim::Nothing => {
            refusal(404, "document_not_found", "Not found").violating(format!("no such path: {}", call.path))
        }
        Aim::WrongMethod => refusal(405, "method_not_allowed", "Method not allowed")
            .violating(format!("{} is not defined for {}", call.method, call.path)),
        Aim::Operation(operation, parameters) => {
            let secret = CONTRACT.credential(&call.headers).unwrap_or_default().to_owned();
            let violation =
                contract::violation(operation, call).or_else(|| contract::secret_in_target(call, &secret));
            let parameter = parameters.into_iter().next().unwrap_or_default();
            let mut reply = admit(world, call, &secret, (&operation.path, &parameter), violation.as_deref());
            if let Some(violation) = violation {
                reply = reply.violating(violation);
            }
            reply
        }
    }
}

/// Checks key, address, limit, permission and contract, in this order.
fn admit(
    world: &mut World,
    call: &Call,
    secret: &str,
    (path, parameter): (&str, &str),
    violation: Option<&str>,
) -> Reply {
    let now = world.now();
    let key = match known(world, secret, now) {
        Ok(key) => key,
        Err(reply) => return reply,
    };
    let id = key.id.clone();
    let noted = |mut reply: Reply, authenticated| {
        (reply.key_id, reply.authenticated) = (Some(id.clone()), authenticated);
        reply.with("sib-request-id", crate::chance::hex(24))
    };
    if key.state == State::Deactivated {
        return noted(refusal(401, "unauthorized", "API Key is not enabled"), false);
    }
    let caller = world.caller_ip;
    let account = world.brevo.accounts.entry(key.account.clone()).or_default();
    if account.settings.api_blocking && !account.settings.authorised.contains(&caller) {
        let message = format!(
            "We have detected you are using an unrecognised IP address {caller}. If you performed this action make \
             sure to add the new IP address in this link: https://app.brevo.com/security/authorised_ips"
        );
        return noted(refusal(401, "unauthorized", &message), false);
    }
    if account.settings.under_validation {
        return noted(refusal(403, "account_under_validation", "Your account is under validation"), true);
    }
    if let Some(reply) = limited(account, path, now) {
        return noted(reply, true);
    }
    if key.permissions.as_ref().is_some_and(|held| !held.iter().any(|it| it == resource(path))) {
        return noted(
            refusal(403, "permission_denied", "API key does not have the required permissions"),
            true,
        );
    }
    if let Some(what) = violation {
        return noted(refusal(400, "invalid_parameter", what), true);
    }
    let mut visit = Visit { account: key.account, world, call, now };
    noted(visit.run(path, parameter), true)
}

/// Returns the key that was presented, unless nobody knows it.
fn known(world: &World, secret: &str, now: Timestamp) -> Result<Key, Reply> {
    if secret.is_empty() {
        return Err(refusal(401, "unauthorized", "authentication not found in headers"));
    }
    // An SMTP key is as good as no key.
    let key = world.brevo.key_by_secret(secret).filter(|it| it.kind == Kind::Api && it.exists(now));
    key.cloned().ok_or_else(|| refusal(401, "unauthorized", "Key not found"))
}

fn limited(account: &mut Account, path: &str, now: Timestamp) -> Option<Reply> {
    let limit = account.settings.calls_per_hour?;
    if path == "/v3/smtp/email" {
        return None;
    }
    let hour = SignedDuration::from_hours(1);
    account.calls.retain(|at| now.duration_since(*at) < hour);
    if account.calls.len() >= limit {
        let oldest = account.calls.first().copied().unwrap_or(now);
        let left = (hour - now.duration_since(oldest)).as_secs().max(1);
        let reply = refusal(429, "too_many_requests", "Too many requests");
        return Some(
            reply
                .with("x-sib-ratelimit-limit", limit.to_string())
                .with("x-sib-ratelimit-remaining", "0")
                .with("x-sib-ratelimit-reset", left.to_string()),
        );
    }
    account.calls.push(now);
    None
}

fn resource(path: &str) -> &'static str {
    match path {
        "/v3/account" => "account",
        "/v3/senders" => "senders",
        "/v3/smtp/templates" => "templates",
        "/v3/smtp/email" => "email",
        "/v3/smtp/statistics/events" => "events",
        _ => "domains",
    }
}

impl Visit<'_> {
    fn run(&mut self, path: &str, parameter: &str) -> Reply {
        match path {
            "/v3/account" => self.show_account(),
            "/v3/senders" => self.senders(),
            "/v3/senders/domains" => self.domains(),
            "/v3/senders/domains/{domainName}" => self.domain(parameter),
            "/v3/senders/domains/{domainName}/authenticate" => self.authenticate(parameter),
            "/v3/smtp/templates" => Reply::json(200, &json!({"count": 0, "templates": []})),
            "/v3/smtp/email" => mail::send(self),
            "/v3/smtp/statistics/events" => mail::events(self),
            _ => refusal(404, "document_not_found", "Not found"),
        }
    }

    fn show_account(&mut self) -> Reply {
        let account = self.account();
        let settings = &account.settings;
        Reply::json(
            200,
            &json!({
                "organization_id": account.organization_id, "user_id": 1_234_567, "enterprise": false,
                "companyName": settings.company, "email": settings.email, "firstName": "Michael", "lastName": "Davis",
                "address": {"city": "Berlin", "country": "Germany", "street": "Hauptstrasse 1", "zipCode": "10115"},
                "dateTimePreferences": {"timezone": "Europe/Berlin", "timeFormat": "24", "dateFormat": "dd-mm-yyyy"},
                "marketingAutomation": {"enabled": false},
                "plan": [
                    {"type": settings.plan, "creditsType": "sendLimit", "credits": settings.credits,
                     "startDate": "1751234567", "endDate": "1753826567"},
                    {"type": "sms", "creditsType": "sendLimit", "credits": 0},
                ],
                "relay": {"enabled": settings.activated,
                    "data": {"userName": account.smtp_login, "relay": "smtp-relay.brevo.com", "port": 587}},
            }),
        )
    }

    fn senders(&mut self) -> Reply {
        let domain = self.call.query("domain").map(str::to_owned);
        let wanted = |email: &str| domain.as_ref().is_none_or(|it| email.ends_with(&format!("@{it}")));
        let list: Vec<Value> = self
            .account()
            .senders
            .iter()
            .enumerate()
            .filter(|(_, it)| wanted(&it.email))
            .map(|(at, it)| json!({"id": at + 1, "name": "Sender", "email": it.email, "active": it.active}))
            .collect();
        Reply::json(200, &json!({"senders": list}))
    }

    fn domains(&mut self) -> Reply {
        let at = moment::rfc3339(self.now);
        let shown = |it: &Domain| {
            json!({"id": "67e57b40130375f045064c45", "domain_name": it.name, "authenticated": it.authenticated,
                "verified": it.verified, "provider": "Other", "creator": {"id": "62e4fce597550d0b0177cb0c",
                "email": "admin@shop.example", "creationDate": at}})
        };
        let list: Vec<Value> = self.account().domains.iter().map(shown).collect();
        Reply::json(200, &json!({"domains": list, "count": list.len(), "current_page": 1, "total_pages": 1}))
    }

    fn domain(&mut self, name: &str) -> Reply {
        let found = self.account().domains.iter().find(|it| it.name == name);
        let Some(domain) = found else {
            return refusal(404, "document_not_found", "Domain does not exist");
        };
        Reply::json(
            200,
            &json!({"domain": domain.name, "verified": domain.verified, "authenticated": domain.authenticated,
            "dns_records": {
                "brevo_code": {"type": "TXT", "host_name": "@", "value": "brevo-code:0a1b2c3d4e5f",
                    "status": domain.verified},
                "dkim_record": {"type": "TXT", "host_name": "mail._domainkey.", "value": "k=rsa;p=MIGfMA0GCSq",
                    "status": domain.dkim || domain.authenticated},
                "dmarc_record": {"type": "TXT", "host_name": "_dmarc",
                    "value": "v=DMARC1; p=none; rua=mailto:rua@dmarc.brevo.com", "status": domain.authenticated},
            }}),
        )
    }

    /// Looks at the records; without them nothing changes.
    fn authenticate(&mut self, name: &str) -> Reply {
        let found = self.account().domains.iter_mut().find(|it| it.name == name);
        let Some(domain) = found else {
            return refusal(404, "document_not_found", "Domain does not exist");
        };
        if !domain.dkim && !domain.authenticated {
            return refusal(
                400,
                "invalid_parameter",
                "Unable to authenticate domain, DNS records are not valid",
            );
        }
        (domain.authenticated, domain.verified) = (true, true);
        let message = "Domain has been authenticated successfully.";
        Reply::json(200, &json!({"domain_name": name, "message": message}))
    }
}
