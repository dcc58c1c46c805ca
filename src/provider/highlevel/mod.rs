//! HighLevel (and its white labels, such as Pilotly.io): private integration
//! tokens of an agency or of one location. A token shows neither its level nor
//! an id of its own; what is recorded of its account is the company or location.

mod facets;
mod guide;
mod judge;
mod wire;

use super::finding::Finding;
use super::{
    Candidate, ConsoleAsk, ConsoleTask, Credential, Detection, DomainTerms, DotenvNames, Facets, Guide,
    Handout, HandoutAsk, Net, Provider, Recognition, Refusal, RemoteLocation, Terms, Unsorted,
};
use crate::clock::Span;
use crate::http::Host;
use crate::key::verdict::Facts;
use crate::key::{Judgement, Kind, ProviderId, Reason, Region, Scope, Secret};
use crate::smtp::Relay;

/// `pit-` and a UUID.
const PREFIX: &str = "pit-";
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// HighLevel names no variable; this is the one that keys are handed out in.
const DOTENV: DotenvNames =
    DotenvNames { secrets: &[("HIGHLEVEL_TOKEN", None)], login: None, domain: None, region: None };

/// Its tokens list no domains: nothing of this is shown until they do.
const DOMAINS: DomainTerms = DomainTerms {
    add: "add it there",
    verified: "verified",
    wrong_region: None,
    disabled: None,
    sandbox: None,
    usual_records: &[],
    most_details: 0,
};

/// HighLevel.
#[derive(Debug)]
pub struct Highlevel;

impl Provider for Highlevel {
    fn id(&self) -> ProviderId {
        ProviderId::Highlevel
    }
    fn hosts(&self) -> &'static [&'static Host] {
        &wire::HOSTS
    }
    fn relays(&self) -> &'static [&'static Relay] {
        &[]
    }

    fn recognise(&self, text: &str) -> Recognition {
        recognise(text)
    }

    fn detect(&self, net: &Net<'_>, unsorted: &Unsorted<'_>) -> Option<Detection> {
        Some(detect(net, unsorted))
    }

    fn check(&self, net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
        if credential.secret.is_empty() {
            return Judgement::because(Reason::SecretMissing, "the secret is empty");
        }
        let found = match (credential.kind, credential.account_id) {
            (Kind::Location, Some(id)) => one(net, credential, id),
            (_, company) => first(net, credential, company),
        };
        match found {
            Ok(facts) => accepted(facts),
            Err(finding) => finding.judgement(),
        }
    }

    fn handout(&self, ask: &HandoutAsk<'_>) -> Vec<(&'static str, Handout)> {
        vec![("HIGHLEVEL_TOKEN", Handout::Secret(ask.credential.secret.clone()))]
    }

    fn handout_names(&self) -> &'static [&'static str] {
        &["HIGHLEVEL_TOKEN"]
    }

    fn endpoint(&self, _: Kind, _: Option<Region>) -> (Option<&'static Host>, Option<&'static Relay>) {
        (Some(&wire::HOST), None)
    }

    fn console(&self, task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide> {
        guide::console(task, ask)
    }

    fn chosen_by_person(&self, _: Kind) -> bool {
        false
    }

    fn login_teller(&self, _: Kind) -> Option<Kind> {
        None
    }

    fn embedded_id(&self, _: &Secret) -> Option<String> {
        None
    }

    fn embedded_account(&self, _: &Secret) -> Option<String> {
        None
    }

    /// A token is made in an agency or in one location; its text does not say which.
    fn kind_at(&self, scope: &Scope) -> Option<Kind> {
        Some(if scope.location.is_some() { Kind::Location } else { Kind::Agency })
    }

    /// "Rotate and expire later": seven days (help.gohighlevel.com 155000003054).
    fn terms(&self) -> Terms {
        Terms {
            clones: false,
            lifetimes: None,
            idle_limit: None,
            overlap_limit: Some(Span::seconds(7 * 86_400)),
            regions: &[],
            bound_kinds: &[],
            roles: None,
            sends_for_highlevel: false,
            key_for_each_use: false,
            permissions_page: Some("HighLevel shows a token's scopes under Private Integrations only"),
            login_page: None,
            dotenv: DOTENV,
            domains: DOMAINS,
        }
    }

    fn facets(&self) -> Facets<'_> {
        Facets {
            domains: None,
            test_mail: None,
            keys: None,
            allowlist: None,
            inbound: None,
            permissions: None,
            locations: Some(self),
        }
    }
}

/// A token that sees two locations is an agency's. One that sees a single
/// location may be either.
fn detect(net: &Net<'_>, unsorted: &Unsorted<'_>) -> Detection {
    let credential = Credential {
        kind: Kind::Agency,
        secret: unsorted.secret,
        region: None,
        domain: None,
        login: None,
        remote_id: None,
        account_id: None,
    };
    match facets::page(net, &credential, None, 0, 2) {
        Err(finding) => Detection::Unclear(finding.judgement()),
        Ok(found) if found.len() > 1 => Detection::Is(Kind::Agency, Highlevel.check(net, &credential)),
        Ok(found) => {
            let seen = if found.is_empty() { "no location" } else { "one location" };
            let detail = format!("accepted; it sees {seen}: it is the location's token, or its agency's");
            let hint = "say which: `--kind location` or `--kind agency`";
            Detection::Unclear(Judgement::valid(detail).with_hint(hint))
        }
    }
}

fn accepted(facts: Facts) -> Judgement {
    let detail = match &facts.identity {
        Some(identity) => format!("accepted for {identity}"),
        None => "accepted; nothing tells of which agency or location it is".to_owned(),
    };
    Judgement::valid(detail).with_facts(facts)
}

/// Asks for the location the token is recorded for.
fn one(net: &Net<'_>, credential: &Credential<'_>, id: &str) -> Result<Facts, Finding> {
    let snapshot = facets::snapshot(net, credential, id)?.ok_or_else(|| {
        let detail = format!("HighLevel knows no location `{}`", crate::key::text::printable(id, 40));
        Finding::new(Reason::UnexpectedResponse, detail)
            .hint("it may have been deleted or moved to another agency")
    })?;
    Ok(location_facts(&snapshot.location))
}

/// Asks for the first location there is: a location's token sees only its own.
/// The company's id stands in the location itself, not in the list.
fn first(net: &Net<'_>, credential: &Credential<'_>, company: Option<&str>) -> Result<Facts, Finding> {
    let found = facets::page(net, credential, company, 0, 1)?;
    let Some(first) = found.first().map(wire::WireLocation::remote) else {
        let id = company.filter(|_| credential.kind == Kind::Agency).map(str::to_owned);
        return Ok(Facts { account_id: id, ..Facts::default() });
    };
    if credential.kind == Kind::Location {
        return Ok(location_facts(&first));
    }
    let company = match first.company_id {
        Some(company) => Some(company),
        // The token was accepted a moment ago: what a second question is answered decides nothing.
        None => {
            facets::snapshot(net, credential, &first.id).ok().flatten().and_then(|it| it.location.company_id)
        }
    };
    Ok(Facts {
        identity: company.as_ref().map(|id| format!("agency {id}")),
        account_id: company,
        ..Facts::default()
    })
}

fn location_facts(location: &RemoteLocation) -> Facts {
    let name = if location.name.is_empty() { "location" } else { &location.name };
    Facts {
        identity: Some(format!("{name} ({})", location.id)),
        account_id: Some(location.id.clone()),
        ..Facts::default()
    }
}

fn recognise(text: &str) -> Recognition {
    let wanted = || "a private integration token: `pit-` and a UUID, 40 characters".to_owned();
    let refused = |what: &str| Recognition::Refused(Refusal { what: what.to_owned(), wanted: wanted() });
    if let Some(tail) = text.strip_prefix(PREFIX) {
        if is_uuid(tail) {
            // Agency and location tokens look alike.
            let either = [Kind::Agency, Kind::Location].map(|kind| Candidate { kind, certain: false });
            return Recognition::Key(either.to_vec());
        }
        return refused(&format!("a truncated or masked HighLevel token ({} characters)", text.len()));
    }
    if is_jwt(text) {
        return refused("a JWT: an OAuth access token that lives for hours, or an old v1 API key");
    }
    Recognition::No
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == UUID.len()
        && parts
            .iter()
            .zip(UUID)
            .all(|(part, length)| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Returns whether `text` is three dotted base64url parts, the first a JSON object.
fn is_jwt(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let base64url = |part: &&str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    parts.len() == 3 && parts[0].starts_with("eyJ") && parts.iter().all(base64url)
}

#[cfg(test)]
mod tests;
