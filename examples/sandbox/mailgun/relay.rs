//! Mailgun's SMTP relays: the logins of one region each.

use super::logs::Sent;
use super::model::Region;
use crate::chance;
use crate::smtp::{Letter, Relay};
use crate::world::World;

/// The relay for US domains.
pub const US: Relay = Relay {
    name: "mailgun-us-smtp",
    greeting: "Mailgun Influx ready",
    admit: |world, login, password| admit(world, Region::Us, login, password),
    accept: |world, letter| accept(world, Region::Us, letter),
};

/// The relay for EU domains.
pub const EU: Relay = Relay {
    name: "mailgun-eu-smtp",
    greeting: "Mailgun Influx ready",
    admit: |world, login, password| admit(world, Region::Eu, login, password),
    accept: |world, letter| accept(world, Region::Eu, letter),
};

/// The one answer for an unknown login, a wrong password, another region's
/// login and an address that the allowlist lacks.
const REFUSED: &str = "535 5.7.8 Authentication failed";

fn admit(world: &World, region: Region, login: &str, password: &str) -> Result<(), String> {
    let mailgun = &world.mailgun;
    let credential = mailgun.credentials.get(&(region, login.to_owned()));
    let admitted = credential.is_some_and(|it| {
        let account = mailgun.accounts.get(&it.account);
        it.password == password && account.is_some_and(|account| account.admits(world.caller_ip))
    });
    if admitted { Ok(()) } else { Err(REFUSED.to_owned()) }
}

fn accept(world: &mut World, region: Region, letter: Letter) -> String {
    let Some(credential) = world.mailgun.credentials.get(&(region, letter.login.clone())).cloned() else {
        return "550 5.7.1 Relaying denied".to_owned();
    };
    let generated = || format!("{}@{}", chance::hex(24), credential.domain);
    let message_id = letter.header("Message-ID").map(|it| it.trim_matches(['<', '>']).to_owned());
    let test_mode = letter.header("X-Mailgun-Drop-Message").is_some_and(|it| it == "yes" || it == "true");
    let from = letter.header_address("From").unwrap_or_else(|| letter.sender.clone());
    let sent = Sent {
        host: if region == Region::Us { US.name } else { EU.name },
        account: credential.account.clone(),
        region,
        domain: credential.domain.clone(),
        from,
        subject: letter.header("Subject").unwrap_or_default(),
        text: letter.body().to_owned(),
        to: letter.recipients.clone(),
        message_id: message_id.unwrap_or_else(generated),
        test_mode,
        key_id: None,
        login: Some(letter.login),
    };
    sent.deliver(world);
    "250 Great success".to_owned()
}
