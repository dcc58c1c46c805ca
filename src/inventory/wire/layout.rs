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

    /// Returns what stands in the body of a table, dotted keys unfolded, in
    /// the order of the text: the span of the last key and the value.
    pub fn body(&self, table: &'a DeTable<'a>) -> Vec<(Range<usize>, &'a Value<'a>)> {
        let mut found = Vec::new();
        self.collect_body(table, &mut found);
        found.sort_unstable_by_key(|(key, _)| key.start);
        found
    }

    fn collect_body(&self, table: &'a DeTable<'a>, into: &mut Vec<(Range<usize>, &'a Value<'a>)>) {
        for (key, value) in table {
            match self.spot(value).map(|spot| (spot.form, spot)) {
                Some((Form::Dotted, spot)) => self.collect_body(spot.table, into),
                Some((Form::Header | Form::Implied | Form::Root, _)) => {}
                Some((Form::Inline, _)) => into.push((key.span(), value)),
                None if self.is_headed(value) => {}
                None => into.push((key.span(), value)),
            }
        }
    }

    /// Returns the spans of every header in and below a value.
    pub fn headers(&self, value: &'a Value<'a>) -> Vec<Spot<'a>> {
        let mut found = Vec::new();
        self.collect_headers(value, &mut found);
        found.sort_unstable_by_key(|spot| spot.span.start);
        found
    }

    fn collect_headers(&self, value: &'a Value<'a>, into: &mut Vec<Spot<'a>>) {
        if let Some(spot) = self.spot(value) {
            let (form, table) = (spot.form, spot.table);
            if form == Form::Header {
                into.push(spot);
            }
            if form != Form::Inline {
                table.iter().for_each(|(_, deeper)| self.collect_headers(deeper, into));
            }
        } else if self.is_headed(value) {
            Self::items(value).iter().for_each(|item| self.collect_headers(item, into));
        }
    }

    /// Returns where the lines of a header's body end, comments that follow
    /// closely included.
    pub fn body_end(&self, spot: &Spot<'a>) -> usize {
        let last = self.body(spot.table).last().map_or(spot.span.end, |(_, value)| value.span().end);
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
        self.headers(value).last().map(|last| self.body_end(last))
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

    /// Returns `offset` moved up over blank lines.
    pub fn above_blank_lines(&self, mut offset: usize) -> usize {
        while offset > 0 {
            let above = self.line_start(offset - 1);
            if !self.text[above..offset].trim().is_empty() {
                break;
            }
            offset = above;
        }
        offset
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

    /// Returns where the path of a key begins: it may be dotted.
    pub fn path_start(&self, key: usize) -> usize {
        let before = self.text[..key].rfind(['\n', '{', ',']).map_or(0, |at| at + 1);
        key - self.text[before..key].trim_start().len()
    }

    /// Returns the bytes of the name at `depth` in a header: in
    /// `[key."a@b".consumer]`, depth 1 is `"a@b"`.
    pub fn header_name(&self, header: &Range<usize>, depth: usize) -> Option<Range<usize>> {
        let text = &self.text[header.clone()];
        let inner = text.len() - text.trim_start_matches('[').len();
        let (mut start, mut quote, mut at_depth) = (inner, None, 0);
        let mut escaped = false;
        for (at, c) in text.char_indices().skip(inner) {
            match quote {
                Some('"') if escaped => escaped = false,
                Some('"') if c == '\\' => escaped = true,
                Some(open) if c == open => quote = None,
                Some(_) => {}
                None if c == '"' || c == '\'' => quote = Some(c),
                None if c == '.' || c == ']' => {
                    if at_depth == depth {
                        let name = &text[start..at];
                        let begin = start + (name.len() - name.trim_start().len());
                        return Some(header.start + begin..header.start + begin + name.trim().len());
                    }
                    at_depth += 1;
                    start = at + 1;
                }
                None => {}
            }
        }
        None
    }
}
