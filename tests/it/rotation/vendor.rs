//! Vendors whose keys a person makes and ends in a console.

use serde_json::{Value, json};

use super::rig::Rig;
use crate::support::sandbox::{Sandbox, SandboxKey};

/// A vendor's account in the sandbox, and how its keys are made and ended.
pub struct Vendor {
    pub rig: Rig,
    pub keys: String,
    one: &'static str,
    made: Value,
}

impl Vendor {
    pub fn brevo() -> Self {
        Self::of(Sandbox::start(), "/brevo/accounts", "keys", "/brevo/keys", json!({"kind": "api"}))
    }

    pub fn klaviyo() -> Self {
        let scopes = json!({"scopes": ["accounts:read", "credentials:read", "lists:read"], "name": "shop"});
        Self::of(Sandbox::start(), "/klaviyo/accounts", "keys", "/klaviyo/keys", scopes)
    }

    pub fn highlevel() -> Self {
        let level = json!({"level": "agency"});
        Self::of(Sandbox::start(), "/highlevel/companies", "tokens", "/highlevel/tokens", level)
    }

    pub fn of(sandbox: Sandbox, accounts: &str, keys: &str, one: &'static str, made: Value) -> Self {
        let account = sandbox.control("POST", accounts, json!({}))["id"].as_str().unwrap().to_owned();
        let keys = format!("{accounts}/{account}/{keys}");
        Self { rig: Rig::on(sandbox), keys, one, made }
    }

    pub fn make(&self) -> SandboxKey {
        self.make_with(self.made.clone())
    }

    pub fn make_with(&self, body: Value) -> SandboxKey {
        let made = self.rig.sandbox.control("POST", &self.keys, body);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        SandboxKey { id: text("id"), secret: text("secret") }
    }

    pub fn change(&self, id: &str, body: Value) {
        self.rig.sandbox.control("PUT", &format!("{}/{id}", self.one), body);
    }

    pub fn record(&mut self, key: &str, made: &SandboxKey, kind: &str) {
        let secret = keyctl::key::Secret::new(made.secret.clone());
        let fields = format!(
            "kind = \"{kind}\"\nfingerprint = \"{}\"\nlast2 = \"{}\"",
            secret.fingerprint(),
            secret.last2()
        );
        self.rig.record_secret(key, &secret, &fields);
    }
}
