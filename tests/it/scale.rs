//! Many keys: one probe for each distinct secret, a bounded number at a time,
//! and an interruption that leaves a report of what is known.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::World;
use super::support::sandbox::Sandbox;

/// Returns a world with `agencies` × `locations` keys, two of which share each
/// secret, in an account for each agency.
fn many(sandbox: &Sandbox, agencies: usize, locations: usize) -> World {
    let mut world = World::bare().with("KEYCTL_STORE", "env");
    world.join(&sandbox.env());
    let mut text = String::from("version = 1\n");
    for agency in 0..agencies {
        let account = sandbox.mailgun_account();
        sandbox.domain(&account, "us", &format!("mg.a{agency}.example"), "active");
        let mut secret = String::new();
        for location in 0..locations {
            if location % 2 == 0 {
                secret = sandbox.mailgun_key(&account, "admin").secret;
            }
            let key = format!("mailgun@a{agency}/l{location}");
            let hash = keyctl::key::Secret::new(secret.clone()).fingerprint();
            text += &format!(
                "\n[agency.a{agency}.location.l{location}]\ndomain = \"mg.a{agency}.example\"\n\
                 [key.\"{key}\"]\nid = \"k{agency}x{location}aaaa\"\nkind = \"account\"\ncurrent = 1\nhighest = 1\n\
                 fingerprint = \"{hash}\"\n"
            );
            world.set(&keyctl::store::env::variable(&key.parse().unwrap()), &secret);
        }
    }
    world.write_inventory(&text);
    world
}

#[test]
fn a_thousand_keys_are_probed_once_for_each_secret() {
    let sandbox = Sandbox::start();
    let world = many(&sandbox, 20, 50);
    let data = world.data(&["validate", "--jobs", "32", "--timeout", "120s"], 0);
    assert_eq!(
        data["summary"],
        json!({"checked": 1000, "valid": 1000, "limited": 0, "rejected": 0, "unknown": 0, "probes": 500, "complete": true})
    );
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for request in sandbox.requests() {
        let path = request["path"].as_str().unwrap();
        *asked.entry(format!("{} {}", request["host"].as_str().unwrap(), path)).or_default() += 1;
        assert_eq!(request["method"], "GET");
    }
    let keys: usize = asked.iter().filter(|(path, _)| path.ends_with("/v1/keys")).map(|(_, n)| n).sum();
    let domains: usize = asked.iter().filter(|(path, _)| path.ends_with("/v4/domains")).map(|(_, n)| n).sum();
    assert_eq!((keys, domains), (500, 1_000), "{asked:?}");
    let results = data["results"].as_array().unwrap();
    assert!(results.iter().all(|it| it["at"].as_array().unwrap().len() == 1));
    let sorted = results.windows(2).all(|pair| pair[0]["key"].as_str() < pair[1]["key"].as_str());
    assert!(sorted, "results are in the order of key refs");
    // Nothing has changed, and nothing is asked again within the hour.
    sandbox.clear_requests();
    let again = world.data(&["validate", "--max-age", "1h"], 0);
    assert_eq!((&again["summary"]["checked"], &again["summary"]["probes"]), (&json!(1000), &json!(0)));
    assert!(sandbox.requests().is_empty());
}

#[cfg(unix)]
#[test]
fn a_host_that_never_answers_does_not_hold_up_an_interrupted_run() {
    let sandbox = Sandbox::start();
    let world = many(&sandbox, 1, 6);
    let known = sandbox.requests().len();
    sandbox.fault(json!({"host": "*", "after": 6, "action": {"hang": true}}));
    let mut command = world.command(&["-f", "json", "validate", "--jobs", "2", "--timeout", "10m"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    while sandbox.requests().len() < known + 6 {
        assert!(Instant::now() < patience, "nothing was asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // It would wait for ten minutes.
    let end = Instant::now() + Duration::from_secs(60);
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < end, "it waits for the silent host");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(code, Some(130));
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let summary = &document["data"]["summary"];
    assert_eq!(summary["complete"], false);
    assert!(summary["checked"].as_u64().unwrap() < 6, "{summary}");
}

#[cfg(unix)]
#[test]
fn an_interruption_leaves_a_report_of_what_is_known() {
    let sandbox = Sandbox::with(&["--latency", "150ms"]);
    let world = many(&sandbox, 1, 80);
    let metrics = world.path("keys.prom").to_string_lossy().into_owned();
    let target = format!("openmetrics={metrics}");
    // Each format says in its own way that it is not the whole.
    let others = [
        ("junit", "<property name=\"complete\" value=\"false\"/>"),
        ("sarif", "The run was interrupted"),
        ("github", "::warning title=keyctl validate::interrupted, these are not all: "),
        ("markdown", "Interrupted: these are not all."),
    ];
    let paths = others.map(|(name, _)| world.path(name).to_string_lossy().into_owned());
    let reports: Vec<String> =
        others.iter().zip(&paths).map(|(it, path)| format!("{}={path}", it.0)).collect();
    let mut command = world.command(&["-f", "json", "validate", "--jobs", "2", "--report", &target]);
    for report in &reports {
        command.args(["--report", report]);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    while sandbox.requests().len() < 8 {
        assert!(Instant::now() < patience, "nothing was asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let code = child.wait().unwrap().code();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(code, Some(130), "{stderr}");
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let summary = &document["data"]["summary"];
    assert_eq!(summary["complete"], false);
    let checked = summary["checked"].as_u64().unwrap();
    assert!(0 < checked && checked < 80, "{summary}");
    assert!(stderr.contains("interrupted: these are not all keys"), "{stderr}");
    let written = std::fs::read_to_string(&metrics).unwrap();
    assert!(written.contains("\nkeyctl_run_complete 0\n"), "{written}");
    for ((name, word), path) in others.iter().zip(&paths) {
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written.contains(word), "{name}: {written}");
    }
    // What was found is remembered.
    let known = world.data(&["list"], 0);
    let known = known["keys"].as_array().unwrap().iter().filter(|it| it["last_verdict"] == "valid").count();
    assert_eq!(known as u64, checked);
}
