//! Reads domains: pages of `GET /v4/domains`, one domain with its DNS records.

use serde_json::Value;

use super::answer::{Answer, key_id, sort};
use super::{request, wire};
use crate::domain::{DnsRecord, DnsState, DomainType, RecordRole, SendingDomain};
use crate::key::text::printable;
use crate::key::{Domain, ProviderId, Reason, Region, Secret};
use crate::provider::{Net, Trouble};

/// The most pages of 1000 that are read.
const MOST_PAGES: usize = 100;

/// What one region's host said to `GET /v4/domains`, all pages.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub region: Region,
    /// The first page's answer: the one that proves or denies.
    pub answer: Answer,
    pub domains: Vec<SendingDomain>,
    /// Set when a later page, or a row, could not be read.
    pub incomplete: Option<Trouble>,
    /// `X-Mailgun-Key-Id` of the first page.
    pub key_id: Option<String>,
}

impl Listing {
    /// Returns whether the host took the key: a page that is a page.
    pub fn accepted(&self) -> bool {
        matches!(self.answer, Answer::Json(_))
    }

    /// Returns whether every domain of the region is in `domains`.
    pub fn is_whole(&self) -> bool {
        self.accepted() && self.incomplete.is_none()
    }
}

/// Reads both regions at the same time.
pub(super) fn read_both(net: &Net<'_>, secret: &Secret) -> [Listing; 2] {
    let (us, eu) = super::beside(|| read(net, secret, Region::Us), || read(net, secret, Region::Eu));
    [us, eu]
}

/// Reads all pages of one region.
pub(super) fn read(net: &Net<'_>, secret: &Secret, region: Region) -> Listing {
    let host = request::host(region);
    let result = net.send(&request::domains(region, secret, 0));
    let answer = match sort(host, &result) {
        Answer::Json(json) if wire::list(&json, "items").is_none() => Answer::Trouble(Trouble::new(
            Reason::UnexpectedResponse,
            format!("{} answered 200 with something that is no list of domains", host.name()),
        )),
        other => other,
    };
    let mut listing =
        Listing { region, answer, domains: Vec::new(), incomplete: None, key_id: key_id(&result) };
    let Answer::Json(first) = listing.answer.clone() else { return listing };
    let mut taken = take_page(&mut listing, &first);
    let mut total = wire::number(&first, "total_count");
    for _ in 1..MOST_PAGES {
        let expected = total.and_then(|it| usize::try_from(it).ok());
        if taken == 0 || expected.is_none_or(|it| taken >= it) {
            return listing;
        }
        let answer = sort(host, &net.send(&request::domains(region, secret, taken)));
        let Answer::Json(page) = answer else {
            listing.incomplete = Some(trouble_of(answer, "a further page of domains"));
            return listing;
        };
        let more = take_page(&mut listing, &page);
        if more == 0 {
            return listing;
        }
        taken += more;
        total = wire::number(&page, "total_count").or(total);
    }
    listing
}

/// Returns how many rows a page had.
fn take_page(listing: &mut Listing, page: &Value) -> usize {
    let rows = wire::list(page, "items").map_or(&[][..], Vec::as_slice);
    for row in rows {
        match read_domain(row, listing.region) {
            Some(domain) if !listing.domains.iter().any(|held| held.name == domain.name) => {
                listing.domains.push(domain);
            }
            Some(_) => {}
            None => {
                let name = wire::text(row, "name").unwrap_or_default();
                listing.incomplete.get_or_insert_with(|| {
                    Trouble::new(
                        Reason::UnexpectedResponse,
                        format!("a row of the list has no usable name (`{}`)", printable(&name, 60)),
                    )
                });
            }
        }
    }
    rows.len()
}

/// Returns what an answer that is not the expected one is worth.
pub(super) fn trouble_of(answer: Answer, what: &str) -> Trouble {
    match answer {
        Answer::Trouble(trouble) => trouble,
        Answer::Json(_) => {
            Trouble::new(Reason::UnexpectedResponse, format!("{what}: an answer of another form"))
                .unknown_outcome()
        }
        Answer::Bad(text) => {
            Trouble::new(Reason::UnexpectedResponse, format!("{what}: refused as wrong: {text}"))
        }
        Answer::Refused(text) => {
            Trouble::new(Reason::Unauthorized, format!("{what}: the key was refused: {text}"))
                .with_hint("check the key with `keyctl validate`")
        }
        Answer::Denied(text) => {
            Trouble::new(Reason::PermissionMissing, format!("{what}: the key may not: {text}")).with_hint(
                "use an account key of a role that may; roles cannot be changed, only a new key made",
            )
        }
        Answer::Missing(text) => Trouble::new(Reason::DomainNotFound, format!("{what}: not there: {text}")),
    }
}

/// Reads one domain; `None` when its name is none.
pub(super) fn read_domain(row: &Value, region: Region) -> Option<SendingDomain> {
    let name = Domain::parse(&wire::text(row, "name")?).ok()?;
    let state = wire::text(row, "state").map_or_else(|| "unknown".to_owned(), |it| it.to_ascii_lowercase());
    let kind = match wire::text(row, "type").as_deref() {
        Some("sandbox") => DomainType::Sandbox,
        _ if is_sandbox(name.as_str()) => DomainType::Sandbox,
        _ => DomainType::Custom,
    };
    let note = row.get("disabled").and_then(|it| wire::text(it, "note").or_else(|| wire::text(it, "reason")));
    Some(SendingDomain {
        provider: ProviderId::Mailgun,
        region: Some(region),
        verified: state == "active",
        kind,
        disabled: wire::flag(row, "is_disabled") || state == "disabled",
        disabled_note: note.map(|it| printable(&it, 200)),
        created: wire::time(row, "created_at"),
        records: None,
        state: printable(&state, 40),
        name,
    })
}

/// `sandbox<32 hex>.mailgun.org`
fn is_sandbox(name: &str) -> bool {
    let inside = name.strip_prefix("sandbox").and_then(|it| it.strip_suffix(".mailgun.org"));
    inside.is_some_and(|it| it.len() == 32 && it.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Reads `GET /v4/domains/{name}` and the answer to `…/verify`.
pub(super) fn read_whole(json: &Value, region: Region) -> Option<SendingDomain> {
    let row = json.get("domain")?;
    let mut domain = read_domain(row, region)?;
    let prefix = wire::text(row, "web_prefix").unwrap_or_else(|| "email".to_owned());
    let tracking = format!("{prefix}.{}", domain.name);
    let lists = ["sending_dns_records", "receiving_dns_records"];
    let rows = lists.iter().filter_map(|list| wire::list(json, list)).flatten();
    domain.records = Some(rows.map(|row| read_record(row, &domain.name, &tracking)).collect());
    Some(domain)
}

fn read_record(row: &Value, domain: &Domain, tracking: &str) -> DnsRecord {
    let shown = |field: &str| wire::text(row, field).map(|it| printable(&it, 2_000));
    let record_type = shown("record_type").unwrap_or_default().to_ascii_uppercase();
    let name = shown("name").unwrap_or_else(|| domain.to_string());
    let expected = shown("value").unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let role = match record_type.as_str() {
        "MX" => RecordRole::Mx,
        _ if lower.contains("._domainkey") => RecordRole::Dkim,
        "TXT" if expected.to_ascii_lowercase().contains("v=spf1") => RecordRole::Spf,
        "CNAME" if lower == tracking || expected.trim_end_matches('.').ends_with("mailgun.org") => {
            RecordRole::Tracking
        }
        _ => RecordRole::Other,
    };
    let state = match wire::text(row, "valid").map(|it| it.to_ascii_lowercase()).as_deref() {
        Some("valid") => DnsState::Valid,
        Some("invalid") => DnsState::Invalid,
        _ => DnsState::Unknown,
    };
    DnsRecord {
        role,
        record_type,
        name,
        expected,
        priority: wire::number(row, "priority").and_then(|it| u16::try_from(it).ok()),
        found: wire::texts(row, "cached").iter().map(|it| printable(it, 2_000)).collect(),
        state,
        active: row.get("is_active").is_none() || wire::flag(row, "is_active"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_domain_is_read_as_recorded() {
        let row = json!({"created_at":"Mon, 24 Feb 2025 22:44:03 GMT","id":"67bc","is_disabled":false,
            "name":"integration-test.domain.invalid","require_tls":false,"skip_verification":false,
            "smtp_login":"","spam_action":"tag","state":"unverified","type":"custom","wildcard":false});
        let domain = read_domain(&row, Region::Us).unwrap();
        assert_eq!((domain.verified, domain.disabled, domain.kind), (false, false, DomainType::Custom));
        assert_eq!(domain.created.unwrap().to_string(), "2025-02-24T22:44:03Z");
        let sandbox = json!({"name": format!("sandbox{}.mailgun.org", "0a".repeat(16)), "state": "active"});
        assert_eq!(read_domain(&sandbox, Region::Us).unwrap().kind, DomainType::Sandbox);
        let disabled = json!({"name":"a.example","state":"active","is_disabled":true,
            "disabled":{"code":"x","note":"unusual activity"}});
        let disabled = read_domain(&disabled, Region::Us).unwrap();
        assert_eq!(disabled.disabled_note.as_deref(), Some("unusual activity"));
        assert!(read_domain(&json!({"name":"no name"}), Region::Us).is_none());
    }

    #[test]
    fn records_are_sorted_by_what_they_are_for() {
        let whole = json!({"domain":{"name":"mg.a.example","state":"active","web_prefix":"email"},
            "receiving_dns_records":[
                {"record_type":"MX","valid":"unknown","value":"mxa.mailgun.org","priority":"10","cached":[]}],
            "sending_dns_records":[
                {"record_type":"TXT","name":"mg.a.example","value":"v=spf1 include:mailgun.org ~all","valid":"VALID","is_active":true},
                {"record_type":"CNAME","name":"pdk1._domainkey.mg.a.example","value":"pdk1._domainkey.x.dkim1.mailgun.com","valid":"valid"},
                {"record_type":"TXT","name":"mx._domainkey.mg.a.example","value":"k=rsa; p=x","valid":"invalid","is_active":false},
                {"record_type":"CNAME","name":"email.mg.a.example","value":"mailgun.org","valid":"valid","cached":["mailgun.org"]}]});
        let domain = read_whole(&whole, Region::Us).unwrap();
        let roles: Vec<_> = domain.records.as_ref().unwrap().iter().map(|it| (it.role, it.state)).collect();
        assert_eq!(
            roles,
            [
                (RecordRole::Spf, DnsState::Valid),
                (RecordRole::Dkim, DnsState::Valid),
                (RecordRole::Dkim, DnsState::Invalid),
                (RecordRole::Tracking, DnsState::Valid),
                (RecordRole::Mx, DnsState::Unknown),
            ]
        );
        assert_eq!(domain.dns().sending, Some(DnsState::Valid));
        assert_eq!(domain.records.unwrap()[4].priority, Some(10));
    }
}
