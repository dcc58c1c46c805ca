//! Where things stand in the text: how a table is written, which lines belong
//! to it, where a new one goes. Looks only, changes nothing.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Value;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The top of the file.
    Root,
    /// `[path]`, or `[[path]]` for an element of an array.
    Header,
    /// `{ … }`
    Inline,
    /// It exists because keys lead through it: `path.field = …`
    Dotted,
    /// It exists because headers lead through it: `[path.deeper]`
    Implied,
}

/// A table of the file with its place in the text.
#[derive(Debug, Clone)]
pub struct Spot<'a> {
    pub table: &'a DeTable<'a>,
    pub span: Range<usize>,
    pub form: Form,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// The names of the key, which may be dotted.
    pub names: Vec<&'a str>,
    /// The last of them in the text.
    pub key: Range<usize>,
    pub value: &'a Value<'a>,
}

impl Spot<'_> {
    /// Returns whether headers say that the table is there.
    pub fn is_headed(&self) -> bool {
        matches!(self.form, Form::Header | Form::Implied)
    }
}

/// The text and the questions about it.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    pub text: &'a str,
    pub root: &'a DeTable<'a>,
}

impl<'a> Layout<'a> {
    pub fn top(&self) -> Spot<'a> {
        Spot { table: self.root, span: 0..0, form: Form::Root }
    }

    /// Returns the spot of a value, if it is a table.
    pub fn spot(&self, value: &'a Value<'a>) -> Option<Spot<'a>> {
        let DeValue::Table(table) = value.get_ref() else { return None };
        let span = value.span();
        let form = match self.text.as_bytes().get(span.start) {
            Some(b'[') => Form::Header,
            Some(b'{') => Form::Inline,
            _ if self.line(span.start).trim_start().starts_with('[') => Form::Implied,
            _ => Form::Dotted,
        };
        Some(Spot { table, span, form })
    }

    /// Returns the table at `path`.
    pub fn locate(&self, path: &[&str]) -> Option<Spot<'a>> {
        path.iter().try_fold(self.top(), |spot, name| self.spot(spot.table.get(*name)?))
    }

    /// Returns whether a value is written under headers: a table with one, or
    /// an array of tables with one each.
    pub fn is_headed(&self, value: &'a Value<'a>) -> bool {
        match value.get_ref() {
            DeValue::Table(_) => self.spot(value).is_some_and(|spot| spot.form == Form::Header),
            DeValue::Array(items) => {
                items.iter().next().is_some_and(|first| first.get_ref().is_table() && self.is_headed(first))
            }
            _ => false,
        }
    }

    /// Returns the values of the array at a headed array of tables.
    pub fn items(value: &'a Value<'a>) -> &'a [Value<'a>] {
        value.get_ref().as_array().map_or(&[], |items| items)
    }

    /// Returns the key and the value at `path`.
    pub fn entry(&self, path: &[&str]) -> Option<(Range<usize>, &'a Value<'a>)> {
        let (name, parents) = path.split_last()?;
        let (key, value) = self.locate(parents)?.table.get_key_value(*name)?;
        Some((key.span(), value))
    }

    /// Returns what stands in the body of a table, dotted keys unfolded, in
    /// the order of the text.
    pub fn body(&self, table: &'a DeTable<'a>) -> Vec<Pair<'a>> {
        let mut found = Vec::new();
        self.collect_body(table, &[], &mut found);
        found.sort_unstable_by_key(|pair| pair.key.start);
        found
    }

    fn collect_body(&self, table: &'a DeTable<'a>, path: &[&'a str], into: &mut Vec<Pair<'a>>) {
        for (key, value) in table {
            let names = [path, &[&**key.get_ref()]].concat();
            match self.spot(value).map(|spot| (spot.form, spot.table)) {
                Some((Form::Dotted, table)) => self.collect_body(table, &names, into),
                Some((Form::Header | Form::Implied | Form::Root, _)) => {}
                None if self.is_headed(value) => {}
                Some((Form::Inline, _)) | None => into.push(Pair { names, key: key.span(), value }),
            }
        }
    }

    /// Returns what stands in braces, and where.
    pub fn pairs(&self, spot: &Spot<'a>) -> Vec<(Range<usize>, Pair<'a>)> {
        let mut end = spot.span.start + 1;
        let place = |pair: Pair<'a>| {
            let start = end + self.text[end..].len() - beyond(&self.text[end..]).len();
            end = pair.value.span().end;
            (start..end, pair)
        };
        self.body(spot.table).into_iter().map(place).collect()
    }

    /// Returns every header in and below a value, and the names that lead
    /// there from it.
    pub fn headers(&self, value: &'a Value<'a>) -> Vec<(Vec<&'a str>, Spot<'a>)> {
        let mut found = Vec::new();
        self.collect_headers(value, &[], &mut found);
        found.sort_unstable_by_key(|(_, spot)| spot.span.start);
        found
    }

    fn collect_headers(
        &self,
        value: &'a Value<'a>,
        path: &[&'a str],
        into: &mut Vec<(Vec<&'a str>, Spot<'a>)>,
    ) {
        if let Some(spot) = self.spot(value) {
            let (form, table) = (spot.form, spot.table);
            if form == Form::Header {
                into.push((path.to_vec(), spot));
            }
            if form != Form::Inline {
                for (key, deeper) in table {
                    self.collect_headers(deeper, &[path, &[&**key.get_ref()]].concat(), into);
                }
            }
        } else if self.is_headed(value) {
            Self::items(value).iter().for_each(|item| self.collect_headers(item, path, into));
        }
    }

    /// Returns where the first header in or below some values begins, with the
    /// comment above it.
    pub fn first_header(&self, values: impl Iterator<Item = &'a Value<'a>>) -> Option<usize> {
        let starts = values.flat_map(|value| self.headers(value)).map(|(_, spot)| spot.span.start);
        starts.min().map(|first| self.lead(first))
    }

    /// Returns where the lines of a header's body end, comments that follow
    /// closely included.
    pub fn body_end(&self, spot: &Spot<'a>) -> usize {
        let last = self.body(spot.table).last().map_or(spot.span.end, |pair| pair.value.span().end);
        let body_end = self.line_end(last.max(spot.span.end));
        let mut end = body_end;
        while end < self.text.len() {
            let line = self.line(end).trim();
            if line.starts_with('[') {
                // These comments belong to the header below them.
                return body_end;
            }
            if !line.starts_with('#') {
                break;
            }
            end = self.line_end(end);
        }
        end
    }

    /// Returns where everything of a value that has headers ends.
    pub fn block_end(&self, value: &'a Value<'a>) -> Option<usize> {
        self.headers(value).last().map(|(_, last)| self.body_end(last))
    }

    /// Returns where the comment right above a header begins. The comment the
    /// file opens with is nobody's.
    pub fn lead(&self, header: usize) -> usize {
        let own = self.line_start(header);
        let mut start = own;
        while start > 0 {
            let above = self.line_start(start - 1);
            if !self.line(above).trim_start().starts_with('#') {
                return start;
            }
            start = above;
        }
        own
    }

    /// Returns the lines of a header and its body with the comment above and
    /// the blank lines below.
    pub fn segment(&self, spot: &Spot<'a>) -> Range<usize> {
        let mut end = self.body_end(spot);
        while end < self.text.len() && self.line(end).trim().is_empty() {
            end = self.line_end(end);
        }
        self.lead(spot.span.start)..end
    }

    pub fn line_start(&self, offset: usize) -> usize {
        self.text[..offset].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Returns the offset behind the newline that ends the line of `offset`.
    pub fn line_end(&self, offset: usize) -> usize {
        self.text[offset..].find('\n').map_or(self.text.len(), |at| offset + at + 1)
    }

    pub fn line(&self, offset: usize) -> &'a str {
        &self.text[self.line_start(offset)..self.line_end(offset)]
    }
}

/// Returns a text without the blanks, commas and comments it begins with.
fn beyond(text: &str) -> &str {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    match text.strip_prefix('#').map(|comment| comment.split_once('\n')) {
        Some(comment) => beyond(comment.map_or("", |(_, rest)| rest)),
        None => text,
    }
}
