//! What became of a mail: the log entries of `POST /v1/analytics/logs`, and
//! the deprecated events of `GET /v3/{domain}/events`. Both are kept per
//! region.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::Visit;
use super::keys::later;
use super::model::Region;
use crate::call::Reply;
use crate::record::Mail;
use crate::world::World;
use crate::{chance, moment};

/// One entry of the log.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    pub id: String,
    pub account: String,
    pub region: Region,
    pub domain: String,
    pub name: &'static str,
    pub at: Timestamp,
    pub recipient: String,
    pub from: String,
    pub subject: String,
    pub message_id: String,
    pub key_id: Option<String>,
    pub method: &'static str,
    pub test_mode: bool,
    pub originating_ip: String,
}

/// A mail on its way from either entrance, HTTP or SMTP.
pub struct Sent {
    pub host: &'static str,
    pub account: String,
    pub region: Region,
    pub domain: String,
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
    /// Without angle brackets.
    pub message_id: String,
    pub test_mode: bool,
    pub key_id: Option<String>,
    pub login: Option<String>,
}

impl Sent {
    /// Notes the mail, and its events: accepted, then delivered, or failed for
    /// the recipient `bounce@…`.
    pub fn deliver(self, world: &mut World) {
        let now = world.now();
        let delay = world.mailgun.accounts.get(&self.account).map_or(0, |it| it.settings.delivery_delay_ms);
        for recipient in &self.to {
            let outcome = if recipient.starts_with("bounce@") { "failed" } else { "delivered" };
            // A millisecond apart, so that the order shows.
            for (name, at) in [("accepted", now), (outcome, later(now, delay.max(1)))] {
                let event = Event {
                    id: chance::hex(22),
                    account: self.account.clone(),
                    region: self.region,
                    domain: self.domain.clone(),
                    name,
                    at,
                    recipient: recipient.clone(),
                    from: self.from.clone(),
                    subject: self.subject.clone(),
                    message_id: self.message_id.clone(),
                    key_id: self.key_id.clone(),
                    method: if self.login.is_some() { "SMTP" } else { "HTTP" },
                    test_mode: self.test_mode,
                    originating_ip: world.caller_ip.to_string(),
                };
                world.mailgun.events.push(event);
            }
        }
        world.record.mail(Mail {
            host: self.host.to_owned(),
            via: if self.login.is_some() { "smtp" } else { "api" },
            message_id: self.message_id,
            domain: self.domain,
            from: self.from,
            to: self.to,
            subject: self.subject,
            text: self.text,
            test_mode: self.test_mode,
            key_id: self.key_id,
            login: self.login,
            at: moment::rfc3339(now),
        });
    }
}

impl Event {
    fn delivery_status(&self) -> Option<Value> {
        match (self.name, self.test_mode) {
            ("delivered", true) => {
                Some(json!({"code": 650, "message": "Message in test mode", "attempt-no": 1}))
            }
            ("delivered", false) => Some(json!({"code": 250, "message": "OK", "attempt-no": 1})),
            ("failed", _) => Some(json!({"code": 550, "message": "5.1.1 The email account does not exist",
                "attempt-no": 1, "description": ""})),
            _ => None,
        }
    }

    /// Returns what log entries and events have in common.
    fn shown(&self) -> Value {
        let mut shown = json!({
            "id": self.id, "event": self.name, "log-level": if self.name == "failed" { "error" } else { "info" },
            "recipient": self.recipient, "recipient-domain": self.recipient.split('@').nth(1),
            "method": self.method,
            "envelope": {"sender": self.from, "transport": "smtp", "targets": self.recipient},
            "flags": {"is-authenticated": true, "is-routed": false, "is-system-test": false,
                "is-test-mode": self.test_mode, "is-delayed-bounce": false, "is-callback": false},
            "message": {"headers": {"to": self.recipient, "message-id": self.message_id, "from": self.from,
                "subject": self.subject}, "attachments": [], "size": 400},
            "tags": [], "user-variables": "{}",
        });
        if let Some(status) = self.delivery_status() {
            shown["delivery-status"] = status;
        }
        if self.name == "failed" {
            shown["severity"] = Value::from("permanent");
            shown["reason"] = Value::from("bounce");
        }
        shown
    }

    fn as_log(&self) -> Value {
        let mut shown = self.shown();
        shown["@timestamp"] = Value::from(moment::rfc3339(self.at));
        shown["account"] = json!({"id": self.account});
        shown["domain"] = json!({"name": self.domain});
        shown["originating-ip"] = Value::from(self.originating_ip.clone());
        if let Some(id) = &self.key_id {
            shown["api-key-id"] = Value::from(id.clone());
        }
        shown
    }

    fn as_event(&self) -> Value {
        let mut shown = self.shown();
        shown["timestamp"] = Value::from(moment::epoch_seconds(self.at));
        shown["user-variables"] = json!({});
        shown
    }
}

/// `POST /v1/analytics/logs`
pub fn query(visit: &mut Visit) -> Reply {
    // The contract check has read it already.
    let asked = visit.call.json().unwrap_or_default();
    let query = match Query::read(&asked, visit.now) {
        Ok(query) => query,
        Err(message) => return Reply::json(400, &json!({"message": message})),
    };
    let mut found: Vec<&Event> = visit
        .world
        .mailgun
        .events
        .iter()
        .filter(|event| event.account == visit.caller.account && event.region == visit.region)
        .filter(|event| event.at <= visit.now && query.wants(event))
        .collect();
    found.sort_by_key(|event| event.at);
    if query.newest_first {
        found.reverse();
    }
    let total = found.len();
    let items: Vec<Value> = found.iter().skip(query.skip).take(query.limit).map(|it| it.as_log()).collect();
    let mut pagination = json!({"first": token(0), "last": token(total / query.limit * query.limit)});
    pagination["total"] = Value::from(total);
    if query.skip > 0 {
        pagination["previous"] = Value::from(token(query.skip.saturating_sub(query.limit)));
    }
    // As with the older endpoint, only an empty page says that it was the last.
    if !items.is_empty() {
        pagination["next"] = Value::from(token(query.skip + items.len()));
    }
    Reply::json(
        200,
        &json!({"start": moment::minus_zero(query.start), "end": moment::minus_zero(query.end),
            "items": items, "pagination": pagination, "aggregates": {}}),
    )
}

struct Query {
    start: Timestamp,
    end: Timestamp,
    events: Vec<String>,
    domains: Option<Vec<String>>,
    newest_first: bool,
    limit: usize,
    skip: usize,
}

impl Query {
    fn read(asked: &Value, now: Timestamp) -> Result<Self, String> {
        let time = |name: &str, default: Timestamp| match asked.get(name).map(|it| (it, it.as_str())) {
            None => Ok(default),
            Some((_, Some(text))) => jiff::fmt::rfc2822::parse(text)
                .map(|zoned| zoned.timestamp())
                .map_err(|_| format!("invalid `{name}`: {text} is not in RFC 2822 format")),
            Some((other, None)) => Err(format!("invalid `{name}`: {other}")),
        };
        let events = strings(&asked["events"]);
        const KNOWN: [&str; 9] = [
            "accepted",
            "delivered",
            "failed",
            "rejected",
            "clicked",
            "opened",
            "unsubscribed",
            "stored",
            "complained",
        ];
        if let Some(strange) = events.iter().find(|it| !KNOWN.contains(&it.as_str())) {
            return Err(format!("unknown event `{strange}`"));
        }
        let pagination = &asked["pagination"];
        let limit = pagination["limit"].as_u64().unwrap_or(50);
        if !(1..=100).contains(&limit) {
            return Err("pagination limit must be between 1 and 100".to_owned());
        }
        let newest_first = match pagination["sort"].as_str() {
            None | Some("timestamp:desc") => true,
            Some("timestamp:asc") => false,
            Some(other) => return Err(format!("cannot sort by `{other}`")),
        };
        let skip = match pagination["token"].as_str().filter(|it| !it.is_empty()) {
            None => 0,
            Some(text) => offset(text).ok_or("invalid pagination token")?,
        };
        Ok(Self {
            start: time("start", now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(now))?,
            end: time("end", now)?,
            events,
            domains: domains(&asked["filter"])?,
            newest_first,
            limit: usize::try_from(limit).unwrap_or(100),
            skip,
        })
    }

    fn wants(&self, event: &Event) -> bool {
        // The bounds are whole seconds; the last one counts entirely.
        event.at >= self.start
            && event.at.as_second() <= self.end.as_second()
            && (self.events.is_empty() || self.events.iter().any(|it| it == event.name))
            && self.domains.as_ref().is_none_or(|it| it.contains(&event.domain))
    }
}

/// Reads the filter. Of the attributes only `domain` is documented by example.
fn domains(filter: &Value) -> Result<Option<Vec<String>>, String> {
    let mut wanted: Option<Vec<String>> = None;
    for predicate in filter["AND"].as_array().into_iter().flatten() {
        if predicate["attribute"] != "domain" || predicate["comparator"] != "=" {
            return Err(format!("filter is not supported: {predicate}"));
        }
        let values = predicate["values"].as_array().into_iter().flatten();
        let values: Vec<String> = values.filter_map(|it| it["value"].as_str()).map(str::to_owned).collect();
        wanted = Some(match wanted {
            None => values,
            Some(before) => before.into_iter().filter(|it| values.contains(it)).collect(),
        });
    }
    Ok(wanted)
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn token(offset: usize) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("page:{offset}"))
}

fn offset(token: &str) -> Option<usize> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(bytes).ok()?.strip_prefix("page:")?.parse().ok()
}

/// `GET /v3/{domain}/events`
pub fn events(visit: &mut Visit) -> Reply {
    let name = visit.parameter(0).to_ascii_lowercase();
    let mailgun = &visit.world.mailgun;
    if mailgun.domain(&visit.caller.account, visit.region, &name).is_none() {
        return Reply::json(404, &json!({"message": format!("Domain not found: {name}")}));
    }
    let query = |name: &str| visit.call.query(name);
    let limit: usize = query("limit").and_then(|it| it.parse().ok()).unwrap_or(100);
    if limit > 300 {
        return Reply::json(400, &json!({"message": "The 'limit' parameter can't be larger than 300"}));
    }
    let same = |asked: Option<&str>, value: &str| asked.is_none_or(|it| it == value);
    let mut found: Vec<&Event> = mailgun
        .events
        .iter()
        .filter(|event| event.region == visit.region && event.domain == name && event.at <= visit.now)
        .filter(|event| query("event").is_none_or(|it| it.split(" OR ").any(|it| it == event.name)))
        .filter(|event| same(query("message-id"), &event.message_id))
        .filter(|event| same(query("recipient"), &event.recipient))
        .collect();
    found.sort_by_key(|event| event.at);
    if query("ascending") != Some("yes") {
        found.reverse();
    }
    let items: Vec<Value> = found.iter().take(limit).map(|it| it.as_event()).collect();
    let host = visit.call.header("host").unwrap_or_default();
    let link = |it: &str| format!("https://{host}/v3/{name}/events/{it}");
    let paging = json!({"next": link("next"), "previous": link("previous"), "first": link("first"), "last": link("last")});
    Reply::json(200, &json!({"items": items, "paging": paging}))
}
