//! What of a record a provider is asked by: its domain, the list it belongs to,
//! what its console is asked for.

use crate::key::{Domain, Judgement, Kind, Record, Region};
use crate::provider::{ConsoleAsk, Family, Model};

/// Fills in the domain that a login names, where only the login is recorded.
pub fn place(record: &mut Record) {
    let named = record.login.as_ref().filter(|_| record.kind == Kind::Smtp && record.domain.is_none());
    if let Some(domain) = named.and_then(|login| Domain::parse(login.split_once('@')?.1).ok()) {
        record.domain = Some(domain);
    }
}

/// Returns what a console's guide is asked about a record: a key with the
/// `wanted` permissions, or, where they are not known, one like that of the
/// record, which was seen to have those `held`.
pub fn console_ask<'a>(record: &'a Record, wanted: &'a [String], held: &'a [String]) -> ConsoleAsk<'a> {
    let name = record.remote_name.as_deref();
    ConsoleAsk {
        kind: Some(record.kind),
        domain: record.domain.as_ref(),
        permissions: wanted,
        account_id: record.account_id.as_deref(),
        remote_name: name,
        like: Some(Model { name, last2: record.last2.as_deref(), held }),
        ..ConsoleAsk::default()
    }
}

/// Returns which list of keys a record belongs to.
pub fn family<'a>(record: &'a Record, judgement: Option<&Judgement>) -> Family<'a> {
    let told: Option<Region> = judgement.and_then(|it| it.facts.region);
    Family { kind: record.kind, domain: record.domain.as_ref(), region: record.region.or(told) }
}
