//! The switch, and its way back: which version is current is one pointer, so
//! each is one write of one file.

use crate::context::Slot;
use crate::exit::Situation;
use crate::inventory::Inventory;
use crate::key::{ConsumerKind, Expiry, KeyRef, KeyState, Record};
use crate::rotation::{Progress, Rotation, Side, Stage};
use crate::workflow::rotation::session::{Flow, Session, Snapshot, as_side};
use crate::workflow::verdict_memory::remember;

/// Makes the new key current, for every record of the group.
pub fn switch(work: &Session<'_>, snapshot: &Snapshot) -> anyhow::Result<Flow> {
    let now = work.context.now();
    work.save(Stage::Tested, |inventory, rotation| {
        for key in &rotation.keys {
            let unchanged = unchanged(inventory, rotation, key);
            let record = inventory.keys.get_mut(key).filter(|_| unchanged);
            let Some(record) = record.filter(|it| it.pending.is_some()) else {
                return Err(Situation::failed(
                    "changed-meanwhile",
                    format!("`{key}` was changed while it rotated; it is not switched"),
                )
                .hint(format!("`keyctl rotate {} --abort`, then begin again", rotation.keys[0]))
                .into());
            };
            record.previous = record.current;
            record.current = record.pending.take();
            record.state = KeyState::Active;
            describe(key, record, &rotation.new);
        }
        rotation.switched_at = Some(now);
        rotation.stage = Stage::Switched;
        Ok(())
    })?;
    told(work, snapshot)?;
    let (old, new) = (snapshot.rotation.old.expires, snapshot.rotation.new.expires);
    if old.at().is_some() && new == Expiry::Unknown {
        let key = snapshot.key();
        work.context.operator.hint(format!(
            "the old key has an end, and none is known of the new one; record it: `keyctl set {key} --expires DATE`"
        ));
    }
    Ok(Flow::On)
}

/// The verdict of the test is the new key's last one.
fn told(work: &Session<'_>, before: &Snapshot) -> anyhow::Result<()> {
    let Some(secret) = work.secret(before, Slot::Pending)? else { return Ok(()) };
    let after = work.snapshot()?;
    let judgement = work.judge(after.key(), after.record()?, &secret)?;
    let records = after.rotation.keys.iter().filter_map(|key| after.inventory.keys.get_key_value(key));
    let judged: Vec<_> = records.map(|(key, record)| (key, record, &judgement)).collect();
    remember(work.context, &judged);
    Ok(())
}

/// Somebody may have replaced the key by hand in the meantime.
fn unchanged(inventory: &Inventory, rotation: &Rotation, key: &crate::key::KeyRef) -> bool {
    inventory.keys.get(key).is_some_and(|it| it.fingerprint == rotation.old.fingerprint)
}

/// Makes the old key current again; every place has to get it back.
pub fn swap_back(inventory: &mut Inventory, rotation: &mut Rotation) -> anyhow::Result<()> {
    for key in &rotation.keys {
        let record = inventory.keys.get_mut(key).filter(|it| it.previous.is_some());
        let Some(record) = record else {
            return Err(Situation::failed(
                "no-previous",
                format!("the old secret of `{key}` is not recorded any more"),
            )
            .into());
        };
        record.pending = record.current;
        record.current = record.previous.take();
        describe(key, record, &rotation.old);
    }
    for delivery in &mut rotation.consumers {
        // What was never written has the old key still, by inheritance or of its
        // own. Where a person pastes, nobody knows.
        let untouched = delivery.kind != ConsumerKind::Manual && delivery.state == Progress::Todo;
        delivery.state = if untouched { Progress::Skipped } else { Progress::Todo };
        delivery.by = None;
        delivery.at = None;
    }
    rotation.canary = None;
    rotation.grace_until = None;
    rotation.used_at = None;
    rotation.stage = Stage::RollingBack;
    Ok(())
}

/// Puts what belongs to one key, and only that, into its record.
fn describe(key: &KeyRef, record: &mut Record, side: &Side) {
    record.fingerprint.clone_from(&side.fingerprint);
    record.last2.clone_from(&side.last2);
    record.remote_id.clone_from(&side.remote_id);
    record.remote_name.clone_from(&side.name);
    record.login = as_side(key, record, side).login;
    record.role = side.role.clone().or(record.role.take());
    record.created = side.created;
    record.expires = side.expires;
    if !side.permissions.is_empty() {
        record.permissions.clone_from(&side.permissions);
    }
}
