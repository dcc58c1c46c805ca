//! Which account a key belongs to, as far as it is known: by the provider's
//! account id, or by the keys and domains seen together with it.

use crate::inventory::Inventory;
use crate::key::{Domain, Judgement, KeyRef, Kind, Reason, Record};
use crate::provider;
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

/// Judges whether a key that works is of the account it should be of: the one
/// of its scope, where that has an id at HighLevel, else the one recorded.
pub fn judge(
    judgement: &mut Judgement,
    inventory: &Inventory,
    key: &KeyRef,
    record: Option<&Record>,
    kind: Kind,
) {
    let of_scope = highlevel_id(inventory, key, kind);
    let of_record = || record.and_then(|it| it.account_id.as_deref());
    let (Some(wanted), Some(told)) = (of_scope.or_else(of_record), judgement.facts.account_id.as_deref())
    else {
        return;
    };
    if !judgement.accepted() || wanted == told {
        return;
    }
    judgement.detail = match of_scope {
        Some(_) => {
            format!("the token works, but it is of {told}, and `{}` is {wanted} at HighLevel", key.scope)
        }
        None => format!("the key works, but in another account ({told}) than recorded ({wanted})"),
    };
    judgement.hint = Some(match of_scope {
        Some(_) => format!(
            "take the token of that one, or mend the id: `keyctl scope set {} --highlevel-id ID`",
            key.scope
        ),
        None => {
            "add it under a key ref of its own, or record it again with `keyctl add --replace`".to_owned()
        }
    });
    judgement.add(Reason::WrongAccount);
}

/// Returns the id at HighLevel of the scope that a token of this kind is for.
fn highlevel_id<'a>(inventory: &'a Inventory, key: &KeyRef, kind: Kind) -> Option<&'a str> {
    let own = provider::provider(key.provider).kind_at(&key.scope);
    let place = inventory.place(&key.scope).filter(|_| own == Some(kind))?;
    place.highlevel_id.as_deref()
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
