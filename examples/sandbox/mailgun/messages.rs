//! `POST /v3/{domain}/messages` and `/messages.mime`: the checks in the order
//! of the recorded replies, then the mail and its events.

use serde_json::json;

use super::Visit;
use super::logs::Sent;
use super::model::{Domain, DomainKind, Role, State};
use crate::call::Reply;
use crate::chance;
use crate::form::{Encoding, Form};

/// `POST /v3/{domain}/messages`
pub fn send(visit: &mut Visit) -> Reply {
    let form = &visit.call.form;
    let fields = wrong_type(form).or_else(|| {
        let missing = |name: &str| bad(&format!("{name} parameter is missing"));
        let bodies = ["text", "html", "amp-html", "template"];
        if form.filled("from").is_none() {
            Some(missing("from"))
        } else if form.filled("to").is_none() {
            Some(missing("to"))
        } else if recipients(form).iter().any(|it| !is_address(it)) {
            Some(bad("to parameter is not a valid address. please check documentation"))
        } else if bodies.iter().all(|name| form.filled(name).is_none()) {
            Some(bad("Need at least one of 'text' or 'html' parameters specified"))
        } else if form.filled("html").is_some() && form.filled("template").is_some() {
            Some(bad("Only one parameters 'html' or 'template' is allowed"))
        } else {
            wrong_delivery_time(form)
        }
    });
    let from = form.filled("from").map(bare).unwrap_or_default();
    let subject = form.filled("subject").unwrap_or_default().to_owned();
    let text = form.filled("text").or_else(|| form.filled("html")).unwrap_or_default().to_owned();
    accept(visit, fields, from, subject, text)
}

/// `POST /v3/{domain}/messages.mime`
pub fn send_mime(visit: &mut Visit) -> Reply {
    let form = &visit.call.form;
    let fields = if form.encoding == Encoding::Urlencoded {
        Some(bad(
            "Invalid request content type. Expecting 'multipart/form-data' but got 'application/x-www-form-urlencoded'",
        ))
    } else {
        wrong_type(form).or_else(|| {
            let missing = ["to", "message"].into_iter().find(|name| form.filled(name).is_none());
            missing.map(|name| bad(&format!("{name} parameter is missing")))
        })
    };
    let mime = form.filled("message").unwrap_or_default().to_owned();
    let header = |name: &str| {
        let line = mime.lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(name));
        line.map(|it| it.trim().to_owned()).unwrap_or_default()
    };
    let (from, subject) = (bare(&header("From:")), header("Subject:"));
    accept(visit, fields, from, subject, mime.clone())
}

/// Applies the checks that both endpoints share, around those of the fields.
fn accept(visit: &mut Visit, fields: Option<Reply>, from: String, subject: String, text: String) -> Reply {
    let name = visit.parameter(0).to_ascii_lowercase();
    let foreign = || Reply::text(401, "Forbidden").with("www-authenticate", "Basic realm=\"MG API\"");
    // A sending key of another domain, a domain of another account or region:
    // all are told the same, and the same as a wrong key.
    let caller = &visit.caller;
    if caller.role == Role::Sending && caller.domain_name.as_deref() != Some(name.as_str()) {
        return foreign();
    }
    let Some(domain) = visit.world.mailgun.domain(&caller.account, visit.region, &name).cloned() else {
        return foreign();
    };
    let to: Vec<String> = recipients(&visit.call.form).iter().map(|it| bare(it)).collect();
    let state_first = visit.account().settings.state_before_fields;
    let state = not_allowed(visit, &domain, &to);
    let refusal = if state_first { state.or(fields) } else { fields.or(state) };
    if let Some(refusal) = refusal {
        return refusal;
    }
    let stamp = visit.now.strftime("%Y%m%d%H%M%S").to_string();
    let message_id = format!("{stamp}.1.{}@{name}", chance::hex(16).to_ascii_uppercase());
    let option = visit.call.form.filled("o:testmode").unwrap_or_default();
    let sent = Sent {
        host: visit.call.host,
        account: visit.caller.account.clone(),
        region: visit.region,
        domain: name,
        from,
        to,
        subject,
        text,
        message_id: message_id.clone(),
        test_mode: matches!(option, "yes" | "true" | "True"),
        key_id: Some(visit.caller.key_id.clone()),
        login: None,
    };
    sent.deliver(visit.world);
    Reply::json(200, &json!({"id": format!("<{message_id}>"), "message": "Queued. Thank you."}))
}

/// Returns why this domain may not send to these addresses.
fn not_allowed(visit: &mut Visit, domain: &Domain, to: &[String]) -> Option<Reply> {
    let account = visit.account();
    let settings = &account.settings;
    let name = &domain.name;
    let refused = |status, why: &str| {
        Some(Reply::json(status, &json!({"message": format!("Domain {name} is not allowed to send: {why}")})))
    };
    let known = |address: &String| account.recipients.iter().any(|(it, agreed)| it == address && *agreed);
    if !settings.activated {
        let why = "Please activate your Mailgun account. Check your inbox or log in to your control panel to resend the activation email.";
        return refused(settings.not_activated_status, why);
    }
    if domain.is_disabled || domain.state == State::Disabled {
        return refused(403, "Domain is disabled.");
    }
    if domain.kind == DomainKind::Sandbox && !to.iter().all(known) {
        let why = "Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients in Account Settings.";
        return refused(settings.sandbox_status, why);
    }
    if domain.state == State::Unverified {
        let why = "The domain is unverified and requires DNS configuration. Log in to your control panel to view required DNS records.";
        return refused(settings.unverified_status, why);
    }
    if settings.free_plan && !to.iter().all(known) {
        let why = "Free accounts are for test purposes only. Please upgrade or add the address to authorized recipients in Account Settings.";
        return refused(403, why);
    }
    None
}

fn wrong_type(form: &Form) -> Option<Reply> {
    match &form.encoding {
        Encoding::Other(kind) => Some(bad(&format!(
            "Invalid request content type. Expecting 'multipart/form-data' but got '{kind}'"
        ))),
        Encoding::Absent | Encoding::Urlencoded | Encoding::Multipart => None,
    }
}

fn wrong_delivery_time(form: &Form) -> Option<Reply> {
    let text = form.filled("o:deliverytime")?;
    match jiff::fmt::rfc2822::parse(text) {
        Ok(_) => None,
        Err(_) => Some(bad(&format!("{text} is not an RFC-2822 compliant date"))),
    }
}

fn bad(message: &str) -> Reply {
    Reply::json(400, &json!({"message": message}))
}

/// Returns everyone a message goes to, as written.
fn recipients(form: &Form) -> Vec<String> {
    ["to", "cc", "bcc"]
        .into_iter()
        .flat_map(|name| form.all(name))
        .flat_map(|value| value.split(','))
        .map(|it| it.trim().to_owned())
        .filter(|it| !it.is_empty())
        .collect()
}

/// Returns the address in `Bob <bob@host>`.
fn bare(text: &str) -> String {
    match text.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default().trim().to_owned(),
        None => text.trim().to_owned(),
    }
}

fn is_address(text: &str) -> bool {
    let address = bare(text);
    match address.split_once('@') {
        Some((local, domain)) => !local.is_empty() && !domain.is_empty() && !address.contains(' '),
        None => false,
    }
}
