//! Klaviyo: private keys. One neutral GET proves that a key lives; the beta API
//! lists keys with their scopes and switches them off and on, but makes and
//! deletes none (klaviyo/openapi f0a30ba, 2026-07-23).

mod facets;
mod guide;
mod judge;
mod permissions;
mod scopes;
mod wire;

use super::finding::{Finding, ask};
use super::{
    Candidate, ConsoleAsk, ConsoleTask, Credential, Detection, DomainTerms, DotenvNames, Facets, Guide,
    Handout, HandoutAsk, Net, Provider, Recognition, Refusal, RemoteKey, Terms, Unsorted,
};
use crate::http::Host;
use crate::key::verdict::Facts;
use crate::key::{Judgement, Kind, ProviderId, Reason, Region, Scope, Secret};
use crate::smtp::Relay;
use judge::Standing;

/// The prefix of a private key, although it looks like "public key".
const PREFIX: &str = "pk_";
/// The random part, in either form of key.
const RANDOM: usize = 34;
/// The company id inside the newer form; the account's public id.
const COMPANY: usize = 6;

/// The variable of Klaviyo's own libraries.
const DOTENV: DotenvNames = DotenvNames {
    secrets: &[("KLAVIYO_API_KEY", Some(Kind::Private))],
    login: None,
    domain: None,
    region: None,
};

/// The list tells as much as one domain alone, so that none is asked for.
const DOMAINS: DomainTerms = DomainTerms {
    add: "add it in Klaviyo's console: Settings › Email › Domains",
    verified: "active or warming",
    wrong_region: None,
    disabled: None,
    sandbox: None,
    usual_records: &[],
    most_details: 0,
};

/// Klaviyo.
#[derive(Debug)]
pub struct Klaviyo;

impl Provider for Klaviyo {
    fn id(&self) -> ProviderId {
        ProviderId::Klaviyo
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

    fn check(&self, net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
        if credential.secret.is_empty() {
            return Judgement::because(Reason::SecretMissing, "the secret is empty");
        }
        let (mut facts, unasked) = match alive(net, credential) {
            Ok(found) => found,
            Err(finding) => return finding.judgement(),
        };
        if let Some(account) = &facts.account_id {
            wire::learn(net, credential, account);
        }
        facts.account_id = facts.account_id.or_else(|| self.embedded_account(credential.secret));
        let account = facts.account_id.as_ref().map(|id| format!("account {id}"));
        facts.identity = facts.identity.or(account);
        describe(net, credential, &mut facts);
        let unasked = unasked.filter(|it| it.reason == Reason::RateLimited);
        let detail = match (&facts.identity, unasked) {
            (Some(identity), None) => format!("accepted for {identity}"),
            (_, Some(why)) => format!("accepted; whose account it is was not told: {}", why.detail),
            (None, None) => "accepted; the key may not read whose account it is (`accounts:read`)".to_owned(),
        };
        Judgement::valid(detail).with_facts(facts)
    }

    fn handout(&self, ask: &HandoutAsk<'_>) -> Vec<(&'static str, Handout)> {
        vec![("KLAVIYO_API_KEY", Handout::Secret(ask.credential.secret.clone()))]
    }

    fn handout_names(&self) -> &'static [&'static str] {
        &["KLAVIYO_API_KEY"]
    }

    fn endpoint(&self, _: Kind, _: Option<Region>) -> (Option<&'static Host>, Option<&'static Relay>) {
        (Some(&wire::HOST), None)
    }

    fn console(&self, task: ConsoleTask, ask: &ConsoleAsk<'_>) -> Option<Guide> {
        guide::console(task, ask)
    }

    fn embedded_account(&self, secret: &Secret) -> Option<String> {
        company(secret)
    }

    fn detect(&self, _: &Net<'_>, _: &Unsorted<'_>) -> Option<Detection> {
        None
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

    fn kind_at(&self, _: &Scope) -> Option<Kind> {
        None
    }

    fn terms(&self) -> Terms {
        Terms {
            clones: true,
            lifetimes: None,
            idle_limit: None,
            overlap_limit: None,
            regions: &[],
            bound_kinds: &[],
            roles: None,
            sends_for_highlevel: false,
            key_for_each_use: false,
            permissions_page: None,
            login_page: None,
            dotenv: DOTENV,
            domains: DOMAINS,
        }
    }

    fn facets(&self) -> Facets<'_> {
        Facets {
            domains: Some(self),
            test_mail: Some(self),
            keys: Some(self),
            allowlist: None,
            inbound: None,
            permissions: Some(self),
            locations: None,
        }
    }
}

/// Proves that a key lives: an endpoint's 401 or limit is checked against
/// another endpoint, for one has refused good keys before (2026-04). Returns
/// what is known, and why whose account it is could not be asked.
fn alive(net: &Net<'_>, credential: &Credential<'_>) -> Result<(Facts, Option<Finding>), Finding> {
    let doubt = match ask(net, &wire::accounts(credential)) {
        Err(finding) if finding.reason == Reason::RateLimited => finding,
        Err(finding) => return Err(finding),
        Ok(reply) => match judge::standing(&reply) {
            Standing::Granted => return Ok((judge::account(&reply), None)),
            Standing::Denied => return Ok((Facts::default(), None)),
            Standing::Refused(finding) => finding,
            Standing::Unclear(finding) if finding.reason == Reason::RateLimited => finding,
            Standing::Unclear(finding) => return Err(finding),
        },
    };
    match judge::standing(&ask(net, &wire::neutral(credential))?) {
        Standing::Granted | Standing::Denied => Ok((Facts::default(), Some(doubt))),
        Standing::Refused(_) if doubt.reason == Reason::Disabled => Err(doubt),
        Standing::Refused(finding) | Standing::Unclear(finding) => Err(finding),
    }
}

/// Adds what the list of keys tells of this one, where it may be read: its id
/// and its scopes.
fn describe(net: &Net<'_>, credential: &Credential<'_>, facts: &mut Facts) {
    let Ok(listed) = facets::keys(net, credential) else { return };
    let known = credential.remote_id.and_then(|id| listed.iter().find(|it| it.id == id));
    let Some(own) = known.or_else(|| own(&listed, credential.secret)) else { return };
    facts.remote_id = Some(own.id.clone());
    facts.remote_name = own.name.clone();
    facts.created = own.created;
    facts.permissions = own.permissions.clone();
}

/// How many characters at its end Klaviyo shows of a key: `pk_****abcd`.
const SHOWN: usize = 4;

/// Returns the end of a text as long as what is shown of a key.
fn ending(text: &str) -> Option<&str> {
    text.get(text.len().checked_sub(SHOWN)?..)
}

/// Returns what would be shown of a secret.
fn ending_of(secret: &Secret) -> Option<&str> {
    ending(secret.expose())
}

/// Returns the one key of the list whose masked form ends like `secret`.
fn own<'l>(listed: &'l [RemoteKey], secret: &Secret) -> Option<&'l RemoteKey> {
    let last = ending_of(secret)?;
    let mut fitting =
        listed.iter().filter(|it| it.masked.as_deref().is_some_and(|masked| masked.ends_with(last)));
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// Returns whether every key of the list shows its end, and none ends like `secret`.
fn is_absent(listed: &[RemoteKey], secret: &Secret) -> bool {
    let Some(last) = ending_of(secret) else { return false };
    // The key that lists is itself in the list.
    let whole = !listed.is_empty();
    whole
        && listed.iter().all(|it| {
            let shown = it.masked.as_deref().and_then(ending);
            shown.is_some_and(|it| it != last && it.bytes().all(|b| b.is_ascii_alphanumeric()))
        })
}

/// Returns the company id inside a key of the newer form.
fn company(secret: &Secret) -> Option<String> {
    let (company, random) = secret.expose().strip_prefix(PREFIX)?.split_once('_')?;
    let word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    (company.len() == COMPANY && random.len() >= RANDOM && word(company) && word(random))
        .then(|| company.to_owned())
}

fn recognise(text: &str) -> Recognition {
    let refused =
        |what: String, wanted: &str| Recognition::Refused(Refusal { what, wanted: wanted.to_owned() });
    let wanted = "a private key: `pk_`, six characters and `_` in newer ones, then 34 letters and digits";
    let Some(tail) = text.strip_prefix(PREFIX) else {
        let site_id = text.len() == COMPANY && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let mixed =
            text.bytes().any(|b| b.is_ascii_uppercase()) && text.bytes().any(|b| b.is_ascii_lowercase());
        return if site_id && (mixed || text.bytes().any(|b| b.is_ascii_digit())) {
            refused("perhaps Klaviyo's public key (site id), which is no secret".to_owned(), wanted)
        } else {
            Recognition::No
        };
    };
    if tail.starts_with("live_") || tail.starts_with("test_") {
        return refused("a Stripe publishable key".to_owned(), wanted);
    }
    if !tail.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return refused("a masked Klaviyo private key, as the console lists it".to_owned(), wanted);
    }
    let random = match tail.split_once('_') {
        Some((company, random)) if company.len() == COMPANY => random,
        _ => tail,
    };
    if random.len() < RANDOM {
        return refused(format!("a truncated Klaviyo private key ({} characters)", text.len()), wanted);
    }
    let certain = random.len() == RANDOM && !random.contains('_');
    // Another length may be a form yet unknown: it can be kept, with the word of the user.
    Recognition::Key(vec![Candidate { kind: Kind::Private, certain }])
}

#[cfg(test)]
mod tests;
