//! The part of the control API below `/brevo/`; described in `control.rs` at
//! the top.

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{Account, Domain, Key, Kind, Sender, Settings, State, mint};
use crate::call::{Call, Reply};
use crate::chance;
use crate::control::{Answer, done, merged, refused};
use crate::world::World;

/// Answers below `/brevo/`.
pub fn answer(world: &mut World, call: &Call) -> Reply {
    let segments = call.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).skip(1).collect();
    done(route(world, call, &path))
}

/// Returns everything, secrets included.
pub fn state(world: &World) -> Value {
    let accounts: Vec<&Account> = world.brevo.accounts.values().collect();
    let mut keys: Vec<&Key> = world.brevo.keys.values().collect();
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    json!({"accounts": accounts, "keys": keys})
}

fn route(world: &mut World, call: &Call, path: &[&str]) -> Answer {
    let now = world.now();
    let body = call.json().map_err(|error| refused(400, error))?;
    match (call.method.as_str(), path) {
        ("POST", ["accounts"]) => {
            let settings: Settings = merged(&Settings::default(), call)?;
            let account = world.brevo.open_account(settings);
            Ok(json!({"id": account.id, "organization_id": account.organization_id,
                "smtp_login": account.smtp_login}))
        }
        ("PUT", ["keys", id]) => {
            let change: ChangedKey = read(body)?;
            let key = world.brevo.keys.get_mut(*id).ok_or_else(|| refused(404, format!("no key {id}")))?;
            if let Some(state) = change.state {
                key.state = state;
            }
            if let Some(seconds) = change.expires_in {
                key.expires = now.checked_add(SignedDuration::from_secs(seconds)).ok();
            }
            Ok(json!(key))
        }
        ("POST", ["accounts", id, "keys"]) => {
            let new: NewKey = read(body)?;
            let login = account(world, id)?.smtp_login.clone();
            let key = new.key(id);
            let shown = json!({"id": key.id, "secret": key.secret, "login": login});
            world.brevo.add_key(key);
            Ok(shown)
        }
        ("PUT", ["accounts", id, "settings"]) => {
            let account = account(world, id)?;
            account.settings = merged(&account.settings, call)?;
            Ok(json!(account.settings))
        }
        ("POST", ["accounts", id, "domains"]) => {
            let domain: Domain = read(body)?;
            let account = account(world, id)?;
            account.domains.retain(|it| it.name != domain.name);
            account.domains.push(domain);
            Ok(json!(account.domains))
        }
        ("POST", ["accounts", id, "senders"]) => {
            let sender: Sender = read(body)?;
            let account = account(world, id)?;
            account.senders.retain(|it| it.email != sender.email);
            account.senders.push(sender);
            Ok(json!(account.senders))
        }
        _ => Err(refused(404, format!("no control {} {}", call.method, call.path))),
    }
}

fn account<'a>(world: &'a mut World, id: &str) -> Result<&'a mut Account, Reply> {
    world.brevo.accounts.get_mut(id).ok_or_else(|| refused(404, format!("no account {id}")))
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Reply> {
    serde_json::from_value(body).map_err(|error| refused(400, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    kind: Kind,
    #[serde(default)]
    name: String,
    #[serde(default)]
    short: bool,
    permissions: Option<Vec<String>>,
}

impl NewKey {
    fn key(self, account: &str) -> Key {
        Key {
            id: chance::hex(12),
            secret: mint(self.kind, self.short),
            account: account.to_owned(),
            kind: self.kind,
            name: self.name,
            state: State::Active,
            expires: None,
            permissions: self.permissions,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangedKey {
    state: Option<State>,
    expires_in: Option<i64>,
}
