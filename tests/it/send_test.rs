//! `keyctl send-test` against the sandbox: which key sends, what goes out, and
//! what became of it.

use serde_json::{Value, json};

use super::support::scene::Scene;

const DOMAIN: &str = "mg.acme.example";
const TO: &str = "you@there.example";

/// An account with a domain, its keys, and no domain recorded at the scope.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", DOMAIN, "active");
    let account = scene.sandbox.mailgun_key(&scene.account, "admin");
    let sending = scene.sandbox.mailgun_sending_key(&scene.account, DOMAIN);
    let login = format!("postmaster@{DOMAIN}");
    let password = scene.sandbox.credential(&scene.account, "us", &login);
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &account.secret),
        ("mailgun:send@acme", &format!("kind = \"sending\"\ndomain = \"{DOMAIN}\""), &sending.secret),
        ("mailgun:smtp@acme", &format!("kind = \"smtp\"\nlogin = \"{login}\""), &password),
        ("mailgun:send@lone", &format!("kind = \"sending\"\ndomain = \"{DOMAIN}\""), &sending.secret),
    ]);
    scene
}

fn send(scene: &Scene, arguments: &[&str], code: i32) -> Value {
    scene.world.data(&[&["send-test", "--to", TO], arguments].concat(), code)
}

fn error(scene: &Scene, arguments: &[&str], code: i32) -> Value {
    let ran = scene.world.run(&[&["-f", "json", "send-test", "--to", TO], arguments].concat()).exits(code);
    ran.json()["error"].clone()
}

#[test]
fn a_message_is_sent_and_followed_until_it_is_delivered() {
    let scene = scene();
    scene.sandbox.settings(&scene.account, json!({"delivery_delay_ms": 500}));
    let arguments = ["acme", "--domain", DOMAIN, "--wait", "60s", "--subject", "Grüße"];
    let data = send(&scene, &arguments, 0);
    assert_eq!(
        (&data["key"], &data["via"], &data["status"]),
        (&json!("mailgun@acme"), &json!("api"), &json!("delivered"))
    );
    let events: Vec<&str> =
        data["events"].as_array().unwrap().iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["accepted", "delivered"]);
    let mails = scene.sandbox.messages();
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (&mails[0]["from"], &mails[0]["to"], &mails[0]["subject"], &mails[0]["test_mode"]),
        (&json!(format!("keyctl-test@{DOMAIN}")), &json!([TO]), &json!("Grüße"), &json!(false))
    );
    let id = data["message_id"].as_str().unwrap();
    assert_eq!(id.trim_matches(['<', '>']), mails[0]["message_id"].as_str().unwrap());
}

#[test]
fn it_says_what_it_sends_before_it_does() {
    let scene = scene();
    let ran = scene.world.run(&["send-test", "mailgun:send@acme", "--to", TO]).exits(0);
    let said =
        format!("Sending a message from keyctl-test@{DOMAIN} to {TO} with `mailgun:send@acme` by API …\n");
    assert!(ran.stderr.ends_with(&said), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("mailgun:send@acme  queued\n  via         api\n"), "{}", ran.stdout);
}

#[test]
fn a_message_that_bounces_has_failed_and_one_on_its_way_is_pending() {
    let scene = scene();
    let bounce = ["send-test", "acme", "--to", "bounce@there.example", "--domain", DOMAIN, "--wait", "60s"];
    let data = scene.world.data(&bounce, 1);
    assert_eq!(data["status"], "failed");
    assert!(data["events"].as_array().unwrap().iter().any(|it| it["event"] == "failed"), "{data}");
    scene.sandbox.settings(&scene.account, json!({"delivery_delay_ms": 3_600_000}));
    let data = send(&scene, &["acme", "--domain", DOMAIN, "--wait", "1s"], 4);
    assert_eq!((&data["status"], &data["events"][0]["event"]), (&json!("pending"), &json!("accepted")));
    // An outage while waiting is waited out.
    scene.sandbox.settings(&scene.account, json!({"delivery_delay_ms": 0}));
    let action = json!({"status": 503, "body": "down"});
    let fault = json!({"host": "*", "path_prefix": "/v1/analytics", "times": 2, "action": action});
    scene.sandbox.fault(fault);
    let data = send(&scene, &["acme", "--domain", DOMAIN, "--wait", "60s"], 0);
    assert_eq!(data["status"], "delivered");
}

#[test]
fn test_mode_delivers_nothing_and_says_that_it_is_billed() {
    let scene = scene();
    let arguments = ["-f", "json", "send-test", "mailgun:send@acme", "--to", TO, "--dry-run"];
    let ran = scene.world.run(&arguments).exits(0);
    assert_eq!(ran.data()["status"], "accepted-by-test-mode");
    assert_eq!(ran.data()["events"], json!([]));
    assert!(ran.stderr.contains("bills the message"), "{}", ran.stderr);
    assert_eq!(scene.sandbox.messages()[0]["test_mode"], true);
}

#[test]
fn a_key_that_cannot_read_events_has_the_account_key_read_them() {
    let scene = scene();
    for key in ["mailgun:send@acme", "mailgun:smtp@acme"] {
        let data = send(&scene, &[key, "--wait", "60s"], 0);
        assert_eq!((&data["key"], &data["status"]), (&json!(key), &json!("delivered")), "{data}");
    }
    let via: Vec<Value> = scene.sandbox.messages().iter().map(|it| it["via"].clone()).collect();
    assert_eq!(via, ["api", "smtp"]);
    let ran = scene.world.run(&["-f", "json", "send-test", "lone", "--to", TO, "--wait", "60s"]).exits(0);
    assert_eq!(ran.data()["status"], "queued");
    assert!(ran.stderr.contains("warning: what became of it was not followed"), "{}", ran.stderr);
}

#[test]
fn the_way_and_the_domain_follow_from_key_and_scope() {
    let scene = scene();
    let data = send(&scene, &["acme", "--via", "smtp"], 0);
    assert_eq!((&data["key"], &data["via"]), (&json!("mailgun:smtp@acme"), &json!("smtp")));
    assert_eq!(error(&scene, &["mailgun@acme", "--via", "smtp"], 2)["code"], "usage");
    assert_eq!(error(&scene, &["mailgun:smtp@acme", "--via", "api"], 2)["code"], "usage");
    let none = error(&scene, &["acme"], 2);
    assert!(none["hint"].as_str().unwrap().contains("keyctl scope set acme --domain"), "{none}");
    let recorded = format!(
        "{}\n[agency.acme]\ndomain = \"{DOMAIN}\"\n[agency.acme.location.berlin]\n",
        scene.world.inventory()
    );
    scene.world.write_inventory(&recorded);
    let data = send(&scene, &["acme/berlin", "--from", "sales@shop.example"], 0);
    assert_eq!((&data["key"], &data["status"]), (&json!("mailgun@acme"), &json!("queued")));
    let mails = scene.sandbox.messages();
    assert_eq!((&mails[1]["from"], &mails[1]["domain"]), (&json!("sales@shop.example"), &json!(DOMAIN)));
}

#[test]
fn what_is_no_address_is_refused_before_anything_is_sent() {
    let scene = scene();
    for to in [
        "you",
        "a@b@c.example",
        "a@b.example,c@d.example",
        "a@b.example\r\nBcc: c@d.example",
        "A <a@b.example>",
    ] {
        let _ = scene.world.run(&["send-test", "mailgun:send@acme", "--to", to]).exits(2);
    }
    assert_eq!(error(&scene, &["mailgun:send@acme", "--subject", "a\nBcc: c@d.example"], 2)["code"], "usage");
    assert_eq!(error(&scene, &["mailgun:send@acme", "--template", "x"], 2)["code"], "usage");
    assert_eq!(error(&scene, &["nobody"], 8)["code"], "no-such-scope");
    assert_eq!(error(&scene, &["mailgun:x@acme"], 8)["code"], "no-such-key");
    assert!(scene.sandbox.request_lines().is_empty());
}

#[test]
fn a_message_that_is_not_taken_ends_by_its_reason() {
    let scene = scene();
    let foreign = error(&scene, &["mailgun@acme", "--domain", "not.ours.example"], 3);
    assert_eq!(foreign["code"], "unauthorized");
    scene.sandbox.domain(&scene.account, "us", "new.acme.example", "unverified");
    let unverified = error(&scene, &["mailgun@acme", "--domain", "new.acme.example"], 1);
    assert_eq!(unverified["code"], "domain-not-verified");
    assert!(unverified["hint"].as_str().unwrap().contains("--explain"), "{unverified}");
    scene.sandbox.fault(json!({"host": "*", "action": {"status": 503, "body": "down"}}));
    assert_eq!(error(&scene, &["mailgun:send@acme"], 4)["code"], "provider-error");
}

#[test]
fn brevo_sends_and_tells_and_its_relay_has_no_test_mode() {
    let mut scene = Scene::new();
    let made = scene.sandbox.control("POST", "/brevo/accounts", json!({}));
    let (id, login) =
        (made["id"].as_str().unwrap().to_owned(), made["smtp_login"].as_str().unwrap().to_owned());
    let key = |kind: &str| {
        let made =
            scene.sandbox.control("POST", &format!("/brevo/accounts/{id}/keys"), json!({"kind": kind}));
        made["secret"].as_str().unwrap().to_owned()
    };
    let (api, smtp) = (key("api"), key("smtp"));
    let domain = json!({"name": DOMAIN, "authenticated": true, "verified": true});
    scene.sandbox.control("POST", &format!("/brevo/accounts/{id}/domains"), domain);
    scene.records(&[
        ("brevo@acme", "kind = \"api\"", &api),
        ("brevo:smtp@acme", &format!("kind = \"smtp\"\nlogin = \"{login}\""), &smtp),
        ("klaviyo@beta", "kind = \"private\"", "x"),
        ("brevo@beta", "kind = \"api\"", &api),
        ("highlevel@beta", "kind = \"agency\"", "x"),
    ]);
    let data = send(&scene, &["acme", "--domain", DOMAIN, "--wait", "60s"], 0);
    assert_eq!((&data["key"], &data["status"]), (&json!("brevo@acme"), &json!("delivered")));
    let data = send(&scene, &["brevo:smtp@acme", "--domain", DOMAIN, "--wait", "60s"], 0);
    assert_eq!((&data["via"], &data["status"]), (&json!("smtp"), &json!("delivered")));
    let data = send(&scene, &["acme", "--domain", DOMAIN, "--dry-run"], 0);
    assert_eq!(data["status"], "accepted-by-test-mode");
    assert_eq!(scene.sandbox.messages().len(), 2);
    assert_eq!(error(&scene, &["brevo:smtp@acme", "--domain", DOMAIN, "--dry-run"], 2)["code"], "usage");
    assert_eq!(error(&scene, &["brevo:smtp@acme"], 2)["code"], "usage", "a login of Brevo's is no domain");
    assert_eq!(error(&scene, &["beta", "--domain", DOMAIN], 2)["code"], "ambiguous");
    assert_eq!(error(&scene, &["highlevel@beta"], 2)["code"], "usage");
    assert_eq!(scene.sandbox.messages().len(), 2);
}

#[test]
fn klaviyo_previews_a_template() {
    let mut scene = Scene::new();
    let id = scene.sandbox.control("POST", "/klaviyo/accounts", json!({}))["id"].as_str().unwrap().to_owned();
    let scopes = json!({"scopes": ["templates:write", "templates:read", "accounts:read"]});
    let made = scene.sandbox.control("POST", &format!("/klaviyo/accounts/{id}/keys"), scopes);
    let template = scene.sandbox.control("POST", &format!("/klaviyo/accounts/{id}/templates"), json!({}));
    let template = template["id"].as_str().unwrap();
    scene.records(&[("klaviyo@acme", "kind = \"private\"", made["secret"].as_str().unwrap())]);
    assert_eq!(error(&scene, &["acme"], 2)["code"], "usage");
    assert_eq!(error(&scene, &["acme", "--template", template, "--dry-run"], 2)["code"], "usage");
    let arguments = ["-f", "json", "send-test", "acme", "--to", TO, "--template", template, "--wait", "5s"];
    let ran = scene.world.run(&arguments).exits(0);
    assert_eq!((&ran.data()["key"], &ran.data()["status"]), (&json!("klaviyo@acme"), &json!("queued")));
    assert!(ran.stderr.contains("look into the mailbox"), "{}", ran.stderr);
}
