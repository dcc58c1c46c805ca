//! Every answer of HighLevel's the fact sheet has, and what it must be read as.

use proptest::prelude::*;

use super::*;
use crate::http::{Body, FailureKind};
use crate::key::{Domain, Secret, Verdict};
use crate::provider::tests::{Script, failure, html, json};
use crate::provider::{Locations, MailgunPush, Stays};

fn token() -> String {
    ["p", "it-", "0a1b2c3d", "-0000-4000-8000-", "0a1b2c3d4e5f"].concat()
}

fn credential<'a>(kind: Kind, secret: &'a Secret, account_id: Option<&'a str>) -> Credential<'a> {
    Credential { kind, secret, region: None, domain: None, login: None, remote_id: None, account_id }
}

fn check(kind: Kind, account_id: Option<&str>, script: &Script) -> Judgement {
    let secret = Secret::new(token());
    Highlevel.check(&script.net(), &credential(kind, &secret, account_id))
}

const FOUND: &str = r#"{"locations":[{"id":"ve9EPM428h8vShlRW1KT","name":"Acme Berlin"}]}"#;
const ONE: &str = r#"{"location":{"id":"ve9EPM428h8vShlRW1KT","companyId":"5DP4iH6HLkQsiKESj6rh","name":"Acme Berlin",
    "business":{"email":"a@acme.example"},"social":{}}}"#;

#[test]
fn an_agency_token_tells_its_company() {
    let script = Script::new([
        ("GET /locations/search", json(200, FOUND)),
        ("GET /locations/ve9EPM428h8vShlRW1KT", json(200, ONE)),
    ]);
    let judgement = check(Kind::Agency, None, &script);
    assert_eq!(judgement.verdict(), Verdict::Valid);
    assert_eq!(judgement.facts.account_id.as_deref(), Some("5DP4iH6HLkQsiKESj6rh"));
    assert_eq!(judgement.facts.remote_id, None, "a token has no id that could be found");
    let seen = &script.seen()[0];
    assert!(seen.headers.contains(&("version", "2021-07-28".to_owned())));
    assert_eq!(seen.auth, format!("bearer {}", token()));

    let empty = Script::new([("GET /locations/search", json(200, r#"{"locations":[]}"#))]);
    let judgement = check(Kind::Agency, Some("C1"), &empty);
    assert!(judgement.accepted());
    assert_eq!(judgement.facts.account_id.as_deref(), Some("C1"));
    assert!(empty.seen()[0].query.contains(&("companyId", "C1".to_owned())));
}

#[test]
fn a_location_token_tells_its_location() {
    let known = Script::new([("GET /locations/ve9EPM428h8vShlRW1KT", json(200, ONE))]);
    let judgement = check(Kind::Location, Some("ve9EPM428h8vShlRW1KT"), &known);
    assert_eq!(judgement.facts.identity.as_deref(), Some("Acme Berlin (ve9EPM428h8vShlRW1KT)"));
    let unknown = Script::new([("GET /locations/search", json(200, FOUND))]);
    let judgement = check(Kind::Location, None, &unknown);
    assert_eq!(judgement.facts.account_id.as_deref(), Some("ve9EPM428h8vShlRW1KT"));
}

#[test]
fn a_token_that_sees_two_locations_is_an_agencys() {
    let secret = Secret::new(token());
    let unsorted = Unsorted { secret: &secret, region: None, domain: None, login: None };
    let agency = Script::new([
        ("GET /locations/search", json(200, &many(0..2))),
        ("GET /locations/search", json(200, FOUND)),
        ("GET /locations/ve9EPM428h8vShlRW1KT", json(200, ONE)),
    ]);
    let found = Highlevel.detect(&agency.net(), &unsorted).unwrap();
    assert!(matches!(found, Detection::Is(Kind::Agency, judgement) if judgement.accepted()));
    let either = Script::new([("GET /locations/search", json(200, FOUND))]);
    let found = Highlevel.detect(&either.net(), &unsorted).unwrap();
    assert!(matches!(found, Detection::Unclear(judgement) if judgement.verdict() == Verdict::Valid));
}

#[test]
fn only_the_message_tells_a_dead_token() {
    let said = |message: &str| format!(r#"{{"statusCode":401,"message":"{message}"}}"#);
    let cases = [
        (json(401, &said("Invalid JWT")), Reason::Unauthorized),
        (json(401, &said("Invalid token: access token is invalid")), Reason::Unauthorized),
        (json(401, &said("Invalid Private Integration token")), Reason::Unauthorized),
        (json(401, &said("The token is not authorized for this scope.")), Reason::PermissionMissing),
        (json(401, &said("This location is not accessible from this token.")), Reason::PermissionMissing),
        (json(403, &said("The token does not have access to this location.")), Reason::PermissionMissing),
        (
            json(401, r#"{"error":{"code":"x","message":"The token is not authorized for this scope."}}"#),
            Reason::PermissionMissing,
        ),
        (json(401, &said("version header was not found.")), Reason::UnexpectedResponse),
        (json(401, "{}"), Reason::UnexpectedResponse),
        (json(403, &said("Forbidden resource")), Reason::UnexpectedResponse),
        (
            json(422, r#"{"statusCode":422,"message":["companyId should not be empty"]}"#),
            Reason::UnexpectedResponse,
        ),
        (json(429, "{}"), Reason::RateLimited),
        (json(500, "{}"), Reason::ProviderError),
        (json(200, "{}"), Reason::UnexpectedResponse),
        (json(200, ""), Reason::UnexpectedResponse),
        (html(403, "<!DOCTYPE html>"), Reason::UnexpectedResponse),
        (Err(failure(FailureKind::NotSent)), Reason::Unreachable),
    ];
    for (answer, expected) in cases {
        let script = Script::new([("GET /locations/search", answer.clone())]);
        assert_eq!(check(Kind::Agency, None, &script).reason(), Some(expected), "{answer:?}");
    }
    let gone = Script::new([("GET /locations/L1", json(404, &said("not found")))]);
    assert_eq!(check(Kind::Location, Some("L1"), &gone).reason(), Some(Reason::UnexpectedResponse));
}

#[test]
fn a_missing_scope_is_named() {
    let script = Script::new([(
        "GET /locations/search",
        json(401, r#"{"message":"The token is not authorized for this scope."}"#),
    )]);
    let judgement = check(Kind::Agency, None, &script);
    assert_eq!(judgement.missing, ["locations.readonly"]);
    assert!(judgement.hint.unwrap().contains("stays the same"));
}

fn many(range: std::ops::Range<usize>) -> String {
    let list: Vec<String> = range.map(|n| format!(r#"{{"id":"L{n}","name":"Location {n}"}}"#)).collect();
    format!(r#"{{"locations":[{}]}}"#, list.join(","))
}

#[test]
fn locations_are_read_to_the_end_whatever_the_page_size() {
    let secret = Secret::new(token());
    let credential = credential(Kind::Agency, &secret, None);
    for (pages, count) in [
        (vec![many(0..100), many(100..103)], 103),
        (vec![many(0..20), many(20..40), many(40..45)], 45),
        (vec![many(0..100), many(0..0)], 100),
        (vec![many(0..100), many(99..150)], 150),
        (vec![many(0..0)], 0),
    ] {
        let script = Script::new(pages.iter().map(|body| ("GET /locations/search", json(200, body))));
        let all = Locations::list(&Highlevel, script.net().by(&credential), Some("C1")).unwrap();
        assert_eq!(all.len(), count);
    }
    let cut = Script::new([
        ("GET /locations/search", json(200, &many(0..100))),
        ("GET /locations/search", json(500, "")),
    ]);
    assert!(Locations::list(&Highlevel, cut.net().by(&credential), None).is_err());
}

#[test]
fn a_page_that_is_repeated_is_no_end_of_the_list() {
    let secret = Secret::new(token());
    let credential = credential(Kind::Agency, &secret, None);
    for again in [0..100, 20..30] {
        let script = Script::new([
            ("GET /locations/search", json(200, &many(0..100))),
            ("GET /locations/search", json(200, &many(again))),
        ]);
        let trouble = Locations::list(&Highlevel, script.net().by(&credential), None).unwrap_err();
        assert!(trouble.detail.contains("repeated a page"), "{}", trouble.detail);
    }
}

#[test]
fn a_change_that_touches_another_field_is_seen() {
    let secret = Secret::new(token());
    let credential = credential(Kind::Agency, &secret, None);
    let after = ONE.replace("a@acme.example", "").replace("\"social\":{}", "\"dateUpdated\":\"2026\"");
    let script = Script::new([
        ("GET /locations/ve9EPM428h8vShlRW1KT", json(200, ONE)),
        ("GET /locations/ve9EPM428h8vShlRW1KT", json(200, &after)),
        ("GET /locations/gone", json(404, r#"{"message":"x"}"#)),
        ("GET /locations/gone", json(400, r#"{"message":"Location with id gone not found"}"#)),
        ("GET /locations/gone", json(422, r#"{"message":["gone was not found"]}"#)),
        ("GET /locations/kept", json(400, r#"{"message":"Company not found"}"#)),
        ("GET /locations/other", json(200, ONE)),
    ]);
    let read = |id: &str| Locations::read(&Highlevel, script.net().by(&credential), id);
    let before = read("ve9EPM428h8vShlRW1KT").unwrap().unwrap();
    let later = read("ve9EPM428h8vShlRW1KT").unwrap().unwrap();
    let changed: Vec<String> = before.changes(&later).into_iter().map(|it| it.field).collect();
    assert_eq!(changed, ["/business/email", "/social"]);
    assert!(before.changes(&before).is_empty());
    assert_eq!(read("gone"), Ok(None));
    assert_eq!(read("gone"), Ok(None));
    assert_eq!(read("gone"), Ok(None));
    assert!(read("kept").is_err(), "it says nothing of the location");
    assert!(read("other").is_err());
}

#[test]
fn a_pushed_key_is_in_the_body_and_nowhere_else() {
    let mailgun = Secret::new(["key", "-", &"7f".repeat(16)].concat());
    let echo = format!(r#"{{"statusCode":422,"message":"bad value {}"}}"#, mailgun.expose());
    let script = Script::new([
        ("PUT /locations/L1", json(200, r#"{"id":"L1"}"#)),
        ("PUT /locations/L1", json(422, &echo)),
        ("PUT /locations/L1", Err(failure(FailureKind::NoAnswer))),
    ]);
    let secret = Secret::new(token());
    let domain: Domain = "mg.acme.example".parse().unwrap();
    let push = MailgunPush { location: "L1", company: "C1", key: &mailgun, domain: &domain };
    let put = || Highlevel.put_mailgun(script.net().by(&credential(Kind::Agency, &secret, None)), &push);
    assert_eq!(put(), Ok(()));
    assert!(!put().unwrap_err().detail.contains(mailgun.expose()));
    assert!(put().unwrap_err().outcome_unknown);
    let Body::Json(body) = &script.seen()[0].body else { panic!("no JSON") };
    assert_eq!(body["companyId"], "C1");
    assert_eq!(body["mailgun"]["domain"], "mg.acme.example");
    assert_eq!(body.as_object().unwrap().len(), 2, "nothing else is written");
}

#[test]
fn pasted_texts_are_told_apart_offline() {
    let Recognition::Key(candidates) = recognise(&token()) else { panic!("no key") };
    assert_eq!(candidates.len(), 2);
    assert!(candidates.iter().all(|it| !it.certain));
    let jwt = ["ey", "JhbGciOiJIUzI1NiJ9", ".", "eyJhIjoxfQ", ".", "c2ln"].concat();
    for refused in [&token()[..30], "pit-", &jwt] {
        assert!(matches!(recognise(refused), Recognition::Refused(_)), "{refused}");
    }
    for other in ["pit", "a.b.c", "something"] {
        assert_eq!(recognise(other), Recognition::No, "{other}");
    }
}

#[test]
fn a_page_for_pasting_names_the_level() {
    let domain: Domain = "mg.acme.example".parse().unwrap();
    let at = |kind| {
        let ask = ConsoleAsk {
            kind: Some(kind),
            domain: Some(&domain),
            account_id: Some("L1"),
            ..ConsoleAsk::default()
        };
        Highlevel.console(ConsoleTask::Paste, &ask).unwrap()
    };
    assert!(at(Kind::Agency).path.ends_with("Domain Service"));
    assert!(at(Kind::Location).path.ends_with("Location Settings"));
    assert!(at(Kind::Agency).steps.iter().any(|it| it.contains("mg.acme.example")));
    let ask = ConsoleAsk { kind: Some(Kind::Location), account_id: Some("L1"), ..ConsoleAsk::default() };
    let create = Highlevel.console(ConsoleTask::Create, &ask).unwrap();
    assert_eq!(create.url, "https://app.gohighlevel.com/v2/location/L1/settings/private-integrations");
    assert_eq!(Highlevel.console(ConsoleTask::Disable, &ask), None);
}

#[test]
fn the_way_to_end_one_token_never_ends_the_one_that_stays() {
    let steps = |stays| {
        let ask = ConsoleAsk {
            kind: Some(Kind::Agency),
            account_id: Some("C1"),
            remote_name: Some("keyctl"),
            stays,
            ..ConsoleAsk::default()
        };
        Highlevel.console(ConsoleTask::Delete, &ask).unwrap().steps.join("\n")
    };
    let old = steps(Some(Stays::Old));
    assert!(old.contains("cancel the rotation") && !old.contains("Expire now"), "{old}");
    assert!(old.contains("an integration of its own (`keyctl`): delete that one, and no other"), "{old}");
    let new = steps(Some(Stays::New));
    assert!(new.contains("\"Expire now\", which ends the old token"), "{new}");
    assert!(new.contains("Do not delete the integration") && !new.contains("cancel"), "{new}");
    assert!(steps(None).contains("every token of it ends"));
    assert!(!format!("{old}{new}").contains("C1"), "no token has the id of its company");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_body_makes_it_panic_or_call_a_token_dead(status in 200u16..600, body in any_json()) {
        prop_assume!(status != 401);
        let script = Script::new([("GET /locations/L1", json(status, &body))]);
        prop_assert_ne!(check(Kind::Location, Some("L1"), &script).verdict(), Verdict::Rejected);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,120}") {
        let _ = recognise(&text);
        let _ = recognise(&format!("{PREFIX}{text}"));
    }
}

fn any_json() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null"),
        Just("[]"),
        Just("[null,7]"),
        Just("{}"),
        Just("7"),
        Just("\"é token\""),
        Just(r#"{"id":"L1"}"#),
        Just(r#"{"id":7}"#),
        Just(r#"["a","b"]"#),
    ];
    let member = prop_oneof![Just("location"), Just("locations"), Just("message"), Just("error")];
    let object = prop::collection::vec((member, value), 0..4).prop_map(|members| {
        let inside: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", inside.join(","))
    });
    prop_oneof![object, "\\PC{0,60}"]
}
