//! Carries a change of the model into the text: finds out which tables are
//! new, gone, renamed or changed, and edits only those. Comments, order,
//! quoting, fields that are not known here, line ends: whatever is not part of
//! the change stays byte for byte, since the text is spliced, not written anew.
//! (A format-keeping writer was tried first: it folds dotted keys together,
//! makes CRLF into LF and drops the comment above a field it removes.)

use std::collections::{BTreeMap, HashMap};

use super::edit::Editor;
use super::layout::{Form, Layout, Spot};
use super::shape::{self, Fields};
use super::splice::Splices;
use super::{Parsed, TEMPLATE, Value};
use crate::inventory::{Agency, Inventory, Place};
use crate::key::{KeyRef, Name, RecordId};

/// The tables at the top, in the order in which a new file has them.
const ORDER: [&str; 4] = ["agency", "key", "rotation", "waiver"];

/// Returns the text of `parsed` changed to say `after`.
pub fn patch(parsed: &Parsed<'_>, after: &Inventory) -> String {
    if parsed.root.is_empty() {
        return begin(parsed.text, after);
    }
    let layout = Layout { text: parsed.text, root: &parsed.root };
    let mut patcher =
        Patcher { editor: Editor { layout, out: Splices::default() }, before: &parsed.inventory, after };
    let top = layout.top();
    patcher.editor.fields(&top, &[], &shape::top(&parsed.inventory), &shape::top(after));
    patcher.agencies();
    patcher.keys();
    patcher.rotations();
    patcher.editor.fields(&top, &[], &shape::waivers(&parsed.inventory), &shape::waivers(after));
    patcher.editor.out.apply(parsed.text)
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

struct Patcher<'a> {
    editor: Editor<'a>,
    before: &'a Inventory,
    after: &'a Inventory,
}

impl<'a> Patcher<'a> {
    fn agencies(&mut self) {
        let (before, after) = (&self.before.agencies, &self.after.agencies);
        let renamed = renamed_agencies(before, after);
        let mut origins: HashMap<&Name, &Name> = HashMap::new();
        for (old, new) in renamed {
            if self.rename(&["agency", old.as_str()], new.as_str()) {
                origins.insert(new, old);
            }
        }
        for old in before.keys() {
            if !after.contains_key(old) && !origins.values().any(|it| *it == old) {
                self.remove(&["agency", old.as_str()]);
            }
        }
        let nothing = Agency::default();
        for (name, agency) in after {
            let old_name = origins.get(name).copied().unwrap_or(name);
            match before.get(old_name) {
                Some(old) if old == agency && old_name == name => {}
                Some(old) => self.agency(old_name, name, old, agency),
                None => self.new_agency(name, agency, &nothing),
            }
        }
    }

    fn agency(&mut self, old_name: &Name, name: &Name, before: &Agency, after: &Agency) {
        let Some(spot) = self.editor.layout.locate(&["agency", old_name.as_str()]) else { return };
        let path = ["agency", name.as_str()];
        let (own_before, own_after) = (shape::place(&before.place), shape::place(&after.place));
        self.editor.fields(&spot, &path, &own_before, &own_after);
        let origins = self.renamed_locations(old_name, before, after);
        for (location, _) in before.locations.iter().filter(|(it, _)| !after.locations.contains_key(it)) {
            if !origins.values().any(|it| *it == location) {
                self.remove(&["agency", old_name.as_str(), "location", location.as_str()]);
            }
        }
        for (location, place) in &after.locations {
            let old_location = origins.get(location).copied().unwrap_or(location);
            let new_path = ["agency", name.as_str(), "location", location.as_str()];
            match before.locations.get(old_location) {
                Some(old) if old == place => {}
                Some(old) => {
                    let path = ["agency", old_name.as_str(), "location", old_location.as_str()];
                    if let Some(spot) = self.editor.layout.locate(&path) {
                        self.editor.fields(&spot, &new_path, &shape::place(old), &shape::place(place));
                    }
                }
                None => self.new_location(&spot, old_name, name, location, place),
            }
        }
        let emptied = after.locations.is_empty() && !before.locations.is_empty();
        if emptied && own_after == Fields::default() && matches!(spot.form, Form::Implied | Form::Dotted) {
            // Only its locations said that there is this agency.
            self.editor.add_header(&spot, &path, &own_after);
        }
    }

    fn renamed_locations<'b>(
        &mut self,
        agency: &Name,
        before: &'b Agency,
        after: &'b Agency,
    ) -> HashMap<&'b Name, &'b Name> {
        let mut origins = HashMap::new();
        let gone = before.locations.iter().filter(|(it, _)| !after.locations.contains_key(it));
        let mut new: Vec<_> =
            after.locations.iter().filter(|(it, _)| !before.locations.contains_key(it)).collect();
        for (old, place) in gone {
            // Without anything recorded there is nothing to carry over.
            let same = new.iter().position(|(_, it)| *it == place && **it != Place::default());
            let Some(at) = same else { continue };
            if self.rename(&["agency", agency.as_str(), "location", old.as_str()], new[at].0.as_str()) {
                origins.insert(new.swap_remove(at).0, old);
            }
        }
        origins
    }

    fn new_agency(&mut self, name: &Name, agency: &Agency, nothing: &Agency) {
        let anchor = self.anchor(
            &["agency"],
            self.before
                .agencies
                .range(..name)
                .rev()
                .find_map(|(it, _)| self.after.agencies.contains_key(it).then_some(it.as_str())),
        );
        let path = ["agency", name.as_str()];
        if agency.place != nothing.place || agency.locations.is_empty() {
            self.put(&anchor, &path, &shape::place(&agency.place));
        }
        for (location, place) in &agency.locations {
            let path = ["agency", name.as_str(), "location", location.as_str()];
            self.put(&anchor, &path, &shape::place(place));
        }
    }

    fn new_location(
        &mut self,
        agency: &Spot<'a>,
        old_name: &Name,
        name: &Name,
        location: &Name,
        place: &Place,
    ) {
        let siblings = self.before.agencies.get(old_name).map(|it| &it.locations);
        let kept = self.after.agencies.get(name).map(|it| &it.locations);
        let sibling = siblings.and_then(|all| {
            all.range(..location)
                .rev()
                .map(|(it, _)| it)
                .find(|it| kept.is_some_and(|kept| kept.contains_key(*it)))
        });
        let list = ["agency", old_name.as_str(), "location"];
        let own = ["agency", name.as_str(), "location", location.as_str()];
        let anchor = match (sibling, agency.form) {
            (None, Form::Header) if self.inline_parent(&list).is_none() => {
                Anchor::Behind(self.editor.layout.body_end(agency))
            }
            (sibling, _) => self.anchor(&list, sibling.map(Name::as_str)),
        };
        self.put(&anchor, &own, &shape::place(place));
    }

    fn keys(&mut self) {
        let (before, after) = (&self.before.keys, &self.after.keys);
        if before == after {
            return;
        }
        let gone: Vec<_> = before.iter().filter(|(key, _)| !after.contains_key(key)).collect();
        let by_id: HashMap<&RecordId, &KeyRef> =
            gone.iter().map(|(key, record)| (&record.id, *key)).collect();
        let mut origins: BTreeMap<&KeyRef, &KeyRef> = BTreeMap::new();
        for (key, record) in after.iter().filter(|(key, _)| !before.contains_key(key)) {
            let old = by_id.get(&record.id).copied();
            if let Some(old) = old.filter(|old| self.rename(&["key", old.as_str()], key.as_str())) {
                origins.insert(key, old);
            }
        }
        let renamed: std::collections::BTreeSet<_> = origins.values().copied().collect();
        for (key, _) in gone.iter().filter(|(key, _)| !renamed.contains(key)) {
            self.remove(&["key", key.as_str()]);
        }
        for (key, record) in after {
            let old_key = origins.get(key).copied().unwrap_or(key);
            let path = ["key", key.as_str()];
            match before.get(old_key) {
                Some(old) if old == record => {}
                Some(old) => {
                    if let Some(spot) = self.editor.layout.locate(&["key", old_key.as_str()]) {
                        let told = spot.table.contains_key("highest");
                        let (old, new) = (shape::record(old, told), shape::record(record, told));
                        self.editor.fields(&spot, &path, &old, &new);
                    }
                }
                None => {
                    let sibling =
                        before.range(..key).rev().map(|(it, _)| it).find(|it| after.contains_key(*it));
                    let anchor = self.anchor(&["key"], sibling.map(KeyRef::as_str));
                    self.put(&anchor, &path, &shape::record(record, false));
                }
            }
        }
    }

    fn rotations(&mut self) {
        let (before, after) = (&self.before.rotations, &self.after.rotations);
        for (id, _) in before.iter().filter(|(id, _)| !after.contains_key(id)) {
            self.remove(&["rotation", id.as_str()]);
        }
        for (id, rotation) in after {
            let path = ["rotation", id.as_str()];
            match before.get(id) {
                Some(old) if old == rotation => {}
                Some(old) => {
                    if let Some(spot) = self.editor.layout.locate(&path) {
                        self.editor.fields(&spot, &path, &shape::rotation(old), &shape::rotation(rotation));
                    }
                }
                None => {
                    // The newest stands last: ids are random.
                    let sibling = before.keys().rev().find(|it| after.contains_key(it));
                    let anchor = self.anchor(&["rotation"], sibling.map(|it| it.as_str()));
                    self.put(&anchor, &path, &shape::rotation(rotation));
                }
            }
        }
    }

    fn value(&self, path: &[&str]) -> Option<(std::ops::Range<usize>, &'a Value<'a>)> {
        let (name, parents) = path.split_last()?;
        let (key, value) = self.editor.layout.locate(parents)?.table.get_key_value(*name)?;
        Some((key.span(), value))
    }

    /// Removes the table at `path` with everything below it.
    fn remove(&mut self, path: &[&str]) {
        let Some((name, parents)) = path.split_last() else { return };
        let Some(parent) = self.editor.layout.locate(parents) else { return };
        if parent.form == Form::Inline {
            self.editor.remove_inline(&parent, name);
        } else if let Some((key, value)) = self.value(path) {
            self.editor.remove(key, value);
        }
    }

    /// Gives the table at `path` another last name where it stands, in each of
    /// its headers. Returns whether that could be done.
    fn rename(&mut self, path: &[&str], new: &str) -> bool {
        let Some((key, value)) = self.value(path) else { return false };
        let Some(spot) = self.editor.layout.spot(value) else { return false };
        let layout = self.editor.layout;
        let names = match spot.form {
            Form::Inline => Some(vec![key]),
            Form::Header | Form::Implied => layout
                .headers(value)
                .iter()
                .map(|header| layout.header_name(&header.span, path.len() - 1))
                .collect::<Option<Vec<_>>>(),
            Form::Dotted | Form::Root => None,
        };
        let Some(names) = names else { return false };
        for name in names {
            self.editor.out.replace(name, shape::key_text(new));
        }
        true
    }

    /// Returns where a new table goes among the tables at `list`: behind its
    /// sibling, else before the first of them, else in the order of a new file.
    fn anchor(&self, list: &[&str], sibling: Option<&str>) -> Anchor<'a> {
        let layout = self.editor.layout;
        if let Some((parent, spot)) = self.inline_parent(list) {
            return Anchor::Inline(spot, parent);
        }
        let tables = self.value(list).map(|(_, value)| value);
        let sibling = sibling.and_then(|name| layout.locate(list)?.table.get(name));
        if let Some(end) = sibling
            .filter(|it| layout.spot(it).is_some_and(|spot| is_headed(&spot)))
            .and_then(|it| layout.block_end(it))
        {
            return Anchor::Behind(end);
        }
        let headers = tables.map(|it| layout.headers(it)).unwrap_or_default();
        let own_header = tables.and_then(|it| layout.spot(it)).is_some_and(|it| it.form == Form::Header);
        match (headers.first(), headers.last()) {
            (Some(first), _) if !own_header => Anchor::Before(layout.lead(first.span.start)),
            (_, Some(last)) => Anchor::Behind(layout.body_end(last)),
            _ => self.anchor_of_first(list),
        }
    }

    fn anchor_of_first(&self, list: &[&str]) -> Anchor<'a> {
        let layout = self.editor.layout;
        let later = ORDER.iter().skip_while(|it| **it != list[0]).skip(1);
        let first = later
            .filter_map(|name| layout.root.get(*name))
            .flat_map(|value| layout.headers(value))
            .map(|spot| spot.span.start)
            .min();
        match first {
            Some(first) if list.len() == 1 => Anchor::Before(layout.lead(first)),
            _ => Anchor::Behind(layout.text.len()),
        }
    }

    /// Returns the inline table on the way to `list`, which no header can
    /// extend, and how many names of the path lead to it.
    fn inline_parent(&self, list: &[&str]) -> Option<(usize, Spot<'a>)> {
        (1..=list.len()).find_map(|length| {
            let spot = self.editor.layout.locate(&list[..length])?;
            (spot.form == Form::Inline).then_some((length, spot))
        })
    }

    fn put(&mut self, anchor: &Anchor<'a>, path: &[&str], fields: &Fields) {
        match anchor {
            Anchor::Behind(offset) => self.editor.out.insert_block(*offset, shape::block(path, fields)),
            Anchor::Before(offset) => self.editor.insert_block_before(*offset, &shape::block(path, fields)),
            Anchor::Inline(spot, parent) => {
                let text =
                    format!("{} = {}", shape::path_text(&path[*parent..]), shape::inline_table(fields));
                self.editor.add_inline(spot, text);
            }
        }
    }
}

/// Where a new table goes.
enum Anchor<'a> {
    Behind(usize),
    Before(usize),
    /// Into an inline table, and how many names of its path are told by it.
    Inline(Spot<'a>, usize),
}

fn is_headed(spot: &Spot<'_>) -> bool {
    matches!(spot.form, Form::Header | Form::Implied)
}

/// Returns which agencies have another name now: everything recorded is the
/// same, or one is gone and one is new with the same locations.
fn renamed_agencies<'a>(
    before: &'a BTreeMap<Name, Agency>,
    after: &'a BTreeMap<Name, Agency>,
) -> Vec<(&'a Name, &'a Name)> {
    let gone: Vec<_> = before.iter().filter(|(it, _)| !after.contains_key(it)).collect();
    let mut new: Vec<_> = after.iter().filter(|(it, _)| !before.contains_key(it)).collect();
    if let ([(old, left)], [(new, come)]) = (gone.as_slice(), new.as_slice())
        && left.locations.keys().eq(come.locations.keys())
        && (!left.locations.is_empty() || left.place == come.place)
    {
        return vec![(old, new)];
    }
    let mut renamed = Vec::new();
    for (old, agency) in gone {
        let same = new.iter().position(|(_, it)| *it == agency && **it != Agency::default());
        renamed.extend(same.map(|at| (old, new.swap_remove(at).0)));
    }
    renamed
}
