//! An account's IP allowlist, by a key that may be called with.

use crate::context::Context;
use crate::exit::Exit;
use crate::key::KeyRef;
use crate::provider::{Allowlist, AllowlistEntry, Trouble};
use crate::workflow::managing_key::Keyed;
use crate::workflow::provider_failure;

/// An account, by a key that may be called with.
pub struct Account<'a> {
    pub context: &'a Context,
    pub facet: &'a dyn Allowlist,
    pub keyed: Keyed,
}

impl Account<'_> {
    pub fn key(&self) -> &KeyRef {
        &self.keyed.key
    }

    /// Returns the list, sorted. Each call has the whole time of a command.
    pub fn read(&self, failed: &str) -> anyhow::Result<Vec<AllowlistEntry>> {
        self.try_read().map_err(|error| error.or_situation(self, failed))
    }

    pub fn try_read(&self) -> Result<Vec<AllowlistEntry>, Unread> {
        self.context.restart_clock();
        let net = self.context.net().map_err(Unread::Other)?;
        let mut list = self.facet.read(net.by(&self.keyed.credential())).map_err(Unread::Trouble)?;
        list.sort();
        Ok(list)
    }

    pub fn add(&self, entry: &AllowlistEntry) -> anyhow::Result<Result<(), Trouble>> {
        self.context.restart_clock();
        let net = self.context.net()?;
        Ok(self.facet.add(net.by(&self.keyed.credential()), entry))
    }

    pub fn remove(&self, address: &str) -> anyhow::Result<Result<bool, Trouble>> {
        self.context.restart_clock();
        let net = self.context.net()?;
        Ok(self.facet.remove(net.by(&self.keyed.credential()), address))
    }

    pub fn situation(&self, message: &str, trouble: Trouble) -> anyhow::Error {
        provider_failure::situation(self.context, &self.keyed.record, message, trouble, Exit::Rejected).into()
    }

    /// Remembers whether there is a list: it decides later whether a refusal
    /// may be a block of this address.
    pub fn note_presence(&self, entries: &[AllowlistEntry]) -> anyhow::Result<()> {
        crate::workflow::allowlist::saved_lists::note_presence(
            self.context,
            &self.keyed.record,
            !entries.is_empty(),
        )
    }
}

/// Why a list was not read.
pub enum Unread {
    Trouble(Trouble),
    Other(anyhow::Error),
}

impl Unread {
    pub fn or_situation(self, account: &Account<'_>, failed: &str) -> anyhow::Error {
        match self {
            Self::Trouble(trouble) => account.situation(failed, trouble),
            Self::Other(error) => error,
        }
    }
}
