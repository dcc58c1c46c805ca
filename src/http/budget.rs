//! Keeps to the limits vendors publish instead of running into them: all keys
//! of one account share them, and every refusal costs the customer's own calls.
//! Which account a key is of, and what the limits are, the providers say.

mod book;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Failure, FailureKind, Pace, Request};
use book::{Book, Place};

/// How often a waiting call looks whether the run is to end.
const LOOK: Duration = Duration::from_millis(200);

/// The time a probe may wait for its account's budget, besides the time it has
/// for the network. Of many keys of one account the last would otherwise
/// run out of time before it is asked at all.
#[derive(Debug)]
pub struct Patience<'a> {
    most: Duration,
    /// Nanoseconds spent.
    spent: AtomicU64,
    /// Raised when the run is to end: nothing is waited for any more.
    stop: &'a AtomicBool,
}

impl<'a> Patience<'a> {
    pub fn new(most: Duration, stop: &'a AtomicBool) -> Self {
        Self { most, spent: AtomicU64::new(0), stop }
    }

    /// Returns how long was waited up to now.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    fn left(&self) -> Duration {
        self.most.saturating_sub(self.spent())
    }

    fn spend(&self, waited: Duration) {
        self.spent.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The budgets of all accounts met in a run.
#[derive(Default)]
pub(super) struct Budget {
    book: Mutex<Book>,
    moved: Condvar,
}

/// The right to make one call. It ends with the answer: the vendor counted the
/// call by then, however long it was on its way.
pub(super) struct Turn<'b> {
    taken: Option<(&'b Budget, Place)>,
}

impl Turn<'_> {
    /// Notes that the vendor wants no calls of this account for a while.
    pub(super) fn refused(&self, wait: Duration) {
        if let Some((budget, place)) = &self.taken {
            budget.book().hold(place, Instant::now() + wait);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some((budget, place)) = self.taken.take() {
            budget.book().answered(&place, Instant::now());
            budget.moved.notify_all();
        }
    }
}

impl Budget {
    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere leaves nothing half-done in here.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whose a key is, and others seen with it.
    pub(super) fn learn(&self, key: &str, others: &[Arc<str>], account: &str) {
        self.book().learn(key, others, account);
        self.moved.notify_all();
    }

    /// Waits for the turn of `request`: until `deadline`, or as long as the
    /// patience lasts, where there is one.
    ///
    /// # Errors
    /// When it would not come by then: nothing is to be sent.
    pub(super) fn turn(
        &self,
        request: &Request<'_>,
        deadline: Instant,
        patience: Option<&Patience<'_>>,
    ) -> Result<Turn<'_>, Failure> {
        let Some(pace) = &request.pace else { return Ok(Turn { taken: None }) };
        let begun = Instant::now();
        let latest = patience.map_or(deadline, |it| begun + it.left());
        let result = self.wait(pace, latest, patience);
        if let Some(patience) = patience {
            patience.spend(begun.elapsed());
        }
        match result {
            Ok(place) => Ok(Turn { taken: Some((self, place)) }),
            Err(wait) => Err(not_asked(request.host.name(), pace, wait)),
        }
    }

    fn wait(&self, pace: &Pace, latest: Instant, patience: Option<&Patience<'_>>) -> Result<Place, Duration> {
        let mut book = self.book();
        let place = book.join(pace, Instant::now());
        loop {
            let now = Instant::now();
            let due = book.due(pace, &place, now);
            if due <= now {
                book.begin(&place, now);
                return Ok(place);
            }
            if due >= latest || patience.is_some_and(Patience::is_over) {
                book.leave(&place);
                self.moved.notify_all();
                return Err(due - now);
            }
            let sleep = if patience.is_some() { LOOK.min(due - now) } else { due - now };
            book = self.moved.wait_timeout(book, sleep).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn not_asked(host: &str, pace: &Pace, wait: Duration) -> Failure {
    let most: Vec<String> = pace.limits.iter().map(ToString::to_string).collect();
    let minutes = wait.as_secs().div_ceil(60);
    let when =
        if minutes > 2 { format!("{minutes} minutes") } else { format!("{} seconds", wait.as_secs() + 1) };
    let more = if minutes > 10 { "" } else { ", or allow more time with `--timeout`" };
    Failure {
        kind: FailureKind::OverBudget,
        message: format!(
            "not asked: the budget of the account at {host} is used up (of this kind keyctl makes at most {})",
            most.join(", ")
        ),
        hint: Some(format!("try again in {when}{more}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Auth, Host, Limit, Owner};

    static HOST: Host = Host { origin: "https://api.example.com", variable: "KEYCTL_X_URL" };
    const HOURLY: [Limit; 1] = [Limit { calls: 2, per: Duration::from_secs(3_600) }];

    fn request() -> Request<'static> {
        let pace = Pace { owner: Owner::Account("a".to_owned()), class: "x", limits: &HOURLY };
        Request::get(&HOST, "/x", Auth::None).paced(pace)
    }

    #[test]
    fn what_does_not_fit_is_not_asked_and_says_so() {
        let (budget, idle) = (Budget::default(), AtomicBool::new(false));
        let patience = Patience::new(Duration::from_secs(90), &idle);
        let soon = Instant::now() + Duration::from_secs(30);
        drop(budget.turn(&request(), soon, Some(&patience)).ok().unwrap());
        drop(budget.turn(&request(), soon, None).ok().unwrap());
        for patience in [Some(&patience), None] {
            let failure = budget.turn(&request(), soon, patience).err().unwrap();
            assert_eq!(failure.kind, FailureKind::OverBudget);
            assert_eq!(
                failure.message,
                "not asked: the budget of the account at api.example.com is used up \
                 (of this kind keyctl makes at most 2 an hour)"
            );
            assert_eq!(failure.hint.as_deref(), Some("try again in 60 minutes"));
        }
        // Another account has its own, and what is not paced needs none.
        let free = Request { pace: None, ..request() };
        assert!(budget.turn(&free, soon, None).is_ok());
    }

    #[test]
    fn waiting_is_paid_with_patience_and_ends_when_the_run_does() {
        const QUICK: [Limit; 1] = [Limit { calls: 1, per: Duration::from_millis(30) }];
        let (budget, stop) = (Budget::default(), AtomicBool::new(false));
        let patience = Patience::new(Duration::from_secs(60), &stop);
        let past = Instant::now();
        let pace = Pace { owner: Owner::Account("a".to_owned()), class: "x", limits: &QUICK };
        let request = Request::get(&HOST, "/x", Auth::None).paced(pace);
        drop(budget.turn(&request, past, Some(&patience)).ok().unwrap());
        let turn = budget.turn(&request, past, Some(&patience)).ok().unwrap();
        assert!(patience.spent() > Duration::ZERO);
        turn.refused(Duration::from_secs(50));
        stop.store(true, Ordering::Relaxed);
        assert!(budget.turn(&request, past, Some(&patience)).is_err());
    }
}
