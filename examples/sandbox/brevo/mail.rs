//! Mail at Brevo: taken by the API or the relay, and what became of it. An
//! unknown sender is taken as well; only the events tell that it was dropped.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::model::{Event, Kind, State};
use super::{Visit, refusal};
use crate::call::Reply;
use crate::record::Mail;
use crate::world::World;
use crate::{chance, moment};

const NOT_ACTIVATED: &str = "Your SMTP account is not yet activated. Please contact us at contact@sendinblue.com \
                             to request activation.";

/// `POST /v3/smtp/email`
pub fn send(visit: &mut Visit) -> Reply {
    let body = visit.call.json().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let settings = visit.account().settings.clone();
    if !settings.activated {
        return refusal(403, "permission_denied", &format!("Unable to send email. {NOT_ACTIVATED}"));
    }
    let from = text(&body["sender"]["email"]);
    if !from.contains('@') {
        return refusal(400, "invalid_parameter", "valid sender email required");
    }
    let to: Vec<String> = body["to"].as_array().into_iter().flatten().map(|it| text(&it["email"])).collect();
    if to.is_empty() {
        return refusal(400, "missing_parameter", "to is missing");
    }
    if text(&body["htmlContent"]).is_empty() && body["templateId"].is_null() {
        return refusal(400, "missing_parameter", "htmlContent is missing");
    }
    let message_id = format!("<{}.{}@smtp-relay.mailin.fr>", visit.now.as_millisecond(), chance::hex(10));
    let taken = Reply::json(201, &json!({"messageId": message_id}));
    // The flag counts in the body alone.
    if body["headers"]["X-Sib-Sandbox"] == "drop" {
        return taken;
    }
    if settings.credits <= 0 {
        let message = "You do not have enough credits to send this email";
        return refusal(settings.no_credit_status, "not_enough_credits", message);
    }
    let account = visit.account.clone();
    let (subject, text) = (text(&body["subject"]), text(&body["textContent"]));
    Sent { account, from, to, subject, text, message_id, login: None }.deliver(visit.world);
    if visit.call.header("x-sib-sandbox").is_some() {
        return taken.violating("the sandbox flag stands in an HTTP header: the mail went out");
    }
    taken
}

/// `GET /v3/smtp/statistics/events`
pub fn events(visit: &mut Visit) -> Reply {
    let now = visit.now;
    let query = |name: &str| visit.call.query(name).map(str::to_owned);
    let (message_id, ascending) = (query("messageId"), query("sort").as_deref() == Some("asc"));
    let limit = query("limit").and_then(|it| it.parse().ok()).unwrap_or(2500);
    let wanted =
        |it: &&Event| it.at <= now && message_id.as_ref().is_none_or(|wanted| *wanted == it.message_id);
    let shown = |it: &Event| {
        let mut shown = json!({"event": it.name, "date": moment::rfc3339(it.at), "email": it.email,
            "from": it.from, "subject": it.subject, "messageId": it.message_id});
        if let Some(reason) = &it.reason {
            shown["reason"] = json!(reason);
        }
        shown
    };
    let mut list: Vec<Value> = visit.account().events.iter().filter(wanted).map(shown).collect();
    if !ascending {
        list.reverse();
    }
    list.truncate(limit);
    if list.is_empty() { Reply::json(200, &json!({})) } else { Reply::json(200, &json!({"events": list})) }
}

/// A mail on its way.
struct Sent {
    account: String,
    from: String,
    to: Vec<String>,
    subject: String,
    text: String,
    /// With angle brackets.
    message_id: String,
    login: Option<String>,
}

impl Sent {
    fn deliver(self, world: &mut World) {
        let now = world.now();
        let account = world.brevo.accounts.entry(self.account.clone()).or_default();
        let known = account.vouches_for(&self.from);
        let delay = SignedDuration::from_millis(account.settings.delivery_delay_ms.max(1));
        let later = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
        for email in &self.to {
            let event = |name, at, reason| Event {
                name,
                at,
                email: email.clone(),
                from: self.from.clone(),
                subject: self.subject.clone(),
                message_id: self.message_id.clone(),
                reason,
            };
            account.events.push(event("requests", now, None));
            account.events.push(if !known {
                let reason = format!(
                    "Sending has been rejected because the sender you used {} is not valid. Validate your sender \
                     or authenticate your domain",
                    self.from
                );
                event("error", later, Some(reason))
            } else if email.starts_with("bounce@") {
                event("hardBounces", later, Some("550 5.1.1 no such user".to_owned()))
            } else {
                event("delivered", later, None)
            });
        }
        account.settings.credits -= i64::try_from(self.to.len()).unwrap_or(0);
        world.record.mail(Mail {
            host: if self.login.is_some() { "brevo-smtp" } else { "brevo" }.to_owned(),
            via: if self.login.is_some() { "smtp" } else { "api" },
            message_id: self.message_id.trim_matches(['<', '>']).to_owned(),
            domain: self.from.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned(),
            from: self.from,
            to: self.to,
            subject: self.subject,
            text: self.text,
            test_mode: false,
            key_id: None,
            login: self.login,
            at: moment::rfc3339(now),
        });
    }
}

/// What the relay says to a login: the account, or the refusal.
pub fn login(world: &World, login: &str, secret: &str) -> Result<String, &'static str> {
    const REFUSED: &str = "535 5.7.8 Authentication failed";
    let account = world.brevo.accounts.values().find(|it| it.smtp_login.eq_ignore_ascii_case(login));
    // An unknown address is told so before login and key are looked at.
    let blocked = account
        .is_some_and(|it| it.settings.smtp_blocking && !it.settings.authorised.contains(&world.caller_ip));
    if blocked {
        return Err("525 5.7.1 Unauthorized IP address");
    }
    let now = world.now();
    let key = world.brevo.key_by_secret(secret);
    let good = |it: &&super::Key| it.kind == Kind::Smtp && it.state == State::Active && it.exists(now);
    let key = key.filter(good).ok_or(REFUSED)?;
    account.filter(|it| it.id == key.account).map(|it| it.id.clone()).ok_or(REFUSED)
}

/// A mail that came in at the relay.
pub struct Submitted {
    pub login: String,
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
    /// The header's, with angle brackets.
    pub message_id: Option<String>,
}

/// What the relay says to a mail.
pub fn accept(world: &mut World, account: &str, mail: Submitted) -> Result<String, String> {
    let activated = world.brevo.accounts.get(account).is_some_and(|it| it.settings.activated);
    if !activated {
        return Err(format!("502 5.7.0 {NOT_ACTIVATED}"));
    }
    let queued = chance::hex(12);
    let message_id = mail.message_id.unwrap_or_else(|| format!("<{queued}@smtp-relay.mailin.fr>"));
    let Submitted { login, from, to, subject, text, .. } = mail;
    let account = account.to_owned();
    Sent { account, from, to, subject, text, message_id, login: Some(login) }.deliver(world);
    Ok(format!("250 2.0.0 OK: queued as {queued}"))
}
