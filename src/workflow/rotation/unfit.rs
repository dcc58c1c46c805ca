//! What is said of a new key that cannot take the old one's place.

use crate::exit::Situation;
use crate::workflow::rotation::session::Snapshot;
use crate::workflow::rotation::step_create_pasted;

/// Says that the new key cannot take the old one's place.
pub fn unfit(snapshot: &Snapshot, why: &str) -> Situation {
    Situation::failed("new-key-unfit", format!("the new key failed its test: {why}")).hint(format!(
        "the old key is still current; `keyctl rotate {} --abort`, then begin again{}",
        snapshot.key(),
        step_create_pasted::or_another(snapshot)
    ))
}
