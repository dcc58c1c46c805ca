//! Bad inputs: each has its exit code, one clear message and a next step, the
//! same in JSON, and changes nothing on disk.

use serde_json::Value;

use super::support::World;
use super::support::world::Ran;

/// Records of two agencies, one with two keys that nothing tells apart.
const INVENTORY: &str = r#"version = 1

[agency.acme]
[agency.acme.location.berlin]
[agency.beta]

[key."mailgun@acme"]
id = "ktestaaaa"
kind = "account"
current = 1

[key."mailgun:one@beta"]
id = "ktestbbbb"
kind = "account"
current = 1

[key."mailgun:two@beta"]
id = "ktestcccc"
kind = "account"
current = 1
"#;

fn world() -> World {
    let world = World::new().with("KEYCTL_NO_INPUT", "1");
    world.write_inventory(INVENTORY);
    world
}

/// Asserts what is true of every failure; `part` is of its message.
#[track_caller]
fn refused(world: &World, arguments: &[&str], code: i32, part: &str) -> Result<(), String> {
    let before = world.files();
    let plain = world.run(arguments);
    let json = world.run(&[&["-f", "json"], arguments].concat());
    world.unchanged_since(&before);
    shown(&plain, code, part)?;
    shown(&json, code, part)?;
    let raw = ["get", "run", "export", "completions", "man"];
    let word = arguments.iter().find(|it| !it.starts_with('-')).copied().unwrap_or_default();
    if raw.contains(&word) {
        return match json.stdout.is_empty() {
            true => Ok(()),
            false => Err(format!("stdout is not empty: {}", json.stdout)),
        };
    }
    // A format that is itself bad input leaves none to answer in.
    if json.stdout.is_empty() && part.contains("--format") {
        return Ok(());
    }
    let document: Value =
        serde_json::from_str(&json.stdout).map_err(|it| format!("{it}: {}", json.stdout))?;
    let fields: Vec<&String> = document.as_object().unwrap().keys().collect();
    let error: Vec<&String> = document["error"].as_object().unwrap().keys().collect();
    let whole = fields == ["schema_version", "command", "error"]
        && error == ["code", "message", "hint"]
        && document["schema_version"] == 1
        && document["error"]["hint"].is_string();
    if whole { Ok(()) } else { Err(format!("not the document of an error: {document}")) }
}

fn shown(ran: &Ran, code: i32, part: &str) -> Result<(), String> {
    let errors = ran.stderr.lines().filter(|it| it.starts_with("error: ")).count();
    let hints = ran.stderr.lines().filter(|it| it.starts_with("hint: ")).count();
    if ran.code == code && errors == 1 && hints >= 1 && ran.stderr.contains(part) {
        return Ok(());
    }
    Err(format!(
        "exit {} (wanted {code}), {errors} errors, {hints} hints; wanted `{part}` in:\n{}",
        ran.code, ran.stderr
    ))
}

/// Runs a table of (arguments, exit code, part of the message).
#[track_caller]
fn all_refused(world: &World, table: &[(&[&str], i32, &str)]) {
    let mut wrong = Vec::new();
    for (arguments, code, part) in table {
        if let Err(why) = refused(world, arguments, *code, part) {
            wrong.push(format!("keyctl {}: {why}", arguments.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_refused_for_the_character_that_is_wrong() {
    let long = "a".repeat(64);
    let table: Vec<(String, String)> = [
        ("mailgun:Web@acme", "`W`"),
        ("mailgun:we_b@acme", "`_`"),
        ("mailgun:we.b@acme", "`.`"),
        ("mailgun:-a@acme", "at its start"),
        ("mailgun:a-@acme", "at its end"),
        ("mailgun:a--b@acme", "`--`"),
        ("mailgun:@acme", "empty"),
        ("mailgun@", "empty"),
        ("mailgun@acme/", "empty"),
        ("mailgun@/berlin", "empty"),
        ("mailgun@a/b/c", "more than one `/`"),
        ("mailgun@ac me", "a space"),
        ("mailgun@m\u{fc}nchen", "`\u{fc}`"),
        ("mailgun@Acme", "`A`"),
        ("mailgun@acme/Berlin", "`B`"),
        ("mailgun@brevo", "name of a provider"),
        ("sendgrid@acme", "`sendgrid` is no provider"),
        ("Mailgun@acme", "is no provider"),
        ("", ""),
    ]
    .iter()
    .map(|(name, part)| ((*name).to_owned(), (*part).to_owned()))
    .chain([(format!("mailgun@{long}"), "64 characters".to_owned())])
    .collect();
    let world = world();
    for (name, part) in &table {
        for command in ["add", "show", "set", "get", "create", "disable", "enable", "remove", "permissions"] {
            if command == "get" && name.is_empty() {
                continue;
            }
            let ran = world.run(&[command, name]).exits(2);
            assert!(ran.stderr.contains(part.as_str()), "{command} {name}: {}", ran.stderr);
        }
        if !name.is_empty() {
            all_refused(&world, &[(&["show", name], 2, part), (&["add", name, "--stdin"], 2, part)]);
        }
    }
    for (scope, part) in
        [("Acme", "`A`"), ("a/b/c", "more than one"), ("klaviyo", "name of a provider"), ("a_b", "`_`")]
    {
        all_refused(
            &world,
            &[
                (&["which", scope], 2, part),
                (&["list", scope], 2, part),
                (&["scope", "add", scope], 2, part),
                (&["scope", "show", scope], 2, part),
                (&["--scope", scope, "list"], 2, part),
            ],
        );
    }
}

#[test]
fn words_that_are_none_of_a_list_name_the_list() {
    all_refused(
        &world(),
        &[
            (&[], 2, "no command was given"),
            (&["frobnicate"], 2, "frobnicate"),
            (&["list", "--frob"], 2, "--frob"),
            (&["doctor", "--frob"], 2, "--frob"),
            (&["scope"], 2, "no command was given"),
            (&["consumer"], 2, "no command was given"),
            (&["store"], 2, "no command was given"),
            (&["scope", "frob"], 2, "frob"),
            (&["consumer", "frob"], 2, "frob"),
            (&["store", "frob"], 2, "frob"),
            (&["list", "--provider", "sendgrid"], 2, "known: mailgun, brevo, klaviyo, highlevel"),
            (&["which", "acme", "--provider", "x"], 2, "is no provider"),
            (&["run", "acme", "--only", "brevo,x", "--", "true"], 2, "is no provider"),
            (&["add", "klaviyo@acme", "--kind", "smtp", "--stdin"], 2, "klaviyo has no `smtp` keys"),
            (&["add", "mailgun@acme", "--kind", "robot", "--stdin"], 2, "`robot` is no kind"),
            (&["set", "mailgun@acme", "--kind", "private"], 2, "mailgun has no `private` keys"),
            (&["create", "brevo@acme", "--kind", "account", "--print-url"], 2, "brevo has no `account` keys"),
            (
                &["validate", "--provider", "brevo", "--kind", "sending", "--stdin"],
                2,
                "brevo has no `sending` keys",
            ),
            (&["set", "mailgun@acme", "--region", "uk"], 2, "known: us, eu"),
            (&["add", "klaviyo@acme", "--region", "us", "--stdin"], 2, "no region"),
            (&["set", "mailgun@acme", "--domain", "no_domain!"], 2, "is not a domain name"),
            (&["list", "--color", "maybe"], 2, "auto, always, never"),
            (&["get", "mailgun@acme", "--slot", "later"], 2, "known: current, pending, previous"),
            (&["get", "mailgun@acme", "--field", "password"], 2, "smtp-host"),
            (&["export", "acme", "--shell", "tcsh"], 2, "known: bash, zsh, fish, pwsh, nu"),
            (&["completions", "ksh"], 2, "zsh"),
            (&["help", "nothing"], 2, "no topic"),
            (&["validate", "--fail-on", "dead"], 2, "known: rejected, unknown, limited"),
            (&["validate", "--expect", "valid"], 2, "known: rejected"),
            (&["validate", "--jobs", "0"], 2, "--jobs"),
            (&["validate", "--jobs", "many"], 2, "--jobs"),
            (&["validate", "--report", "csv=x"], 2, "junit"),
            (&["validate", "--report", "junit"], 2, "FORMAT=PATH"),
            (&["validate", "--require", "nonsense", "mailgun@acme"], 2, "is no Mailgun role or permission"),
            (&["permissions", "mailgun@acme", "--require", "nonsense"], 2, "is no Mailgun role"),
            (&["permissions", "--for", "nonsense"], 2, "no request"),
            (&["permissions"], 2, "KEYREF"),
            (&["domains", "--explain", "x y"], 2, "is not a domain name"),
            (&["send-test", "mailgun@acme"], 2, "--to"),
            (&["send-test", "mailgun@acme", "--to", "nobody"], 2, "`nobody`"),
            (&["send-test", "mailgun@acme", "--to", "a@b.example", "--from", "x"], 2, "`x`"),
            (&["send-test", "mailgun@acme", "--to", "a@b.example", "--via", "pigeon"], 2, "pigeon"),
            (&["send-test", "mailgun@acme", "--to", "a@b.example", "--subject", "a\nb"], 2, "--subject"),
            (&["consumer", "add", "mailgun@acme", "x", "--kind", "robot"], 2, "manual, command, highlevel"),
            (&["consumer", "add", "mailgun@acme", "a\tb"], 2, "control characters"),
            (&["consumer", "add", "mailgun@acme", " "], 2, "empty"),
            (&["consumer", "add", "mailgun@acme", "x", "--kind", "command"], 2, "--command"),
            (&["consumer", "add", "mailgun@acme", "x", "--url", "shop settings"], 2, "no web address"),
            (&["consumer", "add", "mailgun@acme", "x", "--url", "javascript:alert(1)"], 2, "no web address"),
            (&["add", "mailgun:x@acme", "--consumer", "a\u{1b}b", "--stdin"], 2, "control characters"),
            (&["scope", "set", "acme", "--platform", "shopify"], 2, "known: highlevel, none"),
            (&["scope", "set", "acme", "--email-provider", "sendgrid"], 2, "known: mailgun, other"),
            (&["scope", "set", "acme/berlin", "--domain", "no domain"], 2, "domain"),
            (&["scope", "rename", "acme", "Beta"], 2, "`B`"),
            (&["scope", "import", "acme", "--from", "csv"], 2, "highlevel"),
            (&["scope", "import", "acme/berlin", "--from", "highlevel"], 2, "needs its agency"),
            (&["store", "set", "nostore"], 2, "`nostore` is no store"),
            (&["store", "init", "keyring"], 2, "file"),
            (&["store", "copy", "file", "nostore"], 2, "`nostore` is no store"),
            (&["store", "copy", "file", "file"], 2, "both stores"),
            (&["store", "recipient", "add", "bad", "--name", "x"], 2, "no age recipient"),
            (&["backup", "b.age", "--recipient", "bad"], 2, "no age recipient"),
            (&["restore", "b.age", "--to", "nostore"], 2, "b.age"),
            (&["create", "mailgun:x@acme", "--role", "emperor"], 2, "`emperor` is no role"),
            (&["create", "mailgun:x@acme", "--permissions", "campaigns:read"], 2, "campaigns:read"),
            (&["list", "--store", "nostore"], 2, "`nostore` is no store"),
            (&["get", "mailgun@acme", "--store", "nostore"], 2, "`nostore` is no store"),
        ],
    );
}

#[test]
fn times_and_dates_say_how_they_are_written() {
    let world = world();
    for text in ["5", "5y", "", "soon", "1.5h", "5 m", "99999999999999999999d", "h", "5mm"] {
        all_refused(
            &world,
            &[
                (&["list", &format!("--timeout={text}")], 2, "--timeout"),
                (&["validate", &format!("--max-age={text}")], 2, "--max-age"),
                (&["rotate", "mailgun@acme", &format!("--grace={text}")], 2, "--grace"),
                (&["create", "mailgun:x@acme", &format!("--expires-in={text}")], 2, "--expires-in"),
                (&["scope", "set", "acme", &format!("--rotate-every={text}")], 2, "--rotate-every"),
                (&["allowlist", "mailgun@acme", "--relax", &format!("--for={text}")], 2, "--for"),
                (&["send-test", "acme", "--to", "a@b.example", &format!("--wait={text}")], 2, "--wait"),
            ],
        );
    }
    for text in ["yesterday", "2026-13-01", "2026-02-30", "22.11.2026", "2026-11-22T25:00:00Z", ""] {
        all_refused(
            &world,
            &[
                (&["set", "mailgun@acme", &format!("--created={text}")], 2, "--created"),
                (&["set", "mailgun@acme", &format!("--expires={text}")], 2, "--expires"),
                (&["add", "mailgun:x@acme", "--stdin", &format!("--expires={text}")], 2, "--expires"),
            ],
        );
    }
    all_refused(&world, &[(&["set", "mailgun@acme", "--created", "never"], 2, "--created")]);
}

#[test]
fn options_that_do_not_go_together_are_told() {
    all_refused(
        &world(),
        &[
            (&["list", "-q", "-v"], 2, "--quiet"),
            (&["rotate", "mailgun@acme", "--plan", "--status"], 2, "--plan"),
            (&["rotate", "mailgun@acme", "--abort", "--rollback"], 2, "--abort"),
            (&["rotate", "mailgun@acme", "--kill-now"], 2, "--compromised"),
            (&["rotate", "mailgun@acme", "--start"], 2, "--due"),
            (&["rotate", "mailgun@acme", "--resume", "--all"], 2, "--all"),
            (&["rotate", "--all"], 2, "--resume"),
            (&["rotate"], 2, "no key is named"),
            (&["remove", "mailgun@acme", "--revoke", "--forget"], 2, "--forget"),
            (&["allowlist", "mailgun@acme", "--relax", "--restore"], 2, "--restore"),
            (&["allowlist", "mailgun@acme", "--for", "5m"], 2, "--relax"),
            (&["allowlist"], 2, "KEYREF"),
            (&["export", "acme", "--dotenv", "--github-env"], 2, "--github-env"),
            (&["export", "acme", "--shell", "zsh", "--dotenv"], 2, "--dotenv"),
            (&["create", "klaviyo@acme", "--print-url", "--open"], 2, "--open"),
            (&["create", "klaviyo@acme", "--stdin", "--print-url"], 2, "--print-url"),
            (&["add", "brevo@acme", "--stdin", "--from-env", "X"], 2, "--from-env"),
            (&["add", "brevo@acme", "--from-file", "a", "--from-env", "X"], 2, "--from-file"),
            (&["add", "brevo@acme", "--from-dotenv", "a"], 2, "--from-dotenv"),
            (&["add", "--from-dotenv", "a", "--scope", "acme", "--stdin"], 2, "--from-dotenv"),
            (&["add", "--dry-run"], 2, "--from-dotenv"),
            (&["add"], 2, "KEYREF"),
            (&["run", "acme"], 2, "COMMAND"),
            (&["run", "acme", "--"], 2, "COMMAND"),
            (&["validate", "mailgun@acme", "--provider", "mailgun", "--stdin"], 2, "--stdin"),
            (&["validate", "--kind", "account"], 2, "in no inventory"),
            (&["validate", "--region", "us"], 2, "in no inventory"),
            (&["domains", "acme", "--provider", "mailgun", "--stdin"], 2, "--stdin"),
            (&["domains", "--explain", "a.example", "--verify", "b.example"], 2, "--explain"),
            (&["permissions", "mailgun@acme", "--require", "admin", "--exact", "admin"], 2, "--exact"),
            (&["scope", "import", "acme"], 2, "--from"),
            (&["scope", "import", "acme", "--from", "highlevel", "--from-csv", "x"], 2, "--from-csv"),
            (&["scope", "import", "acme", "--from-csv", "x"], 2, "--id-column"),
            (&["scope", "set", "acme"], 2, "nothing to change"),
            (&["set", "mailgun@acme"], 2, "nothing"),
            (&["consumer", "add", "mailgun@acme"], 2, "NAME"),
            (
                &["consumer", "add", "mailgun@acme", "x", "--each-location", "--location", "acme"],
                2,
                "--location",
            ),
            (&["consumer", "push", "mailgun@acme", "x", "--all"], 2, "--all"),
            (&["store", "copy", "file", "keyring", "--delete-source"], 2, "--switch"),
            (&["backup"], 2, "PATH"),
            (&["backup", "b.age", "--passphrase", "--recipient", "x"], 2, "--passphrase"),
            (&["rename", "mailgun@acme", "brevo@acme"], 2, "stays one"),
        ],
    );
}

#[test]
fn what_is_to_be_read_and_is_not_there_is_named() {
    let world = world();
    all_refused(
        &world,
        &[
            (&["add", "brevo@acme", "--stdin"], 2, "stdin is empty"),
            (&["add", "brevo@acme", "--from-env", "NOT_SET"], 2, "`NOT_SET`"),
            (&["add", "brevo@acme", "--from-file", "/nonexistent"], 2, "/nonexistent"),
            (&["add", "brevo@acme", "--from-file", "/"], 2, "`/`"),
            (&["add", "--from-dotenv", "/nonexistent", "--scope", "acme"], 2, "/nonexistent"),
            (&["add", "brevo@acme"], 2, "no terminal"),
            (&["identify"], 2, "no terminal"),
            (&["identify", "--stdin"], 2, "stdin is empty"),
            (&["identify", "--from-env", "NOT_SET"], 2, "`NOT_SET`"),
            (&["validate", "--provider", "brevo", "--stdin"], 2, "stdin is empty"),
            (&["validate", "--provider", "brevo", "--from-env", "NOT_SET"], 2, "`NOT_SET`"),
            (&["domains", "--provider", "brevo", "--stdin"], 2, "stdin is empty"),
            (
                &[
                    "scope",
                    "import",
                    "acme",
                    "--from-csv",
                    "/nonexistent",
                    "--id-column",
                    "a",
                    "--name-column",
                    "b",
                ],
                2,
                "/nonexistent",
            ),
            (&["restore", "/nonexistent"], 2, "/nonexistent"),
            (&["restore", "home/.config/keyctl/keyctl.toml"], 2, "is no age file"),
            (&["man", "--output-dir", "home/.config/keyctl/keyctl.toml/x"], 1, "keyctl.toml"),
            (&["backup", "home/.config/keyctl/keyctl.toml/b.age"], 1, "keyctl.toml"),
        ],
    );
}

#[test]
fn what_is_not_recorded_is_exit_8_and_says_what_is() {
    all_refused(
        &world(),
        &[
            (&["get", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["get", "mailgun@acme/berlin"], 8, "no key `mailgun@acme/berlin`"),
            (&["show", "mailgun@beta"], 8, "mailgun:one@beta"),
            (&["get", "acme/nope"], 8, "no scope `acme/nope`"),
            (&["which", "nope"], 8, "no scope `nope`"),
            (&["list", "nope"], 8, "no scope `nope`"),
            (&["validate", "nope"], 8, "no scope `nope`"),
            (&["validate", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["validate", "--provider", "brevo"], 8, "no key matches"),
            (&["domains", "nope"], 8, "nope"),
            (&["domains", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["run", "acme/nope", "--", "true"], 8, "no scope `acme/nope`"),
            (&["run", "acme", "--only", "brevo", "--", "true"], 8, "brevo"),
            (&["export", "acme/nope"], 8, "no scope `acme/nope`"),
            (&["rotate", "nope"], 8, "no scope `nope`"),
            (&["rotate", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["rotate", "mailgun@acme", "--resume"], 8, "does not rotate"),
            (&["rotate", "mailgun@acme", "--abort"], 8, "does not rotate"),
            (&["rotate", "mailgun@acme", "--rollback"], 8, "does not rotate"),
            (&["rotate", "mailgun@acme", "--ack", "x"], 8, "does not rotate"),
            (&["set", "brevo@acme", "--note", "x"], 8, "no key `brevo@acme`"),
            (&["rename", "brevo@acme", "brevo@beta"], 8, "no key `brevo@acme`"),
            (&["disable", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["enable", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["remove", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["permissions", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["allowlist", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["send-test", "acme/nope", "--to", "a@b.example"], 8, "acme/nope"),
            (&["consumer", "list", "brevo@acme"], 8, "no key `brevo@acme`"),
            (&["consumer", "add", "brevo@acme", "x"], 8, "no key `brevo@acme`"),
            (&["consumer", "add", "mailgun@acme", "x", "--location", "acme/nope"], 8, "acme/nope"),
            (&["consumer", "push", "mailgun@acme", "x"], 8, "no consumer `x`"),
            (&["consumer", "push", "mailgun@acme"], 8, "by itself"),
            (&["consumer", "remove", "mailgun@acme", "x"], 8, "no consumer `x`"),
            (&["scope", "show", "nope"], 8, "no scope `nope`"),
            (&["scope", "set", "nope", "--name", "x"], 8, "no scope `nope`"),
            (&["scope", "remove", "nope"], 8, "no scope `nope`"),
            (&["scope", "rename", "nope", "other"], 8, "no scope `nope`"),
            (&["scope", "import", "acme", "--from", "highlevel"], 8, "agency token"),
            (&["store", "recipient", "remove", "nobody"], 8, "nobody"),
            (&["get", "mailgun@acme"], 8, "is not in the file store"),
            (&["create", "klaviyo@acme", "--like", "klaviyo@beta", "--stdin"], 8, "no key `klaviyo@beta`"),
        ],
    );
}

#[test]
fn what_could_mean_several_things_lists_them() {
    all_refused(
        &world(),
        &[
            (&["get", "beta"], 2, "`mailgun:one@beta`, `mailgun:two@beta`"),
            (&["run", "beta", "--", "true"], 2, "mailgun:one@beta"),
            (&["export", "beta"], 2, "mailgun:one@beta"),
            (&["send-test", "beta", "--to", "a@b.example", "--domain", "d.example"], 2, "mailgun:one@beta"),
            (&["show", "mailgun"], 2, "at which scope"),
            (&["add", "mailgun", "--stdin"], 2, "at which scope"),
            (&["add", "--from-dotenv", "x"], 2, "scope"),
        ],
    );
}

#[test]
fn what_needs_a_word_of_consent_is_exit_9() {
    all_refused(
        &world(),
        &[
            (&["add", "mailgun@acme", "--stdin"], 9, "mailgun@acme"),
            (&["create", "mailgun@acme"], 9, "mailgun@acme"),
            (&["rename", "mailgun@acme", "mailgun:one@beta"], 9, "mailgun:one@beta"),
            (&["scope", "add", "acme"], 9, "acme"),
            (&["scope", "remove", "acme"], 9, "mailgun@acme"),
            (&["scope", "rename", "acme", "beta"], 9, "beta"),
        ],
    );
}

#[test]
fn variables_are_named_when_they_are_unusable() {
    let cases: &[(&str, &str, &[&str], &str)] = &[
        ("KEYCTL_FORMAT", "xml", &["list"], "known: table, json, plain"),
        ("KEYCTL_FORMAT", "xml", &["get", "mailgun@acme"], "known: table, json, plain"),
        ("KEYCTL_SCOPE", "Acme", &["list"], "`A`"),
        ("KEYCTL_SCOPE", "a/b/c", &["show", "mailgun"], "more than one"),
        ("KEYCTL_STORE", "nostore", &["list"], "`nostore` is no store"),
        ("KEYCTL_STORE", "nostore", &["get", "mailgun@acme"], "`nostore` is no store"),
        ("KEYCTL_MAILGUN_US_URL", "http://example.com", &["validate", "mailgun@acme"], "must be https"),
        ("KEYCTL_MAILGUN_US_URL", "http://10.0.0.1", &["domains", "acme"], "must be https"),
        ("KEYCTL_MAILGUN_EU_URL", "ftp://127.0.0.1", &["validate", "mailgun@acme"], "must be https"),
        ("KEYCTL_MAILGUN_EU_URL", "https://h.example/?a=b", &["validate", "mailgun@acme"], "without `?`"),
        ("KEYCTL_BREVO_URL", "https://h.example/#a", &["validate", "mailgun@acme"], "without `?`"),
        ("KEYCTL_BREVO_URL", "nonsense", &["validate", "mailgun@acme"], "is no URL"),
        ("KEYCTL_KLAVIYO_URL", "https://me:word@h.example", &["validate", "mailgun@acme"], "user name"),
        (
            "KEYCTL_HIGHLEVEL_URL",
            "http://localhost.evil.example",
            &["validate", "mailgun@acme"],
            "must be https",
        ),
        ("KEYCTL_MAILGUN_US_SMTP", "nohost", &["validate", "mailgun@acme"], "HOST:PORT"),
        ("KEYCTL_MAILGUN_EU_SMTP", "host:", &["validate", "mailgun@acme"], "HOST:PORT"),
        ("KEYCTL_BREVO_SMTP", "host:99999", &["validate", "mailgun@acme"], "HOST:PORT"),
        (
            "KEYCTL_DNS",
            "nonsense",
            &["domains", "mailgun@acme", "--explain", "a.example", "--dns"],
            "IP:PORT",
        ),
        ("KEYCTL_SETTLE", "2", &["validate", "mailgun@acme"], "is no duration"),
        ("KEYCTL_SETTLE", "-5m", &["validate", "mailgun@acme"], "is no duration"),
        ("KEYCTL_CA_FILE", "/nonexistent", &["validate", "mailgun@acme"], "cannot read"),
        ("KEYCTL_CA_FILE", "/", &["validate", "mailgun@acme"], "cannot read"),
        (
            "KEYCTL_CA_FILE",
            "home/.config/keyctl/keyctl.toml",
            &["validate", "mailgun@acme"],
            "no PEM certificate",
        ),
        ("KEYCTL_INVENTORY", "/", &["list"], "is a folder"),
    ];
    for (name, value, arguments, part) in cases {
        let mut world = world();
        world.set("KEYCTL_STORE", "env");
        world.set("KEYCTL_SECRET_MAILGUN__ACME", &format!("{:032x}-{:08x}-{:08x}", 1, 2, 3));
        world.set(name, value);
        // The flag goes before its variable.
        let said = match *name == "KEYCTL_FORMAT" {
            true => shown(&world.run(arguments), 2, part),
            false => refused(&world, arguments, 2, part),
        };
        if let Err(why) = said {
            panic!("{name}={value} {arguments:?}: {why}");
        }
        let ran = world.run(arguments);
        if *name != "KEYCTL_INVENTORY" {
            assert!(ran.stderr.contains(name), "{name}={value}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains(":word"), "a password is repeated: {}", ran.stderr);
    }
}

#[test]
fn a_key_in_the_wrong_variable_is_not_repeated() {
    let mut world = world();
    let key = ["key-", &"0a1b2c3d".repeat(4)].concat();
    world.set("KEYCTL_SETTLE", &key);
    world.set("KEYCTL_STORE", "env");
    world.set("KEYCTL_SECRET_MAILGUN__ACME", &format!("{:032x}-{:08x}-{:08x}", 1, 2, 3));
    let ran = world.run(&["validate", "mailgun@acme"]).exits(2);
    assert!(ran.stderr.contains("`KEYCTL_SETTLE`: what it holds looks like a key"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&key), "{}", ran.stderr);
}

/// Jobs set variables to nothing; that is as good as unset.
#[test]
fn variables_that_are_empty_are_not_set() {
    let mut world = world();
    for (name, _) in keyctl::context::env::DOCUMENTED {
        if name.starts_with("KEYCTL_") && !name.contains('\u{2026}') {
            world.set(name, "");
        }
    }
    let ran = world.run(&["list"]).exits(0);
    assert!(ran.stdout.contains("mailgun@acme"), "{}", ran.stdout);
    world.set("KEYCTL_FORMAT", "json");
    world.set("KEYCTL_SCOPE", "acme");
    assert_eq!(world.run(&["show", "mailgun"]).exits(0).data()["key"]["key"], "mailgun@acme");
    assert_eq!(world.run(&["-f", "plain", "which", "acme"]).exits(0).stdout.lines().count(), 1);
}

#[test]
fn a_bad_inventory_is_named_with_line_and_column_and_left_alone() {
    let cases: &[(&str, &str)] = &[
        ("version = 1\n[key.\"mailgun@acme\"\nid = 3\n", "keyctl.toml:2:"),
        ("version = 2\n", "reads version 1 only"),
        ("version = \"one\"\n", "keyctl.toml:1:"),
        ("version = 1\n[key.\"mailgun@acme\"]\nid = \"kaaa\"\nkind = \"robot\"\n", "keyctl.toml:4:"),
        ("version = 1\n[key.\"mailgun@Acme\"]\nid = \"kaaa\"\nkind = \"account\"\n", "keyctl.toml:2:"),
        ("version = 1\nversion = 1\n", "keyctl.toml:2:"),
    ];
    for (text, part) in cases {
        let found = ["xkeysib-", "nothing"].concat();
        let world = World::new().with("KEYCTL_NO_INPUT", "1").with("FOUND", &found);
        world.write_inventory(text);
        for arguments in [
            &["list"][..],
            &["show", "mailgun@acme"],
            &["get", "mailgun@acme"],
            &["run", "acme", "--", "true"],
            &["export", "acme"],
            &["which", "acme"],
            &["validate"],
            &["identify", "--from-env", "FOUND"],
            &["domains"],
            &["send-test", "acme", "--to", "a@b.example"],
            &["rotate", "mailgun@acme"],
            &["rotate", "--status"],
            &["rotate", "--due"],
            &["set", "mailgun@acme", "--note", "x"],
            &["rename", "mailgun@acme", "mailgun:x@acme"],
            &["remove", "mailgun@acme", "--forget"],
            &["disable", "mailgun@acme"],
            &["enable", "mailgun@acme"],
            &["permissions", "mailgun@acme"],
            &["consumer", "list"],
            &["consumer", "add", "mailgun@acme", "x"],
            &["scope", "list"],
            &["scope", "add", "beta"],
            &["allowlist", "mailgun@acme"],
            &["store", "set", "env"],
            &["add", "brevo@acme", "--from-env", "FOUND"],
            &["create", "mailgun:x@acme"],
            &["backup", "b.age"],
        ] {
            if let Err(why) = refused(&world, arguments, 2, part) {
                panic!("{text:?}: {arguments:?}: {why}");
            }
        }
    }
}
