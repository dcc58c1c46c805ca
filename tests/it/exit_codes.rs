//! Each exit code of the contract by a real command.

use serde_json::json;

use super::keep::Scene;
use super::support::World;

/// Returns a scene with a working account key as `mailgun@acme`.
fn scene() -> Scene {
    let scene = Scene::new();
    let key = scene.key("admin");
    scene.add("mailgun@acme", &key.secret, &["--kind", "account"], 0);
    scene
}

#[test]
fn code_0_a_key_that_works() {
    let _ = scene().world.run(&["validate"]).exits(0);
}

#[test]
fn code_1_a_program_that_takes_the_key_fails() {
    let scene = scene();
    let _ = scene.world.run(&["consumer", "add", "mailgun@acme", "shop", "--command", "false"]).exits(0);
    let _ = scene.world.run(&["consumer", "push", "mailgun@acme", "shop"]).exits(1);
}

#[test]
fn code_2_a_configuration_error() {
    let scene = scene();
    scene.world.write_inventory("version = 1\nkeys = [\n");
    let ran = scene.world.run(&["list"]).exits(2);
    assert!(ran.stderr.contains("keyctl.toml:"), "{}", ran.stderr);
}

#[test]
fn code_3_a_key_that_is_refused() {
    let scene = scene();
    let id = scene.show("mailgun@acme")["remote_id"].as_str().unwrap().to_owned();
    scene.sandbox.control("PUT", &format!("/mailgun/keys/{id}"), json!({"delete": true}));
    let _ = scene.world.run(&["validate"]).exits(3);
    let _ = scene.world.run(&["validate", "--fail-on", "unknown"]).exits(0);
}

#[test]
fn code_4_nothing_is_proven() {
    let scene = scene();
    scene.sandbox.fault(json!({"host": "*", "action": {"html_proxy": 403}}));
    let _ = scene.world.run(&["validate"]).exits(4);
    let _ = scene.world.run(&["domains", "acme"]).exits(4);
}

#[test]
fn code_5_limited_keys_with_strict() {
    let scene = scene();
    let path = format!("/mailgun/accounts/{}/domains/us/mg.acme.example", scene.account);
    scene.sandbox.control("DELETE", &path, json!(null));
    let _ = scene.world.run(&["scope", "set", "acme", "--platform", "highlevel"]).exits(0);
    let _ = scene.world.run(&["validate"]).exits(0);
    let _ = scene.world.run(&["validate", "--strict"]).exits(5);
}

#[test]
fn code_6_a_person_is_needed() {
    let _ = scene().world.run(&["create", "klaviyo@acme", "--no-input"]).exits(6);
}

#[test]
fn code_7_the_store_is_missing() {
    let world = World::bare().with("KEYCTL_STORE", "file").with("KEYCTL_NO_INPUT", "1");
    let _ = world.run_with(&["add", "klaviyo@acme", "--stdin"], "text").exits(7);
    let mut world = scene().world;
    world.set("KEYCTL_IDENTITY_FILE", "/nonexistent");
    let _ = world.run(&["get", "mailgun@acme"]).exits(7);
}

#[test]
fn code_8_there_is_no_such_key() {
    let scene = scene();
    let _ = scene.world.run(&["get", "brevo@acme"]).exits(8);
    let _ = scene.world.run(&["validate", "--provider", "brevo"]).exits(8);
}

#[test]
fn code_9_a_word_of_consent_is_needed() {
    let ran = scene().world.run(&["remove", "mailgun@acme"]).exits(9);
    assert!(ran.stderr.contains("--forget"), "{}", ran.stderr);
}

#[test]
fn code_64_is_meant_for_the_other_program() {
    for call in [&["show", "@u"][..], &["print", "123"], &["request2", "user", "a"], &["list", "5"]] {
        let _ = World::bare().run(call).exits(64);
    }
}

/// What was found out until then is reported, with the code that shells give an
/// interrupted program.
#[cfg(unix)]
#[test]
fn code_130_interrupted() {
    use std::io::Read as _;
    let scene = scene();
    scene.sandbox.fault(json!({"host": "*", "action": {"hang": true}}));
    scene.sandbox.clear_requests();
    let mut command = scene.world.command(&["validate", "--timeout", "3s"]);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    while scene.sandbox.requests().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(killed.success());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert!(status.code() == Some(130), "{status}: {said}");
    let _ = scene.world.run(&["list"]).exits(0);
}
