//! The part of the control API below `/highlevel/`; described in `control.rs`
//! at the top.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::model::{Company, Level};
use crate::call::{Call, Reply};
use crate::control::{Answer, done, merged, refused};
use crate::world::World;

/// Answers below `/highlevel/`.
pub fn answer(world: &mut World, call: &Call) -> Reply {
    let segments = call.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).skip(1).collect();
    done(route(world, call, &path))
}

/// Returns everything, secrets included.
pub fn state(world: &World) -> Value {
    let companies: Vec<&Company> = world.highlevel.companies.values().collect();
    json!({"companies": companies, "locations": world.highlevel.locations, "tokens": world.highlevel.tokens})
}

fn route(world: &mut World, call: &Call, path: &[&str]) -> Answer {
    let body = call.json().map_err(|error| refused(400, error))?;
    let highlevel = &mut world.highlevel;
    match (call.method.as_str(), path) {
        ("POST", ["companies"]) => {
            Ok(json!({"id": highlevel.open_company(body["name"].as_str().unwrap_or("Acme Agency"))}))
        }
        ("PUT", ["companies", id, "settings"]) => {
            let company =
                highlevel.companies.get_mut(*id).ok_or_else(|| refused(404, format!("no company {id}")))?;
            company.settings = merged(&company.settings, call)?;
            Ok(json!(company.settings))
        }
        ("POST", ["companies", id, "locations"]) => {
            let fields: Map<String, Value> = read(body)?;
            Ok(json!({"id": highlevel.add_location(id, fields)}))
        }
        ("POST", ["companies", id, "tokens"]) => {
            let new: NewToken = read(body)?;
            let token = highlevel.add_token(id, new.level, new.location, new.scopes);
            Ok(json!({"id": token.id, "secret": token.secret}))
        }
        ("PUT", ["tokens", id]) => {
            let change: ChangedToken = read(body)?;
            let token = highlevel.tokens.iter_mut().find(|it| it.id == *id);
            let token = token.ok_or_else(|| refused(404, format!("no token {id}")))?;
            token.dead = change.dead.unwrap_or(token.dead);
            if let Some(scopes) = change.scopes {
                token.scopes = scopes;
            }
            Ok(json!(token))
        }
        ("PUT", ["locations", id]) => {
            let fields: Map<String, Value> = read(body)?;
            let location = highlevel.locations.iter_mut().find(|it| it.id == *id);
            let location = location.ok_or_else(|| refused(404, format!("no location {id}")))?;
            location.fields.extend(fields);
            Ok(json!(location))
        }
        ("PUT", ["locations", id, "listed"]) => {
            let listed: bool = read(body)?;
            let location = highlevel.locations.iter_mut().find(|it| it.id == *id);
            let location = location.ok_or_else(|| refused(404, format!("no location {id}")))?;
            location.listed = listed;
            Ok(json!(location))
        }
        ("DELETE", ["locations", id]) => {
            highlevel.locations.retain(|it| it.id != *id);
            Ok(json!({}))
        }
        _ => Err(refused(404, format!("no control {} {}", call.method, call.path))),
    }
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Reply> {
    serde_json::from_value(body).map_err(|error| refused(400, error.to_string()))
}

fn both() -> Vec<String> {
    vec!["locations.readonly".to_owned(), "locations.write".to_owned()]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    level: Level,
    location: Option<String>,
    #[serde(default = "both")]
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangedToken {
    dead: Option<bool>,
    scopes: Option<Vec<String>>,
}
