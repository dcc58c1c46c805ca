//! Where a person makes or deletes the key: providers without an API for it.

use serde_json::{Value, json};

use super::rig::{PAST_GRACE, Rig, manual};
use crate::support::sandbox::{Sandbox, SandboxKey};
use crate::support::terminal::Terminal;

/// A vendor's account in the sandbox, and how its keys are made and ended.
struct Vendor {
    rig: Rig,
    keys: String,
    one: &'static str,
    made: Value,
}

impl Vendor {
    fn brevo() -> Self {
        Self::of(Sandbox::start(), "/brevo/accounts", "keys", "/brevo/keys", json!({"kind": "api"}))
    }

    fn klaviyo() -> Self {
        let scopes = json!({"scopes": ["accounts:read", "credentials:read", "lists:read"], "name": "shop"});
        Self::of(Sandbox::start(), "/klaviyo/accounts", "keys", "/klaviyo/keys", scopes)
    }

    fn highlevel() -> Self {
        let level = json!({"level": "agency"});
        Self::of(Sandbox::start(), "/highlevel/companies", "tokens", "/highlevel/tokens", level)
    }

    fn of(sandbox: Sandbox, accounts: &str, keys: &str, one: &'static str, made: Value) -> Self {
        let account = sandbox.control("POST", accounts, json!({}))["id"].as_str().unwrap().to_owned();
        let keys = format!("{accounts}/{account}/{keys}");
        Self { rig: Rig::on(sandbox), keys, one, made }
    }

    fn make(&self) -> SandboxKey {
        self.make_with(self.made.clone())
    }

    fn make_with(&self, body: Value) -> SandboxKey {
        let made = self.rig.sandbox.control("POST", &self.keys, body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        SandboxKey { id: text("id"), secret: text("secret") }
    }

    fn change(&self, id: &str, body: Value) {
        self.rig.sandbox.control("PUT", &format!("{}/{id}", self.one), body);
    }

    fn record(&mut self, key: &str, made: &SandboxKey, kind: &str) {
        let secret = keyctl::key::Secret::new(made.secret.clone());
        let fields = format!(
            "kind = \"{kind}\"\nfingerprint = \"{}\"\nlast2 = \"{}\"",
            secret.fingerprint(),
            secret.last2()
        );
        self.rig.record_secret(key, &secret, &fields);
    }
}

/// A person makes the new key, hands it over by stdin, and deletes the old one
/// in the end.
fn the_whole_way(vendor: &mut Vendor, key: &str, kind: &str, dead: Value) {
    let old = vendor.make();
    vendor.record(key, &old, kind);
    vendor.rig.append(&manual(key, "shop"));
    // Nobody there, nothing given: the way is shown, and that a key may exist is noted.
    let ran = vendor.rig.run(&["-f", "json", "rotate", key, "--yes", "--no-input"]).exits(6);
    let rotation = ran.data()["rotations"][0].clone();
    assert_eq!(
        (&rotation["stage"], &rotation["next"]["by"]),
        (&json!("creating"), &json!("human")),
        "{rotation}"
    );
    let url = rotation["next"]["url"].as_str().unwrap();
    assert!(url.starts_with("https://") && ran.stderr.contains("https://"), "{url}: {}", ran.stderr);
    // The same key again is none.
    let again = vendor.rig.world.run_with(&["rotate", key, "--resume", "--stdin"], &old.secret).exits(2);
    assert!(again.stderr.contains("has already"), "{}", again.stderr);
    let _ = vendor.rig.world.run_with(&["rotate", key, "--resume", "--stdin"], "no key at all").exits(2);
    let new = vendor.make();
    let pasted = format!("\"{}\"\n", new.secret);
    let ran =
        vendor.rig.world.run_with(&["-f", "json", "rotate", key, "--resume", "--stdin"], &pasted).exits(6);
    assert!(!ran.stdout.contains(&new.secret) && !ran.stderr.contains(&new.secret));
    assert_eq!(ran.data()["rotations"][0]["stage"], "deploying", "{}", ran.stderr);
    assert_eq!(vendor.rig.get(key, "current").unwrap(), new.secret);
    assert_eq!(vendor.rig.rotate(&[key, "--ack", "shop"], 0)["stage"], "grace");
    vendor.rig.after(PAST_GRACE);
    let rotation = vendor.rig.rotate(&[key, "--resume"], 6);
    assert_eq!((&rotation["stage"], &rotation["next"]["action"]), (&json!("retiring"), &json!("delete")));
    assert_eq!(vendor.rig.get(key, "previous").unwrap(), old.secret, "until it is proven dead");
    vendor.change(&old.id, dead);
    let done = vendor.rig.rotate(&[key, "--resume"], 0);
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")));
    assert_eq!(vendor.rig.get(key, "previous"), None);
    assert_eq!(vendor.rig.get(key, "current").unwrap(), new.secret);
    assert_eq!(vendor.rig.status(), Vec::<Value>::new());
}

#[test]
fn a_brevo_key_is_made_and_deleted_by_a_person() {
    the_whole_way(&mut Vendor::brevo(), "brevo@acme", "api", json!({"state": "deleted"}));
}

#[test]
fn a_klaviyo_key_is_made_and_deleted_by_a_person() {
    the_whole_way(&mut Vendor::klaviyo(), "klaviyo@acme", "private", json!({"deleted": true}));
}

#[test]
fn a_highlevel_token_is_made_and_deleted_by_a_person() {
    the_whole_way(&mut Vendor::highlevel(), "highlevel@acme", "agency", json!({"dead": true}));
}

#[test]
fn without_consent_and_without_a_person_the_way_is_shown_and_nothing_saved() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let before = vendor.rig.world.inventory();
    let ran = vendor.rig.run(&["rotate", "brevo@acme", "--no-input"]).exits(6);
    assert!(ran.stderr.contains("API-Schlüssel"), "the German labels, too: {}", ran.stderr);
    assert_eq!(vendor.rig.world.inventory(), before);
}

#[test]
fn a_key_that_was_never_made_is_reported_so() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let _ = vendor.rig.rotate(&["brevo@acme", "--yes", "--no-input"], 6);
    let waiting = vendor.rig.rotate(&["brevo@acme", "--abort", "--no-input"], 6);
    assert_eq!(waiting["stage"], "aborting", "one may exist");
    assert_eq!(vendor.rig.rotate(&["brevo@acme", "--abort", "--yes"], 0)["stage"], "aborted");
    assert_eq!(vendor.rig.status(), Vec::<Value>::new());
}

#[test]
fn an_unused_key_of_a_person_is_proven_deleted_before_it_is_forgotten() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let new = vendor.make();
    let _ = vendor.rig.world.run_with(&["rotate", "brevo@acme", "--yes", "--stdin"], &new.secret).exits(0);
    let back = vendor.rig.rotate(&["brevo@acme", "--rollback"], 6);
    assert_eq!((&back["stage"], &back["next"]["action"]), (&json!("rolling-back"), &json!("delete")));
    assert_eq!(vendor.rig.get("brevo@acme", "current").unwrap(), old.secret);
    // A person's word is not enough where it can be tried.
    assert_eq!(vendor.rig.rotate(&["--resume", "--yes"], 6)["stage"], "rolling-back");
    vendor.change(&new.id, json!({"state": "deleted"}));
    assert_eq!(vendor.rig.rotate(&["--resume"], 0)["stage"], "rolled-back");
    assert_eq!(vendor.rig.get("brevo@acme", "pending"), None);
}

#[test]
fn a_person_at_a_terminal_is_led_through() {
    let mut vendor = Vendor::brevo();
    let old = vendor.make();
    vendor.record("brevo@acme", &old, "api");
    let new = vendor.make();
    let mut terminal = Terminal::start(vendor.rig.world.command(&["rotate", "brevo@acme", "--grace", "0s"]));
    terminal.until("Rotate `brevo@acme`?");
    terminal.line("y");
    terminal.until("app.brevo.com");
    terminal.until("New key of brevo@acme");
    terminal.line(&new.secret);
    terminal.until("Delete the old key of `brevo@acme`");
    terminal.until("Done?");
    vendor.change(&old.id, json!({"state": "deleted"}));
    terminal.line("y");
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("done") && !shown.contains(&new.secret), "{shown}");
}

#[test]
fn a_klaviyo_key_is_switched_off_by_api_first() {
    let mut vendor = Vendor::klaviyo();
    let old = vendor.make();
    vendor.record("klaviyo@acme", &old, "private");
    let manager =
        vendor.make_with(json!({"scopes": ["accounts:read", "credentials:read", "credentials:write"]}));
    vendor.record("klaviyo:admin@acme", &manager, "private");
    let new = vendor.make();
    let arguments = ["-f", "json", "rotate", "klaviyo@acme", "--yes", "--stdin"];
    let ran = vendor.rig.world.run_with(&arguments, &new.secret).exits(0);
    assert_eq!(ran.data()["rotations"][0]["using"], "klaviyo:admin@acme", "{}", ran.stderr);
    vendor.rig.after(PAST_GRACE);
    let done = vendor.rig.rotate(&["--resume"], 0);
    assert_eq!((&done["stage"], &done["old"]["state"]), (&json!("done"), &json!("dead")));
    let switched: Vec<String> =
        vendor.rig.sandbox.request_lines().into_iter().filter(|it| it.starts_with("PATCH")).collect();
    assert_eq!(switched.len(), 1, "{switched:?}");
}

#[test]
fn a_new_key_with_fewer_permissions_does_not_become_current() {
    let mut vendor = Vendor::klaviyo();
    let old = vendor.make();
    vendor.record("klaviyo@acme", &old, "private\"\npermissions = [\"lists:read\"]\nidentity = \"shop");
    let narrow = vendor.make_with(json!({"scopes": ["accounts:read", "credentials:read"]}));
    let arguments = ["-f", "json", "rotate", "klaviyo@acme", "--yes", "--stdin"];
    let ran = vendor.rig.world.run_with(&arguments, &narrow.secret).exits(1);
    assert!(ran.stderr.contains("lists:read"), "{}", ran.stderr);
    assert_eq!(vendor.rig.get("klaviyo@acme", "current").unwrap(), old.secret);
}

#[test]
fn keys_are_switched_off_and_on_and_it_is_proven() {
    let mut vendor = Vendor::brevo();
    let key = vendor.make();
    vendor.record("brevo@acme", &key, "api");
    let _ = vendor.rig.run(&["disable", "brevo@acme", "--no-input"]).exits(6);
    let still = vendor.rig.world.data(&["disable", "brevo@acme", "--done"], 3);
    assert_eq!(
        (&still["state"], &still["verdict"]),
        (&json!("disabled"), &json!("valid")),
        "recorded, and a finding"
    );
    vendor.change(&key.id, json!({"state": "deactivated"}));
    let off = vendor.rig.world.data(&["disable", "brevo@acme", "--done"], 0);
    assert_eq!(
        off,
        json!({"key": "brevo@acme", "state": "disabled", "how": "recorded", "verdict": "rejected", "reason": "disabled"})
    );
    let _ = vendor.rig.run(&["rotate", "brevo@acme", "--yes"]).exits(2);
    vendor.change(&key.id, json!({"state": "active"}));
    assert_eq!(vendor.rig.world.data(&["enable", "brevo@acme", "--done"], 0)["state"], "active");
    let rig = Rig::new();
    let ran = rig.run(&["disable", "mailgun@acme"]).exits(2);
    assert!(ran.stderr.contains("deleting is the only way"), "{}", ran.stderr);
}

/// A vendor whose keys a person makes and ends, for the crash tests.
#[derive(Clone, Copy)]
enum ByHand {
    Brevo,
    Klaviyo,
}

impl ByHand {
    fn begin(self) -> (Vendor, SandboxKey, &'static str) {
        let (mut vendor, key, kind) = match self {
            Self::Brevo => (Vendor::brevo(), "brevo@acme", "api"),
            Self::Klaviyo => (Vendor::klaviyo(), "klaviyo@acme", "private"),
        };
        let old = vendor.make();
        vendor.record(key, &old, kind);
        vendor.rig.append(&manual(key, "shop"));
        if let Self::Klaviyo = self {
            let scopes = ["accounts:read", "credentials:read", "credentials:write"];
            let manager = vendor.make_with(json!({"scopes": scopes}));
            vendor.record("klaviyo:admin@acme", &manager, "private");
            // So many processes in a minute are nobody's usual day.
            let settings = vendor.keys.replace("/keys", "/settings");
            vendor.rig.sandbox.control("PUT", &settings, json!({"limits": false}));
        }
        (vendor, old, key)
    }

    fn dead(self) -> Value {
        match self {
            Self::Brevo => json!({"state": "deleted"}),
            Self::Klaviyo => json!({"deleted": true}),
        }
    }
}

/// A person's part: gives the key when one is wanted, says where it was
/// pasted, deletes the old one. Each is a process of its own, `crash` the point
/// at which the n-th of them dies; returns whether one did.
fn person_at_work(
    by_hand: ByHand,
    vendor: &mut Vendor,
    keys: (&SandboxKey, &SandboxKey),
    key: &str,
    crash: (usize, usize),
) -> bool {
    let (old, new) = keys;
    let mut died = false;
    for run in 0..24 {
        let status = vendor.rig.status();
        let switched = vendor.rig.get(key, "current").as_deref() == Some(&new.secret);
        let (arguments, input): (Vec<&str>, &str) = match status.first() {
            None if switched => return died,
            None => (vec!["rotate", key, "--yes", "--no-input"], ""),
            Some(rotation) => match rotation["stage"].as_str().unwrap() {
                "planned" | "creating" => (vec!["rotate", key, "--resume", "--stdin", "--yes"], &new.secret),
                "deploying" => (vec!["rotate", key, "--ack", "shop", "--grace", "0s"], ""),
                stage => {
                    if stage == "retiring" || stage == "disabled" {
                        vendor.change(&old.id, by_hand.dead());
                    }
                    (vec!["rotate", key, "--resume", "--yes"], "")
                }
            },
        };
        let mut command = vendor.rig.world.command(&arguments);
        if run == crash.0 {
            command.env("KEYCTL_DEBUG_CRASH_AT", crash.1.to_string());
        }
        let ran = crate::support::world::finish(command, input);
        assert!(!ran.stdout.contains(&new.secret) && !ran.stderr.contains(&new.secret));
        died |= ran.code == -1;
        if ran.code == 0 && vendor.rig.status().first().is_some_and(|it| it["stage"] == "grace") {
            vendor.rig.after(PAST_GRACE);
        }
        // Some stored key works at every moment.
        let stored: Vec<String> =
            ["current", "pending", "previous"].iter().filter_map(|slot| vendor.rig.get(key, slot)).collect();
        assert!(
            stored.contains(&old.secret) || stored.contains(&new.secret),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(vendor.rig.world.inventory().contains("# kept: who may order keys is Jo"));
    }
    panic!("{crash:?}: does not end: {:#?}", vendor.rig.status());
}

/// So many kills are tried at the same time: most of it is waiting, since the
/// program keeps to Klaviyo's limits.
const AT_ONCE: usize = 12;

/// Kills each process of a guided rotation at each of its points.
fn guided_and_killed(by_hand: ByHand) {
    let killed = move |run: usize, point: usize| {
        let (mut vendor, old, key) = by_hand.begin();
        let new = vendor.make();
        let died = person_at_work(by_hand, &mut vendor, (&old, &new), key, (run, point));
        assert_eq!(vendor.rig.get(key, "current").unwrap(), new.secret);
        assert_eq!(vendor.rig.get(key, "previous"), None);
        assert_eq!(vendor.rig.get(key, "pending"), None);
        died
    };
    for run in 0.. {
        let mut points = 0;
        loop {
            let died = std::thread::scope(|scope| {
                let tries: Vec<_> =
                    (points..points + AT_ONCE).map(|point| scope.spawn(move || killed(run, point))).collect();
                tries.into_iter().map(|it| it.join().unwrap()).filter(|died| *died).count()
            });
            points += died;
            if died < AT_ONCE {
                break;
            }
        }
        if points == 0 {
            // There is no n-th process any more.
            return assert!(run > 2, "only {run} processes");
        }
    }
}

#[test]
fn a_guided_brevo_rotation_survives_a_kill_at_every_point() {
    guided_and_killed(ByHand::Brevo);
}

#[test]
fn a_guided_klaviyo_rotation_survives_a_kill_at_every_point() {
    guided_and_killed(ByHand::Klaviyo);
}

#[test]
fn a_brevo_smtp_key_is_made_and_deleted_by_a_person() {
    let sandbox = Sandbox::start();
    let made = json!({"kind": "smtp"});
    let mut vendor = Vendor::of(sandbox, "/brevo/accounts", "keys", "/brevo/keys", made);
    let state = vendor.rig.sandbox.control("GET", "/state", Value::Null);
    let login = state["brevo"]["accounts"][0]["smtp_login"].as_str().unwrap().to_owned();
    the_whole_way(
        &mut vendor,
        "brevo@acme",
        &format!("smtp\"\nlogin = \"{login}"),
        json!({"state": "deleted"}),
    );
    assert_eq!(vendor.rig.world.data(&["show", "brevo@acme"], 0)["key"]["login"], login.as_str());
}
