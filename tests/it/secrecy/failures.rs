//! The same when things go wrong: servers that say the key back, files with a
//! key in the wrong place, stores that do not open.

use serde_json::{Value, json};

use super::{Aviary, Canary, DOMAIN};

impl Aviary {
    /// Runs without a wish for the exit code: a server's nonsense has many.
    fn attempt(&mut self, arguments: &[&str], input: &str) {
        let ran = self.world.run_with(arguments, input);
        self.said.push((arguments.join(" "), ran));
    }

    /// Calls every command that talks to a vendor.
    fn talk(&mut self) {
        let mailgun = self.mailgun.clone();
        let ad_hoc = ["--provider", "mailgun", "--stdin", "--timeout", "2s"];
        for arguments in [
            &["validate", "-v"][..],
            &["validate", "--max-age", "1h"],
            &["domains", "acme", "--all", "-v"],
            &["domains", "mailgun@acme", "--explain", DOMAIN],
            &["domains", "mailgun@acme", "--verify", DOMAIN, "--yes"],
            &["send-test", "mailgun@acme", "--to", "a@b.example", "--domain", DOMAIN, "-v"],
            &["send-test", "mailgun:relay@acme", "--to", "a@b.example", "--domain", DOMAIN, "-v"],
            &["permissions", "mailgun@acme"],
            &["permissions", "klaviyo@acme", "--require", "lists:read"],
            &["allowlist", "mailgun@acme", "-v"],
            &["scope", "import", "acme", "--from", "highlevel"],
            &["create", "mailgun:news@acme", "--kind", "sending", "--domain", DOMAIN],
            &["rotate", "mailgun@acme", "--yes", "-v"],
            &["rotate", "--resume", "--all"],
            &["rotate", "mailgun@acme", "--abort"],
            &["remove", "mailgun:relay@acme"],
            &["remove", "mailgun:relay@acme", "--revoke", "--yes", "-v"],
            &["disable", "klaviyo@acme", "--yes"],
            &["audit", "--online"],
        ] {
            self.attempt(&[arguments, &["--timeout", "2s"]].concat(), "");
        }
        self.attempt(&[&["validate", "--kind", "account"], &ad_hoc[..]].concat(), mailgun.text());
        self.attempt(&[&["domains"], &ad_hoc[..]].concat(), mailgun.text());
        let add = ["add", "mailgun:again@acme", "--stdin", "--kind", "account", "--force", "--replace"];
        self.attempt(&[&add[..], &["--timeout", "2s"]].concat(), mailgun.text());
    }

    /// Lets every vendor say the key back, and talks to them.
    fn suffer(format: &str, fault: impl Fn(&str) -> Value) {
        let mut aviary = Self::new(format);
        aviary.fill();
        // It would be told another key of its host than its own.
        aviary.run(&["remove", "mailgun:send@acme", "--forget"], 0);
        // Each host says back what it was sent: its own key.
        for (host, canary) in [
            ("mailgun-us", &aviary.mailgun),
            ("mailgun-eu", &aviary.mailgun),
            ("brevo", &aviary.brevo),
            ("klaviyo", &aviary.klaviyo_key),
            ("highlevel", &aviary.highlevel),
        ] {
            aviary.sandbox.fault(json!({"host": host, "action": fault(&canary.echoes())}));
        }
        let smtp = format!("535 5.7.8 no {}", aviary.relay.echoes());
        for host in ["mailgun-us-smtp", "mailgun-eu-smtp"] {
            aviary.sandbox.fault(json!({"host": host, "action": {"reply_at": "auth", "reply": smtp}}));
        }
        aviary.sandbox.expect_violations();
        aviary.talk();
        aviary.search();
    }
}

#[test]
fn a_401_that_says_the_key_back() {
    Aviary::suffer("table", |echo| json!({"status": 401, "body": format!("Invalid key {echo}")}));
}

#[test]
fn a_401_of_json_that_says_the_key_back() {
    Aviary::suffer(
        "json",
        |echo| json!({"status": 401, "body": {"message": echo, "code": echo, "errors": [{"detail": echo, "code": echo}]}}),
    );
}

#[test]
fn a_403_that_says_the_key_back() {
    Aviary::suffer(
        "plain",
        |echo| json!({"status": 403, "body": {"message": format!("{echo} may not"), "errors": [{"detail": echo}]}}),
    );
}

#[test]
fn a_400_that_says_the_key_back() {
    Aviary::suffer("table", |echo| json!({"status": 400, "body": {"message": format!("{echo} is odd")}}));
}

#[test]
fn a_500_that_says_the_key_back() {
    Aviary::suffer("table", |echo| json!({"status": 500, "body": format!("panic: {echo}")}));
}

#[test]
fn a_page_that_says_the_key_back() {
    Aviary::suffer(
        "json",
        |echo| json!({"status": 200, "body": format!("<html><title>{echo}</title></html>")}),
    );
}

#[test]
fn a_200_that_is_made_of_the_key() {
    Aviary::suffer("table", |echo| {
        let item = json!({"name": echo, "id": echo, "state": echo, "role": echo, "email": echo, "domain_name": echo,
            "companyName": echo, "description": echo, "type": echo, "ip_address": echo});
        json!({"status": 200, "body": {"items": [item], "addresses": [item], "domain": item, "message": echo,
            "id": echo, "key": item, "data": [{"id": echo, "type": echo, "attributes": item}], "locations": [item],
            "email": echo, "organization_id": echo, "domains": [item]}})
    });
}

#[test]
fn a_redirect_to_the_key() {
    Aviary::suffer(
        "table",
        |echo| json!({"redirect": format!("http://127.0.0.1:1/{}", echo.replace(' ', "/"))}),
    );
}

#[test]
fn headers_that_say_the_key_back() {
    Aviary::suffer("json", |echo| {
        json!({"status": 403, "headers": {"x-mailgun-key-id": echo, "retry-after": echo, "www-authenticate": echo},
            "body": "Forbidden"})
    });
}

#[test]
fn connections_that_break() {
    for cut in ["before", "after-processing", "mid-body"] {
        Aviary::suffer("table", |_| json!({"cut": cut}));
    }
}

/// The new secret stands in the reply, but the reply is not what was agreed.
#[test]
fn a_new_key_in_a_reply_that_is_odd() {
    let secret = [&"0123456789abcdef".repeat(2), "-0f0f0f0f", "-f0f0f0f0"].concat();
    let canary = Canary::of(&secret);
    for (status, body) in [
        (200, json!({"key": {"secret": secret}})),
        (200, json!({"secret": secret})),
        (200, json!({"key": secret, "message": secret})),
        (200, json!([secret])),
        (201, json!(format!("created {secret}"))),
        (400, json!({"message": format!("made {secret}, but")})),
        (500, json!({"message": secret})),
    ] {
        let mut aviary = Aviary::new("json");
        aviary.fill();
        aviary.sandbox.fault(json!({"host": "mailgun-us", "method": "POST", "path_prefix": "/v1/keys",
            "action": {"status": status, "body": body}}));
        let create =
            ["create", "mailgun:news@acme", "--kind", "sending", "--domain", DOMAIN, "--timeout", "2s"];
        aviary.attempt(&create, "");
        aviary.attempt(
            &["rotate", "mailgun:send@acme", "--using", "mailgun@acme", "--yes", "--timeout", "2s"],
            "",
        );
        aviary.search();
        for (call, ran) in &aviary.said {
            canary.is_nowhere_in(&format!("{}{}", ran.stdout, ran.stderr), call);
        }
        for (path, bytes) in aviary.world.files() {
            canary.is_nowhere_in(&String::from_utf8_lossy(&bytes), &path.display().to_string());
        }
    }
}

#[test]
fn a_store_that_does_not_open() {
    let mut aviary = Aviary::new("json");
    aviary.fill();
    let others = aviary.world.path("given/others");
    std::fs::create_dir_all(aviary.world.path("given")).unwrap();
    std::fs::write(&others, "no identity\n").unwrap();
    aviary.world.set("KEYCTL_IDENTITY_FILE", &others.display().to_string());
    for arguments in [
        &["get", "mailgun@acme"][..],
        &["run", "acme", "--", "true"],
        &["export", "brevo@acme"],
        &["validate"],
        &["domains", "acme"],
        &["store", "status"],
        &["doctor"],
        &["backup", "b.age"],
        &["rotate", "mailgun@acme", "--yes"],
    ] {
        aviary.attempt(arguments, "");
    }
    let brevo = aviary.brevo.clone();
    aviary.attempt(&["add", "brevo:b@acme", "--stdin"], brevo.text());
    assert!(aviary.said.iter().any(|(call, ran)| call == "get mailgun@acme" && ran.code == 7));
    aviary.search();
}

#[test]
fn a_key_pasted_into_the_inventory() {
    let mut aviary = Aviary::new("json");
    aviary.world.unset("KEYCTL_STORE");
    let canary = aviary.mailgun.clone();
    let secret = canary.text();
    let folder = aviary.world.path("given");
    std::fs::create_dir_all(&folder).unwrap();
    for text in [
        format!("version = 1\n[key.\"mailgun@acme\"]\nsecret = {secret}\n"),
        format!("version = 1\n[key.\"mailgun@acme\"]\nid = \"kaaa\"\nkind = \"{secret}\"\n"),
        format!("version = 1\n[key.\"{secret}\"]\nid = \"kaaa\"\n"),
        format!("version = 1\n[key.{secret}\n"),
        format!("version = \"{secret}\"\n"),
        format!("{secret}\n"),
        format!(
            "version = 1\nstore = \"{secret}\"\n[key.\"mailgun@acme\"]\nid = \"kaaa\"\nkind = \"account\"\ncurrent = 1\n"
        ),
        format!("version = 1\ndefault_scope = \"{secret}\"\n"),
        format!("version = 1\n[agency.\"{secret}\"]\n"),
        format!(
            "version = 1\n[key.\"mailgun@acme\"]\nid = \"kaaa\"\nkind = \"account\"\nexpires = {secret}\n"
        ),
        format!(
            "version = 1\n[key.\"mailgun@acme\"]\nid = \"kaaa\"\nkind = \"account\"\nfingerprint = \"{secret}\"\n"
        ),
    ] {
        let path = folder.join("keyctl.toml");
        std::fs::write(&path, &text).unwrap();
        aviary.world.set("KEYCTL_INVENTORY", &path.display().to_string());
        for arguments in [
            &["list"][..],
            &["validate"],
            &["get", "mailgun@acme"],
            &["doctor"],
            &["store", "status"],
            &["set", "mailgun@acme", "--note", "x"],
        ] {
            aviary.attempt(arguments, "");
        }
    }
    let gets = aviary.said.iter().filter(|(call, _)| call == "get mailgun@acme");
    let codes: Vec<i32> = gets.map(|(_, ran)| ran.code).collect();
    assert_eq!(codes, [2; 11]);
    let calls = &aviary.said;
    for (call, ran) in calls {
        canary.is_nowhere_in(&format!("{}{}", ran.stdout, ran.stderr), call);
    }
    aviary.search_files();
}

#[test]
fn a_key_in_a_file_or_variable_that_is_for_something_else() {
    let mut aviary = Aviary::new("json");
    let (mailgun, brevo) = (aviary.mailgun.clone(), aviary.brevo.clone());
    let folder = aviary.world.path("given");
    std::fs::create_dir_all(&folder).unwrap();
    let secret = mailgun.text();
    for (n, text) in [
        format!("MAILGUN_API_KEY=\"{secret}\n"),
        format!("MAILGUN_API_KEY={secret} trailing words\n"),
        format!("{secret}\n"),
        format!("={secret}\n"),
        format!("export {secret}=x\n"),
        format!("MAILGUN_API_KEY={}\n", brevo.text()),
        format!("UNKNOWN_KEY={secret}\nBREVO_API_KEY={secret}\n"),
    ]
    .iter()
    .enumerate()
    {
        let path = format!("given/{n}.env");
        std::fs::write(aviary.world.path(&path), text).unwrap();
        aviary.attempt(&["add", "--from-dotenv", &path, "--scope", "acme"], "");
        let csv = ["--id-column", "id", "--name-column", "name"];
        aviary.attempt(&[&["scope", "import", "acme", "--from-csv", &path], &csv[..]].concat(), "");
        aviary.attempt(&["restore", &path], "");
        aviary.attempt(&["add", "klaviyo@acme", "--from-file", &path], "");
    }
    for text in [
        secret.to_owned(),
        format!("{secret} {}", brevo.text()),
        format!("x{secret}"),
        secret[..30].to_owned(),
    ] {
        aviary.attempt(&["identify", "--stdin"], &text);
        aviary.attempt(&["add", "brevo@acme", "--stdin"], &text);
        aviary.attempt(&["add", "klaviyo@acme", "--stdin", "--no-validate"], &text);
        aviary.attempt(&["validate", "--provider", "highlevel", "--stdin"], &text);
    }
    for name in [
        "KEYCTL_STORE",
        "KEYCTL_SCOPE",
        "KEYCTL_FORMAT",
        "KEYCTL_IDENTITY",
        "KEYCTL_MAILGUN_US_URL",
        "KEYCTL_MAILGUN_US_SMTP",
        "KEYCTL_DNS",
    ] {
        aviary.world.set("KEYCTL_SECRET_MAILGUN__ACME", secret);
        let before = aviary.sandbox.env().into_iter().find(|(it, _)| it == name).map(|(_, value)| value);
        for value in [secret.to_owned(), format!("https://api:{secret}@h.example")] {
            aviary.world.set(name, &value);
            for arguments in [
                &["list"][..],
                &["validate", "--timeout", "2s"],
                &["store", "status"],
                &["doctor"],
                &["domains", "--explain", DOMAIN, "--dns", "--timeout", "2s"],
            ] {
                aviary.attempt(arguments, "");
            }
            let mailgun = mailgun.clone();
            let ad_hoc =
                ["validate", "--provider", "mailgun", "--kind", "account", "--stdin", "--timeout", "2s"];
            aviary.attempt(&ad_hoc, mailgun.text());
        }
        match before {
            Some(value) => aviary.world.set(name, &value),
            None if name == "KEYCTL_STORE" => aviary.world.set(name, "file"),
            None if name == "KEYCTL_FORMAT" => aviary.world.set(name, "json"),
            None => aviary.world.unset(name),
        }
    }
    aviary.search();
}
