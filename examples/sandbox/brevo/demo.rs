//! A web shop's account for demonstrations: an API key and an SMTP key.

use super::model::{Domain, Key, Kind, Settings, State, mint};
use crate::chance;
use crate::world::World;

/// Fills the world and returns the variables that name its secrets.
pub fn seed(world: &mut World) -> Vec<(String, String)> {
    let account = world.brevo.open_account(Settings::default());
    let (id, login) = (account.id.clone(), account.smtp_login.clone());
    if let Some(account) = world.brevo.accounts.get_mut(&id) {
        let domain = |name: &str, ready| Domain {
            name: name.to_owned(),
            authenticated: ready,
            verified: true,
            dkim: ready,
        };
        account.domains = vec![domain("shop.example", true), domain("new.shop.example", false)];
    }
    let mut secrets = Vec::new();
    for kind in [Kind::Api, Kind::Smtp] {
        let secret = mint(kind, false);
        secrets.push(secret.clone());
        world.brevo.add_key(Key {
            id: chance::hex(12),
            secret,
            account: id.clone(),
            kind,
            name: "webshop".to_owned(),
            state: State::Active,
            expires: None,
            permissions: None,
        });
    }
    let names = ["SANDBOX_BREVO_API_KEY", "SANDBOX_BREVO_SMTP_KEY", "SANDBOX_BREVO_SMTP_LOGIN"];
    names.map(str::to_owned).into_iter().zip(secrets.into_iter().chain([login])).collect()
}
