//! Sending domains: their state and DNS records as a provider tells them, and
//! whether one can be chosen at a location, with the reasons against it.

use jiff::Timestamp;
use serde::Serialize;

use crate::key::words::words;
use crate::key::{Domain, ProviderId, Reason, Region};

/// Whether the rule counts that only verified US domains can be chosen
/// (HighLevel; facts on it: help.gohighlevel.com, Mailgun set-up).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsRule {
    Counts,
    Waived,
}

/// A domain a customer owns, or the provider's own play area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainType {
    Custom,
    Sandbox,
}

words! {
    /// What the provider, or the resolver, says of a record.
    #[derive(PartialOrd, Ord)]
    pub enum DnsState("state of a DNS record") {
        Valid = "valid",
        Invalid = "invalid",
        Unknown = "unknown",
    }
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordRole {
    Spf,
    Dkim,
    Mx,
    Tracking,
    Other,
}

/// One DNS record a provider wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    pub role: RecordRole,
    /// `TXT`, `MX`, `CNAME`, `A`
    pub record_type: String,
    /// The owner name; the domain itself where the provider leaves it out.
    pub name: String,
    pub expected: String,
    pub priority: Option<u16>,
    /// What the provider last found.
    pub found: Vec<String>,
    pub state: DnsState,
    /// `false` for extra DKIM selectors that are not in use: not judged.
    pub active: bool,
}

/// DNS in three words, for listings. `None`: the provider did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DnsSummary {
    pub sending: Option<DnsState>,
    pub receiving: Option<DnsState>,
    pub tracking: Option<DnsState>,
}

/// A domain as its provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendingDomain {
    pub name: Domain,
    pub provider: ProviderId,
    /// `None` where the provider has no regions.
    pub region: Option<Region>,
    /// The provider's own word (`active`, `unverified`, `warming`, …).
    pub state: String,
    /// Whether that word means that mail may be sent from it.
    pub verified: bool,
    pub kind: DomainType,
    pub disabled: bool,
    /// Why the provider disabled it, in its words.
    pub disabled_note: Option<String>,
    pub created: Option<Timestamp>,
    /// `None`: not asked for.
    pub records: Option<Vec<DnsRecord>>,
}

impl SendingDomain {
    /// Returns what speaks against choosing it, in the contract's order.
    pub fn against(&self, rule: UsRule) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if !self.verified {
            reasons.push(Reason::DomainNotVerified);
        }
        if self.region == Some(Region::Eu) && rule == UsRule::Counts {
            reasons.push(Reason::DomainInEu);
        }
        if self.disabled {
            reasons.push(Reason::DomainDisabled);
        }
        if self.kind == DomainType::Sandbox {
            reasons.push(Reason::SandboxDomain);
        }
        reasons.sort_unstable();
        reasons
    }

    /// Returns DNS in three words, as far as records were asked for. SPF and
    /// DKIM make the sending half; extra DKIM selectors do not count.
    pub fn dns(&self) -> DnsSummary {
        let Some(records) = &self.records else { return DnsSummary::default() };
        let worst = |roles: &[RecordRole]| {
            records.iter().filter(|it| it.active && roles.contains(&it.role)).map(|it| it.state).max_by_key(
                |state| match state {
                    DnsState::Valid => 0,
                    DnsState::Unknown => 1,
                    DnsState::Invalid => 2,
                },
            )
        };
        DnsSummary {
            sending: worst(&[RecordRole::Spf, RecordRole::Dkim]),
            receiving: worst(&[RecordRole::Mx]),
            tracking: worst(&[RecordRole::Tracking]),
        }
    }
}

/// The name of a domain that can be chosen. It exists only if it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectableDomain(Domain);

impl SelectableDomain {
    /// Checks the rules.
    pub fn check(domain: &SendingDomain, rule: UsRule) -> Result<Self, Vec<Reason>> {
        let against = domain.against(rule);
        if against.is_empty() { Ok(Self(domain.name.clone())) } else { Err(against) }
    }

    pub fn name(&self) -> &Domain {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> SendingDomain {
        SendingDomain {
            name: "mg.acme.example".parse().unwrap(),
            provider: ProviderId::Mailgun,
            region: Some(Region::Us),
            state: "active".into(),
            verified: true,
            kind: DomainType::Custom,
            disabled: false,
            disabled_note: None,
            created: None,
            records: None,
        }
    }

    #[test]
    fn a_selectable_domain_exists_only_if_it_is_one() {
        assert!(SelectableDomain::check(&domain(), UsRule::Counts).is_ok());
        let eu = SendingDomain { region: Some(Region::Eu), ..domain() };
        assert_eq!(SelectableDomain::check(&eu, UsRule::Counts), Err(vec![Reason::DomainInEu]));
        assert!(SelectableDomain::check(&eu, UsRule::Waived).is_ok());
        let sandbox = SendingDomain { kind: DomainType::Sandbox, disabled: true, ..domain() };
        let expected = vec![Reason::DomainDisabled, Reason::SandboxDomain];
        assert_eq!(SelectableDomain::check(&sandbox, UsRule::Waived), Err(expected));
    }

    #[test]
    fn an_inactive_selector_does_not_spoil_the_sending_half() {
        let record = |role, state, active| DnsRecord {
            role,
            record_type: "TXT".into(),
            name: "n".into(),
            expected: "e".into(),
            priority: None,
            found: vec![],
            state,
            active,
        };
        let records = vec![
            record(RecordRole::Spf, DnsState::Valid, true),
            record(RecordRole::Dkim, DnsState::Invalid, false),
            record(RecordRole::Mx, DnsState::Unknown, true),
        ];
        let dns = SendingDomain { records: Some(records), ..domain() }.dns();
        assert_eq!(dns.sending, Some(DnsState::Valid));
        assert_eq!(dns.receiving, Some(DnsState::Unknown));
        assert_eq!(dns.tracking, None);
    }
}
