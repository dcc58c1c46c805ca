//! Every answer known of Mailgun, and what it must be read as. The double is a
//! function from a call to an answer, because both regions are asked at the
//! same time.

mod account;
mod facets;
mod keys;
mod sending;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::*;
use crate::http::{Body, Failure, FailureKind, Http, Reply, Request};
use crate::key::{Domain, Judgement};
use crate::provider::tests::{Script, failure, verb};
use crate::provider::{Allowlist, DomainList, Inbound, KeyAdmin, TestMail};

type Answer = Result<Reply, Failure>;

/// One call as it was sent.
#[derive(Debug, Clone)]
struct Call {
    region: Region,
    /// `GET /v4/domains`
    line: String,
    query: Vec<(&'static str, String)>,
    body: Body,
    key: String,
}

impl Call {
    fn asks(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(held, _)| *held == name).map(|(_, value)| value.as_str())
    }

    fn field(&self, name: &str) -> Option<&str> {
        let (Body::Form(list) | Body::Multipart(list)) = &self.body else { return None };
        list.iter().find(|(held, _)| *held == name).map(|(_, value)| value.as_str())
    }
}

/// A Mailgun that answers by a function.
struct Fake<F> {
    answer: F,
    calls: Mutex<Vec<Call>>,
    smtp: Script,
}

impl<F: Fn(&Call) -> Answer + Sync> Fake<F> {
    fn new(answer: F) -> Self {
        Self { answer, calls: Mutex::default(), smtp: Script::new([]) }
    }

    fn net(&self) -> Net<'_> {
        Net {
            http: self,
            smtp: &self.smtp,
            now: jiff::Timestamp::from_second(1_764_000_000).unwrap(),
            deadline: Instant::now() + Duration::from_secs(5),
            patience: None,
        }
    }

    /// `us GET /v4/domains`, in the order of arrival.
    fn lines(&self) -> Vec<String> {
        self.calls().iter().map(|it| format!("{} {}", it.region, it.line)).collect()
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

impl<F: Fn(&Call) -> Answer + Sync> Http for Fake<F> {
    fn send(&self, request: &Request<'_>, _: Instant) -> Answer {
        let crate::http::Auth::Basic { user: "api", secret } = &request.auth else {
            panic!("Mailgun wants Basic authentication of the user `api`")
        };
        let call = Call {
            region: if *request.host == US { Region::Us } else { Region::Eu },
            line: format!("{} {}", verb(request.method), request.path),
            query: request.query.clone(),
            body: request.body.clone(),
            key: secret.expose().to_owned(),
        };
        self.calls.lock().unwrap().push(call.clone());
        (self.answer)(&call)
    }
}

const ID: &str = "e2153fd0-e0277777";

fn key() -> String {
    [&"0123456789abcdef".repeat(2), "-", ID].concat()
}

fn secret() -> Secret {
    Secret::new(key())
}

fn legacy() -> Secret {
    Secret::new(["key-", &"0123456789abcdef".repeat(2)].concat())
}

fn domain() -> Domain {
    "mg.acme.example".parse().unwrap()
}

fn credential(kind: Kind, secret: &Secret) -> Credential<'_> {
    Credential { kind, secret, region: None, domain: None, login: None, remote_id: None, account_id: None }
}

/// An answer with the header by which Mailgun names the key it took.
fn known(status: u16, body: &str) -> Answer {
    answered(status, body, &[("x-mailgun-key-id", ID)])
}

fn plain(status: u16, body: &str) -> Answer {
    answered(status, body, &[])
}

fn answered(status: u16, body: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Ok(Reply { status, headers, body: body.to_owned(), ..Reply::default() })
}

fn refused() -> Answer {
    let challenge = [("www-authenticate", "Basic realm=\"MG API\""), ("content-type", "text/plain")];
    answered(401, "Forbidden", &challenge)
}

fn silent(kind: FailureKind) -> Answer {
    Err(failure(kind))
}

const EMPTY: &str = r#"{"total_count":0,"items":[]}"#;

fn list_of(rows: &[serde_json::Value]) -> String {
    serde_json::json!({"total_count": rows.len(), "items": rows}).to_string()
}

fn row(name: &str, state: &str) -> serde_json::Value {
    serde_json::json!({"name": name, "state": state, "type": "custom", "is_disabled": false,
        "created_at": "Mon, 24 Feb 2025 22:44:03 GMT"})
}

#[test]
fn what_a_text_is_decides_what_it_can_be_asked() {
    let fake = Fake::new(|_| refused());
    let smtp_only = Secret::new("correct horse".to_owned());
    let unsorted = Unsorted { secret: &smtp_only, region: None, domain: None, login: None };
    assert!(matches!(Mailgun.detect(&fake.net(), &unsorted), Some(Detection::Unclear(_))));
    assert!(fake.calls().is_empty(), "a text of no API key's form is not sent to the API");
}

#[test]
fn a_kind_is_found_by_probing() {
    let unsorted_of = |secret| Unsorted { secret, region: None, domain: None, login: None };
    let secret = secret();
    let account = Fake::new(|call| match call.line.as_str() {
        "GET /v4/domains" => known(200, EMPTY),
        _ => known(403, r#"{"message":"Forbidden"}"#),
    });
    let found = Mailgun.detect(&account.net(), &unsorted_of(&secret));
    assert!(matches!(found, Some(Detection::Is(Kind::Account, it)) if it.accepted()));

    let own = domain();
    let sending = Fake::new(|call| match (call.region, call.line.as_str()) {
        (Region::Us, "POST /v3/mg.acme.example/messages") => {
            known(400, r#"{"message":"from parameter is missing"}"#)
        }
        _ => refused(),
    });
    let with_domain = Unsorted { domain: Some(&own), ..unsorted_of(&secret) };
    let found = Mailgun.detect(&sending.net(), &with_domain);
    assert!(matches!(found, Some(Detection::Is(Kind::Sending, it)) if it.accepted()));
    let found = Mailgun.detect(&sending.net(), &unsorted_of(&secret));
    assert!(matches!(found, Some(Detection::Unclear(it)) if it.has(Reason::Unauthorized)));
}

#[test]
fn programs_get_the_names_they_read() {
    let secret = secret();
    let own = domain();
    let names = |kind, login| {
        let ask =
            HandoutAsk { credential: Credential { login, ..credential(kind, &secret) }, domain: Some(&own) };
        Mailgun.handout(&ask).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let api = ["MAILGUN_API_KEY", "MAILGUN_DOMAIN", "MAILGUN_API_REGION", "MAILGUN_API_URL"];
    assert_eq!(names(Kind::Account, None), api);
    assert_eq!(names(Kind::Sending, None), api);
    let relay = ["MAILGUN_SMTP_SERVER", "MAILGUN_SMTP_PORT", "MAILGUN_SMTP_LOGIN", "MAILGUN_SMTP_PASSWORD"];
    assert_eq!(names(Kind::Smtp, Some("a@mg.acme.example")), relay);
    for name in api.iter().chain(&relay) {
        assert!(Mailgun.handout_names().contains(name), "{name}");
    }
}
