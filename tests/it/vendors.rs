//! Brevo, Klaviyo and HighLevel by the real client against the sandbox: what
//! the providers make of keys in every state, and what they change.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use keyctl::http::{Client, Origin, Settings};
use keyctl::key::{Domain, Judgement, Kind, ProviderId, Reason, Secret, Verdict};
use keyctl::provider::{Credential, Delivery, Family, Fate, MailgunPush, Net, Provider, provider};
use keyctl::smtp::{Accepted, Message, Relay, Smtp, SmtpFailure};
use serde_json::{Value, json};

use crate::support::World;
use crate::support::sandbox::Sandbox;

/// No relay is asked in these tests.
struct NoRelay;

impl Smtp for NoRelay {
    fn login(&self, _: &'static Relay, _: &str, _: &Secret, _: Instant) -> Result<Accepted, SmtpFailure> {
        panic!("a relay was asked")
    }
    fn send(
        &self,
        _: &'static Relay,
        _: &str,
        _: &Secret,
        _: &Message,
        _: Instant,
    ) -> Result<Accepted, SmtpFailure> {
        panic!("a relay was asked")
    }
}

/// A provider, led to the sandbox.
struct Desk {
    sandbox: Sandbox,
    client: Client,
    provider: &'static dyn Provider,
}

impl Desk {
    fn of(id: ProviderId) -> Self {
        let sandbox = Sandbox::start();
        let provider = provider(id);
        let mut settings = Settings::new(Timestamp::now());
        for host in provider.hosts() {
            settings.overrides.insert(host.variable, Origin::parse(sandbox.export(host.variable)).unwrap());
        }
        Self { sandbox, client: Client::new(settings), provider }
    }

    fn net(&self) -> Net<'_> {
        Net {
            http: &self.client,
            smtp: &NoRelay,
            now: Timestamp::now(),
            deadline: Instant::now() + Duration::from_secs(10),
            patience: None,
        }
    }

    fn make(&self, path: &str, body: Value) -> Value {
        self.sandbox.control("POST", path, body)
    }

    fn change(&self, path: &str, body: Value) {
        self.sandbox.control("PUT", path, body);
    }

    fn check(&self, kind: Kind, secret: &Secret) -> Judgement {
        self.provider.check(&self.net(), &credential(kind, secret))
    }
}

fn credential(kind: Kind, secret: &Secret) -> Credential<'_> {
    Credential { kind, secret, region: None, domain: None, login: None, remote_id: None, account_id: None }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn secret(made: &Value) -> Secret {
    Secret::new(text(made, "secret"))
}

#[test]
fn brevos_keys_are_judged_in_every_state() {
    let desk = Desk::of(ProviderId::Brevo);
    let account = desk.make("/brevo/accounts", json!({"company": "Shop"}));
    let id = text(&account, "id");
    let made = desk.make(&format!("/brevo/accounts/{id}/keys"), json!({"kind": "api"}));
    let key = secret(&made);
    let keys = format!("/brevo/keys/{}", text(&made, "id"));
    let settings = format!("/brevo/accounts/{id}/settings");
    let reason = || desk.check(Kind::Api, &key).reason();

    let judgement = desk.check(Kind::Api, &key);
    assert_eq!(judgement.verdict(), Verdict::Valid, "{judgement:?}");
    assert_eq!(judgement.facts.account_id, Some(text(&account, "organization_id")));
    assert_eq!(judgement.facts.login, Some(text(&account, "smtp_login")));

    for (path, body, expected, back) in [
        (&keys, json!({"state": "deactivated"}), Reason::Disabled, json!({"state": "active"})),
        (&keys, json!({"expires_in": -1}), Reason::KeyNotFound, json!({"expires_in": 3600})),
        (&settings, json!({"api_blocking": true}), Reason::IpBlocked, json!({"api_blocking": false})),
        (&settings, json!({"activated": false}), Reason::AccountNotActivated, json!({"activated": true})),
        (&settings, json!({"credits": 0}), Reason::OutOfCredit, json!({"credits": 300})),
        (
            &settings,
            json!({"under_validation": true}),
            Reason::UnexpectedResponse,
            json!({"under_validation": false}),
        ),
    ] {
        desk.change(path, body);
        assert_eq!(reason(), Some(expected));
        desk.change(path, back);
        assert_eq!(reason(), None);
    }
    let restricted =
        desk.make(&format!("/brevo/accounts/{id}/keys"), json!({"kind": "api", "permissions": ["domains"]}));
    assert_eq!(desk.check(Kind::Api, &secret(&restricted)).reasons(), [Reason::PermissionMissing]);
    let nothing = desk.make(&format!("/brevo/accounts/{id}/keys"), json!({"kind": "api", "permissions": []}));
    assert_eq!(desk.check(Kind::Api, &secret(&nothing)).reasons(), [Reason::UnexpectedResponse]);
    let before = desk.sandbox.requests().len();
    let smtp = desk.make(&format!("/brevo/accounts/{id}/keys"), json!({"kind": "smtp"}));
    assert_eq!(desk.check(Kind::Api, &secret(&smtp)).reasons(), [Reason::WrongKind]);
    assert_eq!(desk.sandbox.requests().len(), before, "nothing was sent");
}

#[test]
fn brevos_domains_and_mails_are_followed() {
    let desk = Desk::of(ProviderId::Brevo);
    let id = text(&desk.make("/brevo/accounts", json!({})), "id");
    let key = secret(&desk.make(&format!("/brevo/accounts/{id}/keys"), json!({"kind": "api"})));
    for body in [
        json!({"name": "shop.example", "authenticated": true, "verified": true}),
        json!({"name": "new.example", "dkim": true}),
    ] {
        desk.make(&format!("/brevo/accounts/{id}/domains"), body);
    }
    let credential = credential(Kind::Api, &key);
    let domains = desk.provider.domains().unwrap();
    let listing = domains.list(desk.net().by(&credential));
    assert!(listing.troubles.is_empty());
    let ready: Vec<bool> = listing.domains.iter().map(|it| it.verified).collect();
    assert_eq!(ready, [true, false]);
    let new: Domain = "new.example".parse().unwrap();
    assert!(domains.verify(desk.net().by(&credential), &new, None).unwrap().verified);
    let absent: Domain = "absent.example".parse().unwrap();
    assert_eq!(domains.show(desk.net().by(&credential), &absent, None), Ok(None));

    let mail = desk.provider.test_mail().unwrap();
    let domain: Domain = "shop.example".parse().unwrap();
    let message = |from: &str, to: &str| Message {
        from: from.to_owned(),
        to: to.to_owned(),
        subject: "A test".to_owned(),
        text: "A test".to_owned(),
        headers: Vec::new(),
    };
    let send = |from: &str, to: &str, delivery| {
        mail.send(desk.net().by(&credential), &message(from, to), &domain, delivery)
    };
    send("a@shop.example", "b@there.example", Delivery::TestMode).unwrap();
    assert!(desk.sandbox.messages().is_empty(), "the sandbox flag delivers nothing");
    for (to, expected) in [("b@there.example", Fate::Delivered), ("bounce@there.example", Fate::Failed)] {
        let sent = send("a@shop.example", to, Delivery::Real).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        let (fate, events) = mail.follow(desk.net().by(&credential), &sent, &domain, None).unwrap();
        assert_eq!((fate, events.len()), (expected, 2));
    }
    let refused = send("a@foreign.example", "b@there.example", Delivery::Real).unwrap_err();
    assert_eq!(refused.reason, Reason::DomainNotVerified);
    assert_eq!(desk.sandbox.messages().len(), 2);
}

#[test]
fn brevos_smtp_keys_are_proven_at_the_relay() {
    let desk = Desk::of(ProviderId::Brevo);
    let account = desk.make("/brevo/accounts", json!({}));
    let (id, login) = (text(&account, "id"), text(&account, "smtp_login"));
    let made = desk.make(&format!("/brevo/accounts/{id}/keys"), json!({"kind": "smtp"}));
    let keys = format!("/brevo/keys/{}", text(&made, "id"));
    let settings = format!("/brevo/accounts/{id}/settings");
    let mut world = World::bare().with("MY_KEY", &text(&made, "secret"));
    world.join(&desk.sandbox.env());
    let validate = |login: &str, code| {
        let arguments =
            ["validate", "--provider", "brevo", "--kind", "smtp", "--login", login, "--from-env", "MY_KEY"];
        world.data(&arguments, code)["results"][0].clone()
    };
    assert_eq!(validate(&login, 0)["verdict"], "valid");
    let refused = validate("owner@shop.example", 3);
    assert_eq!((&refused["reason"], &refused["causes"][0]), (&json!("unauthorized"), &json!("wrong-login")));
    desk.change(&settings, json!({"smtp_blocking": true}));
    assert_eq!(validate(&login, 4)["reason"], "ip-blocked");
    desk.change(&settings, json!({"smtp_blocking": false}));
    desk.change(&keys, json!({"state": "deactivated"}));
    let refused = validate(&login, 3);
    assert_eq!((&refused["reason"], &refused["causes"][0]), (&json!("unauthorized"), &json!("revoked")));
    let logins: Vec<Value> =
        desk.sandbox.requests().into_iter().filter(|it| it["protocol"] == "smtp").collect();
    assert_eq!(logins.len(), 4, "one conversation a run");
    assert!(logins.iter().all(|it| it["auth_attempts"] == 1), "{logins:#?}");
    assert!(desk.sandbox.messages().is_empty());
}

/// A Klaviyo account's id and a key of it with these scopes.
fn klaviyo_key(desk: &Desk, scopes: &[&str]) -> (String, Value) {
    let account = text(&desk.make("/klaviyo/accounts", json!({})), "id");
    let made =
        desk.make(&format!("/klaviyo/accounts/{account}/keys"), json!({"scopes": scopes, "name": "shop"}));
    (account, made)
}

#[test]
fn klaviyos_keys_are_judged_in_every_state() {
    let desk = Desk::of(ProviderId::Klaviyo);
    let (account, made) = klaviyo_key(&desk, &["accounts:read", "credentials:read"]);
    let key = secret(&made);
    let judgement = desk.check(Kind::Private, &key);
    assert_eq!(judgement.verdict(), Verdict::Valid, "{judgement:?}");
    assert_eq!(judgement.facts.account_id, Some(account));
    assert_eq!(judgement.facts.remote_id, Some(text(&made, "id")));
    assert_eq!(judgement.facts.permissions.unwrap(), ["accounts:read", "credentials:read"]);

    let (account, narrow) = klaviyo_key(&desk, &["profiles:write"]);
    let judgement = desk.check(Kind::Private, &secret(&narrow));
    assert_eq!((judgement.verdict(), judgement.facts.account_id), (Verdict::Valid, Some(account)));

    let one_401 =
        json!({"errors": [{"id": "1", "code": "authentication_failed", "title": "x", "detail": "x"}]});
    desk.sandbox.fault(json!({"host": "klaviyo", "path_prefix": "/api/accounts", "times": 1,
        "action": {"status": 401, "body": one_401}}));
    assert_eq!(desk.check(Kind::Private, &key).verdict(), Verdict::Valid, "one endpoint's 401");
    desk.sandbox.fault(json!({"host": "klaviyo", "times": 1, "action": {"html_proxy": 403}}));
    assert_eq!(desk.check(Kind::Private, &key).reason(), Some(Reason::UnexpectedResponse));
    desk.change(&format!("/klaviyo/keys/{}", text(&made, "id")), json!({"disabled": true}));
    assert_eq!(desk.check(Kind::Private, &key).reason(), Some(Reason::Unauthorized));
}

#[test]
fn klaviyos_scopes_are_listed_or_probed() {
    let desk = Desk::of(ProviderId::Klaviyo);
    let permissions = desk.provider.permissions().unwrap();
    let wanted = ["profiles:read", "lists:read", "campaigns:read", "lists:write"].map(str::to_owned);
    let states = |key: &Secret| {
        let found =
            permissions.check(desk.net().by(&credential(Kind::Private, key)), &wanted, false).unwrap();
        found.into_iter().map(|it| it.granted).collect::<Vec<_>>()
    };
    let (_, open) = klaviyo_key(&desk, &["credentials:read", "profiles:read", "lists:write"]);
    assert_eq!(states(&secret(&open)), [Some(true), Some(false), Some(false), Some(true)]);
    let (_, closed) = klaviyo_key(&desk, &["profiles:read", "lists:write"]);
    assert_eq!(states(&secret(&closed)), [Some(true), Some(false), Some(false), None]);
    let all =
        permissions.check(desk.net().by(&credential(Kind::Private, &secret(&closed))), &[], false).unwrap();
    let granted: Vec<&str> =
        all.iter().filter(|it| it.granted == Some(true)).map(|it| it.name.as_str()).collect();
    assert_eq!((all.len(), granted), (63, vec!["profiles:read"]));
}

#[test]
fn klaviyos_keys_are_switched_and_domains_listed() {
    let desk = Desk::of(ProviderId::Klaviyo);
    let scopes = ["credentials:read", "credentials:write", "sender-config:read", "templates:write"];
    let (account, managing) = klaviyo_key(&desk, &scopes);
    let old = desk
        .make(&format!("/klaviyo/accounts/{account}/keys"), json!({"scopes": ["lists:read"], "older": true}));
    let (manager, old_secret) = (secret(&managing), secret(&old));
    let manager = credential(Kind::Private, &manager);
    let keys = desk.provider.keys().unwrap();
    let family = Family { kind: Kind::Private, domain: None, region: None };
    let listed = keys.list(desk.net().by(&manager), &family).unwrap();
    assert_eq!(keys.own(&listed, &old_secret).unwrap().id, text(&old, "id"));
    let switch = keys.switch().unwrap();
    switch.set(desk.net().by(&manager), &text(&old, "id"), false).unwrap();
    assert!(!desk.check(Kind::Private, &old_secret).accepted());
    switch.set(desk.net().by(&manager), &text(&old, "id"), true).unwrap();
    assert!(desk.check(Kind::Private, &old_secret).accepted());

    for at in 0..21 {
        let status = if at == 20 { "warming" } else { "pending" };
        let domain = format!("d{at}.example");
        desk.make(
            &format!("/klaviyo/accounts/{account}/domains"),
            json!({"domain": domain, "status": status}),
        );
    }
    let domains = desk.provider.domains().unwrap().list(desk.net().by(&manager));
    assert_eq!(domains.domains.len(), 21, "two pages");
    assert_eq!(domains.domains.iter().filter(|it| it.verified).count(), 1);

    let template = text(&desk.make(&format!("/klaviyo/accounts/{account}/templates"), json!({})), "id");
    let mail = desk.provider.test_mail().unwrap();
    mail.send_template(desk.net().by(&manager), &template, "b@there.example").unwrap();
    assert_eq!(desk.sandbox.messages().len(), 1);
    desk.change(&format!("/klaviyo/accounts/{account}/settings"), json!({"beta": false}));
    let refused = keys.list(desk.net().by(&manager), &family).unwrap_err();
    assert!(refused.detail.contains("beta"), "{}", refused.detail);
}

#[test]
fn validate_proves_recorded_and_required_scopes_of_klaviyo_keys() {
    let desk = Desk::of(ProviderId::Klaviyo);
    let (_, made) = klaviyo_key(&desk, &["profiles:read"]);
    let key = secret(&made);
    let mut world = World::bare().with("KEYCTL_STORE", "env");
    world.join(&desk.sandbox.env());
    world.set(&keyctl::store::env::variable(&"klaviyo@acme".parse().unwrap()), key.expose());
    let inventory = |permissions: &str| {
        world.write_inventory(&format!(
            "version = 1\n\n[key.\"klaviyo@acme\"]\nid = \"ktest0aaaa\"\nkind = \"private\"\ncurrent = 1\n\
             highest = 1\nfingerprint = \"{}\"\npermissions = [{permissions}]\n",
            key.fingerprint()
        ));
    };
    inventory("\"profiles:read\"");
    let validate = |arguments: &[&str], code| {
        let data = world.data(&[&["validate", "--strict"], arguments].concat(), code);
        let result = &data["results"][0];
        (result["verdict"].clone(), result["reasons"].clone(), result["missing"].clone())
    };
    assert_eq!(validate(&[], 0), (json!("valid"), json!([]), json!([])));
    let lacks = (json!("limited"), json!(["permission-missing"]), json!(["lists:read"]));
    assert_eq!(validate(&["--require", "list:read"], 3), lacks);
    let unclear = (json!("unknown"), json!(["permission-not-checkable"]), json!([]));
    assert_eq!(validate(&["--require", "lists:write"], 4), unclear);
    inventory("\"profiles:read\", \"lists:read\"");
    assert_eq!(validate(&[], 5), lacks);
}

#[test]
fn highlevels_tokens_are_judged_in_every_state() {
    let desk = Desk::of(ProviderId::Highlevel);
    let company = text(&desk.make("/highlevel/companies", json!({})), "id");
    let other = text(&desk.make("/highlevel/companies", json!({})), "id");
    let locations = format!("/highlevel/companies/{company}/locations");
    let location = text(&desk.make(&locations, json!({"name": "Berlin"})), "id");
    let foreign =
        text(&desk.make(&format!("/highlevel/companies/{other}/locations"), json!({"name": "X"})), "id");
    let tokens = format!("/highlevel/companies/{company}/tokens");
    let made = desk.make(&tokens, json!({"level": "agency"}));
    let agency = secret(&made);
    let one = secret(&desk.make(&tokens, json!({"level": "location", "location": location})));

    let judgement = desk.check(Kind::Agency, &agency);
    assert_eq!((judgement.verdict(), judgement.facts.account_id), (Verdict::Valid, Some(company)));
    let judgement = desk.check(Kind::Location, &one);
    assert_eq!((judgement.verdict(), judgement.facts.account_id), (Verdict::Valid, Some(location)));
    let elsewhere = Credential { account_id: Some(&foreign), ..credential(Kind::Location, &one) };
    let judgement = desk.provider.check(&desk.net(), &elsewhere);
    assert_eq!(judgement.reasons(), [Reason::PermissionMissing]);

    let token = format!("/highlevel/tokens/{}", text(&made, "id"));
    desk.change(&token, json!({"scopes": []}));
    assert_eq!(desk.check(Kind::Agency, &agency).reasons(), [Reason::PermissionMissing]);
    desk.change(&token, json!({"dead": true}));
    assert_eq!(desk.check(Kind::Agency, &agency).reasons(), [Reason::Unauthorized]);
}

#[test]
fn a_mailgun_key_reaches_a_location_and_a_lost_field_is_seen() {
    let desk = Desk::of(ProviderId::Highlevel);
    let company = text(&desk.make("/highlevel/companies", json!({})), "id");
    for at in 0..25 {
        let fields = json!({"name": format!("Location {at}"), "business": {"email": "a@acme.example"}});
        desk.make(&format!("/highlevel/companies/{company}/locations"), fields);
    }
    let tokens = format!("/highlevel/companies/{company}/tokens");
    let agency = secret(&desk.make(&tokens, json!({"level": "agency"})));
    let credential = credential(Kind::Agency, &agency);
    let locations = desk.provider.locations().unwrap();
    desk.change(&format!("/highlevel/companies/{company}/settings"), json!({"page_limit": 10}));
    let all = locations.list(desk.net().by(&credential), Some(&company)).unwrap();
    assert_eq!(all.len(), 25, "a server that caps the page is read to the end");

    let id = &all[7].id;
    let key = Secret::new(["key", "-", &"7f".repeat(16)].concat());
    let domain: Domain = "mg.acme.example".parse().unwrap();
    let push = MailgunPush { location: id, company: &company, key: &key, domain: &domain };
    let read = || locations.read(desk.net().by(&credential), id).unwrap().unwrap();
    let before = read();
    locations.put_mailgun(desk.net().by(&credential), &push).unwrap();
    assert!(before.changes(&read()).is_empty());
    let state = desk.sandbox.control("GET", "/state", Value::Null);
    let held = state["highlevel"]["locations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["id"] == id.as_str())
        .unwrap();
    assert_eq!(held["mailgun"], json!({"apiKey": key.expose(), "domain": "mg.acme.example"}));

    desk.change(&format!("/highlevel/companies/{company}/settings"), json!({"put_loses": ["business"]}));
    locations.put_mailgun(desk.net().by(&credential), &push).unwrap();
    let lost: Vec<String> = before.changes(&read()).into_iter().map(|it| it.field).collect();
    assert_eq!(lost, ["/business/email"]);
    assert_eq!(locations.read(desk.net().by(&credential), "nobody"), Ok(None));
}

#[test]
fn a_demonstration_has_keys_of_every_vendor() {
    let sandbox = Sandbox::with(&["--seed-demo"]);
    for name in [
        "SANDBOX_BREVO_API_KEY",
        "SANDBOX_BREVO_SMTP_KEY",
        "SANDBOX_BREVO_SMTP_LOGIN",
        "SANDBOX_KLAVIYO_KEY",
        "SANDBOX_KLAVIYO_READER",
        "SANDBOX_KLAVIYO_TEMPLATE",
        "SANDBOX_HIGHLEVEL_TOKEN",
        "SANDBOX_HIGHLEVEL_LOCATION_TOKEN",
        "SANDBOX_HIGHLEVEL_COMPANY",
        "SANDBOX_HIGHLEVEL_LOCATION",
    ] {
        assert!(!sandbox.export(name).is_empty(), "{name}");
    }
}
