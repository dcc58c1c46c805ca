//! Asks what an empty message is refused for, which is before anything is
//! sent. That the refusal comes from behind the door has to be proven: by the
//! key's id that Mailgun echoes, or by a made-up key that is turned away at
//! the door.

use super::answer::{Answer, key_id, sort};
use super::{request, shape};
use crate::http::{Failure, Reply};
use crate::key::verdict::{DomainFact, Facts};
use crate::key::{Domain, Judgement, Kind, Reason, Region, Secret};
use crate::provider::{Credential, Net};

/// What an empty message says of a key in one region.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Says {
    /// The key may send from the domain there.
    May,
    /// The key is known, but something stands in the way.
    But(Reason, String),
    Refused(String),
    /// Nothing was proven.
    Nothing(Answer),
}

/// Sends the empty message, and the made-up key's where proof is wanting.
pub(super) fn ask(net: &Net<'_>, secret: &Secret, domain: &Domain, region: Region) -> Says {
    let host = request::host(region);
    let result = net.send(&request::empty_message(region, secret, domain));
    let answer = sort(host, &result);
    let says = meaning(&answer);
    if !matches!(says, Says::May | Says::But(..)) || echoes(&result, secret) {
        return says;
    }
    let made_up = shape::made_up(secret);
    let control = sort(host, &net.send(&request::empty_message(region, &made_up, domain)));
    match control {
        Answer::Refused(_) => says,
        Answer::Trouble(_) => Says::Nothing(control),
        _ => Says::Nothing(Answer::Bad(
            "a made-up key got the same answer, so it says nothing about this one".to_owned(),
        )),
    }
}

fn echoes(result: &Result<Reply, Failure>, secret: &Secret) -> bool {
    shape::embedded_id(secret).is_some_and(|own| key_id(result).as_ref() == Some(&own))
}

/// Reads what the empty message was refused for.
pub(super) fn meaning(answer: &Answer) -> Says {
    match answer {
        Answer::Bad(text) => not_allowed(text).unwrap_or(Says::May),
        Answer::Denied(text) => not_allowed(text).unwrap_or_else(|| {
            Says::But(Reason::PermissionMissing, format!("the key may not send messages (403: {text})"))
        }),
        Answer::Missing(text) if text.to_ascii_lowercase().contains("domain not found") => {
            Says::But(Reason::DomainNotFound, format!("the key is known, but not the domain: {text}"))
        }
        Answer::Refused(text) => Says::Refused(text.clone()),
        Answer::Json(_) | Answer::Missing(_) | Answer::Trouble(_) => Says::Nothing(answer.clone()),
    }
}

/// Mailgun's reasons after "is not allowed to send:"; the status varies (the
/// documents say 400, recorded replies 403).
fn not_allowed(text: &str) -> Option<Says> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find("is not allowed to send")?;
    let why = lower.get(start..)?;
    let reason = if why.contains("unverified") || why.contains("dns configuration") {
        Reason::DomainNotVerified
    } else if why.contains("activate your mailgun account") || why.contains("free accounts") {
        Reason::AccountNotActivated
    } else if why.contains("sandbox") {
        Reason::SandboxDomain
    } else if why.contains("limit exceeded") {
        Reason::RateLimited
    } else if why.contains("disabled") {
        Reason::DomainDisabled
    } else {
        Reason::PermissionMissing
    };
    Some(Says::But(reason, text.to_owned()))
}

/// Returns what a key that is known in `region` is known to be.
pub(super) fn facts(credential: &Credential<'_>, domain: &Domain, region: Region) -> Facts {
    let against = if region == Region::Eu { vec![Reason::DomainInEu] } else { Vec::new() };
    Facts {
        region: Some(region),
        remote_id: shape::embedded_id(credential.secret),
        domains: Some(vec![DomainFact { name: domain.clone(), region: Some(region), against }]),
        ..Facts::default()
    }
}

/// Returns `wrong-kind` if a key refused as an account key proves to be a
/// sending key of `domain`.
pub(super) fn unmask(net: &Net<'_>, credential: &Credential<'_>, domain: &Domain) -> Option<Judgement> {
    let both = super::beside(
        || ask(net, credential.secret, domain, Region::Us),
        || ask(net, credential.secret, domain, Region::Eu),
    );
    let region = match both {
        (Says::May, _) => Region::Us,
        (_, Says::May) => Region::Eu,
        _ => return None,
    };
    Some(
        Judgement::because(
            Reason::WrongKind,
            format!("a domain sending key of {domain}, not an account key: it may send, and nothing else"),
        )
        .with_hint(format!("record it with `keyctl set KEYREF --kind {} --domain {domain}`", Kind::Sending))
        .with_facts(facts(credential, domain, region)),
    )
}
