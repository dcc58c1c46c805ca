//! The login of an SMTP key, told by another key of its account: Brevo's API
//! key knows it. It supplies a login that is not recorded, and checks one that
//! the relay refuses.

use crate::commands::described::Described;
use crate::commands::managing::Keyed;
use crate::commands::proving;
use crate::context::Context;
use crate::inventory::Inventory;
use crate::key::{Cause, Judgement, KeyRef, KeyState, Kind, Reason, Record};
use crate::provider;

/// What a key told about the login of its account.
#[derive(Debug, Clone)]
pub struct Told {
    pub by: KeyRef,
    pub login: String,
    account_id: Option<String>,
    identity: Option<String>,
}

impl Told {
    /// Reads it from what the check of the key `by` found out.
    pub fn read(by: &KeyRef, judgement: &Judgement) -> Option<Self> {
        let facts = &judgement.facts;
        let login = facts.login.clone().filter(|_| judgement.accepted())?;
        let (account_id, identity) = (facts.account_id.clone(), facts.identity.clone());
        Some(Self { by: by.clone(), login, account_id, identity })
    }
}

/// Returns the key that can tell the login of `key`: the only one at the
/// nearest level that has any, or among several that of the same account.
pub fn teller<'a>(
    inventory: &'a Inventory,
    key: &KeyRef,
    kind: Kind,
    account: Option<&str>,
) -> Option<(&'a KeyRef, &'a Record)> {
    let wanted = provider::provider(key.provider).login_teller(kind)?;
    for level in key.scope.levels() {
        let able = |(other, record): &(&KeyRef, &Record)| {
            other.provider == key.provider
                && record.kind == wanted
                && record.state == KeyState::Active
                && record.current.is_some()
        };
        let found: Vec<_> = inventory.keys.at(&level).filter(able).collect();
        match found.as_slice() {
            [] => {}
            [only] => return Some(*only),
            several => {
                let same =
                    |it: &&(&KeyRef, &Record)| account.is_some() && it.1.account_id.as_deref() == account;
                return several.iter().find(same).copied();
            }
        }
    }
    None
}

/// Asks the key that can tell; `None` when there is none, or it tells nothing.
///
/// # Errors
/// When the network cannot be set up (a bad variable).
pub fn ask(
    context: &Context,
    inventory: &Inventory,
    key: &KeyRef,
    kind: Kind,
    account: Option<&str>,
) -> anyhow::Result<Option<Told>> {
    let Some((teller, _)) = teller(inventory, key, kind, account) else { return Ok(None) };
    let keyed = match Keyed::read(context, inventory, teller) {
        Ok(keyed) => keyed,
        Err(error) => {
            context.console.note(format!("note: `{teller}` could tell the login, but: {error}"));
            return Ok(None);
        }
    };
    context.console.detail(format!("asking `{teller}` for the login"));
    let judgement = provider::provider(key.provider).check(&proving::net(context)?, &keyed.credential());
    let told = Told::read(teller, &judgement);
    if told.is_none() {
        context.console.note(format!("note: `{teller}` could not tell the login: {}", judgement.detail));
    }
    Ok(told)
}

/// Fills in a login that was not said.
///
/// # Errors
/// As [`ask`].
pub fn supply(
    context: &Context,
    inventory: &Inventory,
    key: &KeyRef,
    kind: Kind,
    described: &mut Described,
) -> anyhow::Result<Option<Told>> {
    if described.login.is_some() {
        return Ok(None);
    }
    let told = ask(context, inventory, key, kind, None)?;
    if let Some(told) = &told {
        context.console.note(format!("`{}` tells the login of its account: {}", told.by, told.login));
        described.login = Some(told.login.clone());
    }
    Ok(told)
}

/// Says which keys beside `key` lack the login that it tells.
pub fn offer(context: &Context, inventory: &Inventory, key: &KeyRef, judgement: &Judgement) {
    let Some(told) = Told::read(key, judgement) else { return };
    let lacks = |(other, record): &(&KeyRef, &Record)| {
        let teller = teller(inventory, other, record.kind, None).is_none_or(|(it, _)| it == key);
        let near = key.scope.covers(&other.scope) && other.provider == key.provider;
        near && record.login.is_none()
            && provider::provider(key.provider).login_teller(record.kind).is_some()
            && teller
    };
    for (other, _) in inventory.keys.iter().filter(lacks) {
        context.console.hint(format!(
            "the login of `{other}` is not recorded; this account's is: `keyctl set {other} --login {}`",
            told.login
        ));
    }
}

/// Returns whether what was told would say more of a judgement.
pub fn matters(judgement: &Judgement) -> bool {
    judgement.reason() == Some(Reason::Unauthorized) && judgement.causes.contains(&Cause::WrongLogin)
}

/// Holds what was told against a login that was tried. One that was accepted
/// and is the account's proves the account; one that was refused and is not
/// is the likeliest cause.
pub fn compare(judgement: &mut Judgement, key: &KeyRef, login: &str, told: &Told) {
    let same = login.eq_ignore_ascii_case(&told.login);
    if judgement.accepted() {
        if same {
            judgement.facts.account_id =
                judgement.facts.account_id.take().or_else(|| told.account_id.clone());
            judgement.facts.identity = judgement.facts.identity.take().or_else(|| told.identity.clone());
        }
        return;
    }
    if !matters(judgement) {
        return;
    }
    judgement.causes.retain(|it| *it != Cause::WrongLogin);
    if same {
        judgement.detail = format!("{}; the login is right, as `{}` tells", judgement.detail, told.by);
        return;
    }
    judgement.causes.insert(0, Cause::WrongLogin);
    judgement.detail = format!("{}; `{}` tells another login: `{}`", judgement.detail, told.by, told.login);
    judgement.hint = Some(format!("if it is the same account: `keyctl set {key} --login {}`", told.login));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(login: &str) -> Told {
        let by = "brevo:api@acme".parse().unwrap();
        Told { by, login: login.to_owned(), account_id: Some("org".to_owned()), identity: None }
    }

    fn refused() -> Judgement {
        Judgement::because(Reason::Unauthorized, "535").with_causes([Cause::Revoked, Cause::WrongLogin])
    }

    #[test]
    fn another_login_is_the_likeliest_cause_and_the_same_one_is_none() {
        let key: KeyRef = "brevo@acme".parse().unwrap();
        let mut judgement = refused();
        compare(&mut judgement, &key, "a@b", &told("c@d"));
        assert_eq!(judgement.causes, [Cause::WrongLogin, Cause::Revoked]);
        assert_eq!(judgement.hint.unwrap(), "if it is the same account: `keyctl set brevo@acme --login c@d`");
        let mut judgement = refused();
        compare(&mut judgement, &key, "C@d", &told("c@d"));
        assert_eq!(judgement.causes, [Cause::Revoked]);
    }

    #[test]
    fn only_the_accounts_own_login_proves_the_account() {
        let key: KeyRef = "brevo@acme".parse().unwrap();
        for (login, account) in [("c@d", Some("org")), ("a@b", None)] {
            let mut judgement = Judgement::valid("ok");
            compare(&mut judgement, &key, login, &told("c@d"));
            assert_eq!(judgement.facts.account_id.as_deref(), account);
        }
    }
}
