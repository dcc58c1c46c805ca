//! Sending keys by an empty message, SMTP logins by one AUTH.

use super::*;
use crate::key::{Cause, Verdict};
use crate::provider::tests::smtp_refusal;
use crate::smtp::{Accepted, Phase, SmtpFailure};

const MESSAGES: &str = "POST /v3/mg.acme.example/messages";

fn missing_from() -> Answer {
    known(400, r#"{"message":"from parameter is missing"}"#)
}

/// Checks with these answers to the empty message; a made-up key gets
/// `control`, the list of domains is refused.
fn check_with(
    us: &Answer,
    eu: &Answer,
    control: &Answer,
    secret: &Secret,
    region: Option<Region>,
) -> Judgement {
    let own = domain();
    let text = secret.expose().to_owned();
    let fake = Fake::new(|call| match (call.region, call.line.as_str()) {
        (_, MESSAGES) if call.key != text => control.clone(),
        (Region::Us, MESSAGES) => us.clone(),
        (Region::Eu, MESSAGES) => eu.clone(),
        (_, "GET /v4/domains") => refused(),
        other => panic!("not expected: {other:?}"),
    });
    let credential = Credential { domain: Some(&own), region, ..credential(Kind::Sending, secret) };
    let judgement = Mailgun.check(&fake.net(), &credential);
    for call in fake.calls() {
        assert!(call.body == Body::Multipart(Vec::new()) || call.body == Body::None, "{call:?}");
    }
    judgement
}

#[test]
fn the_empty_message_is_believed_only_with_proof() {
    let bare = plain(400, r#"{"message":"from parameter is missing"}"#);
    let other = answered(400, r#"{"message":"from parameter is missing"}"#, &[("x-mailgun-key-id", "0-0")]);
    let cases: Vec<(&str, Answer, Answer, Secret, Option<Reason>)> = vec![
        ("echoed", missing_from(), silent(FailureKind::NotSent), secret(), None),
        ("a made-up key is turned away", bare.clone(), refused(), secret(), None),
        ("the same for an old key", bare.clone(), refused(), legacy(), None),
        ("another id, but a made-up key is turned away", other, refused(), secret(), None),
        (
            "a made-up key gets the same",
            bare.clone(),
            bare.clone(),
            secret(),
            Some(Reason::UnexpectedResponse),
        ),
        (
            "no word on the made-up key",
            bare.clone(),
            silent(FailureKind::NoAnswer),
            secret(),
            Some(Reason::Unreachable),
        ),
        ("a limit on the made-up key", bare, plain(429, "{}"), legacy(), Some(Reason::RateLimited)),
    ];
    for (name, us, control, secret, reason) in cases {
        let judgement = check_with(&us, &refused(), &control, &secret, None);
        assert_eq!(judgement.reason(), reason, "{name}: {judgement:?}");
        if reason.is_none() {
            assert_eq!(judgement.facts.region, Some(Region::Us), "{name}");
        }
    }
}

fn answers_to_the_empty_message() -> Vec<(&'static str, Answer, Verdict, Option<Reason>)> {
    let not_allowed =
        |why: &str| format!(r#"{{"message":"Domain mg.acme.example is not allowed to send: {why}"}}"#);
    let unverified = not_allowed(
        "The domain is unverified and requires DNS configuration. Log in to your control panel to view required DNS records.",
    );
    let inactive = not_allowed(
        "Please activate your Mailgun account. Check your inbox or log in to your control panel to resend the activation email.",
    );
    let sandbox = not_allowed(
        "Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients in Account Settings.",
    );
    let free = not_allowed(
        "Free accounts are for test purposes only. Please upgrade or add the address to authorized recipients in Account Settings.",
    );
    let page = answered(401, "<html>", &[("content-type", "text/html")]);
    vec![
        ("missing from", missing_from(), Verdict::Valid, None),
        ("unverified, 400", known(400, &unverified), Verdict::Limited, Some(Reason::DomainNotVerified)),
        ("unverified, 403", known(403, &unverified), Verdict::Limited, Some(Reason::DomainNotVerified)),
        ("inactive", known(403, &inactive), Verdict::Limited, Some(Reason::AccountNotActivated)),
        ("sandbox", known(403, &sandbox), Verdict::Limited, Some(Reason::SandboxDomain)),
        ("free", known(403, &free), Verdict::Limited, Some(Reason::AccountNotActivated)),
        (
            "a role that may not",
            known(403, r#"{"message":"Forbidden"}"#),
            Verdict::Limited,
            Some(Reason::PermissionMissing),
        ),
        (
            "no such domain",
            known(404, r#"{"message":"Domain not found: mg.acme.example"}"#),
            Verdict::Limited,
            Some(Reason::DomainNotFound),
        ),
        ("refused", refused(), Verdict::Rejected, Some(Reason::Unauthorized)),
        (
            "taken as it is",
            known(200, r#"{"id":"x","message":"Queued"}"#),
            Verdict::Unknown,
            Some(Reason::UnexpectedResponse),
        ),
        ("a page", page, Verdict::Unknown, Some(Reason::UnexpectedResponse)),
        (
            "wrong address",
            plain(404, "404 page not found"),
            Verdict::Unknown,
            Some(Reason::UnexpectedResponse),
        ),
        ("limit", plain(429, "{}"), Verdict::Unknown, Some(Reason::RateLimited)),
        (
            "outage",
            plain(500, r#"{"message":"Internal Server Error"}"#),
            Verdict::Unknown,
            Some(Reason::ProviderError),
        ),
        ("silence", silent(FailureKind::NotSent), Verdict::Unknown, Some(Reason::Unreachable)),
    ]
}

#[test]
fn every_answer_to_the_empty_message_is_read() {
    for (name, us, verdict, reason) in answers_to_the_empty_message() {
        let judgement = check_with(&us, &refused(), &refused(), &secret(), None);
        assert_eq!((judgement.verdict(), judgement.reason()), (verdict, reason), "{name}: {judgement:?}");
    }
}

#[test]
fn the_recorded_region_is_asked_first_and_the_other_before_a_refusal() {
    let judgement = check_with(&missing_from(), &refused(), &refused(), &secret(), Some(Region::Us));
    assert_eq!((judgement.verdict(), judgement.hint), (Verdict::Valid, None));
    let judgement = check_with(&refused(), &missing_from(), &refused(), &secret(), Some(Region::Us));
    assert_eq!((judgement.verdict(), judgement.facts.region), (Verdict::Valid, Some(Region::Eu)));
    assert!(judgement.hint.unwrap().contains("--region eu"));
    let judgement = check_with(&refused(), &plain(503, ""), &refused(), &secret(), Some(Region::Us));
    assert_eq!(judgement.reason(), Some(Reason::ProviderError));
    let judgement = check_with(&refused(), &refused(), &refused(), &secret(), Some(Region::Eu));
    assert_eq!(judgement.reason(), Some(Reason::Unauthorized));
    assert!(judgement.causes.contains(&Cause::DomainNotInAccount));
}

#[test]
fn an_account_key_recorded_as_a_sending_key_is_not_dead() {
    let own = domain();
    let secret = secret();
    let fake = Fake::new(|call| match call.line.as_str() {
        "GET /v4/domains" => known(200, EMPTY),
        _ => refused(),
    });
    let with_domain = Credential { domain: Some(&own), ..credential(Kind::Sending, &secret) };
    assert_eq!(Mailgun.check(&fake.net(), &with_domain).reason(), Some(Reason::DomainNotFound));
    let without = Mailgun.check(&fake.net(), &credential(Kind::Sending, &secret));
    assert!(without.accepted() && without.hint.unwrap().contains("account"));
    let mute = Fake::new(|_| refused());
    let judgement = Mailgun.check(&mute.net(), &credential(Kind::Sending, &secret));
    assert_eq!(judgement.reason(), Some(Reason::PermissionNotCheckable));
}

fn log_in(answer: Result<Accepted, SmtpFailure>, login: Option<&str>) -> Judgement {
    let script = Script::relay(login.map(|_| answer));
    let secret = Secret::new("correct horse".to_owned());
    Mailgun.check(&script.net(), &Credential { login, ..credential(Kind::Smtp, &secret) })
}

#[test]
fn a_login_is_judged_by_the_relays_words() {
    let login = Some("postmaster@mg.acme.example");
    let taken = Accepted { port: 587, reply: "235 ok".into(), ..Accepted::default() };
    assert_eq!(log_in(Ok(taken), login).verdict(), Verdict::Valid);
    let refused = log_in(
        Err(smtp_refusal(Phase::Auth, 535, "535 5.7.0 Mailgun is not loving your login or password")),
        login,
    );
    assert_eq!(refused.reason(), Some(Reason::Unauthorized));
    for cause in [Cause::WrongLogin, Cause::WrongRegion, Cause::IpNotAllowlisted, Cause::Revoked] {
        assert!(refused.causes.contains(&cause), "{cause}");
    }
    let local = log_in(Err(smtp_refusal(Phase::Auth, 535, "535")), Some("postmaster"));
    assert_eq!(local.causes[0], Cause::WrongLogin);
    for (phase, code, text, reason) in [
        (Phase::Auth, 454, "454 Temporary authentication failure", Reason::ProviderError),
        (Phase::Auth, 421, "421 Too many connections", Reason::RateLimited),
        (Phase::Greeting, 554, "554 your IP is blocked", Reason::IpBlocked),
        (Phase::Auth, 530, "530 Must issue STARTTLS", Reason::UnexpectedResponse),
        (Phase::Auth, 534, "534 too weak", Reason::UnexpectedResponse),
    ] {
        assert_eq!(log_in(Err(smtp_refusal(phase, code, text)), login).reason(), Some(reason), "{text}");
    }
    let gone = |phase, tls| SmtpFailure { phase, code: None, message: "gone".into(), tls };
    assert_eq!(log_in(Err(gone(Phase::Connect, false)), login).reason(), Some(Reason::Unreachable));
    assert_eq!(log_in(Err(gone(Phase::Auth, false)), login).reason(), Some(Reason::Unreachable));
    assert_eq!(log_in(Err(gone(Phase::Tls, true)), login).reason(), Some(Reason::Tls));
    let none = log_in(Err(gone(Phase::Tls, true)), None);
    assert_eq!(none.reason(), Some(Reason::PermissionNotCheckable));
}
