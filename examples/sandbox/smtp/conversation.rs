//! One SMTP session, command by command, and what is noted of it.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::line::Wire;
use super::{Letter, Relay};
use crate::faults::{Plan, SmtpMoment, SmtpPlan};
use crate::moment;
use crate::world::Shared;

/// What a command leads to.
enum Next {
    Go,
    Encrypt,
    End,
}

/// The state of a session.
pub struct Conversation {
    relay: Relay,
    shared: Shared,
    acceptor: TlsAcceptor,
    fault: Option<SmtpPlan>,
    delay: Duration,
    /// The number of its entry in the diary.
    number: u64,
    entry: Value,
    encrypted: bool,
    greeted: bool,
    login: Option<String>,
    sender: Option<String>,
    recipients: Vec<String>,
}

impl Conversation {
    /// Opens the entry in the diary and looks for a fault.
    pub fn begin(relay: Relay, shared: Shared, acceptor: TlsAcceptor) -> Self {
        let mut world = shared.lock();
        let strike = world.faults.strike_session(relay.name);
        let entry = json!({
            "at": moment::rfc3339(world.now()), "protocol": "smtp", "host": relay.name, "method": "SMTP",
            "path": "", "transcript": [], "encrypted": false, "auth_attempts": 0, "login": null,
            "authenticated": false, "fault": strike.plan.word(), "contract_violation": null,
        });
        let number = world.record.push(entry.clone());
        drop(world);
        let fault = match strike.plan {
            Plan::Smtp(plan) => Some(plan),
            _ => None,
        };
        let delay = Duration::from_millis(strike.latency_ms);
        Self {
            relay,
            shared,
            acceptor,
            fault,
            delay,
            number,
            entry,
            encrypted: false,
            greeted: false,
            login: None,
            sender: None,
            recipients: Vec::new(),
        }
    }

    /// Holds a session that begins in the clear.
    pub async fn hold(mut self, stream: TcpStream) {
        tokio::time::sleep(self.delay).await;
        let mut wire = Wire::new(stream);
        if self.greet(&mut wire).await.is_none() {
            return;
        }
        if let Some(Next::Encrypt) = self.talk(&mut wire).await
            && let Ok(stream) = self.acceptor.clone().accept(wire.into_stream()).await
        {
            self.encrypt();
            self.talk(&mut Wire::new(stream)).await;
        }
    }

    /// Holds a session that is encrypted from the start.
    pub async fn hold_encrypted(mut self, stream: TcpStream) {
        tokio::time::sleep(self.delay).await;
        let Ok(stream) = self.acceptor.clone().accept(stream).await else { return };
        self.encrypt();
        let mut wire = Wire::new(stream);
        if self.greet(&mut wire).await.is_some() {
            self.talk(&mut wire).await;
        }
    }

    fn encrypt(&mut self) {
        self.encrypted = true;
        self.greeted = false;
        self.entry["encrypted"] = Value::from(true);
    }

    async fn greet(&mut self, wire: &mut Wire) -> Option<()> {
        self.strike(wire, SmtpMoment::Connect).await?;
        let greeting = format!("220 {}", self.relay.greeting);
        self.say(wire, &greeting).await
    }

    async fn talk(&mut self, wire: &mut Wire) -> Option<Next> {
        loop {
            let line = wire.read().await?;
            match self.command(wire, &line).await? {
                Next::Go => {}
                next => return Some(next),
            }
        }
    }

    async fn command(&mut self, wire: &mut Wire, line: &str) -> Option<Next> {
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        let word = word.to_ascii_uppercase();
        if word != "AUTH" {
            self.heard(line);
        }
        match word.as_str() {
            "EHLO" | "HELO" => self.ehlo(wire).await?,
            "STARTTLS" => return self.starttls(wire).await,
            "AUTH" => self.auth(wire, argument).await?,
            "MAIL" => self.mail(wire, argument).await?,
            "RCPT" => self.rcpt(wire, argument).await?,
            "DATA" => self.data(wire).await?,
            "RSET" => {
                (self.sender, self.recipients) = (None, Vec::new());
                self.say(wire, "250 OK").await?;
            }
            "NOOP" => self.say(wire, "250 OK").await?,
            "QUIT" => {
                self.say(wire, "221 See you later").await?;
                return Some(Next::End);
            }
            _ => {
                self.violate(&format!("unknown command {word}"));
                self.say(wire, "500 Command not recognized").await?;
            }
        }
        Some(Next::Go)
    }

    async fn ehlo(&mut self, wire: &mut Wire) -> Option<()> {
        self.strike(wire, SmtpMoment::Ehlo).await?;
        if self.login.is_some() {
            self.violate("EHLO after AUTH");
        }
        self.greeted = true;
        let offered = match (self.encrypted, &self.fault) {
            (true, _) => "250-AUTH PLAIN LOGIN\n250-SIZE 52428800\n250-8BITMIME\n250 SMTPUTF8",
            (false, Some(SmtpPlan::NoStarttls)) => "250-SIZE 52428800\n250 8BITMIME",
            (false, _) => "250-SIZE 52428800\n250-8BITMIME\n250 STARTTLS",
        };
        self.say(wire, &format!("250-smtp-out.sandbox\n{offered}")).await
    }

    async fn starttls(&mut self, wire: &mut Wire) -> Option<Next> {
        self.strike(wire, SmtpMoment::Starttls).await?;
        if self.encrypted || matches!(self.fault, Some(SmtpPlan::NoStarttls)) {
            self.violate("STARTTLS that was not offered");
            self.say(wire, "502 STARTTLS is not available").await?;
            return Some(Next::Go);
        }
        if wire.has_more() {
            self.violate("commands sent along with STARTTLS");
        }
        self.say(wire, "220 2.0.0 Start TLS").await?;
        Some(Next::Encrypt)
    }

    async fn auth(&mut self, wire: &mut Wire, argument: &str) -> Option<()> {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let mechanism = mechanism.to_ascii_uppercase();
        let shown = if initial.is_empty() { "" } else { " (credential)" };
        self.heard(&format!("AUTH {mechanism}{shown}"));
        self.entry["auth_attempts"] = Value::from(self.entry["auth_attempts"].as_u64().unwrap_or(0) + 1);
        if !self.encrypted {
            self.violate("AUTH without TLS: the password is lost");
            return self
                .say(wire, "538 5.7.11 Encryption required for requested authentication mechanism")
                .await;
        }
        if !self.greeted {
            self.violate("AUTH without EHLO after TLS began");
        }
        if self.login.is_some() {
            self.violate("AUTH twice in a session");
            return self.say(wire, "503 5.5.1 Already authenticated").await;
        }
        let pair = match mechanism.as_str() {
            "PLAIN" => plain(&self.credential(wire, initial, "").await?),
            "LOGIN" => {
                let login = decoded(&self.credential(wire, initial, "VXNlcm5hbWU6").await?);
                let password = decoded(&self.credential(wire, "", "UGFzc3dvcmQ6").await?);
                login.zip(password)
            }
            _ => {
                self.violate("an AUTH mechanism that was not offered");
                return self.say(wire, "504 5.5.4 Unrecognized authentication type").await;
            }
        };
        self.strike(wire, SmtpMoment::Auth).await?;
        let Some((login, password)) = pair else {
            return self.say(wire, "501 5.5.2 Cannot decode response").await;
        };
        self.entry["login"] = Value::from(login.clone());
        let admitted = (self.relay.admit)(&mut self.shared.lock(), &login, &password);
        match admitted {
            Ok(()) => {
                self.login = Some(login);
                self.entry["authenticated"] = Value::from(true);
                self.say(wire, "235 2.0.0 OK").await
            }
            Err(refusal) => self.say(wire, &refusal).await,
        }
    }

    /// Returns what came with the command, or asks for it.
    async fn credential(&mut self, wire: &mut Wire, initial: &str, challenge: &str) -> Option<String> {
        if !initial.is_empty() {
            return Some(initial.to_owned());
        }
        self.say(wire, &format!("334 {challenge}")).await?;
        let line = wire.read().await?;
        self.heard("(credential)");
        Some(line)
    }

    async fn mail(&mut self, wire: &mut Wire, argument: &str) -> Option<()> {
        self.strike(wire, SmtpMoment::Mail).await?;
        if self.login.is_none() {
            self.violate("MAIL without AUTH");
            return self.say(wire, "530 5.7.0 Authentication required").await;
        }
        self.sender = Some(address(argument));
        self.say(wire, "250 Sender address accepted").await
    }

    async fn rcpt(&mut self, wire: &mut Wire, argument: &str) -> Option<()> {
        self.strike(wire, SmtpMoment::Rcpt).await?;
        if self.sender.is_none() {
            self.violate("RCPT without MAIL");
            return self.say(wire, "503 5.5.1 Need MAIL first").await;
        }
        self.recipients.push(address(argument));
        self.say(wire, "250 Recipient address accepted").await
    }

    async fn data(&mut self, wire: &mut Wire) -> Option<()> {
        self.strike(wire, SmtpMoment::Data).await?;
        if self.recipients.is_empty() {
            self.violate("DATA without RCPT");
            return self.say(wire, "503 5.5.1 Need RCPT first").await;
        }
        self.say(wire, "354 Continue").await?;
        let mut data = String::new();
        loop {
            let line = wire.read().await?;
            if line == "." {
                break;
            }
            data += line.strip_prefix('.').unwrap_or(&line);
            data += "\r\n";
        }
        let letter = Letter {
            login: self.login.clone().unwrap_or_default(),
            sender: self.sender.take().unwrap_or_default(),
            recipients: std::mem::take(&mut self.recipients),
            data,
        };
        let reply = (self.relay.accept)(&mut self.shared.lock(), letter);
        self.say(wire, &reply).await
    }

    /// Carries out the session's fault if its moment has come; `None` ends it.
    async fn strike(&mut self, wire: &mut Wire, now: SmtpMoment) -> Option<()> {
        match self.fault.clone() {
            Some(SmtpPlan::Cut(at)) if at == now => None,
            Some(SmtpPlan::Hang(at)) if at == now => std::future::pending().await,
            Some(SmtpPlan::Reply(at, reply)) if at == now => {
                self.say(wire, &reply).await?;
                self.until_quit(wire).await;
                None
            }
            _ => Some(()),
        }
    }

    /// After a refusal of the fault's wording only leaving is possible.
    async fn until_quit(&mut self, wire: &mut Wire) -> Option<()> {
        loop {
            let line = wire.read().await?;
            let auth = line.to_ascii_uppercase().starts_with("AUTH");
            self.heard(if auth { "AUTH (credential)" } else { &line });
            if line.eq_ignore_ascii_case("QUIT") {
                return self.say(wire, "221 See you later").await;
            }
            self.say(wire, "503 5.5.1 Bad sequence of commands").await?;
        }
    }

    /// Notes a reply before it is sent, so that whoever has it can read it.
    async fn say(&mut self, wire: &mut Wire, reply: &str) -> Option<()> {
        self.note(format!("S: {reply}"));
        wire.write(reply).await
    }

    fn heard(&mut self, line: &str) {
        self.note(format!("C: {line}"));
    }

    fn note(&mut self, line: String) {
        if let Some(transcript) = self.entry["transcript"].as_array_mut() {
            transcript.push(Value::from(line));
        }
        self.shared.lock().record.amend(self.number, self.entry.clone());
    }

    fn violate(&mut self, what: &str) {
        if self.entry["contract_violation"].is_null() {
            self.entry["contract_violation"] = Value::from(what);
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

/// Reads `\0login\0password`.
fn plain(text: &str) -> Option<(String, String)> {
    let text = decoded(text)?;
    let mut parts = text.split('\0').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn address(argument: &str) -> String {
    let inside = argument.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
