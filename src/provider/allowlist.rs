//! An account's IP allowlist: the seam between Mailgun's and the commands.

use super::{Call, Outcome};

/// One entry of an account's IP allowlist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct AllowlistEntry {
    pub address: String,
    pub description: Option<String>,
}

/// The addresses an account may be called from; empty means any.
pub trait Allowlist: Sync {
    /// Reads the list.
    fn read(&self, call: Call<'_>) -> Outcome<Vec<AllowlistEntry>>;
    /// Adds an entry.
    ///
    /// # Errors
    /// When it may not be there now.
    fn add(&self, call: Call<'_>, entry: &AllowlistEntry) -> Outcome<()>;
    /// Removes an entry; `Ok(false)`: it was not there.
    ///
    /// # Errors
    /// When it may still be there.
    fn remove(&self, call: Call<'_>, address: &str) -> Outcome<bool>;
}
