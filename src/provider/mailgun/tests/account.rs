//! Account keys: what both hosts and the list of keys say.

use super::*;
use crate::key::{Cause, Expiry, Verdict};

/// Checks with these answers to `GET /v4/domains` (US, EU) and `GET /v1/keys`.
fn check_with(us: &Answer, eu: &Answer, keys: &Answer, secret: &Secret) -> Judgement {
    let fake = Fake::new(|call| match (call.region, call.line.as_str()) {
        (Region::Us, "GET /v4/domains") => us.clone(),
        (Region::Eu, "GET /v4/domains") => eu.clone(),
        (_, "GET /v1/keys") => keys.clone(),
        (_, "GET /v2/ip_whitelist") => known(200, r#"{"addresses":[]}"#),
        other => panic!("not expected: {other:?}"),
    });
    Mailgun.check(&fake.net(), &credential(Kind::Account, secret))
}

fn no_keys() -> Answer {
    known(403, r#"{"message":"Forbidden"}"#)
}

#[test]
fn what_both_hosts_say_decides() {
    let yes = || known(200, EMPTY);
    let no = || plain(401, r#"{"message":"Invalid private key"}"#);
    let denied = || known(403, r#"{"message":"Forbidden"}"#);
    let page = || answered(200, "<html>log in</html>", &[("content-type", "text/html")]);
    let wall = || answered(403, "<!doctype html>", &[("content-type", "text/html")]);
    let cases: Vec<(&str, Answer, Answer, Verdict, Option<Reason>)> = vec![
        ("both take it", yes(), yes(), Verdict::Valid, None),
        ("a success overrides a refusal", yes(), no(), Verdict::Valid, None),
        ("a success overrides a refusal, EU", no(), yes(), Verdict::Valid, None),
        ("a success overrides silence", yes(), silent(FailureKind::NotSent), Verdict::Valid, None),
        ("a success overrides an outage", plain(500, "{}"), yes(), Verdict::Valid, None),
        ("both refuse", no(), no(), Verdict::Rejected, Some(Reason::Unauthorized)),
        ("both refuse in text", refused(), refused(), Verdict::Rejected, Some(Reason::Unauthorized)),
        ("no right", denied(), denied(), Verdict::Limited, Some(Reason::PermissionMissing)),
        ("no right overrides a refusal", no(), denied(), Verdict::Limited, Some(Reason::PermissionMissing)),
        ("refused, silent", no(), silent(FailureKind::NoAnswer), Verdict::Unknown, Some(Reason::Unreachable)),
        ("silent, refused", silent(FailureKind::NotSent), no(), Verdict::Unknown, Some(Reason::Unreachable)),
        ("refused, TLS", no(), silent(FailureKind::Tls), Verdict::Unknown, Some(Reason::Tls)),
        ("refused, limit", no(), plain(429, "{}"), Verdict::Unknown, Some(Reason::RateLimited)),
        ("refused, 420", no(), plain(420, "{}"), Verdict::Unknown, Some(Reason::RateLimited)),
        ("refused, outage", no(), plain(502, ""), Verdict::Unknown, Some(Reason::ProviderError)),
        ("refused, page", no(), page(), Verdict::Unknown, Some(Reason::UnexpectedResponse)),
        ("a wall is no 403", wall(), wall(), Verdict::Unknown, Some(Reason::UnexpectedResponse)),
        ("a page is no success", page(), page(), Verdict::Unknown, Some(Reason::UnexpectedResponse)),
        ("an empty 200", plain(200, ""), plain(200, ""), Verdict::Unknown, Some(Reason::UnexpectedResponse)),
        (
            "another 200",
            plain(200, "{}"),
            plain(200, "{}"),
            Verdict::Unknown,
            Some(Reason::UnexpectedResponse),
        ),
        ("redirects", plain(302, ""), plain(302, ""), Verdict::Unknown, Some(Reason::UnexpectedResponse)),
        ("404", plain(404, "404 page not found"), no(), Verdict::Unknown, Some(Reason::UnexpectedResponse)),
        (
            "404 in JSON",
            plain(404, r#"{"message":"x"}"#),
            no(),
            Verdict::Unknown,
            Some(Reason::UnexpectedResponse),
        ),
        (
            "garbage",
            silent(FailureKind::Malformed),
            silent(FailureKind::Malformed),
            Verdict::Unknown,
            Some(Reason::UnexpectedResponse),
        ),
    ];
    for (name, us, eu, verdict, reason) in cases {
        let judgement = check_with(&us, &eu, &no_keys(), &secret());
        assert_eq!((judgement.verdict(), judgement.reason()), (verdict, reason), "{name}: {judgement:?}");
        assert!(!judgement.detail.is_empty(), "{name}");
        assert_eq!(judgement.causes.is_empty(), reason != Some(Reason::Unauthorized), "{name}");
    }
}

#[test]
fn the_form_of_a_refused_key_ranks_the_causes() {
    let causes = |text: String| check_with(&refused(), &refused(), &no_keys(), &Secret::new(text)).causes;
    assert_eq!(causes(key())[..2], [Cause::Revoked, Cause::SendingKey]);
    assert!(causes(key()).contains(&Cause::IpNotAllowlisted));
    assert_eq!(causes(legacy().expose().to_owned())[0], Cause::Revoked);
    assert!(!causes(legacy().expose().to_owned()).contains(&Cause::SendingKey));
    assert_eq!(causes("0f".repeat(16))[0], Cause::WebhookSigningKey);
    assert_eq!(causes(key()[..40].to_owned())[0], Cause::Truncated);
    assert_eq!(causes("hunter2hunter2".to_owned())[0], Cause::SmtpPassword);
    let public = Secret::new(["pubkey-", &"0f".repeat(16)].concat());
    let judgement = check_with(&refused(), &refused(), &no_keys(), &public);
    assert_eq!(judgement.reason(), Some(Reason::WrongKind));
}

#[test]
fn a_key_finds_its_own_row_by_the_id_it_carries() {
    let rows = serde_json::json!({"total_count": 2, "items": [
        {"id": "11111111-22222222", "role": "basic", "kind": "user"},
        {"id": ID, "role": "admin", "kind": "user", "description": "acme main", "is_disabled": false,
         "created_at": "2024-06-11T14:20:11", "domain_name": null, "requestor": "ops@acme.example"}]});
    let judgement =
        check_with(&known(200, EMPTY), &known(200, EMPTY), &known(200, &rows.to_string()), &secret());
    assert_eq!(judgement.verdict(), Verdict::Valid);
    let facts = &judgement.facts;
    assert_eq!(facts.role.as_deref(), Some("admin"));
    assert_eq!(facts.remote_id.as_deref(), Some(ID));
    assert_eq!(facts.remote_name.as_deref(), Some("acme main"));
    assert_eq!(facts.expires, Some(Expiry::Never));
    assert_eq!(facts.sibling_ids, ["11111111-22222222".into(), ID.into()]);
    assert_eq!(facts.created.unwrap().to_string(), "2024-06-11T14:20:11Z");
    assert_eq!(facts.allowlist, Some(false));
    // A legacy key carries no id; Mailgun echoes it.
    let keys = known(200, &rows.to_string());
    let judgement = check_with(&known(200, EMPTY), &known(200, EMPTY), &keys, &legacy());
    assert_eq!(judgement.facts.role.as_deref(), Some("admin"));
    let mute = check_with(&plain(200, EMPTY), &plain(200, EMPTY), &plain(200, &rows.to_string()), &legacy());
    assert_eq!((mute.verdict(), mute.facts.role), (Verdict::Valid, None));
}

#[test]
fn the_list_of_keys_speaks_but_its_silence_does_not_count() {
    let own = |extra: serde_json::Value| {
        let mut row = serde_json::json!({"id": ID, "role": "developer", "kind": "user"});
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        known(200, &serde_json::json!({"total_count": 1, "items": [row]}).to_string())
    };
    let disabled = serde_json::json!({"is_disabled": true, "disabled_reason": "abuse"});
    let expired = serde_json::json!({"is_disabled": true, "disabled_reason": "Key has expired"});
    let cases: Vec<(&str, Answer, Option<Reason>)> = vec![
        ("disabled", own(disabled), Some(Reason::Disabled)),
        ("expired", own(expired), Some(Reason::Expired)),
        (
            "a date in the past is no word of the provider's",
            own(serde_json::json!({"expires_at": "2020-01-01T00:00:00"})),
            None,
        ),
        (
            "a sending key",
            own(serde_json::json!({"kind": "domain", "role": "sending"})),
            Some(Reason::WrongKind),
        ),
        ("a role not known", own(serde_json::json!({"role": "support"})), None),
        ("not listed", known(200, EMPTY), None),
        ("may not", known(403, r#"{"message":"Forbidden"}"#), None),
        ("may not, 401", plain(401, r#"{"message":"Invalid private key"}"#), None),
        ("outage", plain(500, "{}"), None),
        ("silence", silent(FailureKind::NoAnswer), None),
        ("nonsense", plain(200, r#"{"items":{"a":1}}"#), None),
    ];
    for (name, keys, reason) in cases {
        let judgement = check_with(&known(200, EMPTY), &known(200, EMPTY), &keys, &secret());
        assert_eq!(judgement.reason(), reason, "{name}: {judgement:?}");
    }
}

#[test]
fn domains_come_with_what_speaks_against_them() {
    let mut disabled = row("c.example", "active");
    disabled["is_disabled"] = true.into();
    let sandbox = row(&format!("sandbox{}.mailgun.org", "0a".repeat(16)), "active");
    let us = list_of(&[row("a.example", "active"), row("b.example", "unverified"), disabled, sandbox]);
    let eu = list_of(&[row("d.example", "active")]);
    let judgement = check_with(&known(200, &us), &known(200, &eu), &no_keys(), &secret());
    let against: Vec<_> =
        judgement.facts.domains.unwrap().into_iter().map(|it| (it.name.to_string(), it.against)).collect();
    assert_eq!(against[0], ("a.example".to_owned(), vec![]));
    assert_eq!(against[1], ("b.example".to_owned(), vec![Reason::DomainNotVerified]));
    assert_eq!(against[2], ("c.example".to_owned(), vec![Reason::DomainDisabled]));
    assert_eq!(against[3], ("d.example".to_owned(), vec![Reason::DomainInEu]));
    assert_eq!(against[4].1, vec![Reason::SandboxDomain]);
    assert!(judgement.facts.unread_regions.is_empty());
    let half = check_with(&known(200, &us), &silent(FailureKind::NotSent), &no_keys(), &secret());
    assert_eq!(half.facts.unread_regions, [Region::Eu]);
}

#[test]
fn all_pages_are_read() {
    let page = |from: usize, to: usize| {
        let rows: Vec<_> = (from..to).map(|it| row(&format!("d{it}.example"), "active")).collect();
        known(200, &serde_json::json!({"total_count": 2500, "items": rows}).to_string())
    };
    let fake = Fake::new(|call| match (call.region, call.line.as_str(), call.asks("skip")) {
        (Region::Us, "GET /v4/domains", None) => page(0, 1000),
        (Region::Us, "GET /v4/domains", Some("1000")) => page(1000, 2000),
        (Region::Us, "GET /v4/domains", Some("2000")) => page(2000, 2500),
        (Region::Eu, "GET /v4/domains", None) => known(200, EMPTY),
        _ => no_keys(),
    });
    let judgement = Mailgun.check(&fake.net(), &credential(Kind::Account, &secret()));
    assert_eq!(judgement.facts.domains.unwrap().len(), 2500);
    // A further page that does not come leaves the verdict, and is told.
    let fake = Fake::new(|call| match (call.region, call.line.as_str(), call.asks("skip")) {
        (Region::Us, "GET /v4/domains", None) => page(0, 1000),
        (Region::Us, "GET /v4/domains", _) => plain(500, "{}"),
        (Region::Eu, "GET /v4/domains", None) => known(200, EMPTY),
        _ => no_keys(),
    });
    let judgement = Mailgun.check(&fake.net(), &credential(Kind::Account, &secret()));
    assert_eq!((judgement.verdict(), judgement.facts.unread_regions), (Verdict::Valid, vec![Region::Us]));
}

#[test]
fn a_sending_key_recorded_as_an_account_key_is_told() {
    let own = domain();
    let fake = Fake::new(|call| match (call.region, call.line.as_str()) {
        (Region::Eu, "POST /v3/mg.acme.example/messages") => {
            known(400, r#"{"message":"from parameter is missing"}"#)
        }
        _ => refused(),
    });
    let secret = secret();
    let credential = Credential { domain: Some(&own), ..credential(Kind::Account, &secret) };
    let judgement = Mailgun.check(&fake.net(), &credential);
    assert_eq!(judgement.reason(), Some(Reason::WrongKind));
    assert_eq!(judgement.facts.region, Some(Region::Eu));
}

fn any_answer() -> impl proptest::strategy::Strategy<Value = Answer> {
    use proptest::prelude::*;
    let body = prop_oneof![
        Just(EMPTY.to_owned()),
        Just("Forbidden".to_owned()),
        Just(r#"{"message":"Invalid private key"}"#.to_owned()),
        Just(r#"{"items":[{"name":5},null,"x",{"id":{}}],"total_count":"9"}"#.to_owned()),
        "\\PC{0,40}",
    ];
    let status =
        proptest::sample::select(vec![200_u16, 201, 302, 400, 401, 403, 404, 407, 420, 429, 500, 503]);
    (status, body, any::<bool>()).prop_map(|(status, body, known_key)| {
        if known_key { known(status, &body) } else { plain(status, &body) }
    })
}

proptest::proptest! {
    #[test]
    fn only_two_refusals_reject(us in any_answer(), eu in any_answer(), keys in any_answer()) {
        let judgement = check_with(&us, &eu, &keys, &secret());
        let both = [&us, &eu].iter().all(|it| it.as_ref().is_ok_and(|it| it.status == 401));
        if judgement.verdict() == Verdict::Rejected {
            proptest::prop_assert!(both, "{judgement:?}");
        }
        let taken = [&us, &eu].iter().any(|it| it.as_ref().is_ok_and(|it| it.status == 200 && it.body == EMPTY));
        if taken {
            proptest::prop_assert!(judgement.accepted(), "{judgement:?}");
        }
    }
}
