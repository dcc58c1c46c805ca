//! The domains an account key can see, one domain with its DNS, and the
//! provider's own check of it.

use super::answer::{Answer, sort};
use super::listing::{read_both, read_whole, trouble_of};
use super::{Mailgun, beside, request};
use crate::domain::SendingDomain;
use crate::key::{Domain, Kind, Reason, Region};
use crate::provider::{Call, Credential, DomainList, DomainListing, Net, Outcome, Trouble};

impl DomainList for Mailgun {
    fn may_list(&self, kind: Kind) -> bool {
        kind == Kind::Account
    }

    fn list(&self, Call { net, credential }: Call<'_>) -> DomainListing {
        let mut out = DomainListing::default();
        for listing in read_both(net, credential.secret) {
            if !listing.accepted() {
                let what = format!("the domains of the {} region", listing.region.as_str().to_uppercase());
                out.troubles.push((Some(listing.region), trouble_of(listing.answer, &what)));
                continue;
            }
            out.domains.extend(listing.domains);
            out.troubles.extend(listing.incomplete.map(|it| (Some(listing.region), it)));
        }
        out
    }

    fn show(
        &self,
        Call { net, credential }: Call<'_>,
        domain: &Domain,
        region: Option<Region>,
    ) -> Outcome<Option<SendingDomain>> {
        let one = |region| show_in(net, credential, domain, region);
        let Some(region) = region else {
            let (us, eu) = beside(|| one(Region::Us), || one(Region::Eu));
            return match (us, eu) {
                (Ok(Some(found)), _) | (_, Ok(Some(found))) => Ok(Some(found)),
                (Err(trouble), _) | (_, Err(trouble)) => Err(trouble),
                (Ok(None), Ok(None)) => Ok(None),
            };
        };
        one(region)
    }

    fn verify(
        &self,
        Call { net, credential }: Call<'_>,
        domain: &Domain,
        region: Option<Region>,
    ) -> Outcome<SendingDomain> {
        let region = home(net, credential, domain, region)?;
        let host = request::host(region);
        let answer = sort(host, &net.send(&request::verify(region, credential.secret, domain)));
        let what = format!("checking the DNS of {domain}");
        match &answer {
            Answer::Json(json) => read_whole(json, region).ok_or_else(|| trouble_of(answer.clone(), &what)),
            _ => Err(trouble_of(answer, &what)),
        }
    }
}

fn show_in(
    net: &Net<'_>,
    credential: &Credential<'_>,
    domain: &Domain,
    region: Region,
) -> Result<Option<SendingDomain>, Trouble> {
    let answer = sort(request::host(region), &net.send(&request::domain(region, credential.secret, domain)));
    match &answer {
        Answer::Missing(_) => Ok(None),
        Answer::Json(json) => match read_whole(json, region) {
            Some(found) => Ok(Some(found)),
            None => Err(trouble_of(answer, &format!("reading {domain}"))),
        },
        _ => Err(trouble_of(answer, &format!("reading {domain}"))),
    }
}

/// Returns the region a domain is in: what is recorded, else where it is found.
pub(super) fn home(
    net: &Net<'_>,
    credential: &Credential<'_>,
    domain: &Domain,
    region: Option<Region>,
) -> Result<Region, Trouble> {
    if let Some(region) = region {
        return Ok(region);
    }
    match Mailgun.show(net.by(credential), domain, None)? {
        Some(found) => Ok(found.region.unwrap_or(Region::Us)),
        None => Err(Trouble::new(
            Reason::DomainNotFound,
            format!("{domain} is in neither region of this Mailgun account"),
        )
        .with_hint("compare with `keyctl domains --all`")),
    }
}
