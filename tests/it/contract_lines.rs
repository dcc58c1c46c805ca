//! Every form of a command line that the contract shows is understood, and each
//! command's help can be read and names every option.

use std::ffi::OsString;

use keyctl::cli;

/// Command lines, each with every option of the form it stands for.
const LINES: &str = "
add mailgun@acme
add mailgun:a@acme/berlin --kind sending --region eu --domain mg.acme.example --login a@mg.acme.example --note T --created 2026-11-22 --expires never --permissions a,b --consumer One --consumer Two --stdin --no-validate --force --replace
add mailgun@acme --expires 2026-11-22T10:00:00Z --from-env VAR
add mailgun@acme --from-file key.txt
add mailgun
add --from-dotenv .env --scope acme --dry-run
create mailgun@acme --kind account --domain mg.acme.example --role admin --permissions read-only --expires-in 90d --name Remote --note T --consumer One --consumer Two --like mailgun:b@acme --using mailgun:c@acme
create klaviyo@acme --permissions campaigns:read,lists:read --print-url
create klaviyo@acme --permissions full --open
create brevo@acme --stdin
create mailgun@acme --not-made
set mailgun@acme --note T --expires never --created 2026-11-22 --domain mg.acme.example --login L --region us --kind account --permissions a,b
list
list acme/berlin --provider mailgun
show mailgun@acme
which acme --provider brevo
rename mailgun@acme mailgun:old@acme
get mailgun@acme
get acme --provider mailgun --kind smtp --label a --slot previous --reveal
get acme --field domain
get acme --field region
get acme --field login
get acme --field api-url
get acme --field smtp-host
get acme --field smtp-port
get mailgun@acme --slot current
get mailgun@acme --slot pending
run acme -- env
run acme/berlin mailgun@acme --only mailgun,brevo -- sh -c true
export acme mailgun:b@acme --shell bash --reveal
export acme --shell zsh
export acme --shell fish
export acme --shell pwsh
export acme --shell nu
export acme --dotenv
export acme --github-env
validate
validate mailgun@acme acme/berlin --provider mailgun --require a,b --expect rejected --strict --fail-on rejected --jobs 4 --max-age 15m --report junit=a.xml --report json=-
validate --fail-on unknown
validate --fail-on limited
validate --provider mailgun --kind sending --region us --domain mg.acme.example --login L --stdin
validate --provider brevo --from-env VAR
validate --report sarif=a --report github=- --report openmetrics=b --report markdown=c
identify --stdin
identify --from-env VAR
domains
domains mailgun@acme --all --any-region --dns
domains acme --explain mg.acme.example --dns
domains acme --verify mg.acme.example
domains --provider mailgun --stdin
domains --provider brevo --from-env VAR
send-test acme --to a@b.example --from c@d.example --domain d.example --subject S --template T --via api --dry-run --wait 90s
send-test mailgun@acme --to a@b.example --via smtp
rotate mailgun@acme acme/berlin --plan --grace 24h --using mailgun:b@acme --permissions a,b --stdin --walk
rotate mailgun@acme --compromised --kill-now
rotate mailgun@acme --compromised
rotate --status
rotate mailgun@acme --status
rotate --resume
rotate mailgun@acme --resume
rotate mailgun@acme --abort
rotate mailgun@acme --rollback
rotate mailgun@acme --ack One
rotate mailgun@acme --ack-all
rotate mailgun@acme --unack One
rotate mailgun@acme --take-over
rotate --due
rotate --due --start
rotate --resume --all
disable mailgun@acme --done --using mailgun:b@acme
enable mailgun@acme --done --using mailgun:b@acme
remove mailgun@acme --revoke --using mailgun:b@acme
remove mailgun@acme --forget
permissions klaviyo@acme --require a,b
permissions klaviyo@acme --exact a,b --probe-write
permissions --for 'GET /api/profiles?include=lists'
consumer add mailgun@acme Shop --kind manual --location acme/berlin --url https://shop.example/keys
consumer add mailgun@acme Shop --kind command --command 'deploy-key --stdin'
consumer add mailgun@acme Shop --kind highlevel --each-location
consumer push mailgun@acme
consumer push mailgun@acme One Two
consumer push mailgun@acme --all
consumer push mailgun@acme --all --test-to you@example.com
consumer list
consumer list mailgun@acme
consumer remove mailgun@acme One
scope add acme --name N --highlevel-id ID --domain mg.acme.example --platform highlevel --email-provider mailgun --rotate-every 90d --default
scope set acme/berlin --name N --highlevel-id ID --domain mg.acme.example --platform none --email-provider other --rotate-every 2w --default
scope set acme/berlin --domain
scope list
scope show acme
scope remove acme
scope rename acme beta
scope import acme --from highlevel --dry-run
scope import acme --from-csv a.csv --id-column id --name-column name
audit
audit acme --online --max-age 24h --strict --report sarif=a.sarif --report junit=-
allowlist mailgun@acme
allowlist mailgun@acme --relax --for 15m
allowlist mailgun@acme --restore
store status
store set file
store init file --path p --identity i --passphrase
store recipient add age1example --name CI
store recipient list
store recipient remove CI
store copy keyring file --switch --delete-source
backup a.age --recipient age1example
backup a.age --passphrase
restore a.age --to file --dry-run
doctor --fix
completions bash
completions zsh
completions fish
man --output-dir dir
help
help environment
--inventory a.toml --store env --format json --no-input --yes --quiet --color auto --timeout 30s list
list --inventory a.toml --store file -f plain --no-input -y -q --color always --timeout 15m
list --verbose --color never --timeout 7d --format table
-v list --timeout 2w
";

fn words(line: &str) -> Vec<OsString> {
    let mut words = vec![OsString::from("keyctl")];
    for (n, part) in line.split('\'').enumerate() {
        match n % 2 {
            1 => words.push(part.into()),
            _ => words.extend(part.split_whitespace().map(OsString::from)),
        }
    }
    words
}

fn lines() -> impl Iterator<Item = &'static str> {
    LINES.lines().filter(|it| !it.is_empty())
}

#[test]
fn every_form_of_the_contract_is_understood() {
    let mut wrong = Vec::new();
    for line in lines() {
        match cli::parse(&words(line)) {
            Ok(Ok(_)) => {}
            Ok(Err(shown)) => wrong.push(format!("keyctl {line}: {shown}")),
            Err(situation) => wrong.push(format!("keyctl {line}: {situation}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns every command with its path, such as `consumer add`, outermost first.
pub fn commands() -> Vec<(String, clap::Command)> {
    fn walk(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        for inner in command.get_subcommands() {
            let path = format!("{path} {}", inner.get_name()).trim().to_owned();
            found.push((path.clone(), inner.clone()));
            walk(inner, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&cli::command(), "", &mut found);
    found
}

#[test]
fn no_command_is_left_out_of_the_table() {
    for (path, command) in commands() {
        if command.has_subcommands() {
            continue;
        }
        assert!(
            lines().any(|line| line.starts_with(&path)),
            "`{path}` has no line in the table of this test"
        );
    }
}

#[test]
fn each_help_fits_its_width_and_ends_in_examples_where_a_call_is_hard_to_guess() {
    let mut wrong = Vec::new();
    let mut all = vec![(String::new(), cli::command())];
    all.extend(commands());
    for (path, command) in all {
        let call = format!("{path} --help");
        let Ok(Err(help)) = cli::parse(&words(&call)) else { panic!("keyctl {call} shows no help") };
        let wide = help.lines().filter(|it| it.chars().count() > 100);
        wrong.extend(wide.map(|it| format!("keyctl {call}: more than 100 columns: {it}")));
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // Wrapped examples cannot be copied.
        let wide = after.lines().filter(|it| it.chars().count() > 100);
        wrong.extend(wide.map(|it| format!("keyctl {call}: an example is wrapped: {it}")));
        if command.get_about().is_none() {
            wrong.push(format!("keyctl {call}: says nothing of what it does"));
        }
        let inner = command.get_arguments().filter(|it| !it.is_global_set());
        for argument in inner.filter(|it| it.get_help().is_none()) {
            wrong.push(format!("keyctl {call}: `{}` is not explained", argument.get_id()));
        }
        let own = command.get_arguments().filter(|it| it.get_long().is_some() && !it.is_global_set()).count();
        if own >= 4 && !after.contains("keyctl ") {
            wrong.push(format!("keyctl {call}: {own} options and no example"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
