//! Keeps to the limits vendors publish instead of running into them: all keys
//! of one account share them, and every refusal costs the customer's own calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Pace, Request};

/// When the next call of each bucket may be made, by host and bucket (the
/// generic cell rate algorithm, as ITU-T I.371 describes it).
#[derive(Default)]
pub(super) struct Budget {
    next: Mutex<HashMap<(&'static str, String), Instant>>,
}

impl Budget {
    /// Takes a place in the bucket of `request` and returns how long to wait for
    /// it; `None`: not before `deadline`, and no place was taken.
    pub(super) fn take(&self, request: &Request<'_>, now: Instant, deadline: Instant) -> Option<Duration> {
        let Some(Pace { bucket, every, burst }) = &request.pace else { return Some(Duration::ZERO) };
        // A panic elsewhere leaves nothing half-done in here.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.entry((request.host.variable, bucket.clone())).or_insert(now);
        let ahead = *every * burst.saturating_sub(1);
        let wait = due.saturating_duration_since(now).saturating_sub(ahead);
        if now + wait >= deadline && !wait.is_zero() {
            return None;
        }
        *due = (*due).max(now) + *every;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Auth, Host};

    static HOST: Host = Host { origin: "https://api.example.com", variable: "KEYCTL_X_URL" };

    fn request(bucket: &str, burst: u32) -> Request<'static> {
        let pace = Pace { bucket: bucket.to_owned(), every: Duration::from_secs(1), burst };
        Request { pace: Some(pace), ..Request::get(&HOST, "/x", Auth::None) }
    }

    #[test]
    fn calls_of_one_bucket_keep_their_distance() {
        let budget = Budget::default();
        let now = Instant::now();
        let late = now + Duration::from_secs(60);
        let wait = |bucket: &str| budget.take(&request(bucket, 1), now, late).unwrap().as_secs();
        assert_eq!([wait("a"), wait("a"), wait("b"), wait("a")], [0, 1, 0, 2]);
    }

    #[test]
    fn a_burst_goes_through_and_a_full_bucket_says_no_without_taking_a_place() {
        let budget = Budget::default();
        let now = Instant::now();
        let soon = now + Duration::from_millis(500);
        let take = |deadline| budget.take(&request("a", 3), now, deadline);
        assert_eq!([take(soon), take(soon), take(soon)], [Some(Duration::ZERO); 3]);
        assert_eq!([take(soon), take(soon)], [None, None]);
        assert_eq!(take(now + Duration::from_secs(9)), Some(Duration::from_secs(1)));
        assert_eq!(budget.take(&Request::get(&HOST, "/x", Auth::None), now, now), Some(Duration::ZERO));
    }
}
