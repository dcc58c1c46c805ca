//! What a run of the whole program costs, each figure beside a peer or the
//! ideal, measured in turns in one run: start-up, `list`, `get`, `validate`,
//! memory, size. Figures are printed, never asserted: machines are noisy.
//!
//! Run it with `cargo bench --bench program`. `secret-tool` and `curl` are the
//! peers; where one is missing its line says so.
#![allow(clippy::unwrap_used, clippy::print_stdout, dead_code, reason = "this is a benchmark")]

#[path = "../tests/it/support/sandbox.rs"]
mod sandbox;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::Sandbox;

/// How often each command of a comparison runs.
const TURNS: usize = 40;

/// The most memory a run may take.
const PEAK_BAR: &str = "40 MB";

fn keyctl() -> &'static str {
    env!("CARGO_BIN_EXE_keyctl")
}

/// A home with an inventory, its secrets in the `env` store.
struct Home {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_string_lossy().into_owned();
        let variables = vec![
            ("HOME".to_owned(), home),
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("KEYCTL_STORE".to_owned(), "env".to_owned()),
        ];
        Self { folder, variables }
    }

    /// Writes an inventory of `records`, five to a location.
    fn inventory(
        &self,
        records: usize,
        mut secret: impl FnMut(usize) -> Option<String>,
    ) -> Vec<(String, String)> {
        let mut text = String::from("version = 1\n");
        let mut variables = Vec::new();
        for n in 0..records {
            let key = format!("mailgun:n{}@acme/l{}", n % 5, n / 5);
            let fingerprint = secret(n).map_or_else(
                || format!("{n:012x}"),
                |secret| {
                    let fingerprint = keyctl::key::Secret::new(secret.clone()).fingerprint().to_string();
                    variables.push((keyctl::store::env::variable(&key.parse().unwrap()), secret));
                    fingerprint
                },
            );
            text.push_str(&format!(
                "\n[key.\"{key}\"]\nid = \"kbench{n}\"\nkind = \"account\"\ncurrent = 1\nhighest = 1\nlast2 = \"a7\"\n\
                 fingerprint = \"{fingerprint}\"\ncreated = \"2026-11-22T08:00:00Z\"\nexpires = \"never\"\n\
                 role = \"admin\"\nnote = \"pasted in the settings of the location\"\n"
            ));
        }
        let path = self.folder.path().join(".config/keyctl/keyctl.toml");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        variables
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(keyctl());
        command.args(arguments).env_clear().envs(self.variables.clone());
        command
    }
}

/// Runs a command to its end; its output is thrown away.
fn once(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let took = start.elapsed();
    assert!(status.code().is_some(), "{command:?} was killed");
    took
}

/// Runs commands in turns, so that noise meets all alike; returns the medians.
fn medians<const N: usize>(turns: usize, mut commands: [Command; N]) -> [Duration; N] {
    let mut times = commands.each_ref().map(|_| Vec::with_capacity(turns));
    for command in &mut commands {
        once(command);
    }
    for _ in 0..turns {
        for (command, times) in commands.iter_mut().zip(&mut times) {
            times.push(once(command));
        }
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

fn ratio(one: Duration, other: Duration) -> String {
    format!("{:.2}", one.as_secs_f64() / other.as_secs_f64())
}

fn main() {
    if std::env::var("KEYCTL_BENCH_INSIDE").is_ok() {
        return get_from_the_keyring();
    }
    start_up();
    list();
    get_from_the_keyring();
    validate_one();
    for (keys, jobs) in [(1, 1), (100, 16)] {
        Many::new(keys).validate(jobs);
    }
    let small = Many::new(1_000).validate(16);
    let many = Many::new(10_000);
    let big = many.validate(16);
    println!("memory          {:.2} kB a key (10,000 against 1,000)", (big - small) / 9_000.0);
    // Connections cost memory, too.
    many.validate(64);
    many.formats(64);
    size();
}

fn start_up() {
    let home = Home::new();
    let [version, nothing] = medians(TURNS, [home.command(&["--version"]), Command::new("/bin/true")]);
    println!("start-up        --version {} (/bin/true {}); bar 3 ms", ms(version), ms(nothing));
}

fn list() {
    for (records, bar) in [(10, 3), (1_000, 15), (10_000, 100)] {
        let home = Home::new();
        home.inventory(records, |_| None);
        let [table, json] =
            medians(TURNS / 2, [home.command(&["list"]), home.command(&["-f", "json", "list"])]);
        let peak = peak_memory(&home.command(&["list"]));
        println!(
            "list {records:>6}     table {}, json {}; bar {bar} ms; peak {}, bar {PEAK_BAR}",
            ms(table),
            ms(json),
            mb(peak)
        );
    }
}

/// Inside a session bus with a real gnome-keyring-daemon: `get` against
/// `secret-tool lookup` of the same item.
fn get_from_the_keyring() {
    if std::env::var("KEYCTL_BENCH_INSIDE").is_err() {
        if !has("dbus-run-session") || !has("gnome-keyring-daemon") || !has("secret-tool") {
            println!("get             not measured: gnome-keyring, dbus and libsecret-tools are needed");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let script = "eval \"$(printf %s testpw | gnome-keyring-daemon --unlock --components=secrets 2>/dev/null)\"; \
                      export GNOME_KEYRING_CONTROL; exec \"$@\"";
        let run = home.path().join("run");
        std::fs::create_dir(&run).unwrap();
        std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let status = Command::new("dbus-run-session")
            .args(["--", "bash", "-c", script, "_"])
            .arg(std::env::current_exe().unwrap())
            .env("KEYCTL_BENCH_INSIDE", "get")
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("data"))
            .env("XDG_RUNTIME_DIR", run)
            .env_remove("DISPLAY")
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok_and(|it| it.success()), "the session failed");
        return;
    }
    let surroundings = keyctl::store::Surroundings::default();
    let store = (keyctl::store::row("keyring").unwrap().open)(&surroundings);
    let key: keyctl::key::KeyRef = "mailgun@acme".parse().unwrap();
    let item =
        keyctl::store::Item { id: keyctl::key::RecordId::parse("kbenchget").unwrap(), version: 1, key };
    store.put(&item, &keyctl::key::Secret::new("x".repeat(50))).unwrap();
    let mut home = Home::new();
    home.inventory(0, |_| None);
    let path = home.folder.path().join(".config/keyctl/keyctl.toml");
    let text = "version = 1\n[key.\"mailgun@acme\"]\nid = \"kbenchget\"\nkind = \"account\"\ncurrent = 1\nhighest = 1\n";
    std::fs::write(path, text).unwrap();
    home.variables.retain(|(name, _)| name != "KEYCTL_STORE");
    home.variables.extend(
        std::env::vars().filter(|(name, _)| name.starts_with("DBUS_") || name.starts_with("XDG_RUN")),
    );
    let mut peer = Command::new("secret-tool");
    peer.args(["lookup", "service", "keyctl", "username", "kbenchget#1"]);
    let [get, lookup] = medians(TURNS, [home.command(&["get", "mailgun@acme"]), peer]);
    println!(
        "get (keyring)   {} (secret-tool {}); ratio {}, bar 1.2",
        ms(get),
        ms(lookup),
        ratio(get, lookup)
    );
}

/// One key over TLS on loopback, against curl making the same requests, kept
/// alive per host and both hosts at once.
fn validate_one() {
    let sandbox = Sandbox::with(&["--tls"]);
    let account = sandbox.mailgun_account();
    sandbox.domain(&account, "us", "mg.acme.example", "active");
    let key = sandbox.mailgun_key(&account, "admin");
    let mut home = Home::new();
    let secrets = home.inventory(1, |_| Some(key.secret.clone()));
    home.variables.extend(secrets);
    home.variables.extend(sandbox.env());
    sandbox.clear_requests();
    once(&mut home.command(&["validate"]));
    let requests = sandbox.requests();
    let text =
        |request: &serde_json::Value, field: &str| request[field].as_str().unwrap_or_default().to_owned();
    let urls: Vec<String> = requests
        .iter()
        .map(|request| {
            let host = text(request, "host").replace("mailgun-", "").to_uppercase();
            let origin = sandbox.export(&format!("KEYCTL_MAILGUN_{host}_URL"));
            let query = request["query"].as_object().map(|fields| {
                fields
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                    .collect::<Vec<_>>()
                    .join("&")
            });
            match query.filter(|it| !it.is_empty()) {
                Some(query) => format!("{origin}{}?{query}", text(request, "path")),
                None => format!("{origin}{}", text(request, "path")),
            }
        })
        .collect();
    if !has("curl") {
        println!("validate 1      not compared: curl is needed");
        return;
    }
    let mut peer = Command::new("curl");
    let config = home.folder.path().join("curlrc");
    std::fs::write(&config, format!("user = \"api:{}\"\n", key.secret)).unwrap();
    peer.args(["-s", "-Z", "-K"])
        .arg(&config)
        .args(["--cacert", sandbox.export("KEYCTL_CA_FILE")])
        .args(&urls);
    for _ in &urls {
        peer.args(["-o", "/dev/null"]);
    }
    let [ours, curl] = medians(TURNS, [home.command(&["validate"]), peer]);
    println!(
        "validate 1      {} for {} requests over TLS (curl -Z {}); ratio {}, bar 1.0",
        ms(ours),
        urls.len(),
        ms(curl),
        ratio(ours, curl)
    );
}

/// Distinct keys in a sandbox with 50 ms latency.
struct Many {
    keys: usize,
    sandbox: Sandbox,
    home: Home,
}

impl Many {
    const LATENCY: Duration = Duration::from_millis(50);

    /// Makes them, five to an account, as agencies have them.
    fn new(keys: usize) -> Self {
        let sandbox = Sandbox::with(&["--latency", "50ms"]);
        let mut secrets = Vec::with_capacity(keys);
        while secrets.len() < keys {
            let account = sandbox.mailgun_account();
            sandbox.domain(&account, "us", &format!("mg{}.acme.example", secrets.len()), "active");
            let wanted = (keys - secrets.len()).min(5);
            secrets.extend((0..wanted).map(|_| sandbox.mailgun_key(&account, "admin").secret));
        }
        let mut home = Home::new();
        let variables = home.inventory(keys, |n| Some(secrets[n].clone()));
        home.variables.extend(variables);
        home.variables.extend(sandbox.env());
        Self { keys, sandbox, home }
    }

    /// Prints the time against `requests × 50 ms ÷ jobs`; returns the peak of memory.
    fn validate(&self, jobs: usize) -> f64 {
        self.sandbox.clear_requests();
        let jobs_text = jobs.to_string();
        let command = self.home.command(&["-f", "json", "validate", "--jobs", &jobs_text]);
        let (took, peak) = timed_with_memory(&command);
        let requests = self.sandbox.requests().len();
        let ideal = Self::LATENCY * u32::try_from(requests).unwrap() / u32::try_from(jobs).unwrap();
        println!(
            "validate {:>6} {:.2} s for {requests} requests, {jobs} jobs (ideal {:.2} s); ratio {}, bar 1.15; \
             peak {}, bar {PEAK_BAR}",
            self.keys,
            took.as_secs_f64(),
            ideal.as_secs_f64(),
            ratio(took, ideal),
            mb(peak)
        );
        peak
    }

    /// Prints the peak of each other form of the result. It is a second run: the
    /// verdicts of the first are there to be compared with.
    fn formats(&self, jobs: usize) {
        let jobs = jobs.to_string();
        let report = |format: &str| format!("{format}={}", self.home.folder.path().join(format).display());
        let reports = ["junit", "sarif", "openmetrics"].map(report);
        let forms: [(&str, &[&str]); 3] = [
            ("table", &["-f", "table", "validate", "--jobs", &jobs]),
            ("plain", &["-f", "plain", "validate", "--jobs", &jobs]),
            (
                "junit, sarif, openmetrics",
                &[
                    "validate",
                    "--jobs",
                    &jobs,
                    "--report",
                    &reports[0],
                    "--report",
                    &reports[1],
                    "--report",
                    &reports[2],
                ],
            ),
        ];
        for (name, arguments) in forms {
            self.sandbox.clear_requests();
            let peak = peak_memory(&self.home.command(arguments));
            println!("validate {:>6} {name}: peak {}, bar {PEAK_BAR}", self.keys, mb(peak));
        }
    }
}

fn size() {
    let bytes = std::fs::metadata(keyctl()).unwrap().len();
    println!("binary          {:.2} MB; bar 9 MB", bytes as f64 / 1e6);
}

fn peak_memory(command: &Command) -> f64 {
    timed_with_memory(command).1
}

fn mb(kilobytes: f64) -> String {
    if kilobytes == 0.0 { "not seen".to_owned() } else { format!("{:.1} MB", kilobytes / 1024.0) }
}

/// Runs a command and reads the high-water mark of its memory while it lives:
/// the last value seen before it ends, in kB.
fn timed_with_memory(command: &Command) -> (Duration, f64) {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args()).env_clear();
    copy.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let start = Instant::now();
    let mut child = copy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(high_water(&status));
        std::thread::sleep(Duration::from_micros(500));
    }
    (start.elapsed(), peak as f64)
}

fn high_water(status: &Path) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn has(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(program).is_file())
}
