//! Every answer people met at Brevo, and what it must be read as.

use proptest::prelude::*;

use super::*;
use crate::http::{Body, FailureKind};
use crate::key::{Cause, Domain, Secret, Verdict};
use crate::provider::tests::{Script, failure, html, json, smtp_refusal};
use crate::provider::{Delivery, DomainList, Fate, Sent, TestMail};
use crate::smtp::{Accepted, Message, Phase, SmtpFailure};

fn api_text() -> String {
    ["xkey", "sib-", &"ab12".repeat(16), "-", &"Zz9".repeat(5), "q"].concat()
}

fn smtp_text() -> String {
    api_text().replace("xkey", "xsmtp")
}

fn check(kind: Kind, secret: &str, login: Option<&str>, script: &Script) -> Judgement {
    let secret = Secret::new(secret.to_owned());
    let credential = Credential {
        kind,
        secret: &secret,
        region: None,
        domain: None,
        login,
        remote_id: None,
        account_id: None,
    };
    Brevo.check(&script.net(), &credential)
}

const ACCOUNT: &str = r#"{"organization_id":"5fa2b8c123456789abcdef01","companyName":"Acme","email":"a@acme.example",
  "plan":[{"type":"free","creditsType":"sendLimit","credits":250},{"type":"sms","credits":0}],
  "relay":{"enabled":true,"data":{"userName":"7a1b2c001@smtp-brevo.com","relay":"smtp-relay.brevo.com","port":587}}}"#;

#[test]
fn an_account_tells_who_it_is_and_which_login_it_has() {
    let script = Script::new([("GET /v3/account", json(200, ACCOUNT))]);
    let judgement = check(Kind::Api, &api_text(), None, &script);
    assert_eq!(judgement.verdict(), Verdict::Valid);
    assert_eq!(judgement.facts.identity.as_deref(), Some("Acme (a@acme.example)"));
    assert_eq!(
        judgement.detail,
        "accepted for Acme (a@acme.example), organization 5fa2b8c123456789abcdef01, plan free (250 left), relay \
         login 7a1b2c001@smtp-brevo.com"
    );
    assert_eq!(judgement.facts.account_id.as_deref(), Some("5fa2b8c123456789abcdef01"));
    assert_eq!(judgement.facts.login.as_deref(), Some("7a1b2c001@smtp-brevo.com"));
    assert_eq!(script.seen()[0].auth, format!("api-key: {}", api_text()));
}

#[test]
fn an_account_that_cannot_send_is_limited() {
    let not_activated = ACCOUNT.replace("\"enabled\":true", "\"enabled\":false");
    let spent = ACCOUNT.replace("250", "0");
    let unlimited = spent.replace("\"free\"", "\"unlimited\"");
    for (body, expected) in [
        (not_activated, Some(Reason::AccountNotActivated)),
        (spent, Some(Reason::OutOfCredit)),
        (unlimited, None),
    ] {
        let script = Script::new([("GET /v3/account", json(200, &body))]);
        assert_eq!(check(Kind::Api, &api_text(), None, &script).reason(), expected, "{body}");
    }
}

#[test]
fn every_answer_met_in_the_field_is_read_by_its_text() {
    let refused = |message: &str| format!(r#"{{"message":"{message}","code":"unauthorized"}}"#);
    let ip = "We have detected you are using an unrecognised IP address 203.0.113.7. If you performed this action \
              make sure to add the new IP address in this link: https://app.brevo.com/security/authorised_ips";
    let cases = [
        (401, refused("authentication not found in headers"), Reason::UnexpectedResponse),
        (401, refused("Key not found"), Reason::KeyNotFound),
        (401, refused("API Key is not enabled"), Reason::Disabled),
        (401, refused(ip), Reason::IpBlocked),
        (401, refused("Please verify a new IP address before making API calls"), Reason::IpBlocked),
        (401, refused("Something new"), Reason::UnexpectedResponse),
        (401, refused("zip addressing is off"), Reason::UnexpectedResponse),
        (401, String::new(), Reason::UnexpectedResponse),
        (402, r#"{"code":"not_enough_credits","message":"no"}"#.into(), Reason::OutOfCredit),
        (400, r#"{"code":"not_enough_credits","message":"no"}"#.into(), Reason::OutOfCredit),
        (400, r#"{"code":"account_under_validation","message":"wait"}"#.into(), Reason::UnexpectedResponse),
        (
            403,
            r#"{"code":"permission_denied","message":"Unable to send email. Your SMTP account is not yet activated."}"#
                .into(),
            Reason::AccountNotActivated,
        ),
        (404, r#"{"code":"document_not_found","message":"x"}"#.into(), Reason::UnexpectedResponse),
        (429, "{}".into(), Reason::RateLimited),
        (500, "{}".into(), Reason::ProviderError),
        (200, String::new(), Reason::UnexpectedResponse),
        (200, "{}".into(), Reason::UnexpectedResponse),
        (200, "[]".into(), Reason::UnexpectedResponse),
        (302, String::new(), Reason::UnexpectedResponse),
    ];
    for (status, body, expected) in cases {
        let script = Script::new([("GET /v3/account", json(status, &body))]);
        let judgement = check(Kind::Api, &api_text(), None, &script);
        assert_eq!(judgement.reason(), Some(expected), "{status} {body}");
    }
    let script = Script::new([("GET /v3/account", json(401, &refused(ip)))]);
    let judgement = check(Kind::Api, &api_text(), None, &script);
    assert!(judgement.detail.contains("203.0.113.7"), "{}", judgement.detail);
    assert!(judgement.hint.unwrap().contains("authorised_ips"));
}

#[test]
fn pages_and_silence_prove_nothing() {
    let page = Script::new([("GET /v3/account", html(403, "<!DOCTYPE html><title>Just a moment"))]);
    assert_eq!(check(Kind::Api, &api_text(), None, &page).reason(), Some(Reason::UnexpectedResponse));
    for (kind, expected) in [
        (FailureKind::NotSent, Reason::Unreachable),
        (FailureKind::NoAnswer, Reason::Unreachable),
        (FailureKind::Tls, Reason::Tls),
        (FailureKind::Malformed, Reason::UnexpectedResponse),
    ] {
        let script = Script::new([("GET /v3/account", Err(failure(kind)))]);
        assert_eq!(check(Kind::Api, &api_text(), None, &script).reason(), Some(expected));
    }
}

#[test]
fn a_restricted_key_is_limited_only_if_another_call_accepts_it() {
    let denied = r#"{"code":"permission_denied","message":"no"}"#;
    let accepted = Script::new([
        ("GET /v3/account", json(403, denied)),
        ("GET /v3/senders", json(403, denied)),
        ("GET /v3/senders/domains", json(200, r#"{"domains":[]}"#)),
    ]);
    let judgement = check(Kind::Api, &api_text(), None, &accepted);
    assert_eq!(judgement.reasons(), [Reason::PermissionMissing]);
    assert_eq!(judgement.missing, ["account"]);

    let refused = Script::new([
        ("GET /v3/account", json(403, denied)),
        ("GET /v3/senders", json(403, denied)),
        ("GET /v3/senders/domains", json(403, denied)),
        ("GET /v3/smtp/templates", json(403, denied)),
    ]);
    assert_eq!(check(Kind::Api, &api_text(), None, &refused).reasons(), [Reason::UnexpectedResponse]);

    let gone = Script::new([
        ("GET /v3/account", json(403, denied)),
        ("GET /v3/senders", json(401, r#"{"code":"unauthorized","message":"Key not found"}"#)),
    ]);
    assert_eq!(check(Kind::Api, &api_text(), None, &gone).reasons(), [Reason::KeyNotFound]);
}

#[test]
fn a_key_of_the_other_kind_is_never_sent() {
    let nothing = Script::new([]);
    assert_eq!(check(Kind::Api, &smtp_text(), None, &nothing).reason(), Some(Reason::WrongKind));
    assert_eq!(check(Kind::Smtp, &api_text(), Some("l"), &nothing).reason(), Some(Reason::WrongKind));
    assert_eq!(check(Kind::Api, "", None, &nothing).reason(), Some(Reason::SecretMissing));
    assert_eq!(check(Kind::Smtp, &smtp_text(), None, &nothing).verdict(), Verdict::Unknown);
}

#[test]
fn the_relays_replies_are_told_apart() {
    let unreachable = SmtpFailure { phase: Phase::Connect, code: None, message: "no".into(), tls: false };
    let cases = [
        (smtp_refusal(Phase::Auth, 535, "5.7.8 Authentication failed"), Reason::Unauthorized),
        (smtp_refusal(Phase::Auth, 525, "5.7.1 Unauthorized IP address"), Reason::IpBlocked),
        (smtp_refusal(Phase::Auth, 502, "5.7.0 Please authenticate first"), Reason::UnexpectedResponse),
        (smtp_refusal(Phase::Greeting, 501, "5.5.4 Invalid domain name"), Reason::UnexpectedResponse),
        (smtp_refusal(Phase::Connect, 421, "service not available"), Reason::ProviderError),
        (
            smtp_refusal(Phase::Data, 502, "5.7.0 Your SMTP account is not yet activated. Please contact us"),
            Reason::AccountNotActivated,
        ),
        (
            smtp_refusal(Phase::Data, 450, "Your sending platform is currently disabled"),
            Reason::AccountNotActivated,
        ),
        (
            smtp_refusal(Phase::Greeting, 502, "5.7.0 Your SMTP account is not yet activated"),
            Reason::UnexpectedResponse,
        ),
        (unreachable.clone(), Reason::Unreachable),
        (SmtpFailure { tls: true, phase: Phase::Tls, ..unreachable }, Reason::Tls),
    ];
    for (refusal, expected) in cases {
        let script = Script::relay([Err(refusal.clone())]);
        let judgement = check(Kind::Smtp, &smtp_text(), Some("7a1b2c001@smtp-brevo.com"), &script);
        assert_eq!(judgement.reason(), Some(expected), "{refusal:?}");
    }
    let script = Script::relay([Err(smtp_refusal(Phase::Auth, 535, "no"))]);
    assert_eq!(check(Kind::Smtp, &smtp_text(), Some("a@acme.example"), &script).causes[0], Cause::WrongLogin);
    let script = Script::relay([Ok(Accepted { port: 587, ..Accepted::default() })]);
    assert!(check(Kind::Smtp, &smtp_text(), Some("a@acme.example"), &script).accepted());
}

#[test]
fn pasted_texts_are_told_apart_offline() {
    let key = |kind, certain| Recognition::Key(vec![Candidate { kind, certain }]);
    assert_eq!(recognise(&api_text()), key(Kind::Api, true));
    assert_eq!(recognise(&smtp_text()), key(Kind::Smtp, true));
    assert_eq!(recognise(&format!("{}0", api_text())), key(Kind::Api, false));
    assert_eq!(recognise(&"aB3".repeat(5)), key(Kind::Smtp, false));
    let mcp = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{{\"api_key\":\"{}\"}}", api_text()))
    };
    for refused in [
        &api_text()[..40],
        "xsmtpsib-",
        &["xkey", "sib-", "*********3f"].concat(),
        "mcp_token_abc",
        "7a1b2c001@smtp-brevo.com",
        &mcp,
    ] {
        assert!(matches!(recognise(refused), Recognition::Refused(_)), "{refused}");
    }
    assert_eq!(recognise("something else"), Recognition::No);
}

fn credential(secret: &Secret) -> Credential<'_> {
    Credential {
        kind: Kind::Api,
        secret,
        region: None,
        domain: None,
        login: None,
        remote_id: None,
        account_id: None,
    }
}

fn message() -> Message {
    Message {
        from: "Test <keyctl-test@acme.example>".into(),
        to: "to@example.net".into(),
        subject: "A test".into(),
        text: "1 < 2".into(),
        headers: Vec::new(),
    }
}

#[test]
fn domains_are_authenticated_or_not() {
    let listed = r#"{"domains":[{"id":5,"domain_name":"acme.example","authenticated":true,"verified":true,
        "creator":{"creationDate":"2025-03-27T16:22:24Z"}},
        {"id":"67e5","domain_name":"b.acme.example","authenticated":false,"verified":true}],"total_pages":2}"#;
    let script = Script::new([("GET /v3/senders/domains", json(200, listed))]);
    let secret = Secret::new(api_text());
    let listing = Brevo.list(script.net().by(&credential(&secret)));
    let states: Vec<(&str, bool)> =
        listing.domains.iter().map(|it| (it.state.as_str(), it.verified)).collect();
    assert_eq!(states, [("authenticated", true), ("verified", false)]);
    assert_eq!(listing.troubles.len(), 1);
}

#[test]
fn a_domain_is_shown_with_its_records_or_is_not_there() {
    let shown = r#"{"domain":"acme.example","verified":true,"authenticated":false,"dns_records":{
        "dkim_record":{"type":"TXT","value":"k=rsa;p=x","host_name":"mail._domainkey.","status":false},
        "brevo_code":{"type":"TXT","value":"brevo-code:x","host_name":"@","status":true},"odd":7}}"#;
    let script = Script::new([
        ("GET /v3/senders/domains/acme.example", json(200, shown)),
        ("GET /v3/senders/domains/acme.example", json(404, r#"{"code":"document_not_found","message":"x"}"#)),
        (
            "GET /v3/senders/domains/acme.example",
            json(400, r#"{"code":"Domain does not exist","message":"x"}"#),
        ),
    ]);
    let secret = Secret::new(api_text());
    let name: Domain = "acme.example".parse().unwrap();
    let show = || Brevo.show(script.net().by(&credential(&secret)), &name, None).unwrap();
    let records = show().unwrap().records.unwrap();
    let names: Vec<&str> = records.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["acme.example", "mail._domainkey.acme.example"]);
    assert_eq!(show(), None);
    assert_eq!(show(), None);
}

#[test]
fn the_sandbox_flag_stands_in_the_body() {
    let script = Script::new([("POST /v3/smtp/email", json(201, r#"{"messageId":"<1@relay>"}"#))]);
    let secret = Secret::new(api_text());
    let domain: Domain = "acme.example".parse().unwrap();
    let sent = TestMail::send(
        &Brevo,
        script.net().by(&credential(&secret)),
        &message(),
        &domain,
        Delivery::TestMode,
    );
    assert_eq!(sent.unwrap().message_id.as_deref(), Some("<1@relay>"));
    let Body::Json(body) = &script.seen()[0].body else { panic!("no JSON") };
    assert_eq!(body["headers"]["X-Sib-Sandbox"], "drop");
    assert_eq!(body["sender"]["email"], "keyctl-test@acme.example");
    assert_eq!(body["htmlContent"], "<p>1 &lt; 2</p>");
    assert!(script.seen()[0].headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("x-sib-sandbox")));
}

#[test]
fn an_unknown_sender_is_found_out_before_brevo_swallows_the_mail() {
    let script = Script::new([
        (
            "GET /v3/senders/domains",
            json(200, r#"{"domains":[{"domain_name":"acme.example","authenticated":false}]}"#),
        ),
        (
            "GET /v3/senders",
            json(200, r#"{"senders":[{"id":1,"email":"other@acme.example","active":true}]}"#),
        ),
    ]);
    let secret = Secret::new(api_text());
    let domain: Domain = "acme.example".parse().unwrap();
    let sent =
        TestMail::send(&Brevo, script.net().by(&credential(&secret)), &message(), &domain, Delivery::Real);
    assert_eq!(sent.unwrap_err().reason, Reason::DomainNotVerified);
}

#[test]
fn events_tell_what_became_of_a_message() {
    let event = |name: &str| format!(r#"{{"event":"{name}","date":"2026-01-01T00:00:00Z","reason":"why"}}"#);
    let cases = [
        (vec!["requests"], Fate::Pending),
        (vec![], Fate::Pending),
        (vec!["delivered", "requests"], Fate::Delivered),
        (vec!["error", "requests"], Fate::Failed),
        (vec!["hardBounces"], Fate::Failed),
        (vec!["deferred", "softBounces"], Fate::Pending),
    ];
    let sent =
        Sent { message_id: Some("<1@relay>".into()), detail: String::new(), at: jiff::Timestamp::UNIX_EPOCH };
    let secret = Secret::new(api_text());
    let domain: Domain = "acme.example".parse().unwrap();
    for (names, expected) in cases {
        let list: Vec<String> = names.iter().map(|it| event(it)).collect();
        let body = format!(r#"{{"events":[{}]}}"#, list.join(","));
        let script = Script::new([("GET /v3/smtp/statistics/events", json(200, &body))]);
        let (fate, told) = Brevo.follow(script.net().by(&credential(&secret)), &sent, &domain, None).unwrap();
        assert_eq!((fate, told.len()), (expected, names.len()));
    }
    let script = Script::new([("GET /v3/smtp/statistics/events", json(200, "{}"))]);
    assert_eq!(
        Brevo.follow(script.net().by(&credential(&secret)), &sent, &domain, None),
        Ok((Fate::Pending, vec![]))
    );
}

#[test]
fn the_relay_has_no_test_mode() {
    let script = Script::new([]);
    let secret = Secret::new(smtp_text());
    let credential = Credential { kind: Kind::Smtp, login: Some("l@smtp-brevo.com"), ..credential(&secret) };
    assert!(Brevo.relay(script.net().by(&credential), &message(), Delivery::TestMode).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_body_makes_it_panic_or_call_a_key_dead(status in 200u16..600, body in any_json()) {
        // A 403 asks elsewhere; that has its own test.
        prop_assume!(status != 403);
        let script = Script::new([("GET /v3/account", json(status, &body))]);
        let judgement = check(Kind::Api, &api_text(), None, &script);
        if status != 401 {
            prop_assert_ne!(judgement.verdict(), Verdict::Rejected);
        }
    }

    #[test]
    fn no_text_makes_recognition_panic(text in "\\PC{0,120}") {
        let _ = recognise(&text);
        let _ = recognise(&format!("{API}{text}"));
    }
}

/// JSON with the members Brevo uses and values of any type, or no JSON at all.
fn any_json() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("[]".to_owned()),
        Just("{\"a\":{}}".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        "[a-z İ é]{0,12}".prop_map(|text| format!("\"{text}\"")),
        Just("\"ip address é\"".to_owned()),
    ];
    let member = prop_oneof![
        Just("code"),
        Just("message"),
        Just("email"),
        Just("plan"),
        Just("relay"),
        Just("organization_id"),
    ];
    let object = prop::collection::vec((member, value), 0..5).prop_map(|members| {
        let inside: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", inside.join(","))
    });
    prop_oneof![object, "\\PC{0,60}"]
}
