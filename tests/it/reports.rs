//! `--report`: every format from one run, held against the standards with
//! tools that others wrote, and where the reports go.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::support::scene::Scene;
use super::support::skip;

fn standard(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/standards").join(name)
}

/// Returns a scene with one key of each verdict.
fn mixed() -> Scene {
    let mut scene = Scene::new();
    scene.sandbox.domain(&scene.account, "us", "mg.acme.example", "active");
    scene.sandbox.domain(&scene.account, "eu", "mg.wien.example", "active");
    let good = scene.sandbox.mailgun_key(&scene.account, "admin");
    let weak = scene.sandbox.mailgun_key(&scene.account, "developer");
    let dead = scene.sandbox.mailgun_key(&scene.account, "admin");
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{}", dead.id), json!({"is_disabled": true}));
    scene.records(&[
        ("mailgun@acme", "kind = \"account\"\ncreated = 2026-01-01", &good.secret),
        ("mailgun@beta", "kind = \"account\"\nexpires = 2099-01-01", &dead.secret),
        ("mailgun@gone", "kind = \"account\"", "x"),
        ("mailgun@wien", "kind = \"account\"", &weak.secret),
    ]);
    scene.world.unset("KEYCTL_SECRET_MAILGUN__GONE");
    let text = scene.world.inventory()
        + "\n[agency.wien]\nplatform = \"highlevel\"\ndomain = \"mg.wien.example\"\n[agency.acme]\nplatform = \
           \"none\"\n";
    scene.world.write_inventory(&text);
    scene
}

fn report(scene: &Scene, format: &str, arguments: &[&str], code: i32) -> String {
    let target = format!("{format}=-");
    scene.world.run(&[&["validate", "--report", &target], arguments].concat()).exits(code).stdout
}

/// Returns the errors of a document by a JSON Schema.
fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.iter_errors(document).map(|it| format!("{}: {it}", it.instance_path)).collect()
}

#[test]
fn sarif_keeps_to_the_standard_and_points_at_the_line() {
    let scene = mixed();
    let document: Value = serde_json::from_str(&report(&scene, "sarif", &[], 3)).unwrap();
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(standard("sarif-2.1.0.json")).unwrap()).unwrap();
    assert_eq!(faults(&schema, &document), Vec::<String>::new());
    let mut broken = document.clone();
    broken["runs"][0]["results"][0]["level"] = json!("loud");
    assert_eq!(faults(&schema, &broken).len(), 1, "the schema is a real check");

    let results = document["runs"][0]["results"].as_array().unwrap();
    let told: Vec<(&str, &str)> =
        results.iter().map(|it| (it["ruleId"].as_str().unwrap(), it["level"].as_str().unwrap())).collect();
    assert_eq!(told, [("unauthorized", "error"), ("secret-missing", "warning"), ("domain-in-eu", "warning")]);
    let inventory = scene.world.inventory();
    let line = inventory.lines().position(|line| line == "[key.\"mailgun@beta\"]").unwrap() + 1;
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["region"]["startLine"], line);
    assert_eq!(place["artifactLocation"]["uri"], "home/.config/keyctl/keyctl.toml");
    // Lines move; what is found stays the same.
    scene.world.write_inventory(&format!("# one more line\n{inventory}"));
    let moved: Value = serde_json::from_str(&report(&scene, "sarif", &[], 3)).unwrap();
    let first = |document: &Value| document["runs"][0]["results"][0].clone();
    assert_eq!(first(&moved)["partialFingerprints"], results[0]["partialFingerprints"]);
    assert_eq!(first(&moved)["locations"][0]["physicalLocation"]["region"]["startLine"], line + 1);
}

#[test]
fn junit_keeps_to_the_schema_of_jenkins() {
    let scene = mixed();
    let text = report(&scene, "junit", &[], 3);
    let counts = "tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"0\"";
    assert!(text.contains(counts), "{text}");
    for (element, key) in
        [("failure", "mailgun@beta"), ("error", "mailgun@gone"), ("system-out", "mailgun@wien")]
    {
        let case = text.split("<testcase ").find(|it| it.starts_with(&format!("name=\"{key}\""))).unwrap();
        assert!(case.contains(&format!("<{element}")), "{key}: {case}");
    }
    let strict = report(&scene, "junit", &["--strict"], 3);
    assert!(strict.contains("failures=\"2\""), "{strict}");
    let path = scene.world.path("keys.xml");
    std::fs::write(&path, text).unwrap();
    let Ok(checked) = Command::new("xmllint")
        .arg("--noout")
        .arg("--schema")
        .arg(standard("junit-10.xsd"))
        .arg(&path)
        .output()
    else {
        return skip("xmllint is not installed");
    };
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn metrics_pass_promtool() {
    let scene = mixed();
    let text = report(&scene, "openmetrics", &[], 3);
    let has = |line: &str| assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    let labels = |key: &str| {
        format!(
            "{{key=\"{key}\",provider=\"mailgun\",kind=\"account\",scope=\"{}\"",
            &key["mailgun@".len()..]
        )
    };
    has(&format!("keyctl_key_up{}}} 1", labels("mailgun@acme")));
    has(&format!("keyctl_key_up{}}} 0", labels("mailgun@beta")));
    has(&format!("keyctl_key_verdict{},verdict=\"unknown\"}} 1", labels("mailgun@gone")));
    has(&format!("keyctl_key_expires_timestamp_seconds{}}} 4070908800", labels("mailgun@beta")));
    has(&format!("keyctl_domains_selectable{}}} 2", labels("mailgun@acme")));
    has(&format!("keyctl_domains_selectable{}}} 1", labels("mailgun@wien")));
    has("keyctl_run_complete 1");
    // What was not proven is absent.
    assert!(!text.contains(&format!("keyctl_key_up{}", labels("mailgun@gone"))), "{text}");
    assert!(!text.contains(&format!("last_success_timestamp_seconds{}", labels("mailgun@beta"))), "{text}");
    assert!(text.ends_with("# EOF\n"));
    let Ok(promtool) = Command::new("promtool").arg("--version").output() else {
        return skip("promtool is not installed");
    };
    assert!(promtool.status.success());
    let mut check = Command::new("promtool");
    check.args(["check", "metrics"]);
    let ran = super::support::world::finish(check, &text);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
}

#[test]
fn github_gets_annotations_and_a_summary() {
    let mut scene = mixed();
    let summary = scene.world.path("summary");
    std::fs::write(&summary, "before\n").unwrap();
    scene.world.set("GITHUB_STEP_SUMMARY", &summary.to_string_lossy());
    let workspace = scene.world.path("home");
    scene.world.set("GITHUB_WORKSPACE", &workspace.to_string_lossy());
    let text = report(&scene, "github", &[], 3);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let inventory = scene.world.inventory();
    let line = inventory.lines().position(|line| line == "[key.\"mailgun@beta\"]").unwrap() + 1;
    let begin =
        format!("::error file=.config/keyctl/keyctl.toml,line={line},title=mailgun@beta%3A unauthorized::");
    assert!(lines[0].starts_with(&begin), "{text}");
    assert!(lines[1].starts_with("::warning ") && lines[1].contains("secret-missing"), "{text}");
    assert!(lines[3].starts_with("::notice title=keyctl validate::4 checked, "), "{text}");
    let written = std::fs::read_to_string(&summary).unwrap();
    assert!(written.starts_with("before\n### keyctl validate\n"), "{written}");
    assert_eq!(written.lines().filter(|line| line.starts_with("| ")).count(), 4, "{written}");
}

#[test]
fn several_reports_of_one_run_have_the_same_verdicts() {
    let scene = mixed();
    let path = |name: &str| scene.world.path(name).to_string_lossy().into_owned();
    let targets: Vec<String> = ["json", "junit", "sarif", "openmetrics", "markdown"]
        .iter()
        .map(|it| format!("--report={it}={}", path(&format!("out/{it}"))))
        .collect();
    let mut arguments = vec!["-f", "json", "validate"];
    arguments.extend(targets.iter().map(String::as_str));
    let ran = scene.world.run(&arguments).exits(3);
    // The normal output stays, and the JSON report is the same document.
    assert_eq!(std::fs::read_to_string(path("out/json")).unwrap(), ran.stdout);
    let read = |name: &str| std::fs::read_to_string(path(&format!("out/{name}"))).unwrap();
    assert!(
        read("markdown").contains("| ❌ | mailgun@beta | rejected | unauthorized |"),
        "{}",
        read("markdown")
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path("out/openmetrics")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o644, "{mode:o}");
    }
    assert_eq!(std::fs::read_dir(path("out")).unwrap().count(), 5, "no temporary file is left");
    assert_eq!(scene.sandbox.request_lines().iter().filter(|it| it.ends_with("us /v1/keys")).count(), 2);
}

#[test]
fn a_report_that_cannot_be_written_fails_the_run_but_hides_nothing() {
    let scene = mixed();
    let ran = scene.world.run(&["-f", "json", "validate", "--report", "junit=/proc/none/keys.xml"]).exits(1);
    assert_eq!(ran.json()["data"]["summary"]["checked"], 4);
    assert!(ran.stderr.contains("cannot write the report `/proc/none/keys.xml`"), "{}", ran.stderr);
    for (bad, word) in [("csv=x", "no report format"), ("junit", "FORMAT=PATH"), ("junit=/", "is a folder")] {
        let ran = scene.world.run(&["validate", "--report", bad]).exits(2);
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
    let _ = scene.world.run(&["validate", "--report", "json=-", "--report", "junit=-"]).exits(2);
}

#[test]
fn a_key_in_no_inventory_is_reported_without_a_place() {
    let mut scene = Scene::new();
    scene.world.set("MY_KEY", &["key-", &"0".repeat(32)].concat());
    let arguments = ["--provider", "mailgun", "--from-env", "MY_KEY"];
    let document: Value = serde_json::from_str(&report(&scene, "sarif", &arguments, 3)).unwrap();
    let result = &document["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["locations"]), (&json!("unauthorized"), &Value::Null));
    assert!(report(&scene, "junit", &arguments, 3).contains("<testcase name=\"mailgun\""));
}
