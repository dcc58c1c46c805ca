//! The Secret Service (GNOME Keyring, KWallet, KeePassXC) on Linux and the BSDs:
//! what its errors mean, and the state that a "not found" does not tell.

use std::collections::HashMap;
use std::error::Error as Cause;

use ::secret_service::blocking::SecretService;
use ::secret_service::{EncryptionType, Error};

use super::{State, locked, no_default_collection, no_service, shown};
use crate::store::{Description, StoreError, StoreProblem};

pub const UNLOCK: &str = "unlock it (log in to the desktop, or open your keyring program) and try again; where \
                          nobody can, keep the secrets in an encrypted file: `keyctl store init file`";

pub const START: &str = "start one (for example `gnome-keyring-daemon` in a desktop session or below \
                         `dbus-run-session`), or keep the secrets in an encrypted file with \
                         `keyctl store init file`, or read them from variables with `KEYCTL_STORE=env`";

/// Only the label; a `target` would make a collection of its own.
pub fn modifiers(label: &str) -> HashMap<&str, &str> {
    HashMap::from([("label", label)])
}

pub fn ambiguous(user: &str) -> String {
    format!(
        "look at them with `secret-tool search --all service keyctl username '{user}'` and delete the one that \
         keyctl did not make (its label does not begin with `keyctl:`)"
    )
}

/// Asks a connection of its own for the state of the default collection.
pub fn state() -> Result<State, StoreError> {
    let service = connect()?;
    let collection = match service.get_default_collection() {
        Ok(collection) => collection,
        Err(error) if is_missing(&error) => return Ok(State::Missing),
        Err(error) => return Err(explain_error(&error)),
    };
    match collection.is_locked() {
        Ok(true) => Ok(State::Locked),
        Ok(false) => Ok(State::Ready),
        Err(error) if is_missing(&error) => Ok(State::Missing),
        Err(error) => Err(explain_error(&error)),
    }
}

/// Has the keyring ask its person for the password.
pub fn unlock() -> Result<(), StoreError> {
    let service = connect()?;
    let collection = service.get_default_collection().map_err(|error| explain_error(&error))?;
    collection.unlock().map_err(|error| explain_error(&error))
}

fn connect() -> Result<SecretService<'static>, StoreError> {
    // No secret passes here, so the session needs no encryption.
    SecretService::connect(EncryptionType::Plain).map_err(|error| explain_error(&error))
}

/// Says what the cause inside a keyring error means.
pub fn explain(cause: &(dyn Cause + Send + Sync + 'static), access: bool) -> StoreError {
    match cause.downcast_ref::<Error>() {
        Some(error) => explain_error(error),
        None if access => locked(),
        None => StoreError::new(StoreProblem::Other, format!("the system keyring failed: {}", shown(cause))),
    }
}

fn explain_error(error: &Error) -> StoreError {
    match error {
        Error::Locked | Error::Prompt => locked(),
        Error::Unavailable => no_service("there is no system keyring: this session has no D-Bus"),
        Error::PromptDisconnected => no_service("the system keyring ended while it was asked"),
        other if is_missing(other) => no_default_collection(),
        Error::Zbus(cause) => explain_bus(cause),
        other => StoreError::new(StoreProblem::Other, format!("the system keyring failed: {}", shown(other))),
    }
}

fn explain_bus(error: &zbus::Error) -> StoreError {
    match error {
        zbus::Error::MethodError(name, ..) => match name.as_str() {
            "org.freedesktop.Secret.Error.IsLocked" => locked(),
            "org.freedesktop.DBus.Error.ServiceUnknown"
            | "org.freedesktop.DBus.Error.NameHasNoOwner"
            | "org.freedesktop.DBus.Error.NoReply"
            | "org.freedesktop.DBus.Error.Disconnected" => no_service(
                "there is no system keyring: no program of this session provides the Secret Service",
            ),
            word if word.starts_with("org.freedesktop.DBus.Error.Spawn") => {
                no_service("the system keyring could not be started")
            }
            _ => StoreError::new(StoreProblem::Other, format!("the system keyring failed: {}", shown(error))),
        },
        zbus::Error::Connection(..)
        | zbus::Error::InputOutput(_)
        | zbus::Error::Address(_)
        | zbus::Error::Handshake(_) => {
            no_service("there is no system keyring: the D-Bus of this session cannot be reached")
        }
        _ => StoreError::new(StoreProblem::Other, format!("the system keyring failed: {}", shown(error))),
    }
}

/// A default alias may be unset, or name a collection that is gone.
fn is_missing(error: &Error) -> bool {
    const GONE: [&str; 3] = [
        "org.freedesktop.Secret.Error.NoSuchObject",
        "org.freedesktop.DBus.Error.UnknownObject",
        "org.freedesktop.DBus.Error.UnknownMethod",
    ];
    match error {
        Error::NoResult => true,
        Error::Zbus(zbus::Error::MethodError(name, ..)) => GONE.contains(&name.as_str()),
        Error::ZbusFdo(zbus::fdo::Error::UnknownObject(_) | zbus::fdo::Error::UnknownMethod(_)) => true,
        _ => false,
    }
}

pub fn describe() -> Description {
    Description {
        location: "the desktop's keyring (Secret Service), items of the service `keyctl`".to_owned(),
        protects: "on disk the secrets are encrypted with your keyring's password; other users cannot read them",
        does_not_protect: "while the keyring is unlocked, every program that runs as you can read them",
    }
}
