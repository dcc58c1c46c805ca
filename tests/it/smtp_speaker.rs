//! The SMTP speaker against relays that behave, and relays that do not.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use keyctl::key::Secret;
use keyctl::smtp::{Accepted, Message, Phase, Relay, Settings, Smtp, SmtpFailure, Speaker};

use crate::support::server::{Listener, Notes, Tls, Wire, read_line, say};

pub const LOGIN: &str = "postmaster@mg.acme.example";

/// How a relay behaves.
#[derive(Clone)]
pub struct Habits {
    pub starttls: bool,
    pub greeting: &'static str,
    /// The end of the reply to EHLO in clear.
    pub hello: &'static str,
    /// The reply to STARTTLS.
    pub go_ahead: &'static str,
    /// What is sent in clear a moment later.
    pub afterwards: &'static str,
    pub mechanisms: &'static str,
    pub auth: &'static str,
    pub mail: &'static str,
    pub data: &'static str,
    /// Hangs up instead of answering this verb.
    pub drops: &'static str,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            starttls: true,
            greeting: "220 relay",
            hello: "250 SIZE 1000000",
            go_ahead: "220 go ahead",
            afterwards: "",
            mechanisms: "AUTH PLAIN LOGIN",
            auth: "235 2.7.0 Accepted",
            mail: "250 ok",
            data: "250 2.0.0 Great success: queued as <q1@relay>",
            drops: "none",
        }
    }
}

pub fn relay(tls: &Tls, habits: Habits) -> Listener {
    let tls = tls.clone();
    Listener::start(move |stream, notes| converse(stream, notes, &tls, &habits, false))
}

fn converse(stream: TcpStream, notes: &Notes, tls: &Tls, habits: &Habits, implicit: bool) {
    let raw = stream.try_clone().unwrap();
    let mut wire: Box<dyn Wire> = if implicit { tls.wrap(stream) } else { Box::new(stream) };
    let mut secure = implicit;
    say(&mut wire, habits.greeting);
    while let Some(line) = read_line(&mut wire) {
        notes.add(line.clone());
        let verb = line.split(' ').next().unwrap_or_default().to_owned();
        if verb == habits.drops {
            let _ = raw.shutdown(std::net::Shutdown::Both);
            return;
        }
        match verb.as_str() {
            "EHLO" => {
                say(&mut wire, "250-relay");
                if secure {
                    say(&mut wire, &format!("250-{}\r\n250 SIZE 1000000", habits.mechanisms));
                } else if habits.starttls {
                    say(&mut wire, &format!("250-STARTTLS\r\n{}", habits.hello));
                } else {
                    say(&mut wire, habits.hello);
                }
            }
            "STARTTLS" => {
                say(&mut wire, habits.go_ahead);
                if !habits.afterwards.is_empty() {
                    std::thread::sleep(Duration::from_millis(50));
                    say(&mut wire, habits.afterwards);
                }
                wire = tls.wrap(raw.try_clone().unwrap());
                secure = true;
            }
            "AUTH" if line == "AUTH LOGIN" => {
                for prompt in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                    say(&mut wire, prompt);
                    notes.add(read_line(&mut wire).unwrap_or_default());
                }
                say(&mut wire, habits.auth);
            }
            "AUTH" => say(&mut wire, habits.auth),
            "MAIL" => say(&mut wire, habits.mail),
            "RCPT" => say(&mut wire, "250 ok"),
            "DATA" => {
                say(&mut wire, "354 go on");
                let mut text = String::new();
                while let Some(line) = read_line(&mut wire).filter(|line| line != ".") {
                    text.push_str(&line);
                    text.push('\n');
                }
                notes.add(text);
                say(&mut wire, habits.data);
            }
            "QUIT" => {
                say(&mut wire, "221 bye");
                return;
            }
            _ => say(&mut wire, "500 what?"),
        }
    }
}

pub fn leak(host: &'static str, ports: Vec<u16>) -> &'static Relay {
    Box::leak(Box::new(Relay { host, ports: ports.leak(), variable: "KEYCTL_X_SMTP" }))
}

fn speaker(roots: &[Vec<u8>]) -> Speaker {
    Speaker::new(Settings { extra_roots: roots.to_vec(), ..Settings::default() })
}

fn secret() -> Secret {
    Secret::new(["canary", " ", "pass phrase"].concat())
}

pub fn log_in(tls: &Tls, ports: Vec<u16>) -> Result<Accepted, SmtpFailure> {
    let speaker = speaker(std::slice::from_ref(&tls.root));
    speaker.login(leak("127.0.0.1", ports), LOGIN, &secret(), Instant::now() + Duration::from_secs(15))
}

pub fn verbs(listener: &Listener) -> Vec<String> {
    listener.heard().iter().map(|it| it.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_login_is_one_auth_behind_starttls() {
    let tls = Tls::make();
    let server = relay(&tls, Habits::default());
    let accepted = log_in(&tls, vec![server.address.port()]).unwrap();
    assert_eq!(accepted.port, server.address.port());
    assert!(accepted.reply.starts_with("235"), "{}", accepted.reply);
    assert_eq!(verbs(&server), ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]);
    let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{LOGIN}\0{}", secret().expose()));
    assert_eq!(server.heard()[3], format!("AUTH PLAIN {plain}"));
}

#[test]
fn login_serves_where_plain_is_not_offered() {
    let tls = Tls::make();
    let server = relay(&tls, Habits { mechanisms: "AUTH LOGIN", ..Habits::default() });
    assert!(log_in(&tls, vec![server.address.port()]).is_ok());
    let password = base64::engine::general_purpose::STANDARD.encode(secret().expose());
    assert!(server.heard().contains(&password));
}

#[test]
fn a_refusal_keeps_its_code_and_loses_what_must_not_be_shown() {
    let tls = Tls::make();
    for (auth, code) in [
        ("535 5.7.8 canary pass phrase \u{1b}[31m", 535),
        ("525 5.7.1 Unauthorized IP address", 525),
        ("534 5.7.9 too weak", 534),
        ("530 5.7.0 no", 530),
        ("454 4.7.0 later", 454),
        ("421 4.7.0 Too many connections", 421),
    ] {
        let server = relay(&tls, Habits { auth, ..Habits::default() });
        let failure = log_in(&tls, vec![server.address.port()]).unwrap_err();
        assert_eq!(
            (failure.phase, failure.code, failure.tls),
            (Phase::Auth, Some(code), false),
            "{failure:?}"
        );
        assert!(failure.message.starts_with(&code.to_string()), "{}", failure.message);
        assert!(
            !failure.message.contains("canary") && !failure.message.contains('\u{1b}'),
            "{}",
            failure.message
        );
    }
}

#[test]
fn another_port_is_tried_only_until_auth_was_sent() {
    let tls = Tls::make();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let server = relay(&tls, Habits::default());
    assert_eq!(log_in(&tls, vec![port, server.address.port()]).unwrap().port, server.address.port());
    let busy = relay(&tls, Habits { greeting: "421 busy", ..Habits::default() });
    assert!(log_in(&tls, vec![busy.address.port(), server.address.port()]).is_ok());

    let refusing = relay(&tls, Habits { auth: "535 no", ..Habits::default() });
    let second = relay(&tls, Habits::default());
    let ports = vec![refusing.address.port(), second.address.port()];
    assert_eq!(log_in(&tls, ports).unwrap_err().code, Some(535));
    assert!(second.heard().is_empty());
    let hanging_up = relay(&tls, Habits { drops: "AUTH", ..Habits::default() });
    let failure = log_in(&tls, vec![hanging_up.address.port(), second.address.port()]).unwrap_err();
    assert_eq!((failure.phase, failure.code), (Phase::Auth, None));
    assert!(second.heard().is_empty());
    let failure = log_in(&tls, vec![port]).unwrap_err();
    assert_eq!((failure.phase, failure.tls), (Phase::Connect, false));
}

#[test]
fn nothing_is_said_without_trusted_tls() {
    let tls = Tls::make();
    let bare = relay(&tls, Habits { starttls: false, ..Habits::default() });
    let failure = log_in(&tls, vec![bare.address.port()]).unwrap_err();
    assert_eq!((failure.phase, failure.tls), (Phase::StartTls, true));
    assert!(!verbs(&bare).contains(&"AUTH".to_owned()));
    let server = relay(&tls, Habits::default());
    let relay = leak("127.0.0.1", vec![server.address.port()]);
    let deadline = Instant::now() + Duration::from_secs(15);
    let failure = speaker(&[]).login(relay, LOGIN, &secret(), deadline).unwrap_err();
    assert_eq!((failure.phase, failure.code, failure.tls), (Phase::Tls, None, true), "{failure:?}");
    assert_eq!(verbs(&server), ["EHLO", "STARTTLS"]);
}

#[test]
fn a_relay_without_a_known_mechanism_is_sent_no_auth() {
    let tls = Tls::make();
    let server = relay(&tls, Habits { mechanisms: "AUTH CRAM-MD5", ..Habits::default() });
    let failure = log_in(&tls, vec![server.address.port()]).unwrap_err();
    assert_eq!(failure.phase, Phase::Tls, "{failure:?}");
    assert!(!verbs(&server).contains(&"AUTH".to_owned()));
}

#[test]
fn a_silent_relay_ends_with_the_deadline() {
    let tls = Tls::make();
    let silent = Listener::start(|stream: TcpStream, _: &Notes| {
        std::thread::sleep(Duration::from_secs(20));
        drop(stream);
    });
    let relay = leak("127.0.0.1", vec![silent.address.port()]);
    let deadline = Instant::now() + Duration::from_millis(400);
    let failure = speaker(&[tls.root]).login(relay, LOGIN, &secret(), deadline).unwrap_err();
    assert_eq!((failure.code, failure.tls), (None, false));
}

#[test]
fn an_override_stands_in_for_the_relay() {
    let tls = Tls::make();
    let server = relay(&tls, Habits::default());
    let mut settings = Settings { extra_roots: vec![tls.root.clone()], ..Settings::default() };
    settings.overrides.insert("KEYCTL_X_SMTP", ("localhost".to_owned(), server.address.port()));
    let deadline = Instant::now() + Duration::from_secs(15);
    let relay = leak("smtp.example.invalid", vec![587]);
    assert!(Speaker::new(settings).login(relay, LOGIN, &secret(), deadline).is_ok());
    // TLS from the start on 465, where this user may listen there.
    let serving = tls.clone();
    let habits = Habits::default();
    let bound = Listener::start_at("127.0.0.65:465", move |stream, notes| {
        converse(stream, notes, &serving, &habits, true);
    });
    let Ok(implicit) = bound else {
        println!("skipped: no right to listen on port 465");
        return;
    };
    let relay = leak("127.0.0.65", vec![465]);
    speaker(&[tls.root]).login(relay, LOGIN, &secret(), deadline).unwrap();
    assert_eq!(verbs(&implicit), ["EHLO", "AUTH", "QUIT"]);
}

fn message() -> Message {
    Message {
        from: "keyctl-test@mg.acme.example".into(),
        to: "someone@example.org".into(),
        subject: "Grüße".into(),
        text: "Hello\n.\nend\n".into(),
        headers: vec![("X-Mailgun-Drop-Message", "yes".into())],
    }
}

#[test]
fn a_message_is_handed_over_whole() {
    let tls = Tls::make();
    let server = relay(&tls, Habits::default());
    let relay = leak("127.0.0.1", vec![server.address.port()]);
    let deadline = Instant::now() + Duration::from_secs(15);
    let speaker = speaker(&[tls.root]);
    let accepted = speaker.send(relay, LOGIN, &secret(), &message(), deadline).unwrap();
    assert_eq!(accepted.reply, "250 2.0.0 Great success: queued as <q1@relay>");
    let heard = server.heard();
    let text = heard.iter().find(|it| it.contains("Subject:")).unwrap();
    let id = accepted.message_id.unwrap();
    for part in
        [&format!("Message-ID: {id}"), "Date: ", "X-Mailgun-Drop-Message: yes", "To: someone@example.org"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(heard.contains(&"MAIL FROM:<keyctl-test@mg.acme.example>".to_owned()), "{heard:?}");
}

#[test]
fn where_a_message_was_refused_is_told() {
    let tls = Tls::make();
    for (habits, phase, code) in [
        (Habits { mail: "550 5.7.1 sender refused", ..Habits::default() }, Phase::Mail, Some(550)),
        (Habits { data: "554 5.7.1 spam", ..Habits::default() }, Phase::Data, Some(554)),
        (Habits { drops: "RCPT", ..Habits::default() }, Phase::Mail, None),
    ] {
        let server = relay(&tls, habits);
        let relay = leak("127.0.0.1", vec![server.address.port()]);
        let deadline = Instant::now() + Duration::from_secs(15);
        let speaker = speaker(std::slice::from_ref(&tls.root));
        let failure = speaker.send(relay, LOGIN, &secret(), &message(), deadline).unwrap_err();
        assert_eq!((failure.phase, failure.code), (phase, code), "{failure:?}");
    }
}
