//! The limits of one account, which all its keys share: many keys of it are
//! asked without running into them, and keys of others do not wait.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::support::World;
use super::support::sandbox::Sandbox;

/// Makes accounts and keys at the sandbox and records them one by one.
struct Keys {
    sandbox: Sandbox,
    world: World,
    inventory: String,
    count: usize,
}

/// An account by the sandbox's id, and by the one the provider tells.
struct Account {
    id: String,
    told: String,
}

impl Keys {
    fn new() -> Self {
        let sandbox = Sandbox::start();
        let mut world = World::bare().with("KEYCTL_STORE", "env");
        world.join(&sandbox.env());
        Self { sandbox, world, inventory: "version = 1\n[agency.acme]\n".to_owned(), count: 0 }
    }

    fn account(&self, provider: &str, settings: Value) -> Account {
        let made = self.sandbox.control("POST", &format!("/{provider}/accounts"), json!({}));
        let id = made["id"].as_str().unwrap().to_owned();
        self.sandbox.control("PUT", &format!("/{provider}/accounts/{id}/settings"), settings);
        let told = made["organization_id"].as_str().unwrap_or(&id).to_owned();
        Account { id, told }
    }

    /// Makes a key of `account`, and records it with the account's id or without.
    fn add(&mut self, provider: &str, account: &Account, body: Value, recorded: bool) {
        let made = self.sandbox.control("POST", &format!("/{provider}/accounts/{}/keys", account.id), body);
        let secret = made["secret"].as_str().unwrap();
        let kind = if provider == "brevo" { "api" } else { "private" };
        let n = self.count;
        let key = format!("{provider}:k{n}@acme");
        write!(
            self.inventory,
            "[key.\"{key}\"]\nid = \"kaaaaaaaaaaaa{n:03}\"\nkind = \"{kind}\"\ncurrent = 1\nhighest = 1\n\
             fingerprint = \"{}\"\n",
            keyctl::key::Secret::new(secret.to_owned()).fingerprint()
        )
        .unwrap();
        if recorded {
            writeln!(self.inventory, "account_id = \"{}\"", account.told).unwrap();
        }
        self.world.set(&keyctl::store::env::variable(&key.parse().unwrap()), secret);
        self.count += 1;
    }

    fn validate(&self, arguments: &[&str], code: i32) -> Value {
        self.world.write_inventory(&self.inventory);
        let mut all = vec!["validate"];
        all.extend(arguments);
        self.world.data(&all, code)
    }

    /// Returns how many calls of a path there were, and how many were refused
    /// by the sandbox's own limits.
    fn calls(&self, path: &str) -> (usize, usize) {
        let requests = self.sandbox.requests();
        let asked = requests.iter().filter(|it| it["path"] == path);
        let (refused, served): (Vec<_>, Vec<_>) = asked.partition(|it| it["status"] == 429);
        (served.len(), refused.len())
    }
}

fn older() -> Value {
    json!({"scopes": ["accounts:read", "campaigns:read"], "older": true})
}

#[test]
fn older_klaviyo_keys_of_one_account_are_asked_one_a_second() {
    let mut keys = Keys::new();
    let account = keys.account("klaviyo", json!({"limits": true}));
    for _ in 0..4 {
        keys.add("klaviyo", &account, older(), true);
    }
    let data = keys.validate(&[], 0);
    assert_eq!(data["summary"]["valid"], 4);
    for result in data["results"].as_array().unwrap() {
        assert_eq!(result["detail"], "accepted for Acme Shop (owner@shop.example)");
    }
    assert_eq!(keys.calls("/api/accounts"), (4, 0));
    assert_eq!(keys.calls("/api/api-keys").1, 0);
}

#[test]
fn klaviyo_keys_whose_accounts_nobody_knows_are_asked_as_if_they_had_one() {
    let mut keys = Keys::new();
    let account = keys.account("klaviyo", json!({"limits": true}));
    for _ in 0..3 {
        keys.add("klaviyo", &account, older(), false);
    }
    assert_eq!(keys.validate(&[], 0)["summary"]["valid"], 3);
    assert_eq!(keys.calls("/api/accounts"), (3, 0));
}

#[test]
fn what_an_hour_allows_is_not_exceeded_and_the_rest_is_not_asked() {
    let mut keys = Keys::new();
    let (crowded, small) = (keys.account("brevo", json!({})), keys.account("brevo", json!({})));
    for recorded in [true, false] {
        for _ in 0..48 {
            keys.add("brevo", &crowded, json!({"kind": "api"}), recorded);
        }
    }
    keys.add("brevo", &small, json!({"kind": "api"}), true);
    let data = keys.validate(&[], 4);
    assert_eq!((&data["summary"]["valid"], &data["summary"]["unknown"]), (&json!(91), &json!(6)));
    assert_eq!(keys.calls("/v3/account"), (91, 0));
    let unknown = data["results"].as_array().unwrap().iter().find(|it| it["verdict"] == "unknown").unwrap();
    assert_eq!(unknown["reason"], "rate-limited");
    assert_eq!(
        unknown["detail"],
        "not asked: the budget of the account at api.brevo.com is used up \
         (of this kind keyctl makes at most 90 an hour)"
    );
    let hint = unknown["hint"].as_str().unwrap();
    assert!(hint.starts_with("try again in ") && hint.ends_with(" minutes"), "{hint}");
}
