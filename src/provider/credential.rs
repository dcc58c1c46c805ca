//! A secret in use: with what is recorded of it, and with the way out.

use super::Net;
use crate::key::{Domain, Kind, Record, Region, Secret};

/// A secret and what is recorded of it: enough to use it.
#[derive(Debug, Clone, Copy)]
pub struct Credential<'a> {
    pub kind: Kind,
    pub secret: &'a Secret,
    pub region: Option<Region>,
    pub domain: Option<&'a Domain>,
    pub login: Option<&'a str>,
    pub remote_id: Option<&'a str>,
    /// The account it is recorded for; at HighLevel the company or location.
    pub account_id: Option<&'a str>,
}

impl<'a> Credential<'a> {
    /// Returns a secret with what its record says of it.
    pub fn of(record: &'a Record, secret: &'a Secret) -> Self {
        Self {
            kind: record.kind,
            secret,
            region: record.region,
            domain: record.domain.as_ref(),
            login: record.login.as_deref(),
            remote_id: record.remote_id.as_deref(),
            account_id: record.account_id.as_deref(),
        }
    }
}

/// What a call at a provider is made with: the way out, and the key that asks.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub net: &'a Net<'a>,
    pub credential: &'a Credential<'a>,
}

impl<'a> Net<'a> {
    /// Returns a call by the key with this credential.
    pub fn by(&'a self, credential: &'a Credential<'a>) -> Call<'a> {
        Call { net: self, credential }
    }
}
