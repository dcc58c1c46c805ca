//! The key records, with indexes by scope and by what records may share, each
//! built when it is first asked for. Resolving every location of an agency, or
//! looking for the keys of one account for each of ten thousand, then costs one
//! look-up each instead of a walk over all keys.

use std::collections::btree_map::IntoIter;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use crate::key::{Fingerprint, KeyRef, Name, ProviderId, Record, Scope};

/// Records by key ref. It reads and changes like the map it holds; changing it
/// drops the indexes.
#[derive(Clone, Default)]
pub struct Keys {
    records: BTreeMap<KeyRef, Record>,
    /// Sorted by scope, at each scope by key ref.
    by_scope: OnceLock<Vec<KeyRef>>,
    /// For each mark sorted by key ref.
    by_mark: OnceLock<HashMap<Mark, Vec<KeyRef>>>,
}

/// What tells that records belong together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mark {
    /// They have the same secret.
    Fingerprint(Fingerprint),
    /// They are of the same account.
    Account(ProviderId, String),
    /// They are used with the same login.
    Login(ProviderId, String),
}

impl Mark {
    fn all(key: &KeyRef, record: &Record) -> impl Iterator<Item = Self> {
        let provider = key.provider;
        let secret = record.fingerprint.clone().map(Self::Fingerprint);
        let account = record.account_id.clone().map(|id| Self::Account(provider, id));
        let login = record.login.clone().map(|login| Self::Login(provider, login));
        [secret, account, login].into_iter().flatten()
    }
}

impl Keys {
    fn index(&self) -> &[KeyRef] {
        self.by_scope.get_or_init(|| {
            let mut index: Vec<KeyRef> = self.records.keys().cloned().collect();
            index.sort_unstable_by(|a, b| a.scope.cmp(&b.scope).then_with(|| a.cmp(b)));
            index
        })
    }

    /// Returns the records from `scope` on, sorted by scope.
    fn from<'a>(&'a self, scope: &Scope) -> impl Iterator<Item = (&'a KeyRef, &'a Record)> + use<'a> {
        let index = self.index();
        let begin = index.partition_point(|key| key.scope < *scope);
        index[begin..].iter().filter_map(|key| self.records.get_key_value(key))
    }

    /// Returns the records at exactly `scope`, sorted by key ref.
    pub fn at<'a>(&'a self, scope: &Scope) -> impl Iterator<Item = (&'a KeyRef, &'a Record)> {
        self.from(scope).take_while(move |(key, _)| key.scope == *scope)
    }

    /// Returns the records of an agency and its locations: scope by scope,
    /// each sorted by key ref.
    pub fn below<'a>(&'a self, agency: &Name) -> impl Iterator<Item = (&'a KeyRef, &'a Record)> {
        self.from(&Scope::agency(agency.clone())).take_while(move |(key, _)| key.scope.agency == *agency)
    }

    /// Returns the records with this mark, sorted by key ref.
    pub fn marked<'a>(&'a self, mark: &Mark) -> impl Iterator<Item = (&'a KeyRef, &'a Record)> + use<'a> {
        let index = self.by_mark.get_or_init(|| {
            let mut index: HashMap<Mark, Vec<KeyRef>> = HashMap::new();
            for (key, record) in &self.records {
                for mark in Mark::all(key, record) {
                    index.entry(mark).or_default().push(key.clone());
                }
            }
            index
        });
        index.get(mark).into_iter().flatten().filter_map(|key| self.records.get_key_value(key))
    }

    /// Returns every scope that a record names, in order.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.index().chunk_by(|a, b| a.scope == b.scope).map(|keys| &keys[0].scope)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.records.fmt(f)
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records
    }
}
impl Eq for Keys {}

impl Deref for Keys {
    type Target = BTreeMap<KeyRef, Record>;
    fn deref(&self) -> &Self::Target {
        &self.records
    }
}

impl DerefMut for Keys {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.by_scope.take();
        self.by_mark.take();
        &mut self.records
    }
}

impl FromIterator<(KeyRef, Record)> for Keys {
    fn from_iter<I: IntoIterator<Item = (KeyRef, Record)>>(pairs: I) -> Self {
        Self { records: pairs.into_iter().collect(), ..Self::default() }
    }
}

impl<'a> IntoIterator for &'a Keys {
    type Item = (&'a KeyRef, &'a Record);
    type IntoIter = std::collections::btree_map::Iter<'a, KeyRef, Record>;
    fn into_iter(self) -> Self::IntoIter {
        self.records.iter()
    }
}

impl IntoIterator for Keys {
    type Item = (KeyRef, Record);
    type IntoIter = IntoIter<KeyRef, Record>;
    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Kind, RecordId};

    #[test]
    fn records_are_found_by_what_they_share_also_after_a_change() {
        let mut keys = Keys::default();
        for (text, id, login) in
            [("brevo:a@x", "kaaaa", "l1"), ("brevo:b@y", "kbbbb", "l1"), ("mailgun@x", "kcccc", "l1")]
        {
            let mut record = Record::new(RecordId::parse(id).unwrap(), Kind::Smtp);
            record.login = Some(login.to_owned());
            keys.insert(text.parse().unwrap(), record);
        }
        let found =
            |keys: &Keys, mark: &Mark| keys.marked(mark).map(|(key, _)| key.to_string()).collect::<Vec<_>>();
        let login = Mark::Login(ProviderId::Brevo, "l1".to_owned());
        assert_eq!(found(&keys, &login), ["brevo:a@x", "brevo:b@y"]);
        let secret = Fingerprint::parse("9f3a1c22d0b4").unwrap();
        let changed = keys.get_mut(&"brevo:a@x".parse().unwrap()).unwrap();
        (changed.login, changed.fingerprint) = (None, Some(secret.clone()));
        assert_eq!(found(&keys, &login), ["brevo:b@y"]);
        assert_eq!(found(&keys, &Mark::Fingerprint(secret)), ["brevo:a@x"]);
        assert!(found(&keys, &Mark::Account(ProviderId::Brevo, "a".to_owned())).is_empty());
    }
}
