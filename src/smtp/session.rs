//! One conversation with a relay: connect, EHLO, STARTTLS, EHLO, AUTH, then
//! QUIT or one message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::{Auth, Data, Ehlo, Mail, Rcpt, Starttls};
use lettre::transport::smtp::extension::{ClientId, Extension, ServerInfo};
use lettre::transport::smtp::response::{Response, Severity};
use rustls::ClientConfig;

use super::message::Letter;
use super::wire::{Wire, WireError};
use super::{Accepted, Message, Phase, Relay, Smtp, SmtpFailure, tls};
use crate::checkpoint;
use crate::key::Secret;
use crate::key::text::printable;

/// A relay that does not answer on one port by then is tried on the next.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);

/// The ways to log in, the better one first.
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];
/// More questions than a login has mean that the server asks for ever.
const MOST_CHALLENGES: usize = 10;

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
    /// Made when the first conversation needs it.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Speaker {
    pub fn new(settings: Settings) -> Self {
        Self { inner: Arc::new(Inner { settings, tls: OnceLock::new() }) }
    }

    fn converse(&self, script: Script, deadline: Instant) -> Result<Accepted, SmtpFailure> {
        // Looking up a name has no time limit, and a server that trickles would
        // outlive one per read. So it runs beside, and is left behind.
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

    fn failure(&self, phase: Phase, error: &WireError, at: &str) -> SmtpFailure {
        let (code, text) = match error {
            WireError::Connect(error) | WireError::Broken(error) => (None, error.to_string()),
            WireError::Unreadable(why) => (None, why.clone()),
            WireError::Refused(reply) => (Some(u16::from(reply.code())), joined(reply)),
            WireError::Injected => (None, String::new()),
        };
        let text = self.shown(&text);
        let tls = phase >= Phase::StartTls && error.is_tls();
        let message = match (code, error) {
            (Some(code), _) => format!("{code} {text}").trim_end().to_owned(),
            (None, WireError::Injected) => format!(
                "{at} sent more than one reply at a time before TLS began; that may come from somebody in \
                 between, so the login was not sent"
            ),
            _ if tls => format!("no trusted TLS connection to {at}: {text}"),
            _ if error.is_timeout() => format!("{at} did not answer in time"),
            (None, WireError::Connect(_)) => format!("cannot connect to {at}: {text}"),
            _ => format!("{at}: {text}"),
        };
        SmtpFailure { phase, code, message, tls }
    }
}

/// Returns the text of a reply as one line. Each of its lines may begin with
/// the same enhanced status code (RFC 2034), which is kept once.
fn joined(reply: &Response) -> String {
    let mut lines = reply.message();
    let mut text = lines.next().unwrap_or_default().to_owned();
    let status = text.split_whitespace().next().unwrap_or_default();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let status = if status.split('.').count() == 3 && status.split('.').all(digits) { status } else { "" };
    let status = status.to_owned();
    for line in lines {
        text.push(' ');
        text.push_str(line.strip_prefix(&status).map_or(line, str::trim_start));
    }
    text
}

/// How a try on one port failed, and whether the next port may be tried.
enum Stop {
    Port(SmtpFailure),
    /// AUTH was sent, and what it says is said once; or somebody in between
    /// speaks for the relay.
    Relay(SmtpFailure),
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
        let tls = self.tls()?;
        let mut first: Option<SmtpFailure> = None;
        for port in ports {
            let talk = Talk { script, host, port, tls, deadline, reached };
            match talk.hold() {
                Ok(mut accepted) => {
                    accepted.latency = begun.elapsed();
                    return Ok(accepted);
                }
                Err(Stop::Relay(failure)) => return Err(failure),
                Err(Stop::Port(failure)) => {
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

    fn tls(&self) -> Result<&Arc<ClientConfig>, SmtpFailure> {
        let made = self.tls.get_or_init(|| tls::client(&self.settings.extra_roots));
        made.as_ref().map_err(|message| SmtpFailure {
            phase: Phase::Connect,
            code: None,
            message: message.clone(),
            tls: true,
        })
    }
}

/// One try on one port.
struct Talk<'a> {
    script: &'a Script,
    host: &'a str,
    port: u16,
    tls: &'a Arc<ClientConfig>,
    deadline: Instant,
    reached: &'a Mutex<Phase>,
}

impl Talk<'_> {
    fn enter(&self, phase: Phase) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn fail(&self, phase: Phase) -> impl Fn(WireError) -> Stop {
        move |error| {
            let injected = matches!(error, WireError::Injected);
            let phase = if injected { Phase::StartTls } else { phase };
            let failure = self.script.failure(phase, &error, &format!("{}:{}", self.host, self.port));
            if injected || phase >= Phase::Auth { Stop::Relay(failure) } else { Stop::Port(failure) }
        }
    }

    fn hold(&self) -> Result<Accepted, Stop> {
        let (mut wire, server) = self.connect()?;
        self.enter(Phase::Auth);
        let reply = self.log_in(&mut wire, &server)?;
        let Some(letter) = &self.script.letter else {
            wire.quit();
            return Ok(self.accepted(&reply, None));
        };
        self.enter(Phase::Mail);
        let fail = self.fail(Phase::Mail);
        wire.command(Mail::new(letter.envelope.from().cloned(), Vec::new())).map_err(&fail)?;
        for to in letter.envelope.to() {
            wire.command(Rcpt::new(to.clone(), Vec::new())).map_err(&fail)?;
        }
        wire.command(Data).map_err(&fail)?;
        self.enter(Phase::Data);
        let reply =
            wire.send(&letter.dotted()).and_then(|()| wire.reply()).map_err(self.fail(Phase::Data))?;
        wire.quit();
        Ok(self.accepted(&reply, Some(letter.id.clone())))
    }

    fn log_in(&self, wire: &mut Wire, server: &ServerInfo) -> Result<Response, Stop> {
        let Some(mechanism) = server.get_auth_mechanism(MECHANISMS) else {
            let why = "the relay offers no way to log in that is known here".to_owned();
            return Err(self.fail(Phase::Tls)(WireError::Unreadable(why)));
        };
        let credentials = Credentials::new(self.script.login.clone(), self.script.secret.expose().to_owned());
        let mut talk = || -> Result<Response, WireError> {
            let mut reply = wire.command(Auth::new(mechanism, credentials.clone(), None)?)?;
            for _ in 0..MOST_CHALLENGES {
                if !reply.has_code(334) {
                    let accepted = reply.code().severity == Severity::PositiveCompletion;
                    return if accepted { Ok(reply) } else { Err(WireError::Refused(reply)) };
                }
                reply = wire.command(Auth::new_from_response(mechanism, credentials.clone(), &reply)?)?;
            }
            Err(WireError::Unreadable("the relay asks for the login again and again".to_owned()))
        };
        talk().map_err(self.fail(Phase::Auth))
    }

    /// Connects and goes as far as the EHLO under TLS.
    fn connect(&self) -> Result<(Wire, ServerInfo), Stop> {
        self.enter(Phase::Connect);
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = left.clamp(Duration::from_millis(1), CONNECT_LIMIT);
        let mut wire = Wire::connect((host, self.port), limit).map_err(self.fail(Phase::Connect))?;
        let implicit = self.port == 465;
        if implicit {
            wire = wire.secure(self.tls, host).map_err(|error| {
                let phase = if error.is_tls() { Phase::Tls } else { Phase::Greeting };
                self.fail(phase)(error)
            })?;
        }
        wire.reply().map_err(self.fail(Phase::Greeting))?;
        let server = greet(&mut wire).map_err(self.fail(Phase::Greeting))?;
        wire.until(self.deadline);
        if implicit {
            return Ok((wire, server));
        }
        self.enter(Phase::StartTls);
        if !server.supports_feature(Extension::StartTls) {
            wire.quit();
            return Err(Stop::Port(SmtpFailure {
                phase: Phase::StartTls,
                code: None,
                message: format!("{}:{} offers no STARTTLS; nothing was sent in clear", self.host, self.port),
                tls: true,
            }));
        }
        wire.command(Starttls).map_err(self.fail(Phase::Tls))?;
        let secured = wire.secure(self.tls, host).map_err(|error| match error {
            // Most likely a line of somebody's that came late.
            error if error.is_not_tls() => WireError::Injected,
            error => error,
        });
        let mut wire = secured.map_err(self.fail(Phase::Tls))?;
        let server = greet(&mut wire).map_err(self.fail(Phase::Tls))?;
        Ok((wire, server))
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

/// Says EHLO and returns what the server offers.
fn greet(wire: &mut Wire) -> Result<ServerInfo, WireError> {
    let reply = wire.command(Ehlo::new(ClientId::default()))?;
    Ok(ServerInfo::from_response(&reply)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_refusal_are_joined_without_repeating_its_code() {
        let joined = |text: &str| joined(&text.parse().unwrap());
        let refusal = "550-5.7.25 [203.0.113.1] has no\r\n550-5.7.25 PTR record\r\n550 5.7.25 at all\r\n";
        assert_eq!(joined(refusal), "5.7.25 [203.0.113.1] has no PTR record at all");
        assert_eq!(joined("550-no 5.7.1\r\n550 no more\r\n"), "no 5.7.1 no more");
        assert_eq!(joined("550 \r\n"), "");
    }
}
