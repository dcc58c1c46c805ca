//! Which scopes a key has: from the list of keys where it may read that,
//! otherwise by one harmless call per scope.

use super::judge::{Standing, standing};
use super::scopes::{self, Probe};
use super::wire;
use super::{Klaviyo, facets, own};
use crate::key::Reason;
use crate::provider::finding::{Finding, ask};
use crate::provider::{Call, Credential, Net, Outcome, PermissionState, Permissions, Trouble};

/// Up to this many scopes, asking for each is cheaper than the list of keys,
/// which most keys may not read and whose limit is the tightest.
const FEW: usize = 3;
/// What a key needs to read the list of keys.
const LIST_SCOPE: &str = "credentials:read";

impl Permissions for Klaviyo {
    fn check(
        &self,
        Call { net, credential }: Call<'_>,
        wanted: &[String],
        probe_write: bool,
    ) -> Outcome<Vec<PermissionState>> {
        let how = How { probe_write, ..How::default() };
        states(net, credential, wanted, how)
    }

    fn compare(&self, Call { net, credential }: Call<'_>, held: &[String]) -> Outcome<Vec<PermissionState>> {
        states(net, credential, held, How { in_plan: true, ..How::default() })
    }

    fn normalise(&self, name: &str) -> Result<String, String> {
        scopes::normalise(name)
    }

    fn expand(&self, asked: &[String]) -> Vec<String> {
        super::guide::asked(asked)
    }

    fn needed_for(&self, method: &str, path: &str) -> Option<Vec<String>> {
        scopes::needed_for(method, path)
    }
}

/// Returns the GET that isolates a read scope.
fn reader(name: &str) -> Option<&'static Probe> {
    scopes::find(name)?.probe.as_ref().filter(|it| !it.writes && it.besides.is_empty())
}

/// How scopes are asked for one by one.
#[derive(Debug, Clone, Copy, Default)]
struct How {
    /// Also by POSTs with an empty body.
    probe_write: bool,
    /// Another key of the account was let in: the plan has all of it.
    in_plan: bool,
}

fn states(
    net: &Net<'_>,
    credential: &Credential<'_>,
    wanted: &[String],
    how: How,
) -> Result<Vec<PermissionState>, Trouble> {
    let wanted: Vec<String> = if wanted.is_empty() {
        scopes::all().iter().map(|it| it.name.to_owned()).collect()
    } else {
        wanted.iter().map(|it| scopes::normalise(it).unwrap_or_else(|_| it.clone())).collect()
    };
    let mut probing = Probing { net, credential, how, accepted: false, states: Vec::new() };
    if wanted.len() > FEW || wanted.iter().any(|it| reader(it).is_none()) {
        match listed(net, credential) {
            Ok(Some(held)) => {
                let state = |name: &String| {
                    PermissionState::told(name, held.contains(name), "Klaviyo's list of keys")
                };
                return Ok(wanted.iter().map(state).collect());
            }
            // The list's limit is the tightest: its answer is not asked for twice.
            Err(finding) if finding.reason == Reason::PermissionMissing => {
                probing.accepted = true;
                probing.states.push(PermissionState::told(
                    LIST_SCOPE,
                    false,
                    "GET /api/api-keys answered 403",
                ));
            }
            Ok(None) | Err(_) => {}
        }
    }
    probing.run(&wanted)
}

/// The certain way: the list of keys names every scope of this one, the
/// writing ones too. `Ok(None)`: which of them it is cannot be told.
fn listed(net: &Net<'_>, credential: &Credential<'_>) -> Result<Option<Vec<String>>, Finding> {
    let keys = facets::keys(net, credential)?;
    let by_id = credential.remote_id.and_then(|id| keys.iter().find(|it| it.id == id));
    Ok(by_id.or_else(|| own(&keys, credential.secret)).and_then(|it| it.permissions.clone()))
}

/// One run of probes.
struct Probing<'a> {
    net: &'a Net<'a>,
    credential: &'a Credential<'a>,
    how: How,
    /// Some call accepted the key: a later 401 is that endpoint's own trouble.
    accepted: bool,
    states: Vec<PermissionState>,
}

impl Probing<'_> {
    fn run(mut self, wanted: &[String]) -> Result<Vec<PermissionState>, Trouble> {
        // Reading scopes first: the others may need to know them.
        let mut order: Vec<&String> = wanted.iter().collect();
        order.sort_by_key(|name| (reader(name).is_none(), name.ends_with(":write")));
        let mut broken: Option<Finding> = None;
        for name in order {
            if self.states.iter().any(|it| it.name == *name) {
                continue;
            }
            let state = match &broken {
                Some(finding) => PermissionState::unknown(name, format!("not asked: {}", finding.detail))
                    .because(finding.reason),
                None => match self.one(name) {
                    Ok(state) => state,
                    Err(finding)
                        if self.accepted && finding.reason.verdict() == crate::key::Verdict::Unknown =>
                    {
                        let how = format!("could not be asked: {}", finding.detail);
                        let state = PermissionState::unknown(name, how).because(finding.reason);
                        broken = Some(finding);
                        state
                    }
                    Err(finding) => return Err(finding.trouble()),
                },
            };
            self.states.push(state);
        }
        let at = |state: &PermissionState| wanted.iter().position(|it| *it == state.name);
        self.states.retain(|it| at(it).is_some());
        self.states.sort_by_key(at);
        Ok(self.states)
    }

    /// Returns one scope's state.
    ///
    /// # Errors
    /// When going on is pointless: the key is dead, or the network is.
    fn one(&mut self, name: &str) -> Result<PermissionState, Finding> {
        let told = |granted: bool, how: String| PermissionState::told(name, granted, how);
        let unknown = |how: &str| PermissionState::unknown(name, how);
        let Some(scope) = scopes::find(name) else { return Ok(unknown("no such scope")) };
        let Some(probe) = &scope.probe else {
            return Ok(unknown("no harmless call tells; a key with `credentials:read` does"));
        };
        if probe.writes && !self.how.probe_write {
            return Ok(unknown("not checked; `--probe-write` tries an empty POST"));
        }
        let reply = match ask(self.net, &wire::probe(self.credential, probe)) {
            Err(finding) if self.accepted && finding.reason == Reason::RateLimited => {
                return Ok(unknown(&finding.detail).because(finding.reason));
            }
            other => other?,
        };
        let call = format!("{} {}", if probe.writes { "POST" } else { "GET" }, probe.path);
        let status = reply.status;
        Ok(match standing(&reply) {
            Standing::Granted => {
                self.accepted = true;
                told(true, format!("{call} answered {status}"))
            }
            Standing::Denied => {
                self.accepted = true;
                self.denied(name, probe, &call)
            }
            // The scope was there, so the body was read and found empty.
            Standing::Unclear(_) if probe.writes && status == 400 => {
                self.accepted = true;
                told(true, format!("{call} with an empty body got as far as the body (400): experimental"))
            }
            Standing::Refused(finding) if !self.accepted => return Err(finding),
            Standing::Refused(_) => unknown(&format!("{call} answered 401, other calls accept the key")),
            Standing::Unclear(finding) if finding.reason == Reason::RateLimited && !self.accepted => {
                return Err(finding);
            }
            Standing::Unclear(finding) => unknown(&finding.detail).because(finding.reason),
        })
    }

    fn denied(&self, name: &str, probe: &Probe, call: &str) -> PermissionState {
        if name.starts_with("webhooks:") && !self.how.in_plan {
            return PermissionState::unknown(
                name,
                format!("{call} answered 403, which may also be the plan"),
            );
        }
        let known =
            |other: &&str| self.states.iter().any(|it| it.name == **other && it.granted == Some(true));
        match probe.besides.iter().find(|other| !known(other)) {
            Some(other) => PermissionState::unknown(
                name,
                format!("{call} answered 403, which may also be for want of `{other}`"),
            ),
            None => PermissionState::told(name, false, format!("{call} answered 403")),
        }
    }
}
