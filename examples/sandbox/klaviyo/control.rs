//! The part of the control API below `/klaviyo/`; described in `control.rs` at
//! the top.

use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{Account, Domain, Settings};
use crate::call::{Call, Reply};
use crate::chance;
use crate::control::{Answer, done, merged, refused};
use crate::world::World;

/// Answers below `/klaviyo/`.
pub fn answer(world: &mut World, call: &Call) -> Reply {
    let segments = call.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).skip(1).collect();
    done(route(world, call, &path))
}

/// Returns everything, secrets included.
pub fn state(world: &World) -> Value {
    let accounts: Vec<&Account> = world.klaviyo.accounts.values().collect();
    json!({"accounts": accounts, "keys": world.klaviyo.keys})
}

fn route(world: &mut World, call: &Call, path: &[&str]) -> Answer {
    let now = world.now();
    let body = call.json().map_err(|error| refused(400, error))?;
    let klaviyo = &mut world.klaviyo;
    match (call.method.as_str(), path) {
        ("POST", ["accounts"]) => {
            Ok(json!({"id": klaviyo.open_account(merged(&Settings::default(), call)?)}))
        }
        ("PUT", ["keys", id]) => {
            let change: ChangedKey = read(body)?;
            let key = klaviyo.key(id).ok_or_else(|| refused(404, format!("no key {id}")))?;
            key.disabled = change.disabled.unwrap_or(key.disabled);
            key.deleted = change.deleted.unwrap_or(key.deleted);
            if let Some(scopes) = change.scopes {
                key.scopes = scopes;
            }
            Ok(json!(key))
        }
        ("POST", ["accounts", id, "keys"]) => {
            let new: NewKey = read(body)?;
            account(world, id)?;
            let key = world.klaviyo.make_key(id, &new.name, new.scopes, new.older, now);
            Ok(json!({"id": key.id, "secret": key.secret}))
        }
        ("PUT", ["accounts", id, "settings"]) => {
            let account = account(world, id)?;
            account.settings = merged(&account.settings, call)?;
            Ok(json!(account.settings))
        }
        ("POST", ["accounts", id, "domains"]) => {
            let mut domain: Domain = read(body)?;
            domain.id = chance::hex(8);
            let account = account(world, id)?;
            account.domains.push(domain);
            Ok(json!(account.domains))
        }
        ("POST", ["accounts", id, "templates"]) => {
            let template = body["id"].as_str().map_or_else(|| chance::alphanumeric(6), str::to_owned);
            account(world, id)?.templates.push(template.clone());
            Ok(json!({"id": template}))
        }
        _ => Err(refused(404, format!("no control {} {}", call.method, call.path))),
    }
}

fn account<'a>(world: &'a mut World, id: &str) -> Result<&'a mut Account, Reply> {
    world.klaviyo.accounts.get_mut(id).ok_or_else(|| refused(404, format!("no account {id}")))
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Reply> {
    serde_json::from_value(body).map_err(|error| refused(400, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    #[serde(default)]
    name: String,
    scopes: Vec<String>,
    #[serde(default)]
    older: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangedKey {
    disabled: Option<bool>,
    deleted: Option<bool>,
    scopes: Option<Vec<String>>,
}
