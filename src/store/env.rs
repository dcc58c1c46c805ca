//! The `env` store: secrets that somebody else put into the environment, as CI
//! systems do. Read-only, one version per key: whichever version of a record is
//! asked for, the variable of its key ref answers.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::{Description, Item, Naming, Row, Store, StoreError, StoreProblem, Surroundings};
use crate::key::{KeyRef, Secret};

pub const ROW: Row = Row {
    name: "env",
    summary: "environment variables (KEYCTL_SECRET_…), read-only",
    writable: false,
    naming: Naming::ByKey(variable),
    open,
};

/// What every variable of this store begins with.
pub const PREFIX: &str = "KEYCTL_SECRET_";

fn open(surroundings: &Surroundings) -> Box<dyn Store> {
    Box::new(EnvStore { variables: Arc::clone(&surroundings.variables) })
}

/// Returns the variable that holds the secret of a key:
/// `KEYCTL_SECRET_PROVIDER__AGENCY[__LOCATION][___LABEL]`, upper-case, `-` as
/// `_`. Names have no doubled or outer `-`, so no two keys share a variable.
pub fn variable(key: &KeyRef) -> String {
    let mut out = format!("{PREFIX}{}__{}", key.provider, key.scope.agency);
    if let Some(location) = &key.scope.location {
        out.push_str("__");
        out.push_str(location.as_str());
    }
    if let Some(label) = &key.label {
        out.push_str("___");
        out.push_str(label.as_str());
    }
    out.to_ascii_uppercase().replace('-', "_")
}

struct EnvStore {
    variables: Arc<BTreeMap<OsString, OsString>>,
}

impl EnvStore {
    fn read_only(item: Option<&Item>) -> StoreError {
        let remedy = match item {
            Some(item) => format!(
                "set `{}` where the variables come from, or choose a store that can be written with `--store`",
                variable(&item.key)
            ),
            None => "choose a store that can be written with `--store keyring` or `--store file`".to_owned(),
        };
        StoreError::new(StoreProblem::ReadOnly, "the `env` store is read-only: keyctl cannot set variables")
            .remedy(remedy)
    }
}

impl Store for EnvStore {
    fn row(&self) -> &'static Row {
        &ROW
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        Err(Self::read_only(None))
    }

    fn check_readable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// An empty variable is an absent one: CI systems pass unset secrets so.
    /// The line end that many of them append is no part of the secret.
    fn get(&self, item: &Item) -> Result<Option<Secret>, StoreError> {
        let value = self.variables.get(OsStr::new(&variable(&item.key)));
        let text = value.and_then(|it| it.to_str()).unwrap_or_default().trim_end_matches(['\r', '\n']);
        Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
    }

    fn put(&self, item: &Item, _secret: &Secret) -> Result<(), StoreError> {
        Err(Self::read_only(Some(item)))
    }

    fn delete(&self, item: &Item) -> Result<bool, StoreError> {
        Err(Self::read_only(Some(item)))
    }

    fn describe(&self) -> Description {
        let ours = |(name, value): &(&OsString, &OsString)| {
            name.to_str().is_some_and(|it| it.starts_with(PREFIX))
                && value.to_str().is_some_and(|it| !it.is_empty())
        };
        let count = self.variables.iter().filter(ours).count();
        let plural = if count == 1 { "" } else { "s" };
        Description {
            location: format!("{count} variable{plural} named {PREFIX}… in the environment"),
            protects: "keyctl writes nothing to disk; whoever sets the variables keeps the secrets",
            does_not_protect: "every program started from the same environment inherits the variables, and \
                               other programs of the same user can read them from a running process",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::RecordId;

    fn key(text: &str) -> KeyRef {
        text.parse().unwrap()
    }

    #[test]
    fn a_variable_is_named_after_its_key() {
        assert_eq!(variable(&key("mailgun@acme")), "KEYCTL_SECRET_MAILGUN__ACME");
        assert_eq!(variable(&key("mailgun@acme/berlin")), "KEYCTL_SECRET_MAILGUN__ACME__BERLIN");
        assert_eq!(variable(&key("brevo:web-shop@acme")), "KEYCTL_SECRET_BREVO__ACME___WEB_SHOP");
        assert_eq!(
            variable(&key("brevo:web-shop@acme-eu/bad-ems")),
            "KEYCTL_SECRET_BREVO__ACME_EU__BAD_EMS___WEB_SHOP"
        );
    }

    #[test]
    fn any_version_answers_and_nothing_can_be_written() {
        let value = ["key", "-in-", "ci"].concat();
        let secrets = [
            ("KEYCTL_SECRET_MAILGUN__ACME".into(), format!("{value}\n").into()),
            ("KEYCTL_SECRET_BREVO__ACME".into(), OsString::new()),
        ];
        let surroundings = Surroundings { variables: Arc::new(secrets.into()), ..Surroundings::default() };
        let store = open(&surroundings);
        let item = |text, version| Item { id: RecordId::parse("kabc").unwrap(), version, key: key(text) };
        for version in [1, 7] {
            let found = store.get(&item("mailgun@acme", version)).unwrap().unwrap();
            assert_eq!(found.expose(), value);
        }
        assert!(store.get(&item("brevo@acme", 1)).unwrap().is_none());
        assert!(store.get(&item("klaviyo@acme", 1)).unwrap().is_none());
        let refused = store.put(&item("mailgun@acme", 2), &Secret::new(value)).unwrap_err();
        assert_eq!(refused.problem, StoreProblem::ReadOnly);
        assert!(refused.remedy.unwrap().contains("`KEYCTL_SECRET_MAILGUN__ACME`"));
        assert_eq!(store.check_writable().unwrap_err().problem, StoreProblem::ReadOnly);
    }
}
