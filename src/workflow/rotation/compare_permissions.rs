//! What the old key may do, as far as it can be told, and whether the new one
//! may do at least that. What could not be asked proves nothing either way.

use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::key::verdict::Facts;
use crate::key::{Judgement, KeyRef, Reason, Record, Secret};
use crate::provider::{Credential, PermissionState, Permissions, RemoteKey, Trouble};
use crate::workflow::key_permissions::Held;
use crate::workflow::managing_key::Sought;
use crate::workflow::rotation::session::{Session, Snapshot};
use crate::workflow::rotation::unfit::unfit;
use crate::workflow::{key_permissions, managing_key};

/// A key that was accepted.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub record: &'a Record,
    pub secret: &'a Secret,
    pub facts: &'a Facts,
}

impl<'a> Seen<'a> {
    pub fn new(record: &'a Record, secret: &'a Secret, judgement: &'a Judgement) -> Self {
        Self { record, secret, facts: &judgement.facts }
    }

    fn credential(&self) -> Credential<'a> {
        Credential::of(self.record, self.secret)
    }
}

/// Finds out what the old key may do, before a person is told how to make the
/// new one: by the list that the managing key read, by the key's own, else by
/// trying. That it could not be asked is a warning: the test asks again.
pub fn held(
    context: &Context,
    key: &KeyRef,
    old: Option<Seen<'_>>,
    row: Option<&RemoteKey>,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Held> {
    if let Some(names) = row.and_then(|it| it.permissions.clone()) {
        return Ok(Held { names, whole: true });
    }
    let Some(old) = old else { return Ok(Held::default()) };
    context.restart_clock();
    let found = key_permissions::held(&context.net()?, key.provider, &old.credential(), old.facts);
    context.restart_clock();
    Ok(found.unwrap_or_else(|trouble| {
        warnings.push(format!(
            "what the old key may do could not be found out now ({}); it is tried again before the new one becomes current",
            trouble.detail
        ));
        Held::default()
    }))
}

/// Checks that the new key may do what was asked for, else what is on record,
/// else what the old one was found to have.
///
/// # Errors
/// Exit 1 when it lacks some; exit 4 when that could not be asked now.
pub fn compare(
    work: &Session<'_>,
    snapshot: &Snapshot,
    new: Seen<'_>,
    old: Option<(&Secret, &Judgement)>,
) -> anyhow::Result<()> {
    let provider = snapshot.provider();
    let Some(facet) = provider.permissions() else { return Ok(()) };
    let wanted = facet.expand(snapshot.rotation.wanted(new.record));
    let result = if !wanted.is_empty() {
        as_wanted(work, snapshot, facet, new, &wanted)
    } else if provider.clones() {
        as_seen(work, snapshot, facet, new, old)
    } else {
        Ok(Vec::new())
    };
    work.context.restart_clock();
    let open = match result {
        Ok(open) => open,
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::Trouble(trouble)) => return troubled(work, snapshot, &trouble),
    };
    if !open.is_empty() {
        let key = snapshot.key();
        work.context.operator.note(format!(
            "`{key}`: not compared with the old key: {}; `keyctl permissions {key} --probe-write` tries what can be tried, \
             a key with `credentials:read` tells all",
            open.join(", ")
        ));
    }
    Ok(())
}

/// Why a comparison ended early.
enum Stop {
    Trouble(Trouble),
    Error(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}

/// What was asked for is known by name. Returns what could not be told.
fn as_wanted(
    work: &Session<'_>,
    snapshot: &Snapshot,
    facet: &dyn Permissions,
    new: Seen<'_>,
    wanted: &[String],
) -> Result<Vec<String>, Stop> {
    work.context.restart_clock();
    let told = told(work, snapshot, new)?;
    let states = match &told {
        Some(held) => listed(held, wanted),
        None => {
            facet.check(work.context.net()?.by(&new.credential()), wanted, false).map_err(Stop::Trouble)?
        }
    };
    lacks(snapshot, &states)?;
    if let Some((reason, state)) = key_permissions::stuck(&states) {
        return Err(Stop::Trouble(Trouble::new(reason, format!("{}: {}", state.name, state.how))));
    }
    // More than was asked for is no reason to stop; that it is so must be said.
    let facts = Facts { permissions: told, ..new.facts.clone() };
    let (net, provider) = (work.context.net()?, snapshot.key().provider);
    let excess = key_permissions::excess(&net, provider, &new.credential(), &facts, wanted);
    if !excess.is_empty() {
        work.context.operator.warning(format!(
            "permission-excess: the new key of `{}` may do more than was asked for: {}",
            snapshot.key(),
            excess.join(", ")
        ));
    }
    Ok(states.into_iter().filter(|it| it.granted.is_none()).map(|it| it.name).collect())
}

/// Nobody knows all that the old key may do: the new one must have what that
/// one was seen to use. Returns what could not be told.
fn as_seen(
    work: &Session<'_>,
    snapshot: &Snapshot,
    facet: &dyn Permissions,
    new: Seen<'_>,
    old: Option<(&Secret, &Judgement)>,
) -> Result<Vec<String>, Stop> {
    let mut held = Held { names: snapshot.rotation.held.clone(), whole: false };
    if held.names.is_empty() {
        // An old key that does not work is said elsewhere.
        let Some((secret, judgement)) = old else { return Ok(Vec::new()) };
        let record = snapshot.record().map_err(anyhow::Error::from)?;
        let old = Seen::new(record, secret, judgement);
        work.context.restart_clock();
        let net = work.context.net()?;
        held = key_permissions::held(&net, snapshot.key().provider, &old.credential(), old.facts)
            .map_err(Stop::Trouble)?;
    }
    work.context.restart_clock();
    let states = match told(work, snapshot, new)? {
        Some(told) => listed(&told, &held.names),
        None if held.names.is_empty() => Vec::new(),
        None => {
            facet.compare(work.context.net()?.by(&new.credential()), &held.names).map_err(Stop::Trouble)?
        }
    };
    lacks(snapshot, &states)?;
    // The old key got an answer there: silence now is of the hour.
    if let Some((reason, state)) = states.iter().find_map(|it| it.trouble.map(|reason| (reason, it))) {
        return Err(Stop::Trouble(Trouble::new(reason, format!("{}: {}", state.name, state.how))));
    }
    let mut open: Vec<String> =
        states.into_iter().filter(|it| it.granted.is_none()).map(|it| it.name).collect();
    if !held.whole {
        open.push("its scopes for writing, which no harmless call tells".to_owned());
    }
    Ok(open)
}

/// Returns all that the new key has, where a list tells: its own, or that of
/// the managing key.
fn told(work: &Session<'_>, snapshot: &Snapshot, new: Seen<'_>) -> anyhow::Result<Option<Vec<String>>> {
    if new.facts.permissions.is_some() || !snapshot.provider().clones() {
        return Ok(new.facts.permissions.clone());
    }
    let Some(manager) = work.manager(snapshot).ok().flatten() else { return Ok(None) };
    let remote_id = new.facts.remote_id.as_deref();
    let sought = Sought { record: new.record, remote_id, secret: Some(new.secret) };
    Ok(managing_key::row(work.context, &manager, sought)?.and_then(|it| it.permissions))
}

fn listed(held: &[String], wanted: &[String]) -> Vec<PermissionState> {
    let state =
        |name: &String| PermissionState::told(name, held.contains(name), "the provider's list of keys");
    wanted.iter().map(state).collect()
}

fn lacks(snapshot: &Snapshot, states: &[PermissionState]) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        states.iter().filter(|it| it.granted == Some(false)).map(|it| it.name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(unfit(snapshot, &format!("it lacks the permissions {}", missing.join(", "))).into())
}

/// What passes is waited for, unless the old key leaked; what does not pass
/// must not hold a rotation up for ever.
fn troubled(work: &Session<'_>, snapshot: &Snapshot, trouble: &Trouble) -> anyhow::Result<()> {
    let key = snapshot.key();
    let passes = key_permissions::passes(trouble.reason) || trouble.reason == Reason::UnexpectedResponse;
    if passes && !snapshot.rotation.compromised {
        let message =
            format!("whether the new key may do what the old one may could not be told: {}", trouble.detail);
        return Err(Situation::new(Exit::Unknown, trouble.reason.as_str(), message)
            .hint(format!("the old key is still current; try again: `keyctl rotate {key} --resume`"))
            .into());
    }
    work.context.operator.warning(format!(
        "the permissions of the new key of `{key}` could not be read: {}; `keyctl permissions {key}` tries again",
        trouble.detail
    ));
    Ok(())
}
