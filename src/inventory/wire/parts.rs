//! Reads a long file part by part, so that the parser's tree of ten thousand
//! records, twenty times their text, never stands whole. Only what is sure to
//! say the same as the whole file is read so; all else, and every error, is
//! left to the reading of the whole.

use std::collections::{BTreeSet, HashSet};
use std::iter;
use std::ops::Range;

use toml::de::DeTable;

use super::{named, read};
use crate::inventory::{Inventory, Keys};
use crate::key::{KeyRef, Name};

/// How many bytes a part has at least.
pub const SIZE: usize = 64 * 1024;

/// What stands before the name of a record, from the end of the line before.
const HEADER: &str = "\n[key.\"";

/// Returns what the text says; `None`: it must be read as a whole.
pub fn inventory(text: &str, size: usize) -> Option<Inventory> {
    let mut whole = Inventory::default();
    let mut records = Vec::new();
    let mut names = Names::default();
    each(text, size, |_, root| {
        let part = read::inventory(root).ok()?;
        records.extend(part.keys.into_iter().map(|(key, record)| (names.shared(key), record)));
        // A name at the top is in one part only, and so is what is read of it.
        whole.store = whole.store.take().or(part.store);
        whole.default_scope = whole.default_scope.take().or(part.default_scope);
        whole.agencies.extend(part.agencies);
        whole.rotations.extend(part.rotations);
        whole.waivers.extend(part.waivers);
        Some(())
    })?;
    let count = records.len();
    let ids: HashSet<&str> = records.iter().map(|(_, record)| record.id.as_str()).collect();
    let distinct = ids.len() == count;
    whole.keys = records.into_iter().collect::<Keys>();
    (distinct && whole.keys.len() == count).then_some(whole)
}

/// The names of the file, each kept once: many records have one agency.
#[derive(Default)]
struct Names(HashSet<Name>);

impl Names {
    fn shared(&mut self, mut key: KeyRef) -> KeyRef {
        let scope = &mut key.scope;
        for name in
            [Some(&mut scope.agency), scope.location.as_mut(), key.label.as_mut()].into_iter().flatten()
        {
            match self.0.get(name) {
                Some(same) => name.clone_from(same),
                None => drop(self.0.insert(name.clone())),
            }
        }
        key
    }
}

/// Returns each key and the byte at which it begins, in the order of the
/// file; `None`: the text must be read as a whole.
pub fn offsets(text: &str, size: usize) -> Option<Vec<(usize, KeyRef)>> {
    let mut offsets = Vec::new();
    each(text, size, |begin, root| {
        let found = named(root, "key").filter_map(|(name, span)| Some((span.start, name.parse().ok()?)));
        let mut found: Vec<(usize, KeyRef)> = found.collect();
        found.sort_unstable();
        offsets.extend(found.into_iter().map(|(at, key)| (begin + at, key)));
        Some(())
    })?;
    Some(offsets)
}

/// Shows each part with the byte it begins at. `None` when one is not TOML or
/// not sure to mean alone what it means in the file, or `visit` says so.
fn each(text: &str, size: usize, mut visit: impl FnMut(usize, &DeTable<'_>) -> Option<()>) -> Option<()> {
    let mut seen = BTreeSet::new();
    for range in ranges(text, size) {
        let part = text.get(range.clone())?;
        let root = DeTable::parse(part).ok()?.into_inner();
        for (name, value) in &root {
            let name: &str = name.get_ref();
            let clear = match name {
                // Records may be in many parts where nothing but their headers says `key`.
                "key" => is_name_in_header(part, &value.span()),
                _ => seen.insert(name.to_owned()),
            };
            if !clear {
                return None;
            }
        }
        visit(range.start, &root)?;
    }
    Some(())
}

/// The span of a table that headers lead through is its name there, that of
/// any other the whole header or value.
fn is_name_in_header(part: &str, span: &Range<usize>) -> bool {
    part.get(span.clone()) == Some("key") && part[..span.start].trim_end_matches([' ', '\t']).ends_with('[')
}

/// Cuts a text before headers of records. A line that looks like one may
/// stand inside of a longer string: then the part before it is not TOML, since
/// the string does not end there. So where all parts are, all cuts are right.
fn ranges(text: &str, size: usize) -> impl Iterator<Item = Range<usize>> {
    let mut begin = 0;
    iter::from_fn(move || {
        (begin < text.len()).then(|| {
            let end = next_record(text, begin + size).unwrap_or(text.len());
            std::mem::replace(&mut begin, end)..end
        })
    })
}

/// Returns where the first record after `from` begins. Its header has one
/// name after `key`: what is deeper belongs to the record before it.
fn next_record(text: &str, from: usize) -> Option<usize> {
    let from = text.len().min(from);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at))?;
    text[from..].match_indices(HEADER).map(|(at, _)| from + at + 1).find(|at| {
        let line = text[*at..].lines().next().unwrap_or_default();
        line.trim_end().ends_with("\"]") && line.matches('"').count() == 2
    })
}

#[cfg(test)]
mod tests {
    use super::super::{lines_at, parse};
    use super::*;

    /// Parts as small as they get.
    const TINY: usize = 1;

    const TEXT: &str = "version = 1\nstore = \"file\"\n\n[agency.acme]\nname = \"Acme\"\n\n\
        [agency.acme.location.berlin]\n\n\
        [key.\"mailgun@acme\"]\nid = \"kaaaa\"\nkind = \"account\"\n\n\
        [[key.\"mailgun@acme\".consumer]]\nname = \"shop\"\n\n\
        [key.\"mailgun@acme\".mine]\nx = 1\n\n\
        [key.\"brevo@acme\"]\nid = \"kbbbb\"\nkind = \"api\"\nnote = \"ü\"\n\n\
        [key.\"mailgun@acme/berlin\"]\nid = \"kcccc\"\nkind = \"account\"\n\n\
        [rotation.rdddd]\nkeys = [\"mailgun@acme\"]\nstage = \"deploying\"\nstarted = \"2026-11-22\"\n";

    #[test]
    fn parts_say_what_the_whole_says() {
        for text in [TEXT.to_owned(), TEXT.replace('\n', "\r\n")] {
            assert_eq!(ranges(&text, TINY).count(), 4);
            let whole = parse(&text).unwrap();
            for size in [TINY, 200, SIZE] {
                assert_eq!(inventory(&text, size).as_ref(), Some(&whole.inventory), "{size}");
                assert_eq!(lines_at(&text, offsets(&text, size).unwrap()), whole.lines(), "{size}");
            }
        }
    }

    #[test]
    fn what_only_the_whole_can_tell_is_left_to_it() {
        let text = TEXT;
        let record = "[key.\"mailgun@acme/paris\"]\nid = \"keeee\"\nkind = \"account\"\n";
        for (what, odd) in [
            ("a record twice", text.replace("/berlin\"]", "\"]")),
            ("an id twice", text.replace("kcccc", "kaaaa")),
            ("an agency in two parts", format!("{text}\n[agency.other]\n{record}[agency.last]\n")),
            ("a table around the records", format!("{text}[key]\n{record}")),
            ("another table around them", text.replace("[agency.acme]", "[key]\n[agency.acme]")),
            ("records in one value", text.replace("store =", "key = {}\nstore =")),
            (
                "a consumer away from its key",
                format!("{text}\n[[key.\"mailgun@acme\".consumer]]\nname = \"x\"\n"),
            ),
            ("a header in a string", format!("{text}\n[x]\ny = \"\"\"\n{record}{record}\"\"\"\n")),
            ("no record", format!("{text}\n{}", record.replace("kind", "kin"))),
        ] {
            assert_eq!(inventory(&odd, TINY), None, "{what}");
        }
    }
}
