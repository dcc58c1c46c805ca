//! The checks of the domain in its account: there, in the right region,
//! verified, not disabled; and of the key that asks.

use crate::domain::{DomainType, UsRule};
use crate::inventory::Inventory;
use crate::key::{KeyRef, Kind, Reason, Region, Verdict};
use crate::provider;
use crate::provider::{Terms, Trouble};
use crate::workflow::checklist::Check;
use crate::workflow::domains::explain::explained::Explained;
use crate::workflow::domains::explain::provider_answers::Presence;
use crate::workflow::domains::keys_to_ask;
use crate::workflow::domains::similar_names::near;

fn terms(it: &Explained<'_>) -> Terms {
    provider::provider(it.target.provider).terms()
}

/// The domain is in the account.
pub fn in_account(it: &Explained<'_>) -> Check {
    let id = "in-account";
    if it.seen.domain().is_some() {
        return Check::pass(id).found(regions(it)).deciding();
    }
    if let Some(trouble) = it.seen.doubt() {
        return Check::troubled(id, trouble).deciding();
    }
    let near = near(it.domain, it.seen.listing.domains.iter().map(|it| &it.name));
    let names: Vec<String> = near.iter().map(|it| format!("`{it}`")).collect();
    let add = terms(it).domains.add;
    let check = Check::fail(id).expected(it.domain.to_string()).deciding();
    if names.is_empty() {
        check.found("not there").fix(add)
    } else {
        check
            .found(format!("not there; near it: {}", names.join(", ")))
            .fix(format!("if {} is meant, choose that; else {add}", names.join(" or ")))
    }
}

fn regions(it: &Explained<'_>) -> String {
    let here = it.seen.presence.iter().filter(|(_, it)| matches!(it, Presence::Here(_)));
    let words: Vec<&str> = here.filter_map(|(region, _)| region.map(Region::as_str)).collect();
    if words.is_empty() { it.domain.to_string() } else { format!("{} ({})", it.domain, words.join(", ")) }
}

/// The domain is in the region that counts; both hosts were asked.
pub fn region(it: &Explained<'_>) -> Option<Check> {
    let id = "region";
    let advice = terms(it).domains.wrong_region?;
    let at = |wanted| it.seen.presence.iter().find(|(it, _)| *it == Some(wanted)).map(|(_, it)| it);
    let (us, eu) = (at(Region::Us), at(Region::Eu));
    let counts = it.seen.rule() == UsRule::Counts;
    let expected = if counts { "us" } else { "us or eu" };
    let check = match (us, eu) {
        (Some(Presence::Here(_)), _) => Check::pass(id).found("us"),
        (_, Some(Presence::Here(_))) if !counts => Check::pass(id).found("eu"),
        (Some(Presence::Unknown(trouble)), _) => Check::troubled(id, trouble),
        (_, Some(Presence::Here(_))) => Check::fail(id).found("eu").fix(advice),
        (_, Some(Presence::Unknown(trouble))) => Check::troubled(id, trouble),
        _ => not_there(id),
    };
    Some(check.expected(expected).deciding())
}

/// The provider has verified it.
pub fn state(it: &Explained<'_>) -> Check {
    let id = "state";
    let expected = terms(it).domains.verified;
    let check = match it.seen.domain() {
        None => not_there(id),
        Some(domain) if domain.verified => Check::pass(id).found(domain.state.clone()),
        Some(domain) if domain.disabled => {
            Check::fail(id).found(domain.state.clone()).fix("it is disabled: see the next check")
        }
        Some(domain) => Check::fail(id).found(domain.state.clone()).fix(format!(
            "create the DNS records below that fail, then `keyctl domains {} --verify {}`",
            it.target.argument(),
            it.domain
        )),
    };
    check.expected(expected).deciding()
}

/// The provider has not switched it off.
pub fn disabled(it: &Explained<'_>) -> Option<Check> {
    let id = "disabled";
    let advice = terms(it).domains.disabled?;
    let check = match it.seen.domain() {
        None => not_there(id),
        Some(domain) if !domain.disabled => Check::pass(id).found("enabled"),
        Some(domain) => {
            let note = domain.disabled_note.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
            Check::fail(id).found(format!("disabled{note}")).fix(advice)
        }
    };
    Some(check.expected("enabled").deciding())
}

/// It is no sandbox domain; told only where it is one.
pub fn sandbox(it: &Explained<'_>) -> Option<Check> {
    let domain = it.seen.domain().filter(|it| it.kind == DomainType::Sandbox)?;
    let check = Check::fail("type").found("sandbox").expected("custom").fix(format!(
        "{} {}; add a domain of your own",
        domain.name,
        terms(it).domains.sandbox.unwrap_or("is for tests only")
    ));
    Some(check.deciding())
}

/// The id of the check of the key's kind.
pub const KEY_MAY_LIST: &str = "key-may-list";

/// The key that was named is of a kind that may not list.
pub fn mute(inventory: &Inventory, key: &KeyRef, kind: Kind) -> Check {
    let wanted = keys_to_ask::kinds_that_list(key.provider);
    let fix = match keys_to_ask::voiced(inventory, key) {
        Some(other) => format!("save `{other}` where the domain is chosen: that one may"),
        None => format!(
            "save a key of kind {wanted} there; record it: `keyctl add {}@{}`",
            key.provider, key.scope
        ),
    };
    Check::fail(KEY_MAY_LIST)
        .found(format!("{key}, kind {kind}"))
        .expected(format!("a key of kind {}", wanted.replace('`', "")))
        .fix(fix)
        .deciding()
}

/// This kind of key may list domains.
pub fn key_may_list(it: &Explained<'_>) -> Check {
    let id = KEY_MAY_LIST;
    let provider = it.target.provider;
    let expected = format!("a key of kind {}", keys_to_ask::kinds_that_list(provider).replace('`', ""));
    let listing = &it.seen.listing;
    let wanted = terms(it).regions.len().max(1);
    let check = if listing.troubles.len() < wanted || !listing.domains.is_empty() {
        Check::pass(id).found(format!("{}, kind {}", it.target.name(), it.target.kind))
    } else {
        // A region that gave no answer leaves it open; a refusal by all is one.
        let worst = listing.troubles.iter().map(|(_, it)| it);
        match worst.max_by_key(|it| it.reason.verdict() == Verdict::Unknown) {
            Some(trouble) if refuses(trouble) => Check::fail(id).found(trouble.detail.clone()).fix(format!(
                "paste a key that may; `keyctl validate {}` tells why this one is refused",
                it.target.argument()
            )),
            Some(trouble) => Check::troubled(id, trouble),
            None => Check::unclear(id),
        }
    };
    check.expected(expected).deciding()
}

fn refuses(trouble: &Trouble) -> bool {
    trouble.reason.verdict() == Verdict::Rejected || trouble.reason == Reason::PermissionMissing
}

/// HighLevel's servers may call with the key: no IP allowlist.
pub fn ip_allowlist(it: &Explained<'_>) -> Option<Check> {
    let id = "ip-allowlist";
    let counts = it.target.highlevel && it.seen.rule() == UsRule::Counts;
    let check = match it.seen.allowlist.as_ref()? {
        Ok(entries) if entries.is_empty() => Check::pass(id).found("empty: any address may call").deciding(),
        Ok(entries) => {
            let addresses: Vec<&str> = entries.iter().map(|it| it.address.as_str()).collect();
            let found = format!("only {} may call", addresses.join(", "));
            if counts {
                Check::fail(id).found(found).fix(relax(it)).deciding()
            } else {
                Check::pass(id).found(found)
            }
        }
        Err(trouble) => {
            let unclear = Check::troubled(id, trouble);
            // A role that may never read it must not leave everything open.
            let open = trouble.reason.verdict() == Verdict::Unknown && counts;
            if open { unclear.deciding() } else { unclear }
        }
    };
    Some(check.expected("empty"))
}

fn relax(it: &Explained<'_>) -> String {
    match &it.target.key {
        Some(key) => format!(
            "HighLevel does not tell from where it calls: `keyctl allowlist {key} --relax`, save the key in \
             HighLevel, then `keyctl allowlist {key} --restore`"
        ),
        None => {
            "HighLevel does not tell from where it calls: note the list, empty it in Mailgun's console, save \
                 the key in HighLevel, put the list back"
                .to_owned()
        }
    }
}

/// Something that only a domain in the account has.
pub fn not_there(id: &str) -> Check {
    Check::unclear(id).found("the domain was not seen in the account")
}
