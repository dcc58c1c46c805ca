//! A home, a sandbox and an account; and the invariants, checked against what
//! the sandbox knows and what the program says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::sandbox::{Sandbox, SandboxKey};
use crate::support::world::Ran;

use keyctl::context::Slot;
use keyctl::inventory::{Inventory, InventoryFile};
use keyctl::key::{KeyRef, RecordId, Secret};
use keyctl::store::{self, Item, Store, Surroundings};

pub const DOMAIN: &str = "mg.acme.example";
/// A day and a minute: past the usual grace period.
pub const PAST_GRACE: i64 = 86_460;

pub struct Rig {
    pub world: World,
    pub sandbox: Sandbox,
    pub account: String,
    /// What each recorded key was at the start.
    pub started_with: BTreeMap<String, SandboxKey>,
}

impl Rig {
    /// Returns an account with a domain and an admin key, recorded as `mailgun@acme`.
    pub fn new() -> Self {
        let sandbox = Sandbox::start();
        let mut rig = Self::on(sandbox);
        let key = rig.sandbox.mailgun_key(&rig.account, "admin");
        rig.record("mailgun@acme", &key, "kind = \"account\"");
        rig
    }

    /// Returns an account with a domain; nothing is recorded.
    pub fn on(sandbox: Sandbox) -> Self {
        let account = sandbox.mailgun_account();
        sandbox.domain(&account, "us", DOMAIN, "active");
        let mut world = World::new();
        world.join(&sandbox.env());
        world.set("USER", "ana");
        world.write_inventory("# kept: who may order keys is Jo\nversion = 1\n");
        Self { world, sandbox, account, started_with: BTreeMap::new() }
    }

    /// Records a key of the sandbox, as `add` would have.
    pub fn record(&mut self, key: &str, made: &SandboxKey, fields: &str) {
        let secret = Secret::new(made.secret.clone());
        let fields = format!(
            "{fields}\nfingerprint = \"{}\"\nlast2 = \"{}\"\nremote_id = \"{}\"",
            secret.fingerprint(),
            secret.last2(),
            made.id
        );
        self.record_secret(key, &secret, &fields);
        self.started_with.insert(key.to_owned(), made.clone());
    }

    /// Makes and records an SMTP login.
    pub fn record_login(&mut self, key: &str, login: &str) {
        let password = self.sandbox.credential(&self.account, "us", login);
        let fields = format!("kind = \"smtp\"\nlogin = \"{login}\"\nregion = \"us\"");
        self.record_secret(key, &Secret::new(password.clone()), &fields);
        self.started_with.insert(key.to_owned(), SandboxKey { id: login.to_owned(), secret: password });
    }

    /// Records a secret with fields of the caller's.
    pub fn record_secret(&mut self, key: &str, secret: &Secret, fields: &str) {
        let n = u8::try_from(self.world.inventory().matches("[key.").count()).unwrap();
        let id = RecordId::from_random([n + 1; 10]);
        let text = format!(
            "{}\n[key.\"{key}\"]   # {key} is dear to us\nid = \"{id}\"\n{fields}\ncurrent = 1\nnote = \"ordered by Jo\"\n",
            self.world.inventory()
        );
        self.world.write_inventory(&text);
        let item = Item { id, version: 1, key: key.parse::<KeyRef>().unwrap() };
        self.store().put(&item, secret).unwrap();
    }

    /// Adds text to the inventory.
    pub fn append(&self, text: &str) {
        self.world.write_inventory(&format!("{}{text}", self.world.inventory()));
    }

    pub fn store(&self) -> Box<dyn Store> {
        let surroundings = Surroundings {
            data_dir: self.world.path("home/.local/share/keyctl"),
            config_dir: self.world.path("home/.config/keyctl"),
            ..Surroundings::default()
        };
        store::open("file", &surroundings).unwrap()
    }

    /// Moves both clocks: the program's and the sandbox's.
    pub fn after(&mut self, seconds: i64) {
        self.world.set("KEYCTL_DEBUG_CLOCK_OFFSET", &seconds.to_string());
        self.sandbox.clock(seconds);
    }

    /// Returns every file of the world with its content.
    pub fn files(&self) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
        self.world.files()
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.world.run(arguments)
    }

    /// Runs `rotate` with these arguments and returns its only rotation.
    #[track_caller]
    pub fn rotate(&self, arguments: &[&str], code: i32) -> Value {
        let data = self.world.data(&[&["rotate"], arguments].concat(), code);
        let rotations = data["rotations"].as_array().unwrap();
        assert_eq!(rotations.len(), 1, "{data}");
        rotations[0].clone()
    }

    /// Returns the rotations under way.
    #[track_caller]
    pub fn status(&self) -> Vec<Value> {
        self.world.data(&["rotate", "--status"], 0)["rotations"].as_array().unwrap().clone()
    }

    /// Returns everything the sandbox knows of Mailgun.
    pub fn state(&self) -> Value {
        let state = self.sandbox.control("GET", "/state", Value::Null);
        if state["mailgun"].is_null() { state } else { state["mailgun"].clone() }
    }

    /// Returns the account's keys: listed ones, or deleted ones that still work;
    /// and its SMTP logins in the same form.
    pub fn keys(&self) -> Vec<Value> {
        let state = self.state();
        let mut keys = state["keys"].as_array().unwrap().clone();
        keys.extend(state["credentials"].as_array().unwrap().iter().map(|it| {
            json!({"id": it["login"], "secret": it["password"], "account": it["account"], "works": true,
                "description": ""})
        }));
        let mine = |it: &&Value| it["account"] == self.account.as_str();
        keys.iter().filter(mine).filter(|it| it["works"] == true || it["dies"].is_null()).cloned().collect()
    }

    /// Returns the ids of the keys that work.
    pub fn working(&self) -> Vec<String> {
        let keys = self.keys();
        let works = keys.iter().filter(|it| it["works"] == true);
        works.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns what the inventory file says, read as the program reads it.
    pub fn inventory(&self) -> Inventory {
        InventoryFile::at(self.world.inventory_path()).load().unwrap()
    }

    /// Returns a stored secret.
    pub fn get(&self, key: &str, slot: &str) -> Option<String> {
        let key: KeyRef = key.parse().unwrap();
        let inventory = self.inventory();
        let record = inventory.keys.get(&key).unwrap();
        let version = slot.parse::<Slot>().unwrap().version(record)?;
        let secret = self.store().get(&Item { id: record.id.clone(), version, key }).unwrap();
        secret.map(|it| it.expose().to_owned())
    }

    /// Asserts what holds at every moment: some stored key of `key` works, and
    /// each key of the account is one we began with or is announced.
    #[track_caller]
    pub fn invariants(&self, key: &str, context: &str) {
        let keys = self.keys();
        let slots: Vec<String> =
            ["current", "pending", "previous"].iter().filter_map(|slot| self.get(key, slot)).collect();
        let works =
            |secret: &String| keys.iter().any(|it| it["secret"] == secret.as_str() && it["works"] == true);
        assert!(slots.iter().any(works), "{context}: no stored key of {key} works");
        let inventory = self.world.inventory();
        for found in &keys {
            let id = found["id"].as_str().unwrap();
            let begun = self.started_with.values().any(|it| it.id == id);
            let description = found["description"].as_str().unwrap();
            let marked = self.inventory().rotations.keys().any(|it| description.contains(it.as_str()));
            assert!(
                begun || marked || inventory.contains(id),
                "{context}: {id} is nowhere announced:\n{inventory}"
            );
        }
        for text in [
            "# kept: who may order keys is Jo",
            &format!("# {key} is dear to us"),
            "note = \"ordered by Jo\"",
        ] {
            assert!(inventory.contains(text), "{context}: `{text}` is lost:\n{inventory}");
        }
    }

    /// Asserts that no secret of the sandbox stands in what was said or saved.
    #[track_caller]
    pub fn keeps_secrets(&self, ran: &Ran) {
        let inventory = self.world.inventory();
        for found in self.state()["keys"].as_array().unwrap() {
            let secret = found["secret"].as_str().unwrap();
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "a secret in the output");
            assert!(!inventory.contains(secret), "a secret in the inventory");
        }
    }

    /// Asserts that a key was replaced and nothing is left of the rotation.
    #[track_caller]
    pub fn is_done(&self, key: &str, context: &str) {
        assert_eq!(self.status(), Vec::<Value>::new(), "{context}");
        let old = &self.started_with[key];
        let current = self.get(key, "current").unwrap();
        assert_ne!(current, old.secret, "{context}: the old key is current");
        assert_eq!(self.get(key, "previous"), None, "{context}");
        assert_eq!(self.get(key, "pending"), None, "{context}");
        let keys = self.keys();
        let ids: Vec<&Value> = keys.iter().map(|it| &it["id"]).collect();
        let found = keys.iter().find(|it| it["secret"] == current.as_str()).unwrap();
        assert_eq!(found["works"], true, "{context}");
        assert!(!ids.contains(&&json!(old.id)), "{context}: the old key is alive");
        let shown = self.world.data(&["show", key], 0)["key"].clone();
        let id = if shown["kind"] == "smtp" { &shown["login"] } else { &shown["remote_id"] };
        assert_eq!(id, &found["id"], "{context}");
        assert_eq!(shown["note"], "ordered by Jo", "{context}");
    }
}

/// Returns a consumer table of a key.
pub fn manual(key: &str, name: &str) -> String {
    format!(
        "\n[[key.\"{key}\".consumer]]\nname = \"{name}\"\nkind = \"manual\"\nurl = \"https://{name}.example/keys\"\n"
    )
}
