//! Carries a change of the model into the text: finds out which tables are
//! new, gone, renamed or changed, and edits only those. Comments, order,
//! quoting, fields that are not known here, line ends: whatever is not part of
//! the change stays byte for byte, since the text is spliced, not written anew.
//! (A format-keeping writer was tried first: it folds dotted keys together,
//! makes CRLF into LF and drops the comment above a field it removes.)
//!
//! It goes in rounds, each on the text of the one before: tables get their new
//! names; what must change gets a header of its own; the changes are made.

use std::collections::{BTreeMap, HashMap};

use super::edit::Editor;
use super::layout::{Form, Layout, Spot};
use super::shape::{self, Fields};
use super::spelling;
use super::splice::Splices;
use super::{Parsed, TEMPLATE};
use crate::inventory::{Agency, Inventory, Place};
use crate::key::{KeyRef, Name, Record};
use crate::rotation::Rotation;

/// The tables at the top, in the order in which a new file has them.
const ORDER: [&str; 4] = ["agency", "key", "rotation", "waiver"];

/// Returns the text of `parsed` changed to say `after`.
pub fn patch(parsed: &Parsed<'_>, after: &Inventory) -> String {
    if parsed.root.is_empty() {
        return begin(parsed.text, after);
    }
    let layout = Layout { text: parsed.text, root: &parsed.root };
    let mut round = Round { editor: Editor::new(layout), before: &parsed.inventory, after };
    let renamed = round.renames();
    if !renamed && !round.editor.has_folded() {
        round.changes();
    }
    let done = !renamed && !round.editor.has_folded();
    let text = round.editor.apply();
    if done || text == parsed.text {
        return text;
    }
    match super::parse(&text) {
        Ok(parsed) => patch(&parsed, after),
        // The caller checks the result and refuses it.
        Err(_) => text,
    }
}

/// Fills a file that says nothing yet; comments in it stay at the top.
fn begin(comments: &str, after: &Inventory) -> String {
    let mut text = if comments.trim().is_empty() { TEMPLATE.to_owned() } else { comments.to_owned() };
    if text != TEMPLATE {
        let mut splices = Splices::default();
        splices.insert(text.len(), "\nversion = 1\n");
        text = splices.apply(&text);
    }
    match super::parse(&text) {
        Ok(parsed) => patch(&parsed, after),
        // The comments were read before: this cannot fail, and the caller checks the result.
        Err(_) => text,
    }
}

/// The names that lead to a table.
type Path<'a> = Vec<&'a str>;

/// What a table is about.
#[derive(Clone, Copy, PartialEq)]
enum Item<'a> {
    Place(&'a Place),
    Key(&'a Record),
    Rotation(&'a Rotation),
}

impl Item<'_> {
    /// Returns the fields to be written in the table at `spot`.
    fn fields(self, spot: Option<&Spot<'_>>) -> Fields {
        match self {
            Self::Place(place) => shape::place(place),
            Self::Key(record) => {
                shape::record(record, spot.is_some_and(|it| it.table.contains_key("highest")))
            }
            Self::Rotation(rotation) => shape::rotation(rotation),
        }
    }
}

/// Returns every table of a model in the order of a new file.
fn tables(inventory: &Inventory, with_keys: bool) -> Vec<(Path<'_>, Item<'_>)> {
    let mut all = Vec::new();
    for (name, agency) in &inventory.agencies {
        all.push((vec!["agency", name.as_str()], Item::Place(&agency.place)));
        for (location, place) in &agency.locations {
            all.push((vec!["agency", name.as_str(), "location", location.as_str()], Item::Place(place)));
        }
    }
    if with_keys {
        all.extend(inventory.keys.iter().map(|(key, it)| (vec!["key", key.as_str()], Item::Key(it))));
    }
    all.extend(
        inventory.rotations.iter().map(|(id, it)| (vec!["rotation", id.as_str()], Item::Rotation(it))),
    );
    all
}

/// Where a new table goes.
#[derive(Clone, Copy)]
enum Anchor {
    Behind(usize),
    Before(usize),
}

struct Round<'a> {
    editor: Editor<'a>,
    before: &'a Inventory,
    after: &'a Inventory,
}

impl<'a> Round<'a> {
    fn changes(&mut self) {
        let (before, after) = (self.before, self.after);
        let top = self.editor.layout.top();
        self.editor.fields(&top, &[], &shape::top(before), &shape::top(after));
        self.tables();
        self.editor.fields(&top, &[], &shape::waivers(before), &shape::waivers(after));
    }

    fn tables(&mut self) {
        let with_keys = self.before.keys != self.after.keys;
        let (before, after) = (tables(self.before, with_keys), tables(self.after, with_keys));
        let new: HashMap<&[&str], Item<'_>> = after.iter().map(|(path, it)| (path.as_slice(), *it)).collect();
        for (path, _) in before.iter().filter(|(path, _)| !new.contains_key(path.as_slice())) {
            if new.contains_key(&path[..2]) || path.len() == 2 {
                self.editor.remove_at(path);
            }
        }
        self.keep_emptied_agencies();
        let old: HashMap<&[&str], Item<'_>> =
            before.iter().map(|(path, it)| (path.as_slice(), *it)).collect();
        let mut siblings: [Option<&Path<'_>>; 5] = [None; 5];
        let mut anchor = None;
        for (at, (path, item)) in after.iter().enumerate() {
            if let Some(was) = old.get(path.as_slice()) {
                siblings[path.len()] = Some(path);
                if was != item
                    && let Some(spot) = self.editor.open(path)
                {
                    self.editor.fields(&spot, path, &was.fields(Some(&spot)), &item.fields(Some(&spot)));
                }
                continue;
            }
            // The locations of a new agency follow it.
            if path.len() == 2 || old.contains_key(&path[..2]) {
                let list = &path[..path.len() - 1];
                anchor = self.anchor(list, siblings[path.len()].filter(|it| it.starts_with(list)));
            }
            let told_below = *item == Item::Place(&Place::default())
                && after.get(at + 1).is_some_and(|(next, _)| next.starts_with(path));
            if let Some(anchor) = anchor.filter(|_| !told_below) {
                let block = spelling::block(path, &item.fields(None));
                match anchor {
                    Anchor::Behind(offset) => self.editor.out.insert_block(offset, block),
                    Anchor::Before(offset) => self.editor.insert_block_before(offset, &block),
                }
            }
        }
    }

    /// Gives a header to an agency of which only its locations told.
    fn keep_emptied_agencies(&mut self) {
        let had = |name| self.before.agencies.get(name).is_some_and(|it| !it.locations.is_empty());
        let emptied = self.after.agencies.iter().filter(|(name, it)| **it == Agency::default() && had(name));
        for (name, _) in emptied {
            self.editor.open(&["agency", name.as_str()]);
        }
    }

    /// Returns where a new table goes among the tables at `list`: behind its
    /// sibling, else before the first of them, else in the order of a new
    /// file. Of rotations the newest stands last: their ids are random.
    fn anchor(&mut self, list: &[&str], sibling: Option<&Path<'_>>) -> Option<Anchor> {
        if !self.editor.is_open_to(list) {
            return None;
        }
        let layout = self.editor.layout;
        let sibling = sibling.filter(|_| list[0] != "rotation").and_then(|path| layout.entry(path));
        if let Some((_, value)) = sibling
            && let Some(end) =
                layout.spot(value).filter(Spot::is_headed).and_then(|_| layout.block_end(value))
        {
            return Some(Anchor::Behind(end));
        }
        if sibling.is_none()
            && let ["agency", name, _] = list
            && let Some(agency) = layout.locate(&["agency", name]).filter(|it| it.form == Form::Header)
        {
            return Some(Anchor::Behind(layout.body_end(&agency)));
        }
        let value = layout.entry(list).map(|(_, value)| value);
        let own_header = layout.locate(list).is_some_and(|it| it.form == Form::Header);
        let first = layout.first_header(value.into_iter()).filter(|_| !own_header && list[0] != "rotation");
        let last = value.and_then(|value| layout.block_end(value)).map(Anchor::Behind);
        let end = || {
            let later = ORDER.iter().skip_while(|it| **it != list[0]).skip(1);
            let first = layout.first_header(later.filter_map(|name| layout.root.get(*name)));
            let first = first.filter(|_| list.len() == 1).map(Anchor::Before);
            first.unwrap_or(Anchor::Behind(layout.text.len()))
        };
        Some(first.map(Anchor::Before).or(last).unwrap_or_else(end))
    }

    /// Gives tables their new names where they stand, so that they keep what
    /// is not known here. Returns whether there were any.
    fn renames(&mut self) -> bool {
        let mut any = false;
        for (old, new) in renamed_agencies(&self.before.agencies, &self.after.agencies) {
            any |= self.editor.rename(&["agency", old.as_str()], new.as_str());
        }
        for (name, agency) in &self.before.agencies {
            let Some(after) = self.after.agencies.get(name) else { continue };
            for (old, new) in moved(&agency.locations, &after.locations) {
                let path = ["agency", name.as_str(), "location", old.as_str()];
                any |= self.editor.rename(&path, new.as_str());
            }
        }
        for (old, new) in self.renamed_keys() {
            any |= self.editor.rename(&["key", old.as_str()], new.as_str());
        }
        any
    }

    fn renamed_keys(&self) -> Vec<(&'a KeyRef, &'a KeyRef)> {
        let (before, after) = (&self.before.keys, &self.after.keys);
        let gone: HashMap<_, _> = before
            .iter()
            .filter(|(key, _)| !after.contains_key(key))
            .map(|(key, record)| (&record.id, key))
            .collect();
        let new = after.iter().filter(|(key, _)| !gone.is_empty() && !before.contains_key(key));
        new.filter_map(|(key, record)| Some((*gone.get(&record.id)?, key)))
            .filter(|(old, new)| old.provider == new.provider)
            .collect()
    }
}

/// Returns which names are gone and which new ones have the same value.
/// Without anything recorded there is nothing to carry over.
fn moved<'a, T: Default + PartialEq>(
    before: &'a BTreeMap<Name, T>,
    after: &'a BTreeMap<Name, T>,
) -> Vec<(&'a Name, &'a Name)> {
    let mut new: Vec<_> = after.iter().filter(|(it, _)| !before.contains_key(it)).collect();
    let gone = before.iter().filter(|(it, value)| !after.contains_key(it) && **value != T::default());
    gone.filter_map(|(old, value)| {
        let same = new.iter().position(|(_, it)| *it == value)?;
        Some((old, new.swap_remove(same).0))
    })
    .collect()
}

/// Returns which agencies have another name now: everything recorded is the
/// same, or one is gone and one is new with the same locations.
fn renamed_agencies<'a>(
    before: &'a BTreeMap<Name, Agency>,
    after: &'a BTreeMap<Name, Agency>,
) -> Vec<(&'a Name, &'a Name)> {
    let gone: Vec<_> = before.iter().filter(|(it, _)| !after.contains_key(it)).collect();
    let new: Vec<_> = after.iter().filter(|(it, _)| !before.contains_key(it)).collect();
    if let ([(old, left)], [(new, come)]) = (gone.as_slice(), new.as_slice())
        && left.locations.keys().eq(come.locations.keys())
        && (!left.locations.is_empty() || left.place == come.place)
    {
        return vec![(old, new)];
    }
    moved(before, after)
}
