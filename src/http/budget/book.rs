//! The book of calls: which were made for which account, and when the next may
//! be. Pure: the hour is told, nobody waits in here.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{Limit, Owner, Pace};

/// A call that is not answered by then does not keep the next from being made.
const OVERDUE: Duration = Duration::from_secs(5);

/// Whose calls of a class are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Account {
    Known(String),
    /// A key that stands for an account of its own.
    Key(String),
    /// All keys whose account is not known.
    Strangers,
}

type Name = (&'static str, Account);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    OnItsWay,
    Answered,
}

/// One call: planned, begun or answered `at`.
#[derive(Debug)]
struct Call {
    number: u64,
    key: Option<String>,
    at: Instant,
    state: State,
}

impl Call {
    /// Returns when the vendor has counted it, as far as can be said.
    fn counted(&self, now: Instant) -> Instant {
        let late = self.state == State::OnItsWay && now < self.at + OVERDUE;
        if late { self.at.max(now) } else { self.at }
    }
}

/// The calls of one account and class, in the order they came.
#[derive(Debug, Default)]
struct Line {
    calls: VecDeque<Call>,
    /// Not before: the vendor said so.
    held: Option<Instant>,
    /// An account that a key turned out to be of whose account was not known:
    /// the next one may be of it as well.
    met: bool,
}

impl Line {
    /// Returns when the call at `position` may be made, by those before it.
    fn due(&self, position: usize, limits: &[Limit], now: Instant) -> Instant {
        let by_limit = |limit: &Limit| {
            let last = position.checked_sub(limit.calls)?;
            self.calls.iter().take(last + 1).map(|it| it.counted(now)).max().map(|it| it + limit.per)
        };
        limits.iter().filter_map(by_limit).chain(self.held).fold(now, Instant::max)
    }

    fn forget(&mut self, limits: &[Limit], now: Instant) {
        let longest = limits.iter().map(|it| it.per).max().unwrap_or_default();
        while self.calls.front().is_some_and(|it| it.state == State::Answered && it.at + longest <= now) {
            self.calls.pop_front();
        }
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.calls.iter().position(|it| it.number == number)
    }
}

/// A call's place in its line.
#[derive(Debug, Clone)]
pub(super) struct Place {
    name: Name,
    number: u64,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    lines: HashMap<Name, Line>,
    classes: BTreeSet<&'static str>,
    /// The account of each key that was learned.
    accounts: HashMap<Arc<str>, Arc<str>>,
    last: u64,
}

impl Book {
    fn account(&self, owner: &Owner) -> Account {
        let learned =
            |key: &String| self.accounts.get(key.as_str()).map(|it| Account::Known(it.as_ref().to_owned()));
        match owner {
            Owner::Account(id) => Account::Known(id.clone()),
            Owner::Key(key) => learned(key).unwrap_or_else(|| Account::Key(key.clone())),
            Owner::Stranger(key) => learned(key).unwrap_or(Account::Strangers),
        }
    }

    /// Puts a call at the end of its line.
    pub(super) fn join(&mut self, pace: &Pace, now: Instant) -> Place {
        self.last += 1;
        let name = (pace.class, self.account(&pace.owner));
        self.classes.insert(pace.class);
        let line = self.lines.entry(name.clone()).or_default();
        line.forget(pace.limits, now);
        let key = match &pace.owner {
            Owner::Account(_) => None,
            Owner::Key(key) | Owner::Stranger(key) => Some(key.clone()),
        };
        line.calls.push_back(Call { number: self.last, key, at: now, state: State::Waiting });
        Place { name, number: self.last }
    }

    /// Returns when a call may be made, as far as is known now, and plans it
    /// for then. A key whose account is not known may be of any account that
    /// such keys turned out to be of, so it keeps to their budgets as well.
    pub(super) fn due(&mut self, pace: &Pace, place: &Place, now: Instant) -> Instant {
        let among_met = match place.name.1 {
            Account::Known(_) | Account::Key(_) => now,
            Account::Strangers => self
                .lines
                .iter()
                .filter(|((class, _), line)| *class == place.name.0 && line.met)
                .map(|(_, line)| line.due(line.calls.len(), pace.limits, now))
                .fold(now, Instant::max),
        };
        let Some(line) = self.lines.get_mut(&place.name) else { return among_met };
        let Some(position) = line.position(place.number) else { return among_met };
        let due = line.due(position, pace.limits, now).max(among_met);
        line.calls[position].at = due;
        due
    }

    fn set(&mut self, place: &Place, at: Instant, state: State) {
        let Some(line) = self.lines.get_mut(&place.name) else { return };
        if let Some(position) = line.position(place.number) {
            (line.calls[position].at, line.calls[position].state) = (at, state);
        }
    }

    /// Notes that a call is on its way.
    pub(super) fn begin(&mut self, place: &Place, now: Instant) {
        self.set(place, now, State::OnItsWay);
    }

    /// Notes that a call was answered, or given up.
    pub(super) fn answered(&mut self, place: &Place, now: Instant) {
        self.set(place, now, State::Answered);
    }

    /// Takes a call that is not made out of its line.
    pub(super) fn leave(&mut self, place: &Place) {
        if let Some(line) = self.lines.get_mut(&place.name) {
            line.calls.retain(|it| it.number != place.number);
        }
    }

    /// Notes that the vendor wants no such calls of the account until then.
    pub(super) fn hold(&mut self, place: &Place, until: Instant) {
        if let Some(line) = self.lines.get_mut(&place.name) {
            line.held = line.held.max(Some(until));
        }
    }

    /// Notes whose a key is, and others seen with it, and counts what they
    /// called to that account.
    pub(super) fn learn(&mut self, key: &str, others: &[Arc<str>], account: &str) {
        let mut new: Vec<Arc<str>> = others
            .iter()
            .filter(|it| it.as_ref() != key && !self.accounts.contains_key(*it))
            .cloned()
            .collect();
        new.push(key.into());
        let known: Arc<str> = account.into();
        for key in &new {
            self.accounts.insert(Arc::clone(key), Arc::clone(&known));
        }
        for class in self.classes.clone() {
            for key in &new {
                self.recount(&(class, Account::Key(key.as_ref().to_owned())), key, account);
                self.recount(&(class, Account::Strangers), key, account);
            }
        }
    }

    /// Moves the answered calls of `key` from a line to its account's.
    fn recount(&mut self, from: &Name, key: &str, account: &str) {
        let Some(line) = self.lines.get_mut(from) else { return };
        let its = |it: &Call| it.state == State::Answered && it.key.as_deref() == Some(key);
        let (moved, left): (VecDeque<Call>, VecDeque<Call>) = line.calls.drain(..).partition(its);
        line.calls = left;
        let held = line.held.filter(|_| from.1 != Account::Strangers);
        if line.calls.is_empty() {
            self.lines.remove(from);
        }
        if moved.is_empty() {
            return;
        }
        let line = self.lines.entry((from.0, Account::Known(account.to_owned()))).or_default();
        line.met |= from.1 == Account::Strangers;
        line.held = line.held.max(held);
        let planned = line.calls.iter().position(|it| it.state == State::Waiting).unwrap_or(line.calls.len());
        let waiting = line.calls.split_off(planned);
        line.calls.extend(moved);
        line.calls.extend(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Klaviyo's tightest class.
    const XS: [Limit; 2] =
        [Limit { calls: 1, per: Duration::from_secs(1) }, Limit { calls: 15, per: Duration::from_secs(60) }];

    fn pace(owner: Owner) -> Pace {
        Pace { owner, class: "x", limits: &XS }
    }

    fn account(id: &str) -> Pace {
        pace(Owner::Account(id.to_owned()))
    }

    fn stranger(key: &str) -> Pace {
        pace(Owner::Stranger(key.to_owned()))
    }

    /// A book with a clock that stands still until it is moved.
    struct Clock {
        book: Book,
        start: Instant,
        now: Instant,
    }

    impl Clock {
        fn new() -> Self {
            let start = Instant::now();
            Self { book: Book::default(), start, now: start }
        }

        /// Makes a call as soon as it may be, `latency` until its answer;
        /// returns the second it was begun in.
        fn call(&mut self, pace: &Pace, latency: Duration) -> u64 {
            let place = self.book.join(pace, self.now);
            self.now = self.book.due(pace, &place, self.now);
            self.book.begin(&place, self.now);
            let begun = self.now;
            self.now += latency;
            self.book.answered(&place, self.now);
            (begun - self.start).as_secs()
        }

        /// Returns in how many seconds a call could be made, and does not.
        fn wait(&mut self, pace: &Pace) -> u64 {
            let place = self.book.join(pace, self.now);
            let due = self.book.due(pace, &place, self.now);
            self.book.leave(&place);
            (due - self.now).as_secs()
        }
    }

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn both_windows_hold_and_accounts_do_not_wait_for_each_other() {
        let mut clock = Clock::new();
        let begun: Vec<u64> = (0..18).map(|_| clock.call(&account("a"), AT_ONCE)).collect();
        assert_eq!(begun[..15], (0..15).collect::<Vec<u64>>()[..]);
        assert_eq!(begun[15..], [60, 61, 62]);
        assert_eq!(clock.wait(&account("b")), 0);
        let other_class = Pace { class: "y", ..account("a") };
        assert_eq!(clock.wait(&other_class), 0);
        // A window slides: a minute later all fifteen are free again.
        clock.now += Duration::from_secs(60);
        assert_eq!(clock.wait(&account("a")), 0);
    }

    #[test]
    fn a_second_is_counted_from_the_answer() {
        // However long a call was on its way, the vendor counts the next a second later.
        let mut clock = Clock::new();
        let begun: Vec<u64> = (0..3).map(|_| clock.call(&account("a"), Duration::from_secs(2))).collect();
        assert_eq!(begun, [0, 3, 6]);
    }

    #[test]
    fn those_who_wait_keep_their_order_and_move_up_when_one_leaves() {
        let mut clock = Clock::new();
        clock.call(&account("a"), AT_ONCE);
        let places: Vec<Place> = (0..3).map(|_| clock.book.join(&account("a"), clock.now)).collect();
        let due = |clock: &mut Clock, n: usize| {
            (clock.book.due(&account("a"), &places[n], clock.now) - clock.start).as_secs()
        };
        assert_eq!([due(&mut clock, 0), due(&mut clock, 1), due(&mut clock, 2)], [1, 2, 3]);
        clock.book.leave(&places[0]);
        assert_eq!([due(&mut clock, 1), due(&mut clock, 2)], [1, 2]);
    }

    #[test]
    fn a_call_without_an_answer_does_not_stop_the_account_for_ever() {
        let mut clock = Clock::new();
        let lost = clock.book.join(&account("a"), clock.now);
        clock.book.begin(&lost, clock.now);
        clock.now += Duration::from_secs(4);
        assert_eq!(clock.wait(&account("a")), 1);
        clock.now += Duration::from_secs(1);
        assert_eq!(clock.wait(&account("a")), 0);
    }

    #[test]
    fn strangers_keep_to_one_budget_until_their_accounts_are_known() {
        let mut clock = Clock::new();
        assert_eq!(clock.call(&stranger("k1"), AT_ONCE), 0);
        assert_eq!(clock.wait(&stranger("k2")), 1);
        // It is of `a`, which counts it; the next stranger may be of `a` as well.
        clock.book.learn("k1", &[], "a");
        assert_eq!(
            [clock.wait(&stranger("k1")), clock.wait(&account("a")), clock.wait(&stranger("k2"))],
            [1; 3]
        );
        assert_eq!(clock.wait(&account("b")), 0);
        // A second later it may be asked, and is of `b`.
        clock.now += Duration::from_secs(1);
        clock.call(&stranger("k2"), AT_ONCE);
        clock.book.learn("k2", &[], "b");
        assert_eq!([clock.wait(&account("a")), clock.wait(&account("b"))], [0, 1]);
    }

    #[test]
    fn strangers_of_one_account_cannot_use_up_more_than_its_budget() {
        let mut clock = Clock::new();
        let mut begun = Vec::new();
        for n in 0..17 {
            let key = format!("k{n}");
            begun.push(clock.call(&stranger(&key), AT_ONCE));
            clock.book.learn(&key, &[], "a");
        }
        assert_eq!(begun[14..], [14, 60, 61]);
    }

    #[test]
    fn keys_that_are_listed_together_share_a_budget_from_then_on() {
        let mut clock = Clock::new();
        let key = |id: &str| pace(Owner::Key(id.to_owned()));
        assert_eq!([clock.call(&key("k1"), AT_ONCE), clock.call(&key("k2"), AT_ONCE)], [0, 0]);
        clock.book.learn("k1", &["k1".into(), "k2".into(), "k3".into()], "k1");
        assert_eq!([clock.wait(&key("k3")), clock.wait(&key("k4"))], [1, 0]);
    }

    #[test]
    fn the_vendors_own_word_holds_the_account() {
        let mut clock = Clock::new();
        let place = clock.book.join(&account("a"), clock.now);
        clock.book.begin(&place, clock.now);
        clock.book.answered(&place, clock.now);
        clock.book.hold(&place, clock.now + Duration::from_secs(40));
        assert_eq!([clock.wait(&account("a")), clock.wait(&account("b"))], [40, 0]);
    }
}
