//! The whole job, on this machine: starts the sandbox (a stand-in for all
//! providers on loopback), makes a home for itself in a temporary folder, and
//! runs the real program step by step, showing each command and what it says.
//! Nothing outside that folder is touched; it is removed at the end.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "this is an example that prints")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let programs = Programs::build();
    let sandbox = Sandbox::start(&programs.sandbox);
    let home = tempfile::tempdir().unwrap();
    let tour = Tour { programs: &programs, sandbox: &sandbox, home: home.path() };
    tour.walk();
    println!("\nThat was the tour. The sandbox and its home are gone.");
    println!("`cargo install --path . --locked` comes next.");
    ExitCode::SUCCESS
}

/// The two programs, built by the cargo that runs this example.
struct Programs {
    keyctl: PathBuf,
    sandbox: PathBuf,
}

impl Programs {
    fn build() -> Self {
        println!("Building keyctl and the sandbox (the first time takes a minute or two) …");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let examples = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let profile = examples.parent().unwrap();
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--bin", "keyctl", "--example", "sandbox"]);
        build.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the build failed");
        let suffix = std::env::consts::EXE_SUFFIX;
        Self {
            keyctl: profile.join(format!("keyctl{suffix}")),
            sandbox: examples.join(format!("sandbox{suffix}")),
        }
    }
}

/// The stand-in for the providers; it ends with this value.
struct Sandbox {
    child: Child,
    exports: BTreeMap<String, String>,
}

impl Sandbox {
    fn start(program: &Path) -> Self {
        let mut child = Command::new(program)
            .args(["--until-eof", "--seed-demo"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut exports = BTreeMap::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "# ready" {
                break;
            }
            let pair = line.strip_prefix("export ").and_then(|it| it.split_once('='));
            exports.extend(pair.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())));
        }
        Self { child, exports }
    }

    fn get(&self, name: &str) -> &str {
        self.exports.get(name).map(String::as_str).unwrap_or_else(|| panic!("the sandbox exports no {name}"))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

struct Tour<'a> {
    programs: &'a Programs,
    sandbox: &'a Sandbox,
    home: &'a Path,
}

impl Tour<'_> {
    fn walk(&self) {
        self.chapter("Keep: a store, then the agency's key. It is proven before it is saved.");
        self.step(&["store", "init", "file"], "", &[0]);
        let admin = self.sandbox.get("SANDBOX_MAILGUN_ADMIN_KEY");
        self.step(&["add", "mailgun@acme", "--stdin", "--note", "pasted in HighLevel"], admin, &[0]);
        for (location, domain) in [("acme/berlin", "mg.berlin.example"), ("acme/wien", "mg.wien.example")] {
            let force = if location == "acme/wien" { &["--force"][..] } else { &[] };
            self.step(&[&["scope", "add", location, "--domain", domain], force].concat(), "", &[0]);
        }

        self.chapter("Know: the key in effect, the domains to choose from, why one is missing.");
        self.step(&["which", "acme/berlin"], "", &[0]);
        self.step(&["domains", "acme/berlin"], "", &[0]);
        self.step(&["domains", "acme/wien", "--explain", "mg.wien.example"], "", &[3]);

        self.chapter("Prove: the key works; one location has a domain HighLevel cannot offer.");
        self.step(&["validate", "acme"], "", &[0]);
        self.step(&["send-test", "acme/berlin", "--to", "you@example.com", "--dry-run"], "", &[0]);

        self.chapter("Replace: a new key beside the old one, pasted, then the old one's end.");
        self.step(
            &[
                "consumer",
                "add",
                "mailgun@acme",
                "HighLevel agency settings",
                "--url",
                "https://app.gohighlevel.com",
            ],
            "",
            &[0],
        );
        self.step(&["rotate", "mailgun@acme", "--grace", "0s", "--yes"], "", &[6]);
        self.step(&["rotate", "mailgun@acme", "--ack", "HighLevel agency settings"], "", &[0]);
        self.step(&["list"], "", &[0]);

        self.chapter("Hand out: to a program, never to the terminal unless asked.");
        self.step(
            &[
                "run",
                "acme/berlin",
                "--",
                "sh",
                "-c",
                "echo \"$MAILGUN_DOMAIN with a key of ${#MAILGUN_API_KEY} characters\"",
            ],
            "",
            &[0],
        );
        self.step(&["audit", "acme"], "", &[0, 3]);
    }

    fn chapter(&self, text: &str) {
        println!("\n── {text}");
    }

    /// Shows a command, runs it, shows what it said; ends the tour when it
    /// exits with another code than expected.
    fn step(&self, arguments: &[&str], input: &str, codes: &[i32]) {
        let shown: Vec<String> = arguments.iter().map(|it| quoted(it)).collect();
        let from = if input.is_empty() { "" } else { "  < the key" };
        println!("\n$ keyctl {}{from}", shown.join(" "));
        let mut command = Command::new(&self.programs.keyctl);
        command.args(arguments).env_clear().env("HOME", self.home).env("PATH", "/usr/bin:/bin");
        command.envs(
            self.sandbox
                .exports
                .iter()
                .filter(|(name, _)| name.ends_with("_US_URL") || name.ends_with("_EU_URL")),
        );
        command.envs(["KEYCTL_CA_FILE", "KEYCTL_DNS"].map(|name| (name, self.sandbox.get(name))));
        command.env("KEYCTL_STORE", "file");
        if let Some(width) = std::env::var_os("COLUMNS") {
            command.env("COLUMNS", width);
        }
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let code = child.wait().unwrap().code().unwrap_or(-1);
        if code != 0 {
            println!("(exit {code})");
        }
        assert!(codes.contains(&code), "keyctl {} exited {code}, expected {codes:?}", shown.join(" "));
    }
}

fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:@/=,".contains(c));
    if plain { text.to_owned() } else { format!("'{text}'") }
}
