//! Scopes and key references: one spelling in arguments, inventory, labels,
//! JSON and messages.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::kind::{ProviderId, UnknownWord};
use super::name::{Name, NameError};

/// An agency (`acme`) or one of its locations (`acme/berlin`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub agency: Name,
    pub location: Option<Name>,
}

/// Why a text is no scope or key reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Provider(#[from] UnknownWord),
    #[error("`{0}` has more than one `/`; a scope is AGENCY or AGENCY/LOCATION")]
    TooDeep(String),
    #[error("`{0}` has more than one `@`; a key reference is PROVIDER[:LABEL]@AGENCY[/LOCATION]")]
    TwoScopes(String),
}

impl Scope {
    pub fn agency(agency: Name) -> Self {
        Self { agency, location: None }
    }

    /// Returns this scope and, for a location, its agency: nearest first.
    pub fn levels(&self) -> impl Iterator<Item = Scope> + '_ {
        let agency = self.location.is_some().then(|| Scope::agency(self.agency.clone()));
        std::iter::once(self.clone()).chain(agency)
    }

    /// Returns whether `self` is `other` or its agency.
    pub fn covers(&self, other: &Scope) -> bool {
        self.agency == other.agency && (self.location.is_none() || self.location == other.location)
    }
}

impl FromStr for Scope {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (agency, location) = match text.split_once('/') {
            None => (text, None),
            Some((_, rest)) if rest.contains('/') => {
                return Err(ReferenceError::TooDeep(super::text::printable(text, 80)));
            }
            Some((agency, location)) => (agency, Some(Name::parse(location)?)),
        };
        let agency = Name::parse(agency)?;
        // Not by parsing: the error it would build for each scope costs more than all the rest.
        if ProviderId::ALL.iter().any(|provider| provider.as_str() == agency.as_str()) {
            return Err(NameError::Reserved { name: agency.to_string() }.into());
        }
        Ok(Self { agency, location })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.agency.as_str())?;
        match &self.location {
            Some(location) => write!(f, "/{location}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A whole key reference: `PROVIDER[:LABEL]@AGENCY[/LOCATION]`. Ordered by the
/// bytes of that text, which is the order of every listing.
#[derive(Clone)]
pub struct KeyRef {
    text: Arc<str>,
    pub provider: ProviderId,
    pub label: Option<Name>,
    pub scope: Scope,
}

impl KeyRef {
    pub fn new(provider: ProviderId, label: Option<Name>, scope: Scope) -> Self {
        let text = match &label {
            Some(label) => format!("{provider}:{label}@{scope}"),
            None => format!("{provider}@{scope}"),
        };
        Self { text: text.into(), provider, label, scope }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the same provider and label at another scope.
    pub fn at(&self, scope: Scope) -> Self {
        Self::new(self.provider, self.label.clone(), scope)
    }
}

impl PartialEq for KeyRef {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for KeyRef {}
impl Hash for KeyRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl PartialOrd for KeyRef {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for KeyRef {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}
impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
impl fmt::Debug for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl Serialize for KeyRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl FromStr for KeyRef {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let arg = KeyRefArg::from_str(text)?;
        match arg.scope {
            Some(scope) => Ok(Self::new(arg.provider, arg.label, scope)),
            None => Err(NameError::Empty.into()),
        }
    }
}

/// A key reference as typed: the `@…` may be missing and is then completed
/// from `--scope`, `KEYCTL_SCOPE`, the inventory's default or its only agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRefArg {
    pub provider: ProviderId,
    pub label: Option<Name>,
    pub scope: Option<Scope>,
}

impl FromStr for KeyRefArg {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (head, scope) = match text.split_once('@') {
            None => (text, None),
            Some((_, rest)) if rest.contains('@') => {
                return Err(ReferenceError::TwoScopes(super::text::printable(text, 80)));
            }
            Some((head, scope)) => (head, Some(Scope::from_str(scope)?)),
        };
        let (provider, label) = match head.split_once(':') {
            None => (head, None),
            Some((provider, label)) => (provider, Some(Name::parse(label)?)),
        };
        Ok(Self { provider: ProviderId::from_str(provider)?, label, scope })
    }
}

/// An argument that selects keys: a key reference is exactly that record, a
/// scope means the keys effective there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    Key(KeyRefArg),
    Scope(Scope),
}

impl FromStr for Selector {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let head = text.split([':', '@']).next().unwrap_or_default();
        // Provider names are reserved, so a text that starts with one, or has
        // the marks of a reference, can only be meant as a reference.
        if text.contains([':', '@']) || ProviderId::from_str(head).is_ok() {
            KeyRefArg::from_str(text).map(Self::Key)
        } else {
            Scope::from_str(text).map(Self::Scope)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_one_spelling() {
        for text in ["mailgun@acme", "mailgun@acme/berlin", "brevo:web-shop@acme/berlin"] {
            assert_eq!(KeyRef::from_str(text).unwrap().to_string(), text);
        }
        assert!(matches!(Selector::from_str("mailgun").unwrap(), Selector::Key(_)));
        assert!(matches!(Selector::from_str("acme/berlin").unwrap(), Selector::Scope(_)));
        for bad in
            ["mailgun@", "sendgrid@acme", "mailgun@acme/a/b", "mailgun@a@b", "mailgun:@acme", "klaviyo@brevo"]
        {
            assert!(KeyRef::from_str(bad).is_err(), "{bad}");
        }
        assert!(Scope::from_str("mailgun").is_err());
    }

    #[test]
    fn the_order_is_that_of_the_text() {
        let mut refs: Vec<KeyRef> = ["mailgun@b", "mailgun:a@b", "mailgun@a/z", "mailgun@a"]
            .iter()
            .map(|t| t.parse().unwrap())
            .collect();
        refs.sort();
        let text: Vec<&str> = refs.iter().map(KeyRef::as_str).collect();
        assert_eq!(text, ["mailgun:a@b", "mailgun@a", "mailgun@a/z", "mailgun@b"]);
    }
}
