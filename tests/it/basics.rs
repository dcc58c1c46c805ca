//! The program's edges: help, version, usage errors, the other keyctl.

use super::support::World;

#[test]
fn an_empty_home_has_an_empty_list() {
    let world = World::bare();
    let ran = world.run(&["list"]).exits(0);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr, "hint: nothing is recorded yet; add the first key: `keyctl add mailgun@AGENCY`\n");
    assert_eq!(world.data(&["list"], 0), serde_json::json!({"keys": []}));
    assert!(world.files().is_empty(), "reading writes nothing");
}

#[test]
fn the_version_tells_this_program_from_the_kernel_keyrings() {
    let ran = World::bare().run(&["--version"]).exits(0);
    assert!(ran.stdout.starts_with("keyctl (e-mail API keys) "), "{}", ran.stdout);
}

#[test]
fn a_call_for_the_kernel_keyring_is_answered_and_nothing_read() {
    let world = World::bare();
    for call in [&["show", "@s"][..], &["list", "12345"], &["padd", "user", "name", "@s"]] {
        let ran = world.run_with(call, "some secret").exits(64);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("keyutils"), "{}", ran.stderr);
    }
}

#[test]
fn a_secret_as_an_argument_is_refused_and_not_echoed() {
    let key = ["0a".repeat(16).as_str(), "-0123abcd", "-4567cdef"].concat();
    let ran = World::bare().run(&["-f", "json", "add", "mailgun@acme", &key]).exits(2);
    assert_eq!(ran.json()["error"]["code"], "secret-in-argument");
    assert_eq!(ran.json()["command"], "add");
    assert!(!format!("{ran:?}").contains(&key[..32]));
}

#[test]
fn a_key_that_is_not_there_is_exit_8_in_every_format() {
    let world = World::bare();
    for format in ["table", "json", "plain"] {
        let _ = world.run(&["-f", format, "show", "mailgun@acme"]).exits(8);
    }
    let ran = world.run(&["-f", "json", "show", "mailgun@acme"]);
    assert_eq!(ran.json()["error"]["code"], "no-such-key");
    assert!(ran.json()["error"]["hint"].is_string());
}
