//! The account's IP allowlist, and the routes for mail that comes in.

use serde_json::Value;

use super::answer::{Answer, sort};
use super::listing::trouble_of;
use super::{Mailgun, request, wire};
use crate::http::Request;
use crate::key::text::printable;
use crate::key::{Reason, Region};
use crate::provider::{
    Allowlist, AllowlistEntry, Call, Credential, Inbound, InboundRoute, Net, Outcome, Trouble,
};

/// The most pages of 1000 routes that are read.
const MOST_PAGES: usize = 20;

impl Allowlist for Mailgun {
    fn read(&self, Call { net, credential }: Call<'_>) -> Outcome<Vec<AllowlistEntry>> {
        addresses(net, &request::allowlist(region(credential), credential.secret), "reading the IP allowlist")
    }

    fn add(&self, Call { net, credential }: Call<'_>, entry: &AllowlistEntry) -> Outcome<()> {
        let mut fields = vec![("address", entry.address.clone())];
        fields.extend(entry.description.clone().map(|it| ("description", it)));
        let what = format!("adding {} to the IP allowlist", printable(&entry.address, 60));
        let request = request::allow(region(credential), credential.secret, fields);
        changed(net, &request, &what)
    }

    fn remove(&self, Call { net, credential }: Call<'_>, address: &str) -> Outcome<bool> {
        let what = format!("removing {} from the IP allowlist", printable(address, 60));
        let request = request::disallow(region(credential), credential.secret, address);
        match sort(request.host, &net.send(&request)) {
            Answer::Json(_) => Ok(true),
            Answer::Missing(_) => Ok(false),
            Answer::Bad(text) if text.to_ascii_lowercase().contains("not found") => Ok(false),
            answer => Err(trouble_of(answer, &what)),
        }
    }
}

fn region(credential: &Credential<'_>) -> Region {
    credential.region.unwrap_or(Region::Us)
}

/// `{"addresses":[{"ip_address":"…","description":"…"}]}`
fn addresses(net: &Net<'_>, request: &Request<'_>, what: &str) -> Result<Vec<AllowlistEntry>, Trouble> {
    let answer = sort(request.host, &net.send(request));
    let rows = match &answer {
        Answer::Json(json) => wire::list(json, "addresses"),
        _ => None,
    };
    let Some(rows) = rows else { return Err(trouble_of(answer, what)) };
    let read = |row: &Value| {
        Some(AllowlistEntry {
            address: wire::text(row, "ip_address")?,
            description: wire::text(row, "description"),
        })
    };
    // A row that cannot be read must not vanish: the list is saved and restored.
    let all: Option<Vec<_>> = rows.iter().map(read).collect();
    all.ok_or_else(|| {
        Trouble::new(Reason::UnexpectedResponse, format!("{what}: an entry without an address"))
    })
}

fn changed(net: &Net<'_>, request: &Request<'_>, what: &str) -> Result<(), Trouble> {
    match sort(request.host, &net.send(request)) {
        Answer::Json(_) => Ok(()),
        answer => Err(trouble_of(answer, what)),
    }
}

impl Inbound for Mailgun {
    fn matching(
        &self,
        Call { net, credential }: Call<'_>,
        address: &str,
        region: Region,
    ) -> Outcome<Option<InboundRoute>> {
        let request = request::route_for(region, credential.secret, address);
        let answer = sort(request.host, &net.send(&request));
        let found = match &answer {
            Answer::Missing(_) => return Ok(None),
            Answer::Json(json) => json.get("route").and_then(route),
            _ => None,
        };
        found.map(Some).ok_or_else(|| trouble_of(answer, "asking for the inbound route"))
    }

    fn list(&self, Call { net, credential }: Call<'_>, region: Region) -> Outcome<Vec<InboundRoute>> {
        let mut routes = Vec::new();
        let mut seen = 0;
        for _ in 0..MOST_PAGES {
            let request = request::routes(region, credential.secret, seen);
            let answer = sort(request.host, &net.send(&request));
            let (page, total) = match &answer {
                Answer::Json(json) => (wire::list(json, "items"), wire::number(json, "total_count")),
                _ => (None, None),
            };
            let Some(page) = page else { return Err(trouble_of(answer, "reading the inbound routes")) };
            routes.extend(page.iter().filter_map(route));
            seen += page.len();
            let whole = total.and_then(|it| usize::try_from(it).ok()).is_none_or(|it| seen >= it);
            if whole || page.is_empty() {
                break;
            }
        }
        Ok(routes)
    }
}

fn route(row: &Value) -> Option<InboundRoute> {
    Some(InboundRoute {
        id: wire::text(row, "id")?,
        priority: wire::number(row, "priority").unwrap_or(0),
        expression: printable(&wire::text(row, "expression")?, 500),
        actions: wire::texts(row, "actions").iter().map(|it| printable(it, 500)).collect(),
        description: wire::text(row, "description").map(|it| printable(&it, 200)),
    })
}
