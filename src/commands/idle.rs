//! Keys that their provider ends because nobody uses them. When a key was used
//! is told by no provider; what is known is when it last worked from here.

use jiff::Timestamp;

use crate::clock::spoken;
use crate::key::{KeyRef, KeyState, Record};
use crate::provider;
use crate::state::LastVerdict;

/// Said so long before the end, as with an expiry.
const SOON: i64 = 14 * 86_400;

/// Returns the warning that a key may be about to end, or to have ended,
/// unused; `last` is what this machine remembers of it.
pub fn warning(key: &KeyRef, record: &Record, last: Option<&LastVerdict>, now: Timestamp) -> Option<String> {
    let limit = provider::provider(key.provider).idle_limit()?;
    let since = last.and_then(|it| it.accepted_at).or(record.created)?;
    let idle = now.as_second() - since.as_second();
    if record.state != KeyState::Active || idle < limit.seconds - SOON {
        return None;
    }
    Some(format!(
        "`{key}` last worked from here {} ago; {} ends keys that nobody uses for {}: `keyctl validate {key}`",
        spoken(idle),
        key.provider,
        spoken(limit.seconds)
    ))
}
