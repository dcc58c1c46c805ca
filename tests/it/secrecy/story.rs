//! Every command on its good way, once in each format.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{Aviary, Canary, DOMAIN, contract_lines};

/// What takes a key as a consumer: notes how it was called, and swallows the key.
const TAKER: &str = "#!/bin/sh
cat > \"$0.given\"
{ env; tr '\\0' ' ' < /proc/self/cmdline; tr '\\0' ' ' < /proc/$$/cmdline; } > \"$0.surroundings\"
";

impl Aviary {
    /// Puts the program that takes keys in place and returns its path.
    fn taker(&self) -> String {
        let folder = self.world.path("given");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("taker");
        std::fs::write(&path, TAKER).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn set_up(&mut self) {
        for arguments in [
            &["store", "status"][..],
            &["store", "recipient", "list"],
            &["store", "set", "file"],
            &["scope", "add", "acme", "--name", "Acme"],
            &["scope", "add", "acme/berlin"],
            &["scope", "set", "acme", "--default", "--rotate-every", "90d"],
            &["scope", "list"],
            &["scope", "show", "acme"],
        ] {
            self.run(arguments, 0);
        }
        self.fill();
        self.run(&["scope", "import", "acme", "--from", "highlevel"], 0);
        self.run(&["scope", "rename", "acme/rome", "roma"], 0);
        self.run(&["scope", "remove", "acme/roma"], 0);
        let mailgun = self.mailgun.clone();
        self.run_with(&["identify", "--stdin"], mailgun.text(), 0);
        std::fs::create_dir_all(self.world.path("given")).unwrap();
        let dotenv =
            format!("# keys\nBREVO_API_KEY='{}'\nOTHER={}\n", self.brevo.text(), self.mailgun.text());
        std::fs::write(self.world.path("given/env"), dotenv).unwrap();
        self.run(&["add", "--from-dotenv", "given/env", "--scope", "acme", "--dry-run"], 0);
    }

    fn look(&mut self) {
        for arguments in [
            &["list"][..],
            &["show", "mailgun@acme"],
            &["show", "mailgun:relay@acme"],
            &["which", "acme/berlin"],
            &["validate"],
            &[
                "validate",
                "--report",
                "json=given.json",
                "--report",
                "junit=given.xml",
                "--report",
                "sarif=s.json",
            ],
            &[
                "validate",
                "--report",
                "markdown=report.markdown",
                "--report",
                "openmetrics=m.txt",
                "--report",
                "github=g.txt",
            ],
            &["domains", "acme", "--all"],
            &["domains", "mailgun@acme", "--explain", DOMAIN, "--dns"],
            &["domains", "mailgun@acme", "--verify", DOMAIN, "--yes"],
            &["send-test", "mailgun@acme", "--to", "a@b.example", "--domain", DOMAIN, "--dry-run"],
            &["send-test", "mailgun:relay@acme", "--to", "a@b.example", "--domain", DOMAIN],
            &["permissions", "mailgun@acme"],
            &["permissions", "klaviyo@acme"],
            &["allowlist", "mailgun@acme"],
            &["doctor"],
            &["completions", "bash"],
            &["man"],
            &["help"],
            &["help", "environment"],
            &["set", "mailgun@acme", "--note", "pasted by Jo"],
            &["rename", "klaviyo@acme", "klaviyo:shop@acme"],
        ] {
            self.run(arguments, 0);
        }
        let mailgun = self.mailgun.clone();
        let ad_hoc = ["--provider", "mailgun", "--stdin"];
        self.run_with(&[&["validate", "--kind", "account"], &ad_hoc[..]].concat(), mailgun.text(), 0);
        self.run_with(&[&["domains"], &ad_hoc[..]].concat(), mailgun.text(), 0);
        // What it finds is not this test's business.
        let ran = self.world.run(&["audit", "--online", "--report", "sarif=a.sarif"]);
        assert!([0, 3].contains(&ran.code), "{ran:?}");
        self.said.push(("audit".to_owned(), ran));
    }

    fn hand(&mut self) {
        let (mailgun, brevo) = (self.mailgun.clone(), self.brevo.clone());
        self.hand_out(&["get", "mailgun@acme"], &mailgun);
        self.run(&["get", "mailgun@acme", "--field", "api-url"], 0);
        self.hand_out(&["export", "brevo@acme"], &brevo);
        self.hand_out(&["export", "brevo@acme", "--dotenv"], &brevo);
        self.hand_out(&["run", "brevo@acme", "--", "sh", "-c", "echo $BREVO_API_KEY"], &brevo);
        self.run(&["run", "brevo@acme", "--", "sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"], 0);
    }

    fn deploy(&mut self) {
        let taker = self.taker();
        self.run(&["consumer", "add", "mailgun@acme", "shop", "--command", &taker], 0);
        self.run(&["consumer", "add", "mailgun@acme", "agency", "--url", "https://h.example/keys"], 0);
        self.run(&["consumer", "list"], 0);
        self.run(&["consumer", "push", "mailgun@acme", "shop"], 0);
        let read = |name: &str| std::fs::read_to_string(format!("{taker}.{name}")).unwrap();
        assert_eq!(read("given"), self.mailgun.text());
        let surroundings = read("surroundings");
        assert!(surroundings.contains("KEYCTL_CONSUMER=shop"), "{surroundings}");
        for canary in self.canaries() {
            canary.is_nowhere_in(&surroundings, "the environment or arguments of a consumer's program");
        }
        self.run(&["rotate", "mailgun@acme", "--plan"], 0);
        self.run(&["rotate", "mailgun@acme", "--yes"], 6);
        self.run(&["rotate", "--status"], 0);
        let surroundings = read("surroundings");
        for canary in self.canaries() {
            canary.is_nowhere_in(&surroundings, "the environment or arguments of a consumer's program");
        }
        self.run(&["rotate", "mailgun@acme", "--ack", "agency"], 0);
        self.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", "86460");
        self.sandbox.clock(86_460);
        self.run(&["rotate", "mailgun@acme", "--resume"], 0);
        self.world.unset("KEYCTL_DEBUG_CLOCK_OFFSET");
        self.sandbox.clock(0);
        self.run(&["consumer", "remove", "mailgun@acme", "agency"], 0);
        self.run(&["create", "mailgun:news@acme", "--kind", "sending", "--domain", DOMAIN], 0);
        self.run(&["remove", "mailgun:news@acme", "--revoke", "--yes"], 0);
        let keys = format!("/klaviyo/accounts/{}/keys", self.klaviyo);
        let made = self.sandbox.control("POST", &keys, json!({"scopes": ["accounts:read", "lists:read"]}));
        let made = Canary::of(made["secret"].as_str().unwrap());
        self.run_with(&["create", "klaviyo:made@acme", "--stdin"], made.text(), 0);
        self.klaviyo_key = made;
        // It works all the same, which is said.
        self.run(&["disable", "brevo@acme", "--done"], 3);
        self.run(&["enable", "brevo@acme", "--done"], 0);
        self.run(&["remove", "brevo@acme", "--forget"], 0);
    }

    fn keep_elsewhere(&mut self) {
        let recipient = ["age1", "lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"].concat();
        self.run(&["store", "recipient", "add", &recipient, "--name", "CI"], 0);
        self.run(&["store", "recipient", "remove", "CI"], 0);
        self.run(&["backup", "saved.age"], 0);
        self.run(&["restore", "saved.age", "--dry-run"], 0);
        self.run(&["store", "init", "file", "--path", "other.age", "--identity", "other.identity"], 0);
        // No keyring is there: the copy fails, and says nothing of what it would copy.
        self.run(&["store", "copy", "file", "keyring"], 7);
    }
}

fn through_every_command(format: &str) {
    let mut aviary = Aviary::new(format);
    aviary.set_up();
    aviary.look();
    aviary.hand();
    aviary.deploy();
    aviary.keep_elsewhere();
    aviary.search();
    for (path, command) in contract_lines::commands() {
        let called = |(call, _): &(String, _)| call.starts_with(&path);
        assert!(
            command.has_subcommands() || aviary.said.iter().any(called),
            "no canary went through `{path}`: add it to the story"
        );
    }
}

#[test]
fn through_every_command_as_table() {
    through_every_command("table");
}

#[test]
fn through_every_command_as_json() {
    through_every_command("json");
}

#[test]
fn through_every_command_as_plain() {
    through_every_command("plain");
}

/// Whatever option or operand it is given as, it is refused unread.
#[test]
fn a_key_as_an_argument_is_refused_everywhere() {
    let aviary = Aviary::new("json");
    let wrong = |canary: &Canary, words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = aviary.world.run(&words).exits(2);
        canary.is_nowhere_in(&format!("{ran:?}"), "a refusal");
        assert!(ran.stderr.contains("looks like a key"), "{words:?}: {}", ran.stderr);
    };
    let before = aviary.world.files();
    for (n, (path, command)) in contract_lines::commands().into_iter().enumerate() {
        let all = [&aviary.mailgun, &aviary.brevo, &aviary.klaviyo_key, &aviary.highlevel];
        let canary = all[n % all.len()];
        let words = |more: &[String]| {
            let path = path.split(' ').map(str::to_owned);
            path.chain(more.iter().cloned()).collect::<Vec<String>>()
        };
        wrong(canary, &words(&[canary.text().to_owned()]));
        let taking = command.get_arguments().filter(|it| it.get_action().takes_values());
        for option in taking.filter_map(clap::Arg::get_long) {
            wrong(canary, &words(&[format!("--{option}"), canary.text().to_owned()]));
            wrong(canary, &words(&[format!("--{option}=api:{}", canary.text())]));
        }
    }
    aviary.world.unchanged_since(&before);
    assert_eq!(aviary.sandbox.requests().len(), 0);
}
