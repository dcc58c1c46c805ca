//! The client of the real world: reqwest with everything off that could carry
//! a key elsewhere.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::blocking;

use super::breakdown::{BodyTrouble, Broken, host_of, innermost};
use super::budget::{Budget, Patience};
use super::origin::{Origin, Place};
use super::{Auth, Effect, Failure, FailureKind, Http, Method, Reply, Request, encode, pace};
use crate::checkpoint;
use crate::key::Secret;

/// The most of a body that is read.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// A host that does not take a connection by then is not there.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Shorter than any vendor keeps a quiet connection: a change must not be
/// written into one the server is just closing.
const IDLE_LIMIT: Duration = Duration::from_secs(15);

/// What the context decides for all requests of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// By [`super::Host::variable`]: origins in a vendor's place.
    pub overrides: BTreeMap<&'static str, Origin>,
    /// Extra roots, each a PEM bundle.
    pub extra_roots: Vec<Vec<u8>>,
    /// The name of the variable that sets a proxy, for hints only; the client
    /// itself reads `HTTPS_PROXY` and `NO_PROXY` as every program does.
    pub proxy: Option<String>,
    /// The hour, for limits that end at a time of day.
    pub now: Timestamp,
}

impl Settings {
    pub fn new(now: Timestamp) -> Self {
        Self { overrides: BTreeMap::new(), extra_roots: Vec::new(), proxy: None, now }
    }
}

/// Sends requests with one pool of kept-alive connections. Building it costs
/// nothing; the parts are made at the first request that needs them, because
/// reading the system's roots takes milliseconds.
pub struct Client {
    settings: Settings,
    started: Instant,
    budget: Budget,
    plain: OnceLock<Result<blocking::Client, Failure>>,
    loopback: OnceLock<Result<blocking::Client, Failure>>,
    world: OnceLock<Result<blocking::Client, Failure>>,
}

/// Returns whether a PEM bundle has a certificate that can be read.
pub fn holds_certificate(bundle: &[u8]) -> bool {
    reqwest::Certificate::from_pem_bundle(bundle).is_ok_and(|it| !it.is_empty())
}

/// Installs the one provider of cryptography, once.
pub fn install_crypto() {
    // An error only says that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Client {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            started: Instant::now(),
            budget: Budget::default(),
            plain: OnceLock::new(),
            loopback: OnceLock::new(),
            world: OnceLock::new(),
        }
    }

    fn now(&self) -> Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        self.settings.now.checked_add(elapsed).unwrap_or(self.settings.now)
    }

    fn origin(&self, request: &Request<'_>) -> Result<Origin, Failure> {
        if let Some(found) = self.settings.overrides.get(request.host.variable) {
            return Ok(found.clone());
        }
        Origin::parse(request.host.origin).map_err(|error| Failure {
            kind: FailureKind::NotSent,
            message: format!("`{}` {error}", request.host.origin),
            hint: None,
        })
    }

    fn inner(&self, place: Place) -> Result<&blocking::Client, Failure> {
        let cell = match place {
            Place::LoopbackPlain => &self.plain,
            Place::LoopbackTls => &self.loopback,
            Place::World => &self.world,
        };
        cell.get_or_init(|| self.build(place)).as_ref().map_err(Clone::clone)
    }

    fn build(&self, place: Place) -> Result<blocking::Client, Failure> {
        install_crypto();
        let builder = blocking::Client::builder()
            .user_agent(concat!("keyctl/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .timeout(None)
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .tcp_nodelay(true)
            .tls_version_min(reqwest::tls::Version::TLS_1_2);
        let builder = match place {
            Place::LoopbackPlain => builder.no_proxy().tls_certs_only([]),
            Place::LoopbackTls => builder.no_proxy().https_only(true).tls_certs_merge(self.extra_roots()?),
            Place::World => builder.https_only(true).tls_certs_merge(self.extra_roots()?),
        };
        builder.build().map_err(|error| Failure {
            kind: FailureKind::Tls,
            message: format!("cannot prepare TLS: {}", innermost(&error)),
            hint: Some(
                "install the system's root certificates (package `ca-certificates`) or name a PEM file in \
                 KEYCTL_CA_FILE"
                    .to_owned(),
            ),
        })
    }

    fn extra_roots(&self) -> Result<Vec<reqwest::Certificate>, Failure> {
        let mut roots = Vec::new();
        for bundle in &self.settings.extra_roots {
            let read = reqwest::Certificate::from_pem_bundle(bundle).ok().filter(|it| !it.is_empty());
            roots.extend(read.ok_or_else(|| Failure {
                kind: FailureKind::Tls,
                message: "the file of KEYCTL_CA_FILE holds no PEM certificate".to_owned(),
                hint: Some("it must hold `-----BEGIN CERTIFICATE-----` blocks".to_owned()),
            })?);
        }
        Ok(roots)
    }

    /// Sends once. The answer says whether trying again makes sense.
    fn attempt(&self, request: &Request<'_>, origin: &Origin, deadline: Instant) -> Result<Reply, Broken> {
        let client = self.inner(origin.place())?;
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(Broken::from(Failure {
                kind: FailureKind::NotSent,
                message: format!("no time was left to ask {}", host_of(origin)),
                hint: Some("allow more time with `--timeout`".to_owned()),
            }));
        }
        let prepared = prepare(client, request, origin, remaining)?;
        let begun = Instant::now();
        let response =
            prepared.send().map_err(|error| Broken::of(&error, origin, self.settings.proxy.as_deref()))?;
        let status = response.status().as_u16();
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), scrubbed(&request.auth, &String::from_utf8_lossy(value.as_bytes())))
        });
        let headers = headers.collect();
        let bytes = read_body(response, deadline).map_err(|trouble| Broken::of_body(trouble, origin))?;
        let body = scrubbed(&request.auth, &String::from_utf8_lossy(&bytes));
        Ok(Reply { status, headers, body, latency: begun.elapsed() })
    }
}

impl Http for Client {
    fn send(&self, request: &Request<'_>, deadline: Instant) -> Result<Reply, Failure> {
        self.send_all(request, deadline, None)
    }

    fn send_in_turn(
        &self,
        request: &Request<'_>,
        deadline: Instant,
        patience: &Patience<'_>,
    ) -> Result<Reply, Failure> {
        self.send_all(request, deadline, Some(patience))
    }

    fn learn(&self, key: &str, others: &[Arc<str>], account: &str) {
        self.budget.learn(key, others, account);
    }
}

impl Client {
    /// Sends until there is an answer that is no limit, or none is to be had.
    fn send_all(
        &self,
        request: &Request<'_>,
        deadline: Instant,
        patience: Option<&Patience<'_>>,
    ) -> Result<Reply, Failure> {
        let origin = self.origin(request)?;
        let mutates = request.effect == Effect::Mutates;
        let mut repeats = 0;
        let mut reconnected = false;
        let mut limited_reply = None;
        loop {
            let turn = match (self.budget.turn(request, deadline, patience), limited_reply.take()) {
                (Ok(turn), _) => turn,
                // The vendor's own word says more.
                (Err(_), Some(reply)) => return Ok(reply),
                (Err(failure), None) => return Err(failure),
            };
            let deadline = deadline + patience.map_or(Duration::ZERO, Patience::spent);
            if mutates {
                checkpoint::pass("request");
            }
            let result = self.attempt(request, &origin, deadline);
            if mutates {
                checkpoint::pass("request");
            }
            let reply = match result {
                Ok(reply) => reply,
                Err(broken) if broken.again && !mutates && !reconnected => {
                    reconnected = true;
                    continue;
                }
                Err(broken) => return Err(broken.failure),
            };
            let limited = matches!(reply.status, 429 | 420) || (reply.status == 503 && !mutates);
            if !limited {
                return Ok(reply);
            }
            if let (429 | 420, Some(wait)) = (reply.status, pace::wait_hint(&reply, self.now())) {
                turn.refused(wait);
            }
            drop(turn);
            match pace::pause(&reply, self.now(), repeats) {
                Some(wait) if Instant::now() + wait < deadline => thread::sleep(wait),
                _ => return Ok(reply),
            }
            limited_reply = Some(reply);
            repeats += 1;
        }
    }
}

fn prepare(
    client: &blocking::Client,
    request: &Request<'_>,
    origin: &Origin,
    remaining: Duration,
) -> Result<blocking::RequestBuilder, Failure> {
    let unsendable = |what: &str| Failure {
        kind: FailureKind::NotSent,
        message: format!("{what} contains characters that cannot be sent to {}", host_of(origin)),
        hint: Some("paste the key again, without line breaks and other characters around it".to_owned()),
    };
    let mut url = format!("{}{}", origin.as_str(), request.path);
    if !request.query.is_empty() {
        url.push('?');
        url.push_str(&encode::pairs(&request.query));
    }
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    };
    let names = |wanted: &str| request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let mut builder = client.request(method, url).timeout(remaining);
    if !names("accept") {
        builder = builder.header("accept", "application/json");
    }
    if let Some((name, value)) = encode::authorization(&request.auth).ok_or_else(|| unsendable("the key"))? {
        builder = builder.header(name, value);
    }
    for (name, value) in &request.headers {
        let value = reqwest::header::HeaderValue::from_str(value).map_err(|_| unsendable(name))?;
        builder = builder.header(*name, value);
    }
    let encoded = encode::body(&request.body);
    if let Some(content_type) = encoded.content_type {
        builder = builder.body(encoded.bytes);
        if !names("content-type") {
            builder = builder.header("content-type", content_type);
        }
    }
    Ok(builder)
}

fn read_body(mut response: blocking::Response, deadline: Instant) -> Result<Vec<u8>, BodyTrouble> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0_u8; 4 * 1024];
    loop {
        if Instant::now() >= deadline {
            return Err(BodyTrouble::Late);
        }
        match response.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) if Instant::now() >= deadline => return Err(BodyTrouble::Late),
            Err(_) => return Err(BodyTrouble::Cut),
        }
        if bytes.len() > BODY_LIMIT {
            return Err(BodyTrouble::TooLarge(BODY_LIMIT));
        }
    }
}

fn secret_of<'a>(auth: &Auth<'a>) -> Option<&'a Secret> {
    match auth {
        Auth::None => None,
        Auth::Basic { secret, .. } | Auth::Bearer(secret) | Auth::Header { secret, .. } => Some(secret),
    }
}

fn scrubbed(auth: &Auth<'_>, text: &str) -> String {
    match secret_of(auth) {
        Some(secret) => secret.scrub(text),
        None => text.to_owned(),
    }
}
