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
