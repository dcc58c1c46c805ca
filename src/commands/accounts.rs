//! Which account a key belongs to, as far as it is known: by the provider's
//! account id, or by the keys and domains seen together with it.

use crate::key::{Domain, Kind, Record};
use crate::state::Evidence;

/// Something that tells an account from others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// The provider's stable account id.
    Account(String),
    /// A key of it.
    Key(String),
    /// A domain of it.
    Domain(String),
}

/// The domain that a sending key or an SMTP login belongs to, and with it the
/// account.
pub fn bound(record: &Record) -> Option<&str> {
    let bound = matches!(record.kind, Kind::Sending | Kind::Smtp);
    record.domain.as_ref().filter(|_| bound).map(Domain::as_str)
}

/// Returns the marks of an account, from what tells it.
pub fn marks<'a>(
    account: Option<&str>,
    keys: impl Iterator<Item = &'a str>,
    domains: impl Iterator<Item = &'a str>,
) -> Vec<Mark> {
    match account {
        // Where there is an account id, nothing else tells accounts apart.
        Some(id) => vec![Mark::Account(id.to_owned())],
        None => keys
            .map(|it| Mark::Key(it.to_ascii_lowercase()))
            .chain(domains.map(|it| Mark::Domain(it.to_owned())))
            .collect(),
    }
}

/// Returns what is known of the account a record belongs to: from its last
/// success, and from the record.
pub fn marks_of(record: &Record, known: Option<&Evidence>) -> Vec<Mark> {
    let account = known.and_then(|it| it.account_id.as_deref()).or(record.account_id.as_deref());
    let keys = known.iter().flat_map(|it| &it.key_ids).chain(&record.remote_id).map(String::as_str);
    let domains = known.iter().flat_map(|it| &it.domains).map(String::as_str).chain(bound(record));
    marks(account, keys, domains)
}
