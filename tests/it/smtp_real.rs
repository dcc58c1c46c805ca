//! SMTP keys against a real Postfix whose logins Dovecot checks: what the
//! program says, and what the server saw of it.
#![cfg(target_os = "linux")]

use serde_json::{Value, json};

use crate::support::World;
use crate::support::postfix::Postfix;

const BREVO_LOGIN: &str = "7f0a1b001@smtp-brevo.com";
const MAILGUN_LOGIN: &str = "postmaster@mg.acme.example";

/// What the server notes of a login and nothing else.
const ONE_LOGIN: &str = "ehlo=2 starttls=1 auth=1 quit=1 commands=5";

fn brevo_key() -> String {
    ["xsmtpsib-", &"3c".repeat(32), "-", &"aB3d".repeat(4)].concat()
}

fn mailgun_password() -> String {
    ["correct", "horse", "battery"].join("-")
}

/// The server, and a world whose relays of both vendors it is.
struct Scene {
    server: Postfix,
    world: World,
}

impl Scene {
    fn start() -> Option<Self> {
        let (key, password) = (brevo_key(), mailgun_password());
        let server = Postfix::start(&[(BREVO_LOGIN, &key), (MAILGUN_LOGIN, &password)])?;
        let authority = server.path().join("authority.pem");
        std::fs::write(&authority, &server.tls.root).unwrap();
        let mut world = World::new();
        world.set("KEYCTL_CA_FILE", authority.to_str().unwrap());
        // No request may leave: these ports answer nobody.
        for name in ["KEYCTL_MAILGUN_US_URL", "KEYCTL_MAILGUN_EU_URL", "KEYCTL_BREVO_URL"] {
            world.set(name, "http://127.0.0.1:9");
        }
        let mut scene = Self { server, world };
        let relay = scene.server.starttls.clone();
        scene.relay(&relay);
        Some(scene)
    }

    fn relay(&mut self, address: &str) {
        self.world.set("KEYCTL_BREVO_SMTP", address);
        self.world.set("KEYCTL_MAILGUN_US_SMTP", address);
    }

    /// Validates one key that is in no inventory.
    #[track_caller]
    fn validate(&self, provider: &str, login: &str, secret: &str, code: i32) -> Value {
        let mut arguments =
            vec!["-f", "json", "validate", "--provider", provider, "--kind", "smtp", "--login", login];
        if provider == "mailgun" {
            arguments.extend(["--region", "us"]);
        }
        arguments.push("--stdin");
        let ran = self.world.run_with(&arguments, secret).exits(code);
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "the secret is shown");
        ran.data()["results"][0].clone()
    }

    fn brevo(&self, secret: &str, code: i32) -> Value {
        self.validate("brevo", BREVO_LOGIN, secret, code)
    }
}

#[test]
fn the_right_key_is_valid_and_the_wrong_one_refused() {
    let Some(scene) = Scene::start() else { return };
    assert_eq!(scene.brevo(&brevo_key(), 0)["verdict"], "valid");
    let mailgun = scene.validate("mailgun", MAILGUN_LOGIN, &mailgun_password(), 0);
    assert_eq!((&mailgun["verdict"], &mailgun["region"]), (&json!("valid"), &json!("us")));
    assert_eq!(scene.server.conversations(2), [ONE_LOGIN, ONE_LOGIN]);

    let other = ["xsmtpsib-", &"4d".repeat(32), "-", &"aB3d".repeat(4)].concat();
    let refused = scene.brevo(&other, 3);
    assert_eq!((&refused["verdict"], &refused["reason"]), (&json!("rejected"), &json!("unauthorized")));
    let refused = scene.validate("mailgun", MAILGUN_LOGIN, "no-such-password", 3);
    assert_eq!((&refused["verdict"], &refused["reason"]), (&json!("rejected"), &json!("unauthorized")));
    let refused = scene.validate("brevo", "owner@shop.example", &brevo_key(), 3);
    assert_eq!(refused["causes"][0], "wrong-login");
    let conversations = scene.server.conversations(5);
    let tries = conversations.iter().skip(2).filter(|it| it.contains("auth=0/1"));
    assert_eq!(tries.count(), 3, "one AUTH each: {conversations:#?}");
    assert!(!scene.server.has_mail());
}

#[test]
fn tls_from_the_first_byte_is_spoken_on_port_465() {
    let Some(mut scene) = Scene::start() else { return };
    let implicit = scene.server.implicit.clone();
    scene.relay(&implicit);
    assert_eq!(scene.brevo(&brevo_key(), 0)["verdict"], "valid");
    assert_eq!(scene.server.conversations(1), ["ehlo=1 auth=1 quit=1 commands=3"]);
}

#[test]
fn nothing_is_said_to_a_server_that_is_not_trusted() {
    let Some(mut scene) = Scene::start() else { return };
    scene.world.unset("KEYCTL_CA_FILE");
    let untrusted = scene.brevo(&brevo_key(), 4);
    assert_eq!((&untrusted["verdict"], &untrusted["reason"]), (&json!("unknown"), &json!("tls")));
    let plain = scene.server.plain.clone();
    scene.relay(&plain);
    for result in
        [scene.brevo(&brevo_key(), 4), scene.validate("mailgun", MAILGUN_LOGIN, &mailgun_password(), 4)]
    {
        assert_eq!((&result["verdict"], &result["reason"]), (&json!("unknown"), &json!("tls")), "{result}");
    }
    let conversations = scene.server.conversations(3);
    assert!(conversations.iter().all(|it| !it.contains("auth")), "{conversations:#?}");
}

#[test]
fn a_test_mail_lands_in_the_mailbox() {
    let Some(scene) = Scene::start() else { return };
    let add = ["add", "brevo@shop", "--login", BREVO_LOGIN, "--stdin"];
    let _ = scene.world.run_with(&add, &brevo_key()).exits(0);
    let send = ["send-test", "brevo@shop", "--to", "somebody@there.example", "--subject", "Grüße"];
    let more = ["--from", "keyctl-test@shop.example", "--via", "smtp"];
    let sent = scene.world.data(&[&send[..], &more].concat(), 0);
    assert_eq!((&sent["via"], &sent["status"]), (&json!("smtp"), &json!("queued")), "{sent}");
    let mail = scene.server.mail();
    assert!(mail.contains(sent["message_id"].as_str().unwrap()), "{mail}");
    assert!(mail.contains("From: keyctl-test@shop.example"), "{mail}");
    assert!(!mail.contains(&brevo_key()));
    let last = scene.server.conversations(2).pop().unwrap();
    assert_eq!(last, "ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8");
}
