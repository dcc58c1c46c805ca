//! Rules for mail that comes in: the seam between Mailgun's and the commands.

use super::{Call, Outcome};
use crate::key::Region;

/// A rule for mail that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundRoute {
    pub id: String,
    pub priority: i64,
    pub expression: String,
    pub actions: Vec<String>,
    pub description: Option<String>,
}

/// Reads the rules for mail that comes in.
pub trait Inbound: Sync {
    /// Returns the route that takes mail for `address`, if any.
    fn matching(&self, call: Call<'_>, address: &str, region: Region) -> Outcome<Option<InboundRoute>>;

    /// Returns all routes of a region.
    fn list(&self, call: Call<'_>, region: Region) -> Outcome<Vec<InboundRoute>>;
}
