//! `keyctl domains` against the sandbox: what can be chosen, why one cannot,
//! by the provider's word and by a real resolver.

use serde_json::{Value, json};

use super::support::World;
use super::support::sandbox::{Sandbox, SandboxKey};

struct Scene {
    world: World,
    sandbox: Sandbox,
    account: String,
    key: SandboxKey,
}

/// An agency with two locations and one admin key in the `env` store.
fn scene() -> Scene {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let key = sandbox.mailgun_key(&account, "admin");
    let mut world =
        World::bare().with("KEYCTL_STORE", "env").with("KEYCTL_SECRET_MAILGUN__ACME", &key.secret);
    world.join(&sandbox.env());
    world.write_inventory(
        "version = 1\n[key.\"mailgun@acme\"]\nid = \"kdomains\"\nkind = \"account\"\ncurrent = 1\nhighest = 1\n\n\
         [agency.acme.location.berlin]\ndomain = \"mg.berlin.example\"\n\n[agency.acme.location.paris]\n",
    );
    Scene { world, sandbox, account, key }
}

impl Scene {
    fn standard(self) -> Self {
        self.sandbox.domain(&self.account, "us", "mg.berlin.example", "active");
        self.sandbox.domain(&self.account, "us", "mg.paris.example", "unverified");
        self.sandbox.domain(&self.account, "eu", "mg.wien.example", "active");
        self
    }

    fn domains(&self, arguments: &[&str], code: i32) -> Value {
        self.world.data(&[&["domains"], arguments].concat(), code)
    }

    fn checks(&self, arguments: &[&str], code: i32) -> Value {
        self.domains(arguments, code)["checks"].clone()
    }
}

fn result(checks: &Value, id: &str) -> String {
    let found = checks.as_array().unwrap().iter().find(|it| it["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}: {checks}"))["result"].as_str().unwrap().to_owned()
}

#[test]
fn only_verified_us_domains_can_be_chosen() {
    let scene = scene().standard();
    let data = scene.domains(&["acme/berlin"], 0);
    assert_eq!(data["selectable"], 1);
    let one = &data["domains"][0];
    assert_eq!(data["domains"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&one["name"], &one["region"], &one["key"]),
        (&json!("mg.berlin.example"), &json!("us"), &json!("mailgun@acme"))
    );
    assert_eq!(
        (&one["state"], &one["type"], &one["disabled"]),
        (&json!("active"), &json!("custom"), &json!(false))
    );
    assert_eq!(one["dns"]["sending"], "valid");
    let all = scene.domains(&["acme", "--all"], 0);
    let reasons: Vec<(&str, &Value)> = all["domains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), &it["reasons"]))
        .collect();
    assert_eq!(
        reasons,
        [
            ("mg.berlin.example", &json!([])),
            ("mg.paris.example", &json!(["domain-not-verified"])),
            ("mg.wien.example", &json!(["domain-in-eu"])),
        ]
    );
    assert_eq!(scene.domains(&["acme", "--any-region"], 0)["selectable"], 2);
    assert!(scene.sandbox.request_lines().iter().all(|line| line.contains("GET")), "only GETs are sent");
}

#[test]
fn none_to_choose_is_3_and_a_list_that_cannot_be_read_is_4() {
    let scene = scene();
    scene.sandbox.domain(&scene.account, "eu", "mg.wien.example", "active");
    let data = scene.domains(&["acme"], 3);
    assert_eq!(data, json!({"selectable": 0, "domains": []}));
    scene.sandbox.fault(json!({"host": "mailgun-us", "action": {"status": 500, "body": "{}"}}));
    let _ = scene.domains(&["acme"], 4);
    let _ = scene.world.run(&["domains", "nowhere"]).exits(8);
    let _ = scene.world.run(&["domains", "brevo@acme"]).exits(8);
}

#[test]
fn a_good_domain_passes_every_check_that_can_be_made() {
    let scene = scene().standard();
    scene.sandbox.control(
        "POST",
        &format!("/mailgun/accounts/{}/routes", scene.account),
        json!({"region": "us", "priority": 99, "expression": "catch_all()", "actions":
            ["forward(\"https://services.leadconnectorhq.com/conversations/providers/mailgun/webhook/inbound\")"]}),
    );
    let data = scene.domains(&["acme/berlin", "--explain", "mg.berlin.example", "--dns"], 0);
    assert_eq!((&data["domain"], &data["selectable"]), (&json!("mg.berlin.example"), &json!(true)));
    let checks = &data["checks"];
    for id in [
        "in-account",
        "region",
        "state",
        "disabled",
        "dns-spf",
        "dns-dkim",
        "dns-mx",
        "dns-mx-2",
        "dns-tracking",
        "key-may-list",
        "ip-allowlist",
        "inbound-route",
        "route-not-shadowed",
        "unique-location",
    ] {
        assert_eq!(result(checks, id), "pass", "{id}: {checks}");
    }
    assert_eq!(result(checks, "level"), "not-checkable");
}

#[test]
fn each_obstacle_is_named_with_its_fix() {
    let scene = scene().standard();
    let eu = scene.checks(&["acme", "--explain", "mg.wien.example"], 3);
    assert_eq!(result(&eu, "region"), "fail");
    let absent = scene.checks(&["acme", "--explain", "mg.berlim.example"], 3);
    assert_eq!(result(&absent, "in-account"), "fail");
    assert!(absent.to_string().contains("mg.berlin.example"), "a near miss is named: {absent}");
    let unverified = scene.checks(&["acme", "--explain", "mg.paris.example", "--dns"], 3);
    assert_eq!(
        (result(&unverified, "state"), result(&unverified, "dns-spf")),
        ("fail".into(), "fail".into())
    );
    assert_eq!(result(&unverified, "inbound-route"), "fail");
    let list = format!("/mailgun/accounts/{}/allowlist", scene.account);
    scene.sandbox.control("PUT", &list, json!([{"ip_address": "127.0.0.1"}]));
    let blocked = scene.checks(&["acme", "--explain", "mg.berlin.example"], 3);
    assert_eq!(result(&blocked, "ip-allowlist"), "fail");
    assert!(blocked.to_string().contains("keyctl allowlist mailgun@acme --relax"), "{blocked}");
    let mut text = scene.world.inventory();
    text = text.replace(
        "[agency.acme.location.paris]",
        "[agency.acme.location.paris]\ndomain = \"mg.berlin.example\"",
    );
    scene.world.write_inventory(&text);
    let shared = scene.checks(&["acme", "--explain", "mg.berlin.example"], 3);
    assert_eq!(result(&shared, "unique-location"), "fail");
}

#[test]
fn a_key_that_is_in_no_inventory_can_tell_and_a_sending_key_cannot() {
    let scene = scene().standard();
    let ran = scene
        .world
        .run_with(&["-f", "json", "domains", "--provider", "mailgun", "--stdin"], &scene.key.secret)
        .exits(0);
    assert_eq!(ran.data()["selectable"], 1);
    assert_eq!(ran.data()["domains"][0]["key"], Value::Null);
    let sending = scene.sandbox.mailgun_sending_key(&scene.account, "mg.berlin.example");
    let mut scene = scene;
    scene.world.set("KEYCTL_SECRET_MAILGUN__ACME___SEND", &sending.secret);
    let text = scene.world.inventory()
        + "\n[key.\"mailgun:send@acme\"]\nid = \"ksending\"\nkind = \"sending\"\ndomain = \"mg.berlin.example\"\ncurrent = 1\nhighest = 1\n";
    scene.world.write_inventory(&text);
    let _ = scene.world.run(&["domains", "mailgun:send@acme"]).exits(2);
    let checks = scene.checks(&["mailgun:send@acme", "--explain", "mg.berlin.example"], 3);
    assert_eq!(result(&checks, "key-may-list"), "fail");
}

#[test]
fn a_verification_is_a_change_and_needs_consent() {
    let scene = scene().standard();
    let _ = scene.world.run(&["domains", "acme", "--verify", "mg.berlin.example"]).exits(9);
    assert!(scene.sandbox.request_lines().iter().all(|line| !line.contains("PUT")));
    let data = scene.domains(&["acme", "--yes", "--verify", "mg.berlin.example"], 0);
    assert_eq!((&data["domain"], &data["verified"]), (&json!("mg.berlin.example"), &json!(true)));
    let _ = scene.world.run(&["domains", "acme", "--yes", "--verify", "mg.absent.example"]).exits(8);
    let _ = scene
        .world
        .run(&["domains", "acme", "--explain", "mg.berlin.example", "--verify", "x.example"])
        .exits(2);
}
