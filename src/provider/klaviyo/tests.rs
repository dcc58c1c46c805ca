//! Every answer of Klaviyo's the fact sheet has, and what it must be read as.

use proptest::prelude::*;

use super::*;
use crate::http::{Body, FailureKind};
use crate::key::{Domain, Verdict};
use crate::provider::tests::{Script, failure, html, json};
use crate::provider::{Family, KeyAdmin};

fn older() -> String {
    ["p", "k_", &"0a1b".repeat(8), "c9"].concat()
}

fn newer() -> String {
    ["p", "k_", "AbC123", "_", &"0a1b".repeat(8), "c9"].concat()
}

fn credential<'a>(secret: &'a Secret, remote_id: Option<&'a str>) -> Credential<'a> {
    Credential {
        kind: Kind::Private,
        secret,
        region: None,
        domain: None,
        login: None,
        remote_id,
        account_id: None,
    }
}

/// Checks a key that may not read the list of keys.
fn check(text: &str, script: Script) -> Judgement {
    let secret = Secret::new(text.to_owned());
    let denied = json(403, &errors("permission_denied", "x"));
    let script = script.beside("GET /api/api-keys", denied);
    let judgement = Provider::check(&Klaviyo, &script.net(), &credential(&secret, None));
    for seen in script.seen() {
        assert_eq!(seen.auth, format!("authorization: Klaviyo-API-Key {text}"));
        assert!(
            seen.headers.iter().any(|(name, value)| *name == "revision" && value.starts_with(wire::REVISION))
        );
    }
    judgement
}

fn errors(code: &str, detail: &str) -> String {
    format!(r#"{{"errors":[{{"id":"1","status":0,"code":"{code}","title":"t","detail":"{detail}"}}]}}"#)
}

const ACCOUNT: &str = r#"{"data":[{"type":"account","id":"AbC123","attributes":{"test_account":false,
    "public_api_key":"AbC123","contact_information":{"organization_name":"Acme","default_sender_email":"a@acme.example"}}}]}"#;

#[test]
fn an_account_tells_who_it_is() {
    let script = Script::new([("GET /api/accounts", json(200, ACCOUNT))]);
    let judgement = check(&older(), script);
    assert_eq!(judgement.verdict(), Verdict::Valid);
    assert_eq!(judgement.facts.identity.as_deref(), Some("Acme (a@acme.example)"));
    assert_eq!(judgement.facts.account_id.as_deref(), Some("AbC123"));
}

#[test]
fn a_key_without_the_scope_lives() {
    let denied = errors("permission_denied", "You do not have permission to perform this action.");
    let script = Script::new([("GET /api/accounts", json(403, &denied))]);
    let judgement = check(&newer(), script);
    assert_eq!(judgement.verdict(), Verdict::Valid);
    assert_eq!(judgement.facts.account_id.as_deref(), Some("AbC123"), "the key carries it");
}

#[test]
fn one_endpoints_401_is_not_a_dead_key() {
    let refused = || json(401, &errors("authentication_failed", "Incorrect authentication credentials."));
    let alive = Script::new([
        ("GET /api/accounts", refused()),
        ("GET /api/catalog-categories", json(200, r#"{"data":[]}"#)),
    ]);
    assert_eq!(check(&older(), alive).verdict(), Verdict::Valid);
    let dead = Script::new([("GET /api/accounts", refused()), ("GET /api/catalog-categories", refused())]);
    let judgement = check(&older(), dead);
    assert_eq!(judgement.reasons(), [Reason::Unauthorized]);
    assert!(!judgement.causes.is_empty());
    let doubtful = Script::new([
        ("GET /api/accounts", refused()),
        ("GET /api/catalog-categories", Err(failure(FailureKind::NoAnswer))),
    ]);
    assert_eq!(check(&older(), doubtful).reasons(), [Reason::Unreachable]);
}

#[test]
fn what_proves_nothing_stays_unknown() {
    let cases = [
        (html(403, "<!DOCTYPE html>"), Reason::UnexpectedResponse),
        (html(400, "<html>"), Reason::UnexpectedResponse),
        (json(400, &errors("invalid", "Invalid input.")), Reason::UnexpectedResponse),
        (
            json(401, &errors("not_authenticated", "Authentication credentials were not provided.")),
            Reason::UnexpectedResponse,
        ),
        (json(401, "{}"), Reason::UnexpectedResponse),
        (json(403, ""), Reason::UnexpectedResponse),
        (json(410, &errors("gone", "x")), Reason::UnexpectedResponse),
        (json(415, &errors("x", "x")), Reason::UnexpectedResponse),
        (json(503, ""), Reason::ProviderError),
        (json(200, ""), Reason::UnexpectedResponse),
        (Err(failure(FailureKind::Tls)), Reason::Tls),
    ];
    for (answer, expected) in cases {
        let script = Script::new([("GET /api/accounts", answer.clone())]);
        assert_eq!(check(&older(), script).reason(), Some(expected), "{answer:?}");
    }
    let limited = Script::new([
        ("GET /api/accounts", json(429, &errors("throttled", "x"))),
        ("GET /api/catalog-categories", json(429, &errors("throttled", "x"))),
    ]);
    assert_eq!(check(&older(), limited).reason(), Some(Reason::RateLimited));
}

fn listed_keys(status: &str) -> String {
    let last4 = &older()[older().len() - 4..];
    format!(
        r#"{{"data":[{{"type":"api-key","id":"01H","attributes":{{"name":"shop","status":"{status}",
        "scopes":["profiles:read","credentials:read","credentials:write"],"created":"2026-01-02T00:00:00+00:00",
        "redacted_key":"pk_****{last4}"}}}},
        {{"type":"api-key","id":"02H","attributes":{{"name":"shop","status":"active","scopes":[],"redacted_key":"pk_****zzzz"}}}}]}}"#
    )
}

#[test]
fn a_key_finds_itself_in_the_list_by_its_last_four_characters() {
    let script = Script::new([
        ("GET /api/accounts", json(200, ACCOUNT)),
        ("GET /api/api-keys", json(200, &listed_keys("active"))),
    ]);
    let secret = Secret::new(older());
    let facts = Provider::check(&Klaviyo, &script.net(), &credential(&secret, None)).facts;
    assert_eq!(facts.remote_id.as_deref(), Some("01H"));
    assert_eq!(facts.permissions.unwrap().len(), 3);
    let twin = RemoteKey { masked: Some(format!("pk_****{}", &older()[33..])), ..RemoteKey::default() };
    assert_eq!(own(&[twin.clone(), twin], &secret), None, "two look the same");
}

#[test]
fn a_beta_that_says_no_leaves_the_guided_way() {
    let secret = Secret::new(older());
    let family = Family { kind: Kind::Private, domain: None, region: None };
    for (answer, expected) in [
        (json(404, &errors("not_found", "x")), Reason::UnexpectedResponse),
        (json(400, &errors("invalid", "revision")), Reason::UnexpectedResponse),
        (json(403, &errors("permission_denied", "x")), Reason::PermissionMissing),
        (html(404, "<html>"), Reason::UnexpectedResponse),
    ] {
        let script = Script::new([("GET /api/api-keys", answer)]);
        let trouble =
            KeyAdmin::list(&Klaviyo, script.net().by(&credential(&secret, None)), &family).unwrap_err();
        assert_eq!(trouble.reason, expected);
        assert!(!trouble.detail.contains('\n'));
    }
}

#[test]
fn a_switched_key_must_say_so() {
    let patched = |status: &str| {
        format!(
            r#"{{"data":{{"type":"api-key","id":"01H","attributes":{{"name":"n","status":"{status}","scopes":[]}}}}}}"#
        )
    };
    let secret = Secret::new(older());
    let script = Script::new([
        ("PATCH /api/api-keys/01H", json(200, &patched("disabled"))),
        ("PATCH /api/api-keys/01H", json(200, &patched("active"))),
        ("PATCH /api/api-keys/01H", json(404, &errors("not_found", "x"))),
        ("PATCH /api/api-keys/01H", Err(failure(FailureKind::NoAnswer))),
    ]);
    let set = || {
        crate::provider::KeySwitch::set(&Klaviyo, script.net().by(&credential(&secret, None)), "01H", false)
    };
    assert_eq!(set(), Ok(()));
    assert!(set().unwrap_err().outcome_unknown);
    assert_eq!(set().unwrap_err().reason, Reason::KeyNotFound);
    assert!(set().unwrap_err().outcome_unknown);
    let Body::Json(body) = &script.seen()[0].body else { panic!("no JSON") };
    assert_eq!(body["data"]["attributes"], serde_json::json!({"status": "disabled"}));
    assert!(script.seen()[0].headers.contains(&("revision", wire::BETA.to_owned())));
}

#[test]
fn domains_are_read_to_the_last_page() {
    let page = |name: &str, status: &str, next: &str| {
        format!(
            r#"{{"data":[{{"type":"sending-domain","id":"1","attributes":{{"domain":"{name}","status":"{status}",
            "dns_records":[{{"type":"cname","host":"s1._domainkey.{name}","value":"v","verified":false}}],
            "created_at":"2026-04-23T00:00:00Z"}}}}],"links":{{"next":{next}}}}}"#
        )
    };
    let next = r#""https://a.klaviyo.com/api/sending-domains?page%5Bsize%5D=20&page%5Bcursor%5D=b%3D1""#;
    let script = Script::new([
        ("GET /api/sending-domains", json(200, &page("a.example", "warming", next))),
        ("GET /api/sending-domains", json(200, &page("b.example", "pending", "null"))),
    ]);
    let secret = Secret::new(older());
    let listing = Klaviyo.domains().unwrap().list(script.net().by(&credential(&secret, None)));
    let told: Vec<(&str, bool)> = listing.domains.iter().map(|it| (it.name.as_str(), it.verified)).collect();
    assert_eq!(told, [("a.example", true), ("b.example", false)]);
    assert!(listing.troubles.is_empty());
    assert!(script.seen()[1].query.contains(&("page[cursor]", "b=1".to_owned())));
}

#[test]
fn a_lost_page_is_a_trouble_not_an_absence() {
    let script = Script::new([("GET /api/sending-domains", json(500, ""))]);
    let secret = Secret::new(older());
    let domain: Domain = "a.example".parse().unwrap();
    let shown = Klaviyo.domains().unwrap().show(script.net().by(&credential(&secret, None)), &domain, None);
    assert_eq!(shown.unwrap_err().reason, Reason::ProviderError);
}

fn states(wanted: &[&str], write: bool, script: &Script) -> Result<Vec<Option<bool>>, super::super::Trouble> {
    let wanted: Vec<String> = wanted.iter().map(|it| (*it).to_owned()).collect();
    let secret = Secret::new(older());
    let net = script.net();
    let states = Klaviyo.permissions().unwrap().check(net.by(&credential(&secret, None)), &wanted, write)?;
    assert!(states.iter().map(|it| &it.name).eq(wanted.iter()));
    Ok(states.into_iter().map(|it| it.granted).collect())
}

#[test]
fn the_list_of_keys_is_the_certain_way() {
    let script = Script::new([("GET /api/api-keys", json(200, &listed_keys("active")))]);
    let found = states(&["profiles:read", "profiles:write"], false, &script);
    assert_eq!(found, Ok(vec![Some(true), Some(false)]));
}

#[test]
fn probes_tell_what_the_list_does_not() {
    let denied = || json(403, &errors("permission_denied", "x"));
    let script = Script::new([
        ("GET /api/api-keys", denied()),
        ("GET /api/profiles", json(200, r#"{"data":[]}"#)),
        ("GET /api/lists", denied()),
        ("GET /api/webhooks", denied()),
        ("GET /api/push-tokens", denied()),
    ]);
    let wanted = [
        "push-tokens:read",
        "profiles:read",
        "lists:read",
        "webhooks:read",
        "conversations:read",
        "lists:write",
    ];
    let found = states(&wanted, false, &script).unwrap();
    assert_eq!(found, [Some(false), Some(true), Some(false), None, None, None]);
    assert!(script.seen()[1].query.contains(&("page[size]", "1".to_owned())));
}

#[test]
fn writes_are_probed_on_request_only_and_with_nothing() {
    let script = Script::new([
        ("GET /api/api-keys", json(403, &errors("permission_denied", "x"))),
        ("POST /api/profiles", json(400, &errors("invalid", "data is required"))),
        ("POST /api/lists", json(403, &errors("permission_denied", "x"))),
        ("POST /api/tags", json(403, &errors("permission_denied", "x"))),
    ]);
    let found = states(&["profiles:write", "lists:write", "tags:write", "data-privacy:write"], true, &script);
    assert_eq!(found, Ok(vec![Some(true), Some(false), None, None]));
    assert!(script.seen()[1..].iter().all(|it| it.body == Body::Json(serde_json::json!({}))));
}

#[test]
fn a_dead_key_is_not_asked_on() {
    let refused = || json(401, &errors("authentication_failed", "x"));
    let script = Script::new([("GET /api/profiles", refused())]);
    assert_eq!(
        states(&["profiles:read", "lists:read"], false, &script).unwrap_err().reason,
        Reason::Unauthorized
    );
    let later =
        Script::new([("GET /api/profiles", json(200, r#"{"data":[]}"#)), ("GET /api/lists", refused())]);
    assert_eq!(states(&["profiles:read", "lists:read"], false, &later), Ok(vec![Some(true), None]));
    let cut = Script::new([
        ("GET /api/profiles", json(200, r#"{"data":[]}"#)),
        ("GET /api/lists", Err(failure(FailureKind::NotSent))),
    ]);
    let wanted = ["profiles:read", "lists:read", "segments:read"];
    assert_eq!(states(&wanted, false, &cut), Ok(vec![Some(true), None, None]));
}

#[test]
fn old_and_translated_names_have_one_spelling() {
    for (given, expected) in [
        ("list:read", "lists:read"),
        ("template:write", "templates:write"),
        ("Kampagne:lesen", "campaigns:read"),
        ("Veranstaltungen:schreiben", "events:write"),
        ("datenschutz:write", "data-privacy:write"),
        ("list:full", "lists:write"),
        ("coupon_codes:read", "coupon-codes:read"),
        ("campaigns:read", "campaigns:read"),
    ] {
        assert_eq!(scopes::normalise(given).as_deref(), Ok(expected), "{given}");
    }
    assert!(scopes::normalise("lists:delete").unwrap_err().contains("lists:read and lists:write"));
    assert!(scopes::normalise("nothing").is_err());
}

#[test]
fn an_operation_tells_what_it_needs() {
    let needed = |method: &str, path: &str| scopes::needed_for(method, path).map(|it| it.join(","));
    assert_eq!(needed("GET", "/api/profiles?include=lists").as_deref(), Some("lists:read,profiles:read"));
    assert_eq!(needed("get", "https://a.klaviyo.com/api/profiles/").as_deref(), Some("profiles:read"));
    assert_eq!(
        needed("POST", "/api/profile-subscription-bulk-create-jobs").as_deref(),
        Some("lists:write,profiles:write,subscriptions:write")
    );
    assert_eq!(
        needed("GET", "/api/events?include=metric,profile").as_deref(),
        Some("events:read,metrics:read,profiles:read")
    );
    assert_eq!(needed("PATCH", "/api/api-keys/01H").as_deref(), Some("credentials:write"));
    assert_eq!(needed("DELETE", "/api/nothing"), None);
    assert_eq!(needed("GET", "/api/profiles//x/y/z"), None);
    // Every scope named by an operation is a scope.
    for line in include_str!("scopes.tsv").lines().filter(|it| !it.starts_with('#')) {
        let column = line.split('\t').nth(2).unwrap();
        for name in column.split(',').filter(|it| !it.is_empty()) {
            assert!(scopes::find(name).is_some(), "{line}");
        }
    }
    assert_eq!(scopes::all().len(), 63);
}

#[test]
fn the_prefilled_page_has_exactly_the_scopes_asked_for() {
    let permissions = [
        "campaigns:read".to_owned(),
        "list:write".to_owned(),
        "campaigns:read".to_owned(),
        "&x=1".to_owned(),
    ];
    let ask = ConsoleAsk { permissions: &permissions, ..ConsoleAsk::default() };
    let guide = Klaviyo.console(ConsoleTask::Create, &ask).unwrap();
    assert_eq!(guide.url, "https://www.klaviyo.com/create-private-api-key?scopes=campaigns:read,lists:write");
    let full = ["full".to_owned()];
    let ask = ConsoleAsk { permissions: &full, ..ConsoleAsk::default() };
    let guide = Klaviyo.console(ConsoleTask::Create, &ask).unwrap();
    assert!(guide.url.contains("profiles:write") && !guide.url.contains("credentials"));
    assert_eq!(Klaviyo.console(ConsoleTask::Paste, &ask), None);
}

#[test]
fn pasted_texts_are_told_apart_offline() {
    let key = |certain| Recognition::Key(vec![Candidate { kind: Kind::Private, certain }]);
    assert_eq!(recognise(&older()), key(true));
    assert_eq!(recognise(&newer()), key(true));
    assert_eq!(recognise(&format!("{}0", older())), key(false));
    for refused in [
        "AbC123",
        &["p", "k_live_", "51Habc"].concat(),
        &["p", "k_****", "abcd"].concat(),
        &older()[..20],
        &newer()[..30],
        "pk_",
    ] {
        assert!(matches!(recognise(refused), Recognition::Refused(_)), "{refused}");
    }
    assert_eq!(recognise("secret"), Recognition::No);
    assert_eq!(company(&Secret::new(newer())).as_deref(), Some("AbC123"));
    assert_eq!(company(&Secret::new(older())), None);
}

#[test]
fn a_preview_needs_a_template() {
    let secret = Secret::new(older());
    let script = Script::new([(
        "POST /api/template-preview-send-jobs",
        json(
            202,
            r#"{"data":{"type":"template-preview-send-job","id":"j1","attributes":{"status":"queued"}}}"#,
        ),
    )]);
    let mail = Klaviyo.test_mail().unwrap();
    assert!(mail.needs_template());
    let sent =
        mail.send_template(script.net().by(&credential(&secret, None)), "T1", "to@example.net").unwrap();
    assert_eq!(sent.message_id.as_deref(), Some("j1"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_body_makes_it_panic_or_call_a_key_dead(status in 200u16..600, body in any_json()) {
        prop_assume!(!matches!(status, 401 | 420 | 429));
        let script = Script::new([("GET /api/accounts", json(status, &body))]);
        prop_assert_ne!(check(&older(), script).verdict(), Verdict::Rejected);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,120}") {
        let _ = recognise(&text);
        let _ = recognise(&format!("{PREFIX}{text}"));
        let _ = scopes::normalise(&text);
        let _ = scopes::needed_for("GET", &text);
        let secret = Secret::new(text);
        let _ = own(&[], &secret);
    }
}

fn any_json() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null"),
        Just("[]"),
        Just("[null]"),
        Just("[{}]"),
        Just("{}"),
        Just("7"),
        Just("\"é\""),
        Just(r#"[{"id":7,"attributes":{}}]"#),
        Just(r#"[{"code":"authentication_failed"}]"#),
    ];
    let member = prop_oneof![Just("data"), Just("errors"), Just("links")];
    let object = prop::collection::vec((member, value), 0..4).prop_map(|members| {
        let inside: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", inside.join(","))
    });
    prop_oneof![object, "\\PC{0,60}"]
}
