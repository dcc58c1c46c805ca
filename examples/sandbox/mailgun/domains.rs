//! `/v4/domains`: the list, one domain with its DNS records, the check of them;
//! and `/v3/domains/{name}/tracking`.

use serde_json::{Value, json};

use super::model::{Dns, Domain, DomainKind, Published, Region, State};
use super::{Visit, page};
use crate::call::Reply;
use crate::moment;
use crate::world::World;
use crate::zone::Resource;

const LIMIT_REFUSAL: &str = "The 'limit' parameter can't be larger than 1000";

/// `GET /v4/domains`
pub fn list(visit: &mut Visit) -> Reply {
    let (limit, skip) = match page(visit.call, LIMIT_REFUSAL) {
        Ok(page) => page,
        Err(reply) => return reply,
    };
    let state = match visit.call.query("state") {
        None => None,
        Some("active") => Some(State::Active),
        Some("unverified") => Some(State::Unverified),
        Some("disabled") => Some(State::Disabled),
        Some(other) => return invalid("state", other),
    };
    let search = visit.call.query("search").map(str::to_ascii_lowercase);
    let region = visit.region;
    let names = visit.account().domains.clone();
    let mailgun = &visit.world.mailgun;
    // Newest first, unless asked otherwise.
    let mut found: Vec<&Domain> = names
        .iter()
        .rev()
        .filter(|(it, _)| *it == region)
        .filter_map(|at| mailgun.domains.get(at))
        .filter(|domain| state.is_none_or(|state| domain.shown_state() == state))
        .filter(|domain| search.as_ref().is_none_or(|text| domain.name.contains(text.as_str())))
        .collect();
    match visit.call.query("sort") {
        None => {}
        Some("name" | "name:asc") => found.sort_by(|a, b| a.name.cmp(&b.name)),
        Some("name:desc") => found.sort_by(|a, b| b.name.cmp(&a.name)),
        Some(other) => return invalid("sort", other),
    }
    let items: Vec<Value> = found.iter().skip(skip).take(limit).map(|domain| domain.shown()).collect();
    Reply::json(200, &json!({"total_count": found.len(), "items": items}))
}

/// `GET /v4/domains/{name}`
pub fn show(visit: &mut Visit) -> Reply {
    let Some(domain) = named(visit) else { return not_found() };
    Reply::json(200, &Value::from(domain.with_records()))
}

/// `PUT /v4/domains/{name}/verify`: looks at the DNS again and sets the state.
pub fn verify(visit: &mut Visit) -> Reply {
    let Some(Domain { region, name, .. }) = named(visit) else { return not_found() };
    let at = (*region, name.clone());
    let reset = moment_in(visit, 900_000);
    let Some(domain) = visit.mailgun().domains.get_mut(&at) else { return not_found() };
    if !domain.is_disabled && domain.kind == DomainKind::Custom {
        let Dns { spf, dkim, .. } = domain.dns;
        let verified = spf == Published::Valid && dkim == Published::Valid;
        domain.state = if verified { State::Active } else { State::Unverified };
    }
    let mut body = serde_json::Map::new();
    body.insert("message".to_owned(), Value::from("Domain DNS records have been updated"));
    body.extend(domain.with_records());
    Reply::json(200, &Value::from(body))
        .with("x-request-limit", "10")
        .with("x-request-remaining", "9")
        .with("x-request-reset", reset)
}

/// `GET /v3/domains/{name}/tracking`
pub fn tracking(visit: &mut Visit) -> Reply {
    if named(visit).is_none() {
        return not_found();
    }
    let tracking = json!({
        "open": {"active": false, "place_at_the_top": false}, "click": {"active": false},
        "unsubscribe": {"active": false, "html_footer": "", "text_footer": ""}, "web_scheme": "http",
    });
    Reply::json(200, &json!({"tracking": tracking}))
}

fn named<'a>(visit: &'a Visit) -> Option<&'a Domain> {
    visit.world.mailgun.domain(&visit.caller.account, visit.region, visit.parameter(0))
}

fn not_found() -> Reply {
    Reply::json(404, &json!({"message": "Domain not found"}))
}

fn invalid(name: &str, value: &str) -> Reply {
    Reply::json(400, &json!({"message": format!("invalid `{name}`: {value}")}))
        .violating(format!("query parameter `{name}` may not be `{value}`"))
}

fn moment_in(visit: &Visit, milliseconds: i64) -> String {
    super::keys::later(visit.now, milliseconds).as_millisecond().to_string()
}

/// Returns what the domains have published under a name.
pub fn published(world: &World, name: &str) -> Vec<Resource> {
    // A record's name is its domain's or lies below it.
    let parents = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
    let regions = [Region::Us, Region::Eu];
    std::iter::once(name)
        .chain(parents)
        .flat_map(|parent| regions.map(|region| world.mailgun.domains.get(&(region, parent.to_owned()))))
        .flatten()
        .flat_map(Domain::records)
        .filter(|record| record.published == Published::Valid && record.name == name)
        .map(|record| Resource { kind: record.kind.to_owned(), value: record.data() })
        .collect()
}

/// A DNS record a domain should have.
pub struct Expected {
    pub name: String,
    pub kind: &'static str,
    pub value: String,
    pub priority: Option<u16>,
    pub published: Published,
    /// Whether it serves receiving; else sending.
    pub receiving: bool,
}

impl Domain {
    /// Returns the records Mailgun asks for.
    pub fn records(&self) -> Vec<Expected> {
        let Self { name, dns, region, .. } = self;
        let zone = region.zone();
        let record = |name: String, kind, value: String, published| Expected {
            name,
            kind,
            value,
            priority: None,
            published,
            receiving: false,
        };
        let mut records = Vec::new();
        for host in ["mxa", "mxb"] {
            let mx = record(name.clone(), "MX", format!("{host}.{zone}"), dns.mx);
            records.push(Expected { priority: Some(10), receiving: true, ..mx });
        }
        records.push(record(name.clone(), "TXT", format!("v=spf1 include:{zone} ~all"), dns.spf));
        if self.automatic_security {
            for selector in ["pdk1", "pdk2"] {
                let target = match region {
                    Region::Us => format!("{selector}._domainkey.{}.dkim1.mailgun.com", &self.id[..6]),
                    Region::Eu => format!("{selector}._domainkey.{}.dkim2.eu.mgsend.org", &self.id[..6]),
                };
                records.push(record(format!("{selector}._domainkey.{name}"), "CNAME", target, dns.dkim));
            }
        } else {
            let value = format!("k=rsa; p={}", self.dkim);
            records.push(record(format!("mailo._domainkey.{name}"), "TXT", value, dns.dkim));
        }
        records.push(record(format!("email.{name}"), "CNAME", zone.to_owned(), dns.tracking));
        records
    }

    /// The state the API shows: a disabled domain is `disabled` to the filter.
    fn shown_state(&self) -> State {
        if self.is_disabled { State::Disabled } else { self.state }
    }

    fn shown(&self) -> Value {
        let mut shown = json!({
            "created_at": moment::gmt(self.created), "id": self.id, "is_disabled": self.is_disabled,
            "name": self.name, "require_tls": false, "skip_verification": false,
            "smtp_login": format!("postmaster@{}", self.name), "spam_action": "disabled",
            "state": self.shown_state(), "type": self.kind,
            "use_automatic_sender_security": self.automatic_security,
            "web_prefix": "email", "web_scheme": "http", "wildcard": false,
        });
        if self.is_disabled {
            shown["disabled"] = json!({
                "code": "policy", "note": "", "permanently": false,
                "reason": "Your account was disabled for a review of its traffic",
            });
        }
        shown
    }

    fn with_records(&self) -> serde_json::Map<String, Value> {
        let (receiving, sending): (Vec<_>, Vec<_>) = self.records().into_iter().partition(|it| it.receiving);
        let list = |records: &[Expected]| {
            Value::from(records.iter().map(|it| it.shown(records)).collect::<Vec<_>>())
        };
        let mut body = serde_json::Map::new();
        body.insert("domain".to_owned(), self.shown());
        body.insert("receiving_dns_records".to_owned(), list(&receiving));
        body.insert("sending_dns_records".to_owned(), list(&sending));
        body
    }
}

impl Expected {
    /// Returns the value with its priority, as a resolver finds it.
    fn data(&self) -> String {
        match self.priority {
            Some(priority) => format!("{priority} {}", self.value),
            None => self.value.clone(),
        }
    }

    fn shown(&self, siblings: &[Expected]) -> Value {
        let cached: Vec<String> = siblings
            .iter()
            .filter(|it| it.published == Published::Valid && it.name == self.name && it.kind == self.kind)
            .map(Expected::data)
            .collect();
        let mut shown = json!({
            "is_active": true, "cached": cached, "record_type": self.kind,
            "valid": self.published.word(), "value": self.value,
        });
        match self.priority {
            Some(priority) => shown["priority"] = Value::from(priority.to_string()),
            None => shown["name"] = Value::from(self.name.clone()),
        }
        shown
    }
}
