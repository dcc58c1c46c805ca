//! Providers, the kinds of key each issues, and regions, by their fixed words.

pub use super::words::UnknownWord;
pub(crate) use super::words::fixed_words;
use super::words::words;

words! {
    /// A platform that issues keys. The order is the order of listings.
    #[derive(PartialOrd, Ord)]
    pub enum ProviderId("provider") {
        Mailgun = "mailgun",
        Brevo = "brevo",
        Klaviyo = "klaviyo",
        Highlevel = "highlevel",
    }
}

impl ProviderId {
    /// Returns the kinds of key this provider issues, the default first.
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Mailgun => &[Kind::Account, Kind::Sending, Kind::Smtp],
            Self::Brevo => &[Kind::Api, Kind::Smtp],
            Self::Klaviyo => &[Kind::Private],
            Self::Highlevel => &[Kind::Agency, Kind::Location],
        }
    }
}

words! {
    /// What a key is for at its provider.
    #[derive(PartialOrd, Ord)]
    pub enum Kind("kind of key") {
        /// A Mailgun account key with a role.
        Account = "account",
        /// A Mailgun domain sending key: only `POST …/messages` of its domain.
        Sending = "sending",
        /// A Brevo API v3 key.
        Api = "api",
        /// A password for the provider's SMTP relay.
        Smtp = "smtp",
        /// A Klaviyo private key.
        Private = "private",
        /// A HighLevel private integration token of an agency.
        Agency = "agency",
        /// A HighLevel private integration token of one location.
        Location = "location",
    }
}

words! {
    /// A data region of a provider. Only Mailgun has more than one.
    #[derive(PartialOrd, Ord)]
    pub enum Region("region") {
        Us = "us",
        Eu = "eu",
    }
}

impl Region {
    pub fn other(self) -> Self {
        match self {
            Self::Us => Self::Eu,
            Self::Eu => Self::Us,
        }
    }
}
