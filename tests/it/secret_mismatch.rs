//! A store that holds another text than the record's secret: it is neither sent
//! nor taken for proof of anything, and handed out by the `env` store only.

use serde_json::{Value, json};

use super::support::World;
use super::support::sandbox::Sandbox;
use super::support::scene::Scene;

const VARIABLE: &str = "KEYCTL_SECRET_MAILGUN__ACME";

fn made_up() -> String {
    ["key-", &"0".repeat(32)].concat()
}

/// An account key that works, and a variable that holds a key of nobody.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.acme.example", "active");
    let key = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[("mailgun@acme", "kind = \"account\"\ndomain = \"mg.acme.example\"", &key.secret)]);
    scene.world.set(VARIABLE, &made_up());
    scene
}

#[track_caller]
fn nothing_was_sent(sandbox: &Sandbox) {
    assert_eq!(sandbox.request_lines(), Vec::<String>::new());
}

#[test]
fn the_refusal_of_another_text_is_no_proof_that_the_key_is_dead() {
    let mut scene = Scene::new();
    let alive = scene.sandbox.mailgun_key(&scene.account, "admin");
    let other = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"", &other.secret),
        ("mailgun:old@acme", "kind = \"account\"\nstate = \"disabled\"", &alive.secret),
    ]);
    let _ = scene.validate(&["mailgun@acme", "mailgun:old@acme"], 3);
    let placeholder = "${{ secrets.MAILGUN_OLD }}";
    for text in
        [made_up(), format!("{} ", alive.secret), format!("'{}'", alive.secret), placeholder.to_owned()]
    {
        scene.world.set("KEYCTL_SECRET_MAILGUN__ACME___OLD", &text);
        let data = scene.validate(&["mailgun:old@acme", "--expect", "rejected"], 4);
        let one = &data["results"][0];
        assert_eq!(
            (&one["verdict"], &one["reason"]),
            (&json!("unknown"), &json!("secret-mismatch")),
            "{data}"
        );
        let detail = one["detail"].as_str().unwrap();
        assert!(detail.starts_with("not proven dead: ") && detail.contains("it was not sent"), "{detail}");
        assert_eq!((&one["slot"], &one["latency_ms"]), (&Value::Null, &Value::Null));
        // Nor is a key recorded as disabled well for that.
        let _ = scene.validate(&["mailgun:old@acme"], 4);
    }
}

#[test]
fn another_text_is_sent_by_no_command() {
    let scene = scene();
    for (arguments, code) in [
        (&["validate"][..], 4),
        (&["validate", "--expect", "rejected"], 4),
        (&["validate", "--require", "admin"], 4),
        (&["domains", "mailgun@acme"], 4),
        (&["domains", "acme", "--explain", "mg.acme.example"], 4),
        (&["send-test", "mailgun@acme", "--to", "ops@example.com", "--dry-run"], 4),
        (&["permissions", "mailgun@acme"], 4),
        (&["allowlist", "mailgun@acme"], 4),
        (&["scope", "set", "acme", "--domain", "mg.acme.example"], 4),
        (&["remove", "mailgun@acme"], 4),
        // There are other findings, too.
        (&["audit", "--online"], 3),
    ] {
        let ran = scene.world.run(&[&["-f", "json"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(told.contains("it was not sent") && told.contains(VARIABLE), "{arguments:?}: {told}");
        assert!(!told.contains(&made_up()), "{arguments:?}: {told}");
    }
    nothing_was_sent(&scene.sandbox);
}

#[test]
fn a_mismatch_has_its_rule_in_the_reports() {
    let scene = scene();
    let sarif = scene.world.run(&["validate", "--report", "sarif=-"]).exits(4).stdout;
    let log: Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "secret-mismatch", "{sarif}");
    let help = scene.world.run(&["help", "verdicts"]).exits(0).stdout;
    assert!(help.contains("secret-missing secret-mismatch store-locked"), "{help}");
}

#[test]
fn the_env_store_hands_out_another_key_with_a_warning_and_nothing_else() {
    let mut scene = scene();
    let ran = scene.world.run(&["get", "mailgun@acme"]).exits(0);
    assert_eq!(ran.stdout, format!("{}\n", made_up()));
    let warning =
        format!("warning: {VARIABLE} holds another secret than the one recorded for `mailgun@acme`");
    assert!(ran.stderr.contains(&warning), "{}", ran.stderr);
    let ran = scene.world.run(&["run", "mailgun@acme", "--", "printenv", "MAILGUN_API_KEY"]).exits(0);
    assert_eq!(ran.stdout, format!("{}\n", made_up()));
    let ran = scene.world.run(&["export", "mailgun@acme", "--dotenv"]).exits(0);
    assert!(ran.stdout.contains(&made_up()) && ran.stderr.contains(&warning), "{ran:?}");
    for text in
        ["changeme".to_owned(), ["x", "keysib-", &"0a".repeat(32), "-", &"aB3".repeat(6)[..16]].concat()]
    {
        scene.world.set(VARIABLE, &text);
        for arguments in
            [&["get", "mailgun@acme"][..], &["export", "mailgun@acme"], &["run", "acme", "--", "env"]]
        {
            let ran = scene.world.run(arguments).exits(9);
            assert_eq!(ran.stdout, "", "{arguments:?}");
            assert!(ran.stderr.contains("it was not handed out") && !ran.stderr.contains(&text), "{ran:?}");
        }
    }
    nothing_was_sent(&scene.sandbox);
}

#[test]
fn a_record_without_a_fingerprint_is_held_against_its_form() {
    let mut scene = Scene::new();
    let login = "news@mg.acme.example";
    scene.sandbox.domain(&scene.account, "us", "mg.acme.example", "active");
    let password = scene.sandbox.credential(&scene.account, "us", login);
    let fields =
        format!("kind = \"smtp\"\nlogin = \"{login}\"\nregion = \"us\"\ndomain = \"mg.acme.example\"");
    scene.world.write_inventory(&format!(
        "version = 1\n[key.\"mailgun:mail@acme\"]\nid = \"ktest0aaaa\"\n{fields}\ncurrent = 1\n"
    ));
    let variable = "KEYCTL_SECRET_MAILGUN__ACME___MAIL";
    scene.world.set(variable, &password);
    assert_eq!(scene.validate(&[], 0)["results"][0]["verdict"], "valid");
    scene.world.set(variable, &["correct", "horse"].concat());
    assert_eq!(scene.validate(&[], 3)["results"][0]["reason"], "unauthorized");
    scene.sandbox.clear_requests();
    for (text, what) in [
        (["x", "keysib-", &"0a".repeat(32), "-", &"aB3".repeat(6)[..16]].concat(), "a brevo key of kind api"),
        (made_up(), "a mailgun key of kind account"),
    ] {
        scene.world.set(variable, &text);
        let data = scene.validate(&["--expect", "rejected"], 4);
        assert_eq!(data["results"][0]["reason"], "secret-mismatch", "{data}");
        assert!(data["results"][0]["detail"].as_str().unwrap().contains(what), "{data}");
        let _ = scene.world.run(&["get", "mailgun:mail@acme"]).exits(9);
    }
    nothing_was_sent(&scene.sandbox);
}

/// A world whose file store holds a secret that its record does not know.
fn by_id() -> (Sandbox, World) {
    let sandbox = Sandbox::start();
    let account = sandbox.mailgun_account();
    let key = sandbox.mailgun_key(&account, "admin");
    let mut world = World::new();
    world.join(&sandbox.env());
    let add = ["add", "mailgun@acme", "--kind", "account", "--stdin", "--no-input"];
    let _ = world.run_with(&add, &key.secret).exits(0);
    let text = world.inventory();
    let line = text.lines().find(|it| it.starts_with("fingerprint = ")).unwrap().to_owned();
    world.write_inventory(&text.replacen(&line, "fingerprint = \"0123456789ab\"", 1));
    sandbox.clear_requests();
    (sandbox, world)
}

#[test]
fn a_store_that_finds_by_id_hands_out_no_other_secret() {
    let (sandbox, world) = by_id();
    for (arguments, code) in [
        (&["get", "mailgun@acme"][..], 9),
        (&["run", "acme", "--", "env"], 9),
        (&["export", "acme"], 9),
        (&["validate"], 4),
        (&["rotate", "mailgun@acme", "--plan"], 4),
        (&["rotate", "mailgun@acme", "--yes"], 4),
        (&["create", "mailgun:new@acme", "--kind", "account", "--using", "mailgun@acme"], 4),
    ] {
        let ran = world.run(&[&["-f", "json"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(told.contains("the file store holds another secret than the one recorded"), "{told}");
    }
    nothing_was_sent(&sandbox);
    // What is not the record's is not backed up under its name either.
    let path = world.path("backup.age");
    let ran = world.run(&["backup", path.to_str().unwrap()]).exits(4);
    assert!(ran.stderr.contains("not in the backup"), "{}", ran.stderr);
    // The way out that the hint names.
    let key = sandbox.mailgun_key(&sandbox.mailgun_account(), "admin");
    let replace = ["add", "mailgun@acme", "--kind", "account", "--stdin", "--no-input", "--replace"];
    let _ = world.run_with(&replace, &key.secret).exits(0);
    assert_eq!(world.run(&["get", "mailgun@acme"]).exits(0).stdout.trim(), key.secret);
}

#[test]
fn another_text_is_not_copied_under_the_records_name() {
    let mut world = World::new();
    let secret = ["key-", &"1".repeat(32)].concat();
    let hash = keyctl::key::Secret::new(secret.clone()).fingerprint();
    world.write_inventory(&format!(
        "version = 1\nstore = \"env\"\n[key.\"mailgun@acme\"]\nid = \"ktest0aaaa\"\nkind = \"account\"\ncurrent = 1\nfingerprint = \"{hash}\"\n"
    ));
    world.set(VARIABLE, &made_up());
    let ran = world.run(&["store", "copy", "env", "file"]).exits(8);
    assert!(ran.stderr.contains("holds another secret than the one recorded"), "{}", ran.stderr);
    let _ = world.run(&["get", "mailgun@acme", "--store", "file"]).exits(8);
    world.set(VARIABLE, &secret);
    let _ = world.run(&["store", "copy", "env", "file", "--switch"]).exits(0);
    assert_eq!(world.run(&["get", "mailgun@acme"]).exits(0).stdout.trim(), secret);
}
