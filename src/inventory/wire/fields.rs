//! Reads single fields of a parsed table.

use std::ops::Range;

use jiff::Timestamp;
use toml::de::{DeTable, DeValue};

use super::Value;
use super::fail::{Fail, KEY_REF, found, one_of, shown_name, wrong, wrong_text};
use crate::clock;
use crate::key::shape::holds_key;
use crate::key::text::first_hidden;
use crate::key::{Domain, Fingerprint, KeyRef, Scope};

/// The names that lead to a table. Put into words only for an error, since ten
/// thousand records are read without one.
#[derive(Clone, Copy, Default)]
struct Path<'a> {
    names: [&'a str; 5],
    depth: usize,
}

impl<'a> Path<'a> {
    /// The file is never deeper; a name more would be left out of a message.
    fn join(mut self, name: &'a str) -> Self {
        if let Some(free) = self.names.get_mut(self.depth) {
            *free = name;
            self.depth += 1;
        }
        self
    }

    fn words(&self) -> String {
        self.names[..self.depth].iter().map(|name| shown_name(name)).collect::<Vec<_>>().join(".")
    }
}

/// A table of the file, the way to it, and where it stands.
pub struct Section<'a> {
    path: Path<'a>,
    pub span: Range<usize>,
    pub table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// Returns the whole file.
    pub fn top(table: &'a DeTable<'a>) -> Self {
        Self { path: Path::default(), span: 0..0, table }
    }

    pub fn place_of(&self, field: &str) -> String {
        let place = self.path.words();
        if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") }
    }

    fn value(&self, field: &str) -> Option<&'a Value<'a>> {
        self.table.get(field)
    }

    fn wrong(&self, field: &str, value: &Value<'_>, expected: &str) -> Fail {
        let place = self.place_of(field);
        match value.get_ref() {
            DeValue::String(text) => wrong_text(&place, text, expected, value.span()),
            other => wrong(&place, &found(other), expected, value.span()),
        }
    }

    /// Returns the fail for a required field that is not there.
    pub fn lacks(&self, field: &str, expected: &str) -> Fail {
        let message = format!("`{}` has no `{field}`; expected {expected}", self.path.words());
        Fail { span: self.span.clone(), message, hint: None }
    }

    /// Reads a field with `convert`, which answers `None` for anything else
    /// than `expected`.
    pub fn parsed<T>(
        &self,
        field: &str,
        expected: &str,
        convert: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, Fail> {
        self.parsed_else(field, || expected.to_owned(), convert)
    }

    fn parsed_else<T>(
        &self,
        field: &str,
        expected: impl FnOnce() -> String,
        convert: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, Fail> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let text = match value.get_ref() {
            DeValue::String(text) => Some(&**text),
            _ => None,
        };
        text.and_then(convert).map(Some).ok_or_else(|| self.wrong(field, value, &expected()))
    }

    /// Like [`Self::parsed`], for a field that must be there.
    pub fn required<T>(
        &self,
        field: &str,
        expected: impl Fn() -> String,
        convert: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, Fail> {
        self.parsed_else(field, &expected, convert)?.ok_or_else(|| self.lacks(field, &expected()))
    }

    pub fn text(&self, field: &str) -> Result<Option<String>, Fail> {
        self.parsed(field, "a text in quotes", |text| Some(text.to_owned()))
    }

    /// Reads a text that is shown on one line: no control characters, not empty.
    pub fn line(&self, field: &str) -> Result<Option<String>, Fail> {
        self.parsed(field, "a text on one line, not empty", |text| one_line(text).then(|| text.to_owned()))
    }

    /// Reads a line that people act on: it has to be what is seen of it.
    pub fn seen_line(&self, field: &str) -> Result<Option<String>, Fail> {
        self.value(field).map_or(Ok(()), |value| self.is_seen(field, None, value))?;
        self.line(field)
    }

    /// Reads an array of texts that are run: each has to be what is seen of it.
    pub fn seen_texts(&self, field: &str) -> Result<Vec<String>, Fail> {
        let texts = self.texts(field)?;
        let items = self.value(field).and_then(|value| value.get_ref().as_array());
        for (n, item) in items.into_iter().flatten().enumerate() {
            self.is_seen(field, Some(n + 1), item)?;
        }
        Ok(texts)
    }

    /// Refuses a text with a character that cannot be seen for what it is, at
    /// that character where it stands in the file as it is.
    fn is_seen(&self, field: &str, argument: Option<usize>, value: &Value<'_>) -> Result<(), Fail> {
        let text = value.get_ref().as_str().unwrap_or_default();
        let Some((at, named)) = first_hidden(text) else { return Ok(()) };
        let before = text.chars().take(at - 1).map(char::len_utf8).sum::<usize>();
        let mut span = value.span();
        // Between two quotes and without escapes.
        if span.len() == text.len() + 2 {
            span.start += 1 + before;
        }
        let argument = argument.map(|n| format!("argument {n} of ")).unwrap_or_default();
        let message = format!("{argument}`{}` has {named}, as character {at}", self.place_of(field));
        let hint = "take that character out: what is run or opened has to be what is seen; a command that needs it \
                    can be a script";
        Err(Fail { span, message, hint: Some(hint.to_owned()) })
    }

    /// Reads the name of a store: a line. Which there are is known elsewhere, but a
    /// key that was pasted here must not be shown in lists.
    pub fn store(&self, field: &str) -> Result<Option<String>, Fail> {
        self.parsed(field, "a text on one line, not empty", |text| {
            (one_line(text) && !holds_key(text)).then(|| text.to_owned())
        })
    }

    pub fn domain(&self, field: &str) -> Result<Option<Domain>, Fail> {
        self.parsed(field, "a domain name such as `mg.acme.example`", |text| Domain::parse(text).ok())
    }

    pub fn scope(&self, field: &str) -> Result<Option<Scope>, Fail> {
        self.parsed(field, "a scope: AGENCY or AGENCY/LOCATION", |text| text.parse().ok())
    }

    pub fn key_ref(&self, field: &str) -> Result<Option<KeyRef>, Fail> {
        self.parsed(field, KEY_REF, |text| text.parse().ok())
    }

    pub fn fingerprint(&self, field: &str) -> Result<Option<Fingerprint>, Fail> {
        self.parsed(field, "12 hex digits in lower case", Fingerprint::parse)
    }

    pub fn word<T: std::str::FromStr>(&self, field: &str, known: &[&str]) -> Result<Option<T>, Fail> {
        self.parsed_else(field, || one_of(known), |text| text.parse().ok())
    }

    /// Reads a moment: a string or a TOML date-time; a date alone is midnight UTC.
    pub fn date(&self, field: &str) -> Result<Option<Timestamp>, Fail> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let read = match value.get_ref() {
            DeValue::String(text) => clock::date(text).ok(),
            DeValue::Datetime(at) => clock::date(&at.to_string()).ok(),
            _ => None,
        };
        read.map(Some).ok_or_else(|| self.wrong(field, value, DATE))
    }

    pub fn flag(&self, field: &str) -> Result<bool, Fail> {
        match self.value(field).map(|it| (it, it.get_ref())) {
            None => Ok(false),
            Some((_, DeValue::Boolean(flag))) => Ok(*flag),
            Some((value, _)) => Err(self.wrong(field, value, "`true` or `false`")),
        }
    }

    /// Reads a whole number between `least` and `u32::MAX`.
    pub fn number(&self, field: &str, least: u32) -> Result<Option<u32>, Fail> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let read = integer(value).and_then(|it| u32::try_from(it).ok()).filter(|it| *it >= least);
        read.map(Some)
            .ok_or_else(|| self.wrong(field, value, &format!("a whole number from {least} to {}", u32::MAX)))
    }

    /// Reads a length of time in seconds: a number, or as typed (`24h`).
    pub fn duration(&self, field: &str) -> Result<Option<i64>, Fail> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let read = match value.get_ref() {
            DeValue::String(text) => text.parse::<clock::Span>().ok().map(|span| span.seconds),
            _ => integer(value).filter(|seconds| *seconds >= 0),
        };
        read.map(Some).ok_or_else(|| self.wrong(field, value, "a duration such as `24h`, or seconds"))
    }

    pub fn texts(&self, field: &str) -> Result<Vec<String>, Fail> {
        self.list(field, "an array of texts", |text| Some(text.to_owned()))
    }

    /// Reads an array of strings, each with `convert`.
    pub fn list<T>(
        &self,
        field: &str,
        expected: &str,
        convert: impl Fn(&'a str) -> Option<T>,
    ) -> Result<Vec<T>, Fail> {
        let Some(value) = self.value(field) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong(field, value, expected));
        };
        let read = |item: &'a Value<'a>| {
            let text = match item.get_ref() {
                DeValue::String(text) => Some(&**text),
                _ => None,
            };
            text.and_then(&convert).ok_or_else(|| self.wrong(field, item, expected))
        };
        items.iter().map(read).collect()
    }

    /// Returns a table within this one.
    pub fn section(&self, field: &'a str) -> Result<Option<Section<'a>>, Fail> {
        let Some(value) = self.value(field) else { return Ok(None) };
        self.within(field, value).map(Some)
    }

    /// Returns the tables within a table within this one, by name.
    pub fn sections(&self, field: &'a str) -> Result<Vec<(&'a str, Section<'a>)>, Fail> {
        let Some(held) = self.section(field)? else { return Ok(Vec::new()) };
        let mut all = Vec::with_capacity(held.table.len());
        for (name, value) in held.table {
            let name_text: &'a str = name.get_ref();
            let mut section = held.within(name_text, value)?;
            section.span = name.span();
            all.push((name_text, section));
        }
        Ok(all)
    }

    /// Returns the tables of an array of tables, however it is written.
    pub fn items(&self, field: &'a str) -> Result<Vec<Section<'a>>, Fail> {
        let Some(value) = self.value(field) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong(field, value, "an array of tables"));
        };
        items.iter().map(|item| self.within(field, item)).collect()
    }

    fn within(&self, name: &'a str, value: &'a Value<'a>) -> Result<Section<'a>, Fail> {
        let path = self.path.join(name);
        match value.get_ref() {
            DeValue::Table(table) => Ok(Section { path, span: value.span(), table }),
            DeValue::String(text) => Err(wrong_text(&path.words(), text, "a table", value.span())),
            other => Err(wrong(&path.words(), &found(other), "a table", value.span())),
        }
    }
}

const DATE: &str = "a date: `2026-11-22` or `2026-11-22T08:00:00Z`";

/// Returns whether a text may stand on one line of a listing.
pub fn one_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

fn integer(value: &Value<'_>) -> Option<i64> {
    match value.get_ref() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}
