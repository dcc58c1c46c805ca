//! An agency with locations for demonstrations: its token, and one location's.

use serde_json::{Map, json};

use super::model::Level;
use crate::world::World;

/// Fills the world and returns the variables that name its secrets.
pub fn seed(world: &mut World) -> Vec<(String, String)> {
    let highlevel = &mut world.highlevel;
    let company = highlevel.open_company("Acme Agency");
    let mut first = None;
    for (name, city) in [("Acme Berlin", "Berlin"), ("Acme Köln", "Köln"), ("Acme Wien", "Wien")] {
        let mut fields = Map::new();
        fields.insert("name".to_owned(), json!(name));
        fields.insert("city".to_owned(), json!(city));
        fields.insert("email".to_owned(), json!("office@acme.example"));
        let id = highlevel.add_location(&company, fields);
        first.get_or_insert(id);
    }
    let scopes = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let both = scopes(&["locations.readonly", "locations.write"]);
    let agency = highlevel.add_token(&company, Level::Agency, None, both).secret.clone();
    let location =
        highlevel.add_token(&company, Level::Location, first.clone(), scopes(&["locations.readonly"]));
    let named = |name: &str, value: String| (name.to_owned(), value);
    vec![
        named("SANDBOX_HIGHLEVEL_LOCATION_TOKEN", location.secret.clone()),
        named("SANDBOX_HIGHLEVEL_TOKEN", agency),
        named("SANDBOX_HIGHLEVEL_COMPANY", company),
        named("SANDBOX_HIGHLEVEL_LOCATION", first.unwrap_or_default()),
    ]
}
