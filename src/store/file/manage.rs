//! Making a store file and changing who can open it: what `keyctl store init`
//! and `keyctl store recipient` do.

use std::path::PathBuf;

use super::content::Content;
use super::identity::{self, Keys};
use super::recipients::{Recipient, RecipientError, Text};
use super::{FileStore, disk};
use crate::checkpoint;
use crate::key::Secret;
use crate::store::{StoreError, StoreProblem, Surroundings};

/// What [`init`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub store: PathBuf,
    /// The identity file; `None` when `KEYCTL_IDENTITY` holds the identity.
    pub identity: Option<PathBuf>,
    /// Whether the identity was made just now, not found.
    pub new_identity: bool,
    /// The public key to hand to others, `age1…`.
    pub recipient: String,
}

/// What [`remove_recipient`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    pub recipient: Recipient,
    /// How many secrets the removed one has had access to and still may know.
    pub known_secrets: usize,
}

/// Makes an empty store file, its list of recipients and, unless there is one,
/// the identity. Interrupted, it can be run again.
pub fn init(
    surroundings: &Surroundings,
    name: &str,
    passphrase: Option<&Secret>,
) -> Result<Created, StoreError> {
    let store = FileStore::new(surroundings);
    refuse_to_replace(&store)?;
    // Before the lock: a person who is asked must not keep others waiting.
    let found = find_identity(surroundings, passphrase)?;
    let _lock = disk::lock(&store.path, surroundings.notice.as_ref())?;
    refuse_to_replace(&store)?;
    let new_identity = found.is_none();
    let keys = found.map_or_else(|| make_identity(surroundings, passphrase), Ok)?;
    let Some(key) = keys.recipients().into_iter().next() else {
        return Err(StoreError::new(StoreProblem::Unreadable, format!("{} holds no identity", keys.origin)));
    };
    *super::held(&store.keys) = Some(keys);
    let own = Recipient { name: name.to_owned(), key: key.clone() };
    let recipients = start_list(&store, &own)?;
    store.write("store-init", None, &Content::default(), &recipients)?;
    let identity = surroundings.identity.is_none().then(|| identity::path(surroundings));
    let created = Created { store: store.path.clone(), identity, new_identity, recipient: key };
    store.read().map(|_| created)
}

fn refuse_to_replace(store: &FileStore) -> Result<(), StoreError> {
    if !store.path.exists() {
        return Ok(());
    }
    let message = format!("there is a store file at `{}` already; it is left as it is", store.path.display());
    Err(StoreError::new(StoreProblem::Other, message)
        .remedy("use it with `keyctl store set file`, or name another place with `--path`"))
}

/// Returns the identity that there is already.
fn find_identity(
    surroundings: &Surroundings,
    passphrase: Option<&Secret>,
) -> Result<Option<Keys>, StoreError> {
    if surroundings.identity.is_none() && !identity::path(surroundings).exists() {
        return Ok(None);
    }
    if passphrase.is_some() && !identity::is_protected(surroundings) {
        return Err(StoreError::new(
            StoreProblem::Other,
            "there is an identity already, and no passphrase protects it; it is left as it is",
        )
        .remedy("name another place with `--identity`, or leave out `--passphrase`"));
    }
    let mut surroundings = surroundings.clone();
    if let Some(given) = passphrase.cloned() {
        surroundings.passphrase_file = None;
        surroundings.ask = Some(std::sync::Arc::new(move |_: &str| Some(given.clone())));
    }
    identity::load(&surroundings).map(Some)
}

fn make_identity(surroundings: &Surroundings, passphrase: Option<&Secret>) -> Result<Keys, StoreError> {
    checkpoint::pass("store-identity");
    let keys = identity::create(&identity::path(surroundings), passphrase)?;
    checkpoint::pass("store-identity");
    Ok(keys)
}

/// Writes the list of recipients, or finds the one an interrupted run left.
fn start_list(store: &FileStore, own: &Recipient) -> Result<Vec<Recipient>, StoreError> {
    let path = store.recipients_path();
    if let Some(text) = Text::read(&path)? {
        let list = text.list(&path)?;
        if list.iter().any(|it| it.key == own.key) {
            return Ok(list);
        }
        return Err(StoreError::new(
            StoreProblem::Other,
            format!("`{}` names recipients of a store that is not there", path.display()),
        )
        .remedy("restore the store file from a copy, or move that list away"));
    }
    disk::replace(&path, None, Text::with(own).as_bytes(), "store-recipients")?;
    Ok(vec![own.clone()])
}

/// Returns who can open the store, in the order of the list.
pub fn list_recipients(surroundings: &Surroundings) -> Result<Vec<Recipient>, StoreError> {
    FileStore::new(surroundings).recipients()
}

/// Encrypts the store to one recipient more.
pub fn add_recipient(surroundings: &Surroundings, recipient: &Recipient) -> Result<(), RecipientError> {
    change_list(surroundings, |text, list, _| {
        if let Some(same) = list.iter().find(|it| it.key == recipient.key) {
            let called = if same.name.is_empty() { &same.key } else { &same.name };
            return Err(RecipientError::KeyTaken(called.clone()));
        }
        if list.iter().any(|it| it.name == recipient.name) {
            return Err(RecipientError::NameTaken(recipient.name.clone()));
        }
        Ok((text.adding(recipient), ()))
    })
    .map(|_| ())
}

/// Encrypts the store anew without a recipient, named by name or key. What it
/// could read before it still knows: those keys want rotating.
///
/// # Errors
/// When there is none of that name, it is the last, or it is the own one.
pub fn remove_recipient(surroundings: &Surroundings, name: &str) -> Result<Removed, RecipientError> {
    let (recipient, known_secrets) = change_list(surroundings, |text, list, keys| {
        let Some(found) = list.iter().find(|it| it.name == name || it.key == name) else {
            return Err(RecipientError::NoSuch(crate::key::text::printable(name, 80)));
        };
        if list.len() == 1 {
            return Err(RecipientError::Last(name.to_owned()));
        }
        let own = keys.recipients();
        if !list.iter().any(|it| it.key != found.key && own.contains(&it.key)) {
            return Err(RecipientError::Own(name.to_owned()));
        }
        Ok((text.removing(found), found.clone()))
    })?;
    Ok(Removed { recipient, known_secrets })
}

/// Changes the list under the lock. The store is encrypted before the list is
/// saved, so that an interrupted change can simply be run again.
fn change_list<T>(
    surroundings: &Surroundings,
    edit: impl FnOnce(&Text, &[Recipient], &Keys) -> Result<(Text, T), RecipientError>,
) -> Result<(T, usize), RecipientError> {
    let store = FileStore::new(surroundings);
    let _lock = store.lock()?;
    let sealed = store.bytes()?;
    let content = store.open(&sealed)?;
    let path = store.recipients_path();
    let old = store.recipients_text()?;
    let (new, outcome) = edit(&old, &old.list(&path)?, &store.keys()?)?;
    store.write("store-encrypt", Some(&sealed), &content, &new.list(&path)?)?;
    disk::replace(&path, Some(old.as_bytes()), new.as_bytes(), "store-recipients")?;
    Ok((outcome, content.entries.len()))
}
