//! `get`, `run` and `export`: which keys a program is given, under which
//! names, and nothing else. Secrets come from the `env` store.

use super::support::World;
use super::support::terminal::Terminal;
use super::support::world::{Ran, finish};

/// A made-up key of Mailgun's form.
fn mailgun(n: u8) -> String {
    format!("{:032x}-{:08x}-{:08x}", 0x00ab_cdef_u128 + u128::from(n), 0x1234_5678, n)
}

fn brevo(n: u8) -> String {
    ["xkey", "sib-", &format!("{n:064x}"), "-", &"aB3".repeat(5), "x"].concat()
}

fn klaviyo(c: char) -> String {
    ["p", "k_", &c.to_string().repeat(34)].concat()
}

/// Puts records and their secrets in place.
fn world(records: &[(&str, &str, &str)]) -> World {
    let mut world = World::bare().with("KEYCTL_STORE", "env");
    let mut text = String::from(
        "version = 1\n\n[agency.acme]\ndomain = \"mg.acme.example\"\n\n[agency.acme.location.berlin]\ndomain = \"mg.berlin.example\"\n\n[agency.acme.location.paris]\nemail_provider = \"other\"\n",
    );
    for (n, (key, fields, secret)) in records.iter().enumerate() {
        text.push_str(&format!("\n[key.\"{key}\"]\nid = \"ktest{n}aaaa\"\n{fields}\ncurrent = 1\n"));
        if !secret.is_empty() {
            world.set(&keyctl::store::env::variable(&key.parse().unwrap()), secret);
        }
    }
    world.write_inventory(&text);
    world
}

fn sample() -> World {
    world(&[
        ("mailgun@acme", "kind = \"account\"", &mailgun(1)),
        (
            "mailgun:send@acme/berlin",
            "kind = \"sending\"\ndomain = \"send.berlin.example\"\nregion = \"eu\"",
            &mailgun(2),
        ),
        (
            "mailgun:smtp@acme",
            "kind = \"smtp\"\nlogin = \"postmaster@mg.acme.example\"\ndomain = \"mg.acme.example\"",
            "correct horse",
        ),
        ("brevo@acme", "kind = \"api\"", &brevo(1)),
        ("klaviyo:a@acme", "kind = \"private\"", &klaviyo('a')),
        ("klaviyo:b@acme", "kind = \"private\"", &klaviyo('b')),
    ])
}

/// Asserts a failure that leaves stdout empty.
#[track_caller]
fn refused(ran: Ran, code: i32) -> String {
    let ran = ran.exits(code);
    assert_eq!(ran.stdout, "", "stdout is empty on failure");
    ran.stderr
}

#[test]
fn get_writes_the_secret_and_a_newline() {
    let world = sample();
    let before = world.files();
    let ran = world.run(&["get", "mailgun@acme"]).exits(0);
    assert_eq!((ran.stdout, ran.stderr), (format!("{}\n", mailgun(1)), String::new()));
    // The format does not change it.
    assert_eq!(
        world.run(&["-f", "json", "get", "mailgun@acme"]).exits(0).stdout,
        format!("{}\n", mailgun(1))
    );
    assert_eq!(world.files(), before, "reading writes nothing");
}

#[test]
fn get_never_takes_an_inherited_key_for_a_key_ref() {
    let stderr = refused(sample().run(&["get", "brevo@acme/berlin"]), 8);
    assert!(stderr.contains("inherits `brevo@acme`"), "{stderr}");
    let _ = refused(sample().run(&["-f", "json", "get", "brevo@nowhere"]), 8);
}

#[test]
fn get_of_a_scope_takes_what_run_would_hand_out() {
    let world = sample();
    let of = |arguments: &[&str]| world.run(&[&["get"], arguments].concat()).exits(0).stdout;
    assert_eq!(of(&["acme", "--provider", "mailgun"]), format!("{}\n", mailgun(1)));
    // The nearest level first: the location's sending key.
    assert_eq!(of(&["acme/berlin", "--provider", "mailgun"]), format!("{}\n", mailgun(2)));
    assert_eq!(
        of(&["acme/berlin", "--provider", "mailgun", "--kind", "account"]),
        format!("{}\n", mailgun(1))
    );
    assert_eq!(of(&["acme", "--kind", "smtp"]), "correct horse\n");
    assert_eq!(of(&["acme", "--label", "b"]), klaviyo('b') + "\n");
    let stderr = refused(world.run(&["get", "acme"]), 2);
    assert!(stderr.contains("`brevo@acme`") && stderr.contains("--provider"), "{stderr}");
    let stderr = refused(world.run(&["get", "acme", "--provider", "klaviyo"]), 2);
    assert!(stderr.contains("`klaviyo:a@acme`, `klaviyo:b@acme`"), "{stderr}");
    let _ = refused(world.run(&["get", "acme", "--provider", "highlevel"]), 8);
    let _ = refused(world.run(&["get", "acme/paris", "--provider", "mailgun"]), 8);
}

#[test]
fn get_tells_fields_with_overrides() {
    let world = sample()
        .with("KEYCTL_MAILGUN_US_URL", "http://127.0.0.1:8/us")
        .with("KEYCTL_MAILGUN_US_SMTP", "localhost:2525");
    let field = |key: &str, field: &str| world.run(&["-q", "get", key, "--field", field]).exits(0).stdout;
    assert_eq!(field("mailgun@acme", "domain"), "mg.acme.example\n");
    assert_eq!(field("mailgun:send@acme/berlin", "domain"), "send.berlin.example\n");
    assert_eq!(field("mailgun:send@acme/berlin", "region"), "eu\n");
    assert_eq!(field("mailgun@acme", "region"), "us\n");
    assert_eq!(field("mailgun@acme", "api-url"), "http://127.0.0.1:8/us\n");
    assert_eq!(field("mailgun:send@acme/berlin", "api-url"), "https://api.eu.mailgun.net\n");
    assert_eq!(field("mailgun:smtp@acme", "smtp-host"), "localhost\n");
    assert_eq!(field("mailgun:smtp@acme", "smtp-port"), "2525\n");
    assert_eq!(field("mailgun:smtp@acme", "login"), "postmaster@mg.acme.example\n");
    for (key, name) in [("brevo@acme", "region"), ("mailgun@acme", "login"), ("mailgun@acme", "smtp-host")] {
        let _ = refused(world.run(&["get", key, "--field", name]), 8);
    }
    let ran = world.run(&["get", "mailgun@acme", "--field", "api-url"]).exits(0);
    assert!(ran.stderr.contains("KEYCTL_MAILGUN_US_URL=http://127.0.0.1:8/us"), "{}", ran.stderr);
}

#[test]
fn a_missing_secret_or_slot_is_exit_8() {
    let world = world(&[("mailgun@acme", "kind = \"account\"", "")]);
    let stderr = refused(world.run(&["get", "mailgun@acme"]), 8);
    assert!(stderr.contains("KEYCTL_SECRET_MAILGUN__ACME"), "{stderr}");
    let _ = refused(sample().run(&["get", "mailgun@acme", "--slot", "pending"]), 8);
    let _ = refused(sample().run(&["get", "mailgun@acme", "--slot", "last"]), 2);
}

/// Runs a program that prints its environment and returns it, sorted.
fn environment(world: &World, arguments: &[&str]) -> Vec<String> {
    let ran = world.run(&[&["run", "-q"], arguments, &["--", "env"]].concat()).exits(0);
    let mut lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
    lines.sort();
    lines.retain(|line| {
        !line.starts_with("HOME=") && !line.starts_with("PATH=") && !line.starts_with("DBUS_")
    });
    lines
}

#[test]
fn run_sets_every_name_and_clears_all_others() {
    let mut world = sample();
    world.set("KLAVIYO_API_KEY", "another scope's");
    world.set("MAILGUN_SMTP_PASSWORD", "another scope's");
    world.set("KEYCTL_FORMAT", "json");
    world.set("UNRELATED", "stays");
    assert_eq!(
        environment(&world, &["acme", "--only", "mailgun,brevo"]),
        [
            format!("BREVO_API_KEY={}", brevo(1)),
            "MAILGUN_API_KEY=".to_owned() + &mailgun(1),
            "MAILGUN_API_REGION=us".to_owned(),
            "MAILGUN_API_URL=https://api.mailgun.net".to_owned(),
            "MAILGUN_DOMAIN=mg.acme.example".to_owned(),
            "MAILGUN_SMTP_LOGIN=postmaster@mg.acme.example".to_owned(),
            "MAILGUN_SMTP_PASSWORD=correct horse".to_owned(),
            "MAILGUN_SMTP_PORT=587".to_owned(),
            "MAILGUN_SMTP_SERVER=smtp.mailgun.org".to_owned(),
            "UNRELATED=stays".to_owned(),
        ]
    );
}

#[test]
fn run_takes_the_nearest_level_and_what_is_named() {
    let world = sample();
    let berlin = environment(&world, &["acme/berlin", "--only", "mailgun"]);
    assert!(berlin.contains(&format!("MAILGUN_API_KEY={}", mailgun(2))), "{berlin:?}");
    assert!(berlin.contains(&"MAILGUN_DOMAIN=send.berlin.example".to_owned()));
    assert!(berlin.contains(&"MAILGUN_API_URL=https://api.eu.mailgun.net".to_owned()));
    // A named key goes before the scope's; a key ref settles what is ambiguous.
    let named = environment(&world, &["acme/berlin", "mailgun@acme", "klaviyo:b@acme"]);
    assert!(named.contains(&format!("MAILGUN_API_KEY={}", mailgun(1))), "{named:?}");
    assert!(named.contains(&format!("KLAVIYO_API_KEY={}", klaviyo('b'))));
}

#[test]
fn run_exits_before_the_program_starts_when_keys_are_missing_or_ambiguous() {
    let world = sample();
    let marker = world.path("started");
    let touch = ["--", "touch", marker.to_str().unwrap()];
    let run = |arguments: &[&str]| world.run(&[&["run"], arguments, &touch].concat());
    let _ = refused(run(&["acme", "--only", "highlevel"]), 8);
    let _ = refused(run(&["acme/paris"]), 8);
    let _ = refused(run(&["nowhere"]), 8);
    let stderr = refused(run(&["acme"]), 2);
    assert!(stderr.contains("`klaviyo:a@acme`, `klaviyo:b@acme`"), "{stderr}");
    let _ = refused(run(&["klaviyo:a@acme", "klaviyo:b@acme"]), 2);
    let _ = refused(run(&["mailgun@acme/berlin"]), 8);
    assert!(!marker.exists());
}

#[test]
fn run_ends_with_the_programs_code() {
    let world = sample();
    let run = |command: &[&str]| world.run(&[&["run", "brevo@acme", "--"], command].concat());
    let _ = run(&["sh", "-c", "exit 37"]).exits(37);
    assert!(refused(run(&["no-such-program-here"]), 127).contains("no-such-program-here"));
    let _ = refused(run(&["/etc"]), 126);
    // Arguments after `--` are the program's, whatever they look like.
    let ran = run(&["echo", "@s", "12", "--reveal", &mailgun(9)]).exits(0);
    assert_eq!(ran.stdout, format!("@s 12 --reveal {}\n", mailgun(9)));
    // Its input is the program's, too.
    let ran = world.run_with(&["run", "brevo@acme", "--", "cat"], "through\n").exits(0);
    assert_eq!(ran.stdout, "through\n");
}

#[test]
fn export_is_what_real_shells_take() {
    let nasty = "it's \"a\" $HOME `id` \\n #x !y %z\n  second line * é ’";
    let world = world(&[("mailgun:smtp@acme", "kind = \"smtp\"\nlogin = \"o'neil@mg.acme.example\"", nasty)]);
    for shell in ["bash", "zsh", "fish"] {
        let Some(path) = which(shell) else {
            super::support::skip(&format!("{shell} is not installed"));
            continue;
        };
        let code = world.run(&["export", "acme", "--shell", shell]).exits(0).stdout;
        let script = format!("{code}printenv MAILGUN_SMTP_PASSWORD; printenv MAILGUN_SMTP_LOGIN");
        let mut command = std::process::Command::new(path);
        if shell == "fish" {
            command.arg("--no-config");
        }
        command
            .args(["-c", &script])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", world.path("home"));
        let ran = finish(command, "").exits(0);
        assert_eq!(ran.stdout, format!("{nasty}\no'neil@mg.acme.example\n"), "{shell}");
    }
    assert_eq!(
        world.run(&["export", "acme"]).exits(0).stdout,
        world.run(&["export", "acme", "--shell", "zsh"]).exits(0).stdout
    );
}

fn which(program: &str) -> Option<String> {
    ["/usr/bin", "/bin", "/usr/local/bin"]
        .iter()
        .map(|it| format!("{it}/{program}"))
        .find(|it| std::path::Path::new(it).exists())
}

#[test]
fn export_writes_dotenv_lines() {
    let ran = sample().run(&["export", "brevo@acme", "mailgun:smtp@acme", "--dotenv"]).exits(0);
    assert_eq!(
        ran.stdout,
        format!(
            "BREVO_API_KEY={}\nMAILGUN_SMTP_SERVER=smtp.mailgun.org\nMAILGUN_SMTP_PORT=587\n\
             MAILGUN_SMTP_LOGIN=postmaster@mg.acme.example\nMAILGUN_SMTP_PASSWORD='correct horse'\n",
            brevo(1)
        )
    );
}

#[test]
fn export_to_a_github_job_appends_and_masks_secrets_only() {
    let world = sample();
    let stderr = refused(world.run(&["export", "mailgun@acme", "--github-env"]), 2);
    assert!(stderr.contains("GITHUB_ENV"), "{stderr}");
    let file = world.path("github-env");
    std::fs::write(&file, "BEFORE=1\n").unwrap();
    let world = world.with("GITHUB_ENV", file.to_str().unwrap());
    let ran = world.run(&["export", "mailgun@acme", "--github-env"]).exits(0);
    assert_eq!(ran.stdout, format!("::add-mask::{}\n", mailgun(1)));
    assert!(!ran.stderr.contains(&mailgun(1)));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!(
            "BEFORE=1\nMAILGUN_API_KEY={}\nMAILGUN_DOMAIN=mg.acme.example\nMAILGUN_API_REGION=us\n\
             MAILGUN_API_URL=https://api.mailgun.net\n",
            mailgun(1)
        )
    );
    let _ = refused(world.run(&["export", "acme", "--dotenv", "--github-env"]), 2);
    let _ = refused(world.run(&["export", "acme"]), 2);
}

/// Runs the program on a terminal and returns what it showed.
fn on_a_terminal(world: &World, arguments: &[&str]) -> (String, i32) {
    Terminal::start(world.command(arguments)).end()
}

#[test]
fn a_terminal_is_shown_a_secret_only_with_reveal() {
    let world = sample();
    for command in [&["get", "brevo@acme"][..], &["export", "brevo@acme"]] {
        let (shown, code) = on_a_terminal(&world, command);
        assert_eq!(code, 9, "{shown}");
        assert!(shown.contains("--reveal") && !shown.contains(&brevo(1)), "{shown}");
        let (shown, code) = on_a_terminal(&world, &[command, &["--reveal"]].concat());
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains(&brevo(1)), "{shown}");
    }
    let (shown, code) = on_a_terminal(&world, &["get", "mailgun@acme", "--field", "domain"]);
    assert_eq!((shown.trim(), code), ("mg.acme.example", 0));
}
