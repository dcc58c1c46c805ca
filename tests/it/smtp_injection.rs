//! Somebody on the way to a relay adds lines in clear, to be read as the
//! relay's word after TLS has begun: nothing of it is believed, and nothing
//! more is said.

use serde_json::json;

use crate::smtp_speaker::{Habits, log_in, relay, verbs};
use crate::support::World;
use crate::support::server::Tls;

use keyctl::smtp::Phase;

/// A relay that refuses every login, and the lines that somebody adds to what
/// it says: where, and what was heard until then.
fn attacks() -> Vec<(Habits, &'static [&'static str])> {
    let refusing = || Habits { auth: "535 5.7.8 no", ..Habits::default() };
    vec![
        // As the answer to EHLO under TLS; the relay's own is the one to AUTH then.
        (Habits { go_ahead: "220 go ahead\r\n250 AUTH PLAIN LOGIN", ..refusing() }, &["EHLO", "STARTTLS"]),
        // As the answers to EHLO and to AUTH.
        (
            Habits {
                go_ahead: "220 go ahead\r\n250-x\r\n250 AUTH PLAIN\r\n235 2.7.0 accepted",
                ..refusing()
            },
            &["EHLO", "STARTTLS"],
        ),
        (Habits { go_ahead: "220 go ahead\r\n235 2.7.0 accepted", ..refusing() }, &["EHLO", "STARTTLS"]),
        (Habits { afterwards: "250 AUTH PLAIN LOGIN", ..refusing() }, &["EHLO", "STARTTLS"]),
        // Before the real answer to STARTTLS, which would be the one to EHLO.
        (Habits { hello: "250 SIZE 1000000\r\n220 early", ..refusing() }, &["EHLO"]),
        (Habits { hello: "250 SIZE 1000000\n220 early", ..refusing() }, &["EHLO"]),
        (Habits { greeting: "220 relay\r\n250-x\r\n250 STARTTLS", ..refusing() }, &[]),
    ]
}

#[test]
fn a_line_added_in_clear_ends_the_conversation_and_no_other_port_is_tried() {
    let tls = Tls::make();
    for (habits, heard) in attacks() {
        let attacked = relay(&tls, habits);
        let second = relay(&tls, Habits::default());
        let ports = vec![attacked.address.port(), second.address.port()];
        let failure = log_in(&tls, ports).unwrap_err();
        assert_eq!(
            (failure.phase, failure.code, failure.tls),
            (Phase::StartTls, None, true),
            "{heard:?}: {failure:?}"
        );
        assert_eq!(
            failure.message,
            format!(
                "{} sent more than one reply at a time before TLS began; that may come from somebody in \
                 between, so the login was not sent",
                attacked.address
            )
        );
        assert_eq!(verbs(&attacked), heard);
        assert!(second.heard().is_empty());
    }
}

#[test]
fn an_smtp_key_is_not_valid_by_a_line_that_was_added_in_clear() {
    let tls = Tls::make();
    let brevo = ["xsmtpsib-", &"3c".repeat(32), "-", &"aB3d".repeat(4)].concat();
    let mailgun = ["correct", "horse", "battery"].join("-");
    for (habits, heard) in attacks() {
        for (provider, login, secret) in [
            ("brevo", "7f0a1b001@smtp-brevo.com", &brevo),
            ("mailgun", "postmaster@mg.acme.example", &mailgun),
        ] {
            let attacked = relay(&tls, habits.clone());
            let world = world(&tls, &attacked.address.to_string());
            let mut arguments = vec!["-f", "json", "validate", "--provider", provider, "--kind", "smtp"];
            arguments.extend(["--login", login, "--stdin"]);
            if provider == "mailgun" {
                arguments.extend(["--region", "us"]);
            }
            let result = &world.run_with(&arguments, secret).exits(4).data()["results"][0];
            assert_eq!(
                (&result["verdict"], &result["reason"]),
                (&json!("unknown"), &json!("tls")),
                "{result}"
            );
            assert!(result["hint"].as_str().unwrap().contains("try another network"), "{result}");
            assert_eq!(verbs(&attacked), heard, "{result}");
        }
    }
}

/// A world whose relays of both vendors are one of ours; no request may leave.
fn world(tls: &Tls, address: &str) -> World {
    let mut world = World::new();
    let authority = world.path("authority.pem");
    std::fs::write(&authority, &tls.root).unwrap();
    world.set("KEYCTL_CA_FILE", authority.to_str().unwrap());
    for name in ["KEYCTL_MAILGUN_US_URL", "KEYCTL_MAILGUN_EU_URL", "KEYCTL_BREVO_URL"] {
        world.set(name, "http://127.0.0.1:9");
    }
    world.set("KEYCTL_BREVO_SMTP", address);
    world.set("KEYCTL_MAILGUN_US_SMTP", address);
    world
}

#[test]
fn a_greeting_of_several_lines_is_no_attack() {
    let tls = Tls::make();
    let server = relay(&tls, Habits { greeting: "220-relay\r\n220 and no more", ..Habits::default() });
    assert!(log_in(&tls, vec![server.address.port()]).is_ok());
    assert_eq!(verbs(&server), ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]);
}
