//! Where a provider's own way of rotating ends the old key by itself after a
//! while, whatever grace period was asked for.

use jiff::Timestamp;

use crate::clock::{rfc3339, spoken};
use crate::key::KeyRef;
use crate::provider;
use crate::rotation::Rotation;

/// Returns what the plan says of it: before the places have the new key, or
/// before the grace period is over, the old one may end.
pub fn warning(key: &KeyRef, grace_seconds: i64) -> Option<String> {
    let limit = provider::provider(key.provider).overlap_limit()?;
    let days = spoken(limit.seconds);
    Some(if grace_seconds > limit.seconds {
        format!(
            "{} of grace is longer than {} keeps a token that was rotated there: it ends after {days}; \
             make the new one separately to keep the old one longer",
            spoken(grace_seconds),
            key.provider
        )
    } else {
        format!("a token that is rotated at {} itself ends after {days}, whoever still uses it", key.provider)
    })
}

/// Returns when the provider may end the old key by itself, where that is
/// before `until`.
pub fn ends_by_itself(rotation: &Rotation, until: Timestamp) -> Option<Timestamp> {
    let limit = provider::provider(rotation.keys[0].provider).overlap_limit()?;
    Some(limit.after(rotation.new.created?)).filter(|end| *end < until)
}

/// Returns what is said of a key that ends before its grace period does.
pub fn ends_before(key: &KeyRef, end: Timestamp) -> String {
    format!("the old key of `{key}` ends by itself by {}, if it was rotated in the console", rfc3339(end))
}
