//! The key records, with an index by scope that is built when it is first
//! asked for. Resolving every location of an agency then costs one look-up
//! each instead of a walk over all keys.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use crate::key::{KeyRef, Name, Record, Scope};

/// Records by key ref. It reads and changes like the map it holds; changing it
/// drops the index.
#[derive(Clone, Default)]
pub struct Keys {
    records: BTreeMap<KeyRef, Record>,
    /// Sorted by scope, at each scope by key ref.
    by_scope: OnceLock<Vec<KeyRef>>,
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
        &mut self.records
    }
}

impl FromIterator<(KeyRef, Record)> for Keys {
    fn from_iter<I: IntoIterator<Item = (KeyRef, Record)>>(pairs: I) -> Self {
        Self { records: pairs.into_iter().collect(), by_scope: OnceLock::new() }
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
