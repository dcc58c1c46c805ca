//! A canary key through every command, every format and every failure: it is
//! found nowhere but in the store, and where it was asked for.

mod failures;
mod story;
mod trace;

use serde_json::{Value, json};

use super::contract_lines;
use super::support::World;
use super::support::sandbox::Sandbox;
use super::support::world::Ran;

use trace::Canary;

/// The domain that keys send from.
const DOMAIN: &str = "mg.acme.example";

/// A home, a sandbox, and a canary at each vendor.
struct Aviary {
    world: World,
    sandbox: Sandbox,
    klaviyo: String,
    mailgun: Canary,
    sending: Canary,
    relay: Canary,
    brevo: Canary,
    klaviyo_key: Canary,
    highlevel: Canary,
    /// What was said so far, by whom.
    said: Vec<(String, Ran)>,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

impl Aviary {
    fn new(format: &str) -> Self {
        let sandbox = Sandbox::start();
        let account = sandbox.mailgun_account();
        sandbox.domain(&account, "us", DOMAIN, "active");
        let post = |path: &str, body: Value| sandbox.control("POST", path, body);
        let mailgun = Canary::of(&sandbox.mailgun_key(&account, "admin").secret);
        let sending = Canary::of(&sandbox.mailgun_sending_key(&account, DOMAIN).secret);
        let relay = Canary::of(&sandbox.credential(&account, "us", &format!("shop@{DOMAIN}")));
        let brevo = text(&post("/brevo/accounts", json!({})), "id");
        let brevo = post(&format!("/brevo/accounts/{brevo}/keys"), json!({"kind": "api"}));
        let klaviyo = text(&post("/klaviyo/accounts", json!({})), "id");
        let klaviyo_key = post(
            &format!("/klaviyo/accounts/{klaviyo}/keys"),
            json!({"scopes": ["accounts:read", "lists:read"]}),
        );
        let company = text(&post("/highlevel/companies", json!({"name": "Acme"})), "id");
        post(&format!("/highlevel/companies/{company}/locations"), json!({"name": "Rome"}));
        let token = post(&format!("/highlevel/companies/{company}/tokens"), json!({"level": "agency"}));
        let mut world = World::new().with("KEYCTL_FORMAT", format).with("KEYCTL_NO_INPUT", "1");
        world.join(&sandbox.env());
        let (brevo, klaviyo_key) =
            (Canary::of(&text(&brevo, "secret")), Canary::of(&text(&klaviyo_key, "secret")));
        let highlevel = Canary::of(&text(&token, "secret"));
        Self {
            world,
            sandbox,
            klaviyo,
            mailgun,
            sending,
            relay,
            brevo,
            klaviyo_key,
            highlevel,
            said: Vec::new(),
        }
    }

    /// Keeps every canary, by `add`.
    fn fill(&mut self) {
        let login = format!("shop@{DOMAIN}");
        let all: [(&str, &[&str], Canary); 6] = [
            ("mailgun@acme", &["--kind", "account"], self.mailgun.clone()),
            ("mailgun:send@acme", &["--kind", "sending", "--domain", DOMAIN], self.sending.clone()),
            ("mailgun:relay@acme", &["--kind", "smtp", "--login", &login], self.relay.clone()),
            ("brevo@acme", &[], self.brevo.clone()),
            ("klaviyo@acme", &[], self.klaviyo_key.clone()),
            ("highlevel@acme", &["--kind", "agency"], self.highlevel.clone()),
        ];
        for (key, more, canary) in all {
            self.run_with(&[&["add", key, "--stdin"], more].concat(), canary.text(), 0);
        }
    }

    #[track_caller]
    fn run(&mut self, arguments: &[&str], code: i32) {
        self.run_with(arguments, "", code);
    }

    /// Runs, keeps what was said, and looks for the canaries in the files.
    #[track_caller]
    fn run_with(&mut self, arguments: &[&str], input: &str, code: i32) {
        let ran = self.world.run_with(arguments, input);
        let call = arguments.join(" ");
        assert_eq!(ran.code, code, "keyctl {call}\nstdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
        self.said.push((call, ran));
        self.search_files();
    }

    /// Runs what must hand the canary out on stdout, and nowhere else.
    #[track_caller]
    fn hand_out(&mut self, arguments: &[&str], canary: &Canary) {
        self.run(arguments, 0);
        let (_, ran) = self.said.last_mut().unwrap();
        assert!(ran.stdout.contains(canary.text()), "{arguments:?} hands nothing out");
        ran.stdout.clear();
    }

    /// Returns every secret of this test: the canaries, and what was made since.
    fn canaries(&self) -> Vec<Canary> {
        let own =
            [&self.mailgun, &self.sending, &self.relay, &self.brevo, &self.klaviyo_key, &self.highlevel];
        let mut all: Vec<Canary> = own.into_iter().cloned().collect();
        let state = self.sandbox.control("GET", "/state", Value::Null);
        for (list, name) in [("keys", "secret"), ("credentials", "password")] {
            let made = state["mailgun"][list].as_array().unwrap();
            all.extend(made.iter().map(|it| Canary::of(it[name].as_str().unwrap())));
        }
        all
    }

    #[track_caller]
    fn search_files(&self) {
        let own =
            [&self.mailgun, &self.sending, &self.relay, &self.brevo, &self.klaviyo_key, &self.highlevel];
        for (path, bytes) in self.world.files() {
            // What the test itself put there, and what a consumer was given.
            if path.components().any(|it| it.as_os_str() == "given") {
                continue;
            }
            let text = String::from_utf8_lossy(&bytes);
            for canary in own {
                canary.is_nowhere_in(&text, &path.display().to_string());
            }
        }
    }

    /// Looks for every secret in everything that was said and asked.
    #[track_caller]
    fn search(&self) {
        self.search_files();
        let canaries = self.canaries();
        for (call, ran) in &self.said {
            for canary in &canaries {
                canary.is_nowhere_in(&ran.stdout, &format!("the stdout of `{call}`"));
                canary.is_nowhere_in(&ran.stderr, &format!("the stderr of `{call}`"));
            }
        }
        let requests = self.sandbox.requests();
        assert!(!requests.is_empty(), "nothing was asked");
        for request in requests {
            let target = format!("{} {}", request["path"], request["query"]);
            for canary in &canaries {
                canary.is_nowhere_in(&target, "a request's path and query");
            }
        }
    }
}
