//! Every request the providers build, compared with the vendors' published
//! contracts (trimmed OpenAPI documents in `tests/contracts`). The providers are
//! driven through every facet they have; nothing is sent.

#[path = "../contracts/check.rs"]
mod check;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keyctl::clock::Span;
use keyctl::http::{Auth, Body, Failure, Http, Method, Reply, Request};
use keyctl::key::{Domain, Kind, ProviderId, Region, Secret};
use keyctl::provider::{
    AllowlistEntry, Credential, Delivery, Family, MailgunPush, Net, NewKey, Provider, Sent, TABLE, Unsorted,
};
use keyctl::smtp::{Accepted, Message, Relay, Smtp, SmtpFailure};

use check::{Aim, Contract, Seen, Sent as SentBody};

/// Answers calls from a table and notes what the contract says against them.
struct Recorder {
    contract: Contract,
    secret: Secret,
    answers: &'static [(&'static str, &'static str)],
    operations: Mutex<BTreeSet<String>>,
    breaches: Mutex<Vec<String>>,
}

impl Http for Recorder {
    fn send(&self, request: &Request<'_>, _: Instant) -> Result<Reply, Failure> {
        let method = verb(request.method);
        let line = format!("{method} {}", request.path);
        let note = |what: String| self.breaches.lock().unwrap().push(format!("{line}: {what}"));
        let segments: Vec<String> = request
            .path
            .trim_start_matches('/')
            .split('/')
            .map(|it| percent_encoding::percent_decode_str(it).decode_utf8_lossy().into_owned())
            .collect();
        match self.contract.aim(method, &segments) {
            Aim::Nothing => note("no such path".to_owned()),
            Aim::WrongMethod => note("no such method".to_owned()),
            Aim::Operation(operation, _) => {
                self.operations.lock().unwrap().insert(format!("{method} {}", operation.path));
                let headers = headers(request);
                if self.contract.credential(&headers) != Some("(credential)") {
                    note("the credential is not presented as the contract says".to_owned());
                }
                let query: Vec<(String, String)> =
                    request.query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
                let seen = Seen { query: &query, headers: &headers, body: body(&request.body) };
                if !deliberate(request)
                    && let Some(what) = operation.violation(&seen)
                {
                    note(what);
                }
            }
        }
        let target = format!("{}{:?}", request.path, request.query);
        if target.contains(self.secret.expose()) {
            note("the secret stands in the URL".to_owned());
        }
        let found = self.answers.iter().find(|(wanted, _)| line.starts_with(wanted));
        let body = found.map_or("{}", |(_, body)| body).to_owned();
        Ok(Reply { status: 200, body, ..Reply::default() })
    }
}

/// What is sent although the contract forbids it, because the refusal is the
/// answer: Mailgun's empty message, Klaviyo's empty POST on request.
fn deliberate(request: &Request<'_>) -> bool {
    let empty_form = matches!(&request.body, Body::Multipart(fields) if fields.is_empty());
    let empty_object = request.body == Body::Json(serde_json::json!({}));
    (empty_form && request.path.ends_with("/messages")) || (empty_object && request.path.starts_with("/api/"))
}

fn verb(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

fn headers(request: &Request<'_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    let (name, prefix) = match &request.auth {
        Auth::None => ("none", ""),
        Auth::Basic { user, .. } => {
            assert_eq!(*user, "api");
            ("authorization", "Basic ")
        }
        Auth::Bearer(_) => ("authorization", "Bearer "),
        Auth::Header { name, prefix, .. } => (*name, *prefix),
    };
    headers.push((name.to_owned(), format!("{prefix}(credential)")));
    let typed = headers.iter().any(|(name, _)| name == "content-type");
    if matches!(request.body, Body::Json(_)) && !typed {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    headers
}

fn body(body: &Body) -> SentBody {
    match body {
        Body::None => SentBody::Nothing,
        Body::Json(value) => SentBody::Json(value.clone()),
        Body::Form(fields) | Body::Multipart(fields) => {
            SentBody::Form(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
        }
    }
}

/// Takes every login and every message.
struct Willing;

impl Smtp for Willing {
    fn login(&self, _: &'static Relay, _: &str, _: &Secret, _: Instant) -> Result<Accepted, SmtpFailure> {
        Ok(Accepted::default())
    }
    fn send(
        &self,
        _: &'static Relay,
        _: &str,
        _: &Secret,
        _: &Message,
        _: Instant,
    ) -> Result<Accepted, SmtpFailure> {
        Ok(Accepted::default())
    }
}

/// One call after another through everything a provider can do with one kind
/// of key. What comes back is not looked at: the providers' own tests do that.
struct Drive<'a> {
    provider: &'static dyn Provider,
    net: Net<'a>,
    credential: Credential<'a>,
    domain: &'a Domain,
}

impl Drive<'_> {
    fn everything(&self) {
        self.judged();
        self.domains();
        self.mail();
        self.keys();
        self.account();
        self.locations();
    }

    fn judged(&self) {
        let (net, credential) = (&self.net, &self.credential);
        self.provider.check(net, credential);
        self.provider
            .check(net, &Credential { remote_id: Some("ID1"), account_id: Some("ID1"), ..*credential });
        let Credential { secret, domain, login, .. } = *credential;
        self.provider.detect(net, &Unsorted { secret, region: None, domain, login });
        if let Some(permissions) = self.provider.permissions() {
            let _ = permissions.check(net.by(credential), &[], true);
        }
    }

    fn domains(&self) {
        let Some(list) = self.provider.domains().filter(|it| it.may_list(self.credential.kind)) else {
            return;
        };
        list.list(self.net.by(&self.credential));
        let _ = list.show(self.net.by(&self.credential), self.domain, Some(Region::Us));
        let _ = list.verify(self.net.by(&self.credential), self.domain, Some(Region::Us));
    }

    fn mail(&self) {
        let Some(mail) = self.provider.test_mail() else { return };
        let message = Message {
            from: format!("keyctl-test@{}", self.domain),
            to: "to@there.example".to_owned(),
            subject: "A test".to_owned(),
            text: "A test".to_owned(),
            headers: Vec::new(),
        };
        let (net, credential) = (&self.net, &self.credential);
        for delivery in [Delivery::Real, Delivery::TestMode] {
            if credential.kind == Kind::Smtp {
                let _ = mail.relay(net.by(credential), &message, delivery);
            } else {
                let _ = mail.send(net.by(credential), &message, self.domain, delivery);
            }
        }
        let _ = mail.send_template(net.by(credential), "TMPL1", "to@there.example");
        let sent = Sent { message_id: Some("<1@x.example>".to_owned()), detail: String::new(), at: net.now };
        let _ = mail.follow(net.by(credential), &sent, self.domain, Some(Region::Us));
    }

    fn keys(&self) {
        let Some(keys) = self.provider.keys() else { return };
        let (net, manager) = (&self.net, &self.credential);
        for kind in self.provider.id().kinds() {
            let family = Family { kind: *kind, domain: Some(self.domain), region: Some(Region::Us) };
            let _ = keys.list(net.by(manager), &family);
            let login = format!("new@{}", self.domain);
            let new = NewKey {
                kind: *kind,
                domain: Some(self.domain),
                region: Some(Region::Us),
                role: None,
                name: "a name",
                expires_in: Some(Span::seconds(86_400)),
                login: (*kind == Kind::Smtp).then_some(login.as_str()),
            };
            let _ = keys.create(net.by(manager), &new);
            let _ = keys.delete(net.by(manager), &family, if *kind == Kind::Smtp { &login } else { "ID1" });
        }
        let _ = keys.last_use(net.by(manager), "ID1", Timestamp::UNIX_EPOCH);
        if let Some(switch) = keys.switch() {
            let _ = switch.set(net.by(manager), "ID1", false);
        }
    }

    fn account(&self) {
        let (net, credential) = (&self.net, &self.credential);
        if let Some(allowlist) = self.provider.allowlist() {
            let entry =
                AllowlistEntry { address: "203.0.113.5".to_owned(), description: Some("office".to_owned()) };
            let _ = allowlist.read(net.by(credential));
            let _ = allowlist.add(net.by(credential), &entry);
            let _ = allowlist.remove(net.by(credential), &entry.address);
        }
        if let Some(inbound) = self.provider.inbound() {
            let _ = inbound.matching(net.by(credential), "reply@mg.shop.example", Region::Us);
            let _ = inbound.list(net.by(credential), Region::Us);
        }
    }

    fn locations(&self) {
        let Some(locations) = self.provider.locations() else { return };
        let _ = locations.list(self.net.by(&self.credential), Some("C1"));
        let _ = locations.read(self.net.by(&self.credential), "L1");
        let key = Secret::new(["key", "-", &"7f".repeat(16)].concat());
        let push = MailgunPush { location: "L1", company: "C1", key: &key, domain: self.domain };
        let _ = locations.put_mailgun(self.net.by(&self.credential), &push);
    }
}

/// Drives a provider with all its kinds of key; returns the operations used.
fn drive(
    id: ProviderId,
    contract: &str,
    secrets: &[(Kind, String)],
    answers: &'static [(&'static str, &'static str)],
) -> Vec<String> {
    let provider = TABLE.iter().copied().find(|it| it.id() == id).unwrap();
    let domain: Domain = "mg.shop.example".parse().unwrap();
    let mut operations = BTreeSet::new();
    let mut breaches = Vec::new();
    for (kind, text) in secrets {
        let secret = Secret::new(text.clone());
        let recorder = Recorder {
            contract: Contract::read(contract),
            secret: secret.clone(),
            answers,
            operations: Mutex::default(),
            breaches: Mutex::default(),
        };
        let net = Net {
            http: &recorder,
            smtp: &Willing,
            now: Timestamp::from_second(1_764_000_000).unwrap(),
            deadline: Instant::now() + Duration::from_secs(60),
            patience: None,
        };
        let credential = Credential {
            kind: *kind,
            secret: &secret,
            region: Some(Region::Us),
            domain: Some(&domain),
            login: Some("login@mg.shop.example"),
            remote_id: None,
            account_id: None,
        };
        Drive { provider, net, credential, domain: &domain }.everything();
        operations.extend(recorder.operations.into_inner().unwrap());
        breaches.extend(recorder.breaches.into_inner().unwrap());
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    operations.into_iter().collect()
}

#[test]
fn mailguns_contract_is_kept() {
    let key = [&"0123456789abcdef".repeat(2), "-0a1b2c3d-", "4e5f6a7b"].concat();
    let secrets = [(Kind::Account, key.clone()), (Kind::Sending, key.clone()), (Kind::Smtp, key)];
    let operations = drive(
        ProviderId::Mailgun,
        include_str!("../contracts/mailgun.json"),
        &secrets,
        &[("GET /v4/domains", r#"{"items":[],"total_count":0}"#), ("GET /v1/keys", r#"{"items":[]}"#)],
    );
    for wanted in ["GET /v4/domains", "GET /v1/keys", "POST /v3/{domain_name}/messages"] {
        assert!(operations.iter().any(|it| it == wanted), "{wanted} was never asked: {operations:#?}");
    }
}

#[test]
fn brevos_contract_is_kept() {
    let tail = ["sib-", &"ab12".repeat(16), "-", &"Zz90".repeat(4)].concat();
    let secrets = [(Kind::Api, format!("xkey{tail}")), (Kind::Smtp, format!("xsmtp{tail}"))];
    let operations = drive(
        ProviderId::Brevo,
        include_str!("../contracts/brevo.json"),
        &secrets,
        &[
            ("GET /v3/senders/domains/", r#"{"domain":"mg.shop.example"}"#),
            ("GET /v3/senders/domains", r#"{"domains":[]}"#),
            ("GET /v3/senders", r#"{"senders":[{"email":"keyctl-test@mg.shop.example","active":true}]}"#),
        ],
    );
    assert_eq!(
        operations,
        [
            "GET /v3/account",
            "GET /v3/senders",
            "GET /v3/senders/domains",
            "GET /v3/senders/domains/{domainName}",
            "GET /v3/smtp/statistics/events",
            "POST /v3/smtp/email",
            "PUT /v3/senders/domains/{domainName}/authenticate",
        ]
    );
}

#[test]
fn klaviyos_contract_is_kept() {
    let secrets = [(Kind::Private, ["p", "k_", &"0a1b".repeat(8), "c9"].concat())];
    let operations = drive(
        ProviderId::Klaviyo,
        include_str!("../contracts/klaviyo.json"),
        &secrets,
        &[(
            "GET /api/sending-domains",
            r#"{"data":[{"type":"sending-domain","id":"7","attributes":{"domain":"mg.shop.example","status":"active"}}]}"#,
        )],
    );
    for wanted in [
        "GET /api/accounts",
        "GET /api/api-keys",
        "GET /api/campaigns",
        "GET /api/sending-domains",
        "PATCH /api/api-keys/{id}",
        "POST /api/profiles",
        "POST /api/sending-domain-verification-jobs",
        "POST /api/template-preview-send-jobs",
    ] {
        assert!(operations.iter().any(|it| it == wanted), "{wanted} was never asked: {operations:#?}");
    }
    assert!(operations.len() > 40, "one probe per scope: {operations:#?}");
}

#[test]
fn highlevels_contract_is_kept() {
    let token = ["p", "it-", "0a1b2c3d", "-0000-4000-8000-", "0a1b2c3d4e5f"].concat();
    let secrets = [(Kind::Agency, token.clone()), (Kind::Location, token)];
    let operations = drive(
        ProviderId::Highlevel,
        include_str!("../contracts/highlevel.json"),
        &secrets,
        &[
            ("GET /locations/search", r#"{"locations":[{"id":"L1","name":"Shop"}]}"#),
            ("GET /locations/", r#"{"location":{"id":"L1","companyId":"C1","name":"Shop"}}"#),
        ],
    );
    assert_eq!(
        operations,
        ["GET /locations/search", "GET /locations/{locationId}", "PUT /locations/{locationId}"]
    );
}

#[test]
fn a_breach_is_seen() {
    let contract = Contract::read(include_str!("../contracts/highlevel.json"));
    let segments = ["locations".to_owned(), "L1".to_owned()];
    let Aim::Operation(operation, parameters) = contract.aim("PUT", &segments) else {
        panic!("no operation")
    };
    assert_eq!(parameters, ["L1"]);
    let headers = |version: &str| {
        vec![
            ("version".to_owned(), version.to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ]
    };
    let breach = |version: &str, query: &[(String, String)], body: serde_json::Value| {
        operation.violation(&Seen { query, headers: &headers(version), body: SentBody::Json(body) })
    };
    let good = serde_json::json!({"companyId": "C1", "mailgun": {"apiKey": "k", "domain": "d"}});
    assert_eq!(breach("2021-07-28", &[], good.clone()), None);
    assert!(breach("2020-01-01", &[], good.clone()).is_some());
    assert!(breach("2021-07-28", &[("x".to_owned(), "1".to_owned())], good).is_some());
    assert!(
        breach("2021-07-28", &[], serde_json::json!({"mailgun": {"apiKey": "k", "domain": "d"}})).is_some()
    );
    let strange =
        serde_json::json!({"companyId": "C1", "mailgun": {"apiKey": "k", "domain": "d", "region": "us"}});
    assert!(breach("2021-07-28", &[], strange).is_some());
    assert!(matches!(contract.aim("PATCH", &segments), Aim::WrongMethod));
    assert!(matches!(contract.aim("GET", &["x".to_owned()]), Aim::Nothing));
}
