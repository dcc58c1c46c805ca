//! `examples/ci`, run for real: the shell lines of each example with the
//! sandbox as the vendor, and the alarms with Prometheus' own tool. What needs
//! the service itself (runners, cron, systemd, a compiler) stays out.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::sandbox::{Sandbox, SandboxKey};
use super::support::world::{Ran, finish, program};
use super::support::{World, skip};

/// A machine with a file store, two keys, and the program on its path.
struct Machine {
    world: World,
    sandbox: Sandbox,
    second: SandboxKey,
}

impl Machine {
    fn new() -> Self {
        let sandbox = Sandbox::start();
        let account = sandbox.mailgun_account();
        sandbox.domain(&account, "us", "mg.acme.example", "active");
        let mut world = World::new();
        world.join(&sandbox.env());
        let first = sandbox.mailgun_key(&account, "admin");
        let second = sandbox.mailgun_key(&account, "developer");
        for (key, held) in [("mailgun@acme", &first), ("mailgun:b@acme", &second)] {
            let arguments = ["add", key, "--stdin", "--kind", "account", "--consumer", "shop"];
            let _ = world.run_with(&arguments, &held.secret).exits(0);
        }
        let bin = world.path("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(program(), bin.join("keyctl")).unwrap();
        world.set("PATH", &format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        // The store is said by the example, where it says so.
        world.unset("KEYCTL_STORE");
        Self { world, sandbox, second }
    }

    fn text(&self, inside: &str) -> String {
        self.world.path(inside).to_string_lossy().into_owned()
    }

    /// Has the second key refused from now on.
    fn revoke(&self) {
        let body = serde_json::json!({"delete": true});
        self.sandbox.control("PUT", &format!("/mailgun/keys/{}", self.second.id), body);
    }

    /// Runs a script as a job does: it ends at the first line that fails.
    fn shell(&self, script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.world.command(&[]);
        let mut shell = Command::new("sh");
        shell.arg("-e").arg("-c").arg(script).arg("sh").args(arguments).env_clear();
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
        shell.envs(variables.iter().copied()).current_dir(self.world.path(""));
        command = shell;
        finish(command, "")
    }
}

fn example(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci").join(name)).unwrap()
}

fn example_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci").join(name)
}

/// Returns the scripts of a workflow or pipeline, each a text, without those
/// that install the program.
fn scripts(name: &str) -> Option<Vec<String>> {
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|program| {
        Command::new(program).args(["-c", "import yaml"]).output().is_ok_and(|it| it.status.success())
    })?;
    let code = "
import sys, yaml, json
def walk(node, inside):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, key in ('run', 'script'))
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, inside)
    elif inside and isinstance(node, str):
        yield node
print(json.dumps(list(walk(yaml.safe_load(open(sys.argv[1])), False))))
";
    let read = Command::new(python).args(["-c", code]).arg(example_path(name)).output().unwrap();
    let all: Vec<String> = serde_json::from_slice(&read.stdout).unwrap();
    Some(all.into_iter().filter(|it| !it.contains("cargo install")).collect())
}

#[test]
fn the_prometheus_job_writes_metrics_that_alarms_can_use() {
    let machine = Machine::new();
    let folder = machine.text("collector");
    std::fs::create_dir(&folder).unwrap();
    // cron runs it as a program of its own: it goes on where a job would end.
    let script = format!("set +e\n{}", example("prometheus-textfile.sh"));
    let file = [("KEYCTL_STORE", "file")];
    let _ = machine.shell(&script, &[&folder], &file).exits(0);
    let read = |name: &str| std::fs::read_to_string(Path::new(&folder).join(name)).unwrap();
    assert!(read("keyctl.prom").contains("keyctl_key_up{key=\"mailgun:b@acme\""), "{}", read("keyctl.prom"));
    machine.revoke();
    // A refused key is what the metrics are for: they are replaced, and the job says 3.
    let script = script.replace("--max-age 10m ", "");
    let _ = machine.shell(&script, &[&folder], &file).exits(3);
    let metrics = read("keyctl.prom");
    let down =
        "keyctl_key_up{key=\"mailgun:b@acme\",provider=\"mailgun\",kind=\"account\",scope=\"acme\"} 0\n";
    assert!(metrics.contains(down), "{metrics}");
    let names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|it| it.ends_with(".prom")), "nothing half-written is left: {names:?}");
    if Command::new("promtool").arg("--version").output().is_err() {
        return skip("promtool is not installed");
    }
    for name in names {
        let mut check = Command::new("promtool");
        check.args(["check", "metrics"]);
        let ran = finish(check, &read(&name)).exits(0);
        assert_eq!(ran.stdout.clone() + &ran.stderr, "", "{name}");
    }
}

#[test]
fn prometheus_reads_the_alarms_and_they_fire_when_they_should() {
    if Command::new("promtool").arg("--version").output().is_err() {
        return skip("promtool is not installed");
    }
    let rules = example_path("prometheus-alerts.yml");
    let mut check = Command::new("promtool");
    check.args(["check", "rules"]).arg(&rules);
    let _ = finish(check, "").exits(0);
    let folder = tempfile::tempdir().unwrap();
    let tests = folder.path().join("tests.yml");
    let key = "key=\"mailgun@acme\", provider=\"mailgun\"";
    let text = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n\
         \x20 - {{series: 'keyctl_key_up{{{key}}}', values: '1x60 0x60'}}\n\
         \x20 - {{series: 'keyctl_run_timestamp_seconds', values: '0+60x180'}}\n\
         \x20 - {{series: 'keyctl_run_complete', values: '1x180'}}\n\
         \x20 - {{series: 'keyctl_key_verdict{{key=\"brevo@acme\", verdict=\"unknown\"}}', values: '1x1600'}}\n\
         \x20 alert_rule_test:\n\
         \x20 - eval_time: 25h\n    alertname: KeyUnknown\n    exp_alerts:\n    - exp_labels: {{severity: warning, key: brevo@acme, \
         verdict: unknown}}\n      exp_annotations:\n        summary: nothing is proven of brevo@acme\n        description: keyctl \
         validate brevo@acme tells why.\n\
         \x20 - {{eval_time: 30m, alertname: KeyRejected, exp_alerts: []}}\n\
         \x20 - {{eval_time: 90m, alertname: KeysNotChecked, exp_alerts: []}}\n\
         \x20 - eval_time: 90m\n    alertname: KeyRejected\n    exp_alerts:\n    - exp_labels: {{severity: critical, key: mailgun@acme, \
         provider: mailgun}}\n      exp_annotations:\n        summary: mailgun@acme is refused by mailgun\n        description: keyctl \
         validate mailgun@acme tells why.\n",
        rules.display()
    );
    std::fs::write(&tests, text).unwrap();
    let mut check = Command::new("promtool");
    check.args(["test", "rules"]).arg(&tests);
    let ran = finish(check, "");
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_workflow_annotates_and_uploads() {
    let Some(scripts) = scripts("github-actions.yml") else { return skip("no Python that reads YAML") };
    let machine = Machine::new();
    let workspace = machine.text("repository");
    std::fs::create_dir(&workspace).unwrap();
    std::fs::copy(machine.world.inventory_path(), Path::new(&workspace).join("keyctl.toml")).unwrap();
    let inventory = format!("{workspace}/keyctl.toml");
    let data = machine.world.path("home/.local/share/keyctl");
    let store = std::fs::read_dir(&data).unwrap().map(|it| it.unwrap().path());
    let store = store.into_iter().find(|it| it.extension().is_some_and(|it| it == "age")).unwrap();
    let identity = identity(&machine.world);
    let summary = machine.text("summary");
    let store = store.to_string_lossy().into_owned();
    let variables = [
        ("KEYCTL_INVENTORY", inventory.as_str()),
        ("KEYCTL_STORE_FILE", &store),
        ("KEYCTL_IDENTITY", &identity),
        ("KEYCTL_NO_INPUT", "1"),
        ("GITHUB_WORKSPACE", &workspace),
        ("GITHUB_STEP_SUMMARY", &summary),
    ];
    let [prove, findings, due] = scripts.as_slice() else { panic!("{scripts:?}") };
    let ran = machine.shell(prove, &[], &variables).exits(0);
    assert_eq!(ran.stdout, "::notice title=keyctl validate::2 checked, 2 valid\n");
    assert!(machine.world.path("keys.sarif").exists());
    let _ = machine.shell(findings, &[], &variables).exits(0);
    let _ = machine.shell(due, &[], &variables).exits(0);
    machine.revoke();
    let ran = machine.shell(prove, &[], &variables).exits(3);
    assert!(ran.stdout.starts_with("::error file=keyctl.toml,line="), "{}", ran.stdout);
    let sarif = std::fs::read_to_string(machine.world.path("keys.sarif")).unwrap();
    assert!(sarif.contains("\"uri\": \"keyctl.toml\""), "{sarif}");
    assert!(std::fs::read_to_string(&summary).unwrap().contains("| ❌ | mailgun:b@acme |"));
    let ran = machine.shell(findings, &[], &variables).exits(3);
    assert!(ran.stdout.contains("title=mailgun%3Ab@acme%3A last-rejected"), "{}", ran.stdout);
}

/// Returns the age identity of a world's file store.
fn identity(world: &World) -> String {
    let files = world.files();
    let found = files.values().filter_map(|bytes| std::str::from_utf8(bytes).ok());
    let line = found.flat_map(str::lines).find(|line| line.starts_with("AGE-SECRET-KEY-"));
    line.expect("the store has an identity").to_owned()
}

#[test]
fn the_pipeline_writes_its_test_report() {
    let Some(scripts) = scripts("gitlab-ci.yml") else { return skip("no Python that reads YAML") };
    let mut machine = Machine::new();
    let secrets = ["mailgun@acme", "mailgun:b@acme"].map(|key| {
        let value = machine.world.run(&["--store", "file", "get", key]).exits(0).stdout.trim().to_owned();
        (keyctl::store::env::variable(&key.parse().unwrap()), value)
    });
    for (name, value) in &secrets {
        machine.world.set(name, value);
    }
    let variables = [("KEYCTL_STORE", "env"), ("KEYCTL_NO_INPUT", "1")];
    machine.revoke();
    let codes: Vec<i32> = scripts.iter().map(|it| machine.shell(it, &[], &variables).code).collect();
    assert_eq!(codes, [0, 0], "what `add` proved a moment ago is reused");
    let report = std::fs::read_to_string(machine.world.path("keys.xml")).unwrap();
    assert!(report.contains("tests=\"2\" failures=\"0\""), "{report}");
}

#[test]
fn cron_mails_nothing_while_all_is_well() {
    if Command::new("jq").arg("--version").output().is_err() {
        return skip("jq is not installed");
    }
    let machine = Machine::new();
    let jobs: Vec<String> = example("keyctl.cron")
        .lines()
        .filter(|line| line.starts_with(|it: char| it.is_ascii_digit()))
        .map(|line| line.split_whitespace().skip(6).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(jobs.len(), 3, "{jobs:?}");
    // What the file says of the environment, but for the paths.
    let said =
        |name: &str| example("keyctl.cron").lines().find_map(|it| it.strip_prefix(name).map(str::to_owned));
    let (store, input) = (said("KEYCTL_STORE=").unwrap(), said("KEYCTL_NO_INPUT=").unwrap());
    let variables = [("KEYCTL_STORE", store.as_str()), ("KEYCTL_NO_INPUT", input.as_str())];
    let _ = machine.world.run(&["--store", "file", "validate"]).exits(0);
    for job in &jobs {
        let ran = machine.shell(job, &[], &variables);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""), "{job}");
    }
    machine.revoke();
    let ran = machine.shell(&jobs[0], &[], &variables);
    let words: Vec<&str> = ran.stdout.split_whitespace().collect();
    assert_eq!(words, ["mailgun:b@acme", "rejected", "unauthorized"]);
}

#[test]
fn the_service_starts_what_it_says() {
    let machine = Machine::new();
    let unit = example("keyctl-validate.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let state = machine.text("state");
    std::fs::create_dir(&state).unwrap();
    // The program is where this build put it; `%d` holds the credential.
    let start = start.replace("/usr/local/bin/keyctl", "keyctl").replace("--max-age 10m ", "");
    let credentials = machine.text("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(format!("{credentials}/identity"), identity(&machine.world)).unwrap();
    use std::os::unix::fs::PermissionsExt;
    // Newer systemd lets the service's user in by an access list, which shows as a group's right.
    let listed = std::fs::Permissions::from_mode(0o440);
    std::fs::set_permissions(format!("{credentials}/identity"), listed).unwrap();
    let identity_file = format!("{credentials}/identity");
    let variables = [("STATE_DIRECTORY", state.as_str()), ("KEYCTL_IDENTITY_FILE", identity_file.as_str())];
    let refused = machine.shell(&start, &[], &variables).exits(7);
    assert!(
        refused.stderr.contains("can be read by other users"),
        "elsewhere it is too open: {}",
        refused.stderr
    );
    let variables = [&variables[..], &[("CREDENTIALS_DIRECTORY", credentials.as_str())]].concat();
    let _ = machine.shell(&start, &[], &variables).exits(0);
    assert!(std::fs::read_to_string(format!("{state}/keyctl.prom")).unwrap().ends_with("# EOF\n"));
    assert!(unit.contains("Environment=KEYCTL_IDENTITY_FILE=%d/identity\n"));
}
