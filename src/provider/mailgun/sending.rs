//! Judges a domain sending key by what an empty message is refused for.

use super::answer::Answer;
use super::sending_probe::{Says, ask, facts};
use super::{account, listing, request, shape};
use crate::key::verdict::Facts;
use crate::key::{Cause, Domain, Judgement, Reason, Region};
use crate::provider::{Credential, Net};

/// Checks a sending key.
pub(super) fn check(net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
    let Some(domain) = credential.domain else { return without_domain(net, credential) };
    let mut asked: Vec<(Region, Says)> = Vec::new();
    match credential.region {
        Some(region) => asked.push((region, ask(net, credential.secret, domain, region))),
        None => {
            let both = super::beside(
                || ask(net, credential.secret, domain, Region::Us),
                || ask(net, credential.secret, domain, Region::Eu),
            );
            asked.extend([(Region::Us, both.0), (Region::Eu, both.1)]);
        }
    }
    if !asked.iter().any(|(_, says)| matches!(says, Says::May | Says::But(..)))
        && let Some(region) = credential.region
    {
        let other = region.other();
        asked.push((other, ask(net, credential.secret, domain, other)));
    }
    let judgement = judge(&asked, credential, domain);
    if judgement.has(Reason::Unauthorized) {
        return account_after_all(net, credential, domain).unwrap_or(judgement);
    }
    judgement
}

fn judge(asked: &[(Region, Says)], credential: &Credential<'_>, domain: &Domain) -> Judgement {
    let host = |region: Region| request::host(region).name();
    if let Some((region, _)) = asked.iter().find(|(_, says)| *says == Says::May) {
        let mut judgement = Judgement::valid(format!(
            "{} takes messages from {domain} with this key (an empty one was refused, nothing was sent)",
            host(*region)
        ))
        .with_facts(facts(credential, domain, *region));
        if credential.region.is_some_and(|it| it != *region) {
            judgement.hint = Some(format!(
                "the domain is in the {} region, not in the one recorded: `keyctl set KEYREF --region {region}`",
                region.as_str().to_uppercase()
            ));
        }
        return judgement;
    }
    // A domain unknown in one region may be held up in the other: that says more.
    let mut buts: Vec<_> = asked
        .iter()
        .filter_map(|(region, says)| match says {
            Says::But(reason, text) => Some((*reason, *region, text)),
            _ => None,
        })
        .collect();
    buts.sort_by_key(|(reason, ..)| *reason == Reason::DomainNotFound);
    if let Some((reason, region, text)) = buts.first() {
        // The other region may have the domain: its silence leaves that open.
        let silent = asked.iter().find_map(|(region, says)| match says {
            Says::Nothing(answer) => Some((*region, answer)),
            _ => None,
        });
        if *reason == Reason::DomainNotFound
            && let Some(silent) = silent
        {
            return account::unproven([silent].into_iter());
        }
        return Judgement::because(*reason, format!("{}: {text}", host(*region)))
            .with_facts(facts(credential, domain, *region));
    }
    if asked.iter().all(|(_, says)| matches!(says, Says::Refused(_))) {
        return Judgement::because(
            Reason::Unauthorized,
            format!("both regions refused the key for {domain} (401); Mailgun does not say why"),
        )
        .with_causes(refusal_causes(credential))
        .with_hint(format!(
            "look whether {domain} and the key's id stand in the same Mailgun account, and whether the account \
             has an IP allowlist"
        ));
    }
    let answers: Vec<(Region, Answer)> = asked
        .iter()
        .filter_map(|(region, says)| match says {
            Says::Nothing(answer) => Some((*region, answer.clone())),
            Says::Refused(text) => Some((*region, Answer::Refused(text.clone()))),
            Says::May | Says::But(..) => None,
        })
        .collect();
    account::unproven(answers.iter().map(|(region, answer)| (*region, answer)))
}

fn refusal_causes(credential: &Credential<'_>) -> Vec<Cause> {
    let mut causes = vec![Cause::Revoked, Cause::DomainNotInAccount, Cause::IpNotAllowlisted];
    match shape::of(credential.secret) {
        shape::Shape::Current => causes.push(Cause::SmtpPassword),
        shape::Shape::Cut => causes.insert(0, Cause::Truncated),
        shape::Shape::BareHex => causes.insert(0, Cause::WebhookSigningKey),
        shape::Shape::Legacy | shape::Shape::Public | shape::Shape::Other => {}
    }
    causes
}

/// Without a domain nothing can be asked that only a sending key may do.
fn without_domain(net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
    let evidence = account::gather(net, credential);
    let judgement = account::judge(&evidence, credential);
    if judgement.accepted() {
        return but_is_an_account_key(judgement);
    }
    if judgement.has(Reason::Unauthorized) {
        return Judgement::because(
            Reason::PermissionNotCheckable,
            "a sending key can only be tried with its domain, and none is recorded",
        )
        .with_hint("record it: `keyctl set KEYREF --domain DOMAIN`");
    }
    judgement
}

fn but_is_an_account_key(mut judgement: Judgement) -> Judgement {
    judgement.hint = Some(
        "it is an account key, which may do far more than send: record it with `keyctl set KEYREF --kind account`"
            .to_owned(),
    );
    judgement
}

/// A success on any endpoint overrides a refusal: an account key may be
/// recorded as a sending key of a domain that is not in its account.
fn account_after_all(net: &Net<'_>, credential: &Credential<'_>, domain: &Domain) -> Option<Judgement> {
    let listings = listing::read_both(net, credential.secret);
    if !listings.iter().any(listing::Listing::accepted) {
        // Nothing more was learnt, unless a host could not be asked at all.
        return None;
    }
    let found = listings.iter().flat_map(|it| &it.domains).find(|it| it.name == *domain);
    let (reason, detail) = match found {
        Some(_) => (
            Reason::PermissionMissing,
            format!("the key may list domains, {domain} among them, but was refused to send from it (401)"),
        ),
        None => (
            Reason::DomainNotFound,
            format!("an account key of Mailgun, but {domain} is not among the domains it can see"),
        ),
    };
    let facts = Facts { remote_id: shape::embedded_id(credential.secret), ..Facts::default() };
    Some(
        Judgement::because(reason, detail)
            .with_hint("record the domain it is for, or take the key of the account that has the domain")
            .with_facts(facts),
    )
}
