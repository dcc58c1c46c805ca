//! What counts as known. An irreversible step, and every statement "dead", "not
//! made", "gone", "not used", takes an [`Evidence`], which only this file makes:
//! from the provider's answer about the thing itself, from a witness, or from the
//! testimony of a person. Consent is none of these.

use jiff::Timestamp;

use crate::key::{Judgement, Reason};
use crate::operator::Testimony;
use crate::rotation::{Basis, Source};

/// Something that is known. It cannot be made outside of this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    basis: Basis,
}

/// What is claimed, and who looked when.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// `the old key is dead`
    pub of: &'a str,
    /// Who said it, or whose call it was.
    pub by: &'a str,
    pub at: Timestamp,
}

impl Evidence {
    fn new(claim: Claim<'_>, source: Source, detail: impl Into<String>) -> Self {
        let Claim { of, by, at } = claim;
        Self { basis: Basis { of: of.to_owned(), source, by: by.to_owned(), at, detail: detail.into() } }
    }

    /// The provider refused this very secret in words about the key itself: it
    /// has it no more, or it has ended.
    pub fn of_refusal(claim: Claim<'_>, judgement: &Judgement) -> Option<Self> {
        matches!(judgement.reason(), Some(Reason::KeyNotFound | Reason::Expired))
            .then(|| Self::new(claim, Source::Answer, &judgement.detail))
    }

    /// This secret was refused without a reason while another key of its account
    /// was accepted by the same kind of call from here in this run.
    pub fn of_witness(claim: Claim<'_>, refused: &Judgement, witness: &Judgement) -> Option<Self> {
        let bare = refused.reason() == Some(Reason::Unauthorized);
        (bare && witness.accepted()).then(|| {
            let detail = format!("{}; another key of the account was accepted", refused.detail);
            Self::new(claim, Source::Witness, detail)
        })
    }

    /// A person said it of this thing.
    pub fn of_testimony(claim: Claim<'_>, testimony: Testimony, detail: &str) -> Option<Self> {
        match testimony {
            Testimony::Given => Some(Self::new(claim, Source::Testimony, detail)),
            Testimony::Refused | Testimony::NoOne => None,
        }
    }

    /// The vendor's logs were read and show no use.
    pub fn of_logs(claim: Claim<'_>, detail: &str) -> Self {
        Self::new(claim, Source::Answer, detail)
    }

    /// Stands where today's code assumes; counted by a test, file by file. `why`
    /// says what is missing to know it.
    pub fn assumed(claim: Claim<'_>, why: &str) -> Self {
        Self::new(claim, Source::Witness, format!("assumed: {why}"))
    }

    /// Returns what is kept of it.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim<'static> {
        Claim { of: "the old key is dead", by: "mailgun", at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn only_words_about_the_key_itself_are_an_answer() {
        for reason in Reason::ALL {
            let known = Evidence::of_refusal(claim(), &Judgement::because(reason, "said so"));
            let dead = matches!(reason, Reason::KeyNotFound | Reason::Expired);
            assert_eq!(known.is_some(), dead, "{reason:?}");
        }
        assert_eq!(Evidence::of_refusal(claim(), &Judgement::valid("")), None);
    }

    #[test]
    fn a_bare_refusal_needs_a_witness_that_was_accepted() {
        let refused = Judgement::because(Reason::Unauthorized, "401");
        let known = Evidence::of_witness(claim(), &refused, &Judgement::valid("")).unwrap();
        assert_eq!(known.basis().source, Source::Witness);
        assert_eq!(Evidence::of_witness(claim(), &refused, &refused), None);
        let blocked = Judgement::because(Reason::IpBlocked, "403");
        assert_eq!(Evidence::of_witness(claim(), &blocked, &Judgement::valid("")), None);
    }

    #[test]
    fn silence_and_a_no_are_no_testimony() {
        let known = |testimony| Evidence::of_testimony(claim(), testimony, "deleted").is_some();
        assert_eq!([Testimony::Given, Testimony::Refused, Testimony::NoOne].map(known), [true, false, false]);
    }
}
