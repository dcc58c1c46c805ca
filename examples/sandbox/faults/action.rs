//! The actions of a fault: as they are posted, and as they are carried out.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::Reply;
use crate::moment;

/// An action as it is posted. Exactly one thing may happen, besides a delay.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Wire {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    content_type: Option<String>,
    cut: Option<Cut>,
    latency_ms: u64,
    hang: bool,
    html_proxy: Option<Value>,
    oversize: Option<u64>,
    redirect: Option<String>,
    rate_limit: Option<RateLimit>,
    seconds: Option<i64>,
    process_then: Option<Box<Wire>>,
    reply_at: Option<SmtpMoment>,
    reply: Option<String>,
    no_starttls: bool,
    cut_at: Option<SmtpMoment>,
    hang_at: Option<SmtpMoment>,
}

/// Where a connection is cut.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// Nothing was processed.
    Before,
    /// It was processed, but no reply is sent.
    AfterProcessing,
    /// It was processed, and half of the reply is sent.
    MidBody,
}

/// The ways vendors say "too many requests".
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum RateLimit {
    RetryAfter,
    EpochMs,
    TextSeconds,
    TextDate,
    #[serde(rename = "420")]
    EnhanceYourCalm,
    RetrySecondsBody,
}

/// The moments of an SMTP session.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SmtpMoment {
    Connect,
    Ehlo,
    Starttls,
    Auth,
    Mail,
    Rcpt,
    Data,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Plan {
    /// It is processed as ever.
    Process,
    Answer(Answer),
    ProcessThen(Answer),
    Cut(Cut),
    /// No reply, ever.
    Hang,
    /// A reply of that many bytes.
    Oversize(u64),
    Smtp(SmtpPlan),
}

impl Plan {
    /// Returns a word for the diary.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Process => None,
            Self::Answer(_) => Some("answered"),
            Self::ProcessThen(_) => Some("processed-then-answered"),
            Self::Cut(Cut::Before) => Some("cut-before"),
            Self::Cut(Cut::AfterProcessing) => Some("cut-after-processing"),
            Self::Cut(Cut::MidBody) => Some("cut-mid-body"),
            Self::Hang => Some("hung"),
            Self::Oversize(_) => Some("oversize"),
            Self::Smtp(_) => Some("smtp"),
        }
    }
}

/// What happens to an SMTP session.
#[derive(Debug, Clone)]
pub enum SmtpPlan {
    Reply(SmtpMoment, String),
    NoStarttls,
    Cut(SmtpMoment),
    Hang(SmtpMoment),
}

/// A reply that no vendor's code had a hand in.
#[derive(Debug, Clone)]
pub enum Answer {
    Canned { status: u16, headers: BTreeMap<String, String>, content_type: String, body: String },
    RateLimit(RateLimit, i64),
}

/// The page a captive portal or a filtering proxy puts in the way.
const PROXY_PAGE: &str = "<!DOCTYPE html><html><head><title>Access blocked</title></head>\
<body><h1>Access to this site is blocked by your network</h1></body></html>";

impl Wire {
    /// Returns the delay and the one thing to do, or what is wrong with it.
    pub fn plan(self) -> Result<(u64, Plan), String> {
        let latency_ms = self.latency_ms;
        let mut plans = self.smtp_plans()?;
        plans.extend(self.cut.map(Plan::Cut));
        plans.extend(self.oversize.map(Plan::Oversize));
        if self.hang {
            plans.push(Plan::Hang);
        }
        if let Some(then) = &self.process_then {
            plans.push(Plan::ProcessThen(then.answer()?.ok_or("process_then needs an answer")?));
        }
        plans.extend(self.answer()?.map(Plan::Answer));
        match (plans.len(), plans.pop()) {
            (0, None) if latency_ms > 0 => Ok((latency_ms, Plan::Process)),
            (1, Some(plan)) => Ok((latency_ms, plan)),
            _ => Err("an action is exactly one thing, besides latency_ms".to_owned()),
        }
    }

    fn smtp_plans(&self) -> Result<Vec<Plan>, String> {
        let mut plans = Vec::new();
        match (self.reply_at, &self.reply) {
            (Some(moment), Some(reply)) => plans.push(SmtpPlan::Reply(moment, reply.clone())),
            (None, None) => {}
            _ => return Err("reply_at and reply go together".to_owned()),
        }
        plans.extend(self.no_starttls.then_some(SmtpPlan::NoStarttls));
        plans.extend(self.cut_at.map(SmtpPlan::Cut));
        plans.extend(self.hang_at.map(SmtpPlan::Hang));
        Ok(plans.into_iter().map(Plan::Smtp).collect())
    }

    fn answer(&self) -> Result<Option<Answer>, String> {
        if let Some(limit) = self.rate_limit {
            return Ok(Some(Answer::RateLimit(limit, self.seconds.unwrap_or(1))));
        }
        if let Some(target) = &self.redirect {
            let headers = BTreeMap::from([("location".to_owned(), target.clone())]);
            return Ok(Some(self.canned(302, headers, "")));
        }
        match &self.html_proxy {
            None | Some(Value::Bool(false)) => {}
            Some(status) => {
                let status = status.as_u64().and_then(|it| u16::try_from(it).ok()).unwrap_or(200);
                return Ok(Some(self.canned(status, BTreeMap::new(), PROXY_PAGE)));
            }
        }
        match (self.status, &self.body) {
            (Some(status), _) => Ok(Some(self.canned(status, self.headers.clone(), ""))),
            (None, None) => Ok(None),
            (None, Some(_)) => Err("a body needs a status".to_owned()),
        }
    }

    fn canned(&self, status: u16, headers: BTreeMap<String, String>, body: &str) -> Answer {
        let (kind, body) = match &self.body {
            None if body.is_empty() => ("text/plain; charset=utf-8", String::new()),
            None => ("text/html; charset=utf-8", body.to_owned()),
            Some(Value::String(text)) if text.starts_with('{') => ("application/json", text.clone()),
            Some(Value::String(text)) if text.starts_with('<') => ("text/html; charset=utf-8", text.clone()),
            Some(Value::String(text)) => ("text/plain; charset=utf-8", text.clone()),
            Some(value) => ("application/json", value.to_string()),
        };
        let content_type = self.content_type.clone().unwrap_or_else(|| kind.to_owned());
        Answer::Canned { status, headers, content_type, body }
    }
}

impl Answer {
    /// Makes the reply at a given time.
    pub fn reply(&self, now: Timestamp) -> Reply {
        match self {
            Self::Canned { status, headers, content_type, body } => {
                headers.iter().fold(Reply::raw(*status, content_type, body), |reply, (name, value)| {
                    reply.with(name, value)
                })
            }
            Self::RateLimit(limit, seconds) => limit.reply(*seconds, now),
        }
    }
}

impl RateLimit {
    fn reply(self, seconds: i64, now: Timestamp) -> Reply {
        let free = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        let refused = "Domain example.com is not allowed to send:";
        let message = |status, text: String| Reply::json(status, &json!({"message": text}));
        let date = moment::named_utc(free);
        match self {
            Self::RetryAfter => {
                message(429, "Too many requests".to_owned()).with("retry-after", seconds.to_string())
            }
            Self::EpochMs => message(429, "Too many requests".to_owned())
                .with("x-ratelimit-limit", "300")
                .with("x-ratelimit-remaining", "0")
                .with("x-ratelimit-reset", free.as_millisecond().to_string()),
            Self::TextSeconds => message(
                429,
                format!(
                    "{refused} account-requests-per-sec limit exceeded, try again after {seconds} seconds"
                ),
            ),
            Self::TextDate => {
                message(429, format!("{refused} request limit exceeded, try again after {date}"))
            }
            Self::EnhanceYourCalm => {
                message(420, format!("{refused} recipient limit exceeded, try again after {date}"))
            }
            Self::RetrySecondsBody => Reply::json(429, &json!({"retry-seconds": seconds})),
        }
    }
}
