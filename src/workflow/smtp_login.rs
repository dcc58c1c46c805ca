//! The login of an SMTP key: the recorded one, else the one that another key of
//! its account tells, as Brevo's API key does. That key is asked once a run. It
//! also checks a login that the relay refuses.

use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Cause, Judgement, KeyRef, KeyState, Kind, ProviderId, Reason, Record, Secret};
use crate::provider;
use crate::provider::{Credential, Net, Trouble};
use crate::workflow::key_description::Described;
use crate::workflow::managing_key::Keyed;
use crate::workflow::verdict_memory::{Asked, remember};

/// The key whose login is sought.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    pub key: &'a KeyRef,
    pub kind: Kind,
    /// The account it belongs to, where that is known.
    pub account: Option<&'a str>,
}

impl<'a> Sought<'a> {
    pub fn of(key: &'a KeyRef, record: &'a Record) -> Self {
        Self { key, kind: record.kind, account: record.account_id.as_deref() }
    }
}

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

    /// Returns whether it speaks of the account of `sought`: by the account's
    /// id, else because the two keys are recorded side by side.
    fn is_about(&self, sought: Sought<'_>) -> bool {
        match (sought.account, &self.account_id) {
            (Some(known), Some(told)) => known == told,
            _ => self.by.scope == sought.key.scope,
        }
    }
}

/// Returns whether the login of such keys is their account's, and the same for
/// all of them; elsewhere each key has its own.
pub fn are_the_accounts(provider: ProviderId, kind: Kind) -> bool {
    provider::provider(provider).login_teller(kind).is_some()
}

/// Returns the key that can tell the login: the only one at the nearest level
/// that has any, or among several that of the same account. Never one that is
/// known to be of another account.
pub fn teller<'a>(inventory: &'a Inventory, sought: Sought<'_>) -> Option<(&'a KeyRef, &'a Record)> {
    let wanted = provider::provider(sought.key.provider).login_teller(sought.kind)?;
    let is_of = |record: &Record| sought.account.is_some() && record.account_id.as_deref() == sought.account;
    for level in sought.key.scope.levels() {
        let able = |(other, record): &(&KeyRef, &Record)| {
            other.provider == sought.key.provider
                && record.kind == wanted
                && record.state == KeyState::Active
                && record.current.is_some()
                && (sought.account.is_none() || record.account_id.is_none() || is_of(record))
        };
        let found: Vec<_> = inventory.keys.at(&level).filter(able).collect();
        match found.as_slice() {
            [] => {}
            [only] => return Some(*only),
            several => return several.iter().find(|it| is_of(it.1)).copied(),
        }
    }
    None
}

/// Asks the key that can tell, once a run; `None` when there is none, or it
/// tells nothing.
pub fn ask(context: &Context, net: &Net<'_>, inventory: &Inventory, sought: Sought<'_>) -> Option<Told> {
    let (teller, _) = teller(inventory, sought)?;
    let keyed = match Keyed::usable(context, inventory, teller) {
        Ok(keyed) => keyed,
        Err(error) => {
            context.operator.note(format!("note: `{teller}` could tell the login, but: {error}"));
            return None;
        }
    };
    let judgement = context.asked_once(&keyed.secret, || {
        context.operator.detail(format!("asking `{teller}` for the login"));
        let judgement = provider::provider(teller.provider).check(net, &keyed.credential());
        if Told::read(teller, &judgement).is_none() {
            context.operator.note(format!("note: `{teller}` could not tell the login: {}", judgement.detail));
        }
        judgement
    });
    Told::read(teller, &judgement)
}

/// Proves a key with its login. `tell` is asked where none is said, or where
/// the one that is said is refused.
pub fn prove(
    net: &Net<'_>,
    sought: Sought<'_>,
    credential: &Credential<'_>,
    tell: impl FnOnce() -> Option<Told>,
) -> Judgement {
    let provider = provider::provider(sought.key.provider);
    if !are_the_accounts(sought.key.provider, sought.kind) {
        return provider.check(net, credential);
    }
    if let Some(login) = credential.login {
        let mut judgement = provider.check(net, credential);
        if matters(&judgement)
            && let Some(told) = tell()
        {
            compare(&mut judgement, sought.key, login, &told);
        }
        return judgement;
    }
    let told = tell();
    let login = told.as_ref().map(|it| it.login.as_str());
    let mut judgement = provider.check(net, &Credential { login, ..*credential });
    let Some(told) = told else { return judgement };
    if matters(&judgement) && !told.is_about(sought) {
        suspect(&mut judgement);
        judgement.detail = format!(
            "{}; the login was told by `{}`, which may be of another account",
            judgement.detail, told.by
        );
    } else {
        compare(&mut judgement, sought.key, &told.login, &told);
    }
    judgement
}

/// Proves a recorded key with its login.
///
/// # Errors
/// When the network cannot be set up (a bad variable).
pub fn judge(
    context: &Context,
    inventory: &Inventory,
    (key, record): (&KeyRef, &Record),
    secret: &Secret,
) -> anyhow::Result<Judgement> {
    let net = context.net()?;
    let sought = Sought::of(key, record);
    Ok(prove(&net, sought, &Credential::of(record, secret), || ask(context, &net, inventory, sought)))
}

/// Fills in a login that was not said.
pub fn supply(
    context: &Context,
    net: &Net<'_>,
    inventory: &Inventory,
    sought: Sought<'_>,
    described: &mut Described,
) -> Option<Told> {
    if described.login.is_some() {
        return None;
    }
    let told = ask(context, net, inventory, sought)?;
    context.operator.note(format!("`{}` tells the login of its account: {}", told.by, told.login));
    described.login = Some(told.login.clone());
    Some(told)
}

/// Records the login that a key just added tells with the keys beside it that
/// lack one, where the relay accepts them with it; of others it says how.
///
/// # Errors
/// When the inventory cannot be read or written.
pub fn record_beside(
    context: &Context,
    net: &Net<'_>,
    key: &KeyRef,
    judgement: &Judgement,
) -> anyhow::Result<()> {
    let Some(told) = Told::read(key, judgement) else { return Ok(()) };
    let inventory = context.inventory_file.load()?;
    let lacks = |(other, record): &(&KeyRef, &Record)| {
        record.login.is_none()
            && inventory.rotation_of(other).is_none()
            && teller(&inventory, Sought::of(other, record)).is_some_and(|(it, _)| it == key)
    };
    for (other, record) in inventory.keys.iter().filter(lacks) {
        let tried = tried_with(context, net, &inventory, (other, record), &told);
        match tried {
            Some(judgement) if judgement.accepted() => write(context, (other, record), &told, &judgement)?,
            Some(judgement) if judgement.reason() == Some(Reason::Unauthorized) => {
                context.operator.hint(format!(
                    "the login of `{other}` is not recorded; the relay refuses its key with this account's, \
                     `{}`: `keyctl validate {other}`",
                    told.login
                ));
            }
            _ => context.operator.hint(format!(
                "the login of `{other}` is not recorded; this account's is: `keyctl set {other} --login {}`",
                told.login
            )),
        }
    }
    Ok(())
}

/// Tries a key with a login. `None`: it is not certain enough to be of the
/// account, or not in use, or its secret cannot be read.
fn tried_with(
    context: &Context,
    net: &Net<'_>,
    inventory: &Inventory,
    (key, record): (&KeyRef, &Record),
    told: &Told,
) -> Option<Judgement> {
    let sought = Sought::of(key, record);
    if !told.is_about(sought) || record.state != KeyState::Active {
        return None;
    }
    let secret = context.secret(inventory, key, record, Slot::Current).ok().flatten()?;
    // What another secret than the recorded one proves is nothing of the record.
    if !Asked::of(context, inventory, key, record, &secret).is_current() {
        return None;
    }
    let credential = Credential::of(record, &secret);
    Some(context.asked_once(&secret, || prove(net, sought, &credential, || Some(told.clone()))))
}

/// Records a login that was proven, unless the record changed meanwhile.
fn write(
    context: &Context,
    (key, seen): (&KeyRef, &Record),
    told: &Told,
    judgement: &Judgement,
) -> anyhow::Result<()> {
    let written = context.update(|inventory| {
        let rotates = inventory.rotation_of(key).is_some();
        let same = |it: &&mut Record| it.id == seen.id && it.current == seen.current && it.login.is_none();
        let Some(record) = inventory.keys.get_mut(key).filter(same).filter(|_| !rotates) else {
            return Ok(None);
        };
        record.login = Some(told.login.clone());
        record.account_id = record.account_id.take().or_else(|| told.account_id.clone());
        record.identity = record.identity.take().or_else(|| told.identity.clone());
        Ok(Some(record.clone()))
    })?;
    if let Some(record) = written {
        context.operator.note(format!(
            "the login of `{key}` is recorded, as `{}` tells it and the relay accepts it: {}",
            told.by, told.login
        ));
        remember(context, &[(key, &record, judgement)]);
    }
    Ok(())
}

/// Returns the command that records the login.
pub fn way_to_record(inventory: &Inventory, sought: Sought<'_>) -> String {
    let key = sought.key;
    match teller(inventory, sought) {
        Some((teller, _)) => format!("record it, as `{teller}` tells it: `keyctl set {key} --login`"),
        None => format!("record it: `keyctl set {key} --login LOGIN`"),
    }
}

/// Returns the situation of a command that cannot do without the login.
pub fn missing(inventory: &Inventory, sought: Sought<'_>, what: &str) -> Situation {
    let key = sought.key;
    match teller(inventory, sought) {
        Some((teller, _)) => Situation::new(
            Exit::Unknown,
            "login-unknown",
            format!("{what} the login of `{key}`; none is recorded, and `{teller}` did not tell it"),
        )
        .hint(format!("`keyctl validate {teller}`; or record it: `keyctl set {key} --login LOGIN`")),
        None => Situation::usage(format!("{what} the login of `{key}`, and none is recorded"))
            .hint(way_to_record(inventory, sought)),
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
    if same {
        judgement.causes.retain(|it| *it != Cause::WrongLogin);
        judgement.detail = format!("{}; the login is right, as `{}` tells", judgement.detail, told.by);
        return;
    }
    suspect(judgement);
    judgement.detail = format!("{}; {}", judgement.detail, another(told));
    judgement.hint = Some(correction(key, told));
}

fn another(told: &Told) -> String {
    format!("`{}` tells another login: `{}`", told.by, told.login)
}

fn correction(key: &KeyRef, told: &Told) -> String {
    format!("if it is the same account: `keyctl set {key} --login {}`", told.login)
}

/// Makes the login the likeliest cause of a refusal.
fn suspect(judgement: &mut Judgement) {
    judgement.causes.retain(|it| *it != Cause::WrongLogin);
    judgement.causes.insert(0, Cause::WrongLogin);
}

/// Returns whether a refusal is the login's rather than the key's, so that it
/// proves nothing of the key.
pub fn is_suspect(provider: ProviderId, kind: Kind, judgement: &Judgement) -> bool {
    are_the_accounts(provider, kind)
        && judgement.reason() == Some(Reason::Unauthorized)
        && judgement.causes.first() == Some(&Cause::WrongLogin)
}

/// Returns whether a refusal is the key's own, since its login is right.
pub fn is_the_keys(provider: ProviderId, kind: Kind, judgement: &Judgement) -> bool {
    are_the_accounts(provider, kind)
        && judgement.reason() == Some(Reason::Unauthorized)
        && !judgement.causes.contains(&Cause::WrongLogin)
}

/// Takes a refusal that [`is_suspect`] for no answer at all.
pub fn doubt(provider: ProviderId, kind: Kind, judgement: &mut Judgement) {
    if is_suspect(provider, kind, judgement) {
        judgement.remove(Reason::Unauthorized);
        judgement.add(Reason::PermissionNotCheckable);
        judgement.detail =
            format!("{}; the login may be wrong, so that proves nothing of the key", judgement.detail);
    }
}

/// Says of a message that was refused with a login whether that is the account's.
pub fn explain(key: &KeyRef, login: &str, told: &Told, trouble: &mut Trouble) {
    if login.eq_ignore_ascii_case(&told.login) {
        trouble.detail = format!("{}; the login is right, as `{}` tells", trouble.detail, told.by);
    } else {
        trouble.detail = format!("{}; {}", trouble.detail, another(told));
        trouble.hint = Some(correction(key, told));
    }
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
