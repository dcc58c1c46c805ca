//! keyctl as a library: adds a key, tries it and rotates it from Rust, against the
//! stand-in for all providers, with an operator of its own and no terminal. Then
//! the same with nobody to ask: every question stays open, and nothing changes.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "this is an example that prints")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use keyctl::clock::Span;
use keyctl::context::{Context, Environment, Folders, Options as ContextOptions};
use keyctl::inventory::select::Selected;
use keyctl::key::{KeyRef, Secret};
use keyctl::operator::{
    Consent, ConsentQuestion, Level, Notice, Operator, Presence, Progress, Testimony, TestimonyQuestion,
    Unattended,
};
use keyctl::store::file;
use keyctl::workflow::rotation::options::Options;
use keyctl::workflow::rotation::{engine::Ended, start};
use keyctl::workflow::validation::single_key::judge_key;
use keyctl::workflow::{add_key, key_description, secret_input, store_secret};

fn main() -> anyhow::Result<()> {
    let sandbox = Sandbox::start();
    let home = tempfile::tempdir()?;
    let key: KeyRef = "mailgun@acme".parse().unwrap();
    let open = |operator: Arc<dyn Operator>| sandbox.context(home.path(), operator);

    // A store, and the agency's key in it; it is tried before it is kept.
    let context = open(Arc::new(Agreeing));
    file::init(&context.surroundings(), "library", None)?;
    let secret = Secret::new(sandbox.get("SANDBOX_MAILGUN_ADMIN_KEY").to_owned());
    let described = key_description::Described::default();
    let manner = add_key::Manner { validate: true, force: false, existing: store_secret::Existing::Refuse };
    let wanted = add_key::Wanted { key: key.clone(), described };
    let added = add_key::add(&context, wanted, manner, |_| Ok(secret_input::look_at(&secret)))?;
    println!("added {}: {}", added.key, added.judgement.map_or("not tried", |it| it.verdict().as_str()));

    // Tried by itself.
    let judgement = judge_key(&open(Arc::new(Agreeing)), &key)?;
    println!("validated {key}: {} ({})", judgement.verdict(), judgement.detail);

    // Nobody to ask: the plan is not agreed to, and nothing is changed.
    let options =
        Options { grace: Some(Span::seconds(3_600)), named: vec![key.clone()], ..Options::default() };
    let before = std::fs::read(home.path().join("config/keyctl.toml"))?;
    let refused = start::start(&open(Arc::new(Unattended)), &[Selected::Key(key.clone())], &options);
    println!("unattended: {}", refused.err().map_or("nothing stopped it".to_owned(), |it| it.to_string()));
    assert_eq!(std::fs::read(home.path().join("config/keyctl.toml"))?, before, "nothing was changed");

    // With consent: made, tested, current; both keys work until the grace period is over.
    let outcome = start::start(&open(Arc::new(Agreeing)), &[Selected::Key(key.clone())], &options)?;
    for Ended { rotation, .. } in &outcome.ended {
        println!("rotated {}: stage {}", rotation.keys[0], rotation.stage);
    }
    assert_eq!(outcome.exit().code(), 0);
    Ok(())
}

/// Agrees to what it is shown, and knows nothing: it gives no testimony.
struct Agreeing;

struct Silent;

impl Progress for Silent {
    fn step(&self) {}
    fn clear(&self) {}
}

impl Operator for Agreeing {
    fn tell(&self, level: Level, notice: Notice<'_>) {
        match notice {
            Notice::Text(_) if level == Level::Detail => {}
            Notice::Text(text) => println!("  {level:?}: {text}"),
            Notice::Sheet(sheet) => {
                for line in &sheet.lines {
                    let pieces: String = line.pieces.iter().map(|(_, text)| text.as_str()).collect();
                    println!("  {}{pieces}", " ".repeat(line.indent));
                }
            }
        }
    }

    fn consent(&self, question: &ConsentQuestion) -> Consent {
        println!("  {} Yes.", question.words());
        Consent::Given
    }

    fn testimony(&self, question: &TestimonyQuestion) -> Testimony {
        println!("  {} (nobody knows)", question.words());
        Testimony::NoOne
    }

    fn line(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> std::io::Result<Option<Secret>> {
        Ok(None)
    }

    fn presence(&self) -> Presence {
        Presence::NoOne
    }

    fn agreed_beforehand(&self) -> bool {
        true
    }

    fn shows_results(&self) -> bool {
        false
    }

    fn progress(&self, _: usize, _: &str) -> Box<dyn Progress> {
        Box::new(Silent)
    }
}

/// The stand-in for the providers, built by the cargo that runs this example; it
/// ends with this value.
struct Sandbox {
    child: Child,
    exports: Vec<(String, String)>,
}

impl Sandbox {
    fn start() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mut child = Command::new(cargo)
            .args(["run", "--quiet", "--example", "sandbox", "--manifest-path"])
            .arg(manifest)
            .args(["--", "--until-eof", "--seed-demo"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let exports = lines.take_while(|line| line != "# ready").filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        });
        let exports = exports.collect();
        Self { child, exports }
    }

    fn get(&self, name: &str) -> &str {
        let found = self.exports.iter().find(|(held, _)| held == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("the sandbox exports no {name}"))
    }

    /// Returns a context whose files are below `home` and whose providers are
    /// the stand-in.
    fn context(&self, home: &Path, operator: Arc<dyn Operator>) -> Context {
        let ours = self.exports.iter().filter(|(name, _)| name.starts_with("KEYCTL_")).cloned();
        let folders =
            Folders { config: home.join("config"), data: home.join("data"), state: home.join("state") };
        let options = ContextOptions { store: Some("file".to_owned()), ..ContextOptions::default() };
        Context::within(folders, operator, Environment::of(ours), options)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
