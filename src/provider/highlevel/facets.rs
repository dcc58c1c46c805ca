//! The locations of an agency, and the Mailgun settings pushed to them.

use super::wire::{self, Found, One, PAGE};
use super::{Highlevel, judge};
use crate::key::Reason;
use crate::provider::finding::{Finding, ask, change};
use crate::provider::{
    Call, Credential, LocationSnapshot, Locations, MailgunPush, Net, Outcome, RemoteLocation,
};

pub const READ: &str = "locations.readonly";
const WRITE: &str = "locations.write";
/// What the API gives when it is not asked for more.
const DEFAULT_PAGE: usize = 10;
/// 50,000 locations: a list that is longer does not end.
const MAX_PAGES: usize = 500;

/// Returns one page of locations.
pub fn page(
    net: &Net<'_>,
    credential: &Credential<'_>,
    company: Option<&str>,
    skip: usize,
    limit: usize,
) -> Result<Vec<wire::WireLocation>, Finding> {
    let reply = ask(net, &wire::search(credential.secret, company, skip, limit))?;
    judge::read::<Found>(&reply, READ).map(|it| it.locations)
}

/// Returns one location whole; `Ok(None)`: there is none.
pub fn snapshot(
    net: &Net<'_>,
    credential: &Credential<'_>,
    id: &str,
) -> Result<Option<LocationSnapshot>, Finding> {
    let reply = ask(net, &wire::location(credential.secret, id))?;
    if judge::is_absent(&reply, id) {
        return Ok(None);
    }
    let one: One = judge::read(&reply, READ)?;
    match one.snapshot() {
        Some(snapshot) if snapshot.location.id == id => Ok(Some(snapshot)),
        _ => Err(Finding::new(
            Reason::UnexpectedResponse,
            "HighLevel answered with another location than asked for",
        )),
    }
}

impl Locations for Highlevel {
    fn list(
        &self,
        Call { net, credential }: Call<'_>,
        company: Option<&str>,
    ) -> Outcome<Vec<RemoteLocation>> {
        let mut all: Vec<RemoteLocation> = Vec::new();
        let mut longest = DEFAULT_PAGE;
        for _ in 0..MAX_PAGES {
            let found = page(net, credential, company, all.len(), PAGE).map_err(Finding::trouble)?;
            let known = all.len();
            for location in found.iter().map(wire::WireLocation::remote) {
                if !all.iter().any(|old| old.id == location.id) {
                    all.push(location);
                }
            }
            // A page that was read before proves nothing of what comes after it.
            if all.len() == known && !found.is_empty() {
                let detail =
                    "HighLevel repeated a page of its list of locations, so that its end was not seen";
                return Err(Finding::new(Reason::UnexpectedResponse, detail)
                    .hint("nothing was changed; try again later")
                    .trouble());
            }
            // There is no total, and the server may cap a page below what was
            // asked for: the end is a page shorter than one before.
            if found.len() < longest {
                return Ok(all);
            }
            longest = longest.max(found.len());
        }
        let detail = format!("HighLevel's list of locations did not end after {MAX_PAGES} pages");
        Err(Finding::new(Reason::UnexpectedResponse, detail).trouble())
    }

    fn read(&self, Call { net, credential }: Call<'_>, id: &str) -> Outcome<Option<LocationSnapshot>> {
        snapshot(net, credential, id).map_err(Finding::trouble)
    }

    fn put_mailgun(&self, Call { net, credential }: Call<'_>, push: &MailgunPush<'_>) -> Outcome<()> {
        let request = wire::put_mailgun(credential.secret, push);
        let outcome =
            change(net, &request).and_then(|reply| judge::refusal(&reply, WRITE).map_or(Ok(()), Err));
        outcome.map_err(|finding| {
            // A vendor that echoes the request must not bring the pushed key to light.
            Finding { detail: push.key.scrub(&finding.detail), ..finding }.trouble()
        })
    }
}
