//! Sending domains: which can be chosen at a scope, whom to ask, and why one is
//! missing (`explain`).

pub mod explain;
pub mod inbound_route;
pub mod keys_to_ask;
pub mod selectable;
pub mod similar_names;

use crate::key::{Kind, ProviderId, Selector};

/// Whom to ask about domains: recorded keys, or one that is in no inventory.
#[derive(Debug, Clone, Default)]
pub struct DomainQuestion {
    pub selector: Option<Selector>,
    pub provider: Option<ProviderId>,
    pub kind: Option<Kind>,
    pub label: Option<String>,
    /// The US rule does not count.
    pub any_region: bool,
    /// The resolver is asked, too.
    pub dns: bool,
    /// The key comes from stdin, or from this environment variable.
    pub stdin: bool,
    pub from_env: Option<String>,
}
