//! HighLevel as an agency works with it: tokens, locations, and the Mailgun
//! key that is written into their settings.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::sandbox::{Sandbox, SandboxKey};
use crate::support::terminal::Terminal;

/// A home led to a sandbox with one company.
pub struct Agency {
    pub world: World,
    pub sandbox: Sandbox,
    company: String,
}

impl Agency {
    pub fn new() -> Self {
        let sandbox = Sandbox::start();
        let company = sandbox.control("POST", "/highlevel/companies", json!({"name": "Acme"}));
        let mut world = World::new();
        world.join(&sandbox.env());
        Self { world, sandbox, company: company["id"].as_str().unwrap().to_owned() }
    }

    pub fn location(&self, fields: Value) -> String {
        let path = format!("/highlevel/companies/{}/locations", self.company);
        self.sandbox.control("POST", &path, fields)["id"].as_str().unwrap().to_owned()
    }

    pub fn token(&self, body: Value) -> SandboxKey {
        let made =
            self.sandbox.control("POST", &format!("/highlevel/companies/{}/tokens", self.company), body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        SandboxKey { id: text("id"), secret: text("secret") }
    }

    #[track_caller]
    pub fn add(&self, arguments: &[&str], secret: &str, code: i32) -> Value {
        let all = [&["-f", "json", "add"], arguments, &["--stdin"]].concat();
        self.world.run_with(&all, secret).exits(code).data()
    }

    /// Imports and returns `scope change` of each line.
    #[track_caller]
    pub fn import(&self, more: &[&str], code: i32) -> Vec<String> {
        let data =
            self.world.data(&[&["scope", "import", "acme", "--from", "highlevel"], more].concat(), code);
        let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
        let lines = data["locations"].as_array().unwrap().iter();
        lines.map(|it| [text(it, "scope"), text(it, "change")].join(" ")).collect()
    }

    /// Returns what a location has of Mailgun.
    pub fn mailgun_at(&self, id: &str) -> Value {
        let state = self.sandbox.control("GET", "/state", Value::Null);
        let all = state["highlevel"]["locations"].as_array().unwrap().clone();
        all.into_iter().find(|it| it["id"] == id).unwrap()["mailgun"].clone()
    }

    /// Changes settings of the company.
    pub fn settings(&self, settings: Value) {
        self.sandbox.control("PUT", &format!("/highlevel/companies/{}/settings", self.company), settings);
    }

    /// Records a Mailgun key with a domain that can be chosen.
    pub fn mailgun(&self, key: &str) -> SandboxKey {
        let account = self.sandbox.mailgun_account();
        let domain = if key.contains('/') { "mg.berlin.example" } else { "mg.acme.example" };
        self.sandbox.domain(&account, "us", domain, "active");
        let made = self.sandbox.mailgun_key(&account, "admin");
        self.add(&[key, "--kind", "account"], &made.secret, 0);
        let _ = self.world.run(&["scope", "set", "acme", "--domain", "mg.acme.example"]).exits(0);
        made
    }
}

#[test]
fn tokens_of_both_levels_are_kept_and_proven() {
    let agency = Agency::new();
    let berlin = agency.location(json!({"name": "Berlin"}));
    let token = agency.token(json!({"level": "agency"}));
    let added = agency.add(&["highlevel@acme", "--kind", "agency"], &token.secret, 0);
    assert_eq!((&added["kind"], &added["verdict"]), (&json!("agency"), &json!("valid")));
    let local = agency.token(json!({"level": "location", "location": berlin}));
    let added = agency.add(&["highlevel@acme/berlin", "--kind", "location"], &local.secret, 0);
    assert_eq!((&added["kind"], &added["verdict"]), (&json!("location"), &json!("valid")));
    assert_eq!(agency.world.data(&["validate"], 0)["summary"]["valid"], 2);
    // What a token has of its own cannot be read; what it is for, can.
    for (key, account) in [("highlevel@acme", &agency.company), ("highlevel@acme/berlin", &berlin)] {
        let shown = agency.world.data(&["show", key], 0)["key"].clone();
        assert_eq!(shown["remote_id"], Value::Null, "{shown}");
        assert!(shown["identity"].as_str().unwrap().contains(account.as_str()), "{shown}");
    }
    let ran = agency.world.run(&["disable", "highlevel@acme"]).exits(2);
    assert!(ran.stderr.contains("keyctl rotate"), "a token is never switched off: {}", ran.stderr);
    agency.sandbox.control("PUT", &format!("/highlevel/tokens/{}", token.id), json!({"scopes": []}));
    let result = agency.world.data(&["validate", "highlevel@acme"], 0)["results"][0].clone();
    assert_eq!((&result["verdict"], &result["reason"]), (&json!("limited"), &json!("permission-missing")));
}

#[test]
fn a_token_of_another_location_or_agency_is_told() {
    let agency = Agency::new();
    let berlin = agency.location(json!({"name": "Berlin"}));
    agency.location(json!({"name": "Rome"}));
    let token = agency.token(json!({"level": "agency"}));
    agency.add(&["highlevel@acme", "--kind", "agency"], &token.secret, 0);
    agency.import(&[], 0);
    let local = agency.token(json!({"level": "location", "location": berlin}));
    let ran = agency.world.run_with(
        &["-f", "json", "add", "highlevel@acme/rome", "--kind", "location", "--stdin", "--force"],
        &local.secret,
    );
    let added = ran.exits(3).data();
    assert_eq!((&added["verdict"], &added["reason"]), (&json!("rejected"), &json!("wrong-account")));
    let result = agency.world.data(&["validate", "highlevel@acme/rome"], 3)["results"][0].clone();
    assert_eq!(result["reason"], "wrong-account");
    assert!(result["detail"].as_str().unwrap().contains(&berlin), "{result}");
    agency.add(&["highlevel@acme/berlin", "--kind", "location"], &local.secret, 0);
    let _ = agency.world.run(&["scope", "add", "beta", "--highlevel-id", "CompanyOfBeta"]).exits(0);
    let ran = agency.world.run_with(&["add", "highlevel@beta", "--kind", "agency", "--stdin"], &token.secret);
    assert!(ran.exits(3).stderr.contains("CompanyOfBeta"));
}

#[test]
fn locations_are_imported_by_pages_and_followed() {
    let agency = Agency::new();
    let ids: Vec<String> =
        (0..23).map(|n| agency.location(json!({"name": format!("Filiale {n:02}")}))).collect();
    let koln = agency.location(json!({"name": "Köln & Söhne", "email": "a@koln.example"}));
    agency.sandbox.control(
        "PUT",
        &format!("/highlevel/companies/{}/settings", agency.company),
        json!({"page_limit": 10}),
    );
    let token = agency.token(json!({"level": "agency"}));
    agency.add(&["highlevel@acme", "--kind", "agency"], &token.secret, 0);
    let before = agency.world.inventory();
    agency.sandbox.clear_requests();
    assert_eq!(agency.import(&["--dry-run"], 0).len(), 24);
    assert_eq!(agency.world.inventory(), before, "a dry run writes nothing");
    assert!(agency.sandbox.request_lines().len() >= 3, "{:?}", agency.sandbox.request_lines());

    let lines = agency.import(&[], 0);
    assert!(lines.iter().all(|it| it.ends_with(" new")) && lines.len() == 24, "{lines:?}");
    assert_eq!(lines[0], "acme/filiale-00 new");
    let shown = agency.world.data(&["scope", "show", "acme/koln-sohne"], 0)["scope"].clone();
    assert_eq!(
        (&shown["name"], &shown["highlevel_id"]),
        (&json!("Köln & Söhne"), &json!(koln)),
        "the original name and the id are kept: {shown}"
    );
    assert!(!agency.world.inventory().contains("koln.example"), "addresses are not");

    agency.sandbox.control("PUT", &format!("/highlevel/locations/{koln}"), json!({"name": "Köln"}));
    agency.sandbox.control("DELETE", &format!("/highlevel/locations/{}", ids[4]), Value::Null);
    agency.location(json!({"name": "Filiale 05"}));
    let lines: Vec<String> =
        agency.import(&[], 0).into_iter().filter(|it| !it.ends_with(" unchanged")).collect();
    assert_eq!(lines, ["acme/filiale-04 gone", "acme/filiale-05-2 new", "acme/koln-sohne changed"]);
    agency.sandbox.fault(json!({"host": "highlevel", "after": 1, "action": {"status": 500}}));
    let inventory = agency.world.inventory();
    let _ = agency.world.run(&["scope", "import", "acme", "--from", "highlevel"]).exits(4);
    assert_eq!(agency.world.inventory(), inventory, "half a list makes nothing gone");
}

#[test]
fn a_mailgun_key_is_shown_before_it_is_written_to_a_location() {
    let agency = Agency::new();
    let (berlin, rome) =
        (agency.location(json!({"name": "Berlin"})), agency.location(json!({"name": "Rome"})));
    agency.add(&["highlevel@acme", "--kind", "agency"], &agency.token(json!({"level": "agency"})).secret, 0);
    agency.import(&[], 0);
    let key = agency.mailgun("mailgun@acme");
    let run = |arguments: &[&str], code| agency.world.run(&[&["consumer"], arguments].concat()).exits(code);
    let add = ["add", "mailgun@acme", "HighLevel", "--kind", "highlevel"];
    let _ = run(&[&add[..], &["--location", "acme/berlin"]].concat(), 0);
    let _ = run(&[&add[..], &["--each-location"]].concat(), 0);
    let listed = agency.world.data(&["consumer", "list", "mailgun@acme"], 0);
    let places: Vec<&str> =
        listed["consumers"].as_array().unwrap().iter().map(|it| it["location"].as_str().unwrap()).collect();
    assert_eq!(places, ["acme/berlin", "acme/rome"]);

    // Again: those that came since, each location once.
    assert!(run(&[&add[..], &["--each-location"]].concat(), 0).stderr.contains("2 of 2 locations have it"));
    agency.location(json!({"name": "Wien"}));
    agency.import(&[], 0);
    let added = agency.world.data(&[&["consumer"], &add[..], &["--each-location"]].concat(), 0);
    assert_eq!(added["consumers"].as_array().unwrap().len(), 1, "{added}");
    let _ = run(&["remove", "mailgun@acme", "HighLevel wien"], 0);
    let again = ["add", "mailgun@acme", "Again", "--kind", "highlevel", "--location", "acme/rome"];
    assert!(run(&again, 9).stderr.contains("`HighLevel rome` is that location already"));
    let kind_of = |arguments: &[&str]| {
        let added =
            agency.world.data(&[&["consumer", "add", "mailgun@acme", "Other"], arguments].concat(), 0);
        let _ = run(&["remove", "mailgun@acme", "Other"], 0);
        added["consumers"][0]["kind"].clone()
    };
    assert_eq!(kind_of(&["--location", "acme/wien"]), "highlevel", "it can be written");
    assert_eq!(kind_of(&["--location", "acme/wien", "--kind", "manual"]), "manual");
    assert_eq!(kind_of(&[]), "manual");

    let refused = run(&["push", "mailgun@acme", "HighLevel"], 9);
    assert!(
        refused.stderr.contains(&berlin) && refused.stderr.contains("mg.acme.example"),
        "{}",
        refused.stderr
    );
    assert_eq!(agency.mailgun_at(&berlin), Value::Null, "nothing was written");
    let pushed = run(&["push", "mailgun@acme", "HighLevel", "--yes"], 0);
    assert!(!pushed.stdout.contains(&key.secret) && !pushed.stderr.contains(&key.secret));
    assert!(pushed.stdout.contains("keyctl send-test acme/berlin"), "how to prove it: {}", pushed.stdout);
    let held = json!({"apiKey": key.secret, "domain": "mg.acme.example"});
    assert_eq!((agency.mailgun_at(&berlin), agency.mailgun_at(&rome)), (held, Value::Null));

    // Every field is compared: one that is lost stops what comes after.
    agency.sandbox.control(
        "PUT",
        &format!("/highlevel/companies/{}/settings", agency.company),
        json!({"put_loses": ["name"]}),
    );
    let failed = run(&["push", "mailgun@acme", "--all", "--yes"], 1);
    assert!(
        failed.stderr.contains("other settings of the location changed, too: /name"),
        "{}",
        failed.stderr
    );
    assert_eq!(agency.mailgun_at(&rome), Value::Null);
    agency.sandbox.control(
        "PUT",
        &format!("/highlevel/companies/{}/settings", agency.company),
        json!({"put_loses": []}),
    );

    // An answer that was lost on its way says nothing of the write.
    let cut =
        json!({"host": "highlevel", "method": "PUT", "times": 1, "action": {"cut": "after-processing"}});
    agency.sandbox.fault(cut);
    let unknown = run(&["push", "mailgun@acme", "HighLevel rome", "--yes"], 1);
    assert!(
        unknown.stderr.contains("whether HighLevel took it for acme/rome is not known"),
        "{}",
        unknown.stderr
    );
    agency
        .sandbox
        .fault(json!({"host": "highlevel", "method": "GET", "after": 1, "action": {"status": 500}}));
    let unseen = run(&["push", "mailgun@acme", "HighLevel rome", "--yes"], 1);
    assert!(
        unseen.stderr.contains("HighLevel took it for acme/rome, but what else changed"),
        "{}",
        unseen.stderr
    );
    agency.sandbox.clear_faults();

    // A key of the location itself: what is pushed there is not in effect, and that is said.
    agency.mailgun("mailgun@acme/berlin");
    let shown = run(&["push", "mailgun@acme", "HighLevel"], 9);
    assert!(
        shown.stderr.contains("where `mailgun@acme/berlin` is recorded to be in effect"),
        "{}",
        shown.stderr
    );
    let all = agency.world.data(&["audit"], 3)["findings"].as_array().unwrap().clone();
    assert!(all.iter().any(|it| it["id"] == "not-effective" && it["key"] == "mailgun@acme"), "{all:?}");
}

/// What the proof of a push says of each check, `id result`.
fn proven(push: &Value) -> Vec<String> {
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let checks = push["proof"]["checks"].as_array().unwrap().iter();
    checks.map(|it| [text(it, "id"), text(it, "result")].join(" ")).collect()
}

#[test]
fn a_push_is_proven_by_the_reply_route_and_a_test_mail() {
    let agency = Agency::new();
    let ids = [agency.location(json!({"name": "Berlin"})), agency.location(json!({"name": "Rome"}))];
    agency.add(&["highlevel@acme", "--kind", "agency"], &agency.token(json!({"level": "agency"})).secret, 0);
    agency.import(&[], 0);
    let key = agency.mailgun("mailgun@acme");
    let account = agency.sandbox.control("GET", "/state", Value::Null)["mailgun"]["accounts"]
        .as_object()
        .and_then(|it| it.keys().next().cloned())
        .unwrap();
    let add = ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--each-location"];
    let _ = agency.world.run(&add).exits(0);
    let push = ["-f", "json", "consumer", "push", "mailgun@acme", "--all", "--yes"];

    // Nothing takes replies in, and nobody said who gets a mail.
    let ran = agency.world.run(&push).exits(0);
    let first = ran.data()["consumers"][0].clone();
    assert_eq!(first["proof"]["domain"], "mg.acme.example");
    assert_eq!(
        proven(&first),
        ["inbound-route fail", "route-not-shadowed not-checkable", "test-mail not-checkable"]
    );
    assert!(ran.stderr.contains("mg.acme.example: inbound-route failed"), "{}", ran.stderr);
    assert!(agency.sandbox.messages().is_empty());

    // Both locations use one domain: it is proven once, with the key that was pushed.
    let into =
        "forward(\"https://services.leadconnectorhq.com/conversations/providers/mailgun/webhook/inbound\")";
    agency.sandbox.control(
        "POST",
        &format!("/mailgun/accounts/{account}/routes"),
        json!({"region": "us", "priority": 99, "expression": "catch_all()", "actions": [into]}),
    );
    agency.sandbox.clear_requests();
    let with_mail = [&push[..], &["--test-to", "ops@acme.example"]].concat();
    let ran = agency.world.run(&with_mail).exits(0);
    for pushed in ran.data()["consumers"].as_array().unwrap() {
        assert_eq!(proven(pushed), ["inbound-route pass", "route-not-shadowed pass", "test-mail pass"]);
    }
    assert!(!ran.stdout.contains(&key.secret) && !ran.stderr.contains(&key.secret));
    let mails = agency.sandbox.messages();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!((&mails[0]["to"], &mails[0]["test_mode"]), (&json!(["ops@acme.example"]), &json!(false)));
    let routes = |line: &&String| line.contains("/v3/routes");
    assert_eq!(agency.sandbox.request_lines().iter().filter(routes).count(), 2);

    // A key that Mailgun takes no mail from is of no use to HighLevel.
    let domain = format!("/mailgun/accounts/{account}/domains/us/mg.acme.example");
    agency.sandbox.control("PUT", &domain, json!({"is_disabled": true}));
    let ran = agency.world.run(&with_mail).exits(1);
    let consumers = ran.data()["consumers"].clone();
    assert_eq!((consumers.as_array().unwrap().len(), &consumers[0]["state"]), (1, &json!("failed")));
    assert!(
        consumers[0]["detail"].as_str().unwrap().contains("Mailgun refuses a test mail from mg.acme.example"),
        "{consumers}"
    );
    assert!(ids.iter().all(|id| agency.mailgun_at(id)["apiKey"] == key.secret), "they were written before");
}

#[test]
fn a_person_is_asked_who_gets_the_test_mail() {
    let agency = Agency::new();
    agency.location(json!({"name": "Berlin"}));
    agency.add(&["highlevel@acme", "--kind", "agency"], &agency.token(json!({"level": "agency"})).secret, 0);
    agency.import(&[], 0);
    agency.mailgun("mailgun@acme");
    let add =
        ["consumer", "add", "mailgun@acme", "HighLevel", "--kind", "highlevel", "--location", "acme/berlin"];
    let _ = agency.world.run(&add).exits(0);
    let mut terminal = Terminal::start(agency.world.command(&["consumer", "push", "mailgun@acme"]));
    terminal.until("Write `mailgun@acme`");
    terminal.line("y");
    terminal.until("Address for a test mail");
    terminal.line("nobody");
    terminal.until("it has no `@`");
    terminal.line("ops@acme.example");
    terminal.until("test mail");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(agency.sandbox.messages()[0]["to"], json!(["ops@acme.example"]));
}

#[test]
fn the_page_where_a_person_pastes_a_key_is_told() {
    let agency = Agency::new();
    let token = agency.token(json!({"level": "agency"}));
    let refused = agency.world.run_with(&["add", "brevo:x@acme", "--stdin"], &token.secret).exits(2);
    assert!(refused.stderr.contains("this is a highlevel key"), "{}", refused.stderr);
    assert!(refused.stderr.contains("keep this one as `highlevel@…`"), "{}", refused.stderr);
    agency.mailgun("mailgun@acme");
    let add = ["consumer", "add", "mailgun@acme", "HighLevel agency settings"];
    let added = agency.world.data(&add, 0);
    let page = "https://app.gohighlevel.com/settings/email_services";
    assert_eq!(added["consumers"][0]["url"], page);
    let own = ["consumer", "add", "mailgun@acme", "Pilotly", "--url", "https://app.pilotly.example/email"];
    assert_eq!(agency.world.data(&own, 0)["consumers"][0]["url"], "https://app.pilotly.example/email");
    let _ = agency.world.data(&["consumer", "remove", "mailgun@acme", "Pilotly"], 0);
    let mut terminal = Terminal::start(agency.world.command(&["rotate", "mailgun@acme", "--walk", "--yes"]));
    terminal.until(page);
    terminal.until("German: Einstellungen");
    terminal.until("stop`: ");
    terminal.line("stop");
    assert_eq!(terminal.end().1, 6);
    let waits = agency.world.data(&["rotate", "mailgun@acme", "--status"], 0)["rotations"][0].clone();
    assert_eq!((&waits["next"]["by"], &waits["next"]["url"]), (&json!("human"), &json!(page)));
}

#[test]
fn a_token_is_replaced_by_rotating_it_in_the_console() {
    let mut agency = Agency::new();
    agency.location(json!({"name": "Berlin"}));
    let old = agency.token(json!({"level": "agency"}));
    agency.add(&["highlevel@acme", "--kind", "agency"], &old.secret, 0);
    let ran = agency.world.run(&["-f", "json", "rotate", "highlevel@acme", "--yes", "--no-input"]).exits(6);
    let waits = ran.data()["rotations"][0].clone();
    assert_eq!(waits["next"]["url"], "https://app.gohighlevel.com/settings/private-integrations");
    assert!(ran.stderr.contains("7 days"), "both work for a week: {}", ran.stderr);
    let new = agency.token(json!({"level": "agency"}));
    let resume = ["-f", "json", "rotate", "highlevel@acme", "--resume", "--stdin"];
    let ran = agency.world.run_with(&resume, &new.secret).exits(0);
    assert_eq!(ran.data()["rotations"][0]["stage"], "grace");
    agency.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", "90000");
    agency.sandbox.clock(90_000);
    agency.sandbox.control("PUT", &format!("/highlevel/tokens/{}", old.id), json!({"dead": true}));
    let done = agency.world.data(&["rotate", "highlevel@acme", "--resume"], 0)["rotations"][0].clone();
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")));
    assert_eq!(agency.world.data(&["validate", "highlevel@acme"], 0)["summary"]["valid"], 1);
}

#[test]
fn which_tells_the_order_in_which_highlevel_decides() {
    let agency = Agency::new();
    let order = "the location's default e-mail provider, the location's Mailgun setting, the agency's Mailgun \
                 setting, LC Email";
    let help = agency.world.run(&["which", "--help"]).exits(0).stdout;
    assert!(help.split_whitespace().collect::<Vec<_>>().join(" ").contains(order), "{help}");
    agency.mailgun("mailgun@acme");
    agency.mailgun("mailgun@acme/berlin");
    let _ = agency.world.run(&["scope", "add", "acme/rome"]).exits(0);
    let at = |scope: &str| agency.world.data(&["which", scope], 0)["effective"][0].clone();
    let berlin = at("acme/berlin");
    assert_eq!(
        (&berlin["key"], &berlin["origin"], &berlin["overrides"]),
        (&json!("mailgun@acme/berlin"), &json!("own"), &json!("mailgun@acme"))
    );
    assert_eq!(at("acme/rome")["origin"], "inherited");
    // Without a Mailgun key it is HighLevel's own service that sends.
    agency.add(&["highlevel@beta", "--kind", "agency"], &agency.token(json!({"level": "agency"})).secret, 0);
    let ran = agency.world.run(&["-f", "json", "which", "beta"]).exits(0);
    let lines = ran.data()["effective"].clone();
    assert_eq!((&lines[0]["provider"], &lines[0]["origin"]), (&json!("highlevel"), &json!("own")));
    assert_eq!((&lines[1]["provider"], &lines[1]["origin"]), (&json!("mailgun"), &json!("none")));
    assert!(ran.stderr.contains("HighLevel sends its mail with LC Email"), "{}", ran.stderr);
    let ran = agency.world.run(&["which", "beta", "--provider", "mailgun"]).exits(8);
    assert!(ran.stderr.contains("LC Email"), "{}", ran.stderr);
    let _ = agency.world.run(&["scope", "set", "acme/rome", "--email-provider", "other"]).exits(0);
    let ran = agency.world.run(&["which", "acme/rome"]).exits(8);
    assert!(ran.stderr.contains("another e-mail provider"), "{}", ran.stderr);
}
