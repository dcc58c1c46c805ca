//! A hermetic home for one test: its own folders, an empty environment but
//! what the test sets, the program by its absolute path, and a file store, so
//! that no keyring is needed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run left: exit code, stdout, stderr.
#[derive(Debug, Clone)]
#[must_use = "check the exit code"]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Asserts the exit code, showing everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Returns stdout as JSON, held against the schema of its command.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let document = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr));
        super::schemas::check(&document);
        document
    }

    /// Returns the `data` of the JSON on stdout.
    #[track_caller]
    pub fn data(&self) -> serde_json::Value {
        self.json()["data"].clone()
    }
}

/// A home folder with everything in it, removed at the end of the test.
pub struct World {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl World {
    /// Returns a world whose secrets are in a file store, ready to use.
    pub fn new() -> Self {
        let world = Self::bare().with("KEYCTL_STORE", "file");
        let surroundings = keyctl::store::Surroundings {
            data_dir: world.path("home/.local/share/keyctl"),
            config_dir: world.path("home/.config/keyctl"),
            ..keyctl::store::Surroundings::default()
        };
        keyctl::store::file::init(&surroundings, "test", None).unwrap();
        world
    }

    /// Returns a world without a store, as a new user has it.
    pub fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("home")).unwrap();
        let mut world = Self { folder, variables: BTreeMap::new() };
        let home = world.path("home").to_string_lossy().into_owned();
        world.set("HOME", &home);
        world.set("PATH", "/usr/local/bin:/usr/bin:/bin");
        world.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
        world
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    pub fn unset(&mut self, name: &str) {
        self.variables.remove(name);
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Points the program at a sandbox.
    pub fn join(&mut self, variables: &[(String, String)]) {
        for (name, value) in variables {
            self.set(name, value);
        }
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    pub fn inventory_path(&self) -> PathBuf {
        self.path("home/.config/keyctl/keyctl.toml")
    }

    /// Returns the inventory's text; empty when there is none.
    pub fn inventory(&self) -> String {
        std::fs::read_to_string(self.inventory_path()).unwrap_or_default()
    }

    pub fn write_inventory(&self, text: &str) {
        std::fs::create_dir_all(self.inventory_path().parent().unwrap()).unwrap();
        std::fs::write(self.inventory_path(), text).unwrap();
    }

    /// Returns the program, set up but not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().envs(&self.variables).current_dir(self.folder.path());
        command
    }

    /// Runs the program without input.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs the program with `input` on stdin.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        finish(self.command(arguments), input)
    }

    /// Runs with `-f json` and returns the `data`, asserting the exit code.
    #[track_caller]
    pub fn data(&self, arguments: &[&str], code: i32) -> serde_json::Value {
        let mut all = vec!["-f", "json"];
        all.extend_from_slice(arguments);
        self.run(&all).exits(code).data()
    }

    /// Returns every file below the world with its content, to prove that
    /// nothing changed or that a secret stands nowhere.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        walk(self.folder.path(), &mut found);
        found
    }
}

impl World {
    /// Asserts that no file is another than in `before`.
    #[track_caller]
    pub fn unchanged_since(&self, before: &BTreeMap<PathBuf, Vec<u8>>) {
        let after = self.files();
        let names = before.keys().chain(after.keys());
        let changed: Vec<_> = names.filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty(), "changed: {changed:?}");
    }
}

/// Runs a command with `input` on stdin and returns what it left.
pub fn finish(mut command: Command, input: &str) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that reads no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Returns the program under test, never one found on the path: Debian has
/// another program of that name.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_keyctl"))
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
}
