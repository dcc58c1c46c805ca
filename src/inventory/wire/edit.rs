//! Carries a change of one table's fields into the text, wherever and however
//! a person wrote that table.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::DeValue;

use super::Value;
use super::layout::{Form, Layout, Spot};
use super::sequence::{Changes, Sequence};
use super::shape::{self, Fields, Node};
use super::splice::Splices;

/// A text under change.
pub struct Editor<'a> {
    pub layout: Layout<'a>,
    pub out: Splices,
}

/// Names that tell elements of an array of tables apart.
const IDENTITY: [&str; 4] = ["finding", "key", "scope", "name"];

impl<'a> Editor<'a> {
    /// Changes the fields of the table at `spot`, whose path is `path`.
    pub fn fields(&mut self, spot: &Spot<'a>, path: &[&str], before: &Fields, after: &Fields) {
        let mut removed = Vec::new();
        for (name, _) in before.0.iter().filter(|(name, _)| after.get(name).is_none()) {
            removed.extend(spot.table.get_key_value(*name));
        }
        let mut added = Vec::new();
        let mut previous = None;
        for (name, node) in &after.0 {
            let old = before.get(name);
            match spot.table.get(*name) {
                Some(_) if old == Some(node) => {}
                Some(value) => self.value(value, &deeper(path, name), old, node),
                // What is not written has its default, which may still be meant.
                None if old == Some(node) => continue,
                None => {
                    added.push((previous, *name, node));
                    continue;
                }
            }
            previous = Some(*name);
        }
        if spot.form == Form::Inline {
            self.change_inline(spot, &removed, &added);
            return;
        }
        for (key, value) in removed {
            self.remove(key.span(), value);
        }
        self.add(spot, path, &added);
    }

    fn value(&mut self, value: &'a Value<'a>, path: &[&str], old: Option<&Node>, new: &Node) {
        match (new, value.get_ref()) {
            (Node::Table(after), DeValue::Table(_)) => {
                let nothing = Fields::default();
                let before = if let Some(Node::Table(before)) = old { before } else { &nothing };
                if let Some(spot) = self.layout.spot(value) {
                    self.fields(&spot, path, before, after);
                }
            }
            (Node::List(_, after), DeValue::Array(_)) => {
                let before = if let Some(Node::List(_, before)) = old { before.as_slice() } else { &[] };
                self.list(value, path, before, after, new);
            }
            (Node::Texts(after), DeValue::Array(items)) => {
                let same = |(item, text): (&Value<'_>, &String)| item.get_ref().as_str() == Some(text);
                let head = items.iter().zip(after).take_while(|(item, text)| same((item, text))).count();
                let room = items.len().min(after.len()) - head;
                let tail = items
                    .iter()
                    .rev()
                    .zip(after.iter().rev())
                    .take(room)
                    .take_while(|(item, text)| same((item, text)))
                    .count();
                let changes = Changes {
                    removed: (head..items.len() - tail).collect(),
                    added: after[head..after.len() - tail]
                        .iter()
                        .map(|text| ((head > 0).then(|| head - 1), shape::quoted(text)))
                        .collect(),
                };
                self.sequence(value, false).change(&changes, &mut self.out);
            }
            _ => self.out.replace(value.span(), shape::inline(new)),
        }
    }

    fn sequence(&self, value: &'a Value<'a>, airy: bool) -> Sequence<'a> {
        let items = Layout::items(value).iter().map(toml::Spanned::span).collect();
        Sequence { layout: self.layout, span: value.span(), items, airy }
    }

    /// Changes an array of tables, element by element where they can be told
    /// apart.
    fn list(&mut self, value: &'a Value<'a>, path: &[&str], before: &[Fields], after: &[Fields], new: &Node) {
        let matches = match_items(before, after);
        for (at, from) in matches.iter().enumerate() {
            let Some(from) = *from else { continue };
            if let Some(spot) = Layout::items(value).get(from).and_then(|item| self.layout.spot(item))
                && before[from] != after[at]
            {
                self.fields(&spot, path, &before[from], &after[at]);
            }
        }
        let removed: Vec<usize> = (0..before.len()).filter(|at| !matches.contains(&Some(*at))).collect();
        let added = after.iter().enumerate().filter(|(at, _)| matches[*at].is_none());
        let behind = |at: usize| matches[..at].iter().rev().find_map(|from| *from);
        if self.layout.is_headed(value) {
            let added: Vec<_> = added.map(|(at, item)| (behind(at), item)).collect();
            self.change_headed(value, path, &removed, &added);
        } else {
            let added = added.map(|(at, item)| (behind(at), shape::inline_table(item))).collect();
            let airy = matches!(new, Node::List(shape::Layout::Lines, _));
            self.sequence(value, airy).change(&Changes { removed, added }, &mut self.out);
        }
    }

    fn change_headed(
        &mut self,
        value: &'a Value<'a>,
        path: &[&str],
        removed: &[usize],
        added: &[(Option<usize>, &Fields)],
    ) {
        let items = Layout::items(value);
        let layout = self.layout;
        let gone = removed.iter().filter_map(|at| items.get(*at));
        self.delete_blocks(gone.flat_map(|item| layout.headers(item)));
        for (behind, fields) in added {
            let block = shape::item_block(path, fields);
            match behind.and_then(|at| self.layout.block_end(&items[at])) {
                Some(end) => self.out.insert_block(end, block),
                None => {
                    let first = self.layout.lead(items[0].span().start);
                    self.insert_block_before(first, &block);
                }
            }
        }
    }

    /// Puts a block, which begins with a blank line, before another one.
    pub fn insert_block_before(&mut self, offset: usize, block: &str) {
        self.out.insert_block(offset, format!("{}\n", block.trim_start_matches('\n')));
    }

    /// Removes a field or a table with everything below it.
    pub fn remove(&mut self, key: Range<usize>, value: &'a Value<'a>) {
        let spot = self.layout.spot(value);
        match spot.map(|spot| (spot.form, spot.table)) {
            None | Some((Form::Inline, _)) if !self.layout.is_headed(value) => {
                self.out.delete(self.layout.line_start(key.start)..self.layout.line_end(value.span().end));
            }
            Some((Form::Dotted, table)) => {
                for (key, value) in self.layout.body(table) {
                    self.remove(key, value);
                }
                self.delete_blocks(self.layout.headers(value));
            }
            _ => self.delete_blocks(self.layout.headers(value)),
        }
    }

    /// Deletes the lines of headers and their bodies, and at the end of the
    /// file the blank lines above.
    fn delete_blocks(&mut self, headers: impl IntoIterator<Item = Spot<'a>>) {
        let mut joined: Vec<Range<usize>> = Vec::new();
        for segment in headers.into_iter().map(|spot| self.layout.segment(&spot)) {
            match joined.last_mut() {
                Some(last) if last.end == segment.start => last.end = segment.end,
                _ => joined.push(segment),
            }
        }
        for mut range in joined {
            if range.end == self.layout.text.len() {
                range.start = self.layout.above_blank_lines(range.start);
            }
            self.out.delete(range);
        }
    }

    fn change_inline(
        &mut self,
        spot: &Spot<'a>,
        removed: &[(&toml::Spanned<toml::de::DeString<'a>>, &'a Value<'a>)],
        added: &[Added<'_>],
    ) {
        let (sequence, keys) = self.inline_items(spot);
        let index = |key: Range<usize>| keys.iter().position(|it| *it == key);
        let behind = |name: &str| index(spot.table.get_key_value(name)?.0.span());
        let changes = Changes {
            removed: removed.iter().filter_map(|(key, _)| index(key.span())).collect(),
            added: added
                .iter()
                .map(|(previous, name, node)| {
                    (previous.and_then(behind), format!("{name} = {}", shape::inline(node)))
                })
                .collect(),
        };
        sequence.change(&changes, &mut self.out);
    }

    fn inline_items(&self, spot: &Spot<'a>) -> (Sequence<'a>, Vec<Range<usize>>) {
        let body = self.layout.body(spot.table);
        let items =
            body.iter().map(|(key, value)| self.layout.path_start(key.start)..value.span().end).collect();
        let sequence = Sequence { layout: self.layout, span: spot.span.clone(), items, airy: false };
        (sequence, body.into_iter().map(|(key, _)| key).collect())
    }

    /// Puts `name = value` at the end of an inline table.
    pub fn add_inline(&mut self, spot: &Spot<'a>, text: String) {
        let (sequence, keys) = self.inline_items(spot);
        let changes = Changes { removed: Vec::new(), added: vec![(keys.len().checked_sub(1), text)] };
        sequence.change(&changes, &mut self.out);
    }

    /// Takes a field out of an inline table.
    pub fn remove_inline(&mut self, spot: &Spot<'a>, name: &str) {
        let (sequence, keys) = self.inline_items(spot);
        let at =
            spot.table.get_key_value(name).and_then(|(key, _)| keys.iter().position(|it| *it == key.span()));
        let changes = Changes { removed: at.into_iter().collect(), added: Vec::new() };
        sequence.change(&changes, &mut self.out);
    }

    /// Adds fields to a table that is not an inline one.
    fn add(&mut self, spot: &Spot<'a>, path: &[&str], added: &[Added<'_>]) {
        let (headed, lines): (Vec<_>, Vec<_>) =
            added.iter().copied().partition(|(_, _, node)| shape::has_header(node));
        match spot.form {
            _ if lines.is_empty() => {}
            Form::Implied => {
                let fields = Fields(lines.iter().map(|(_, name, node)| (*name, (*node).clone())).collect());
                self.add_header(spot, path, &fields);
            }
            Form::Dotted => self.add_dotted(spot, &lines),
            _ => {
                for (previous, name, node) in &lines {
                    let (offset, indent) = self.line_for(spot, *previous);
                    let line = shape::body_line(name, node);
                    self.out.insert(offset, format!("{indent}{line}"));
                }
            }
        }
        for (_, name, node) in headed {
            let path = deeper(path, name);
            let block = match node {
                Node::Table(fields) => shape::block(&path, fields),
                Node::List(_, items) => items.iter().map(|item| shape::item_block(&path, item)).collect(),
                _ => continue,
            };
            self.out.insert_block(self.end_of(spot), block);
        }
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

    /// Adds `path.field = …` beside the fields that are written like this.
    fn add_dotted(&mut self, spot: &Spot<'a>, lines: &[Added<'_>]) {
        let body = self.layout.body(spot.table);
        let Some((_, last)) = body.last() else { return };
        let start = self.layout.path_start(spot.span.start);
        let prefix = &self.layout.text[start..spot.span.end];
        let in_line = !self.layout.text[self.layout.line_start(start)..start].trim().is_empty();
        for (_, name, node) in lines {
            if in_line {
                self.out.insert(last.span().end, format!(", {prefix}.{name} = {}", shape::inline(node)));
            } else {
                let line = shape::body_line(name, node);
                self.out.insert(self.layout.line_end(last.span().end), format!("{prefix}.{line}"));
            }
        }
    }

    /// Gives a table that exists only by headers below it one of its own.
    pub fn add_header(&mut self, spot: &Spot<'a>, path: &[&str], fields: &Fields) {
        let block = shape::block(path, fields);
        let below = spot.table.iter().flat_map(|(_, value)| self.layout.headers(value));
        match below.map(|it| it.span.start).min() {
            Some(first) => self.insert_block_before(self.layout.lead(first), &block),
            None => self.out.insert_block(self.layout.text.len(), block),
        }
    }

    /// Returns where a block that belongs to a table goes.
    pub fn end_of(&self, spot: &Spot<'a>) -> usize {
        if spot.form == Form::Root {
            return self.layout.text.len();
        }
        let own = (spot.form == Form::Header).then(|| self.layout.body_end(spot));
        let below = spot.table.iter().filter_map(|(_, value)| self.layout.block_end(value));
        below.chain(own).max().unwrap_or(self.layout.text.len())
    }
}

/// The field to stand behind, the name, the value.
type Added<'n> = (Option<&'n str>, &'static str, &'n Node);

fn deeper<'p>(path: &[&'p str], name: &'p str) -> Vec<&'p str> {
    path.iter().copied().chain([name]).collect()
}

/// Returns for each element of `after` the index in `before` of the element it
/// comes from. The indices rise.
fn match_items(before: &[Fields], after: &[Fields]) -> Vec<Option<usize>> {
    let identity = |item: &Fields| IDENTITY.map(|name| item.get(name).cloned());
    let mut old = HashMap::new();
    for (at, item) in before.iter().enumerate() {
        old.entry(identity(item)).or_insert(at);
    }
    let matches: Vec<Option<usize>> = after.iter().map(|item| old.get(&identity(item)).copied()).collect();
    if matches.iter().flatten().is_sorted_by(|a, b| a < b) {
        return matches;
    }
    // Doubles, or another order: keep what is the same at both ends.
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let room = before.len().min(after.len()) - head;
    let tail = before.iter().rev().zip(after.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    (0..after.len())
        .map(|at| {
            if at < head {
                Some(at)
            } else if at >= after.len() - tail {
                Some(before.len() - (after.len() - at))
            } else {
                None
            }
        })
        .collect()
}
