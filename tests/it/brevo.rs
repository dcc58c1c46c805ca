//! Brevo as a person works with it: an API key and SMTP keys of one account,
//! kept, proven, switched, ended.

mod logins;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::sandbox::{Sandbox, SandboxKey};

/// A home, a sandbox, and an account in it.
struct Shop {
    world: World,
    sandbox: Sandbox,
    account: String,
    login: String,
}

impl Shop {
    fn new() -> Self {
        let sandbox = Sandbox::start();
        let account = sandbox.control("POST", "/brevo/accounts", json!({"company": "Shop"}));
        let text = |name: &str| account[name].as_str().unwrap().to_owned();
        let (account, login) = (text("id"), text("smtp_login"));
        let mut world = World::new();
        world.join(&sandbox.env());
        Self { world, sandbox, account, login }
    }

    fn make(&self, kind: &str) -> SandboxKey {
        self.make_with(json!({"kind": kind}))
    }

    fn make_with(&self, body: Value) -> SandboxKey {
        let made = self.sandbox.control("POST", &format!("/brevo/accounts/{}/keys", self.account), body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        SandboxKey { id: text("id"), secret: text("secret") }
    }

    fn change(&self, key: &SandboxKey, body: Value) {
        self.sandbox.control("PUT", &format!("/brevo/keys/{}", key.id), body);
    }

    fn settings(&self, body: Value) {
        self.sandbox.control("PUT", &format!("/brevo/accounts/{}/settings", self.account), body);
    }

    /// Adds a key by stdin and returns the data.
    #[track_caller]
    fn add(&self, arguments: &[&str], key: &SandboxKey, code: i32) -> Value {
        let all = [&["-f", "json", "add"], arguments, &["--stdin"]].concat();
        let ran = self.world.run_with(&all, &key.secret).exits(code);
        assert!(!ran.stdout.contains(&key.secret) && !ran.stderr.contains(&key.secret));
        ran.data()
    }

    #[track_caller]
    fn validate(&self, arguments: &[&str], code: i32) -> Value {
        self.world.data(&[&["validate"], arguments].concat(), code)["results"][0].clone()
    }

    #[track_caller]
    fn show(&self, key: &str) -> Value {
        self.world.data(&["show", key], 0)["key"].clone()
    }

    /// Takes every recorded login away.
    fn without_login(&self) {
        let kept: Vec<String> =
            self.world.inventory().lines().filter(|it| !it.starts_with("login")).map(str::to_owned).collect();
        self.world.write_inventory(&(kept.join("\n") + "\n"));
    }

    /// Returns how often each listener was asked.
    fn asked(&self, host: &str) -> usize {
        self.sandbox.requests().iter().filter(|it| it["host"] == host).count()
    }
}

#[test]
fn both_kinds_are_told_by_their_prefix_and_the_login_by_the_api_key() {
    let shop = Shop::new();
    let added = shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
    assert_eq!((&added["kind"], &added["verdict"]), (&json!("api"), &json!("valid")), "{added}");
    shop.sandbox.clear_requests();
    let added = shop.add(&["brevo:mail@shop/berlin"], &shop.make("smtp"), 0);
    assert_eq!((&added["kind"], &added["verdict"]), (&json!("smtp"), &json!("valid")), "{added}");
    assert_eq!((shop.asked("brevo"), shop.asked("brevo-smtp")), (1, 1), "the API for the login only");
    let shown = shop.show("brevo:mail@shop/berlin");
    assert_eq!(shown["login"], shop.login.as_str());
    assert_eq!(shown["identity"], shop.show("brevo:api@shop")["identity"], "it is the account's login");
    let got = shop.world.run(&["get", "brevo:mail@shop/berlin", "--field", "login"]).exits(0);
    assert_eq!(got.stdout.trim(), shop.login);
}

#[test]
fn a_login_that_is_not_known_is_asked_of_the_api_key_once() {
    let shop = Shop::new();
    let smtp = shop.make("smtp");
    let added = shop.add(&["brevo:mail@shop"], &smtp, 4);
    assert_eq!(added["reason"], "permission-not-checkable", "kept, but not proven: {added}");
    shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
    // As in an inventory from before the API key was asked at once.
    shop.without_login();
    let before = shop.world.inventory();
    shop.sandbox.clear_requests();
    let data = shop.world.data(&["validate"], 0);
    assert_eq!(data["summary"]["valid"], 2, "{data}");
    assert_eq!((shop.asked("brevo"), shop.asked("brevo-smtp")), (1, 1), "each secret once");
    assert_eq!(shop.validate(&["brevo:mail@shop"], 0)["verdict"], "valid");
    assert_eq!(shop.world.inventory(), before, "validate does not write it");
}

#[test]
fn a_wrong_login_is_told_from_a_wrong_key_by_the_api_key() {
    let shop = Shop::new();
    let smtp = shop.make("smtp");
    shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
    let refused = shop.add(&["brevo:mail@shop", "--login", "owner@shop.example", "--force"], &smtp, 3);
    assert_eq!(refused["reason"], "unauthorized", "{refused}");
    let result = shop.validate(&["brevo:mail@shop"], 3);
    assert_eq!(result["causes"][0], "wrong-login");
    let fix = format!("`keyctl set brevo:mail@shop --login {}`", shop.login);
    assert!(result["hint"].as_str().unwrap().contains(&fix), "{result}");
    let _ = shop.world.run(&["set", "brevo:mail@shop", "--login", &shop.login]).exits(0);
    assert_eq!(shop.validate(&["brevo:mail@shop"], 0)["verdict"], "valid");
    shop.change(&smtp, json!({"state": "deleted"}));
    let result = shop.validate(&["brevo:mail@shop"], 3);
    assert!(!result["causes"].as_array().unwrap().contains(&json!("wrong-login")), "{result}");
    assert!(result["detail"].as_str().unwrap().contains("the login is right"), "{result}");
}

/// Deactivated really refuses, reactivated really answers, deleted is gone;
/// each word of a person is tried.
fn the_life_of(kind: &str) {
    let shop = Shop::new();
    let key = shop.make(kind);
    shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
    shop.add(&["brevo:web@shop"], &key, 0);
    let page = if kind == "smtp" { "settings/keys/smtp" } else { "settings/keys/api" };

    let waits = shop.world.run(&["disable", "brevo:web@shop", "--no-input"]).exits(6);
    assert!(waits.stderr.contains(page), "{}", waits.stderr);
    assert!(waits.stderr.contains("keyctl disable brevo:web@shop --done"), "{}", waits.stderr);
    let still = shop.world.data(&["disable", "brevo:web@shop", "--done"], 3);
    assert_eq!((&still["state"], &still["verdict"]), (&json!("disabled"), &json!("valid")));
    // A key that is recorded as switched off and works is a finding.
    let works = shop.validate(&["brevo:web@shop"], 3);
    assert_eq!(works["verdict"], "valid", "{works}");
    shop.change(&key, json!({"state": "deactivated"}));
    let off = shop.world.data(&["disable", "brevo:web@shop", "--done"], 0);
    assert_eq!((&off["state"], &off["verdict"]), (&json!("disabled"), &json!("rejected")));
    assert_eq!(shop.validate(&["brevo:web@shop"], 0)["verdict"], "rejected", "which is healthy");

    let _ = shop.world.run(&["enable", "brevo:web@shop", "--no-input"]).exits(6);
    let not_yet = shop.world.data(&["enable", "brevo:web@shop", "--done"], 3);
    assert_eq!(not_yet["verdict"], "rejected");
    shop.change(&key, json!({"state": "active"}));
    let on = shop.world.data(&["enable", "brevo:web@shop", "--done"], 0);
    assert_eq!((&on["state"], &on["verdict"]), (&json!("active"), &json!("valid")));

    let _ = shop.world.run(&["remove", "brevo:web@shop"]).exits(9);
    let waits = shop.world.run(&["remove", "brevo:web@shop", "--revoke", "--no-input"]).exits(6);
    assert!(waits.stderr.contains(page), "{}", waits.stderr);
    let works = shop.world.run(&["remove", "brevo:web@shop", "--revoke", "--done"]).exits(3);
    assert!(works.stderr.contains("still works"), "{}", works.stderr);
    assert_eq!(shop.show("brevo:web@shop")["state"], "active", "nothing was removed");
    shop.change(&key, json!({"state": "deleted"}));
    let gone = shop.world.data(&["remove", "brevo:web@shop", "--revoke", "--done"], 0);
    assert_eq!((&gone["removed"], &gone["how"]), (&json!(true), &json!("console")));
    let _ = shop.world.run(&["show", "brevo:web@shop"]).exits(8);
}

#[test]
fn a_refusal_that_was_there_before_does_not_prove_a_key_dead() {
    let shop = Shop::new();
    let smtp = shop.make("smtp");
    shop.add(&["brevo:mail@shop", "--login", "9z8y7x001@smtp-brevo.com", "--force"], &smtp, 3);
    let ran = shop.world.run(&["remove", "brevo:mail@shop", "--revoke", "--done"]).exits(4);
    assert!(ran.stderr.contains("it never was accepted from here"), "{}", ran.stderr);
    let held = shop.world.run(&["get", "brevo:mail@shop"]).exits(0);
    assert_eq!(held.stdout.trim(), smtp.secret, "nothing is lost");
    // Once it was seen to work, a person's word and a refusal are enough.
    let _ = shop.world.run(&["set", "brevo:mail@shop", "--login", &shop.login]).exits(0);
    assert_eq!(shop.validate(&["brevo:mail@shop"], 0)["verdict"], "valid");
    shop.change(&smtp, json!({"state": "deleted"}));
    let _ = shop.world.run(&["remove", "brevo:mail@shop", "--revoke", "--done"]).exits(0);
}

#[test]
fn an_api_key_is_switched_off_and_on_and_ended_by_a_person() {
    the_life_of("api");
}

#[test]
fn an_smtp_key_is_switched_off_and_on_and_ended_by_a_person() {
    the_life_of("smtp");
}

#[test]
fn what_limits_an_account_limits_its_key_and_does_not_condemn_it() {
    let shop = Shop::new();
    shop.add(&["brevo@shop"], &shop.make("api"), 0);
    for (change, reason, back) in [
        (json!({"credits": 0}), "out-of-credit", json!({"credits": 300})),
        (json!({"activated": false}), "account-not-activated", json!({"activated": true})),
    ] {
        shop.settings(change);
        let result = shop.validate(&[], 0);
        assert_eq!((&result["verdict"], &result["reason"]), (&json!("limited"), &json!(reason)));
        assert_eq!(shop.validate(&["--strict"], 5)["reason"], reason);
        shop.settings(back);
    }
    shop.settings(json!({"api_blocking": true}));
    let result = shop.validate(&[], 4);
    assert_eq!((&result["verdict"], &result["reason"]), (&json!("unknown"), &json!("ip-blocked")));
    assert!(result["hint"].as_str().unwrap().contains("authorised_ips"), "{result}");
}

#[test]
fn an_end_that_comes_near_is_warned_of() {
    let mut shop = Shop::new();
    shop.add(&["brevo@shop", "--expires", "2099-01-01"], &shop.make("api"), 0);
    assert_eq!(shop.validate(&[], 0)["verdict"], "valid");
    let _ =
        shop.world.run(&["set", "brevo@shop", "--created", "2026-01-01", "--expires", "2026-01-08"]).exits(0);
    let result = shop.validate(&[], 0);
    assert_eq!((&result["verdict"], &result["reason"]), (&json!("limited"), &json!("expires-soon")));
    let _ = shop.world.run(&["set", "brevo@shop", "--expires", "never"]).exits(0);
    assert_eq!(shop.validate(&[], 0)["verdict"], "valid");
    // Brevo ends keys that nobody used for 90 days: 80 days after the last
    // success that this machine knows of, that is near.
    shop.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", &(80 * 86_400).to_string());
    let ran = shop.world.run(&["list"]).exits(0);
    assert!(ran.stderr.contains("90 days"), "{}\n{}", ran.stdout, ran.stderr);
}
