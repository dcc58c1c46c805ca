//! What a live check may say about a key. "Rejected" means the provider said
//! so; everything that proves nothing is "unknown".

use std::sync::Arc;

use super::kind::Region;
use super::name::Domain;
use super::record::Expiry;
use super::words::words;

words! {
    /// The four answers.
    #[derive(PartialOrd, Ord)]
    pub enum Verdict("verdict") {
        Valid = "valid",
        Limited = "limited",
        Unknown = "unknown",
        Rejected = "rejected",
    }
}

words! {
    /// Why. The order is that of the contract's table; the first one is *the* reason.
    #[derive(PartialOrd, Ord)]
    pub enum Reason("reason") {
        WrongKind = "wrong-kind",
        Disabled = "disabled",
        Expired = "expired",
        KeyNotFound = "key-not-found",
        Unauthorized = "unauthorized",
        WrongAccount = "wrong-account",
        IpBlocked = "ip-blocked",
        RateLimited = "rate-limited",
        Unreachable = "unreachable",
        Tls = "tls",
        ProviderError = "provider-error",
        UnexpectedResponse = "unexpected-response",
        SecretMissing = "secret-missing",
        /// The store holds a text that is not the record's; it was not sent.
        SecretMismatch = "secret-mismatch",
        StoreLocked = "store-locked",
        PermissionNotCheckable = "permission-not-checkable",
        PermissionMissing = "permission-missing",
        PermissionExcess = "permission-excess",
        AccountNotActivated = "account-not-activated",
        OutOfCredit = "out-of-credit",
        NoVerifiedUsDomain = "no-verified-us-domain",
        DomainNotVerified = "domain-not-verified",
        DomainInEu = "domain-in-eu",
        DomainDisabled = "domain-disabled",
        ExpiresSoon = "expires-soon",
        SandboxDomain = "sandbox-domain",
        DomainNotFound = "domain-not-found",
    }
}

impl Reason {
    /// Returns the verdict this reason leads to.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::WrongKind
            | Self::Disabled
            | Self::Expired
            | Self::KeyNotFound
            | Self::Unauthorized
            | Self::WrongAccount => Verdict::Rejected,
            Self::IpBlocked
            | Self::RateLimited
            | Self::Unreachable
            | Self::Tls
            | Self::ProviderError
            | Self::UnexpectedResponse
            | Self::SecretMissing
            | Self::SecretMismatch
            | Self::StoreLocked
            | Self::PermissionNotCheckable => Verdict::Unknown,
            Self::PermissionMissing
            | Self::PermissionExcess
            | Self::AccountNotActivated
            | Self::OutOfCredit
            | Self::NoVerifiedUsDomain
            | Self::DomainNotVerified
            | Self::DomainInEu
            | Self::DomainDisabled
            | Self::ExpiresSoon
            | Self::SandboxDomain
            | Self::DomainNotFound => Verdict::Limited,
        }
    }
}

words! {
    /// What may stand behind a refusal that does not name its cause.
    #[derive(PartialOrd, Ord)]
    pub enum Cause("cause") {
        Revoked = "revoked",
        IpNotAllowlisted = "ip-not-allowlisted",
        SendingKey = "sending-key",
        WebhookSigningKey = "webhook-signing-key",
        SmtpPassword = "smtp-password",
        WrongLogin = "wrong-login",
        DomainNotInAccount = "domain-not-in-account",
        WrongRegion = "wrong-region",
        Truncated = "truncated",
    }
}

/// What one live check found out. The verdict follows from the reasons: the
/// one of the first reason, `valid` when there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    reasons: Vec<Reason>,
    /// Candidates behind [`Reason::Unauthorized`], likeliest first.
    pub causes: Vec<Cause>,
    /// Permissions that are needed and were proven absent.
    pub missing: Vec<String>,
    /// One sentence: what was seen.
    pub detail: String,
    /// What to do next.
    pub hint: Option<String>,
    /// What the provider told about the key.
    pub facts: Facts,
}

/// What a provider tells about a key and its account. Absent is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// One line for people: company, organisation.
    pub identity: Option<String>,
    /// The provider's stable account id, compared across runs.
    pub account_id: Option<String>,
    pub role: Option<String>,
    pub region: Option<Region>,
    pub remote_id: Option<String>,
    pub remote_name: Option<String>,
    pub created: Option<jiff::Timestamp>,
    pub expires: Option<Expiry>,
    pub permissions: Option<Vec<String>>,
    /// The SMTP login the provider says belongs to the account.
    pub login: Option<String>,
    /// Key ids of the same account (Mailgun has no account id: this set and
    /// the domains are what identifies it).
    pub sibling_ids: Vec<Arc<str>>,
    /// The domains the key can see, with what speaks against choosing each.
    pub domains: Option<Vec<DomainFact>>,
    /// Regions whose domains could not be read: absence from `domains` proves
    /// nothing there.
    pub unread_regions: Vec<Region>,
    /// Whether the account restricts callers by address; `None` unknown.
    pub allowlist: Option<bool>,
}

/// One domain as seen by a check, reduced to what verdicts need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainFact {
    pub name: Domain,
    pub region: Option<Region>,
    /// Reasons why it cannot be chosen; empty means selectable.
    pub against: Vec<Reason>,
}

impl Judgement {
    /// Returns `valid` with a sentence.
    pub fn valid(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..Self::default() }
    }

    /// Returns a judgement with one reason.
    pub fn because(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reasons: vec![reason], detail: detail.into(), ..Self::default() }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn with_causes(mut self, causes: impl IntoIterator<Item = Cause>) -> Self {
        for cause in causes {
            if !self.causes.contains(&cause) {
                self.causes.push(cause);
            }
        }
        self
    }

    #[must_use]
    pub fn with_facts(mut self, facts: Facts) -> Self {
        self.facts = facts;
        self
    }

    pub fn add(&mut self, reason: Reason) {
        if let Err(at) = self.reasons.binary_search(&reason) {
            self.reasons.insert(at, reason);
        }
    }

    pub fn remove(&mut self, reason: Reason) {
        self.reasons.retain(|it| *it != reason);
    }

    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    pub fn reason(&self) -> Option<Reason> {
        self.reasons.first().copied()
    }

    pub fn has(&self, reason: Reason) -> bool {
        self.reasons.contains(&reason)
    }

    /// Returns whether the provider accepted the key.
    pub fn accepted(&self) -> bool {
        matches!(self.verdict(), Verdict::Valid | Verdict::Limited)
    }

    pub fn verdict(&self) -> Verdict {
        self.reason().map_or(Verdict::Valid, Reason::verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_order_decides_which_reason_is_the_reason() {
        let mut judgement = Judgement::because(Reason::ExpiresSoon, "");
        judgement.add(Reason::PermissionMissing);
        judgement.add(Reason::PermissionMissing);
        assert_eq!(judgement.reasons(), [Reason::PermissionMissing, Reason::ExpiresSoon]);
        assert_eq!(judgement.verdict(), Verdict::Limited);
        assert!(Reason::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
