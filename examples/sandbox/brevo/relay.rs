//! Brevo's SMTP relay.

use super::mail::{Submitted, accept, login};
use crate::smtp::{Letter, Relay};
use crate::world::World;

/// `smtp-relay.brevo.com`
pub const RELAY: Relay = Relay {
    name: "brevo-smtp",
    greeting: "smtp-relay.brevo.com ESMTP Service Ready",
    admit: |world, name, key| login(world, name, key).map(drop).map_err(str::to_owned),
    accept: take,
};

fn take(world: &mut World, letter: Letter) -> String {
    let account = world.brevo.accounts.values().find(|it| it.smtp_login.eq_ignore_ascii_case(&letter.login));
    let Some(account) = account.map(|it| it.id.clone()) else {
        return "550 5.7.1 Relaying denied".to_owned();
    };
    let mail = Submitted {
        from: letter.header_address("From").unwrap_or_else(|| letter.sender.clone()),
        subject: letter.header("Subject").unwrap_or_default(),
        message_id: letter.header("Message-ID"),
        text: letter.body().to_owned(),
        to: letter.recipients,
        login: letter.login,
    };
    accept(world, &account, mail).unwrap_or_else(|refusal| refusal)
}
