//! What a Brevo API key can do beyond being checked: list domains, send a test
//! mail and follow it.

use super::wire::{self, Sandbox};
use super::{Brevo, judge};
use crate::domain::SendingDomain;
use crate::key::{Domain, Kind, Reason, Region};
use crate::provider::finding::{Finding, ask, change};
use crate::provider::{
    Call, Credential, Delivery, DomainList, DomainListing, Fate, MailEvent, Net, Outcome, Sent, TestMail,
    Trouble,
};
use crate::smtp::Message;

impl DomainList for Brevo {
    fn may_list(&self, kind: Kind) -> bool {
        kind == Kind::Api
    }

    fn list(&self, Call { net, credential }: Call<'_>) -> DomainListing {
        match listed(net, credential) {
            Err(finding) => DomainListing { domains: Vec::new(), troubles: vec![(None, finding.trouble())] },
            Ok(wire) => {
                let domains = wire.domains.iter().filter_map(wire::ListedDomain::domain).collect();
                let pages = wire.total_pages.unwrap_or(1);
                let cut = (pages > 1).then(|| {
                    let detail = format!(
                        "Brevo showed page 1 of {pages} of the domains; it documents no way to the rest"
                    );
                    (None, Finding::new(Reason::UnexpectedResponse, detail).trouble())
                });
                DomainListing { domains, troubles: cut.into_iter().collect() }
            }
        }
    }

    fn show(
        &self,
        Call { net, credential }: Call<'_>,
        domain: &Domain,
        _: Option<Region>,
    ) -> Outcome<Option<SendingDomain>> {
        let reply = ask(net, &wire::domain(credential, domain)).map_err(Finding::trouble)?;
        if unknown_domain(&reply) {
            return Ok(None);
        }
        let shown: wire::ShownDomain = judge::read(&reply).map_err(Finding::trouble)?;
        Ok(Some(shown.domain(domain)))
    }

    fn verify(
        &self,
        Call { net, credential }: Call<'_>,
        domain: &Domain,
        region: Option<Region>,
    ) -> Outcome<SendingDomain> {
        let request = wire::authenticate(credential, domain);
        let reply = change(net, &request).map_err(Finding::trouble)?;
        if unknown_domain(&reply) {
            return Err(not_there(domain));
        }
        // A 400 says that the records are not there yet: then their state is the answer.
        match judge::refusal(&reply) {
            Some(finding) if reply.status != 400 => Err(finding.trouble()),
            _ => self.show(net.by(credential), domain, region)?.ok_or_else(|| not_there(domain)),
        }
    }
}

fn listed(net: &Net<'_>, credential: &Credential<'_>) -> Result<wire::Domains, Finding> {
    judge::read(&ask(net, &wire::domains(credential))?)
}

fn unknown_domain(reply: &crate::http::Reply) -> bool {
    let said: wire::Refusal = serde_json::from_str(&reply.body).unwrap_or_default();
    let words = format!("{} {}", said.code, said.message).to_lowercase();
    matches!(reply.status, 400 | 404)
        && (words.contains("document_not_found")
            || words.contains("not exist")
            || words.contains("not found"))
}

fn not_there(domain: &Domain) -> Trouble {
    Finding::new(Reason::DomainNotFound, format!("`{domain}` is not in this Brevo account")).trouble()
}

impl TestMail for Brevo {
    fn send(
        &self,
        Call { net, credential }: Call<'_>,
        message: &Message,
        _: &Domain,
        delivery: Delivery,
    ) -> Outcome<Sent> {
        let sandbox = match delivery {
            Delivery::Real => Sandbox::Off,
            Delivery::TestMode => Sandbox::On,
        };
        if sandbox == Sandbox::Off {
            sender_may_send(net, credential, &message.from).map_err(Finding::trouble)?;
        }
        let request = wire::email(credential, message, sandbox);
        let reply = change(net, &request).map_err(Finding::trouble)?;
        let taken: wire::Taken = judge::read(&reply).map_err(|finding| refused_sender(finding).trouble())?;
        let message_id = taken.message_id.or_else(|| taken.message_ids.into_iter().next());
        let detail = match delivery {
            Delivery::Real => "taken by Brevo's API",
            Delivery::TestMode => "taken in Brevo's sandbox, which proves key and form only",
        };
        Ok(Sent { message_id, detail: detail.to_owned(), at: net.now })
    }

    fn relay(
        &self,
        Call { net, credential }: Call<'_>,
        message: &Message,
        delivery: Delivery,
    ) -> Outcome<Sent> {
        if delivery == Delivery::TestMode {
            let detail = "Brevo's relay has no test mode: the message would be delivered";
            let finding = Finding::new(Reason::PermissionNotCheckable, detail);
            return Err(finding
                .hint("test through the API with an `xkeysib-…` key, or `validate` this one")
                .trouble());
        }
        let Some(login) = credential.login else {
            let detail = "no SMTP login is recorded for this key";
            let finding = Finding::new(Reason::PermissionNotCheckable, detail);
            return Err(finding.hint("`keyctl set KEYREF --login …@smtp-brevo.com`").trouble());
        };
        match net.smtp.send(&wire::RELAY, login, credential.secret, message, net.deadline) {
            Ok(accepted) => Ok(Sent {
                message_id: accepted.message_id,
                detail: format!(
                    "queued by Brevo's relay{}",
                    crate::provider::finding::quoted(&accepted.reply)
                ),
                at: net.now,
            }),
            Err(failure) => {
                let sent = failure.phase == crate::smtp::Phase::Data && failure.code.is_none();
                Err(Finding { outcome_unknown: sent, ..judge::relay(&failure, login) }.trouble())
            }
        }
    }

    fn needs_template(&self) -> bool {
        false
    }

    fn send_template(&self, _: Call<'_>, _: &str, _: &str) -> Outcome<Sent> {
        Err(Trouble::no_templates())
    }

    fn test_mode_note(&self) -> Option<&'static str> {
        Some("Brevo's sandbox proves the key and the form only.")
    }

    fn follow(
        &self,
        Call { net, credential: reader }: Call<'_>,
        sent: &Sent,
        _: &Domain,
        _: Option<Region>,
    ) -> Outcome<(Fate, Vec<MailEvent>)> {
        let Some(message_id) = sent.message_id.as_deref() else {
            let detail = "Brevo gave no message id to follow";
            return Err(Finding::new(Reason::UnexpectedResponse, detail).trouble());
        };
        let reply = ask(net, &wire::events(reader, message_id)).map_err(Finding::trouble)?;
        let wire: wire::Events = judge::read(&reply).map_err(Finding::trouble)?;
        Ok(fate(&wire.events))
    }
}

/// Returns whether the sender is active, or its domain authenticated. Brevo
/// takes mail of unknown senders with a 201 and drops it later. A key that may
/// not read either list proves nothing: the mail is sent.
fn sender_may_send(net: &Net<'_>, credential: &Credential<'_>, from: &str) -> Result<(), Finding> {
    let from = wire::address(from);
    let domain = from.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
    let domains = match listed(net, credential) {
        Ok(wire) => Some(wire),
        Err(finding) if finding.reason == Reason::PermissionMissing => None,
        Err(finding) => return Err(finding),
    };
    let vouches = |name: &str| name.eq_ignore_ascii_case(&domain);
    if domains.iter().flat_map(|it| &it.domains).any(|it| it.authenticated && vouches(&it.domain_name)) {
        return Ok(());
    }
    match judge::read::<wire::Senders>(&ask(net, &wire::senders(credential, &domain))?) {
        Ok(wire) if wire.senders.iter().any(|it| it.active && it.email.eq_ignore_ascii_case(from)) => Ok(()),
        Ok(_) if domains.is_some() => {
            let detail = format!(
                "Brevo knows neither an active sender `{from}` nor an authenticated domain `{domain}`"
            );
            let hint =
                "nothing was sent: Brevo would take it and drop it silently; authenticate the domain first";
            Err(Finding::new(Reason::DomainNotVerified, detail).hint(hint))
        }
        Ok(_) => Ok(()),
        Err(finding) if finding.reason == Reason::PermissionMissing => Ok(()),
        Err(finding) => Err(finding),
    }
}

fn refused_sender(finding: Finding) -> Finding {
    if finding.detail.to_lowercase().contains("valid sender email required") {
        return Finding { reason: Reason::DomainNotVerified, ..finding }
            .hint("`--from` must be an address of an active sender or an authenticated domain");
    }
    finding
}

/// Returns what became of a message, and its events oldest first.
fn fate(events: &[wire::Event]) -> (Fate, Vec<MailEvent>) {
    let any = |names: &[&str]| events.iter().any(|it| names.contains(&it.event.as_str()));
    let fate = if any(&["delivered", "opened", "clicks", "loadedByProxy", "unsubscribed", "spam"]) {
        Fate::Delivered
    } else if any(&["error", "blocked", "invalid", "hardBounces", "bounces"]) {
        Fate::Failed
    } else {
        Fate::Pending
    };
    let told = events.iter().rev().map(|it| MailEvent {
        event: it.event.clone(),
        at: it.date.clone(),
        detail: it.reason.as_deref().map(|reason| crate::key::text::printable(reason, 240)),
    });
    (fate, told.collect())
}
