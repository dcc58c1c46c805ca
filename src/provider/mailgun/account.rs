//! Judges an account key: both hosts' domain lists, then its own row in the
//! list of keys, then the allowlist.

use super::answer::{Answer, key_id, sort};
use super::listing::{self, Listing};
use super::wire::{self, KeyRow};
use super::{beside, request, sending_probe, shape};
use crate::domain::UsRule;
use crate::http::{Failure, Reply};
use crate::key::verdict::{DomainFact, Facts};
use crate::key::{Expiry, Judgement, Reason, Region};
use crate::provider::{Credential, Net, Trouble};

/// What was seen of an account key.
pub(super) struct Evidence {
    pub hosts: [Listing; 2],
    /// `GET /v1/keys`, where a host took the key.
    pub keys: Option<Answer>,
    pub allowlist: Option<Answer>,
    /// The id in the key, else the one Mailgun echoes.
    pub id: Option<String>,
}

/// Gathers the evidence: at most five requests, two at a time.
pub(super) fn gather(net: &Net<'_>, credential: &Credential<'_>) -> Evidence {
    let hosts = listing::read_both(net, credential.secret);
    let echoed = hosts.iter().find_map(|it| it.key_id.clone());
    let mut evidence =
        Evidence { keys: None, allowlist: None, id: shape::embedded_id(credential.secret).or(echoed), hosts };
    if let Some(region) = evidence.hosts.iter().find(|it| it.accepted()).map(|it| it.region) {
        let host = request::host(region);
        let ask = |request| -> Result<Reply, Failure> { net.send(&request) };
        let (keys, allowlist) = beside(
            || ask(request::keys(region, credential.secret)),
            || ask(request::allowlist(region, credential.secret)),
        );
        evidence.id = evidence.id.or_else(|| key_id(&keys));
        evidence.keys = Some(sort(host, &keys));
        evidence.allowlist = Some(sort(host, &allowlist));
    }
    evidence
}

/// Checks an account key.
pub(super) fn check(net: &Net<'_>, credential: &Credential<'_>) -> Judgement {
    let evidence = gather(net, credential);
    let judgement = judge(&evidence, credential);
    request::learn(net, credential.secret, &judgement.facts.sibling_ids);
    // A refusal may be a sending key's, which may do nothing but send: where
    // the domain is known, that can be proven without sending.
    if judgement.has(Reason::Unauthorized)
        && let Some(domain) = credential.domain
    {
        return sending_probe::unmask(net, credential, domain).unwrap_or(judgement);
    }
    judgement
}

/// Returns the verdict. A success on either host overrides a refusal on the
/// other; a refusal counts only if both hosts gave it.
pub(super) fn judge(evidence: &Evidence, credential: &Credential<'_>) -> Judgement {
    let hosts = &evidence.hosts;
    if hosts.iter().any(Listing::accepted) {
        return accepted(evidence, credential);
    }
    let denied = hosts.iter().find_map(|it| match &it.answer {
        Answer::Denied(text) => Some((it.region, text)),
        _ => None,
    });
    if let Some((region, text)) = denied {
        let host = request::host(region).name();
        let facts = Facts { remote_id: evidence.id.clone(), ..Facts::default() };
        let mut judgement = Judgement::because(
            Reason::PermissionMissing,
            format!("{host} knows the key, but it may not list domains (403: {text})"),
        )
        .with_hint("make an account key whose role may read domains; a role cannot be changed")
        .with_facts(facts);
        judgement.missing.push("domains:read".to_owned());
        return judgement;
    }
    match hosts {
        [Listing { answer: Answer::Refused(us), .. }, Listing { answer: Answer::Refused(_), .. }] => {
            refused(us, credential)
        }
        _ => unproven(hosts.iter().map(|it| (it.region, &it.answer))),
    }
}

/// Both hosts refused the key.
fn refused(text: &str, credential: &Credential<'_>) -> Judgement {
    if shape::of(credential.secret) == shape::Shape::Public {
        return Judgement::because(
            Reason::WrongKind,
            "a public validation key (`pubkey-…`), which can neither send nor read domains",
        )
        .with_hint("take an account key: Mailgun › API Keys");
    }
    let causes = shape::causes(credential.secret);
    Judgement::because(
        Reason::Unauthorized,
        format!("both regions refused the key (401: {text}); Mailgun does not say why"),
    )
    .with_causes(causes)
    .with_hint(
        "compare the key's id with Mailgun › API Keys; if it is there, look whether the account has an IP \
         allowlist; if it is a domain sending key, record it with `--kind sending --domain`",
    )
}

/// Says why nothing was proven, by the answers that are no refusal.
pub(super) fn unproven<'a>(answers: impl Iterator<Item = (Region, &'a Answer)>) -> Judgement {
    let mut judgement = Judgement::default();
    let mut details = Vec::new();
    for (region, answer) in answers {
        let host = request::host(region).name();
        let trouble = match answer {
            Answer::Refused(text) => {
                details.push(format!("{host} refused the key (401: {text})"));
                continue;
            }
            Answer::Trouble(trouble) => trouble.clone(),
            other => {
                let mut trouble = listing::trouble_of(other.clone(), host);
                trouble.reason = Reason::UnexpectedResponse;
                trouble
            }
        };
        let Trouble { reason, detail, hint, .. } = trouble;
        judgement.add(reason);
        judgement.hint = judgement.hint.or(hint);
        details.push(detail);
    }
    judgement.detail = format!("nothing was proven: {}", details.join("; "));
    judgement
}

fn accepted(evidence: &Evidence, credential: &Credential<'_>) -> Judgement {
    let mut facts = Facts { remote_id: evidence.id.clone(), ..Facts::default() };
    let mut notes = vec![counted(&evidence.hosts)];
    read_regions(&mut facts, &evidence.hosts, credential.region, &mut notes);
    facts.allowlist = match &evidence.allowlist {
        Some(Answer::Json(json)) => wire::list(json, "addresses").map(|it| !it.is_empty()),
        _ => None,
    };
    let own = read_keys(&mut facts, evidence, &mut notes);
    let verdict = own.as_ref().and_then(own_row_speaks_against);
    let mut judgement = match verdict {
        Some((reason, detail, hint)) => Judgement::because(reason, detail).with_hint(hint),
        None => Judgement::valid(notes.join("; ")),
    };
    if facts.allowlist == Some(true) && judgement.accepted() {
        judgement.hint = Some(
            "the account has an IP allowlist: HighLevel's servers reach Mailgun only if they are on it \
             (`keyctl allowlist`)"
                .to_owned(),
        );
    }
    judgement.with_facts(facts)
}

fn counted(hosts: &[Listing; 2]) -> String {
    let parts = hosts.iter().filter(|it| it.accepted()).map(|it| {
        let region = it.region.as_str().to_uppercase();
        match it.domains.len() {
            1 => format!("1 domain in the {region}"),
            count => format!("{count} domains in the {region}"),
        }
    });
    format!("accepted; {}", parts.collect::<Vec<_>>().join(", "))
}

fn read_regions(facts: &mut Facts, hosts: &[Listing; 2], recorded: Option<Region>, notes: &mut Vec<String>) {
    let mut domains = Vec::new();
    for listing in hosts {
        if !listing.is_whole() {
            facts.unread_regions.push(listing.region);
            let region = listing.region.as_str().to_uppercase();
            notes.push(format!("the {region} list could not be read whole"));
        }
        domains.extend(listing.domains.iter().map(|it| DomainFact {
            name: it.name.clone(),
            region: it.region,
            against: it.against(UsRule::Counts),
        }));
    }
    domains.sort_by(|a, b| (&a.name, a.region).cmp(&(&b.name, b.region)));
    let has = |region| {
        hosts.iter().any(|it| {
            it.region == region && it.domains.iter().any(|it| it.kind == crate::domain::DomainType::Custom)
        })
    };
    facts.region = match (has(Region::Us), has(Region::Eu)) {
        (true, false) => Some(Region::Us),
        (false, true) => Some(Region::Eu),
        _ => recorded,
    };
    facts.domains = Some(domains);
}

/// Takes what the list of keys tells of this key and its siblings.
fn read_keys(facts: &mut Facts, evidence: &Evidence, notes: &mut Vec<String>) -> Option<KeyRow> {
    let rows = match evidence.keys.as_ref()? {
        Answer::Json(json) => KeyRow::read_all(json),
        Answer::Refused(_) | Answer::Denied(_) => {
            notes.push("its role may not read keys (analyst or support)".to_owned());
            return None;
        }
        _ => None,
    };
    let Some(rows) = rows else {
        notes.push("its role could not be read".to_owned());
        return None;
    };
    facts.sibling_ids = rows.iter().map(|it| it.id.to_ascii_lowercase().into()).collect();
    facts.sibling_ids.sort();
    let id = evidence.id.as_ref()?;
    let Some(own) = rows.into_iter().find(|it| it.id.eq_ignore_ascii_case(id)) else {
        notes.push(format!("it is not in the account's list of keys (id {id})"));
        return None;
    };
    facts.role = own.role.clone();
    facts.remote_name = own.description.clone();
    facts.identity = own.requestor.clone().or_else(|| own.user_name.clone());
    facts.created = own.created;
    facts.expires = Some(own.expires.map_or(Expiry::Never, Expiry::At));
    if let Some(role) = &own.role {
        notes.push(format!("role {}", crate::key::text::printable(role, 40)));
    }
    Some(own)
}

/// The provider's own word against the key, where its row has one.
fn own_row_speaks_against(own: &KeyRow) -> Option<(Reason, String, &'static str)> {
    if own.is_disabled {
        let why = own.disabled_reason.as_deref().unwrap_or("no reason is given");
        let why = crate::key::text::printable(why, 120);
        let expired = why.to_ascii_lowercase().contains("expir");
        let reason = if expired { Reason::Expired } else { Reason::Disabled };
        let word = if expired { "expired" } else { "disabled" };
        return Some((
            reason,
            format!("Mailgun lists the key as {word}: {why}"),
            "make a new key: keys cannot be enabled again by API",
        ));
    }
    if own.kind.as_deref() == Some("domain") {
        return Some((
            Reason::WrongKind,
            "Mailgun lists the key as a domain sending key, not as an account key".to_owned(),
            "record it with `keyctl set KEYREF --kind sending --domain DOMAIN`, or take an account key",
        ));
    }
    None
}
