//! A new key on its way into the store and the inventory: kept under the version
//! that was announced, and only then referred to.

use crate::context::Slot;
use crate::exit::Situation;
use crate::inventory::{Inventory, Mark};
use crate::key::{Expiry, Kind, Secret};
use crate::provider::{CreatedKey, KeyAdmin, RemoteKey};
use crate::rotation::{Liveness, Rotation, Side, Stage};
use crate::store::Item;
use crate::workflow::managing_key::Keyed;
use crate::workflow::rotation::remote_keys::{delete, list, of_this_rotation};
use crate::workflow::rotation::session::{Flow, Session, Snapshot};

/// Keeps a secret that was told once, under every record's announced version.
/// When that fails, the key is deleted again: nobody could ever use it.
pub fn keep(
    work: &Session<'_>,
    snapshot: &Snapshot,
    created: &CreatedKey,
    undo: Option<(&dyn KeyAdmin, &Keyed)>,
) -> anyhow::Result<Flow> {
    if let Err(error) = store(work, &snapshot.inventory, &snapshot.rotation, &created.secret) {
        let Some((admin, manager)) = undo else { return Err(error) };
        // The store may have been waited for a long time.
        work.context.restart_clock();
        // Whoever took the rotation over may have put this very key to use.
        let ours = work.still_ours(Stage::Creating);
        if ours.is_err() && (work.has_stored() || is_known(work, &created.secret)) {
            return Err(error);
        }
        let record = snapshot.record()?;
        let id = if record.kind == Kind::Smtp { snapshot.rotation.new.login.clone() } else { None };
        let id = id.unwrap_or_else(|| created.remote.id.clone());
        return Err(match delete(work, record, admin, manager, &id) {
            // Nobody else ever saw this key.
            Ok(()) if ours.is_err() => error,
            Ok(()) => {
                work.drop_stored(Stage::Creating);
                work.save(Stage::Creating, |_, rotation| {
                    rotation.stage = Stage::Planned;
                    Ok(())
                })?;
                error.context(
                    "the new key could not be kept and was deleted again; the old one is still current",
                )
            }
            Err(why) => error.context(format!(
                "the new key could not be kept, and not deleted again ({why}); delete it by its id {id}"
            )),
        });
    }
    refer(work, snapshot, &created.secret, Some(&created.remote))
}

/// Returns whether the inventory refers to a secret; where it cannot be read, it
/// may.
pub fn is_known(work: &Session<'_>, secret: &Secret) -> bool {
    let fingerprint = secret.fingerprint();
    let Ok(inventory) = work.context.inventory_file.load() else { return true };
    let mut sides = inventory.rotations.values().flat_map(|it| [&it.old, &it.new]);
    sides.any(|it| it.fingerprint.as_ref() == Some(&fingerprint))
        || inventory.keys.marked(&Mark::Fingerprint(fingerprint)).next().is_some()
}

/// Keeps a secret under every record's announced version.
///
/// # Errors
/// Exit 7 when the store does not hold it.
pub fn store(
    work: &Session<'_>,
    inventory: &Inventory,
    rotation: &Rotation,
    secret: &Secret,
) -> anyhow::Result<()> {
    for key in &rotation.keys {
        let record = inventory.record(key)?;
        let Some(version) = record.pending else { continue };
        let item = Item { id: record.id.clone(), version, key: key.clone() };
        let store = work.context.store_of(inventory, record)?;
        let new = store.get(&item).map_err(Situation::from)?.is_none();
        if new {
            work.note_stored(item.clone());
        }
        work.context.keep(store.as_ref(), &item, secret).map_err(Situation::from)?;
    }
    Ok(())
}

/// Deletes the pending version that `before` shows from the store, once the
/// inventory refers to it no more; what is referred to stays.
pub fn unstore(work: &Session<'_>, before: &Snapshot) {
    let Ok(inventory) = work.context.inventory_file.load() else { return };
    for key in &before.rotation.keys {
        let Some(version) = before.inventory.keys.get(key).and_then(|it| it.pending) else { continue };
        let Some(record) = inventory.keys.get(key) else { continue };
        if Slot::ALL.iter().any(|slot| slot.version(record) == Some(version)) {
            continue;
        }
        if let Ok(store) = work.context.store_of(&inventory, record) {
            let _ = store.delete(&Item { id: record.id.clone(), version, key: key.clone() });
        }
    }
}

/// Goes on with a secret that an interrupted run had kept already.
pub fn adopt(work: &Session<'_>, snapshot: &Snapshot, secret: &Secret) -> anyhow::Result<Flow> {
    store(work, &snapshot.inventory, &snapshot.rotation, secret)?;
    let record = snapshot.record()?;
    let mut row = None;
    if let (Some(admin), Some(manager)) = (snapshot.admin(), work.manager(snapshot)?) {
        let rows = list(work, record, admin, &manager)?;
        let embedded = snapshot.provider().embedded_id(secret);
        let own = |row: &&RemoteKey| embedded.as_ref().is_none_or(|id| row.id == *id);
        row = of_this_rotation(&snapshot.rotation, record.kind, &rows).into_iter().find(own).cloned();
    }
    refer(work, snapshot, secret, row.as_ref())
}

/// Records what is known of the new key; from here on it is tested.
pub fn refer(
    work: &Session<'_>,
    snapshot: &Snapshot,
    secret: &Secret,
    remote: Option<&RemoteKey>,
) -> anyhow::Result<Flow> {
    let record = snapshot.record()?;
    let provider = snapshot.provider();
    let chosen = provider.chosen_by_person(record.kind);
    let embedded =
        provider.embedded_id(secret).filter(|_| !matches!(record.kind, Kind::Private | Kind::Smtp));
    let now = work.context.now();
    let told = remote.map(|it| it.id.clone());
    let side = Side {
        fingerprint: (!chosen).then(|| secret.fingerprint()),
        last2: (!chosen).then(|| secret.last2()),
        remote_id: told.filter(|it| !it.is_empty() && record.kind != Kind::Smtp).or(embedded),
        login: snapshot.rotation.new.login.clone().or_else(|| snapshot.rotation.old.login.clone()),
        state: Some(Liveness::Live),
        name: remote
            .and_then(|it| it.name.clone())
            .or_else(|| snapshot.rotation.new.name.clone())
            .or_else(|| snapshot.rotation.old.name.clone()),
        role: remote.and_then(|it| it.role.clone()),
        created: remote.and_then(|it| it.created).or(Some(now)),
        expires: remote.and_then(|it| it.expires).map_or(Expiry::Unknown, Expiry::At),
        permissions: snapshot.rotation.permissions.clone(),
        foreign: false,
    };
    work.save(Stage::Creating, |_, rotation| {
        rotation.new = side;
        rotation.stage = Stage::Created;
        Ok(())
    })?;
    Ok(Flow::On)
}

/// Announces once more, under a new version: the key before is given up.
pub fn announced_anew(work: &Session<'_>) -> anyhow::Result<()> {
    work.save(Stage::Created, |inventory, rotation| {
        for key in &rotation.keys {
            if let Some(record) = inventory.keys.get_mut(key) {
                record.highest += 1;
                record.pending = Some(record.highest);
            }
        }
        let login = rotation.old.login.clone();
        let name = rotation.new.name.take();
        rotation.new = Side { name, login, ..Side::default() };
        rotation.stage = Stage::Creating;
        Ok(())
    })
}
