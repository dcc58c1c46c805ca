//! Providers, the kinds of key each issues, and regions, by their fixed words.

use serde::Serialize;

/// A platform that issues keys. The order is the order of listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderId {
    Mailgun,
    Brevo,
    Klaviyo,
    Highlevel,
}

impl ProviderId {
    pub const ALL: [Self; 4] = [Self::Mailgun, Self::Brevo, Self::Klaviyo, Self::Highlevel];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mailgun => "mailgun",
            Self::Brevo => "brevo",
            Self::Klaviyo => "klaviyo",
            Self::Highlevel => "highlevel",
        }
    }

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

/// What a key is for at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A Mailgun account key with a role.
    Account,
    /// A Mailgun domain sending key: only `POST …/messages` of its domain.
    Sending,
    /// A Brevo API v3 key.
    Api,
    /// A password for the provider's SMTP relay.
    Smtp,
    /// A Klaviyo private key.
    Private,
    /// A HighLevel private integration token of an agency.
    Agency,
    /// A HighLevel private integration token of one location.
    Location,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Account, Self::Sending, Self::Api, Self::Smtp, Self::Private, Self::Agency, Self::Location];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Sending => "sending",
            Self::Api => "api",
            Self::Smtp => "smtp",
            Self::Private => "private",
            Self::Agency => "agency",
            Self::Location => "location",
        }
    }
}

/// A data region of a provider. Only Mailgun has more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    Us,
    Eu,
}

impl Region {
    pub const ALL: [Self; 2] = [Self::Us, Self::Eu];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Us => Self::Eu,
            Self::Eu => Self::Us,
        }
    }
}

/// A word that is none of the fixed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no {what}; known: {known}")]
pub struct UnknownWord {
    pub word: String,
    pub what: &'static str,
    pub known: String,
}

macro_rules! fixed_words {
    ($type:ty, $what:literal) => {
        impl std::str::FromStr for $type {
            type Err = $crate::key::kind::UnknownWord;
            fn from_str(text: &str) -> Result<Self, $crate::key::kind::UnknownWord> {
                <$type>::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| {
                    $crate::key::kind::UnknownWord {
                        word: $crate::key::text::printable(text, 60),
                        what: $what,
                        known: <$type>::ALL.map(<$type>::as_str).join(", "),
                    }
                })
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use fixed_words;

fixed_words!(ProviderId, "provider");
fixed_words!(Kind, "kind of key");
fixed_words!(Region, "region");
