//! The HTTP client against servers that behave, and servers that do not.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use keyctl::http::{
    Auth, Body, Client, Failure, FailureKind, Host, Http, Method, Origin, Reply, Request, Settings,
};
use keyctl::key::Secret;

use crate::support::server::{Listener, Notes, Tls, answer, read_request};

static HOST: Host = Host { origin: "https://api.example.invalid", variable: "KEYCTL_X_URL" };

fn client(origin: &str, roots: Vec<Vec<u8>>) -> Client {
    let mut settings = Settings::new(jiff::Timestamp::now());
    settings.overrides.insert(HOST.variable, Origin::parse(origin).unwrap());
    settings.extra_roots = roots;
    Client::new(settings)
}

fn secret() -> Secret {
    Secret::new(["canary", "-", "0123456789abcdef"].concat())
}

fn get(secret: &Secret) -> Request<'_> {
    Request::get(&HOST, "/v4/domains", Auth::Basic { user: "api", secret })
}

fn change(secret: &Secret) -> Request<'_> {
    let body = Body::Form(vec![("a", "1 2".to_owned())]);
    Request::change(Method::Post, &HOST, "/v1/keys", Auth::Bearer(secret), body)
}

fn send(client: &Client, request: &Request<'_>) -> Result<Reply, Failure> {
    client.send(request, Instant::now() + Duration::from_secs(15))
}

/// Serves each request of each connection by its number, from 1.
fn http(respond: impl Fn(usize, &mut TcpStream) -> bool + Send + Sync + 'static) -> Listener {
    Listener::start(move |mut stream: TcpStream, notes: &Notes| {
        while let Some(request) = read_request(&mut stream) {
            let number = notes.add(request);
            if !respond(number, &mut stream) {
                return;
            }
        }
    })
}

fn url(listener: &Listener) -> String {
    format!("http://{}", listener.address)
}

#[test]
fn a_request_says_who_asks_and_nothing_more() {
    let server = http(|_, stream| {
        answer(stream, 200, "Content-Type: application/json\r\nX-Mailgun-Key-Id: AbC\r\n", "{\"a\":1}");
        true
    });
    let secret = secret();
    let client = client(&format!("{}/prefix/", url(&server)), Vec::new());
    let reply = send(&client, &get(&secret).query("limit", 1).header("x-extra", "y")).unwrap();
    assert_eq!((reply.status, reply.header("x-mailgun-key-id")), (200, Some("AbC")));
    assert_eq!(reply.json().unwrap()["a"], 1);
    send(&client, &change(&secret)).unwrap();
    let heard = server.heard();
    assert!(heard[0].starts_with("GET /prefix/v4/domains?limit=1 HTTP/1.1\r\n"), "{}", heard[0]);
    let lower = heard[0].to_ascii_lowercase();
    assert!(lower.contains(concat!("user-agent: keyctl/", env!("CARGO_PKG_VERSION"))), "{lower}");
    assert!(lower.contains("x-extra: y") && lower.contains("authorization: basic "), "{lower}");
    assert!(!lower.contains("referer") && !lower.contains("accept-encoding"), "{lower}");
    assert!(
        heard[1].starts_with("POST /prefix/v1/keys HTTP/1.1\r\n") && heard[1].ends_with("\r\n\r\na=1%202"),
        "{}",
        heard[1]
    );
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = http(|_, stream| {
        answer(stream, 200, "", "{}");
        true
    });
    let target = url(&other);
    let server = http(move |_, stream| {
        answer(stream, 302, &format!("Location: {target}/\r\n"), "");
        true
    });
    let reply = send(&client(&url(&server), Vec::new()), &get(&secret())).unwrap();
    assert_eq!(reply.status, 302);
    assert_eq!(other.heard().len(), 0);
}

#[test]
fn limits_are_waited_out_and_a_change_is_repeated_for_no_other_reason() {
    let limited = |status: u16| {
        http(move |number, stream| {
            let status = if number == 1 { status } else { 200 };
            answer(stream, status, "Retry-After: 0\r\n", "{}");
            true
        })
    };
    let secret = secret();
    for (status, change_repeated) in [(429, true), (420, true), (503, false)] {
        let server = limited(status);
        assert_eq!(send(&client(&url(&server), Vec::new()), &get(&secret)).unwrap().status, 200, "{status}");
        assert_eq!(server.heard().len(), 2);
        let server = limited(status);
        let reply = send(&client(&url(&server), Vec::new()), &change(&secret)).unwrap();
        assert_eq!(reply.status, if change_repeated { 200 } else { status }, "{status}");
        assert_eq!(server.heard().len(), if change_repeated { 2 } else { 1 }, "{status}");
    }
    // A wait beyond the deadline is not begun.
    let server = http(|_, stream| {
        answer(stream, 429, "Retry-After: 3600\r\n", "{}");
        true
    });
    assert_eq!(send(&client(&url(&server), Vec::new()), &get(&secret)).unwrap().status, 429);
    assert_eq!(server.heard().len(), 1);
}

#[test]
fn a_broken_connection_is_tried_again_for_reads_only() {
    let breaking = || {
        http(|number, stream| {
            if number == 1 {
                return false;
            }
            answer(stream, 200, "", "{}");
            true
        })
    };
    let secret = secret();
    let server = breaking();
    assert_eq!(send(&client(&url(&server), Vec::new()), &get(&secret)).unwrap().status, 200);
    assert_eq!(server.heard().len(), 2);
    let server = breaking();
    let failure = send(&client(&url(&server), Vec::new()), &change(&secret)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NoAnswer);
    assert!(failure.outcome_unknown());
    assert_eq!(server.heard().len(), 1);
    // Cut in the middle of the body.
    let server = http(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\"");
        false
    });
    let failure = send(&client(&url(&server), Vec::new()), &change(&secret)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NoAnswer);
    assert_eq!(server.heard().len(), 1);
}

#[test]
fn each_failure_says_what_is_known_of_the_outcome() {
    let secret = secret();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let failure = send(&client(&format!("http://{address}"), Vec::new()), &change(&secret)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent);
    assert!(failure.message.contains(&address.to_string()), "{}", failure.message);

    let silent = http(|_, _| {
        std::thread::sleep(Duration::from_secs(20));
        false
    });
    let late = Instant::now() + Duration::from_millis(400);
    let failure = client(&url(&silent), Vec::new()).send(&change(&secret), late).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NoAnswer);
    let past = Instant::now();
    let failure = client(&url(&silent), Vec::new()).send(&change(&secret), past).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent);

    let no_http = http(|_, stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n");
        false
    });
    let failure = send(&client(&url(&no_http), Vec::new()), &change(&secret)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Malformed, "{}", failure.message);

    let endless = http(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        let chunk = [b'x'; 64 * 1024];
        for _ in 0..200 {
            if stream.write_all(&chunk).is_err() {
                return false;
            }
        }
        false
    });
    let failure = send(&client(&url(&endless), Vec::new()), &get(&secret)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Malformed, "{}", failure.message);
}

#[test]
fn a_certificate_nobody_vouches_for_is_its_own_failure() {
    let tls = Tls::make();
    let serving = tls.clone();
    let server = Listener::start(move |stream: TcpStream, notes: &Notes| {
        let mut wire = serving.wrap(stream);
        while let Some(request) = read_request(&mut wire) {
            notes.add(request);
            answer(&mut wire, 200, "", "{}");
        }
    });
    let origin = format!("https://{}", server.address);
    let secret = secret();
    let failure = send(&client(&origin, Vec::new()), &get(&secret)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Tls, "{}", failure.message);
    assert!(failure.hint.unwrap().contains("KEYCTL_CA_FILE"));
    assert!(server.heard().is_empty());
    assert_eq!(send(&client(&origin, vec![tls.root]), &get(&secret)).unwrap().status, 200);
    let failure = send(&client(&origin, vec![b"no certificate".to_vec()]), &get(&secret)).unwrap_err();
    assert!(failure.message.contains("KEYCTL_CA_FILE"), "{}", failure.message);
}

#[test]
fn a_key_that_is_sent_back_does_not_reach_the_reader() {
    let server = http(|number, stream| {
        let text = read_back();
        let header = if number == 1 { String::new() } else { format!("X-Echo: {text}\r\n") };
        answer(stream, 401, &header, &format!("{{\"message\":\"bad key {text}\"}}"));
        true
    });
    let client = client(&url(&server), Vec::new());
    for _ in 0..2 {
        let reply = send(&client, &get(&secret())).unwrap();
        assert!(!format!("{reply:?}").contains("canary"), "{reply:?}");
        assert!(reply.body.contains("***"));
    }
}

fn read_back() -> String {
    secret().expose().to_owned()
}

#[test]
fn a_key_no_header_can_carry_is_not_sent() {
    let server = http(|_, stream| {
        answer(stream, 200, "", "{}");
        true
    });
    let broken = Secret::new("line one\nline two".to_owned());
    let failure = send(&client(&url(&server), Vec::new()), &change(&broken)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotSent);
    assert!(!failure.message.contains("line one"));
    assert!(server.heard().is_empty());
}
