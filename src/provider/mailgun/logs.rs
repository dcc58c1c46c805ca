//! Reads Mailgun's logs: what became of a message, and when a key last sent.
//! Whether the server can filter by message or key is not documented, so the
//! entries are filtered here.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::{Answer, sort};
use super::listing::trouble_of;
use super::{beside, request, wire};
use crate::key::text::printable;
use crate::key::{Domain, Reason, Region};
use crate::provider::{Credential, Fate, MailEvent, Net, Sent, Trouble};

/// The most a page may hold (vendor's specification).
const PAGE: usize = 100;
/// The most pages of one region that are read for one question.
const MOST_PAGES: usize = 50;

/// What is asked of the logs.
struct Question<'a> {
    since: Timestamp,
    domain: Option<&'a Domain>,
    events: &'a [&'a str],
}

/// Reads the entries of one region, the latest first, until `stop` says so.
fn read(
    net: &Net<'_>,
    reader: &Credential<'_>,
    region: Region,
    question: &Question<'_>,
    mut stop: impl FnMut(&Value) -> bool,
) -> Result<(), Trouble> {
    let mut token: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let body = body(question, net.now, token.as_deref());
        let answer = sort(request::host(region), &net.send(&request::logs(region, reader.secret, body)));
        let page = match &answer {
            Answer::Json(json) => wire::list(json, "items").map(|items| (json, items)),
            _ => None,
        };
        let Some((json, items)) = page else {
            let what = format!("reading the logs of the {} region", region.as_str().to_uppercase());
            return Err(trouble_of(answer, &what));
        };
        if items.iter().any(&mut stop) {
            return Ok(());
        }
        let next = json.get("pagination").and_then(|it| wire::text(it, "next"));
        // A last page may still name a next one; an empty page ends it surely.
        if items.len() < PAGE || next.is_none() || next == token {
            return Ok(());
        }
        token = next;
    }
    Err(Trouble::new(
        Reason::PermissionNotCheckable,
        format!("the logs have more than {} entries for this time; not all were read", PAGE * MOST_PAGES),
    ))
}

fn body(question: &Question<'_>, now: Timestamp, token: Option<&str>) -> Value {
    let mut pagination = json!({"sort": "timestamp:desc", "limit": PAGE});
    if let Some(token) = token {
        pagination["token"] = json!(token);
    }
    // The clocks of both sides may differ a little.
    let end = now.saturating_add(SignedDuration::from_mins(5)).unwrap_or(now);
    let mut body = json!({
        "start": rfc2822(question.since),
        "end": rfc2822(end),
        "events": question.events,
        "pagination": pagination,
    });
    if let Some(domain) = question.domain {
        let name = domain.as_str();
        body["filter"] = json!({"AND": [
            {"attribute": "domain", "comparator": "=", "values": [{"label": name, "value": name}]}
        ]});
    }
    body
}

fn rfc2822(at: Timestamp) -> String {
    let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
    jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_string(&whole)
        .unwrap_or_else(|_| whole.to_string())
}

/// Returns when the key with this id last sent since `since`.
pub(super) fn last_use(
    net: &Net<'_>,
    reader: &Credential<'_>,
    id: &str,
    since: Timestamp,
) -> Result<Option<Timestamp>, Trouble> {
    if id.contains('@') {
        return Err(Trouble::new(
            Reason::PermissionNotCheckable,
            "Mailgun's logs do not tell which SMTP login a message came by",
        ));
    }
    let one = |region| last_use_in(net, reader, region, id, since);
    let (us, eu) = beside(|| one(Region::Us), || one(Region::Eu));
    match (us, eu) {
        (Ok(us), Ok(eu)) => Ok(us.max(eu)),
        // A use seen in one region is a use, whatever the other says.
        (Ok(Some(at)), Err(_)) | (Err(_), Ok(Some(at))) => Ok(Some(at)),
        (Err(trouble), _) | (_, Err(trouble)) => Err(trouble),
    }
}

fn last_use_in(
    net: &Net<'_>,
    reader: &Credential<'_>,
    region: Region,
    id: &str,
    since: Timestamp,
) -> Result<Option<Timestamp>, Trouble> {
    let question = Question { since, domain: None, events: &["accepted"] };
    let mut found = None;
    let mut silent = 0_usize;
    read(net, reader, region, &question, |entry| {
        let at = time(entry);
        if at.is_some_and(|it| it < since) {
            return true;
        }
        match wire::text(entry, "api-key-id") {
            Some(key) if key.eq_ignore_ascii_case(id) => {
                found = Some(at.unwrap_or(since));
                true
            }
            Some(_) => false,
            None => {
                let by_smtp = wire::text(entry, "method").is_some_and(|it| it.eq_ignore_ascii_case("smtp"));
                silent += usize::from(!by_smtp);
                false
            }
        }
    })?;
    if found.is_none() && silent > 0 {
        return Err(Trouble::new(
            Reason::PermissionNotCheckable,
            format!("{silent} messages since then do not tell by which key they came"),
        ));
    }
    Ok(found)
}

fn time(entry: &Value) -> Option<Timestamp> {
    wire::time(entry, "@timestamp").or_else(|| {
        let seconds = entry.get("timestamp")?.as_f64()?;
        Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()
    })
}

/// Returns what became of a message.
pub(super) fn follow(
    net: &Net<'_>,
    reader: &Credential<'_>,
    sent: &Sent,
    domain: &Domain,
    region: Option<Region>,
) -> Result<(Fate, Vec<MailEvent>), Trouble> {
    let wanted = sent.message_id.as_deref().map(bare).ok_or_else(|| {
        Trouble::new(
            Reason::PermissionNotCheckable,
            "the message has no id by which the logs could be searched",
        )
    })?;
    let region = super::domains::home(net, reader, domain, region)?;
    let since = sent.at.saturating_sub(SignedDuration::from_mins(5)).unwrap_or(sent.at);
    let events = ["accepted", "delivered", "failed", "rejected"];
    let question = Question { since, domain: Some(domain), events: &events };
    let mut entries = Vec::new();
    read(net, reader, region, &question, |entry| {
        let id = entry.pointer("/message/headers/message-id").and_then(Value::as_str).map(bare);
        if id == Some(wanted) {
            entries.push(entry.clone());
        }
        false
    })?;
    entries.sort_by_key(time);
    Ok((fate(&entries), entries.iter().map(event).collect()))
}

fn bare(id: &str) -> &str {
    id.trim().trim_start_matches('<').trim_end_matches('>')
}

fn fate(entries: &[Value]) -> Fate {
    let is = |entry: &Value, word: &str| wire::text(entry, "event").is_some_and(|it| it == word);
    if entries.iter().any(|it| is(it, "delivered")) {
        return Fate::Delivered;
    }
    let ended = |entry: &Value| {
        let temporary = wire::text(entry, "severity").is_some_and(|it| it == "temporary");
        is(entry, "rejected") || (is(entry, "failed") && !temporary)
    };
    if entries.iter().any(ended) { Fate::Failed } else { Fate::Pending }
}

fn event(entry: &Value) -> MailEvent {
    let shown = |value: &Value, field: &str| wire::text(value, field).map(|it| printable(&it, 200));
    let status = entry.get("delivery-status");
    let said = status.and_then(|it| {
        let text = shown(it, "message").or_else(|| shown(it, "description"));
        match (wire::number(it, "code"), text) {
            (Some(code), Some(text)) => Some(format!("{code} {text}")),
            (Some(code), None) => Some(code.to_string()),
            (None, text) => text,
        }
    });
    let severity = shown(entry, "severity");
    let reason = shown(entry, "reason");
    let parts: Vec<String> = [severity, reason, said].into_iter().flatten().collect();
    MailEvent {
        event: shown(entry, "event").unwrap_or_else(|| "unknown".to_owned()),
        at: time(entry).map(crate::clock::rfc3339),
        detail: (!parts.is_empty()).then(|| parts.join(", ")),
    }
}
