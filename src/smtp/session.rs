//! One conversation with a relay, over lettre's connection: connect, EHLO,
//! STARTTLS, EHLO, AUTH, then QUIT or one message.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, TlsParameters, TlsVersion};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;

use super::message::Letter;
use super::{Accepted, Message, Phase, Relay, Smtp, SmtpFailure};
use crate::checkpoint;
use crate::key::Secret;
use crate::key::text::printable;

/// A relay that does not answer on one port by then is tried on the next.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);

/// What the context decides for all conversations of a run.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// By [`Relay::variable`]: host and port in a vendor's place.
    pub overrides: BTreeMap<&'static str, (String, u16)>,
    /// Extra roots, each a PEM bundle.
    pub extra_roots: Vec<Vec<u8>>,
}

/// Speaks with the relays of the real world.
pub struct Speaker {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    /// Reading the system's roots takes milliseconds: once per host.
    tls: Mutex<BTreeMap<String, TlsParameters>>,
}

impl Speaker {
    pub fn new(settings: Settings) -> Self {
        Self { inner: Arc::new(Inner { settings, tls: Mutex::default() }) }
    }

    fn converse(&self, script: Script, deadline: Instant) -> Result<Accepted, SmtpFailure> {
        // lettre's time limits are per read: a server that trickles would keep
        // a conversation alive for ever. So it runs beside, and is left behind.
        let (sender, receiver) = mpsc::channel();
        let inner = Arc::clone(&self.inner);
        let reached = Arc::new(Mutex::new(Phase::Connect));
        let progress = Arc::clone(&reached);
        let spawned = thread::Builder::new().name("smtp".to_owned()).spawn(move || {
            let _ = sender.send(inner.run(&script, deadline, &progress));
        });
        let phase = || *reached.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = |message: &str| SmtpFailure {
            phase: phase(),
            code: None,
            message: message.to_owned(),
            tls: false,
        };
        if let Err(error) = spawned {
            return Err(failure(&format!("no thread for the conversation: {error}")));
        }
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(failure("the relay did not answer in time")),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(failure("the conversation broke off")),
        }
    }
}

impl Smtp for Speaker {
    fn login(
        &self,
        relay: &'static Relay,
        login: &str,
        secret: &Secret,
        deadline: Instant,
    ) -> Result<Accepted, SmtpFailure> {
        let script = Script { relay, login: login.to_owned(), secret: secret.clone(), letter: None };
        self.converse(script, deadline)
    }

    fn send(
        &self,
        relay: &'static Relay,
        login: &str,
        secret: &Secret,
        message: &Message,
        deadline: Instant,
    ) -> Result<Accepted, SmtpFailure> {
        let letter = Letter::write(message)?;
        let script = Script { relay, login: login.to_owned(), secret: secret.clone(), letter: Some(letter) };
        checkpoint::pass("smtp");
        let result = self.converse(script, deadline);
        checkpoint::pass("smtp");
        result
    }
}

/// All one conversation needs.
struct Script {
    relay: &'static Relay,
    login: String,
    secret: Secret,
    letter: Option<Letter>,
}

impl Script {
    /// Returns a server's text as it may be shown: without the secret, the
    /// forms AUTH sends it in, and control characters.
    fn shown(&self, text: &str) -> String {
        use base64::Engine as _;
        let plain = format!("\0{}\0{}", self.login, self.secret.expose());
        let plain = base64::engine::general_purpose::STANDARD.encode(plain);
        printable(&self.secret.scrub(&text.replace(&plain, "***")), 300)
    }

    fn failure(
        &self,
        phase: Phase,
        error: &lettre::transport::smtp::Error,
        host: &str,
        port: u16,
    ) -> SmtpFailure {
        let code = error.status().map(u16::from);
        let source = error.source().map(ToString::to_string).unwrap_or_else(|| error.to_string());
        let text = self.shown(&source);
        let tls = phase >= Phase::StartTls && is_tls(error);
        let at = format!("{host}:{port}");
        let message = match code {
            Some(code) => format!("{code} {text}").trim_end().to_owned(),
            None if tls => format!("no trusted TLS connection to {at}: {text}"),
            None if timed_out(error) => format!("{at} did not answer in time"),
            None if phase == Phase::Connect => format!("cannot connect to {at}: {text}"),
            None => format!("{at}: {text}"),
        };
        SmtpFailure { phase, code, message, tls }
    }
}

impl Inner {
    fn run(
        &self,
        script: &Script,
        deadline: Instant,
        reached: &Mutex<Phase>,
    ) -> Result<Accepted, SmtpFailure> {
        let begun = Instant::now();
        let (host, ports) = match self.settings.overrides.get(script.relay.variable) {
            Some((host, port)) => (host.as_str(), vec![*port]),
            None => (script.relay.host, script.relay.ports.to_vec()),
        };
        let tls = self.tls(host)?;
        let mut first: Option<SmtpFailure> = None;
        for port in ports {
            let talk = Talk { script, host, port, tls: &tls, deadline, reached };
            match talk.hold() {
                Ok(mut accepted) => {
                    accepted.latency = begun.elapsed();
                    return Ok(accepted);
                }
                // AUTH was sent: what it says counts, and it is said once.
                Err(failure) if failure.phase >= Phase::Auth => return Err(failure),
                Err(failure) => {
                    first.get_or_insert(failure);
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(first.unwrap_or_else(|| SmtpFailure {
            phase: Phase::Connect,
            code: None,
            message: format!("{host} has no port to try"),
            tls: false,
        }))
    }

    fn tls(&self, host: &str) -> Result<TlsParameters, SmtpFailure> {
        let mut held = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = held.get(host) {
            return Ok(found.clone());
        }
        let failure = |message: String| SmtpFailure { phase: Phase::Connect, code: None, message, tls: true };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut builder = TlsParameters::builder(bare).set_min_tls_version(TlsVersion::Tlsv12);
        for bundle in &self.settings.extra_roots {
            let root = Certificate::from_pem(bundle)
                .map_err(|_| failure("the file of KEYCTL_CA_FILE holds no PEM certificate".to_owned()))?;
            builder = builder.add_root_certificate(root);
        }
        let built =
            builder.build_rustls().map_err(|error| failure(format!("cannot prepare TLS: {error}")))?;
        held.insert(host.to_owned(), built.clone());
        Ok(built)
    }
}

/// One try on one port.
struct Talk<'a> {
    script: &'a Script,
    host: &'a str,
    port: u16,
    tls: &'a TlsParameters,
    deadline: Instant,
    reached: &'a Mutex<Phase>,
}

impl Talk<'_> {
    fn enter(&self, phase: Phase) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn remaining(&self) -> Duration {
        // Zero would mean "no limit" to a socket.
        self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    fn fail(&self, phase: Phase) -> impl Fn(lettre::transport::smtp::Error) -> SmtpFailure {
        move |error| self.script.failure(phase, &error, self.host, self.port)
    }

    fn hold(&self) -> Result<Accepted, SmtpFailure> {
        let mut connection = self.connect()?;
        let step = |connection: &mut SmtpConnection, phase| {
            self.enter(phase);
            let _ = connection.set_timeout(Some(self.remaining()));
        };
        step(&mut connection, Phase::Auth);
        let credentials = Credentials::new(self.script.login.clone(), self.script.secret.expose().to_owned());
        let reply = connection
            .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
            .map_err(self.fail(if can_auth(&connection) { Phase::Auth } else { Phase::Tls }))?;
        let Some(letter) = &self.script.letter else {
            let _ = connection.quit();
            return Ok(self.accepted(&reply, None));
        };
        step(&mut connection, Phase::Mail);
        let mail = Mail::new(letter.envelope.from().cloned(), Vec::new());
        connection.command(mail).map_err(self.fail(Phase::Mail))?;
        for to in letter.envelope.to() {
            connection.command(Rcpt::new(to.clone(), Vec::new())).map_err(self.fail(Phase::Mail))?;
        }
        connection.command(Data).map_err(self.fail(Phase::Mail))?;
        step(&mut connection, Phase::Data);
        let reply = connection.message(&letter.bytes).map_err(self.fail(Phase::Data))?;
        let _ = connection.quit();
        Ok(self.accepted(&reply, Some(letter.id.clone())))
    }

    /// Connects and goes as far as the second EHLO, under TLS.
    fn connect(&self) -> Result<SmtpConnection, SmtpFailure> {
        self.enter(Phase::Connect);
        let implicit = (self.port == 465).then_some(self.tls);
        let hello = ClientId::default();
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let limit = self.remaining().min(CONNECT_LIMIT);
        let mut connection = SmtpConnection::connect((bare, self.port), Some(limit), &hello, implicit, None)
            .map_err(|error| {
                let phase = match error.to_string() {
                    text if text.starts_with("Connection error") => Phase::Connect,
                    _ if implicit.is_some() && is_tls(&error) => Phase::Tls,
                    _ => Phase::Greeting,
                };
                self.script.failure(phase, &error, self.host, self.port)
            })?;
        if implicit.is_none() {
            self.enter(Phase::StartTls);
            let _ = connection.set_timeout(Some(self.remaining()));
            if !connection.can_starttls() {
                connection.abort();
                return Err(SmtpFailure {
                    phase: Phase::StartTls,
                    code: None,
                    message: format!(
                        "{}:{} offers no STARTTLS; nothing was sent in clear",
                        self.host, self.port
                    ),
                    tls: true,
                });
            }
            connection.starttls(self.tls, &hello).map_err(self.fail(Phase::Tls))?;
        }
        Ok(connection)
    }

    fn accepted(&self, reply: &Response, message_id: Option<String>) -> Accepted {
        let text = reply.message().collect::<Vec<_>>().join(" ");
        Accepted {
            port: self.port,
            reply: self.script.shown(&format!("{} {text}", u16::from(reply.code()))),
            message_id,
            latency: Duration::ZERO,
        }
    }
}

/// Without a mechanism in common AUTH is never sent.
fn can_auth(connection: &SmtpConnection) -> bool {
    connection.server_info().get_auth_mechanism(&[Mechanism::Plain, Mechanism::Login]).is_some()
}

/// A certificate nobody vouches for is a network error to lettre, with rustls'
/// error inside an `io::Error`, whose `source` skips what it holds.
fn is_tls(error: &lettre::transport::smtp::Error) -> bool {
    fn holds_rustls(error: &(dyn std::error::Error + 'static)) -> bool {
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        error.is::<rustls::Error>()
            || held.is_some_and(|it| holds_rustls(it))
            || error.source().is_some_and(holds_rustls)
    }
    error.is_tls() || holds_rustls(error)
}

/// A read that ran out of time is `WouldBlock` on Linux.
fn timed_out(error: &lettre::transport::smtp::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    any_source(error, &|io| matches!(io.kind(), TimedOut | WouldBlock))
}

fn any_source(error: &dyn std::error::Error, test: &dyn Fn(&std::io::Error) -> bool) -> bool {
    let mut source = error.source();
    while let Some(held) = source {
        if held.downcast_ref::<std::io::Error>().is_some_and(test) {
            return true;
        }
        source = held.source();
    }
    false
}
