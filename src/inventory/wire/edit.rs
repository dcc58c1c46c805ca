//! Carries a change of one table's fields into the text. Only tables with a
//! header are edited; whoever wants to change another one gets it a header
//! first, by [`Editor::open`], and comes again.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Range;

use toml::de::DeValue;

use super::Value;
use super::bracket::Bracket;
use super::layout::{Form, Layout, Spot};
use super::shape::{self, Fields, Node};
use super::spelling;
use super::splice::Splices;
use super::unfold::unfold;

/// A text under change.
pub struct Editor<'a> {
    pub layout: Layout<'a>,
    pub out: Splices,
    /// The paths of tables that must get a header before they can be changed.
    folded: BTreeSet<Vec<String>>,
}

/// Names that tell elements of an array of tables apart.
const IDENTITY: [&str; 4] = ["finding", "key", "scope", "name"];

impl<'a> Editor<'a> {
    pub fn new(layout: Layout<'a>) -> Self {
        Self { layout, out: Splices::default(), folded: BTreeSet::new() }
    }

    pub fn has_folded(&self) -> bool {
        !self.folded.is_empty()
    }

    /// Returns the text with tables opened that must be, else with the changes.
    pub fn apply(mut self) -> String {
        if self.has_folded() {
            self.out = Splices::default();
            let mut outer: Option<&Vec<String>> = None;
            for path in &self.folded {
                // What stands in another one comes out in the next round.
                if outer.is_none_or(|outer| !path.starts_with(outer)) {
                    unfold(self.layout, path, &mut self.out);
                    outer = Some(path);
                }
            }
        }
        self.out.apply(self.layout.text)
    }

    /// Returns the table at `path` if it has a header; else it gets one.
    pub fn open(&mut self, path: &[&str]) -> Option<Spot<'a>> {
        let spot = self.layout.locate(path)?;
        if !self.is_open_to(path) {
            return None;
        }
        if matches!(spot.form, Form::Dotted | Form::Implied) {
            self.fold(path);
            return None;
        }
        Some(spot)
    }

    /// Returns whether headers can lead through `path`. They cannot extend what
    /// stands in braces, which gets a header then.
    pub fn is_open_to(&mut self, path: &[&str]) -> bool {
        let inline =
            |end: &usize| self.layout.locate(&path[..*end]).is_some_and(|spot| spot.form == Form::Inline);
        match (1..=path.len()).find(inline) {
            Some(end) => self.fold(&path[..end]),
            None => return true,
        }
        false
    }

    fn fold(&mut self, path: &[&str]) {
        self.folded.insert(path.iter().map(|it| (*it).to_owned()).collect());
    }

    /// Changes the fields of the table at `spot`, which has a header, and whose
    /// path is `path`.
    pub fn fields(&mut self, spot: &Spot<'a>, path: &[&str], before: &Fields, after: &Fields) {
        let mut previous = None;
        for (name, node) in &after.0 {
            let old = before.get(name);
            match spot.table.get(*name) {
                Some(_) if old == Some(node) => {}
                Some(value) => self.value(value, &deeper(path, name), old, node),
                // What is not written has its default, which may still be meant.
                None if old == Some(node) => continue,
                None => {
                    self.add(spot, &deeper(path, name), previous, node);
                    continue;
                }
            }
            previous = Some(*name);
        }
        for (name, _) in before.0.iter().filter(|(name, _)| after.get(name).is_none()) {
            if let Some((key, value)) = spot.table.get_key_value(*name) {
                self.remove(key.span(), value, &deeper(path, name));
            }
        }
    }

    fn value(&mut self, value: &'a Value<'a>, path: &[&str], old: Option<&Node>, new: &Node) {
        match (new, value.get_ref()) {
            (Node::Table(after), DeValue::Table(_)) => {
                let nothing = Fields::default();
                let before = if let Some(Node::Table(before)) = old { before } else { &nothing };
                if let Some(spot) = self.open(path) {
                    self.fields(&spot, path, before, after);
                }
            }
            (Node::List(_, after), DeValue::Array(_)) => {
                let before = if let Some(Node::List(_, before)) = old { before.as_slice() } else { &[] };
                let from = same(&identities(before), &identities(after));
                if self.layout.is_headed(value) {
                    self.change_headed(value, path, (before, after), &from);
                } else {
                    let text = self.list(value, before, after, &from);
                    self.out.replace(value.span(), text);
                }
            }
            (Node::Texts(after), DeValue::Array(items)) => {
                let old: Vec<_> = items.iter().filter_map(|item| item.get_ref().as_str()).collect();
                let new: Vec<_> = after.iter().map(String::as_str).collect();
                let new = same(&old, &new).into_iter().zip(after);
                let items: Vec<_> = new.map(|(from, text)| (from, spelling::quoted(text))).collect();
                self.out.replace(value.span(), self.array(value).with(&items, false));
            }
            _ => self.out.replace(value.span(), spelling::inline(new)),
        }
    }

    fn array(&self, value: &'a Value<'a>) -> Bracket<'a> {
        let items = Layout::items(value).iter().map(toml::Spanned::span).collect();
        Bracket { layout: self.layout, span: value.span(), items }
    }

    /// Returns the text of an array whose tables stand in braces.
    fn list(&self, value: &'a Value<'a>, old: &[Fields], new: &[Fields], from: &[Option<usize>]) -> String {
        let items = Layout::items(value);
        let item = |at: usize| {
            let old = from[at].map(|from| (&items[from], &old[from]));
            match old.and_then(|(item, old)| Some((self.layout.spot(item)?, item.span(), old))) {
                Some((_, span, old)) if *old == new[at] => self.layout.text[span].to_owned(),
                Some((spot, _, old)) => self.braces(&spot, old, &new[at]),
                None => spelling::inline_table(&new[at]),
            }
        };
        let items: Vec<_> = (0..new.len()).map(|at| (from[at], item(at))).collect();
        self.array(value).with(&items, true)
    }

    /// Returns the text of a table in braces.
    fn braces(&self, spot: &Spot<'a>, before: &Fields, after: &Fields) -> String {
        let pairs = self.layout.pairs(spot);
        let mut items = Vec::new();
        for (at, (range, pair)) in pairs.iter().enumerate() {
            let name = if let [name] = *pair.names { name } else { "" };
            match after.get(name) {
                None if before.get(name).is_some() => {}
                Some(new) if before.get(name) != Some(new) => {
                    items.push((Some(at), format!("{name} = {}", spelling::inline(new))));
                }
                _ => items.push((Some(at), self.layout.text[range.clone()].to_owned())),
            }
        }
        let new = after.0.iter().filter(|(name, _)| !spot.table.contains_key(*name));
        let new = new.filter(|(name, node)| before.get(name) != Some(node));
        items.extend(new.map(|(name, node)| (None, format!("{name} = {}", spelling::inline(node)))));
        let ranges = pairs.into_iter().map(|(range, _)| range).collect();
        Bracket { layout: self.layout, span: spot.span.clone(), items: ranges }.with(&items, false)
    }

    /// Changes an array of tables with a header each, those alone that differ.
    fn change_headed(
        &mut self,
        value: &'a Value<'a>,
        path: &[&str],
        (before, after): (&[Fields], &[Fields]),
        from: &[Option<usize>],
    ) {
        let (items, layout) = (Layout::items(value), self.layout);
        let gone = (0..before.len()).filter(|at| !from.contains(&Some(*at)));
        gone.for_each(|at| self.remove_blocks(&items[at]));
        let mut behind = None;
        for (at, fields) in after.iter().enumerate() {
            let Some(old) = from[at] else {
                let block = spelling::item_block(path, fields);
                match behind.and_then(|at: usize| layout.block_end(&items[at])) {
                    Some(end) => self.out.insert_block(end, block),
                    None => self.insert_block_before(layout.lead(items[0].span().start), &block),
                }
                continue;
            };
            behind = Some(old);
            if let Some(spot) = layout.spot(&items[old]).filter(|_| before[old] != *fields) {
                self.fields(&spot, path, &before[old], fields);
            }
        }
    }

    /// Puts a block, which begins with a blank line, before another one.
    pub fn insert_block_before(&mut self, offset: usize, block: &str) {
        self.out.insert_block(offset, format!("{}\n", block.trim_start_matches('\n')));
    }

    /// Removes the table at `path` with everything below it.
    pub fn remove_at(&mut self, path: &[&str]) {
        if self.is_open_to(&path[..path.len() - 1])
            && let Some((key, value)) = self.layout.entry(path)
        {
            self.remove(key, value, path);
        }
    }

    fn remove(&mut self, key: Range<usize>, value: &'a Value<'a>, path: &[&str]) {
        match self.layout.spot(value).map(|spot| spot.form) {
            Some(Form::Dotted) => self.fold(path),
            None | Some(Form::Inline) if !self.layout.is_headed(value) => {
                self.out.delete(self.layout.line_start(key.start)..self.layout.line_end(value.span().end));
            }
            _ => self.remove_blocks(value),
        }
    }

    /// Deletes the lines of every header in and below a value.
    fn remove_blocks(&mut self, value: &'a Value<'a>) {
        for (_, spot) in self.layout.headers(value) {
            self.out.delete(self.layout.segment(&spot));
        }
    }

    /// Adds the field or table at `path` to the table at `spot`.
    fn add(&mut self, spot: &Spot<'a>, path: &[&str], previous: Option<&str>, node: &Node) {
        let block = match node {
            Node::Table(fields) => spelling::block(path, fields),
            Node::List(shape::Layout::Tables, items) => {
                items.iter().map(|item| spelling::item_block(path, item)).collect()
            }
            _ => {
                let (offset, indent) = self.line_for(spot, previous);
                let line = spelling::body_line(path[path.len() - 1], node);
                return self.out.insert(offset, format!("{indent}{line}"));
            }
        };
        self.out.insert_block(self.end_of(spot), block);
    }

    /// Returns where a new line of a body goes, and its indentation.
    fn line_for(&self, spot: &Spot<'a>, previous: Option<&str>) -> (usize, &'a str) {
        let layout = self.layout;
        let predecessor = previous.and_then(|name| spot.table.get_key_value(name)).filter(|(_, value)| {
            !layout.is_headed(value) && layout.spot(value).is_none_or(|it| it.form == Form::Inline)
        });
        match predecessor {
            Some((key, value)) => {
                let start = layout.line_start(key.span().start);
                let indent = &layout.text[start..key.span().start];
                let indent = if indent.trim().is_empty() { indent } else { "" };
                (layout.line_end(value.span().end), indent)
            }
            None if spot.form == Form::Root => (self.top_of_file(), ""),
            None => (layout.line_end(spot.span.end), ""),
        }
    }

    /// Returns where the first field of a file goes: behind `version`, else
    /// behind the comment it opens with.
    fn top_of_file(&self) -> usize {
        let layout = self.layout;
        if let Some((_, value)) = self.layout.root.get_key_value("version") {
            return layout.line_end(value.span().end);
        }
        let mut offset = 0;
        while offset < layout.text.len() && layout.line(offset).trim_start().starts_with('#') {
            offset = layout.line_end(offset);
        }
        offset
    }

    /// Returns where a block that belongs to a table goes.
    fn end_of(&self, spot: &Spot<'a>) -> usize {
        if spot.form == Form::Root {
            return self.layout.text.len();
        }
        let below = spot.table.iter().filter_map(|(_, value)| self.layout.block_end(value));
        below.chain([self.layout.body_end(spot)]).max().unwrap_or(self.layout.text.len())
    }

    /// Gives the table at `path` another last name where it stands, in each of
    /// its headers. Returns whether that can be done.
    pub fn rename(&mut self, path: &[&str], new: &str) -> bool {
        let layout = self.layout;
        let Some((key, value)) = layout.entry(path) else { return false };
        match layout.spot(value).map(|spot| spot.form) {
            Some(Form::Inline) => self.out.replace(key, spelling::key_text(new)),
            Some(Form::Header | Form::Implied) => {
                for (below, spot) in layout.headers(value) {
                    let path = spelling::path_text(&[&path[..path.len() - 1], &[new], &below].concat());
                    let array = layout.text[spot.span.clone()].starts_with("[[");
                    let header = if array { format!("[[{path}]]") } else { format!("[{path}]") };
                    self.out.replace(spot.span, header);
                }
            }
            Some(Form::Dotted) => self.fold(path),
            Some(Form::Root) | None => return false,
        }
        true
    }
}

fn deeper<'p>(path: &[&'p str], name: &'p str) -> Vec<&'p str> {
    path.iter().copied().chain([name]).collect()
}

/// Returns what tells an element of an array of tables apart.
fn identities(items: &[Fields]) -> Vec<[Option<&Node>; 4]> {
    items.iter().map(|item| IDENTITY.map(|name| item.get(name))).collect()
}

/// Returns for each element of `after` the index in `before` of the element it
/// comes from. The indices rise.
fn same<T: Eq + Hash>(before: &[T], after: &[T]) -> Vec<Option<usize>> {
    let mut old = HashMap::new();
    for (at, item) in before.iter().enumerate() {
        old.entry(item).or_insert(at);
    }
    let from: Vec<Option<usize>> = after.iter().map(|item| old.get(item).copied()).collect();
    if from.iter().flatten().is_sorted_by(|a, b| a < b) {
        return from;
    }
    // Doubles, or another order: keep what is the same at both ends.
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let room = before.len().min(after.len()) - head;
    let tail = before.iter().rev().zip(after.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let at_end = |at: usize| (at + tail >= after.len()).then(|| before.len() + at - after.len());
    (0..after.len()).map(|at| if at < head { Some(at) } else { at_end(at) }).collect()
}
