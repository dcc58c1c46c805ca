//! `add`: what is kept, what is refused, and that nothing is lost or shown.

use serde_json::{Value, json};

use super::support::World;
use super::support::sandbox::{Sandbox, SandboxKey};
use super::support::terminal::Terminal;
use super::support::world::{Ran, finish};

/// A home with a file store, led to a sandbox with one Mailgun account.
pub struct Scene {
    pub world: World,
    pub sandbox: Sandbox,
    pub account: String,
}

impl Scene {
    pub fn new() -> Self {
        let sandbox = Sandbox::start();
        let account = sandbox.mailgun_account();
        sandbox.domain(&account, "us", "mg.acme.example", "active");
        let mut world = World::new().with("KEYCTL_NO_INPUT", "1");
        world.join(&sandbox.env());
        Self { world, sandbox, account }
    }

    pub fn key(&self, role: &str) -> SandboxKey {
        self.sandbox.mailgun_key(&self.account, role)
    }

    /// Runs with a secret on stdin and looks for it where it must not be.
    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], secret: &str) -> Ran {
        let ran = self.world.run_with(&[&["-f", "json"], arguments].concat(), secret);
        self.no_trace_of(secret, &ran);
        ran
    }

    #[track_caller]
    pub fn add(&self, key: &str, secret: &str, more: &[&str], code: i32) -> Value {
        let ran = self.run_with(&[&["add", key, "--stdin"], more].concat(), secret).exits(code);
        if ran.json()["error"].is_null() { ran.data() } else { ran.json()["error"].clone() }
    }

    /// The secret stands in no output and no file (the store is encrypted).
    #[track_caller]
    pub fn no_trace_of(&self, secret: &str, ran: &Ran) {
        let secret = secret.trim();
        if secret.len() < 8 {
            return;
        }
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:?}");
        for (path, bytes) in self.world.files() {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(secret), "the secret stands in {}", path.display());
        }
    }

    #[track_caller]
    pub fn get(&self, key: &str) -> String {
        self.world.run(&["get", key]).exits(0).stdout.trim_end().to_owned()
    }

    #[track_caller]
    pub fn show(&self, key: &str) -> Value {
        self.world.data(&["show", key], 0)["key"].clone()
    }
}

/// Returns what is in the file store: its items' names.
pub fn stored(world: &World, keys: &[&str]) -> Vec<String> {
    let surroundings = keyctl::store::Surroundings {
        data_dir: world.path("home/.local/share/keyctl"),
        config_dir: world.path("home/.config/keyctl"),
        ..keyctl::store::Surroundings::default()
    };
    let store = keyctl::store::open("file", &surroundings).unwrap();
    let inventory = keyctl::inventory::InventoryFile::at(world.inventory_path()).load().unwrap();
    let mut found = Vec::new();
    for key in keys {
        let key: keyctl::key::KeyRef = key.parse().unwrap();
        let Some(record) = inventory.keys.get(&key) else { continue };
        for version in 1..=record.highest + 1 {
            let item = keyctl::store::Item { id: record.id.clone(), version, key: key.clone() };
            if store.get(&item).unwrap().is_some() {
                found.push(format!("{key}#{version}"));
            }
        }
    }
    found
}

#[test]
fn the_first_key_is_recognised_proven_kept_and_told() {
    let scene = Scene::new();
    let key = scene.key("admin");
    let data =
        scene.add("mailgun", &key.secret, &["--consumer", "HighLevel agency settings", "--note", "Jo"], 0);
    let id = &key.secret[key.secret.len() - 17..];
    let expected = json!({
        "key": "mailgun@default", "provider": "mailgun", "kind": "account", "scope": "default",
        "saved": true, "verdict": "valid", "reason": null, "reasons": [], "causes": [], "missing": [],
        "detail": data["detail"], "hint": null, "store": "file",
        "fingerprint": keyctl::key::Secret::new(key.secret.clone()).fingerprint().as_str(),
        "last2": &key.secret[key.secret.len() - 2..],
        "identity": data["identity"], "role": "admin", "remote_id": id, "region": "us",
        "domain": null, "login": null, "created": data["created"], "expires": data["expires"],
        "permissions": [], "consumers": ["HighLevel agency settings"],
        "replaced": false, "same_secret": [], "stripped": [],
    });
    assert_eq!(data, expected);
    assert_eq!(scene.get("mailgun@default"), key.secret);
    let shown = scene.show("mailgun@default");
    assert_eq!((&shown["last_verdict"], &shown["note"]), (&json!("valid"), &json!("Jo")));
    let inventory = scene.world.inventory();
    assert!(inventory.contains("store = \"file\"") && inventory.contains("[agency.default]"), "{inventory}");
    // From now on the scope goes without saying.
    assert_eq!(scene.add("mailgun:two", &scene.key("basic").secret, &[], 0)["key"], "mailgun:two@default");
}

#[test]
fn what_was_pasted_along_is_taken_away_and_told() {
    let scene = Scene::new();
    let key = scene.key("admin").secret;
    let pasted = format!("  Authorization: Bearer \"{key}\"\n\n");
    let data = scene.add("mailgun@acme", &pasted, &[], 0);
    assert_eq!(
        data["stripped"],
        json!(["newline", "Authorization:", "whitespace", "Bearer", "quotes"]),
        "{data}"
    );
    assert_eq!(scene.get("mailgun@acme"), key);
}

#[test]
fn each_way_in_is_taken() {
    let mut scene = Scene::new();
    let key = scene.key("admin").secret;
    std::fs::write(scene.world.path("key"), format!("{key}\r\n")).unwrap();
    let path = scene.world.path("key");
    let _ = scene.world.run(&["add", "mailgun:f@acme", "--from-file", path.to_str().unwrap()]).exits(0);
    scene.world.set("MY_KEY", &key);
    let ran = scene.world.run(&["add", "mailgun:e@acme", "--from-env", "MY_KEY"]).exits(0);
    assert!(ran.stderr.contains("`mailgun:f@acme`"), "the same secret is told: {}", ran.stderr);
    assert!(ran.stdout.starts_with("kept mailgun:e@acme (account …"), "{}", ran.stdout);
    assert_eq!(scene.get("mailgun:f@acme"), scene.get("mailgun:e@acme"));
}

#[test]
fn a_text_that_is_no_such_key_is_refused_offline() {
    let scene = Scene::new();
    let key = scene.key("admin").secret;
    let before = scene.world.files();
    let public = ["pub", "key-", &"0a".repeat(16)].concat();
    let brevo = ["xkey", "sib-", &"0a".repeat(32), "-", &"aB3".repeat(5), "x"].concat();
    let sendgrid = ["S", "G.", &"aB3".repeat(9)].concat();
    use base64::Engine as _;
    let token = base64::engine::general_purpose::STANDARD.encode(format!("api:{key}"));
    for (text, what) in [
        (public.as_str(), "public"),
        (brevo.as_str(), "brevo key"),
        (token.as_str(), "Base64"),
        (&key[..40], "missing"),
        ("$MAILGUN_API_KEY", "variable"),
        ("https://api.mailgun.net", "URL"),
        (sendgrid.as_str(), "SendGrid"),
        ("hello", "no mailgun key"),
        ("\n", "empty"),
    ] {
        let error = scene.add("mailgun@acme", text, &[], 2);
        assert!(error["message"].as_str().unwrap().contains(what), "{text}: {error}");
    }
    assert_eq!(scene.sandbox.request_lines(), Vec::<String>::new(), "nobody is asked");
    scene.world.unchanged_since(&before);
}

#[test]
fn options_that_do_not_fit_are_refused_before_anything_is_read() {
    let scene = Scene::new();
    let before = scene.world.files();
    for (arguments, word) in [
        (&["mailgun@acme", "--kind", "api"][..], "--kind"),
        (&["mailgun@acme", "--kind", "sending"], "--domain"),
        (&["mailgun@acme", "--kind", "smtp", "--domain", "mg.acme.example"], "--login"),
        (&["brevo@acme", "--region", "eu"], "--region"),
        (&["klaviyo@acme", "--permissions", "everything:write"], "everything:write"),
        (&["mailgun@acme", "--expires", "soon"], "soon"),
        (&["mailgun@acme", "--consumer", "a\u{7}b"], "--consumer"),
        (&["mailgun@Acme"], "`A`"),
    ] {
        let ran = scene.world.run(&[&["add"], arguments].concat()).exits(2);
        assert!(ran.stderr.contains(word), "{arguments:?}: {}", ran.stderr);
    }
    // Without a terminal and without a source there is nothing to read.
    let ran = scene.world.run(&["add", "mailgun@acme"]).exits(2);
    for option in ["--stdin", "--from-env", "--from-file"] {
        assert!(ran.stderr.contains(option), "{}", ran.stderr);
    }
    scene.world.unchanged_since(&before);
}

#[test]
fn the_kind_is_found_by_probing_or_must_be_said() {
    let scene = Scene::new();
    let sending = scene.sandbox.mailgun_sending_key(&scene.account, "mg.acme.example").secret;
    let error = scene.add("mailgun:s@acme", &sending, &[], 2);
    assert_eq!(error["code"], "kind-not-clear");
    assert!(error["hint"].as_str().unwrap().contains("--kind account|sending|smtp"), "{error}");
    let error = scene.add("mailgun:s@acme", &sending, &["--no-validate"], 2);
    assert_eq!(error["code"], "kind-not-clear");
    assert!(!scene.world.inventory_path().exists());
    let data = scene.add("mailgun:s@acme", &sending, &["--domain", "mg.acme.example"], 0);
    assert_eq!((&data["kind"], &data["verdict"]), (&json!("sending"), &json!("valid")));
    assert_eq!(scene.sandbox.messages().len(), 0, "nothing is sent");
    let login = "shop@mg.acme.example";
    let password = scene.sandbox.credential(&scene.account, "us", login);
    let data = scene.add("mailgun:l@acme", &password, &["--login", "shop", "--domain", "mg.acme.example"], 0);
    assert_eq!(
        (&data["kind"], &data["login"], &data["domain"]),
        (&json!("smtp"), &json!(login), &json!("mg.acme.example"))
    );
    assert_eq!(
        (&data["fingerprint"], &data["last2"]),
        (&Value::Null, &Value::Null),
        "a person may have chosen it"
    );
    assert_eq!(scene.get("mailgun:l@acme"), password);
}

#[test]
fn a_refused_key_is_saved_only_with_force() {
    let scene = Scene::new();
    let key = scene.key("admin");
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", key.id), json!({"delete": true}));
    let before = scene.world.files();
    let data = scene.add("mailgun@acme", &key.secret, &["--kind", "account"], 3);
    assert_eq!(
        (&data["saved"], &data["verdict"], &data["reason"]),
        (&json!(false), &json!("rejected"), &json!("unauthorized"))
    );
    scene.world.unchanged_since(&before);
    let data = scene.add("mailgun@acme", &key.secret, &["--kind", "account", "--force"], 3);
    assert_eq!(data["saved"], true);
    assert_eq!(scene.show("mailgun@acme")["last_verdict"], "rejected");
}

#[test]
fn a_key_is_not_lost_when_nothing_can_be_proven() {
    let scene = Scene::new();
    scene.sandbox.fault(json!({"host": "*", "action": {"status": 503}}));
    let key = scene.key("admin").secret;
    let data = scene.add("mailgun@acme", &key, &["--timeout", "2s"], 4);
    assert_eq!(
        (&data["saved"], &data["verdict"], &data["kind"]),
        (&json!(true), &json!("unknown"), &json!("account"))
    );
    assert_eq!(scene.get("mailgun@acme"), key);
}

#[test]
fn a_limited_key_is_kept_and_its_limit_told() {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    sandbox.domain(&account, "eu", "mg.acme.example", "active");
    let mut world = World::new().with("KEYCTL_NO_INPUT", "1");
    world.join(&sandbox.env());
    let scene = Scene { world, sandbox, account };
    let key = scene.key("developer").secret;
    let data = scene.add("mailgun@acme/berlin", &key, &["--expires", "never"], 0);
    assert_eq!((&data["saved"], &data["verdict"]), (&json!(true), &json!("limited")));
    assert_eq!(data["reason"], "no-verified-us-domain", "{data}");
    // Where no platform asks for a US domain, it is none.
    let data = scene.add("mailgun@beta", &key, &[], 0);
    assert_eq!((&data["verdict"], &data["same_secret"]), (&json!("valid"), &json!(["mailgun@acme/berlin"])));
}

#[test]
fn without_validation_nobody_is_asked() {
    let scene = Scene::new();
    let data =
        scene.add("mailgun@acme", &scene.key("admin").secret, &["--no-validate", "--kind", "account"], 0);
    assert_eq!((&data["saved"], &data["verdict"]), (&json!(true), &Value::Null));
    assert_eq!(scene.sandbox.request_lines(), Vec::<String>::new());
}

#[test]
fn a_key_that_is_there_is_kept_unless_replaced() {
    let scene = Scene::new();
    let (old, new) = (scene.key("admin").secret, scene.key("developer").secret);
    let _ = scene.add("mailgun@acme", &old, &["--consumer", "shop", "--note", "mine"], 0);
    let before = scene.world.files();
    let error = scene.add("mailgun@acme", &new, &[], 9);
    assert_eq!(error["code"], "key-exists");
    scene.world.unchanged_since(&before);
    let data = scene.add("mailgun@acme", &new, &["--replace"], 0);
    assert_eq!(
        (&data["replaced"], &data["role"], &data["consumers"]),
        (&json!(true), &json!("developer"), &json!(["shop"]))
    );
    assert_eq!(scene.get("mailgun@acme"), new);
    assert_eq!(scene.show("mailgun@acme")["note"], "mine");
    assert_eq!(stored(&scene.world, &["mailgun@acme"]), ["mailgun@acme#2"], "the old one is gone");
    // Once more the same: nothing new is stored.
    let _ = scene.add("mailgun@acme", &new, &["--replace", "--note", "other"], 0);
    assert_eq!(stored(&scene.world, &["mailgun@acme"]), ["mailgun@acme#2"]);
    assert_eq!(scene.show("mailgun@acme")["note"], "other");
}

#[test]
fn a_store_that_cannot_be_written_is_found_before_the_key_is_asked_for() {
    let scene = Scene::new();
    let key = scene.key("admin").secret;
    let before = scene.world.files();
    let ran = scene.run_with(&["--store", "env", "add", "mailgun@acme/berlin", "--stdin"], &key).exits(7);
    assert!(
        ran.json()["error"]["hint"].as_str().unwrap().contains("KEYCTL_SECRET_MAILGUN__ACME__BERLIN"),
        "{ran:?}"
    );
    // No keyring on this machine, no file store in this home.
    let mut bare = World::bare().with("KEYCTL_NO_INPUT", "1");
    bare.join(&scene.sandbox.env());
    for store in ["keyring", "file"] {
        let ran = bare.run_with(&["--store", store, "add", "mailgun@acme", "--stdin"], &key).exits(7);
        assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
    }
    let _ = bare.run_with(&["--store", "cloud", "add", "mailgun@acme", "--stdin"], &key).exits(2);
    assert!(bare.inventory().is_empty());
    scene.world.unchanged_since(&before);
    assert_eq!(scene.sandbox.request_lines(), Vec::<String>::new());
}

#[test]
fn a_second_store_is_recorded_with_the_key_only() {
    let mut scene = Scene::new();
    scene.world.write_inventory("version = 1\nstore = \"keyring\"\n");
    let _ = scene.add("mailgun@acme", &scene.key("admin").secret, &[], 0);
    assert!(scene.world.inventory().contains("store = \"keyring\""));
    scene.world.unset("KEYCTL_STORE");
    assert_eq!(scene.show("mailgun@acme")["store"], "file");
}

#[test]
fn a_person_is_asked_on_a_terminal() {
    let mut scene = Scene::new();
    scene.world.unset("KEYCTL_NO_INPUT");
    let key = scene.key("admin");
    let mut terminal = Terminal::start(scene.world.command(&["add", "mailgun@acme"]));
    let told = terminal.until("(it is not shown): ");
    assert!(told.contains("will be kept in the file store"), "{told}");
    terminal.line(&key.secret);
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(&key.secret), "{shown}");
    assert_eq!(scene.get("mailgun@acme"), key.secret);
    // A refused key: only when the person says so.
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", key.id), json!({"delete": true}));
    for (answer, saved) in [("n", false), ("y", true)] {
        let mut terminal =
            Terminal::start(scene.world.command(&["add", "mailgun:x@acme", "--kind", "account"]));
        terminal.until("(it is not shown): ");
        terminal.line(&key.secret);
        terminal.until("Save it all the same? [y/N] ");
        terminal.line(answer);
        let (shown, code) = terminal.end();
        assert_eq!(code, 3, "{shown}");
        let _ = scene.world.run(&["show", "mailgun:x@acme"]).exits(if saved { 0 } else { 8 });
    }
    // Ctrl-C at the prompt.
    let before = scene.world.files();
    let mut terminal = Terminal::start(scene.world.command(&["add", "mailgun:c@acme"]));
    terminal.until("(it is not shown): ");
    terminal.interrupt();
    let (shown, code) = terminal.end();
    assert_eq!(code, 130, "{shown}");
    scene.world.unchanged_since(&before);
    // A kind that cannot be told.
    let sending = scene.sandbox.mailgun_sending_key(&scene.account, "mg.acme.example").secret;
    let mut terminal = Terminal::start(scene.world.command(&[
        "add",
        "mailgun:s@acme",
        "--no-validate",
        "--domain",
        "mg.acme.example",
    ]));
    terminal.until("(it is not shown): ");
    terminal.line(&sending);
    terminal.until("Which kind of key is it (account, sending, smtp)? ");
    terminal.line("sending");
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(scene.show("mailgun:s@acme")["kind"], "sending");
}

#[test]
fn keys_of_the_other_providers_are_told_by_their_text() {
    let scene = Scene::new();
    let post = |path: &str, body: Value| scene.sandbox.control("POST", path, body);
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let brevo = post("/brevo/accounts", json!({"company": "Shop"}));
    let keys = format!("/brevo/accounts/{}/keys", text(&brevo, "id"));
    let data = scene.add("brevo@acme", &text(&post(&keys, json!({"kind": "api"})), "secret"), &[], 0);
    assert_eq!((&data["kind"], &data["verdict"]), (&json!("api"), &json!("valid")));
    let smtp = post(&keys, json!({"kind": "smtp"}));
    let data =
        scene.add("brevo:smtp@acme", &text(&smtp, "secret"), &["--login", &text(&brevo, "smtp_login")], 0);
    assert_eq!((&data["kind"], &data["verdict"]), (&json!("smtp"), &json!("valid")), "{data}");
    let klaviyo = post("/klaviyo/accounts", json!({}));
    let path = format!("/klaviyo/accounts/{}/keys", text(&klaviyo, "id"));
    let key = post(&path, json!({"scopes": ["campaigns:read", "accounts:read"]}));
    let data = scene.add("klaviyo@acme", &text(&key, "secret"), &["--permissions", "campaigns:read"], 0);
    assert_eq!((&data["kind"], &data["permissions"]), (&json!("private"), &json!(["campaigns:read"])));
    let company = post("/highlevel/companies", json!({"name": "Acme"}));
    let id = text(&company, "id");
    let location = post(&format!("/highlevel/companies/{id}/locations"), json!({"name": "Berlin"}));
    let token = post(
        &format!("/highlevel/companies/{id}/tokens"),
        json!({"level": "location", "location": text(&location, "id"), "scopes": ["locations.readonly"]}),
    );
    let data = scene.add("highlevel@acme/berlin", &text(&token, "secret"), &[], 0);
    assert_eq!(data["kind"], "location", "{data}");
}

#[test]
fn fifty_at_once_lose_nothing() {
    let scene = Scene::new();
    let keys: Vec<(String, String)> =
        (0..50).map(|n| (format!("mailgun:n{n}@acme"), format!("{n:032x}-{n:08x}-{n:08x}"))).collect();
    std::thread::scope(|scope| {
        for (key, secret) in &keys {
            scope.spawn(|| {
                let command =
                    scene.world.command(&["add", key, "--stdin", "--no-validate", "--kind", "account"]);
                let _ = finish(command, secret).exits(0);
            });
        }
    });
    let listed = scene.world.data(&["list"], 0);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 50);
    for (key, secret) in &keys {
        assert_eq!(scene.get(key), *secret);
    }
}

#[test]
fn two_at_once_for_one_key_do_not_overwrite_each_other() {
    let scene = Scene::new();
    let secrets: Vec<String> = (0..8).map(|n| format!("{n:032x}-{n:08x}-{n:08x}")).collect();
    let world = &scene.world;
    let codes: Vec<(i32, &String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = secrets
            .iter()
            .map(|secret| {
                scope.spawn(move || {
                    let arguments = ["add", "mailgun@acme", "--stdin", "--no-validate", "--kind", "account"];
                    (finish(world.command(&arguments), secret).code, secret)
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let winners: Vec<_> = codes.iter().filter(|(code, _)| *code == 0).collect();
    assert_eq!(winners.len(), 1, "{codes:?}");
    assert!(codes.iter().all(|(code, _)| [0, 9].contains(code)), "{codes:?}");
    assert_eq!(scene.get("mailgun@acme"), *winners[0].1);
}

/// Runs `add` killed at each of its checkpoints, then again to its end.
fn killed_at_each_point(arguments: &[&str], before: Option<&str>) {
    let new = format!("{:032x}-{:08x}-{:08x}", 0xbeef, 2, 3);
    for point in 0.. {
        let world = World::new().with("KEYCTL_NO_INPUT", "1");
        if let Some(old) = before {
            let first =
                ["add", "mailgun@acme", "--stdin", "--no-validate", "--kind", "account", "--note", "kept"];
            let _ = world.run_with(&first, old).exits(0);
        }
        let mut command = world.command(arguments);
        command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
        let ran = finish(command, &new);
        if ran.code == 0 {
            assert!(point > 5, "{point}: too few points");
            return;
        }
        assert_eq!(ran.code, -1, "{point}: killed: {ran:?}");
        // At each moment the key in use is there, old or new, or none is named.
        let held = world.run(&["get", "mailgun@acme"]);
        let known = [before, Some(new.as_str())];
        let is_known = known.iter().flatten().any(|it| held.stdout.trim_end() == *it);
        assert!(is_known || (before.is_none() && held.code == 8), "{point}: {held:?}");
        // It never happened, or is finished by the same command, or was finished.
        let again = world.run_with(arguments, &new);
        assert!(again.code == 0 || (again.code == 9 && before.is_none()), "{point}: {again:?}");
        assert_eq!(world.run(&["get", "mailgun@acme"]).exits(0).stdout.trim_end(), new, "{point}");
        let shown = world.data(&["show", "mailgun@acme"], 0)["key"].clone();
        assert_eq!(shown["state"], "active", "{point}");
        if before.is_some() {
            assert_eq!(shown["note"], "kept", "{point}");
        }
        assert_eq!(stored(&world, &["mailgun@acme"]).len(), 1, "{point}: nothing is left over");
        assert!(!world.inventory().contains("pending") && !world.inventory().contains("previous"), "{point}");
    }
}

#[test]
fn an_add_killed_at_any_moment_is_finished_by_the_next() {
    killed_at_each_point(&["add", "mailgun@acme", "--stdin", "--no-validate", "--kind", "account"], None);
}

#[test]
fn a_replacement_killed_at_any_moment_is_finished_by_the_next() {
    let old = format!("{:032x}-{:08x}-{:08x}", 0xfeed, 2, 3);
    let arguments = ["add", "mailgun@acme", "--stdin", "--no-validate", "--kind", "account", "--replace"];
    killed_at_each_point(&arguments, Some(&old));
}

#[test]
fn a_secret_that_is_typed_at_once_is_not_shown() {
    let world = World::new();
    let secret = ["pk_", &"aB3dE6gH9".repeat(4)[..34]].concat();
    for turn in 0..6 {
        // Afterwards the terminal is as it was.
        let script = "stty echo; \"$0\" add klaviyo@acme --no-validate --replace; stty -a";
        let mut shell = world.command(&[]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]).arg(shell.get_program()).env_clear();
        command.envs(shell.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
        command.env_remove("KEYCTL_NO_INPUT");
        shell = command;
        let mut terminal = Terminal::start(shell);
        let before = terminal.until("(it is not shown): ");
        terminal.line(&secret);
        let (after, _) = terminal.end();
        assert!(!before.contains(&secret) && !after.contains(&secret), "turn {turn}: {after}");
        assert!(after.contains(" echo "), "turn {turn}: {after}");
    }
}

#[test]
fn an_unfinished_secret_is_not_overwritten_by_another() {
    let world = World::new().with("KEYCTL_NO_INPUT", "1");
    let arguments = ["add", "mailgun@acme", "--stdin", "--no-validate", "--kind", "account"];
    let (first, second) =
        (format!("{:032x}-{:08x}-{:08x}", 1, 1, 1), format!("{:032x}-{:08x}-{:08x}", 2, 2, 2));
    let mut stopped = false;
    for point in 0..40 {
        let mut command = world.command(&arguments);
        command.env("KEYCTL_DEBUG_CRASH_AT", point.to_string());
        let _ = finish(command, &first).exits(-1);
        if stored(&world, &["mailgun@acme"]).len() == 1 {
            stopped = true;
            break;
        }
    }
    assert!(stopped, "never stopped between the store and the switch");
    assert_eq!(world.data(&["list"], 0)["keys"][0]["state"], "pending");
    let ran = world.run_with(&arguments, &second).exits(9);
    assert!(ran.stderr.contains("not yet put to use"), "{}", ran.stderr);
    let _ = world.run_with(&[&arguments[..], &["--replace"]].concat(), &second).exits(0);
    assert_eq!(world.run(&["get", "mailgun@acme"]).exits(0).stdout.trim_end(), second);
    // Each run that was killed before the store had announced a version of its own.
    let item = world.data(&["show", "mailgun@acme"], 0)["key"]["item"].as_str().unwrap().to_owned();
    let version = item.rsplit('#').next().unwrap();
    assert_eq!(stored(&world, &["mailgun@acme"]), [format!("mailgun@acme#{version}")]);
}

#[test]
fn a_dotenv_file_is_taken_apart() {
    let scene = Scene::new();
    let key = scene.key("admin").secret;
    let brevo = scene.sandbox.control("POST", "/brevo/accounts", json!({}));
    let keys = format!("/brevo/accounts/{}/keys", brevo["id"].as_str().unwrap());
    let api =
        scene.sandbox.control("POST", &keys, json!({"kind": "api"}))["secret"].as_str().unwrap().to_owned();
    let path = scene.world.path("env-file");
    std::fs::write(
        &path,
        format!(
            "# mail\nexport MAILGUN_API_KEY='{key}'\nMAILGUN_DOMAIN=mg.acme.example # ours\n\nDATABASE_URL=postgres://x\nSHOP_MAIL_KEY=\"{api}\"\n"
        ),
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let before = scene.world.files();
    let data = scene.world.data(&["add", "--from-dotenv", path, "--scope", "acme", "--dry-run"], 0);
    let lines = |data: &Value| -> Vec<(String, u64)> {
        let keys = data["keys"].as_array().unwrap().iter();
        keys.map(|it| (it["key"].as_str().unwrap().to_owned(), it["line"].as_u64().unwrap())).collect()
    };
    assert_eq!(lines(&data), [("brevo@acme".to_owned(), 6), ("mailgun@acme".to_owned(), 2)]);
    scene.world.unchanged_since(&before);
    let ran = scene.run_with(&["add", "--from-dotenv", path, "--scope", "acme"], "").exits(0);
    assert!(!ran.stdout.contains(&key) && !ran.stderr.contains(&key));
    let data = ran.data();
    assert_eq!(data["keys"][1]["added"]["verdict"], "valid");
    assert_eq!(scene.show("mailgun@acme")["domain"], "mg.acme.example");
    assert_eq!(scene.get("brevo@acme"), api);
    // Once more: what is there already is no mistake.
    let data = scene.world.data(&["add", "--from-dotenv", path, "--scope", "acme"], 0);
    assert_eq!(data["keys"][0]["exists"], true);
    // A mistake names its line and does not show it.
    std::fs::write(path, format!("A=1\n{key}\n")).unwrap();
    let ran = scene.run_with(&["add", "--from-dotenv", path, "--scope", "acme"], "").exits(2);
    assert!(
        ran.stderr.contains(":2: a line without `=`") && !ran.stderr.contains(&key[..8]),
        "{}",
        ran.stderr
    );
    std::fs::write(path, "A=1\n").unwrap();
    let _ = scene.world.run(&["add", "--from-dotenv", path, "--scope", "acme"]).exits(8);
    let _ = scene.world.run(&["add", "--from-dotenv", "/nonexistent", "--scope", "acme"]).exits(2);
}
