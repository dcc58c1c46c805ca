//! What a key may do at its provider, proven as far as it can be: from what a
//! check told already, else by asking.

use crate::key::verdict::Facts;
use crate::key::{Judgement, ProviderId, Reason};
use crate::provider;
use crate::provider::{Credential, Net, PermissionState, Trouble};

/// What a key was found to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    pub names: Vec<String>,
    /// And nothing else: a list told all of it.
    pub whole: bool,
}

/// Finds out what a key that was accepted may do: by the provider's list of
/// keys where it may read that, else by trying what can be tried harmlessly.
///
/// # Errors
/// When it could not be asked now: part of the answer is none.
pub fn held(
    net: &Net<'_>,
    provider: ProviderId,
    credential: &Credential<'_>,
    facts: &Facts,
) -> Result<Held, Trouble> {
    if let Some(names) = &facts.permissions {
        return Ok(Held { names: names.clone(), whole: true });
    }
    let Some(facet) = provider::provider(provider).permissions() else { return Ok(Held::default()) };
    let states = facet.check(net.by(credential), &[], false)?;
    if let Some((reason, state)) = stuck(&states) {
        return Err(Trouble::new(reason, format!("{}: {}", state.name, state.how)));
    }
    let whole = states.iter().all(|it| it.granted.is_some());
    let granted = states.into_iter().filter(|it| it.granted == Some(true));
    Ok(Held { names: granted.map(|it| it.name).collect(), whole })
}

/// Returns the first state that another try may tell: the network or a limit
/// was in the way.
pub fn stuck(states: &[PermissionState]) -> Option<(Reason, &PermissionState)> {
    states.iter().find_map(|it| it.trouble.filter(|reason| passes(*reason)).map(|reason| (reason, it)))
}

/// Returns whether a trouble is one of the hour.
pub fn passes(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Unreachable | Reason::Tls | Reason::RateLimited | Reason::ProviderError | Reason::IpBlocked
    )
}

/// Returns a permission's one spelling at a provider; as typed where the
/// provider has no such list or does not know it.
pub fn spelling(provider: ProviderId, name: &str) -> String {
    let facet = provider::provider(provider).permissions();
    facet.and_then(|it| it.normalise(name).ok()).unwrap_or_else(|| name.to_owned())
}

/// Checks names as typed against the providers that are asked.
///
/// # Errors
/// Why a name is none of any of them; with no provider that tells, none.
pub fn known(providers: impl IntoIterator<Item = ProviderId>, names: &[String]) -> Result<(), String> {
    let mut facets: Vec<_> =
        providers.into_iter().filter_map(|it| Some((it, provider::provider(it).permissions()?))).collect();
    facets.dedup_by_key(|(id, _)| *id);
    for name in names {
        let mut error = None;
        for (_, facet) in &facets {
            match facet.normalise(name) {
                Ok(_) => {
                    error = None;
                    break;
                }
                Err(why) => error = error.or(Some(why)),
            }
        }
        if let Some(why) = error {
            return Err(why);
        }
    }
    Ok(())
}

/// Returns the state of each wanted permission of a key that was accepted.
pub fn prove(
    net: &Net<'_>,
    provider: ProviderId,
    credential: &Credential<'_>,
    facts: &Facts,
    wanted: &[String],
) -> Vec<PermissionState> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let unknown = |name: &String, how: String| PermissionState::unknown(name, how);
    let Some(facet) = provider::provider(provider).permissions() else {
        let how = format!("{provider} does not tell what a key may do");
        return wanted.iter().map(|it| unknown(it, how.clone())).collect();
    };
    let (known, strange): (Vec<String>, Vec<String>) =
        wanted.iter().cloned().partition(|it| facet.normalise(it).is_ok());
    let mut states = match facet.told(facts, &known) {
        Some(states) => states,
        None if known.is_empty() => Vec::new(),
        None => match facet.check(net.by(credential), &known, false) {
            Ok(states) => states,
            Err(trouble) => known.iter().map(|it| unknown(it, trouble.detail.clone())).collect(),
        },
    };
    states.extend(strange.iter().map(|it| unknown(it, format!("{provider} has no permission of this name"))));
    states
}

/// Returns what a key was proven to have beyond what was asked for: by what
/// the provider told of it, else by trying everything that can be tried.
pub fn excess(
    net: &Net<'_>,
    provider: ProviderId,
    credential: &Credential<'_>,
    facts: &Facts,
    asked: &[String],
) -> Vec<String> {
    let Some(facet) = provider::provider(provider).permissions().filter(|_| !asked.is_empty()) else {
        return Vec::new();
    };
    let held = facts.permissions.clone().unwrap_or_else(|| {
        let states = facet.check(net.by(credential), &[], false).unwrap_or_default();
        states.into_iter().filter(|it| it.granted == Some(true)).map(|it| it.name).collect()
    });
    let asked = facet.expand(asked);
    held.into_iter().filter(|it| !asked.contains(it)).collect()
}

/// Adds to a judgement that a key may do more than was asked for.
pub fn judge_excess(judgement: &mut Judgement, excess: &[String]) {
    if excess.is_empty() || !judgement.accepted() || judgement.has(Reason::PermissionExcess) {
        return;
    }
    judgement.add(Reason::PermissionExcess);
    judgement.detail =
        format!("{}; it may do more than was asked for: {}", judgement.detail, excess.join(", "));
    judgement.hint.get_or_insert_with(|| {
        "replace it by one that may do no more: `keyctl rotate`, which asks for what is recorded".to_owned()
    });
}

/// Adds what the states mean to a judgement; names in their one spelling. What is only recorded, and cannot
/// be found out, says nothing; what is required must be proven. Returns
/// whether a required one was proven missing.
pub fn judge(
    judgement: &mut Judgement,
    required: &[String],
    recorded: &[String],
    states: &[PermissionState],
) -> bool {
    if !judgement.accepted() {
        return false;
    }
    let mut lacks = false;
    let mut open = Vec::new();
    for name in required.iter().chain(recorded) {
        let state = states.iter().find(|it| it.name == *name);
        match state.and_then(|it| it.granted) {
            Some(true) => {}
            Some(false) => {
                lacks |= required.contains(name);
                if !judgement.missing.contains(name) {
                    judgement.missing.push(name.clone());
                }
            }
            None if required.contains(name) => {
                let how = state.map_or("not asked", |it| it.how.as_str());
                open.push(format!("{name} ({how})"));
            }
            None => {}
        }
    }
    if !judgement.missing.is_empty() {
        judgement.add(Reason::PermissionMissing);
        judgement.detail = format!("{}; it lacks {}", judgement.detail, judgement.missing.join(", "));
    }
    open.dedup();
    if !open.is_empty() {
        judgement.add(Reason::PermissionNotCheckable);
        judgement.detail = format!("{}; not known: {}", judgement.detail, open.join(", "));
        judgement.hint.get_or_insert_with(|| "`keyctl permissions` tells what can be found out".to_owned());
    }
    lacks
}
