//! The `keyring` store: the keyring of the operating system (Secret Service,
//! Keychain, Credential Manager). One item per secret version: service
//! `keyctl`, user `<id>#<n>`, so that other programs find it too.
//!
//! No call waits without a limit, since the libraries below do: each runs on a
//! thread of its own that is left behind when the limit passes. Errors of those
//! libraries are shown with `{}` only; `{:?}` of some holds the secret.

#[cfg(any(target_os = "macos", windows))]
mod native;
#[cfg(not(any(target_os = "macos", windows)))]
mod secret_service;

#[cfg(any(target_os = "macos", windows))]
use native as platform;
#[cfg(not(any(target_os = "macos", windows)))]
use secret_service as platform;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use keyring_core::{Entry, Error};
use zeroize::Zeroize as _;

use super::{Description, Item, Naming, Notice, Row, Store, StoreError, StoreProblem, Surroundings};
use crate::checkpoint;
use crate::key::Secret;

pub const ROW: Row = Row {
    name: "keyring",
    summary: "the keyring of the operating system",
    writable: true,
    naming: Naming::ByVersion,
    open,
};

/// The service of every item.
pub const SERVICE: &str = "keyctl";

/// How long a keyring may take when nobody could answer its question.
const LIMIT: Duration = Duration::from_secs(2);
/// After this long a person is told what is being waited for …
const NOTICE_AFTER: Duration = Duration::from_secs(1);
/// … and after this long it is given up.
const INTERACTIVE_LIMIT: Duration = Duration::from_secs(60);
/// How long a keyring that did not answer may take to say why.
const REASON_LIMIT: Duration = Duration::from_millis(500);

fn open(surroundings: &Surroundings) -> Box<dyn Store> {
    Box::new(KeyringStore {
        interactive: surroundings.interactive,
        notice: surroundings.notice.clone(),
        given_up: Arc::default(),
    })
}

struct KeyringStore {
    interactive: bool,
    notice: Option<Notice>,
    /// Set once a call did not come back: the connection is stuck, and each
    /// further key would wait as long again.
    given_up: Arc<AtomicBool>,
}

/// What the default collection of a keyring is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(any(target_os = "macos", windows), expect(dead_code, reason = "there it is always ready"))]
enum State {
    Ready,
    Locked,
    Missing,
}

impl KeyringStore {
    /// Runs `work` on a thread of its own and waits for it, within the limit.
    fn within<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(timed_out(self.limit()));
        }
        let first = if self.interactive { NOTICE_AFTER } else { LIMIT };
        let answer = run(work)?;
        let mut result = answer.recv_timeout(first);
        if self.interactive && matches!(result, Err(RecvTimeoutError::Timeout)) {
            if let Some(notice) = &self.notice {
                notice("waiting for the system keyring (is it asking for your password?)");
            }
            result = answer.recv_timeout(INTERACTIVE_LIMIT - NOTICE_AFTER);
        }
        match result {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => {
                self.given_up.store(true, Ordering::Relaxed);
                Err(self.why_silent())
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(StoreError::new(StoreProblem::Other, "the library of the system keyring failed")
                    .remedy("try again; if it happens again, report it"))
            }
        }
    }

    fn limit(&self) -> Duration {
        if self.interactive { INTERACTIVE_LIMIT } else { LIMIT }
    }

    /// A keyring that waits for a password still says that it is locked.
    fn why_silent(&self) -> StoreError {
        let state = run(platform::state).ok().and_then(|answer| answer.recv_timeout(REASON_LIMIT).ok());
        match state {
            Some(Ok(State::Locked)) => locked(),
            _ => timed_out(self.limit()),
        }
    }
}

fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<mpsc::Receiver<T>, StoreError> {
    let (send, answer) = mpsc::channel();
    let worker = move || {
        // Nobody listens any more after the limit.
        let _ = send.send(work());
    };
    std::thread::Builder::new().name("keyring".to_owned()).spawn(worker).map_err(|error| {
        StoreError::new(StoreProblem::Other, format!("cannot start a thread for the keyring: {error}"))
    })?;
    Ok(answer)
}

/// Returns the handle of an item, connecting at the first call.
fn entry(user: &str, label: &str) -> Result<Entry, StoreError> {
    if let Err(error) = keyring::v1::Entry::store_status() {
        return Err(explain(error, user));
    }
    let modifiers: HashMap<&str, &str> = platform::modifiers(label);
    Entry::new_with_modifiers(SERVICE, user, &modifiers).map_err(|error| explain(&error, user))
}

fn read(entry: &Entry, user: &str) -> Result<Option<Secret>, StoreError> {
    match entry.get_secret() {
        Ok(bytes) => String::from_utf8(bytes).map(|text| Some(Secret::new(text))).map_err(|error| {
            error.into_bytes().zeroize();
            StoreError::new(StoreProblem::Unreadable, format!("the keyring item `{user}` is not text"))
                .remedy("keyctl did not write it: look at it with your keyring program")
        }),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(explain(&error, user)),
    }
}

/// Proves that what was not found is not merely out of sight: a keyring that is
/// locked or has no default collection says "not found" as well. Returns whether
/// a person has just unlocked it, so that it is worth looking again.
fn prove_absent(interactive: bool) -> Result<bool, StoreError> {
    match platform::state()? {
        State::Ready => Ok(false),
        State::Missing => Err(no_default_collection()),
        State::Locked if interactive => platform::unlock().map(|()| true),
        State::Locked => Err(locked()),
    }
}

fn put(user: &str, label: &str, item: &Item, secret: &Secret) -> Result<(), StoreError> {
    let entry = entry(user, label)?;
    match read(&entry, user)? {
        Some(there) if super::same(&there, secret) => return Ok(()),
        Some(_) => return Err(super::never_overwritten(item)),
        None => {}
    }
    checkpoint::pass("store-put");
    entry.set_secret(secret.expose().as_bytes()).map_err(|error| explain(&error, user))?;
    checkpoint::pass("store-put");
    match read(&entry, user)? {
        Some(there) if super::same(&there, secret) => Ok(()),
        _ => Err(super::not_read_back(item)),
    }
}

/// Writes, reads and deletes an item of its own: without a write nobody knows
/// whether there is a collection to write to.
fn probe() -> Result<(), StoreError> {
    let user = format!("probe#{}", std::process::id());
    let entry = entry(&user, "keyctl: test whether the keyring can be written")?;
    let refused = |error: &Error| explain(error, &user);
    entry.set_secret(b"probe").map_err(|error| refused(&error))?;
    let read = entry.get_secret().map_err(|error| refused(&error))?;
    entry.delete_credential().map_err(|error| refused(&error))?;
    if read == b"probe" {
        return Ok(());
    }
    Err(StoreError::new(StoreProblem::Other, "the system keyring does not give back what it was given")
        .remedy("choose another store with `--store`, for example `keyctl store init file`"))
}

impl Store for KeyringStore {
    fn row(&self) -> &'static Row {
        &ROW
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        self.within(probe)
    }

    fn check_readable(&self) -> Result<(), StoreError> {
        let interactive = self.interactive;
        self.within(move || {
            entry("probe", "keyctl")?;
            prove_absent(interactive).map(|_| ())
        })
    }

    fn get(&self, item: &Item) -> Result<Option<Secret>, StoreError> {
        let (user, label, interactive) = (item.user(), item.label(), self.interactive);
        self.within(move || {
            let entry = entry(&user, &label)?;
            match read(&entry, &user)? {
                None if prove_absent(interactive)? => read(&entry, &user),
                found => Ok(found),
            }
        })
    }

    fn put(&self, item: &Item, secret: &Secret) -> Result<(), StoreError> {
        let (item, secret) = (item.clone(), secret.clone());
        self.within(move || put(&item.user(), &item.label(), &item, &secret))
    }

    fn delete(&self, item: &Item) -> Result<bool, StoreError> {
        let (user, label, interactive) = (item.user(), item.label(), self.interactive);
        self.within(move || {
            let entry = entry(&user, &label)?;
            let delete = || match entry.delete_credential() {
                Ok(()) => Ok(true),
                Err(Error::NoEntry) => Ok(false),
                Err(error) => Err(explain(&error, &user)),
            };
            checkpoint::pass("store-delete");
            let mut deleted = delete()?;
            if !deleted && prove_absent(interactive)? {
                deleted = delete()?;
            }
            checkpoint::pass("store-delete");
            Ok(deleted)
        })
    }

    fn describe(&self) -> Description {
        platform::describe()
    }
}

/// Says what a keyring's error means. Never formats it with `{:?}`.
fn explain(error: &Error, user: &str) -> StoreError {
    match error {
        Error::NoStorageAccess(cause) | Error::PlatformFailure(cause) => {
            platform::explain(cause.as_ref(), matches!(error, Error::NoStorageAccess(_)))
        }
        Error::Ambiguous(items) => StoreError::new(
            StoreProblem::Ambiguous,
            format!("{} items in the keyring claim to be `{user}` of the service `{SERVICE}`", items.len()),
        )
        .remedy(platform::ambiguous(user)),
        Error::TooLong(_, limit) => StoreError::new(
            StoreProblem::Other,
            format!("the secret is longer than this keyring takes ({limit} bytes)"),
        )
        .remedy("keep it in another store, for example `keyctl store init file`"),
        Error::NoDefaultStore => no_service("no keyring of the system could be opened"),
        other => StoreError::new(StoreProblem::Other, format!("the system keyring failed: {}", shown(other))),
    }
}

/// Returns the text of a foreign error, fit for a terminal.
fn shown(error: &dyn std::error::Error) -> String {
    crate::key::text::printable(&error.to_string(), 200)
}

fn locked() -> StoreError {
    StoreError::new(StoreProblem::Locked, "the system keyring is locked").remedy(platform::UNLOCK)
}

fn no_service(message: impl Into<String>) -> StoreError {
    StoreError::new(StoreProblem::NoService, message).remedy(platform::START)
}

fn no_default_collection() -> StoreError {
    StoreError::new(
        StoreProblem::NoDefaultCollection,
        "the system keyring has no default collection to keep secrets in",
    )
    .remedy(
        "make one and set it as default in your keyring program (Passwords and Keys, KWalletManager), or keep \
         the secrets in an encrypted file: `keyctl store init file`",
    )
}

fn timed_out(limit: Duration) -> StoreError {
    StoreError::new(
        StoreProblem::TimedOut,
        format!("the system keyring did not answer within {} s", limit.as_secs()),
    )
    .remedy(
        "if it asks for a password on the desktop, answer it and try again; otherwise restart it, or keep the \
         secrets in an encrypted file: `keyctl store init file`",
    )
}
