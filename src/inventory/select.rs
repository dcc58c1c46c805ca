//! Which records an argument means (the contract's "what an argument selects").

use std::collections::BTreeSet;

use super::Inventory;
use crate::exit::Situation;
use crate::key::resolve::{Choice, Effective, choose};
use crate::key::{KeyRef, KeyState, Kind, ProviderId, Record, Scope};

/// One completed argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    Key(KeyRef),
    Scope(Scope),
}

/// Whether an agency means also what is recorded below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The keys effective at the scope.
    Effective,
    /// For an agency also every key recorded below it (list, validate, audit, rotate).
    Below,
}

/// What to leave out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    pub provider: Option<ProviderId>,
    pub kind: Option<Kind>,
    pub label: Option<&'a str>,
    /// Takes records that are switched off along.
    pub disabled: bool,
}

impl Filter<'_> {
    pub fn accepts(&self, key: &KeyRef, record: &Record) -> bool {
        self.provider.is_none_or(|it| it == key.provider)
            && self.kind.is_none_or(|it| it == record.kind)
            && self.label.is_none_or(|it| key.label.as_ref().is_some_and(|label| label.as_str() == it))
    }
}

/// The selected records, sorted, and what was left out and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection<'a> {
    pub keys: BTreeSet<&'a KeyRef>,
    pub skipped: Vec<String>,
}

impl Inventory {
    /// Returns exactly this record; an error names the scope that inherits it.
    pub fn record(&self, key: &KeyRef) -> Result<&Record, Situation> {
        self.keys.get(key).ok_or_else(|| self.no_such_key(key))
    }

    /// Returns the situation "there is no such record", with the nearest help.
    pub fn no_such_key(&self, key: &KeyRef) -> Situation {
        let situation = Situation::missing("no-such-key", format!("there is no key `{key}`"));
        let inherited =
            key.scope.levels().skip(1).map(|level| key.at(level)).find(|it| self.keys.contains_key(it));
        if let Some(inherited) = inherited {
            return situation.hint(format!(
                "`{}` inherits `{inherited}`: name that key, or ask with the scope `{}`",
                key.scope, key.scope
            ));
        }
        let mut near: Vec<&KeyRef> = self.keys_of_agency(&key.scope.agency).map(|(it, _)| it).collect();
        near.sort_unstable();
        let near: Vec<String> = near.into_iter().take(4).map(|it| format!("`{it}`")).collect();
        if near.is_empty() {
            situation.hint(format!("`keyctl list` shows what there is; add it: `keyctl add {key}`"))
        } else {
            situation.hint(format!("recorded there: {}", near.join(", ")))
        }
    }

    /// Checks that a scope is known: recorded, or the scope of some key.
    pub fn need_scope(&self, scope: &Scope) -> Result<(), Situation> {
        if self.place(scope).is_some() || self.keys.at(scope).next().is_some() {
            return Ok(());
        }
        // A location that is not recorded still inherits from its agency's keys.
        let agency_known =
            self.agencies.contains_key(&scope.agency) || self.keys.below(&scope.agency).next().is_some();
        let hint = if agency_known {
            format!("add it: `keyctl scope add {scope}`; `keyctl scope list` shows what there is")
        } else {
            "`keyctl scope list` shows what there is".to_owned()
        };
        Err(Situation::missing("no-such-scope", format!("there is no scope `{scope}`")).hint(hint))
    }

    /// Returns the records that the arguments mean; none means everything.
    /// Disabled and pending records, and scopes that send with another
    /// provider, are skipped unless named by key ref, and said.
    pub fn select<'a>(
        &'a self,
        arguments: &[Selected],
        reach: Reach,
        filter: Filter<'_>,
    ) -> Result<Selection<'a>, Situation> {
        let mut selection = Selection::default();
        for argument in arguments {
            match argument {
                Selected::Key(key) => {
                    let (key, record) = self.keys.get_key_value(key).ok_or_else(|| self.no_such_key(key))?;
                    if filter.accepts(key, record) {
                        selection.keys.insert(key);
                    }
                }
                Selected::Scope(scope) => self.select_scope(scope, reach, filter, &mut selection)?,
            }
        }
        if arguments.is_empty() {
            for (key, record) in self.keys.iter().filter(|(key, record)| filter.accepts(key, record)) {
                self.take(key, record, filter, &mut selection);
            }
        }
        if selection.keys.is_empty() { Err(self.nothing(arguments, &selection)) } else { Ok(selection) }
    }

    fn select_scope<'a>(
        &'a self,
        scope: &Scope,
        reach: Reach,
        filter: Filter<'_>,
        selection: &mut Selection<'a>,
    ) -> Result<(), Situation> {
        self.need_scope(scope)?;
        if self.sends_elsewhere(scope) {
            selection
                .skipped
                .push(format!("`{scope}` sends with another e-mail provider; its keys are skipped"));
            return Ok(());
        }
        let effective = self.effective(scope);
        let accepted = effective.iter().filter(|it| filter.accepts(it.key, it.record));
        selection.keys.extend(accepted.map(|it| it.key));
        let below = reach == Reach::Below && scope.location.is_none();
        for (key, record) in self.keys_of_agency(&scope.agency) {
            let here = key.scope == *scope || below;
            if here && filter.accepts(key, record) {
                self.take(key, record, filter, selection);
            }
        }
        Ok(())
    }

    fn take<'a>(&self, key: &'a KeyRef, record: &Record, filter: Filter<'_>, selection: &mut Selection<'a>) {
        let wanted = match record.state {
            KeyState::Active => true,
            KeyState::Disabled => filter.disabled,
            KeyState::Pending => false,
        };
        if !wanted {
            selection.skipped.push(format!("`{key}` is {} and skipped", record.state));
        } else if key.scope.location.is_some() && self.sends_elsewhere(&key.scope) {
            selection.skipped.push(format!("`{key}`: `{}` sends with another e-mail provider", key.scope));
        } else {
            selection.keys.insert(key);
        }
    }

    fn nothing(&self, arguments: &[Selected], selection: &Selection<'_>) -> Situation {
        let situation = match arguments {
            [Selected::Scope(scope)] => {
                Situation::missing("nothing-selected", format!("no key is effective at `{scope}`"))
            }
            [] if self.keys.is_empty() => Situation::missing("nothing-selected", "the inventory has no keys"),
            _ => Situation::missing("nothing-selected", "no key matches"),
        };
        match (selection.skipped.first(), self.keys.is_empty()) {
            (Some(skipped), _) => situation.hint(skipped.clone()),
            (None, true) => situation.hint("add the first one: `keyctl add mailgun@AGENCY`"),
            (None, false) => situation.hint("`keyctl list` shows what there is"),
        }
    }

    /// Returns the one key a command needs: of the kinds it can use, in their
    /// order of preference, the unlabelled one, else the only labelled one; an
    /// error lists the refs when it is not clear.
    pub fn choose<'a>(
        &'a self,
        argument: &Selected,
        kinds: &[Kind],
        filter: Filter<'_>,
    ) -> Result<(&'a KeyRef, &'a Record), Situation> {
        let scope = match argument {
            Selected::Key(key) => {
                self.record(key)?;
                let (key, record) = self.keys.get_key_value(key).ok_or_else(|| self.no_such_key(key))?;
                return Ok((key, record));
            }
            Selected::Scope(scope) => scope,
        };
        self.need_scope(scope)?;
        if self.sends_elsewhere(scope) {
            return Err(Situation::missing(
                "nothing-selected",
                format!("`{scope}` sends with another e-mail provider; its keys are skipped"),
            ));
        }
        let effective = self.effective(scope);
        let candidates: Vec<Effective<'a>> =
            effective.into_iter().filter(|it| filter.accepts(it.key, it.record)).collect();
        let wanted =
            |kind: Kind| candidates.iter().filter(|it| it.record.kind == kind).copied().collect::<Vec<_>>();
        let mut pools: Vec<Vec<Effective<'a>>> = kinds.iter().map(|kind| wanted(*kind)).collect();
        if kinds.is_empty() {
            pools.push(candidates.clone());
        }
        let pool = pools.into_iter().find(|pool| !pool.is_empty()).unwrap_or_default();
        match choose(&pool) {
            Ok(found) => Ok((found.key, found.record)),
            Err(Choice::None) => Err(self.nothing(std::slice::from_ref(argument), &Selection::default())),
            Err(Choice::Several(refs)) => {
                let refs: Vec<String> = refs.iter().map(|it| format!("`{it}`")).collect();
                Err(Situation::new(
                    crate::exit::Exit::Usage,
                    "ambiguous",
                    format!("several keys are effective at `{scope}`: {}", refs.join(", ")),
                )
                .hint("choose one by its key ref, or with --provider, --kind, --label"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::key::RecordId;

    fn inventory(keys: &[(&str, Kind)]) -> Inventory {
        let mut inventory = Inventory::default();
        for (n, (text, kind)) in keys.iter().enumerate() {
            let record = Record::new(RecordId::from_random([n as u8; 10]), *kind);
            inventory.keys.insert(text.parse().unwrap(), record);
        }
        inventory
    }

    fn scope(text: &str) -> Selected {
        Selected::Scope(text.parse().unwrap())
    }

    fn names<'a>(selection: &Selection<'a>) -> Vec<&'a str> {
        selection.keys.iter().map(|it| it.as_str()).collect()
    }

    #[test]
    fn a_key_ref_is_never_an_inherited_one() {
        let inventory = inventory(&[("mailgun@acme", Kind::Account)]);
        let key = Selected::Key("mailgun@acme/berlin".parse().unwrap());
        let error = inventory.select(&[key], Reach::Effective, Filter::default()).unwrap_err();
        assert_eq!(error.exit, Exit::Missing);
        assert!(error.hint.unwrap().contains("inherits `mailgun@acme`"));
    }

    #[test]
    fn an_agency_means_what_is_below_it_only_where_asked() {
        let mut inventory =
            inventory(&[("mailgun@acme", Kind::Account), ("mailgun@acme/berlin", Kind::Account)]);
        fn select(inventory: &Inventory, reach: Reach) -> Selection<'_> {
            inventory.select(&[scope("acme")], reach, Filter::default()).unwrap()
        }
        assert_eq!(names(&select(&inventory, Reach::Effective)), ["mailgun@acme"]);
        assert_eq!(names(&select(&inventory, Reach::Below)), ["mailgun@acme", "mailgun@acme/berlin"]);
        inventory.keys.get_mut(&"mailgun@acme/berlin".parse().unwrap()).unwrap().state = KeyState::Disabled;
        let selection = select(&inventory, Reach::Below);
        assert_eq!(names(&selection), ["mailgun@acme"]);
        assert_eq!(selection.skipped.len(), 1);
    }

    #[test]
    fn the_preferred_kind_is_chosen_and_doubt_is_an_error() {
        let inventory = inventory(&[
            ("mailgun@acme", Kind::Account),
            ("mailgun:b@acme", Kind::Sending),
            ("brevo:x@acme", Kind::Api),
            ("brevo:y@acme", Kind::Api),
        ]);
        let chosen = |kinds: &[Kind]| inventory.choose(&scope("acme/paris"), kinds, Filter::default());
        assert!(chosen(&[Kind::Account, Kind::Sending]).is_err(), "the location is not known");
        let chosen = |kinds: &[Kind]| inventory.choose(&scope("acme"), kinds, Filter::default());
        assert_eq!(chosen(&[Kind::Account, Kind::Sending]).unwrap().0.as_str(), "mailgun@acme");
        assert_eq!(chosen(&[Kind::Sending]).unwrap().0.as_str(), "mailgun:b@acme");
        assert_eq!(chosen(&[Kind::Api]).unwrap_err().exit, Exit::Usage);
        assert_eq!(chosen(&[Kind::Private]).unwrap_err().exit, Exit::Missing);
    }
}
