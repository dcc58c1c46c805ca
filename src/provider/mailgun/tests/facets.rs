//! Domains, test mails, allowlist, inbound routes.

use super::*;
use crate::provider::{AllowlistEntry, Delivery, Fate, Sent};
use crate::smtp::{Accepted, Message};

fn message() -> Message {
    Message {
        from: "keyctl-test@mg.acme.example".into(),
        to: "a@example.org".into(),
        subject: "s".into(),
        text: "t".into(),
        headers: Vec::new(),
    }
}

#[test]
fn a_listing_tells_which_region_could_not_be_read() {
    let secret = secret();
    let fake = Fake::new(|call| match call.region {
        Region::Us => known(200, &list_of(&[row("a.example", "active")])),
        Region::Eu => plain(503, ""),
    });
    let listing = DomainList::list(&Mailgun, fake.net().by(&credential(Kind::Account, &secret)));
    assert_eq!(listing.domains.len(), 1);
    let troubles: Vec<_> = listing.troubles.iter().map(|(region, it)| (*region, it.reason)).collect();
    assert_eq!(troubles, [(Some(Region::Eu), Reason::ProviderError)]);
    assert!(
        Mailgun.may_list(Kind::Account) && !Mailgun.may_list(Kind::Sending) && !Mailgun.may_list(Kind::Smtp)
    );
}

#[test]
fn a_domain_is_shown_from_the_region_it_is_in() {
    let secret = secret();
    let credential = credential(Kind::Account, &secret);
    let whole = serde_json::json!({"domain": row("mg.acme.example", "unverified"), "sending_dns_records": [
        {"record_type": "TXT", "valid": "unknown", "value": "v=spf1 include:mailgun.org ~all", "name": "mg.acme.example"}]})
    .to_string();
    let missing = || known(404, r#"{"message":"Domain not found"}"#);
    let show = |us: Answer, eu: Answer, region| {
        let fake = Fake::new(|call| if call.region == Region::Us { us.clone() } else { eu.clone() });
        Mailgun.show(fake.net().by(&credential), &domain(), region)
    };
    let found = show(missing(), known(200, &whole), None).unwrap().unwrap();
    assert_eq!((found.region, found.verified), (Some(Region::Eu), false));
    assert_eq!(show(missing(), missing(), None), Ok(None));
    assert!(show(missing(), plain(500, "{}"), None).is_err());
    assert_eq!(show(missing(), known(200, &whole), Some(Region::Us)), Ok(None));
    assert!(show(plain(404, "404 page not found"), missing(), Some(Region::Us)).is_err());

    let fake = Fake::new(|call| match call.line.as_str() {
        "PUT /v4/domains/mg.acme.example/verify" => known(200, &whole),
        other => panic!("not expected: {other}"),
    });
    assert!(Mailgun.verify(fake.net().by(&credential), &domain(), Some(Region::Us)).is_ok());
}

#[test]
fn a_test_mail_goes_to_the_region_that_takes_it() {
    let secret = secret();
    let credential = credential(Kind::Sending, &secret);
    let taken = r#"{"id":"<1@mg.acme.example>","message":"Queued. Thank you."}"#;
    let fake = Fake::new(|call| if call.region == Region::Us { refused() } else { known(200, taken) });
    let sent =
        TestMail::send(&Mailgun, fake.net().by(&credential), &message(), &domain(), Delivery::TestMode)
            .unwrap();
    assert_eq!(sent.message_id.as_deref(), Some("<1@mg.acme.example>"));
    assert_eq!(fake.calls()[1].field("o:testmode"), Some("yes"));
    // A message that may have been taken is not sent again elsewhere.
    for answer in [
        silent(FailureKind::NoAnswer),
        plain(500, "{}"),
        known(400, r#"{"message":"to parameter is not a valid address. please check documentation"}"#),
    ] {
        let fake = Fake::new(|_| answer.clone());
        let result =
            TestMail::send(&Mailgun, fake.net().by(&credential), &message(), &domain(), Delivery::Real);
        assert!(result.is_err());
        assert_eq!(fake.lines().len(), 1);
        assert_eq!(fake.calls()[0].field("o:testmode"), None);
    }
    let sandbox = r#"{"message":"Domain d is not allowed to send: Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients in Account Settings."}"#;
    let fake = Fake::new(|_| known(403, sandbox));
    let trouble = TestMail::send(&Mailgun, fake.net().by(&credential), &message(), &domain(), Delivery::Real)
        .unwrap_err();
    assert_eq!(trouble.reason, Reason::SandboxDomain);
    assert!(trouble.hint.unwrap().contains("authorized recipients"));
}

#[test]
fn the_relay_is_told_to_drop_a_message_of_test_mode() {
    let secret = Secret::new("correct horse".to_owned());
    let taken = Accepted {
        reply: "250 Great success".into(),
        message_id: Some("<2@x>".into()),
        ..Accepted::default()
    };
    let script = Script::relay([Ok(taken)]);
    let credential = Credential { login: Some("a@mg.acme.example"), ..credential(Kind::Smtp, &secret) };
    let sent = Mailgun.relay(script.net().by(&credential), &message(), Delivery::TestMode).unwrap();
    assert_eq!(sent.message_id.as_deref(), Some("<2@x>"));
    assert_eq!(script.messages.lock().unwrap()[0].headers, [("X-Mailgun-Drop-Message", "yes".to_owned())]);
}

#[test]
fn the_logs_tell_what_became_of_a_message() {
    let secret = secret();
    let reader = credential(Kind::Account, &secret);
    let entry = |event: &str, severity: &str, id: &str| {
        serde_json::json!({"event": event, "severity": severity, "@timestamp": "2025-11-24T16:00:01Z",
            "message": {"headers": {"message-id": id}}, "delivery-status": {"code": 550, "message": "no such user"}})
    };
    let fate = |entries: &[serde_json::Value]| {
        let body = serde_json::json!({"items": entries, "pagination": {}}).to_string();
        let fake = Fake::new(|_| known(200, &body));
        let sent = Sent { message_id: Some("<1@x>".into()), detail: String::new(), at: fake.net().now };
        Mailgun.follow(fake.net().by(&reader), &sent, &domain(), Some(Region::Us)).unwrap()
    };
    assert_eq!(fate(&[]).0, Fate::Pending);
    assert_eq!(fate(&[entry("accepted", "", "1@x"), entry("delivered", "", "other@x")]).0, Fate::Pending);
    assert_eq!(fate(&[entry("failed", "temporary", "1@x")]).0, Fate::Pending);
    assert_eq!(
        fate(&[entry("failed", "temporary", "1@x"), entry("delivered", "", "1@x")]).0,
        Fate::Delivered
    );
    let (ended, events) = fate(&[entry("failed", "permanent", "<1@x>")]);
    assert_eq!(ended, Fate::Failed);
    assert_eq!(events[0].detail.as_deref(), Some("permanent, 550 no such user"));
    assert_eq!(fate(&[entry("rejected", "", "1@x")]).0, Fate::Failed);
}

#[test]
fn the_allowlist_is_read_whole_or_not_at_all() {
    let secret = secret();
    let credential = credential(Kind::Account, &secret);
    let read = |body: &str| {
        let fake = Fake::new(|_| known(200, body));
        Allowlist::read(&Mailgun, fake.net().by(&credential))
    };
    assert_eq!(read(r#"{"addresses":[]}"#), Ok(vec![]));
    let office = AllowlistEntry { address: "192.0.2.7".into(), description: Some("office".into()) };
    assert_eq!(
        read(r#"{"addresses":[{"ip_address":"192.0.2.7","description":"office"}]}"#),
        Ok(vec![office.clone()])
    );
    assert!(read(r#"{"addresses":[{"address":"192.0.2.7"}]}"#).is_err());
    assert!(read("{}").is_err());
    let fake = Fake::new(|call| match call.line.as_str() {
        "POST /v2/ip_whitelist" => known(200, r#"{"addresses":[]}"#),
        "DELETE /v2/ip_whitelist" if call.asks("address") == Some("192.0.2.7") => {
            known(200, r#"{"addresses":[]}"#)
        }
        "DELETE /v2/ip_whitelist" => known(400, r#"{"message":"IP not found"}"#),
        other => panic!("not expected: {other}"),
    });
    assert_eq!(Mailgun.add(fake.net().by(&credential), &office), Ok(()));
    assert_eq!(fake.calls()[0].field("description"), Some("office"));
    assert_eq!(Mailgun.remove(fake.net().by(&credential), "192.0.2.7"), Ok(true));
    assert_eq!(Mailgun.remove(fake.net().by(&credential), "192.0.2.8"), Ok(false));
}

#[test]
fn the_inbound_route_of_an_address_is_asked_for() {
    let secret = secret();
    let credential = credential(Kind::Account, &secret);
    let route = r#"{"id":"1","priority":0,"expression":"match_recipient(\".*@mg\\.acme\\.example\")","actions":["forward(\"https://services.example/x\")","stop()"]}"#;
    let fake = Fake::new(|call| match (call.line.as_str(), call.asks("address")) {
        ("GET /v3/routes/match", Some("probe@mg.acme.example")) => {
            known(200, &format!("{{\"route\":{route}}}"))
        }
        ("GET /v3/routes/match", _) => known(404, r#"{"message":"Route not found"}"#),
        ("GET /v3/routes", _) => known(200, &format!("{{\"total_count\":1,\"items\":[{route}]}}")),
        other => panic!("not expected: {other:?}"),
    });
    let found =
        Mailgun.matching(fake.net().by(&credential), "probe@mg.acme.example", Region::Us).unwrap().unwrap();
    assert_eq!(found.actions.len(), 2);
    assert_eq!(Mailgun.matching(fake.net().by(&credential), "x@y.example", Region::Us), Ok(None));
    assert_eq!(Inbound::list(&Mailgun, fake.net().by(&credential), Region::Us).unwrap(), [found]);
}
