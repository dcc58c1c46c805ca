//! The Keychain of macOS and the Credential Manager of Windows. Both have one
//! place that is always there, so a "not found" needs no further proof.

use std::collections::HashMap;
use std::error::Error as Cause;

use super::{State, locked, shown};
use crate::store::{Description, StoreError, StoreProblem};

#[cfg(target_os = "macos")]
pub const UNLOCK: &str = "unlock it with `security unlock-keychain` or log in at the machine itself, and choose \
                          Always Allow when it asks about keyctl";
#[cfg(windows)]
pub const UNLOCK: &str = "log in at the machine itself: over the network Windows gives no access to it; or keep \
                          the secrets in an encrypted file: `keyctl store init file`";

pub const START: &str = "keep the secrets in an encrypted file: `keyctl store init file`";

/// The Keychain takes no label.
#[cfg(target_os = "macos")]
pub fn modifiers(_label: &str) -> HashMap<&str, &str> {
    HashMap::new()
}

/// By default a credential would roam to other machines of the domain.
#[cfg(windows)]
pub fn modifiers(_label: &str) -> HashMap<&str, &str> {
    HashMap::from([("persistence", "Local")])
}

pub fn ambiguous(user: &str) -> String {
    format!("delete the one of `{user}` that keyctl did not make with your keyring program")
}

pub fn state() -> Result<State, StoreError> {
    Ok(State::Ready)
}

/// Never needed: [`state`] is never locked.
pub fn unlock() -> Result<(), StoreError> {
    Ok(())
}

/// Says what the cause inside a keyring error means.
pub fn explain(cause: &(dyn Cause + Send + Sync + 'static), access: bool) -> StoreError {
    if access {
        return locked();
    }
    StoreError::new(StoreProblem::Other, format!("the system keyring failed: {}", shown(cause)))
        .remedy(UNLOCK)
}

#[cfg(target_os = "macos")]
pub fn describe() -> Description {
    Description {
        location: "the login Keychain, items of the service `keyctl`".to_owned(),
        protects: "on disk the secrets are encrypted with your login password; another program has to ask you \
                   before it reads them",
        does_not_protect: "whoever replaces or takes over the keyctl program, or types your password",
    }
}

#[cfg(windows)]
pub fn describe() -> Description {
    Description {
        location: "the Credential Manager, entries that end in `.keyctl`, kept on this machine only"
            .to_owned(),
        protects: "on disk the secrets are encrypted with your login; other users cannot read them",
        does_not_protect: "every program that runs as you can read them",
    }
}
