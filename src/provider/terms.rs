//! What a provider answers about itself without a call: rows of data, each
//! written out by every provider, so that nothing outside matches on its id.

use crate::clock::Span;
use crate::key::{Kind, Region};

/// What a provider's console and its rules make of its keys.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Its console clones keys, permissions and all: what one may do is then
    /// found out before a person makes another like it.
    pub clones: bool,
    /// The shortest and longest life that a key with an end can be given.
    pub lifetimes: Option<(Span, Span)>,
    /// How long a key may lie unused before the provider ends it.
    pub idle_limit: Option<Span>,
    /// How long an old key lives beside the one that replaces it, where the
    /// provider's own way of rotating ends it by itself.
    pub overlap_limit: Option<Span>,
    /// The regions that an account is spread over, the one that is assumed
    /// first; empty: it has none.
    pub regions: &'static [Region],
    /// The kinds of key that belong to one domain, the one that a domain alone
    /// asks for first.
    pub bound_kinds: &'static [Kind],
    pub roles: Option<KeyRoles>,
    /// HighLevel takes its keys and sends with them: the domain of a scope is
    /// one of its, and the US rule counts for it.
    pub sends_for_highlevel: bool,
    /// Its console counts what each key does, so that every integration should
    /// have a key of its own.
    pub key_for_each_use: bool,
    /// Where a person finds what a key may do, where no call tells.
    pub permissions_page: Option<&'static str>,
    /// Where a person finds the login of an SMTP key, where it is not chosen.
    pub login_page: Option<&'static str>,
    pub dotenv: DotenvNames,
    pub domains: DomainTerms,
}

/// The roles that keys of one kind can be given.
#[derive(Debug, Clone, Copy)]
pub struct KeyRoles {
    pub kind: Kind,
    pub names: &'static [&'static str],
}

/// The variables in which programs keep the provider's keys.
#[derive(Debug, Clone, Copy)]
pub struct DotenvNames {
    /// The names of secrets, and what kind each is; `None`: the text tells.
    pub secrets: &'static [(&'static str, Option<Kind>)],
    /// The login of an SMTP secret.
    pub login: Option<&'static str>,
    /// The domain that a key of the API sends from.
    pub domain: Option<&'static str>,
    pub region: Option<&'static str>,
}

/// What the provider calls the states of a domain, and what a person does
/// about each.
#[derive(Debug, Clone, Copy)]
pub struct DomainTerms {
    /// How a domain is added.
    pub add: &'static str,
    /// The states in which it sends.
    pub verified: &'static str,
    /// What to do with a domain that is in a region that does not count;
    /// `None`: it has no regions.
    pub wrong_region: Option<&'static str>,
    /// What to do when the provider disabled it; `None`: it disables none.
    pub disabled: Option<&'static str>,
    /// What a sandbox domain is good for; `None`: it has no such domains.
    pub sandbox: Option<&'static str>,
    /// The ids of the checks of a domain's usual DNS records, for when they
    /// could not be read.
    pub usual_records: &'static [&'static str],
    /// The most domains whose DNS is asked for one by one: a request each.
    pub most_details: usize,
}
