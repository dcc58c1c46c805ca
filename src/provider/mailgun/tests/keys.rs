//! Listing, making and deleting keys and SMTP logins.

use super::*;
use crate::key::verdict::Facts;
use crate::provider::{Family, NewKey, Right};

fn new_key<'a>(kind: Kind, domain: Option<&'a Domain>, login: Option<&'a str>) -> NewKey<'a> {
    NewKey { kind, domain, region: Some(Region::Eu), role: None, name: "keyctl r1", expires_in: None, login }
}

#[test]
fn a_key_is_made_once_and_its_secret_taken() {
    let secret = secret();
    let manager = credential(Kind::Account, &secret);
    let made = [&"ab".repeat(16), "-12345678-9abcdef0"].concat();
    let answer = serde_json::json!({"message": "great success", "key": {"id": "12345678-9abcdef0", "kind": "user",
        "role": "admin", "description": "keyctl r1", "secret": made, "created_at": "2026-01-23T10:16:00"}});
    let fake = Fake::new(|_| known(200, &answer.to_string()));
    let created = Mailgun.create(fake.net().by(&manager), &new_key(Kind::Account, None, None)).unwrap();
    assert_eq!(created.secret.expose(), made);
    assert_eq!(created.remote.id, "12345678-9abcdef0");
    assert_eq!(fake.lines(), ["us POST /v1/keys"]);
    let call = &fake.calls()[0];
    assert_eq!((call.field("role"), call.field("description")), (Some("admin"), Some("keyctl r1")));

    let own = domain();
    let new = NewKey {
        expires_in: Some(crate::clock::Span::seconds(60)),
        ..new_key(Kind::Sending, Some(&own), None)
    };
    Mailgun.create(fake.net().by(&manager), &new).unwrap();
    let call = &fake.calls()[1];
    assert_eq!(call.region, Region::Eu);
    assert_eq!(call.field("kind"), Some("domain"));
    assert_eq!(call.field("role"), Some("sending"));
    assert_eq!(call.field("domain_name"), Some("mg.acme.example"));
    assert_eq!(call.field("expiration"), Some("60"));
}

#[test]
fn what_became_of_a_creation_is_known_or_said_to_be_unknown() {
    let secret = secret();
    let manager = credential(Kind::Account, &secret);
    let cases: Vec<(&str, Answer, Reason, bool)> = vec![
        (
            "limit of keys",
            known(403, r#"{"message":"could not create key, account limit reached"}"#),
            Reason::PermissionMissing,
            false,
        ),
        ("no right", known(403, r#"{"message":"Forbidden"}"#), Reason::PermissionMissing, false),
        ("refused", refused(), Reason::Unauthorized, false),
        ("wrong role", known(400, r#"{"message":"bad role"}"#), Reason::UnexpectedResponse, false),
        ("limit of calls", plain(429, "{}"), Reason::RateLimited, false),
        ("not sent", silent(FailureKind::NotSent), Reason::Unreachable, false),
        ("cut", silent(FailureKind::NoAnswer), Reason::Unreachable, true),
        ("outage", plain(502, ""), Reason::ProviderError, true),
        (
            "a page",
            answered(200, "<html>", &[("content-type", "text/html")]),
            Reason::UnexpectedResponse,
            true,
        ),
        ("no secret", known(200, r#"{"key":{"id":"1"}}"#), Reason::UnexpectedResponse, true),
        ("a gateway's 408", plain(408, ""), Reason::UnexpectedResponse, true),
        (
            "a page that refuses",
            answered(403, "<html>", &[("content-type", "text/html")]),
            Reason::UnexpectedResponse,
            true,
        ),
    ];
    for (name, answer, reason, unknown) in cases {
        let fake = Fake::new(|_| answer.clone());
        let trouble =
            Mailgun.create(fake.net().by(&manager), &new_key(Kind::Account, None, None)).unwrap_err();
        assert_eq!((trouble.reason, trouble.outcome_unknown), (reason, unknown), "{name}: {trouble:?}");
        assert_eq!(fake.lines().len(), 1, "{name}");
    }
}

#[test]
fn a_domain_that_cannot_be_found_is_no_call_of_unknown_outcome() {
    let secret = secret();
    let manager = credential(Kind::Account, &secret);
    let own = domain();
    for (kind, login) in [(Kind::Sending, None), (Kind::Smtp, Some("a@mg.acme.example"))] {
        let fake = Fake::new(|_| silent(FailureKind::NoAnswer));
        let new = NewKey { region: None, ..new_key(kind, Some(&own), login) };
        assert!(!Mailgun.create(fake.net().by(&manager), &new).unwrap_err().outcome_unknown);
        assert!(fake.lines().iter().all(|it| it.contains("GET /v4/domains/")), "{:?}", fake.lines());
    }
}

#[test]
fn a_list_of_logins_that_ends_early_is_no_list() {
    let secret = secret();
    let manager = credential(Kind::Account, &secret);
    let own = domain();
    let family = Family { kind: Kind::Smtp, domain: Some(&own), region: Some(Region::Us) };
    for again in [r#"{"total_count":2,"items":[]}"#, r#"{"total_count":2,"items":[{"login":"a@x.example"}]}"#]
    {
        let fake = Fake::new(|call| match call.asks("skip") == Some("0") {
            true => known(200, r#"{"total_count":2,"items":[{"login":"a@x.example"}]}"#),
            false => known(200, again),
        });
        let trouble = KeyAdmin::list(&Mailgun, fake.net().by(&manager), &family).unwrap_err();
        assert!(trouble.detail.contains("to its end"), "{trouble:?}");
    }
}

#[test]
fn deleting_what_is_gone_is_no_failure() {
    let secret = secret();
    let manager = credential(Kind::Account, &secret);
    let family = Family { kind: Kind::Account, domain: None, region: None };
    let delete = |answer: &Answer| {
        let fake = Fake::new(|_| answer.clone());
        let result = Mailgun.delete(fake.net().by(&manager), &family, ID);
        assert_eq!(fake.lines(), [format!("us DELETE /v1/keys/{ID}")]);
        result
    };
    assert_eq!(delete(&known(200, r#"{"message":"key deleted"}"#)), Ok(true));
    assert_eq!(delete(&known(404, r#"{"message":"no key matching id"}"#)), Ok(false));
    // A wrong address is not a missing key.
    assert!(delete(&plain(404, "404 page not found")).is_err());
    assert!(delete(&plain(404, r#"{"error":"not found"}"#)).is_err());
    assert!(delete(&silent(FailureKind::NoAnswer)).unwrap_err().outcome_unknown);
    assert!(!delete(&refused()).unwrap_err().outcome_unknown);
}

#[test]
fn smtp_logins_are_listed_made_and_deleted_where_their_domain_is() {
    let secret = secret();
    let manager = credential(Kind::Account, &secret);
    let own = domain();
    let fake = Fake::new(|call| match (call.region, call.line.as_str()) {
        (Region::Eu, "GET /v4/domains/mg.acme.example") => {
            known(200, &serde_json::json!({"domain": row("mg.acme.example", "active")}).to_string())
        }
        (Region::Us, "GET /v4/domains/mg.acme.example") => known(404, r#"{"message":"Domain not found"}"#),
        (Region::Eu, "GET /v3/domains/mg.acme.example/credentials") => known(
            200,
            r#"{"total_count":1,"items":[{"login":"a@mg.acme.example","created_at":"Wed, 08 Mar 2023 23:34:57 +0000"}]}"#,
        ),
        (Region::Eu, "POST /v3/domains/mg.acme.example/credentials") => known(
            200,
            r#"{"message":"Created 1 credentials pair(s)","credentials":{"k1@mg.acme.example":"word-word"}}"#,
        ),
        (Region::Eu, "DELETE /v3/domains/mg.acme.example/credentials/a@mg.acme.example") => {
            known(200, r#"{"message":"Credentials have been deleted"}"#)
        }
        (Region::Eu, "DELETE /v3/domains/mg.acme.example/credentials/postmaster@mg.acme.example") => {
            known(400, r#"{"message":"Cannot delete system mailbox: postmaster@mg.acme.example"}"#)
        }
        other => panic!("not expected: {other:?}"),
    });
    let family = Family { kind: Kind::Smtp, domain: Some(&own), region: None };
    let listed = KeyAdmin::list(&Mailgun, fake.net().by(&manager), &family).unwrap();
    assert_eq!(listed[0].id, "a@mg.acme.example");
    assert!(listed[0].created.is_some());
    let new = NewKey { region: None, ..new_key(Kind::Smtp, Some(&own), Some("k1@mg.acme.example")) };
    let created = Mailgun.create(fake.net().by(&manager), &new).unwrap();
    assert_eq!((created.remote.id.as_str(), created.secret.expose()), ("k1@mg.acme.example", "word-word"));
    assert_eq!(Mailgun.delete(fake.net().by(&manager), &family, "a@mg.acme.example"), Ok(true));
    let trouble = Mailgun.delete(fake.net().by(&manager), &family, "postmaster@mg.acme.example").unwrap_err();
    assert!(trouble.detail.contains("system mailbox"));
    assert!(Mailgun.can_replace(Kind::Smtp, Some("Postmaster@mg.acme.example")).is_err());
    assert!(Mailgun.can_replace(Kind::Smtp, Some("k1@mg.acme.example")).is_ok());
    assert!(Mailgun.can_replace(Kind::Account, None).is_ok());
}

#[test]
fn only_an_admin_manages() {
    let facts = |role: Option<&str>| Facts { role: role.map(str::to_owned), ..Facts::default() };
    assert_eq!(Mailgun.may_manage(Kind::Account, &facts(Some("admin")), Kind::Sending), Right::Yes);
    assert!(matches!(
        Mailgun.may_manage(Kind::Account, &facts(Some("developer")), Kind::Account),
        Right::No(_)
    ));
    assert!(matches!(Mailgun.may_manage(Kind::Account, &facts(None), Kind::Account), Right::Unknown(_)));
    assert!(matches!(Mailgun.may_manage(Kind::Sending, &facts(None), Kind::Sending), Right::No(_)));
}

#[test]
fn the_list_of_keys_is_read_at_the_other_host_where_one_is_not_there() {
    let secret = secret();
    let manager = credential(Kind::Account, &secret);
    let family = Family { kind: Kind::Account, domain: None, region: None };
    let rows = r#"{"total_count":3,"items":[{"id":"1-1","kind":"user"},{"id":"2-2","kind":"domain"},{"id":"3-3","kind":"web"}]}"#;
    let fake = Fake::new(|call| match call.region {
        Region::Us => silent(FailureKind::NotSent),
        Region::Eu => known(200, rows),
    });
    let kinds: Vec<_> = KeyAdmin::list(&Mailgun, fake.net().by(&manager), &family)
        .unwrap()
        .into_iter()
        .map(|it| it.kind)
        .collect();
    assert_eq!(kinds, [Some(Kind::Account), Some(Kind::Sending), None]);
    let broken = Fake::new(|_| known(200, "{}"));
    assert!(KeyAdmin::list(&Mailgun, broken.net().by(&manager), &family).is_err());
}

#[test]
fn the_logs_tell_when_a_key_last_sent() {
    let secret = secret();
    let reader = credential(Kind::Account, &secret);
    let since: jiff::Timestamp = "2025-11-20T00:00:00Z".parse().unwrap();
    let entry = |at: &str, id: Option<&str>| {
        let mut entry = serde_json::json!({"event": "accepted", "@timestamp": at, "method": "http"});
        if let Some(id) = id {
            entry["api-key-id"] = id.into();
        }
        entry
    };
    let last_use = |us: Answer, eu: Answer| {
        let fake = Fake::new(|call| if call.region == Region::Us { us.clone() } else { eu.clone() });
        let result = Mailgun.last_use(fake.net().by(&reader), ID, since);
        assert!(fake.lines().iter().all(|it| it.ends_with("POST /v1/analytics/logs")));
        result
    };
    let page = |entries: &[serde_json::Value]| {
        known(200, &serde_json::json!({"items": entries, "pagination": {}}).to_string())
    };
    let other = entry("2025-11-22T10:00:00.5Z", Some("0-0"));
    let own = entry("2025-11-21T10:00:00.5Z", Some(ID));
    let mute = entry("2025-11-21T10:00:00.5Z", None);
    let at = "2025-11-21T10:00:00.5Z".parse().ok();
    assert_eq!(last_use(page(&[other.clone(), own.clone()]), page(&[])), Ok(at));
    assert_eq!(last_use(page(std::slice::from_ref(&other)), page(&[])), Ok(None));
    assert_eq!(last_use(page(&[entry("2025-11-19T10:00:00Z", Some(ID))]), page(&[])), Ok(None));
    assert_eq!(last_use(plain(500, "{}"), page(&[own])), Ok(at));
    assert!(last_use(plain(500, "{}"), page(&[])).is_err());
    assert!(last_use(page(&[mute]), page(&[])).is_err());
    let fake = Fake::new(|_| panic!("an SMTP login is not in the logs"));
    assert!(Mailgun.last_use(fake.net().by(&reader), "a@mg.acme.example", since).is_err());
}

#[test]
fn the_logs_are_read_page_by_page() {
    let secret = secret();
    let since: jiff::Timestamp = "2025-11-20T00:00:00Z".parse().unwrap();
    let fake = Fake::new(|call| {
        let Body::Json(body) = &call.body else { panic!("no JSON") };
        let entry = |id: &str| serde_json::json!({"@timestamp": "2025-11-21T10:00:00Z", "api-key-id": id});
        let items = match (call.region, body.pointer("/pagination/token").and_then(|it| it.as_str())) {
            (Region::Us, None) => vec![entry("0-0"); 100],
            (Region::Us, Some("two")) => vec![entry(ID)],
            _ => vec![],
        };
        known(200, &serde_json::json!({"items": items, "pagination": {"next": "two"}}).to_string())
    });
    let reader = credential(Kind::Account, &secret);
    let found = Mailgun.last_use(fake.net().by(&reader), ID, since).unwrap();
    assert_eq!(found.unwrap().to_string(), "2025-11-21T10:00:00Z");
}
