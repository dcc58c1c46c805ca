//! The login that an API key of the account tells, in every command that needs
//! one: recorded where it was proven, asked for where it was not.

use serde_json::{Value, json};

use super::Shop;
use crate::support::sandbox::SandboxKey;

const MAIL: &str = "brevo:mail@shop";

impl Shop {
    /// Returns a shop with an API key and, beside it, an SMTP key whose login
    /// nobody recorded.
    fn unnamed() -> (Self, SandboxKey) {
        let shop = Self::new();
        let smtp = shop.make("smtp");
        shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
        let ran =
            shop.world.run_with(&["add", MAIL, "--kind", "smtp", "--no-validate", "--stdin"], &smtp.secret);
        assert!(ran.exits(0).stderr.contains("`keyctl set brevo:mail@shop --login`"));
        assert_eq!(shop.show(MAIL)["login"], Value::Null);
        shop.sandbox.clear_requests();
        (shop, smtp)
    }

    #[track_caller]
    fn rotate(&self, arguments: &[&str], code: i32) -> Value {
        self.world.data(&[&["rotate"], arguments].concat(), code)["rotations"][0].clone()
    }

    /// Gives a new key to the rotation and returns what it says.
    #[track_caller]
    fn give(&self, arguments: &[&str], key: &SandboxKey, code: i32) -> (Value, String) {
        let all = [&["-f", "json", "rotate", MAIL, "--stdin"], arguments].concat();
        let ran = self.world.run_with(&all, &key.secret).exits(code);
        assert!(!ran.stdout.contains(&key.secret) && !ran.stderr.contains(&key.secret));
        (ran.data()["rotations"][0].clone(), ran.stderr)
    }

    fn has_login(&self) {
        assert_eq!(self.show(MAIL)["login"], self.login.as_str());
    }
}

#[test]
fn an_api_key_that_comes_later_names_the_keys_beside_it() {
    let shop = Shop::new();
    shop.add(&[MAIL], &shop.make("smtp"), 4);
    let dead = shop.make("smtp");
    shop.add(&["brevo:dead@shop"], &dead, 4);
    shop.change(&dead, json!({"state": "deleted"}));
    shop.add(&["brevo:far@shop/berlin"], &shop.make("smtp"), 4);
    shop.sandbox.clear_requests();
    let ran = shop.world.run_with(&["add", "brevo:api@shop", "--stdin"], &shop.make("api").secret).exits(0);
    for said in [
        format!("the login of `{MAIL}` is recorded, as `brevo:api@shop` tells it"),
        "the relay refuses its key with this account's".to_owned(),
        // A location may have an account of its own: nothing is tried there.
        format!("`keyctl set brevo:far@shop/berlin --login {}`", shop.login),
    ] {
        assert!(ran.stderr.contains(&said), "{said}: {}", ran.stderr);
    }
    assert_eq!((shop.asked("brevo"), shop.asked("brevo-smtp")), (1, 2), "each key once");
    shop.has_login();
    assert_eq!(shop.show(MAIL)["last_verdict"], "valid");
    assert_eq!(shop.show(MAIL)["identity"], shop.show("brevo:api@shop")["identity"]);
    for other in ["brevo:dead@shop", "brevo:far@shop/berlin"] {
        assert_eq!(shop.show(other)["login"], Value::Null);
    }
}

#[test]
fn a_file_with_both_keys_names_the_login_in_either_order() {
    for api_first in [true, false] {
        let shop = Shop::new();
        let (api, smtp) = (shop.make("api").secret, shop.make("smtp").secret);
        let mut lines = [format!("BREVO_API_KEY={api}\n"), format!("BREVO_SMTP_KEY={smtp}\n")];
        if !api_first {
            lines.reverse();
        }
        let path = shop.world.path("both.env");
        std::fs::write(&path, lines.concat()).unwrap();
        let arguments = ["add", "--from-dotenv", path.to_str().unwrap(), "--scope", "shop"];
        let _ = shop.world.run(&arguments).exits(if api_first { 0 } else { 4 });
        assert_eq!(shop.show("brevo:smtp@shop")["login"], shop.login.as_str(), "API key first: {api_first}");
    }
}

#[test]
fn a_key_rotates_by_the_login_that_the_api_key_tells() {
    let (mut shop, old) = Shop::unnamed();
    let before = shop.world.inventory();
    let planned = shop.rotate(&[MAIL, "--plan"], 0);
    assert_eq!(planned["old"]["login"], shop.login.as_str(), "{planned}");
    assert_eq!(shop.world.inventory(), before);
    shop.rotate(&[MAIL, "--yes", "--no-input"], 6);
    let new = shop.make("smtp");
    shop.sandbox.clear_requests();
    let (rotation, _) = shop.give(&["--resume"], &new, 0);
    assert_eq!((&rotation["stage"], &rotation["new"]["login"]), (&json!("grace"), &json!(shop.login)));
    assert_eq!((shop.asked("brevo"), shop.asked("brevo-smtp")), (0, 2), "each key once, the login is known");
    shop.has_login();
    shop.change(&old, json!({"state": "deleted"}));
    shop.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", &(25 * 3600).to_string());
    // A refused login does not tell whether its key is off or deleted: a person does.
    let off = shop.rotate(&[MAIL, "--resume"], 6);
    assert_eq!((&off["stage"], &off["next"]["action"]), (&json!("disabled"), &json!("delete")));
    let done = shop.rotate(&[MAIL, "--done"], 0);
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")));
    shop.has_login();
    assert_eq!(shop.validate(&[MAIL], 0)["verdict"], "valid");
}

#[test]
fn a_dead_key_is_replaced_by_the_login_that_the_api_key_tells() {
    let (shop, old) = Shop::unnamed();
    shop.change(&old, json!({"state": "deleted"}));
    let new = shop.make("smtp");
    let (rotation, _) = shop.give(&["--yes", "--grace", "0s"], &new, 6);
    assert_eq!((&rotation["stage"], &rotation["old"]["state"]), (&json!("disabled"), &json!("disabled")));
    assert_eq!(shop.asked("brevo"), 1, "the API key once a run");
    let rotation = shop.rotate(&[MAIL, "--done"], 0);
    assert_eq!((&rotation["stage"], &rotation["old"]["state"]), (&json!("done"), &json!("dead")));
    shop.has_login();
}

#[test]
fn a_rotation_taken_back_keeps_the_login() {
    let (shop, _) = Shop::unnamed();
    let new = shop.make("smtp");
    let _ = shop.give(&["--yes"], &new, 0);
    shop.change(&new, json!({"state": "deleted"}));
    assert_eq!(shop.rotate(&[MAIL, "--rollback"], 0)["stage"], "rolled-back");
    shop.has_login();
    assert_eq!(shop.validate(&[MAIL], 0)["verdict"], "valid");
}

#[test]
fn a_rotation_without_any_login_does_not_begin() {
    let shop = Shop::new();
    shop.add(&[MAIL], &shop.make("smtp"), 4);
    let before = shop.world.inventory();
    let ran = shop.world.run(&["rotate", MAIL, "--yes", "--no-input"]).exits(2);
    assert!(ran.stderr.contains("`keyctl set brevo:mail@shop --login LOGIN`"), "{}", ran.stderr);
    assert_eq!(shop.world.inventory(), before);
    // One that could tell, and does not now, is a matter of time.
    let (shop, _) = Shop::unnamed();
    shop.settings(json!({"api_blocking": true}));
    let ran = shop.world.run(&["rotate", MAIL, "--yes", "--no-input"]).exits(4);
    assert!(ran.stderr.contains("`brevo:api@shop` could not tell the login"), "{}", ran.stderr);
}

#[test]
fn a_rotation_tells_a_wrong_login_from_a_wrong_key() {
    let shop = Shop::new();
    shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
    shop.add(&[MAIL, "--login", "owner@shop.example", "--force"], &shop.make("smtp"), 3);
    let new = shop.make("smtp");
    let (rotation, said) = shop.give(&["--yes"], &new, 1);
    assert_eq!(rotation["stage"], "created", "{rotation}");
    let fix = format!("if it is the same account: `keyctl set {MAIL} --login {}`", shop.login);
    assert_eq!(said.matches(&fix).count(), 2, "in the plan and in the end: {said}");
    assert!(said.contains(&format!("`brevo:api@shop` tells another login: `{}`", shop.login)), "{said}");
    // An unused key that a wrong login refuses is not proven dead.
    let ran = shop.world.run(&["set", MAIL, "--login"]).exits(0);
    assert!(ran.stderr.contains("`brevo:api@shop` tells the login"), "{}", ran.stderr);
    let rotation = shop.rotate(&[MAIL, "--resume"], 0);
    assert_eq!((&rotation["stage"], &rotation["new"]["login"]), (&json!("grace"), &json!(shop.login)));
    shop.has_login();

    let (shop, _) = Shop::unnamed();
    let dead = shop.make("smtp");
    shop.change(&dead, json!({"state": "deleted"}));
    let (rotation, said) = shop.give(&["--yes"], &dead, 1);
    assert_eq!(rotation["stage"], "created", "{rotation}");
    assert!(said.contains("the login is right, as `brevo:api@shop` tells"), "{said}");
    assert!(!said.contains("another login"), "{said}");
    assert_eq!(shop.rotate(&[MAIL, "--abort"], 0)["stage"], "aborted", "proven dead by the right login");
}

#[test]
fn an_unused_key_that_a_wrong_login_refuses_is_not_given_up_as_dead() {
    let shop = Shop::new();
    shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
    shop.add(&[MAIL, "--login", "owner@shop.example", "--force"], &shop.make("smtp"), 3);
    let _ = shop.give(&["--yes"], &shop.make("smtp"), 1);
    assert_eq!(shop.rotate(&[MAIL, "--abort", "--no-input"], 6)["stage"], "aborting");
}

#[test]
fn a_key_is_switched_and_ended_by_the_login_that_the_api_key_tells() {
    let (shop, smtp) = Shop::unnamed();
    shop.change(&smtp, json!({"state": "deactivated"}));
    let off = shop.world.data(&["disable", MAIL, "--done"], 0);
    assert_eq!((&off["state"], &off["verdict"]), (&json!("disabled"), &json!("rejected")));
    shop.change(&smtp, json!({"state": "active"}));
    let on = shop.world.data(&["enable", MAIL, "--done"], 0);
    assert_eq!((&on["state"], &on["verdict"]), (&json!("active"), &json!("valid")));
    let works = shop.world.run(&["remove", MAIL, "--revoke", "--done"]).exits(3);
    assert!(works.stderr.contains("still works"), "{}", works.stderr);
    let _ = shop.world.run(&["remove", MAIL]).exits(9);
    shop.change(&smtp, json!({"state": "deleted"}));
    let gone = shop.world.data(&["remove", MAIL, "--revoke", "--done"], 0);
    assert_eq!((&gone["removed"], &gone["how"]), (&json!(true), &json!("console")));
}

#[test]
fn a_refusal_with_a_wrong_login_is_no_proof_of_death() {
    let shop = Shop::new();
    shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
    shop.add(&[MAIL, "--login", "9z8y7x001@smtp-brevo.com", "--force"], &shop.make("smtp"), 3);
    for arguments in [
        &["disable", MAIL, "--done"][..],
        &["enable", MAIL, "--done"],
        &["remove", MAIL],
        &["remove", MAIL, "--revoke", "--done"],
    ] {
        let ran = shop.world.run(arguments).exits(4);
        assert!(ran.stderr.contains("`brevo:api@shop` tells another login"), "{}", ran.stderr);
    }
    assert_eq!(shop.show(MAIL)["state"], "active");
}

#[test]
fn a_login_that_was_only_told_lets_no_key_go() {
    // Two accounts at one scope: the API key is of one, the SMTP key of the other.
    let (shop, _) = Shop::unnamed();
    let other = shop.sandbox.control("POST", "/brevo/accounts", json!({"company": "Other"}));
    let path = format!("/brevo/accounts/{}/keys", other["id"].as_str().unwrap());
    let made = shop.sandbox.control("POST", &path, json!({"kind": "smtp"}));
    let secret = made["secret"].as_str().unwrap();
    let add = ["add", "brevo:other@shop", "--kind", "smtp", "--no-validate", "--stdin"];
    let _ = shop.world.run_with(&add, secret).exits(0);
    let ran = shop.world.run(&["remove", "brevo:other@shop"]).exits(4);
    assert!(ran.stderr.contains("never accepted"), "{}", ran.stderr);
    // At a location below, the same is said of any refusal.
    let add = ["add", "brevo:other@shop/berlin", "--kind", "smtp", "--no-validate", "--stdin"];
    let _ = shop.world.run_with(&add, secret).exits(0);
    let ran = shop.world.run(&["remove", "brevo:other@shop/berlin", "--revoke", "--done"]).exits(4);
    assert!(ran.stderr.contains("may be of another account"), "{}", ran.stderr);
    let result = shop.validate(&["brevo:other@shop/berlin"], 3);
    assert_eq!(result["causes"][0], "wrong-login", "{result}");
}

#[test]
fn a_test_mail_goes_by_the_login_that_the_api_key_tells() {
    let (shop, smtp) = Shop::unnamed();
    let send = ["send-test", MAIL, "--to", "x@y.example", "--from", "a@shop.example"];
    assert_eq!(shop.world.data(&send, 0)["via"], "smtp");
    assert_eq!(shop.sandbox.messages().len(), 1);
    shop.change(&smtp, json!({"state": "deleted"}));
    let ran = shop.world.run(&send).exits(3);
    assert!(ran.stderr.contains("the login is right, as `brevo:api@shop` tells"), "{}", ran.stderr);
    let _ = shop.world.run(&["set", MAIL, "--login", "owner@shop.example"]).exits(0);
    let ran = shop.world.run(&send).exits(3);
    let fix = format!("`keyctl set {MAIL} --login {}`", shop.login);
    assert!(ran.stderr.contains(&fix), "{}", ran.stderr);
    let shop = Shop::new();
    shop.add(&[MAIL], &shop.make("smtp"), 4);
    let ran = shop.world.run(&send).exits(2);
    assert!(ran.stderr.contains("`keyctl set brevo:mail@shop --login LOGIN`"), "{}", ran.stderr);
}

#[test]
fn a_key_that_is_handed_out_without_its_login_is_warned_of() {
    let (shop, smtp) = Shop::unnamed();
    let warned = |arguments: &[&str], code: i32| {
        let ran = shop.world.run(arguments).exits(code);
        assert!(ran.stderr.contains("`keyctl set brevo:mail@shop --login`"), "{}", ran.stderr);
        ran
    };
    let exported = warned(&["export", "shop", "--dotenv"], 0);
    assert!(exported.stdout.contains(&smtp.secret) && !exported.stdout.contains("BREVO_SMTP_LOGIN"));
    assert!(exported.stderr.contains("`brevo:mail@shop` goes without its login"), "{}", exported.stderr);
    let _ = warned(&["run", MAIL, "--", "true"], 0);
    let _ = warned(&["get", MAIL, "--field", "login"], 8);
    assert_eq!(shop.sandbox.requests().len(), 0, "offline");
    // The command that the warning names records it.
    let _ = shop.world.run(&["set", MAIL, "--login"]).exits(0);
    let ran = shop.world.run(&["export", "shop", "--dotenv"]).exits(0);
    assert!(ran.stdout.contains(&format!("BREVO_SMTP_LOGIN={}", shop.login)), "the login is there");
    assert!(!ran.stderr.contains("login"), "{}", ran.stderr);
}

#[test]
fn only_a_key_beside_it_can_tell_a_login_to_set() {
    let shop = Shop::new();
    shop.add(&[MAIL], &shop.make("smtp"), 4);
    let ran = shop.world.run(&["set", MAIL, "--login"]).exits(2);
    assert!(ran.stderr.contains("--login LOGIN"), "{}", ran.stderr);
    shop.add(&["brevo:api@shop"], &shop.make("api"), 0);
    let ran = shop.world.run(&["set", "brevo:api@shop", "--login"]).exits(2);
    assert!(ran.stderr.contains("--login"), "{}", ran.stderr);
}
