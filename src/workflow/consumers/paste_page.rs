//! Where a person pastes a key: the page that is recorded for a place, else
//! the page HighLevel has for Mailgun keys.

use crate::inventory::Inventory;
use crate::key::{Consumer, ConsumerKind, KeyRef, Kind, ProviderId};
use crate::provider;
use crate::provider::{ConsoleAsk, ConsoleTask, Guide};

/// What a place is called that is HighLevel, or the white label this project
/// knows.
const NAMES: [&str; 3] = ["highlevel", "high level", "pilotly"];

/// Returns the way to HighLevel's settings, for a place that is named after it.
pub fn guide(inventory: &Inventory, key: &KeyRef, consumer: &Consumer) -> Option<Guide> {
    let name = consumer.name.to_lowercase();
    let is_highlevel = NAMES.iter().any(|it| name.contains(it));
    let taken = provider::provider(key.provider).terms().sends_for_highlevel;
    if !is_highlevel || consumer.kind != ConsumerKind::Manual || !taken {
        return None;
    }
    let scope = consumer.location.as_ref().unwrap_or(&key.scope);
    let at_location = scope.location.is_some();
    let domain = inventory.domain_at(scope).map(|(domain, _)| domain);
    let ask = ConsoleAsk {
        kind: at_location.then_some(Kind::Location),
        name: inventory.place(scope).and_then(|it| it.name.as_deref()).filter(|_| at_location),
        domain: domain.as_ref(),
        ..ConsoleAsk::default()
    };
    provider::provider(ProviderId::Highlevel).console(ConsoleTask::Paste, &ask)
}

/// Returns the page where a person pastes the key.
pub fn url(inventory: &Inventory, key: &KeyRef, consumer: &Consumer) -> Option<String> {
    consumer.url.clone().or_else(|| guide(inventory, key, consumer).map(|it| it.url))
}
