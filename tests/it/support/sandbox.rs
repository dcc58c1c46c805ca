//! Starts `examples/sandbox`, speaks to its control API, and fails a test in
//! which a request broke the vendor's published contract.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

/// A running sandbox with an empty world; it ends with this value.
pub struct Sandbox {
    child: Child,
    exports: Vec<(String, String)>,
    violations_expected: bool,
}

/// A key made in the sandbox.
#[derive(Debug, Clone)]
pub struct SandboxKey {
    pub id: String,
    pub secret: String,
}

/// A reply to a raw request.
#[derive(Debug)]
pub struct RawReply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl RawReply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Sandbox {
    /// Starts an empty sandbox.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a sandbox with arguments of its own, such as `--tls`.
    pub fn with(arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .arg("--until-eof")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut exports = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("the sandbox ended before it was ready").unwrap();
            if line == "# ready" {
                break;
            }
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            exports.push((name.to_owned(), value.trim_matches('\'').to_owned()));
        }
        Self { child, exports, violations_expected: false }
    }

    /// Returns the variables that lead the program to this sandbox.
    pub fn env(&self) -> Vec<(String, String)> {
        self.exports.iter().filter(|(name, _)| name.starts_with("KEYCTL_")).cloned().collect()
    }

    /// Returns one exported value.
    pub fn export(&self, name: &str) -> &str {
        let found = self.exports.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no export {name}"))
    }

    /// Does not fail this test for requests that break the contract.
    pub fn expect_violations(&mut self) {
        self.violations_expected = true;
    }

    /// Sends a request to the control API; panics unless it is answered 200.
    pub fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = self.export("SANDBOX_CONTROL_URL");
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let reply = exchange(url, method, path, &[("content-type", "application/json")], &text);
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
        reply.json()
    }

    /// Makes a Mailgun account and returns its id.
    pub fn mailgun_account(&self) -> String {
        self.control("POST", "/mailgun/accounts", json!({}))["id"].as_str().unwrap().to_owned()
    }

    /// Makes an account key of a role: `admin`, `basic`, `developer`, `support`.
    pub fn mailgun_key(&self, account: &str, role: &str) -> SandboxKey {
        self.mailgun_key_with(account, json!({"role": role}))
    }

    /// Makes a domain sending key.
    pub fn mailgun_sending_key(&self, account: &str, domain: &str) -> SandboxKey {
        let body = json!({"role": "sending", "kind": "domain", "domain_name": domain});
        self.mailgun_key_with(account, body)
    }

    /// Makes a key from the control API's fields.
    pub fn mailgun_key_with(&self, account: &str, body: Value) -> SandboxKey {
        let made = self.control("POST", &format!("/mailgun/accounts/{account}/keys"), body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        SandboxKey { id: text("id"), secret: text("secret") }
    }

    /// Makes a domain whose records are published if it is `active`.
    pub fn domain(&self, account: &str, region: &str, name: &str, state: &str) {
        let published = if state == "active" { "valid" } else { "unknown" };
        let dns = json!({"spf": published, "dkim": published, "mx": published, "tracking": published});
        self.domain_with(account, json!({"name": name, "region": region, "state": state, "dns": dns}));
    }

    /// Makes a domain from the control API's fields.
    pub fn domain_with(&self, account: &str, body: Value) {
        self.control("POST", &format!("/mailgun/accounts/{account}/domains"), body);
    }

    /// Makes an SMTP login and returns its password.
    pub fn credential(&self, account: &str, region: &str, login: &str) -> String {
        let body = json!({"login": login, "region": region});
        let made = self.control("POST", &format!("/mailgun/accounts/{account}/credentials"), body);
        made["password"].as_str().unwrap().to_owned()
    }

    /// Changes settings of an account.
    pub fn settings(&self, account: &str, body: Value) {
        self.control("PUT", &format!("/mailgun/accounts/{account}/settings"), body);
    }

    /// Returns what was asked of the vendors so far.
    pub fn requests(&self) -> Vec<Value> {
        self.control("GET", "/requests", Value::Null).as_array().unwrap().clone()
    }

    /// Returns `METHOD host path` of each request so far.
    pub fn request_lines(&self) -> Vec<String> {
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        let line = |it: &Value| [text(it, "method"), text(it, "host"), text(it, "path")].join(" ");
        self.requests().iter().map(line).collect()
    }

    pub fn clear_requests(&self) {
        self.control("DELETE", "/requests", Value::Null);
    }

    /// Returns the mails accepted so far.
    pub fn messages(&self) -> Vec<Value> {
        self.control("GET", "/messages", Value::Null).as_array().unwrap().clone()
    }

    /// Posts a fault.
    pub fn fault(&self, fault: Value) {
        self.control("POST", "/faults", fault);
    }

    pub fn clear_faults(&self) {
        self.control("DELETE", "/faults", Value::Null);
    }

    /// Moves the sandbox's time ahead of the machine's.
    pub fn clock(&self, offset_seconds: i64) {
        self.control("PUT", "/clock", json!({"offset_seconds": offset_seconds}));
    }

    /// Sets the address that allowlists are compared with.
    pub fn caller_ip(&self, ip: &str) {
        self.control("PUT", "/caller_ip", json!({"ip": ip}));
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let violations = if self.violations_expected || std::thread::panicking() {
            Vec::new()
        } else {
            let broken = |it: &Value| !it["contract_violation"].is_null();
            self.requests().into_iter().filter(broken).collect()
        };
        // The end of its input lets it remove its folder; else it is killed.
        drop(self.child.stdin.take());
        let patience = Instant::now() + Duration::from_secs(2);
        while Instant::now() < patience && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        assert!(violations.is_empty(), "requests broke the vendor's contract: {violations:#?}");
    }
}

/// Sends one HTTP/1.1 request to a plain-text origin and reads the reply.
/// Panics where there is none.
pub fn exchange(origin: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> RawReply {
    try_exchange(origin, method, path, headers, body).unwrap_or_else(|text| panic!("no reply, but: {text}"))
}

/// The same; `Err` holds what arrived where that is not a whole reply.
pub fn try_exchange(
    origin: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<RawReply, String> {
    let address = origin.strip_prefix("http://").expect("a plain-text origin");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    read_reply(&received).ok_or_else(|| String::from_utf8_lossy(&received).into_owned())
}

fn read_reply(received: &[u8]) -> Option<RawReply> {
    let text = String::from_utf8_lossy(received).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let reply = RawReply { status, headers, body: body.to_owned() };
    match reply.header("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) if length != body.len() => None,
        _ => Some(reply),
    }
}

/// Returns the example's path, after building it where it is missing or older
/// than its source: `cargo test --test it` alone does not build examples.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let program = profile.join("examples").join(format!("sandbox{}", std::env::consts::EXE_SUFFIX));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join("sandbox");
        let built = program.metadata().and_then(|it| it.modified());
        if built.is_err() || built.is_ok_and(|built| built < newest(&source)) {
            build(profile);
        }
        program
    })
}

fn newest(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let age = |path: PathBuf| match path.is_dir() {
        true => newest(&path),
        false => path.metadata().and_then(|it| it.modified()).unwrap_or(SystemTime::UNIX_EPOCH),
    };
    entries.map(age).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn build(profile: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--example", "sandbox", "--target-dir"]);
    command.arg(profile.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    assert!(command.status().unwrap().success(), "the sandbox does not build");
}
