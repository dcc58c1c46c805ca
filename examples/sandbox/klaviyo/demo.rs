//! A web shop's account for demonstrations: a key that manages keys, and one
//! that only reads profiles.

use super::model::{Domain, Settings};
use crate::chance;
use crate::world::World;

/// Fills the world and returns the variables that name its secrets.
pub fn seed(world: &mut World) -> Vec<(String, String)> {
    let now = world.now();
    let id = world.klaviyo.open_account(Settings::default());
    if let Some(account) = world.klaviyo.accounts.get_mut(&id) {
        let domain = |name: &str, status: &str| Domain {
            id: chance::hex(8),
            domain: name.to_owned(),
            status: status.to_owned(),
            published: status != "pending",
        };
        account.domains = vec![domain("news.shop.example", "active"), domain("new.shop.example", "pending")];
        account.templates.push("TmPl01".to_owned());
    }
    let manager = [
        "accounts:read",
        "credentials:read",
        "credentials:write",
        "profiles:read",
        "sender-config:read",
        "templates:read",
        "templates:write",
    ];
    let mut make = |name: &str, scopes: &[&str]| {
        let scopes = scopes.iter().map(|it| (*it).to_owned()).collect();
        world.klaviyo.make_key(&id, name, scopes, false, now).secret.clone()
    };
    let (manager, reader) = (make("manager", &manager), make("webshop", &["profiles:read"]));
    let named = |name: &str, value: String| (name.to_owned(), value);
    vec![
        named("SANDBOX_KLAVIYO_KEY", manager),
        named("SANDBOX_KLAVIYO_READER", reader),
        named("SANDBOX_KLAVIYO_TEMPLATE", "TmPl01".to_owned()),
    ]
}
