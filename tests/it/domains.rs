//! `keyctl domains` against the sandbox: what is listed, when that is proven,
//! what an explanation says of each thing that can be wrong, and what is sent.

use serde_json::{Value, json};

use super::support::scene::Scene;

const INBOUND: &str = "https://services.leadconnectorhq.com/conversations/providers/mailgun/webhook/inbound";

/// An account with a domain in each state of health, and its key.
fn scene() -> Scene {
    let mut scene = Scene::new();
    let sandbox_domain = format!("sandbox{}.mailgun.org", "0a".repeat(16));
    for domain in [
        json!({"name": "mg.berlin.example", "region": "us", "state": "active"}),
        json!({"name": "mg.hamburg.example", "region": "us", "state": "unverified",
            "dns": {"dkim": "unknown", "mx": "unknown", "tracking": "unknown"}}),
        json!({"name": "mg.rom.example", "region": "us", "state": "active", "is_disabled": true}),
        json!({"name": "mg.wien.example", "region": "eu", "state": "active"}),
        json!({"name": sandbox_domain, "region": "us", "state": "active", "type": "sandbox"}),
    ] {
        scene.sandbox.domain_with(&scene.account, domain);
    }
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    scene
}

fn route(scene: &Scene, priority: i64, expression: &str, actions: &[&str]) {
    let body = json!({"region": "us", "priority": priority, "expression": expression, "actions": actions});
    scene.sandbox.control("POST", &format!("/mailgun/accounts/{}/routes", scene.account), body);
}

fn into_highlevel() -> String {
    format!("forward(\"{INBOUND}\")")
}

fn names(data: &Value) -> Vec<&str> {
    data["domains"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

#[track_caller]
fn check<'a>(data: &'a Value, id: &str) -> &'a Value {
    let checks = data["checks"].as_array().unwrap();
    checks.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("no {id} in {data:#}"))
}

#[track_caller]
fn result(data: &Value, id: &str) -> String {
    check(data, id)["result"].as_str().unwrap().to_owned()
}

#[test]
fn what_can_be_chosen_is_listed_and_the_rest_has_its_reasons() {
    let scene = scene();
    let data = scene.world.data(&["domains", "acme"], 0);
    assert_eq!(data["selectable"], 1);
    let mut one = data["domains"][0].clone();
    assert!(one["created"].is_string(), "{one}");
    one["created"] = Value::Null;
    assert_eq!(data["domains"].as_array().unwrap().len(), 1);
    assert_eq!(
        one.to_string(),
        json!({"name": "mg.berlin.example", "provider": "mailgun", "key": "mailgun@acme", "region": "us",
            "state": "active", "type": "custom", "disabled": false, "selectable": true, "reasons": [],
            "created": null, "dns": {"sending": "valid", "receiving": "valid", "tracking": "valid"}})
        .to_string()
    );
    let all = scene.world.data(&["domains", "mailgun@acme", "--all"], 0);
    let reasons = |name: &str| {
        let found = all["domains"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap();
        assert_eq!(found["selectable"], false);
        found["reasons"].clone()
    };
    assert_eq!(all["selectable"], 1);
    assert_eq!(reasons("mg.hamburg.example"), json!(["domain-not-verified"]));
    assert_eq!(reasons("mg.wien.example"), json!(["domain-in-eu"]));
    assert_eq!(reasons("mg.rom.example"), json!(["domain-not-verified", "domain-disabled"]));
    assert_eq!(names(&all).len(), 5);
    let any = scene.world.data(&["domains", "acme", "--any-region"], 0);
    assert_eq!(names(&any), ["mg.berlin.example", "mg.wien.example"]);
    let shown = scene.world.run(&["domains", "acme", "--all"]).exits(0).stdout;
    assert_eq!(
        shown,
        "\
DOMAIN                        REGION  STATE       DNS      WHY NOT
mg.berlin.example             us      active      valid
mg.hamburg.example            us      unverified  unknown  domain-not-verified
mg.rom.example                us      disabled    valid    domain-not-verified, domain-disabled
mg.wien.example               eu      active      valid    domain-in-eu
sandbox0a0a…0a0a.mailgun.org  us      active      valid    sandbox-domain

1 domain can be chosen
"
    );
    let plain = scene.world.run(&["-f", "plain", "domains", "acme"]).exits(0).stdout;
    assert!(
        plain.starts_with("mg.berlin.example\tmailgun\tmailgun@acme\tus\tactive\tcustom\tfalse\ttrue\t\t20"),
        "{plain}"
    );
}

#[test]
fn one_key_takes_a_request_to_each_region_and_one_for_each_domain_shown() {
    let scene = scene();
    scene.sandbox.clear_requests();
    let _ = scene.world.data(&["domains", "acme"], 0);
    let mut sent = scene.sandbox.request_lines();
    sent.sort();
    assert_eq!(
        sent,
        [
            "GET mailgun-eu /v4/domains",
            "GET mailgun-us /v4/domains",
            "GET mailgun-us /v4/domains/mg.berlin.example",
        ]
    );
}

#[test]
fn many_domains_are_listed_without_asking_for_each() {
    let mut scene = Scene::new();
    for n in 0..26 {
        scene.sandbox.domain(&scene.account, "us", &format!("mg{n}.acme.example"), "active");
    }
    let key = scene.sandbox.mailgun_key(&scene.account, "basic");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let ran = scene.world.run(&["-f", "json", "domains"]).exits(0);
    assert_eq!(ran.data()["selectable"], 26);
    assert_eq!(
        ran.data()["domains"][0]["dns"],
        json!({"sending": null, "receiving": null, "tracking": null})
    );
    assert!(ran.stderr.contains("the DNS of 26 mailgun domains was not asked for"), "{}", ran.stderr);
    assert_eq!(scene.sandbox.request_lines().len(), 2);
}

#[test]
fn a_domain_in_the_eu_region_cannot_be_chosen_unless_asked() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "eu", "mg.wien.example", "active");
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"", &key.secret)]);
    let ran = scene.world.run(&["-f", "json", "domains", "acme"]).exits(3);
    assert_eq!(ran.data(), json!({"selectable": 0, "domains": [], "unread": []}));
    assert!(ran.stderr.contains("--any-region"), "{}", ran.stderr);
    let _ = scene.world.data(&["domains", "acme", "--any-region"], 0);
    // Nobody chooses in HighLevel where the platform is said to be none.
    scene
        .world
        .write_inventory(&format!("{}\n[agency.acme]\nplatform = \"none\"\n", scene.world.inventory()));
    let _ = scene.world.data(&["domains", "acme"], 0);
}

#[test]
fn a_list_that_could_not_be_read_proves_nothing() {
    let scene = scene();
    let down =
        |host: &str| json!({"host": host, "path_prefix": "/v4", "action": {"status": 500, "body": "x"}});
    scene.sandbox.fault(down("mailgun-us"));
    let ran = scene.world.run(&["-f", "json", "domains", "acme", "--all"]).exits(4);
    assert_eq!(names(&ran.data()), ["mg.wien.example"]);
    assert_eq!(ran.data()["unread"][0]["region"], "us");
    assert_eq!(ran.data()["unread"][0]["reason"], "provider-error");
    assert!(ran.stderr.contains("warning: `mailgun@acme`: "), "{}", ran.stderr);
    scene.sandbox.clear_faults();
    // One that can be chosen is enough.
    scene.sandbox.fault(down("mailgun-eu"));
    let ran = scene.world.run(&["-f", "json", "domains", "acme"]).exits(0);
    assert_eq!(names(&ran.data()), ["mg.berlin.example"]);
    assert!(ran.stderr.contains("warning: "), "{}", ran.stderr);
    // The EU list is not needed to say that none can be chosen.
    let name = format!("/mailgun/accounts/{}/domains/us/mg.berlin.example", scene.account);
    scene.sandbox.control("DELETE", &name, Value::Null);
    let _ = scene.world.data(&["domains", "acme"], 3);
    let _ = scene.world.data(&["domains", "acme", "--any-region"], 4);
}

#[test]
fn a_refused_key_is_told_from_a_blocked_address() {
    let scene = scene();
    scene.sandbox.control(
        "PUT",
        &format!("/mailgun/accounts/{}/allowlist", scene.account),
        json!([{"ip_address": "127.0.0.1"}]),
    );
    scene.sandbox.caller_ip("203.0.113.9");
    let ran = scene.world.run(&["-f", "json", "domains", "acme"]).exits(3);
    assert_eq!(ran.data()["unread"][0]["reason"], "unauthorized");
    // Once the account is known to have a list, a refusal may be a block.
    scene.sandbox.caller_ip("127.0.0.1");
    let _ = scene.validate(&[], 0);
    scene.sandbox.caller_ip("203.0.113.9");
    let ran = scene.world.run(&["-f", "json", "domains", "acme"]).exits(4);
    assert_eq!(ran.data()["unread"][0]["reason"], "ip-blocked");
}

#[test]
fn a_key_that_may_not_list_says_which_one_would() {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.acme.example", "active");
    let account = scene.sandbox.mailgun_key(&scene.account, "admin");
    let sending = scene.sandbox.mailgun_sending_key(&scene.account, "mg.acme.example");
    let fields = "kind = \"sending\"\ndomain = \"mg.acme.example\"";
    scene.records(&[
        ("mailgun:send@acme", fields, &sending.secret),
        ("mailgun@acme", "kind = \"account\"", &account.secret),
    ]);
    let ran = scene.world.run(&["domains", "mailgun:send@acme"]).exits(2);
    assert_eq!(
        ran.stderr,
        "error: `mailgun:send@acme` is a key of kind sending, which may not list domains at mailgun\n\
         hint: ask with `mailgun@acme`: `keyctl domains mailgun@acme`\n"
    );
    let _ = scene.world.data(&["domains", "acme"], 0);
    let data = scene.world.data(&["domains", "mailgun:send@acme", "--explain", "mg.acme.example"], 3);
    assert_eq!(data["selectable"], false);
    assert_eq!(result(&data, "in-account"), "pass");
    assert_eq!(result(&data, "key-may-list"), "fail");
    assert!(check(&data, "key-may-list")["fix"].as_str().unwrap().contains("`mailgun@acme`"), "{data}");
    // Alone at its scope it is all the answer there is.
    scene.records(&[("mailgun:send@acme", fields, &sending.secret)]);
    let _ = scene.world.run(&["domains", "acme"]).exits(2);
    let data = scene.world.data(&["domains", "acme", "--explain", "mg.acme.example"], 3);
    assert_eq!(result(&data, "key-may-list"), "fail");
    let _ = scene.world.run(&["domains", "mailgun@acme"]).exits(8);
    let _ = scene.world.run(&["domains", "nobody"]).exits(8);
    let _ = scene.world.run(&["domains", "acme", "--dns"]).exits(2);
}

#[test]
fn a_key_in_no_inventory_is_asked_with_and_forgotten() {
    let mut scene = scene();
    let key = scene.sandbox.mailgun_key(&scene.account, "basic");
    scene.world.set("MY_KEY", &key.secret);
    let before = scene.world.files();
    let data = scene.world.data(&["domains", "--provider", "mailgun", "--from-env", "MY_KEY"], 0);
    assert_eq!(names(&data), ["mg.berlin.example"]);
    assert_eq!(data["domains"][0]["key"], Value::Null);
    let given = ["-f", "json", "domains", "--provider", "mailgun", "--stdin", "--explain", "mg.wien.example"];
    let ran = scene.world.run_with(&given, &key.secret).exits(3);
    assert_eq!(result(&ran.data(), "region"), "fail");
    assert_eq!(result(&ran.data(), "level"), "not-checkable");
    let _ = scene.world.run_with(&["domains", "--stdin", "--provider", "highlevel"], "x").exits(2);
    let _ = scene
        .world
        .run_with(&["domains", "--stdin", "--provider", "mailgun", "--kind", "smtp"], "x")
        .exits(2);
    scene.world.unchanged_since(&before);
}

#[test]
fn the_same_secret_is_asked_once_and_another_provider_beside_it() {
    let mut scene = scene();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    let made = scene.sandbox.control("POST", "/brevo/accounts", json!({}));
    let brevo = made["id"].as_str().unwrap().to_owned();
    let made =
        scene.sandbox.control("POST", &format!("/brevo/accounts/{brevo}/keys"), json!({"kind": "api"}));
    let path = format!("/brevo/accounts/{brevo}/domains");
    for (name, authenticated) in [("shop.example", true), ("new.shop.example", false)] {
        scene.sandbox.control("POST", &path, json!({"name": name, "authenticated": authenticated}));
    }
    scene.records(&[
        ("brevo@acme", "kind = \"api\"", made["secret"].as_str().unwrap()),
        ("mailgun@acme", "kind = \"account\"", &key.secret),
        ("mailgun@beta", "kind = \"account\"", &key.secret),
    ]);
    let ran = scene.world.run(&["-f", "json", "domains"]).exits(0);
    assert_eq!(names(&ran.data()), ["shop.example", "mg.berlin.example"]);
    assert_eq!(ran.data()["domains"][0]["region"], Value::Null);
    assert!(ran.stderr.contains("`mailgun@beta` holds the same secret as `mailgun@acme`"), "{}", ran.stderr);
    let data = scene.world.data(&["domains", "acme", "--provider", "brevo", "--all"], 0);
    assert_eq!(names(&data), ["new.shop.example", "shop.example"]);
    // The domain itself says whose key explains it.
    let data = scene.world.data(&["domains", "acme", "--explain", "new.shop.example"], 3);
    assert_eq!(data["key"], "brevo@acme");
    assert_eq!(result(&data, "state"), "fail");
    let data = scene.world.data(&["domains", "acme", "--explain", "shop.example"], 0);
    assert_eq!(data["selectable"], true);
}

#[test]
fn a_healthy_domain_passes_every_check_in_order() {
    let scene = scene();
    route(&scene, 99, "catch_all()", &[&into_highlevel()]);
    let data = scene.world.data(&["domains", "acme", "--explain", "mg.berlin.example", "--dns"], 0);
    assert_eq!((&data["domain"], &data["selectable"]), (&json!("mg.berlin.example"), &json!(true)));
    let checks = data["checks"].as_array().unwrap();
    let ids: Vec<&str> = checks.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "in-account",
            "region",
            "state",
            "disabled",
            "dns-spf",
            "dns-dkim",
            "dns-mx-1",
            "dns-mx-2",
            "dns-tracking",
            "key-may-list",
            "ip-allowlist",
            "inbound-route",
            "route-not-shadowed",
            "unique-location",
            "level",
        ]
    );
    for check in checks {
        assert_eq!(check["result"], "pass", "{check}");
    }
    let fields: Vec<&String> = checks[0].as_object().unwrap().keys().collect();
    assert_eq!(&fields[..5], ["id", "result", "found", "expected", "fix"]);
    assert_eq!(check(&data, "dns-dkim")["resolver"], "published");
    assert_eq!(check(&data, "dns-mx-2")["expected"], "MX mg.berlin.example 10 mxb.mailgun.org");
    assert!(check(&data, "level")["fix"].as_str().unwrap().contains("HighLevel cannot be asked"));
    let shown = scene.world.run(&["domains", "acme", "--explain", "mg.berlin.example"]).exits(0).stdout;
    assert!(shown.starts_with("mg.berlin.example can be chosen"), "{shown}");
}

#[test]
fn each_missing_record_is_told_with_what_to_create() {
    let scene = scene();
    let explain = ["domains", "mailgun@acme", "--explain", "mg.hamburg.example"];
    let data = scene.world.data(&explain, 3);
    assert_eq!((result(&data, "state"), result(&data, "dns-spf")), ("fail".into(), "pass".into()));
    let tracking = check(&data, "dns-tracking");
    assert_eq!(tracking["result"], "fail");
    assert_eq!(tracking["provider"], "unknown");
    assert_eq!(tracking["resolver"], Value::Null);
    assert_eq!(
        tracking["fix"],
        "create the CNAME record `email.mg.hamburg.example` with the value `mailgun.org`, then `keyctl domains mailgun@acme --verify mg.hamburg.example`"
    );
    let dns = |name: &str, kind: &str, more: Value| {
        let mut body = json!({"name": name, "type": kind});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene.sandbox.control("PUT", "/dns", body);
    };
    let host = "mg.hamburg.example";
    dns(host, "MX", json!({"values": ["10 mxa.mailgun.org", "1 aspmx.l.google.example"]}));
    dns(&format!("mailo._domainkey.{host}"), "TXT", json!({"rcode": "SERVFAIL"}));
    dns(&format!("email.{host}"), "CNAME", json!({"values": ["mailgun.org"]}));
    dns(host, "TXT", json!({"values": ["v=spf1 include:other.example ~all"]}));
    let data = scene.world.data(&[&explain[..], &["--dns"]].concat(), 3);
    let seen = |id: &str| (check(&data, id)["result"].clone(), check(&data, id)["resolver"].clone());
    assert_eq!(seen("dns-spf"), (json!("fail"), json!("other")));
    assert!(
        check(&data, "dns-spf")["fix"].as_str().unwrap().starts_with("add `include:mailgun.org`"),
        "{data:#}"
    );
    assert_eq!(seen("dns-dkim"), (json!("fail"), json!("failed")));
    assert_eq!(seen("dns-mx-1"), (json!("fail"), json!("other")));
    assert_eq!(check(&data, "dns-mx-1")["found"], "10 mxa.mailgun.org; 1 aspmx.l.google.example");
    assert_eq!(seen("dns-mx-2"), (json!("fail"), json!("other")));
    assert_eq!(seen("dns-tracking"), (json!("fail"), json!("published")));
    assert!(check(&data, "dns-tracking")["fix"].as_str().unwrap().starts_with("it is published"), "{data:#}");
    dns(&format!("email.{host}"), "CNAME", json!({"rcode": "NXDOMAIN"}));
    let data = scene.world.data(&[&explain[..], &["--dns"]].concat(), 3);
    assert_eq!(check(&data, "dns-tracking")["resolver"], "no-such-name");
}

#[test]
fn a_resolver_that_is_not_there_leaves_the_providers_word() {
    let mut scene = scene();
    scene.world.set("KEYCTL_DNS", "127.0.0.1:1");
    let data = scene.world.data(&["domains", "acme", "--explain", "mg.berlin.example", "--dns"], 0);
    assert_eq!(result(&data, "dns-spf"), "pass");
    assert!(
        ["failed", "timed-out"].contains(&check(&data, "dns-spf")["resolver"].as_str().unwrap()),
        "{data:#}"
    );
    scene.world.set("KEYCTL_DNS", "localhost");
    let _ = scene.world.run(&["domains", "acme", "--explain", "mg.berlin.example", "--dns"]).exits(2);
}

#[test]
fn a_domain_that_is_elsewhere_or_mistyped_is_told() {
    let scene = scene();
    let data = scene.world.data(&["domains", "acme", "--explain", "mg.wien.example"], 3);
    assert_eq!((result(&data, "in-account"), result(&data, "region")), ("pass".into(), "fail".into()));
    assert_eq!(check(&data, "region")["expected"], "us");
    let _ = scene.world.data(&["domains", "acme", "--explain", "mg.wien.example", "--any-region"], 0);
    let data = scene.world.data(&["domains", "acme", "--explain", "mg.berlni.example"], 3);
    assert_eq!(check(&data, "in-account")["found"], "not there; near it: `mg.berlin.example`");
    assert_eq!(result(&data, "dns-spf"), "not-checkable");
    let data = scene.world.data(&["domains", "acme", "--explain", "mg.rom.example"], 3);
    assert_eq!(result(&data, "disabled"), "fail");
    // One host alone cannot say that it is nowhere.
    scene
        .sandbox
        .fault(json!({"host": "mailgun-us", "path_prefix": "/v4", "action": {"status": 500, "body": "x"}}));
    let data = scene.world.data(&["domains", "acme", "--explain", "mg.berlin.example"], 4);
    assert_eq!(data["selectable"], Value::Null);
    assert_eq!(
        (result(&data, "in-account"), result(&data, "region")),
        ("not-checkable".into(), "not-checkable".into())
    );
}

#[test]
fn an_allowlist_keeps_highlevel_out() {
    let scene = scene();
    let path = format!("/mailgun/accounts/{}/allowlist", scene.account);
    scene.sandbox.control(
        "PUT",
        &path,
        json!([{"ip_address": "127.0.0.0/8"}, {"ip_address": "198.51.100.7"}]),
    );
    let data = scene.world.data(&["domains", "acme", "--explain", "mg.berlin.example"], 3);
    let found = check(&data, "ip-allowlist");
    assert_eq!((&found["result"], &found["expected"]), (&json!("fail"), &json!("empty")));
    assert_eq!(found["found"], "only 127.0.0.0/8, 198.51.100.7 may call");
    let fix = found["fix"].as_str().unwrap();
    assert!(fix.contains("keyctl allowlist mailgun@acme --relax") && fix.contains("--restore"), "{fix}");
    scene.sandbox.control("PUT", &path, json!([]));
    let _ = scene.world.data(&["domains", "acme", "--explain", "mg.berlin.example"], 0);
}

#[test]
fn the_way_of_replies_is_followed() {
    let scene = scene();
    let explain = || scene.world.data(&["domains", "acme", "--explain", "mg.berlin.example"], 0);
    let data = explain();
    assert_eq!(result(&data, "inbound-route"), "fail");
    assert!(check(&data, "inbound-route")["fix"].as_str().unwrap().contains(INBOUND), "{data}");
    assert_eq!(result(&data, "route-not-shadowed"), "not-checkable");
    route(&scene, 99, "catch_all()", &[&into_highlevel()]);
    let data = explain();
    assert_eq!(
        (result(&data, "inbound-route"), result(&data, "route-not-shadowed")),
        ("pass".into(), "pass".into())
    );
    // A route that lets mail pass on is no shadow; one that stops it is.
    route(&scene, 5, r#"match_recipient(".*@mg\.berlin\.example")"#, &["forward(\"a@b.example\")"]);
    assert_eq!(result(&explain(), "route-not-shadowed"), "pass");
    route(&scene, 0, r#"match_recipient(".*@mg\.berlin\.example")"#, &["forward(\"a@b.example\")", "stop()"]);
    let data = explain();
    assert_eq!(
        (result(&data, "inbound-route"), result(&data, "route-not-shadowed")),
        ("pass".into(), "fail".into())
    );
    let found = check(&data, "route-not-shadowed")["found"].as_str().unwrap().to_owned();
    assert_eq!(
        found,
        r#"priority 0: match_recipient(".*@mg\.berlin\.example") → forward("a@b.example"), stop()"#
    );
}

#[test]
fn the_inventory_tells_of_shared_domains_and_overriding_keys() {
    let mut scene = scene();
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    let other = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &key.secret),
        ("mailgun@acme/berlin", "kind = \"account\"", &other.secret),
    ]);
    let places = "\n[agency.acme.location.berlin]\ndomain = \"mg.berlin.example\"\n\
                  [agency.acme.location.potsdam]\ndomain = \"mg.berlin.example\"\n";
    scene.world.write_inventory(&format!("{}{places}", scene.world.inventory()));
    let data = scene.world.data(&["domains", "acme/berlin", "--explain", "mg.berlin.example"], 0);
    assert_eq!(data["key"], "mailgun@acme/berlin");
    assert_eq!(result(&data, "unique-location"), "fail");
    assert_eq!(check(&data, "unique-location")["found"], "`acme/berlin`, `acme/potsdam`");
    assert_eq!(
        check(&data, "level")["found"],
        "`mailgun@acme/berlin` is in effect at `acme/berlin`, in place of `mailgun@acme`"
    );
    let data = scene.world.data(&["domains", "acme/potsdam", "--explain", "mg.berlin.example"], 0);
    assert_eq!(
        check(&data, "level")["found"],
        "`mailgun@acme` is in effect at `acme/potsdam`, inherited from `acme`"
    );
    let data = scene.world.data(&["domains", "mailgun@acme", "--explain", "mg.berlin.example"], 0);
    assert_eq!(result(&data, "level"), "fail");
    assert_eq!(check(&data, "level")["found"], "at `acme/berlin`, `mailgun@acme/berlin` is in effect");
}

#[test]
fn a_check_at_the_provider_needs_a_yes() {
    let scene = scene();
    let verify = ["domains", "acme", "--verify", "mg.hamburg.example"];
    let ran = scene.world.run(&[&["-f", "json"], &verify[..]].concat()).exits(9);
    assert_eq!(ran.json()["error"]["code"], "not-confirmed");
    let puts = || scene.sandbox.request_lines().iter().filter(|it| it.starts_with("PUT")).count();
    assert_eq!(puts(), 0);
    let data = scene.world.data(&[&verify[..], &["--yes"]].concat(), 3);
    assert_eq!(puts(), 1);
    assert_eq!((&data["selectable"], &data["state"]), (&json!(false), &json!("unverified")));
    assert_eq!(data["records"][1]["state"], "unknown");
    let path = format!("/mailgun/accounts/{}/domains/us/mg.hamburg.example", scene.account);
    scene.sandbox.control("PUT", &path, json!({"dns": {"spf": "valid", "dkim": "valid"}}));
    let data = scene.world.data(&[&verify[..], &["--yes", "--dns"]].concat(), 0);
    assert_eq!((&data["selectable"], &data["state"]), (&json!(true), &json!("active")));
    assert_eq!(data["records"][0]["resolver"], json!(["v=spf1 include:mailgun.org ~all"]));
    let ran = scene.world.run(&["-f", "json", "domains", "acme", "--verify", "no.example", "--yes"]).exits(1);
    assert_eq!(ran.json()["error"]["code"], "domain-not-found");
}
