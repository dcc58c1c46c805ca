//! A bounded number of calls at the same time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::operator::Operator;
use crate::workflow::interrupt::Interruption;

/// Does `work` on every item, at most `jobs` at a time; the results are in the
/// items' order.
pub fn each<T: Sync, R: Send>(items: &[T], jobs: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(n) else { break };
                    let result = work(item);
                    if let Ok(mut done) = done.lock() {
                        done.push((n, result));
                    }
                }
            });
        }
    });
    // A panic in a worker was passed on by the scope, so all are there.
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does `work` on every item like [`each`], until Ctrl-C: what was not begun
/// by then is `None`.
pub fn until<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    (interruption, operator): (&Interruption, &(dyn Operator + 'static)),
    work: impl Fn(&T) -> R + Sync,
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let (next, done_here, work) = (&next, &done, &work);
    std::thread::scope(|scope| {
        // It is dropped with the last worker: that is the end.
        let (alive, end) = std::sync::mpsc::channel::<()>();
        for _ in 0..jobs.min(items.len()) {
            let alive = alive.clone();
            scope.spawn(move || {
                let _alive = alive;
                while !interruption.is_raised() {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(n) else { break };
                    let result = work(item);
                    if let Ok(mut done) = done_here.lock() {
                        done[n] = Some(result);
                    }
                }
            });
        }
        drop(alive);
        interruption.wait(operator, &end);
    });
    done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Returns what a thread returned; its panic goes on here.
pub fn joined<T>(running: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match running.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_their_items() {
        let items: Vec<usize> = (0..50).collect();
        let doubled = each(&items, 4, |it| it * 2);
        assert_eq!(doubled, items.iter().map(|it| it * 2).collect::<Vec<_>>());
        assert_eq!(each(&[7], 4, |it| it + 1), [8]);
    }
}
