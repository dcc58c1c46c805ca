//! Any bytes under age, with the recipients, identities and passphrases of the
//! file store: backups.

use age::armor::ArmoredReader;
use age::{Decryptor, x25519};
use zeroize::Zeroizing;

use super::{content, identity};
use crate::key::Secret;
use crate::store::{StoreError, StoreProblem, Surroundings};

/// Encrypts bytes to recipients (`age1…`).
pub fn seal_to(plain: &[u8], recipients: &[String]) -> Result<Vec<u8>, StoreError> {
    let bad = |text: &String| {
        let shown = crate::key::text::printable(text, 70);
        StoreError::new(StoreProblem::Other, format!("`{shown}` is no age recipient"))
    };
    let keys: Vec<x25519::Recipient> =
        recipients.iter().map(|it| it.parse().map_err(|_| bad(it))).collect::<Result<_, _>>()?;
    content::encrypt(plain, keys.iter().map(|it| it as &dyn age::Recipient))
        .map_err(|error| StoreError::new(StoreProblem::Other, error))
}

/// Encrypts bytes with a passphrase.
pub fn seal_with(plain: &[u8], passphrase: &Secret) -> Result<Vec<u8>, StoreError> {
    identity::lock(plain, passphrase)
}

/// Returns whether bytes are an age file, binary or armoured.
pub fn is_sealed(bytes: &[u8]) -> bool {
    content::is_age(bytes)
}

/// Decrypts what [`seal_to`] or [`seal_with`] made, with the identity or a
/// passphrase that is asked for. `what` names it in messages.
pub fn unseal(
    bytes: &[u8],
    what: &str,
    surroundings: &Surroundings,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let unreadable = |why: &str| StoreError::new(StoreProblem::Unreadable, format!("{what} {why}"));
    if !content::is_age(bytes) {
        return Err(unreadable("is no age file"));
    }
    if Decryptor::new(ArmoredReader::new(bytes)).is_ok_and(|it| it.is_scrypt()) {
        return identity::unlock(bytes, what, surroundings);
    }
    let keys = identity::load(surroundings)?;
    content::decrypt(bytes, &keys.identities).map_err(|trouble| match trouble {
        content::Trouble::WrongIdentity => {
            unreadable(&format!("was not made for the identity in {}", keys.origin))
        }
        _ => unreadable("is damaged"),
    })
}
