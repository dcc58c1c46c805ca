//! Mailgun: account keys, domain sending keys, SMTP logins.
//!
//! Facts that shape everything here (recorded replies and documents):
//! account keys are global, but domains, routes, logs and SMTP logins live in
//! one of two regions; a current key carries its own id; a 401 does not say
//! why, so a refusal is believed only after both regions gave it.

mod account;
mod answer;
mod console;
mod domains;
mod keys;
mod listing;
mod lists;
mod logs;
mod mail;
mod relay;
mod request;
mod roles;
mod sending;
mod sending_probe;
mod shape;
mod terms;
#[cfg(test)]
mod tests;
mod wire;

use std::thread;

use super::{
    ConsoleAsk, ConsoleTask, Credential, Detection, Facets, Guide, Handout, HandoutAsk, Net, Provider,
    Recognition, Refusal, Terms, Unsorted,
};
use crate::http::Host;
use crate::key::{Judgement, Kind, ProviderId, Reason, Region, Scope, Secret};
use crate::smtp::Relay;

/// The US API (documentation: API overview, regions).
pub const US: Host = Host { origin: "https://api.mailgun.net", variable: "KEYCTL_MAILGUN_US_URL" };
/// The EU API.
pub const EU: Host = Host { origin: "https://api.eu.mailgun.net", variable: "KEYCTL_MAILGUN_EU_URL" };

/// The US relay (documentation: sending by SMTP). Port 25 is left out: it is
/// closed nearly everywhere.
pub const US_RELAY: Relay =
    Relay { host: "smtp.mailgun.org", ports: &[587, 2525, 465], variable: "KEYCTL_MAILGUN_US_SMTP" };
/// The EU relay.
pub const EU_RELAY: Relay =
    Relay { host: "smtp.eu.mailgun.org", ports: &[587, 2525, 465], variable: "KEYCTL_MAILGUN_EU_SMTP" };

static HOSTS: [&Host; 2] = [&US, &EU];
static RELAYS: [&Relay; 2] = [&US_RELAY, &EU_RELAY];

/// The variables programs read, as Mailgun's own tools name them.
const NAMES: &[&str] = &[
    "MAILGUN_API_KEY",
    "MAILGUN_DOMAIN",
    "MAILGUN_API_REGION",
    "MAILGUN_API_URL",
    "MAILGUN_SMTP_SERVER",
    "MAILGUN_SMTP_PORT",
    "MAILGUN_SMTP_LOGIN",
    "MAILGUN_SMTP_PASSWORD",
];

/// The provider.
pub struct Mailgun;

impl Provider for Mailgun {
    fn id(&self) -> ProviderId {
        ProviderId::Mailgun
    }

    fn hosts(&self) -> &'static [&'static Host] {
        &HOSTS
    }

    fn relays(&self) -> &'static [&'static Relay] {
        &RELAYS
    }

    fn recognise(&self, text: &str) -> Recognition {
        shape::recognise(text)
    }

    fn fits(&self, kind: Kind, text: &str) -> Result<(), Refusal> {
        shape::fits(kind, text)
    }

    fn detect(&self, net: &Net<'_>, unsorted: &Unsorted<'_>) -> Option<Detection> {
        Some(detect(net, unsorted))
    }

    fn check(&self, net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
        match credential.kind {
            Kind::Sending => sending::check(net, credential),
            Kind::Smtp => relay::check(net, credential),
            _ => account::check(net, credential),
        }
    }

    fn handout(&self, ask: &HandoutAsk<'_>) -> Vec<(&'static str, Handout)> {
        handout(ask)
    }

    fn handout_names(&self) -> &'static [&'static str] {
        NAMES
    }

    fn endpoint(
        &self,
        kind: Kind,
        region: Option<Region>,
    ) -> (Option<&'static Host>, Option<&'static Relay>) {
        let region = region.unwrap_or(Region::Us);
        if kind == Kind::Smtp {
            (None, Some(relay::relay(region)))
        } else {
            (Some(request::host(region)), None)
        }
    }

    fn console(&self, task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide> {
        console::guide(task, ask)
    }

    fn chosen_by_person(&self, kind: Kind) -> bool {
        kind == Kind::Smtp
    }

    fn embedded_id(&self, secret: &Secret) -> Option<String> {
        shape::embedded_id(secret)
    }

    fn login_teller(&self, _: Kind) -> Option<Kind> {
        None
    }

    fn embedded_account(&self, _: &Secret) -> Option<String> {
        None
    }

    fn kind_at(&self, _: &Scope) -> Option<Kind> {
        None
    }

    fn terms(&self) -> Terms {
        terms::TERMS
    }

    fn facets(&self) -> Facets<'_> {
        Facets {
            domains: Some(self),
            test_mail: Some(self),
            keys: Some(self),
            allowlist: Some(self),
            inbound: Some(self),
            permissions: Some(&roles::Roles),
            locations: None,
        }
    }
}

/// Tries what a secret can be, as far as the data for it is there.
fn detect(net: &Net<'_>, unsorted: &Unsorted<'_>) -> Detection {
    let credential = |kind| Credential {
        kind,
        secret: unsorted.secret,
        region: unsorted.region,
        domain: unsorted.domain,
        login: unsorted.login,
        remote_id: None,
        account_id: None,
    };
    let as_account = Credential { domain: None, ..credential(Kind::Account) };
    let account = if shape::of(unsorted.secret) != shape::Shape::Other {
        let judgement = account::check(net, &as_account);
        // Mailgun's own word on an account key: disabled, expired, another kind.
        let spoken = [Reason::Disabled, Reason::Expired].into_iter().any(|it| judgement.has(it));
        if judgement.accepted() || spoken {
            return Detection::Is(Kind::Account, judgement);
        }
        Some(judgement)
    } else {
        None
    };
    let mut tried = account;
    if unsorted.domain.is_some() {
        let judgement = sending::check(net, &credential(Kind::Sending));
        if judgement.accepted() {
            return Detection::Is(Kind::Sending, judgement);
        }
        tried = Some(judgement);
    }
    if unsorted.login.is_some() {
        let judgement = relay::check(net, &credential(Kind::Smtp));
        if judgement.accepted() {
            return Detection::Is(Kind::Smtp, judgement);
        }
        tried = Some(judgement);
    }
    Detection::Unclear(tried.unwrap_or_else(|| {
        Judgement::because(Reason::PermissionNotCheckable, "the text has the form of no Mailgun key")
            .with_hint("an SMTP password needs `--kind smtp --login LOGIN`")
    }))
}

fn handout(ask: &HandoutAsk<'_>) -> Vec<(&'static str, Handout)> {
    let credential = &ask.credential;
    let region = credential.region.unwrap_or(Region::Us);
    let secret = Handout::Secret(credential.secret.clone());
    if credential.kind == Kind::Smtp {
        let relay = relay::relay(region);
        let mut list = vec![
            ("MAILGUN_SMTP_SERVER", Handout::RelayHost(relay)),
            ("MAILGUN_SMTP_PORT", Handout::RelayPort(relay)),
        ];
        if let Some(login) = credential.login {
            list.push(("MAILGUN_SMTP_LOGIN", Handout::Plain(login.to_owned())));
        }
        list.push(("MAILGUN_SMTP_PASSWORD", secret));
        return list;
    }
    let mut list = vec![("MAILGUN_API_KEY", secret)];
    // A sending key works for its own domain, whatever the scope prefers.
    let own = credential.domain.filter(|_| credential.kind == Kind::Sending);
    if let Some(domain) = own.or(ask.domain).or(credential.domain) {
        list.push(("MAILGUN_DOMAIN", Handout::Plain(domain.to_string())));
    }
    list.push(("MAILGUN_API_REGION", Handout::Plain(region.to_string())));
    list.push(("MAILGUN_API_URL", Handout::Origin(request::host(region))));
    list
}

/// Does two things at the same time.
fn beside<A: Send, B: Send>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let running = scope.spawn(first);
        let second = second();
        match running.join() {
            Ok(first) => (first, second),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
