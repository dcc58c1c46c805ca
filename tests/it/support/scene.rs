//! A sandbox and a world whose records lead to it. Secrets come from the `env`
//! store.

use serde_json::Value;

use super::World;
use super::sandbox::Sandbox;

/// A sandbox with one Mailgun account, and a world joined to it.
pub struct Scene {
    pub world: World,
    pub sandbox: Sandbox,
    pub account: String,
}

impl Scene {
    pub fn new() -> Self {
        let sandbox = Sandbox::start();
        let account = sandbox.mailgun_account();
        let mut world = World::bare().with("KEYCTL_STORE", "env");
        world.join(&sandbox.env());
        Self { world, sandbox, account }
    }

    /// Puts records (key ref, lines of the inventory, secret) in place.
    pub fn records(&mut self, records: &[(&str, &str, &str)]) {
        let mut text = String::from("version = 1\n");
        for (n, (key, fields, secret)) in records.iter().enumerate() {
            let hash = keyctl::key::Secret::new((*secret).to_owned()).fingerprint();
            text.push_str(&format!(
                "\n[key.\"{key}\"]\nid = \"ktest{n}aaaa\"\n{fields}\ncurrent = 1\nhighest = 1\nfingerprint = \"{hash}\"\n"
            ));
            let variable = keyctl::store::env::variable(&key.parse().unwrap());
            self.world.set(&variable, secret);
        }
        self.world.write_inventory(&text);
    }

    /// Runs `validate` and returns the data.
    #[track_caller]
    pub fn validate(&self, arguments: &[&str], code: i32) -> Value {
        self.world.data(&[&["validate"], arguments].concat(), code)
    }
}
