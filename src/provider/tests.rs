//! What holds for every provider, and scripted stand-ins for HTTP and SMTP for
//! their table tests: a call that is not in the script fails the test, and so
//! does a script not used up.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Net;
use crate::http::{Auth, Body, Failure, FailureKind, Http, Method, Reply, Request};
use crate::key::Secret;
use crate::smtp::{Accepted, Message, Phase, Relay, Smtp, SmtpFailure};

type Answer = Result<Reply, Failure>;
type SmtpAnswer = Result<Accepted, SmtpFailure>;

/// A request as it was sent.
#[derive(Debug, Clone)]
pub struct Seen {
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
    pub auth: String,
    pub body: Body,
}

/// Answers calls in the order of the script.
pub struct Script {
    http: Mutex<VecDeque<(String, Answer)>>,
    smtp: Mutex<VecDeque<SmtpAnswer>>,
    seen: Mutex<Vec<Seen>>,
    /// A call that may come between, and its answer.
    aside: Option<(&'static str, Answer)>,
    pub messages: Mutex<Vec<Message>>,
}

impl Script {
    pub fn new<'a>(answers: impl IntoIterator<Item = (&'a str, Answer)>) -> Self {
        let http = answers.into_iter().map(|(line, answer)| (line.to_owned(), answer)).collect();
        Self {
            http: Mutex::new(http),
            smtp: Mutex::default(),
            seen: Mutex::default(),
            aside: None,
            messages: Mutex::default(),
        }
    }

    /// Lets a call come in between, any number of times.
    pub fn beside(mut self, line: &'static str, answer: Answer) -> Self {
        self.aside = Some((line, answer));
        self
    }

    pub fn relay(answers: impl IntoIterator<Item = SmtpAnswer>) -> Self {
        let script = Self::new([]);
        *script.smtp.lock().unwrap() = answers.into_iter().collect();
        script
    }

    pub fn net(&self) -> Net<'_> {
        Net {
            http: self,
            smtp: self,
            now: jiff::Timestamp::from_second(1_764_000_000).unwrap(),
            deadline: Instant::now() + Duration::from_secs(5),
            patience: None,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn answer_smtp(&self) -> SmtpAnswer {
        self.smtp.lock().unwrap().pop_front().expect("an SMTP call that is not in the script")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let left: Vec<String> = self.http.lock().unwrap().iter().map(|(line, _)| line.clone()).collect();
        assert!(left.is_empty(), "never called: {left:?}");
        assert!(self.smtp.lock().unwrap().is_empty(), "an SMTP answer was never asked for");
    }
}

pub fn verb(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

fn auth(auth: &Auth<'_>) -> String {
    match auth {
        Auth::None => String::new(),
        Auth::Basic { user, secret } => format!("basic {user}:{}", secret.expose()),
        Auth::Bearer(secret) => format!("bearer {}", secret.expose()),
        Auth::Header { name, prefix, secret } => format!("{name}: {prefix}{}", secret.expose()),
    }
}

impl Http for Script {
    fn send(&self, request: &Request<'_>, _deadline: Instant) -> Answer {
        let line = format!("{} {}", verb(request.method), request.path);
        self.seen.lock().unwrap().push(Seen {
            query: request.query.clone(),
            headers: request.headers.clone(),
            auth: auth(&request.auth),
            body: request.body.clone(),
        });
        let next = self.http.lock().unwrap().front().map(|(line, _)| line.clone());
        if let Some((aside, answer)) = &self.aside
            && line == *aside
            && next.as_deref() != Some(aside)
        {
            return answer.clone();
        }
        let (expected, answer) =
            self.http.lock().unwrap().pop_front().unwrap_or_else(|| panic!("not in the script: {line}"));
        assert_eq!(line, expected);
        answer
    }
}

impl Smtp for Script {
    fn login(&self, _: &'static Relay, _: &str, _: &Secret, _: Instant) -> SmtpAnswer {
        self.answer_smtp()
    }
    fn send(&self, _: &'static Relay, _: &str, _: &Secret, message: &Message, _: Instant) -> SmtpAnswer {
        self.messages.lock().unwrap().push(message.clone());
        self.answer_smtp()
    }
}

pub fn json(status: u16, body: &str) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Ok(Reply { status, headers, body: body.into(), ..Reply::default() })
}

pub fn html(status: u16, body: &str) -> Answer {
    let headers = vec![("content-type".to_owned(), "text/html; charset=UTF-8".to_owned())];
    Ok(Reply { status, headers, body: body.into(), ..Reply::default() })
}

pub fn failure(kind: FailureKind) -> Failure {
    Failure { kind, message: "no answer from the double".into(), hint: None }
}

pub fn smtp_refusal(phase: Phase, code: u16, text: &str) -> SmtpFailure {
    SmtpFailure { phase, code: Some(code), message: text.into(), tls: false }
}

#[test]
fn every_provider_has_its_row_in_the_order_of_listings() {
    let ids: Vec<crate::key::ProviderId> = super::TABLE.iter().map(|it| it.id()).collect();
    assert_eq!(ids, crate::key::ProviderId::ALL);
    for id in ids {
        assert_eq!(super::provider(id).id(), id);
    }
}

#[test]
fn a_variable_belongs_to_one_provider_which_also_hands_it_out() {
    let mut taken = std::collections::BTreeSet::new();
    for provider in super::TABLE {
        let names = provider.terms().dotenv;
        assert!(!names.secrets.is_empty(), "{}", provider.id());
        for (name, kind) in names.secrets {
            assert!(taken.insert(*name), "{name} is in two rows");
            assert!(kind.is_none_or(|it| provider.id().kinds().contains(&it)), "{name}");
        }
        for name in [names.login, names.domain, names.region].into_iter().flatten() {
            assert!(provider.handout_names().contains(&name), "{name} is never handed out");
        }
    }
}

#[test]
fn the_rows_of_a_provider_agree_with_each_other() {
    let senders = super::TABLE.iter().filter(|it| it.terms().sends_for_highlevel);
    assert_eq!(senders.count(), 1, "HighLevel sends with the keys of one provider");
    for provider in super::TABLE {
        let (id, terms) = (provider.id(), provider.terms());
        assert_eq!(terms.regions.is_empty(), terms.domains.wrong_region.is_none(), "{id}");
        assert_eq!(terms.regions.is_empty(), terms.dotenv.region.is_none(), "{id}");
        assert!(terms.bound_kinds.iter().all(|it| id.kinds().contains(it)), "{id}");
        assert!(terms.roles.is_none_or(|it| id.kinds().contains(&it.kind)), "{id}");
        assert!(provider.permissions().is_none() || terms.permissions_page.is_none(), "{id}");
    }
}
