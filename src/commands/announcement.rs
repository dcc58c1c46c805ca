//! The announcement of a key that was asked for by API: a pending record, with
//! the moment of the last call. It stays until the key is kept, the provider
//! said no, its list had time to show that there is none, or a person said so.

use jiff::Timestamp;

use crate::clock::{rfc3339, spoken};
use crate::context::Context;
use crate::exit::Situation;
use crate::inventory::Inventory;
use crate::key::{CreateCall, KeyRef, Record, RecordId};

/// Refuses to give up an announcement on the way to something else: the key
/// that it tells of may exist.
///
/// # Errors
/// Exit 9 for a key of which it is not known whether it was made.
pub fn must_be_settled(inventory: &Inventory, key: &KeyRef) -> Result<(), Situation> {
    match inventory.keys.get(key) {
        Some(record) if record.is_unsettled() => Err(Situation::refused(
            "create-unsettled",
            format!("it is not known yet whether a key was made for `{key}` at {}", key.provider),
        )
        .hint(format!(
            "`keyctl create {key}` looks for it; if you know that none was made: {}",
            not_made_command(key)
        ))),
        _ => Ok(()),
    }
}

/// Returns the command that takes an announcement back by a person's word.
pub fn not_made_command(key: &KeyRef) -> String {
    format!("`keyctl create {key} --not-made`")
}

/// Records the moment of a call about an announced key.
///
/// # Errors
/// When the inventory cannot be written.
pub fn note_call(context: &Context, key: &KeyRef, id: &RecordId, call: &CreateCall) -> anyhow::Result<()> {
    context.update(|inventory| {
        if let Some(record) = inventory.keys.get_mut(key).filter(|it| it.id == *id && it.current.is_none()) {
            record.create_call = Some(call.clone());
        }
        Ok(())
    })
}

/// Takes an announcement back: there is no such key.
///
/// # Errors
/// Exit 9 when the record was changed meanwhile.
pub fn withdraw(context: &Context, key: &KeyRef, announced: &Record) -> anyhow::Result<()> {
    context.update(|inventory| match inventory.keys.get(key) {
        Some(held) if held == announced => {
            inventory.keys.remove(key);
            Ok(())
        }
        _ => Err(changed(key).into()),
    })
}

/// Returns the refusal of a record that another process changed.
pub fn changed(key: &KeyRef) -> Situation {
    Situation::refused("changed-meanwhile", format!("`{key}` was changed by another process meanwhile"))
        .hint("look at it with `keyctl show`, and try again")
}

/// Returns from when on the provider's list tells, in words; `None`: from now on.
pub fn in_words(ready: Timestamp, now: Timestamp) -> Option<String> {
    let left = ready.as_millisecond().saturating_sub(now.as_millisecond());
    if left <= 0 {
        return None;
    }
    // A whole second that is not too early.
    let whole = Timestamp::from_millisecond(ready.as_millisecond().saturating_add(999)).unwrap_or(ready);
    Some(format!("in {}, from {} on", spoken((left + 999) / 1000), rfc3339(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_to_try_again_is_never_too_early() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let ready = at("2026-11-29T10:02:00.25Z");
        let words = in_words(ready, at("2026-11-29T10:00:00.25Z")).unwrap();
        assert_eq!(words, "in 2 minutes, from 2026-11-29T10:02:01Z on");
        assert_eq!(
            in_words(ready, at("2026-11-29T10:02:00Z")).unwrap(),
            "in 1 second, from 2026-11-29T10:02:01Z on"
        );
        assert_eq!(in_words(ready, ready), None);
    }
}
