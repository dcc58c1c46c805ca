//! What a Klaviyo key can do beyond being checked. All of it is beta: where it
//! says no, the trouble names it in one sentence and the guided way remains.

use super::wire::{self, Envelope, Resource};
use super::{Klaviyo, judge, own};
use crate::domain::SendingDomain;
use crate::key::verdict::Facts;
use crate::key::{Domain, Kind, Reason, Region, Secret};
use crate::provider::finding::{Finding, ask, change};
use crate::provider::{
    Call, CreatedKey, Credential, Delivery, DomainList, DomainListing, Family, Fate, KeyAdmin, KeySwitch,
    MailEvent, Net, NewKey, Outcome, RemoteKey, Right, Sent, TestMail, Trouble,
};
use crate::smtp::Message;

/// More pages than any account has sending domains.
const MAX_PAGES: usize = 50;

/// Returns all private keys of the account.
pub fn keys(net: &Net<'_>, credential: &Credential<'_>) -> Result<Vec<RemoteKey>, Finding> {
    let reply = ask(net, &wire::api_keys(credential))?;
    let envelope: Envelope<Vec<Resource<wire::KeyFields>>> =
        judge::read_beta(&reply, "API keys", "credentials:read")?;
    Ok(envelope.data.iter().map(Resource::remote).collect())
}

fn none(detail: &str, hint: &str) -> Trouble {
    Finding::new(Reason::PermissionNotCheckable, detail).hint(hint).trouble()
}

impl KeyAdmin for Klaviyo {
    fn can_replace(&self, _: Kind, _: Option<&str>) -> Result<(), String> {
        Err("Klaviyo's API neither makes nor deletes private keys; its console does".to_owned())
    }

    fn may_manage(&self, _: Kind, facts: &Facts, _: Kind) -> Right {
        match &facts.permissions {
            Some(held) if held.iter().any(|it| it == "credentials:write") => Right::Yes,
            Some(_) => Right::No("the key has no `credentials:write`".to_owned()),
            None => Right::Unknown("the key may not read its own scopes (`credentials:read`)".to_owned()),
        }
    }

    fn list(&self, Call { net, credential: manager }: Call<'_>, _: &Family<'_>) -> Outcome<Vec<RemoteKey>> {
        keys(net, manager).map_err(Finding::trouble)
    }

    fn create(&self, _: Call<'_>, _: &NewKey<'_>) -> Outcome<CreatedKey> {
        Err(none("Klaviyo's API makes no private keys", "make it in the console"))
    }

    fn delete(&self, _: Call<'_>, _: &Family<'_>, _: &str) -> Outcome<bool> {
        Err(none("Klaviyo's API deletes no private keys", "disable it, and delete it in the console"))
    }

    fn own<'l>(&self, listed: &'l [RemoteKey], secret: &Secret) -> Option<&'l RemoteKey> {
        own(listed, secret)
    }

    fn is_absent(&self, listed: &[RemoteKey], secret: &Secret) -> bool {
        super::is_absent(listed, secret)
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        Some(self)
    }

    /// Klaviyo's API has no log of calls; its console shows a key's activity.
    fn logs_name(&self, _: Kind) -> bool {
        false
    }

    fn last_use(&self, _: Call<'_>, _: &str, _: jiff::Timestamp) -> Outcome<Option<jiff::Timestamp>> {
        Err(none(
            "Klaviyo's API does not tell when a key was last used",
            "its console does: Settings › API keys › the key › Activity",
        ))
    }
}

impl KeySwitch for Klaviyo {
    fn set(&self, Call { net, credential: manager }: Call<'_>, id: &str, enabled: bool) -> Outcome<()> {
        let wanted = if enabled { "active" } else { "disabled" };
        let request = wire::switch(manager, id, wanted);
        let reply = change(net, &request).map_err(Finding::trouble)?;
        if reply.status == 404 {
            let detail = format!("Klaviyo lists no key `{}`", crate::key::text::printable(id, 40));
            return Err(Finding::new(Reason::KeyNotFound, detail).trouble());
        }
        let envelope: Envelope<Resource<wire::KeyFields>> =
            judge::read_beta(&reply, "API keys", "credentials:write").map_err(|finding| {
                Finding { outcome_unknown: (200..300).contains(&reply.status), ..finding }.trouble()
            })?;
        if envelope.data.attributes.status.as_deref() == Some(wanted) {
            return Ok(());
        }
        let detail = format!("Klaviyo took the change but does not say that the key is {wanted}");
        Err(Finding { outcome_unknown: true, ..Finding::new(Reason::UnexpectedResponse, detail) }.trouble())
    }
}

type Listed = Vec<Resource<wire::DomainFields>>;

/// Reads all pages; what was read stays when a later page fails.
fn sending_domains(net: &Net<'_>, credential: &Credential<'_>) -> (Listed, Option<Finding>) {
    let mut all = Listed::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let page = ask(net, &wire::sending_domains(credential, cursor.as_deref())).and_then(|reply| {
            judge::read_beta::<Envelope<Listed>>(&reply, "sending domains", "sender-config:read")
        });
        match page {
            Err(finding) => return (all, Some(finding)),
            Ok(envelope) => {
                all.extend(envelope.data);
                match envelope.links.and_then(|it| it.cursor()) {
                    Some(next) if cursor.as_deref() != Some(next.as_str()) => cursor = Some(next),
                    _ => return (all, None),
                }
            }
        }
    }
    let detail = format!("Klaviyo's list of domains did not end after {MAX_PAGES} pages");
    (all, Some(Finding::new(Reason::UnexpectedResponse, detail)))
}

fn find(
    net: &Net<'_>,
    credential: &Credential<'_>,
    domain: &Domain,
) -> Result<Option<Resource<wire::DomainFields>>, Trouble> {
    let (all, trouble) = sending_domains(net, credential);
    match all.into_iter().find(|it| it.attributes.domain.eq_ignore_ascii_case(domain.as_str())) {
        Some(found) => Ok(Some(found)),
        None => trouble.map_or(Ok(None), |finding| Err(finding.trouble())),
    }
}

impl DomainList for Klaviyo {
    fn may_list(&self, _: Kind) -> bool {
        true
    }

    fn list(&self, Call { net, credential }: Call<'_>) -> DomainListing {
        let (all, trouble) = sending_domains(net, credential);
        DomainListing {
            domains: all.iter().filter_map(|it| it.attributes.domain()).collect(),
            troubles: trouble.into_iter().map(|finding| (None, finding.trouble())).collect(),
        }
    }

    fn show(
        &self,
        Call { net, credential }: Call<'_>,
        domain: &Domain,
        _: Option<Region>,
    ) -> Outcome<Option<SendingDomain>> {
        Ok(find(net, credential, domain)?.and_then(|it| it.attributes.domain()))
    }

    fn verify(
        &self,
        Call { net, credential }: Call<'_>,
        domain: &Domain,
        _: Option<Region>,
    ) -> Outcome<SendingDomain> {
        let not_there =
            || Finding::new(Reason::DomainNotFound, format!("`{domain}` is not in this Klaviyo account"));
        let found = find(net, credential, domain)?.ok_or_else(|| not_there().trouble())?;
        let shown = found.attributes.domain().ok_or_else(|| not_there().trouble())?;
        let request = wire::verify(credential, &found.id);
        let reply = change(net, &request).map_err(Finding::trouble)?;
        let job: Envelope<Resource<wire::Verification>> =
            judge::read_beta(&reply, "sending domains", "sender-config:write").map_err(Finding::trouble)?;
        Ok(SendingDomain { records: Some(wire::records(&job.data.attributes.dns_records)), ..shown })
    }
}

impl TestMail for Klaviyo {
    fn send(&self, _: Call<'_>, _: &Message, _: &Domain, _: Delivery) -> Outcome<Sent> {
        Err(none("Klaviyo sends a test mail from a template only", "name one: `--template ID`"))
    }

    fn relay(&self, _: Call<'_>, _: &Message, _: Delivery) -> Outcome<Sent> {
        Err(none("Klaviyo has no SMTP relay", "`--via api` with `--template ID`"))
    }

    fn needs_template(&self) -> bool {
        true
    }

    fn send_template(&self, Call { net, credential }: Call<'_>, template: &str, to: &str) -> Outcome<Sent> {
        let request = wire::preview(credential, template, to);
        let reply = change(net, &request).map_err(Finding::trouble)?;
        let job: Envelope<Resource<wire::JobFields>> =
            judge::read_beta(&reply, "template previews", "templates:write").map_err(Finding::trouble)?;
        let status = job.data.attributes.status.unwrap_or_else(|| "queued".to_owned());
        let detail = format!("preview of template `{template}` is {status}");
        Ok(Sent { message_id: Some(job.data.id).filter(|it| !it.is_empty()), detail, at: net.now })
    }

    fn test_mode_note(&self) -> Option<&'static str> {
        None
    }

    fn follow(
        &self,
        _: Call<'_>,
        _: &Sent,
        _: &Domain,
        _: Option<Region>,
    ) -> Outcome<(Fate, Vec<MailEvent>)> {
        Err(none("Klaviyo does not tell what became of a preview", "look into the mailbox"))
    }
}
