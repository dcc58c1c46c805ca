//! A desktop session for one test: a message bus of its own, a home of its own
//! and, on it, a real keyring in the state that the test is about. The test runs
//! inside it as a second process of the same test binary.

use std::path::Path;
use std::process::Command;

/// The keyring of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keyring {
    /// gnome-keyring-daemon with an unlocked default collection.
    Unlocked,
    /// gnome-keyring-daemon of somebody who never made a collection.
    NoCollection,
    /// A bus on which nobody offers the Secret Service.
    NoProvider,
    /// A program that owns the name of the Secret Service and never answers.
    Silent,
    /// No message bus at all.
    NoBus,
}

/// The password of the unlocked collection.
const PASSWORD: &str = "testpw";

/// Says which test a child process runs.
const INSIDE: &str = "KEYCTL_TEST_INSIDE";

/// No service files: nothing is on the bus that the test did not start.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

const UNLOCKED: &str = "eval \"$(printf %s \"$PASSWORD\" | gnome-keyring-daemon --unlock --components=secrets \
                        2>/dev/null)\"; export GNOME_KEYRING_CONTROL; \
                        gdbus wait --session --timeout 10 org.freedesktop.secrets; exec \"$@\"";
const NO_COLLECTION: &str = "gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1; \
                             gdbus wait --session --timeout 10 org.freedesktop.secrets; exec \"$@\"";
const NO_PROVIDER: &str = "exec \"$@\"";
const SILENT: &str = "dbus-test-tool black-hole --name=org.freedesktop.secrets & \
                      gdbus wait --session --timeout 10 org.freedesktop.secrets; \"$@\"; code=$?; kill %1; exit $code";

/// Runs `body` in a session with such a keyring. `test` is the full name of the
/// calling test (`stores::…`).
pub fn inside(test: &str, keyring: Keyring, body: impl FnOnce()) {
    if std::env::var(INSIDE).is_ok_and(|it| it == test) {
        return body();
    }
    if let Some(missing) = missing(keyring) {
        assert!(
            std::env::var_os("KEYCTL_TEST_REQUIRE_REAL").is_none(),
            "{test}: `{missing}` is not installed"
        );
        println!("skipped: {test}: `{missing}` is not installed");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let output = command(test, keyring, home.path()).output().unwrap();
    let said =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{test}, {}:\n{said}", output.status);
}

fn missing(keyring: Keyring) -> Option<&'static str> {
    let needed: &[&str] = match keyring {
        Keyring::Unlocked => &["dbus-run-session", "gnome-keyring-daemon", "secret-tool", "gdbus"],
        Keyring::NoCollection => &["dbus-run-session", "gnome-keyring-daemon", "gdbus"],
        Keyring::NoProvider => &["dbus-run-session"],
        Keyring::Silent => &["dbus-run-session", "dbus-test-tool", "gdbus"],
        Keyring::NoBus => &[],
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &&&str| std::env::split_paths(&path).any(|folder| folder.join(name).exists());
    needed.iter().find(|name| !there(name)).copied()
}

fn command(test: &str, keyring: Keyring, home: &Path) -> Command {
    for folder in ["home", "run", "data"] {
        std::fs::create_dir(home.join(folder)).unwrap();
        private(&home.join(folder));
    }
    let bus = home.join("bus.conf");
    std::fs::write(&bus, BUS).unwrap();
    // A call without a limit would hang for ever; so the session has one.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "60"]);
    if keyring != Keyring::NoBus {
        let script = match keyring {
            Keyring::Unlocked => UNLOCKED,
            Keyring::NoCollection => NO_COLLECTION,
            Keyring::Silent => SILENT,
            Keyring::NoProvider | Keyring::NoBus => NO_PROVIDER,
        };
        command.args(["dbus-run-session", "--config-file"]).arg(&bus).args(["--", "bash", "-c", script, "_"]);
    }
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("PASSWORD", PASSWORD).env(INSIDE, test).env("LC_ALL", "C.UTF-8");
    command.env("HOME", home.join("home"));
    command.env("XDG_RUNTIME_DIR", home.join("run")).env("XDG_DATA_HOME", home.join("data"));
    if keyring == Keyring::NoBus {
        command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", home.join("no-bus").display()));
    }
    command
}

fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Locks the default collection of the session this process is in.
pub fn lock() {
    let output = Command::new("gdbus")
        .args(["call", "--session", "--dest", "org.freedesktop.secrets"])
        .args(["--object-path", "/org/freedesktop/secrets"])
        .args(["--method", "org.freedesktop.Secret.Service.Lock"])
        .arg("['/org/freedesktop/secrets/collection/login']")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns what another program of the session reads: the secret, or `None`.
pub fn secret_tool_lookup(user: &str) -> Option<String> {
    let output =
        Command::new("secret-tool").args(["lookup", "service", "keyctl", "username", user]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Stores a foreign item, as another program of the session might.
pub fn secret_tool_store(secret: &str, attributes: &[&str]) {
    use std::io::Write as _;
    let mut child = Command::new("secret-tool")
        .args(["store", "--label=foreign"])
        .args(attributes)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Returns what `secret-tool search` says of every item of keyctl.
pub fn secret_tool_search() -> String {
    let output = Command::new("secret-tool").args(["search", "--all", "service", "keyctl"]).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap()
}
