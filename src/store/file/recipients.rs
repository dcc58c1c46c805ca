//! Who can open the store file: a plain text file beside it, in age's own
//! recipients format (one `age1…` a line) with each one's name in a comment
//! above, so that it can be read, reviewed and merged.

use std::path::{Path, PathBuf};

use age::x25519;

use super::disk;
use crate::store::{StoreError, StoreProblem};

/// The longest name of a recipient, in characters.
pub const MAX_NAME: usize = 80;

const HEAD: &str = "# Who can open the store file beside this one: a name, then its age recipient.\n\
                    # Change it with `keyctl store recipient add|remove`, which encrypts the store anew.\n\n";

/// One who can open the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// What people call it; empty for a line without a comment above.
    pub name: String,
    /// The public key, `age1…`.
    pub key: String,
}

/// Why the list of recipients was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RecipientError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("`{0}` is no age recipient; one begins with `age1` and is 62 characters long")]
    NotARecipient(String),
    #[error("that is a secret identity, not a recipient; it is now known to whoever sees this terminal")]
    Identity,
    #[error("a recipient's name has 1 to {MAX_NAME} characters and no control characters")]
    Name,
    #[error("there is a recipient `{0}` already, with another key")]
    NameTaken(String),
    #[error("that recipient is there already, as `{0}`")]
    KeyTaken(String),
    #[error("there is no recipient `{0}`")]
    NoSuch(String),
    #[error("`{0}` is the only recipient: without it nobody could open the store")]
    Last(String),
    #[error("`{0}` is your own identity: without it you could not open the store any more")]
    Own(String),
}

/// Checks a recipient before it is used.
pub fn check(name: &str, key: &str) -> Result<Recipient, RecipientError> {
    let (name, key) = (name.trim(), key.trim());
    if key.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(RecipientError::Identity);
    }
    if key.parse::<x25519::Recipient>().is_err() {
        return Err(RecipientError::NotARecipient(crate::key::text::printable(key, 80)));
    }
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(RecipientError::Name);
    }
    Ok(Recipient { name: name.to_owned(), key: key.to_owned() })
}

/// Returns where the recipients of a store file stand.
pub fn path(store: &Path) -> PathBuf {
    disk::beside(store, ".recipients")
}

/// The text of a recipients file. Lines that keyctl does not know stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Returns a file with one recipient.
    pub fn with(recipient: &Recipient) -> Self {
        Self(HEAD.to_owned()).adding(recipient)
    }

    /// Reads the file; `None` when there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = disk::read(path)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| {
            StoreError::new(StoreProblem::Damaged, format!("`{}` is not text", path.display()))
                .remedy("restore it from a copy")
        })?;
        Ok(Some(Self(text)))
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns the recipients in the order of the file.
    ///
    /// # Errors
    /// The number of the first line that is no X25519 recipient; leaving such a
    /// one out would lock somebody out without a word.
    pub fn list(&self, path: &Path) -> Result<Vec<Recipient>, StoreError> {
        let mut out = Vec::new();
        let mut name = "";
        for (at, line) in self.0.lines().map(str::trim).enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                name = comment.trim();
                continue;
            }
            if !line.is_empty() {
                if line.parse::<x25519::Recipient>().is_err() {
                    let message =
                        format!("line {} of `{}` is no age recipient (`age1…`)", at + 1, path.display());
                    return Err(
                        StoreError::new(StoreProblem::Damaged, message).remedy("correct or delete that line")
                    );
                }
                out.push(Recipient { name: name.to_owned(), key: line.to_owned() });
            }
            name = "";
        }
        if out.is_empty() {
            return Err(StoreError::new(
                StoreProblem::Damaged,
                format!("`{}` names no recipient", path.display()),
            )
            .remedy("restore it from a copy, or write your own recipient (`age1…`) into it"));
        }
        Ok(out)
    }

    /// Returns the text with one recipient more.
    #[must_use]
    pub fn adding(&self, recipient: &Recipient) -> Self {
        let end = if self.0.is_empty() || self.0.ends_with('\n') { "" } else { "\n" };
        Self(format!("{}{end}# {}\n{}\n", self.0, recipient.name, recipient.key))
    }

    /// Returns the text without a recipient and the comment that names it.
    #[must_use]
    pub fn removing(&self, recipient: &Recipient) -> Self {
        let mut out: Vec<&str> = Vec::new();
        for line in self.0.lines() {
            if line.trim() == recipient.key {
                if !recipient.name.is_empty() {
                    out.pop();
                }
                continue;
            }
            out.push(line);
        }
        Self(out.iter().flat_map(|line| [line, "\n"]).collect())
    }
}
