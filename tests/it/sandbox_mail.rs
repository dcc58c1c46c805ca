//! The sandbox's SMTP relays and its DNS server, spoken to by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};

use crate::support::sandbox::Sandbox;

type Encrypted = BufReader<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>;

/// Reads one reply, of one line or more.
fn reply(stream: &mut impl BufRead) -> String {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the relay hung up after {text:?}");
        text += &line;
        if line.as_bytes().get(3) != Some(&b'-') {
            return text;
        }
    }
}

fn say(stream: &mut Encrypted, line: &str) -> String {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    reply(stream)
}

fn encrypted(sandbox: &Sandbox, tcp: TcpStream) -> Encrypted {
    let pem = std::fs::read(sandbox.export("KEYCTL_CA_FILE")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    BufReader::new(rustls::StreamOwned::new(connection, tcp))
}

/// Connects and goes as far as the EHLO inside TLS.
fn greeted(sandbox: &Sandbox, relay: &str) -> Encrypted {
    let mut tcp = connect(sandbox, relay);
    let mut reader = BufReader::new(tcp.try_clone().unwrap());
    assert!(reply(&mut reader).starts_with("220 "));
    tcp.write_all(b"EHLO test\r\n").unwrap();
    let offered = reply(&mut reader);
    assert!(offered.contains("STARTTLS") && !offered.contains("AUTH"), "{offered}");
    tcp.write_all(b"STARTTLS\r\n").unwrap();
    assert!(reply(&mut reader).starts_with("220 "));
    let mut stream = encrypted(sandbox, tcp);
    assert!(say(&mut stream, "EHLO test").contains("AUTH PLAIN LOGIN"));
    stream
}

fn connect(sandbox: &Sandbox, relay: &str) -> TcpStream {
    let tcp = TcpStream::connect(sandbox.export(relay)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    tcp
}

fn plain(login: &str, password: &str) -> String {
    let token = base64::engine::general_purpose::STANDARD.encode(format!("\0{login}\0{password}"));
    format!("AUTH PLAIN {token}")
}

#[test]
fn a_mail_goes_through_the_relay_of_its_region() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let login = "postmaster@mg.one.example";
    let password = sandbox.credential(&account, "us", login);

    let mut stream = greeted(&sandbox, "KEYCTL_MAILGUN_US_SMTP");
    assert!(say(&mut stream, &plain(login, &password)).starts_with("235 "));
    assert!(say(&mut stream, "MAIL FROM:<a@mg.one.example>").starts_with("250 "));
    assert!(say(&mut stream, "RCPT TO:<b@there.example>").starts_with("250 "));
    assert!(say(&mut stream, "DATA").starts_with("354 "));
    assert!(say(&mut stream, "Subject: hello\r\n\r\n..dot\r\n.").starts_with("250 "));
    assert!(say(&mut stream, "QUIT").starts_with("221 "));
    let mail = &sandbox.messages()[0];
    assert_eq!((&mail["subject"], &mail["text"]), (&json!("hello"), &json!(".dot\r\n")));
    assert_eq!((&mail["via"], &mail["login"]), (&json!("smtp"), &json!(login)));

    let entry = &sandbox.requests()[0];
    assert_eq!((&entry["authenticated"], &entry["encrypted"]), (&json!(true), &json!(true)));
    let token = plain(login, &password).split_off("AUTH PLAIN ".len());
    assert!(!entry.to_string().contains(&token) && !entry.to_string().contains(&password));

    let mut stream = greeted(&sandbox, "KEYCTL_MAILGUN_EU_SMTP");
    let refusal = say(&mut stream, &plain(login, &password));
    assert_eq!(refusal, "535 5.7.8 Authentication failed\r\n");
}

#[test]
fn brevos_relay_tells_a_blocked_address_from_a_wrong_key() {
    let sandbox = Sandbox::start();
    let made = sandbox.control("POST", "/brevo/accounts", json!({}));
    let (id, login) = (made["id"].as_str().unwrap(), made["smtp_login"].as_str().unwrap());
    let made = sandbox.control("POST", &format!("/brevo/accounts/{id}/keys"), json!({"kind": "smtp"}));
    let key = made["secret"].as_str().unwrap();
    let answer =
        |key: &str| say(&mut greeted(&sandbox, "KEYCTL_BREVO_SMTP"), &plain(login, key))[..3].to_owned();
    assert_eq!(answer(key), "235");
    assert_eq!(answer("wrong"), "535");
    let settings = json!({"smtp_blocking": true, "authorised": ["203.0.113.5"]});
    sandbox.control("PUT", &format!("/brevo/accounts/{id}/settings"), settings);
    assert_eq!(answer(key), "525");
}

#[test]
fn tls_can_begin_with_the_connection_and_login_in_two_steps() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let login = "postmaster@mg.one.example";
    let password = sandbox.credential(&account, "eu", login);
    let mut stream = encrypted(&sandbox, connect(&sandbox, "SANDBOX_MAILGUN_EU_SMTPS"));
    assert!(reply(&mut stream).starts_with("220 "));
    say(&mut stream, "EHLO test");
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    assert!(say(&mut stream, "AUTH LOGIN").starts_with("334 "));
    assert!(say(&mut stream, &encode(login)).starts_with("334 "));
    assert!(say(&mut stream, &encode(&password)).starts_with("235 "));
}

#[test]
fn a_second_ehlo_after_auth_is_a_breach() {
    let mut sandbox = Sandbox::start();
    sandbox.expect_violations();
    let account = sandbox.mailgun_account();
    let password = sandbox.credential(&account, "us", "a@mg.one.example");
    let mut stream = greeted(&sandbox, "KEYCTL_MAILGUN_US_SMTP");
    say(&mut stream, &plain("a@mg.one.example", &password));
    say(&mut stream, "EHLO again");
    assert_eq!(sandbox.requests()[0]["contract_violation"], "EHLO after AUTH");
}

#[test]
fn faults_strike_smtp_sessions() {
    let sandbox = Sandbox::start();
    let fault =
        |action: Value| sandbox.fault(json!({"host": "mailgun-us-smtp", "times": 1, "action": action}));
    fault(json!({"reply_at": "auth", "reply": "454 4.7.0 Temporary authentication failure"}));
    let mut stream = greeted(&sandbox, "KEYCTL_MAILGUN_US_SMTP");
    assert!(say(&mut stream, &plain("a@b.example", "wrong")).starts_with("454 "));

    fault(json!({"no_starttls": true}));
    let mut tcp = connect(&sandbox, "KEYCTL_MAILGUN_US_SMTP");
    let mut reader = BufReader::new(tcp.try_clone().unwrap());
    reply(&mut reader);
    tcp.write_all(b"EHLO test\r\n").unwrap();
    assert!(!reply(&mut reader).contains("STARTTLS"));

    fault(json!({"cut_at": "connect"}));
    let mut received = Vec::new();
    let _ = connect(&sandbox, "KEYCTL_MAILGUN_US_SMTP").read_to_end(&mut received);
    assert!(received.is_empty());
}

fn ask(sandbox: &Sandbox, name: &str, kind: RecordType) -> Message {
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_utf8(format!("{name}.")).unwrap(), kind));
    let query = query.to_vec().unwrap();
    let server = sandbox.export("KEYCTL_DNS");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&query, server).unwrap();
    let mut buffer = [0u8; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let reply = Message::from_vec(&buffer[..length]).unwrap();
    if !reply.metadata.truncation {
        return reply;
    }
    let mut tcp = TcpStream::connect(server).unwrap();
    tcp.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).unwrap();
    tcp.write_all(&query).unwrap();
    let mut length = [0u8; 2];
    tcp.read_exact(&mut length).unwrap();
    let mut bytes = vec![0u8; usize::from(u16::from_be_bytes(length))];
    tcp.read_exact(&mut bytes).unwrap();
    Message::from_vec(&bytes).unwrap()
}

fn texts(message: &Message) -> Vec<String> {
    let text = |data: &RData| match data {
        RData::TXT(txt) => txt.txt_data.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect(),
        other => other.to_string(),
    };
    message.answers.iter().map(|it| text(&it.data)).collect()
}

#[test]
fn the_records_of_domains_are_published() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    sandbox.domain(&account, "us", "mg.one.example", "active");
    sandbox.domain(&account, "us", "mg.two.example", "unverified");
    assert_eq!(texts(&ask(&sandbox, "mg.one.example", RecordType::TXT)), ["v=spf1 include:mailgun.org ~all"]);
    let exchanges = texts(&ask(&sandbox, "mg.one.example", RecordType::MX));
    assert_eq!(exchanges, ["10 mxa.mailgun.org.", "10 mxb.mailgun.org."]);
    let key = texts(&ask(&sandbox, "mailo._domainkey.mg.one.example", RecordType::TXT)).remove(0);
    assert!(key.starts_with("k=rsa; p=") && key.len() > 255, "{key}");
    assert_eq!(texts(&ask(&sandbox, "email.mg.one.example", RecordType::A)), ["mailgun.org."]);
    let missing = ask(&sandbox, "mg.two.example", RecordType::TXT);
    assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain);
    let empty = ask(&sandbox, "mg.one.example", RecordType::A);
    assert_eq!((empty.metadata.response_code, empty.answers.len()), (ResponseCode::NoError, 0));
}

#[test]
fn answers_can_be_overridden_and_be_too_long_for_a_datagram() {
    let sandbox = Sandbox::start();
    let long: Vec<String> = (0..20).map(|n| format!("{n}-{}", "x".repeat(200))).collect();
    sandbox.control("PUT", "/dns", json!({"name": "long.example", "type": "TXT", "values": long}));
    assert_eq!(texts(&ask(&sandbox, "long.example", RecordType::TXT)), long);
    sandbox.control("PUT", "/dns", json!({"name": "ill.example", "type": "TXT", "rcode": "SERVFAIL"}));
    let ill = ask(&sandbox, "ill.example", RecordType::TXT);
    assert_eq!(ill.metadata.response_code, ResponseCode::ServFail);
}
