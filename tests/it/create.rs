//! `create`: keys made by API and by a person.

use serde_json::{Value, json};

use super::keep::{Scene, stored};
use super::support::terminal::Terminal;

/// A scene with an admin key at hand.
pub fn scene() -> Scene {
    let scene = Scene::new();
    let _ = scene.add("mailgun@acme", &scene.key("admin").secret, &[], 0);
    scene
}

/// Returns the account's keys as the provider has them: id and description.
pub fn remote(scene: &Scene) -> Vec<(String, String)> {
    let state = scene.sandbox.control("GET", "/state", Value::Null);
    let mut found = Vec::new();
    collect(&state, &mut found);
    found
}

/// Finds what looks like a key in the sandbox's state, wherever it stands.
fn collect(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            if let (Some(id), Some(description)) = (fields.get("id"), fields.get("description"))
                && fields.contains_key("role")
                && fields.get("dies").is_none_or(Value::is_null)
            {
                found.push((
                    id.as_str().unwrap_or_default().to_owned(),
                    description.as_str().unwrap_or_default().to_owned(),
                ));
            }
            fields.values().for_each(|it| collect(it, found));
        }
        Value::Array(items) => items.iter().for_each(|it| collect(it, found)),
        _ => {}
    }
}

pub fn create(scene: &Scene, arguments: &[&str], code: i32) -> Value {
    let ran = scene.world.run(&[&["-f", "json", "create"], arguments].concat()).exits(code);
    let json = ran.json();
    if json["error"].is_null() { json["data"].clone() } else { json["error"].clone() }
}

#[test]
fn a_key_is_made_by_api_kept_and_proven() {
    let scene = scene();
    let data = create(
        &scene,
        &[
            "mailgun:ci@acme",
            "--role",
            "developer",
            "--expires-in",
            "90d",
            "--name",
            "CI",
            "--consumer",
            "CI",
            "--note",
            "n",
        ],
        0,
    );
    assert_eq!(
        (&data["saved"], &data["verdict"], &data["how"]),
        (&json!(true), &json!("valid"), &json!("api"))
    );
    assert_eq!(
        (&data["kind"], &data["role"], &data["consumers"]),
        (&json!("account"), &json!("developer"), &json!(["CI"]))
    );
    assert!(data["expires"].is_string() && data["created"].is_string(), "{data}");
    let shown = scene.show("mailgun:ci@acme");
    assert_eq!(shown["state"], "active");
    let name = shown["remote_name"].as_str().unwrap();
    assert!(name.starts_with("CI [keyctl k"), "{name}");
    assert!(
        remote(&scene).iter().any(|(id, it)| it == name && *id == data["remote_id"]),
        "{:?}",
        remote(&scene)
    );
    let secret = scene.get("mailgun:ci@acme");
    assert!(!data.to_string().contains(&secret));
    assert_eq!(stored(&scene.world, &["mailgun:ci@acme"]), ["mailgun:ci@acme#1"]);
}

#[test]
fn a_sending_key_and_a_login_belong_to_the_scopes_domain() {
    let scene = scene();
    let data = create(&scene, &["mailgun:send@acme", "--domain", "mg.acme.example"], 0);
    assert_eq!(
        (&data["kind"], &data["verdict"], &data["domain"]),
        (&json!("sending"), &json!("valid"), &json!("mg.acme.example"))
    );
    let error = create(&scene, &["mailgun:other@acme", "--kind", "sending"], 2);
    assert!(error["hint"].as_str().unwrap().contains("--domain"), "{error}");
    let _ = scene.world.run(&["scope", "set", "acme", "--domain", "mg.acme.example"]).exits(0);
    let data = create(&scene, &["mailgun:other@acme", "--kind", "sending"], 0);
    assert_eq!(data["domain"], "mg.acme.example");
}

#[test]
fn an_smtp_login_is_made_under_a_free_name() {
    let scene = scene();
    let first = create(&scene, &["mailgun:news@acme", "--kind", "smtp", "--domain", "mg.acme.example"], 0);
    let login = first["login"].as_str().unwrap();
    assert!(login.starts_with("news-20") && login.ends_with("@mg.acme.example"), "{login}");
    assert_eq!((&first["verdict"], &first["fingerprint"]), (&json!("valid"), &Value::Null), "{first}");
    let _ = scene.world.run(&["remove", "mailgun:news@acme", "--forget"]).exits(0);
    let second = create(&scene, &["mailgun:news@acme", "--kind", "smtp", "--domain", "mg.acme.example"], 0);
    assert_eq!(second["login"], login.replace("@", "-2@"));
    let error = create(&scene, &["mailgun:x@acme", "--kind", "smtp", "--login", login], 9);
    assert_eq!(error["code"], "login-exists");
}

#[test]
fn a_key_like_another_has_its_role_and_domain() {
    let scene = scene();
    let _ = scene.add("mailgun:dev@acme", &scene.key("developer").secret, &[], 0);
    let data = create(&scene, &["mailgun:dev2@acme", "--like", "mailgun:dev@acme"], 0);
    assert_eq!((&data["kind"], &data["role"]), (&json!("account"), &json!("developer")));
    let _ = create(&scene, &["mailgun:x@acme", "--like", "mailgun:none@acme"], 8);
    let _ = create(&scene, &["brevo@acme", "--like", "mailgun:dev@acme"], 2);
}

#[test]
fn who_may_not_make_keys_makes_none() {
    let scene = Scene::new();
    let _ = scene.add("mailgun@acme", &scene.key("developer").secret, &[], 0);
    let before = scene.world.files();
    for (arguments, code, word) in [
        (&["mailgun:new@acme"][..], 2, "--using"),
        (&["mailgun:new@acme", "--using", "mailgun@acme"], 2, "developer"),
        (&["mailgun:new@acme", "--using", "mailgun:none@acme"], 8, "mailgun:none@acme"),
        (&["mailgun@acme"], 9, "key-exists"),
        (&["mailgun:new@acme", "--role", "owner"], 2, "owner"),
        (&["brevo@acme", "--role", "admin"], 2, "--role"),
        (&["brevo@acme", "--using", "mailgun@acme"], 2, "no keys"),
        (&["klaviyo@acme", "--permissions", "all:things"], 2, "all:things"),
    ] {
        let error = create(&scene, arguments, code).to_string();
        assert!(error.contains(word), "{arguments:?}: {error}");
    }
    scene.world.unchanged_since(&before);
    let _ = scene.add("mailgun:a@acme", &scene.key("admin").secret, &[], 0);
    let _ = scene.add("mailgun:b@acme", &scene.key("admin").secret, &[], 0);
    let error = create(&scene, &["mailgun:new@acme"], 2);
    assert_eq!(error["code"], "ambiguous");
    let _ = create(&scene, &["mailgun:new@acme", "--using", "mailgun:b@acme"], 0);
    let error = create(&scene, &["mailgun:new@acme", "--using", "mailgun:b@acme"], 9);
    assert_eq!(error["code"], "key-exists");
}

#[test]
fn a_definite_no_leaves_nothing_behind() {
    let scene = scene();
    let inventory = scene.world.inventory();
    scene.sandbox.fault(json!({"host": "*", "method": "POST", "path_prefix": "/v1/keys", "action": {"status": 403, "body": {"message": "key limit reached"}}}));
    let error = create(&scene, &["mailgun:new@acme"], 1);
    assert!(error["message"].as_str().unwrap().contains("limit"), "{error}");
    assert_eq!(scene.world.inventory(), inventory);
}

#[test]
fn nothing_is_asked_for_where_it_could_not_be_kept() {
    let scene = scene();
    let before = remote(&scene).len();
    let list = scene.world.path("home/.local/share/keyctl").join("secrets.age.recipients");
    std::fs::write(&list, "not a recipient\n").unwrap();
    let ran = scene.world.run(&["create", "mailgun:new@acme"]).exits(7);
    assert!(!ran.stderr.is_empty());
    assert_eq!(remote(&scene).len(), before, "{}", ran.stderr);
}

#[test]
fn a_person_is_told_the_way_through_the_console() {
    let mut scene = Scene::new();
    let before = scene.world.files();
    let ran = scene.world.run(&["create", "brevo@acme"]).exits(6);
    assert!(
        ran.stderr.contains("https://app.brevo.com/") && ran.stderr.contains("German:"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("keyctl create brevo@acme --stdin"), "{}", ran.stderr);
    // The very first Mailgun key, too: nobody is there who could make it.
    let ran = scene.world.run(&["create", "mailgun@acme"]).exits(6);
    assert!(ran.stderr.contains("https://app.mailgun.com/"), "{}", ran.stderr);
    let ran = scene
        .world
        .run(&["create", "klaviyo@acme", "--permissions", "campaigns:read,profiles:write", "--print-url"])
        .exits(0);
    assert_eq!(
        ran.stdout,
        "https://www.klaviyo.com/create-private-api-key?scopes=campaigns:read,profiles:write\n"
    );
    let data = create(&scene, &["klaviyo@acme", "--print-url"], 0);
    assert_eq!(data["path_de"], "Einstellungen › API-Schlüssel › Privaten API-Schlüssel erstellen");
    scene.world.unchanged_since(&before);
    assert_eq!(scene.sandbox.request_lines(), Vec::<String>::new());
    // Pasted, or by stdin.
    let brevo = scene.sandbox.control("POST", "/brevo/accounts", json!({}));
    let keys = format!("/brevo/accounts/{}/keys", brevo["id"].as_str().unwrap());
    let key = || {
        scene.sandbox.control("POST", &keys, json!({"kind": "api"}))["secret"].as_str().unwrap().to_owned()
    };
    let (first, second) = (key(), key());
    let data =
        scene.run_with(&["create", "brevo:a@acme", "--stdin", "--expires-in", "30d"], &first).exits(0).data();
    assert_eq!((&data["how"], &data["verdict"]), (&json!("console"), &json!("valid")));
    assert!(data["expires"].is_string() && data["created"].is_string());
    for (span, code) in [("2h", 2), ("400d", 2), ("30d", 6)] {
        let ran =
            scene.run_with(&["create", "brevo:c@acme", "--expires-in", span, "--no-input"], "").exits(code);
        let word = if code == 2 { "7 days to 366 days" } else { "Choose the expiry: 30 days" };
        assert!(ran.stderr.contains(word), "{span}: {}", ran.stderr);
    }
    scene.world.unset("KEYCTL_NO_INPUT");
    let mut terminal = Terminal::start(scene.world.command(&["create", "brevo:b@acme"]));
    let told = terminal.until("(it is not shown): ");
    assert!(told.contains("https://app.brevo.com/"), "{told}");
    // Enter opens the page, where there is a browser, and the question comes again.
    assert!(told.contains("Enter alone opens that page"), "{told}");
    terminal.line("");
    terminal.until("(it is not shown): ");
    terminal.line(&second);
    let (shown, code) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(scene.get("brevo:b@acme"), second);
    // A key of another kind is refused offline.
    let _ = scene.run_with(&["create", "klaviyo@acme", "--stdin"], &first).exits(2);
}

#[test]
fn the_command_that_takes_the_key_asks_for_the_same_again() {
    let scene = Scene::new();
    for arguments in [
        &["klaviyo:web@acme", "--permissions", "accounts:read,lists:write"][..],
        &["klaviyo@acme", "--permissions", "read-only", "--name", "'the shop'\\''s'"],
        &["highlevel@acme/berlin", "--kind", "location"],
        &["brevo@acme", "--expires-in", "30d", "--note", "'two words'", "--consumer", "a", "--consumer", "b"],
        &["mailgun@acme", "--kind", "account", "--region", "eu", "--role", "developer"],
    ] {
        let typed: Vec<String> =
            arguments.iter().map(|it| it.trim_matches('\'').replace("'\\''", "'")).collect();
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let error = create(&scene, &typed, 6);
        let hint = format!("then give it: `keyctl create {} --stdin`", arguments.join(" "));
        assert_eq!(error["hint"], hint, "{error}");
    }
    for verb in [&["create", "klaviyo@acme", "--print-url"][..], &["add", "klaviyo@acme", "--stdin"]] {
        for nothing in ["", " ,"] {
            let ran = scene.world.run(&[verb, &["--permissions", nothing]].concat()).exits(2);
            assert!(ran.stderr.contains("`--permissions` is empty"), "{}", ran.stderr);
        }
    }
}
