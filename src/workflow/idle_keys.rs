//! Keys that their provider ends because nobody uses them. When a key was used
//! is told by no provider; what is known is when it last worked from here.

use jiff::Timestamp;

use crate::clock::{Span, spoken};
use crate::key::{KeyRef, KeyState, Record};
use crate::provider;
use crate::state::LastVerdict;

/// Brevo writes to the owner seven days before the end (help.brevo.com, "API
/// keys"); this leaves three more.
const AHEAD: i64 = 10 * 86_400;

/// A key that may be about to end, or to have ended, unused.
pub struct Idle {
    /// How long it was not seen in use, as in "last worked from here 80 days ago".
    pub seen: String,
    /// What its provider does then.
    pub rule: String,
}

/// Returns whether a key is idle for so long that its end is near; `last` is
/// what this machine remembers of it.
pub fn idle(key: &KeyRef, record: &Record, last: Option<&LastVerdict>, now: Timestamp) -> Option<Idle> {
    let limit: Span = provider::provider(key.provider).idle_limit()?;
    let worked = last.and_then(|it| it.accepted_at);
    let since = worked.into_iter().chain(record.created).max()?;
    let idle = now.as_second() - since.as_second();
    if record.state != KeyState::Active || idle < limit.seconds - AHEAD {
        return None;
    }
    let seen = match worked {
        Some(worked) => {
            format!("last worked from here {} ago", spoken(now.as_second() - worked.as_second()))
        }
        None => format!("was made {} ago and was never seen to work from here", spoken(idle)),
    };
    let rule = format!("{} ends keys that nobody uses for {}", key.provider, spoken(limit.seconds));
    Some(Idle { seen, rule })
}

/// Returns the warning that a key may be about to end.
pub fn warning(key: &KeyRef, record: &Record, last: Option<&LastVerdict>, now: Timestamp) -> Option<String> {
    let idle = idle(key, record, last, now)?;
    Some(format!("`{key}` {}; {}: `keyctl validate {key}`", idle.seen, idle.rule))
}
