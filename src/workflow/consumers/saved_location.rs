//! HighLevel locations as they were before a write: kept in the state folder
//! (mode 0600) from just before the write until it was seen that nothing else
//! changed. What a write damaged stays there, and stops further writes on this
//! machine until a person names the key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::exit::Situation;
use crate::inventory::Inventory;
use crate::key::KeyRef;
use crate::provider::LocationSnapshot;
use crate::state::StateFolder;
use crate::workflow::consumers::handover::Handover;
use crate::workflow::consumers::target::Target;

/// What the names of files begin with: a write that was not seen to its end,
/// and one that changed more than it should.
const WRITING: &str = "writing-";
const DAMAGED: &str = "damaged-";

/// The content of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    key: String,
    location: String,
    location_id: String,
    at: Option<Timestamp>,
    /// Which secret was written, as a digest.
    secret: String,
    /// Every field by its JSON pointer, as JSON text.
    fields: BTreeMap<String, String>,
    /// The fields that the write changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changed: Vec<String>,
    /// A person named the key since.
    #[serde(default)]
    acknowledged: bool,
}

/// One location on its way to be written.
#[derive(Debug, Clone)]
pub struct SavedLocation {
    content: Content,
}

impl SavedLocation {
    /// Returns what is to be kept of a location that is about to be written.
    pub fn of(context: &Context, handover: &Handover<'_>, target: &Target) -> Self {
        let content = Content {
            key: handover.key.to_string(),
            location: target.location.to_string(),
            location_id: target.location_id.clone(),
            at: Some(context.now()),
            secret: handover.secret.fingerprint().to_string(),
            ..Content::default()
        };
        Self { content }
    }

    /// Keeps the location as it is, unless an interrupted write has kept it
    /// before, of whatever secret; returns it as it was before the first one.
    ///
    /// # Errors
    /// When the state folder cannot be written: then nothing is written to the
    /// location either.
    pub fn begin(&self, context: &Context, now: &LocationSnapshot) -> anyhow::Result<LocationSnapshot> {
        let mine = Content { fields: now.fields.clone(), ..self.content.clone() };
        let fields = folder(context).update(&self.writing(), |held: &mut Content| {
            if held.location_id != mine.location_id || held.fields.is_empty() {
                *held = mine;
            }
            held.fields.clone()
        })?;
        Ok(LocationSnapshot { location: now.location.clone(), fields })
    }

    /// Forgets the location after a write that was refused, unless an earlier
    /// one, whose outcome is not known, needs it.
    pub fn not_written(&self, context: &Context) {
        let held: Content = folder(context).read(&self.writing());
        if held.at == self.content.at && held.secret == self.content.secret {
            self.forget(context);
        }
    }

    /// Forgets the location: nothing else of it was changed.
    pub fn forget(&self, context: &Context) {
        folder(context).remove(&self.writing());
    }

    /// Notes that the write changed these fields, and returns the file that
    /// has all of them as they were.
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn damaged(&self, context: &Context, changed: &[String]) -> anyhow::Result<PathBuf> {
        let folder = folder(context);
        let before: Content = folder.read(&self.writing());
        let at = self.content.at.map_or(0, Timestamp::as_second);
        let base = format!("{DAMAGED}{}-{at}", digest(&self.content.location_id));
        let taken = folder.names();
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        let name = names.find(|it| !taken.contains(it)).unwrap_or(base.clone());
        folder.update(&name, |held: &mut Content| {
            *held = Content { changed: changed.to_vec(), ..before };
        })?;
        folder.remove(&self.writing());
        Ok(folder.file(&name))
    }

    fn writing(&self) -> String {
        format!("{WRITING}{}", digest(&self.content.location_id))
    }
}

/// Returns why no location may be written now: an earlier write on this
/// machine, for whatever key, damaged one, and no person has named that key
/// since. Exit 6.
pub fn stop(context: &Context, inventory: &Inventory) -> Option<Situation> {
    let folder = folder(context);
    let damaged = folder.names().into_iter().filter(|it| it.starts_with(DAMAGED));
    let mut open = damaged.map(|name| (folder.read::<Content>(&name), folder.file(&name)));
    // A key that was renamed or removed was named for that; its file stays.
    let counts = |key: &str| key.parse::<KeyRef>().is_ok_and(|key| inventory.keys.get(&key).is_some());
    let (content, file) = open.find(|(content, _)| !content.acknowledged && counts(&content.key))?;
    let Content { key, location, changed, .. } = content;
    let rotates = key.parse::<KeyRef>().is_ok_and(|key| inventory.rotation_of(&key).is_some());
    let next = match rotates {
        true => format!("keyctl rotate {key} --resume"),
        false => format!("keyctl consumer push {key}"),
    };
    let situation = Situation::human(format!(
        "no location is written: writing `{key}` changed other settings of the location {location} ({})",
        changed.join(", ")
    ));
    let file = file.display();
    Some(
        situation
            .hint(format!("look at it in HighLevel (the settings as they were: `{file}`), then `{next}`")),
    )
}

/// Notes that a person named the keys whose writes did the damage. The files
/// stay: they have the settings as they were.
///
/// # Errors
/// When the state folder cannot be written.
pub fn acknowledge(context: &Context, keys: &[KeyRef]) -> anyhow::Result<()> {
    let folder = folder(context);
    for name in folder.names().into_iter().filter(|it| it.starts_with(DAMAGED)) {
        let content: Content = folder.read(&name);
        if !content.acknowledged && keys.iter().any(|key| key.as_str() == content.key) {
            folder.update(&name, |held: &mut Content| held.acknowledged = true)?;
        }
    }
    Ok(())
}

fn folder(context: &Context) -> StateFolder {
    context.state.within("locations")
}

/// A location's id may hold anything; a file's name may not.
fn digest(id: &str) -> String {
    Sha256::digest(id).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}
