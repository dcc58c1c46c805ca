//! Which scopes a key has: from the list of keys where it may read that,
//! otherwise by one harmless call per scope.

use super::judge::{Standing, standing};
use super::scopes::{self, Probe};
use super::wire;
use super::{Klaviyo, facets, own};
use crate::key::Reason;
use crate::provider::finding::{Finding, ask};
use crate::provider::{Credential, Net, PermissionState, Permissions, Trouble};

/// Up to this many scopes, asking for each is cheaper than the list of keys,
/// which most keys may not read and whose limit is the tightest.
const FEW: usize = 3;

impl Permissions for Klaviyo {
    fn check(
        &self,
        net: &Net<'_>,
        credential: &Credential<'_>,
        wanted: &[String],
        probe_write: bool,
    ) -> Result<Vec<PermissionState>, Trouble> {
        let wanted: Vec<String> = if wanted.is_empty() {
            scopes::all().iter().map(|it| it.name.to_owned()).collect()
        } else {
            wanted.iter().map(|it| scopes::normalise(it).unwrap_or_else(|_| it.clone())).collect()
        };
        let list_first = wanted.len() > FEW || wanted.iter().any(|it| reader(it).is_none());
        if list_first && let Some(states) = listed(net, credential, &wanted) {
            return Ok(states);
        }
        Probing { net, credential, probe_write, accepted: false, states: Vec::new() }.run(&wanted)
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

/// The certain way: the list of keys names every scope, the writing ones too.
fn listed(net: &Net<'_>, credential: &Credential<'_>, wanted: &[String]) -> Option<Vec<PermissionState>> {
    let keys = facets::keys(net, credential).ok()?;
    let by_id = credential.remote_id.and_then(|id| keys.iter().find(|it| it.id == id));
    let held = by_id.or_else(|| own(&keys, credential.secret))?.permissions.as_ref()?;
    let state = |name: &String| PermissionState {
        name: name.clone(),
        granted: Some(held.contains(name)),
        how: "Klaviyo's list of keys".to_owned(),
    };
    Some(wanted.iter().map(state).collect())
}

/// One run of probes.
struct Probing<'a> {
    net: &'a Net<'a>,
    credential: &'a Credential<'a>,
    probe_write: bool,
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
            let (granted, how) = match &broken {
                Some(finding) => (None, format!("not asked: {}", finding.detail)),
                None => match self.one(name) {
                    Ok(state) => state,
                    Err(finding)
                        if self.accepted && finding.reason.verdict() == crate::key::Verdict::Unknown =>
                    {
                        let how = format!("could not be asked: {}", finding.detail);
                        broken = Some(finding);
                        (None, how)
                    }
                    Err(finding) => return Err(finding.trouble()),
                },
            };
            self.states.push(PermissionState { name: name.clone(), granted, how });
        }
        let at = |state: &PermissionState| wanted.iter().position(|it| *it == state.name);
        self.states.sort_by_key(at);
        Ok(self.states)
    }

    /// Returns one scope's state.
    ///
    /// # Errors
    /// When going on is pointless: the key is dead, or the network is.
    fn one(&mut self, name: &str) -> Result<(Option<bool>, String), Finding> {
        let Some(scope) = scopes::find(name) else {
            return Ok((None, "no such scope".to_owned()));
        };
        let Some(probe) = &scope.probe else {
            return Ok((None, "no harmless call tells; a key with `credentials:read` does".to_owned()));
        };
        if probe.writes && !self.probe_write {
            return Ok((None, "not checked; `--probe-write` tries an empty POST".to_owned()));
        }
        let reply = ask(self.net, &wire::probe(self.credential.secret, probe))?;
        let call = format!("{} {}", if probe.writes { "POST" } else { "GET" }, probe.path);
        let status = reply.status;
        Ok(match standing(&reply) {
            Standing::Granted => {
                self.accepted = true;
                (Some(true), format!("{call} answered {status}"))
            }
            Standing::Denied => {
                self.accepted = true;
                self.denied(name, probe, &call)
            }
            // The scope was there, so the body was read and found empty.
            Standing::Unclear(_) if probe.writes && status == 400 => {
                self.accepted = true;
                (Some(true), format!("{call} with an empty body got as far as the body (400): experimental"))
            }
            Standing::Refused(finding) if !self.accepted => return Err(finding),
            Standing::Refused(_) => (None, format!("{call} answered 401, other calls accept the key")),
            Standing::Unclear(finding) if finding.reason == Reason::RateLimited && !self.accepted => {
                return Err(finding);
            }
            Standing::Unclear(finding) => (None, finding.detail),
        })
    }

    fn denied(&self, name: &str, probe: &Probe, call: &str) -> (Option<bool>, String) {
        if name.starts_with("webhooks:") {
            return (None, format!("{call} answered 403, which may also be the plan"));
        }
        let known =
            |other: &&str| self.states.iter().any(|it| it.name == **other && it.granted == Some(true));
        match probe.besides.iter().find(|other| !known(other)) {
            Some(other) => (None, format!("{call} answered 403, which may also be for want of `{other}`")),
            None => (Some(false), format!("{call} answered 403")),
        }
    }
}
