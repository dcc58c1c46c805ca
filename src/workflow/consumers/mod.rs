//! Handing a secret to the places that take it by themselves: an approved
//! program, or a HighLevel location. Nothing here knows of rotations.

pub mod approval;
pub mod handover;
pub mod highlevel_location;
pub mod paste_page;
pub mod program;
pub mod push_proof;
pub mod saved_location;
pub mod target;

pub use crate::workflow::consumers::approval::{approve, ask_approval, is_approved, spelt};
pub use crate::workflow::consumers::handover::Proof;
pub use crate::workflow::consumers::push_proof::Prover;

use crate::context::Context;
use crate::inventory::Inventory;
use crate::key::{Consumer, ConsumerKind, KeyRef};
use crate::workflow::consumers::handover::{Failed, HandedOver, Handover};

/// Hands the secret over and, where the place does not tell whether it has it,
/// proves it otherwise.
///
/// # Errors
/// Why the consumer may not have it now, or that it cannot work there.
pub fn hand_over(
    context: &Context,
    handover: &Handover<'_>,
    prover: &mut Prover<'_>,
) -> Result<HandedOver, Failed> {
    match handover.consumer.kind {
        ConsumerKind::Manual => Err(Failed::new("a person pastes it there")),
        ConsumerKind::Command => crate::workflow::consumers::program::run(context, handover)
            .map(|detail| HandedOver { detail, proof: None }),
        ConsumerKind::Highlevel => {
            crate::workflow::consumers::highlevel_location::push(context, handover, prover)
        }
    }
}

/// Returns what a push into a HighLevel location would write, and where.
///
/// # Errors
/// What is missing.
pub fn destination(inventory: &Inventory, key: &KeyRef, consumer: &Consumer) -> Result<String, Failed> {
    let target = crate::workflow::consumers::target::target(inventory, key, consumer)?;
    let kind = inventory.keys.get(key).map(|it| it.kind);
    let other = kind.and_then(|kind| inventory.instead_of(key, kind, &target.location));
    let instead = other.map_or_else(String::new, |it| format!(", where `{it}` is recorded to be in effect"));
    Ok(format!(
        "writes the Mailgun key and the domain {} to the location {} ({}) with `{}`{instead}",
        target.domain, target.location, target.location_id, target.token
    ))
}

/// Returns whether a consumer is a HighLevel location that does not exist any
/// more: it is no place.
pub fn is_gone(inventory: &Inventory, key: &KeyRef, consumer: &Consumer) -> bool {
    let location = consumer.location.as_ref().unwrap_or(&key.scope);
    consumer.kind == ConsumerKind::Highlevel && inventory.place(location).is_some_and(|it| it.gone)
}

/// Checks, changing nothing, that a consumer could be handed a secret.
///
/// # Errors
/// What is missing.
pub fn ready(inventory: &Inventory, key: &KeyRef, consumer: &Consumer) -> Result<(), Failed> {
    match consumer.kind {
        ConsumerKind::Manual => Ok(()),
        ConsumerKind::Command if consumer.command.is_empty() => Err(Failed::new(format!(
            "the consumer `{}` has no command",
            consumer.name
        ))
        .hint(format!("remove it and add it again: `keyctl consumer remove {key} '{}'`", consumer.name))),
        ConsumerKind::Command => Ok(()),
        ConsumerKind::Highlevel => {
            crate::workflow::consumers::target::target(inventory, key, consumer).map(drop)
        }
    }
}
