//! Locations from a CSV file. A row may hold anything, so that only its line
//! number is shown.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Args, Listing, Source};
use crate::exit::Situation;
use crate::key::shape::shown;
use crate::key::text::printable;
use crate::provider::RemoteLocation;

/// Reads the locations of a file, each once.
///
/// # Errors
/// Exit 2 for a file that cannot be read as meant: what is left out by mistake
/// would look as if it were not there. Exit 4 for one without locations.
pub fn read(path: &Path, args: &Args) -> Result<Listing, Situation> {
    let file = path.display();
    let bytes =
        std::fs::read(path).map_err(|error| Situation::usage(format!("cannot read `{file}`: {error}")))?;
    if let Some(line) = unclosed_quote(&bytes) {
        return Err(Situation::usage(format!("the quote that opens in line {line} of `{file}` has no end"))
            .hint("all lines after it would be one cell; close it, nothing was changed"));
    }
    let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(bytes.as_slice());
    let headings = reader
        .headers()
        .map_err(|error| Situation::usage(format!("`{file}` is no CSV file: {error}")))?
        .clone();
    let column = |wanted: &Option<String>| {
        let wanted = wanted.as_deref().unwrap_or_default();
        headings.iter().position(|it| it.trim() == wanted).ok_or_else(|| {
            let known = headings
                .iter()
                .map(|it| format!("`{}`", shown(it.trim(), 40)))
                .collect::<Vec<_>>()
                .join(", ");
            Situation::usage(format!("`{file}` has no column `{}`", printable(wanted, 40)))
                .hint(format!("its columns are: {known}"))
        })
    };
    let (id, name) = (column(&args.id_column)?, column(&args.name_column)?);
    let mut found: BTreeMap<String, RemoteLocation> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(|error| {
            let line = error.position().map_or(0, ::csv::Position::line);
            Situation::usage(format!("line {line} of `{file}` cannot be read"))
        })?;
        if row.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let place = format!("line {} of `{file}`", row.position().map_or(0, |at| line_of(&bytes, at)));
        if row.len() != headings.len() {
            let (cells, columns) = (row.len(), headings.len());
            return Err(Situation::usage(format!("{place} has {cells} cells, the heading line {columns}"))
                .hint("put a cell with a comma in it into quotes; nothing was changed"));
        }
        let location = RemoteLocation {
            id: location_id(row.get(id).unwrap_or_default(), &place)?,
            name: row.get(name).unwrap_or_default().trim().to_owned(),
            company_id: None,
        };
        let name = location.name.clone();
        if let Some(before) = found.insert(location.id.clone(), location).filter(|it| it.name != name) {
            return Err(Situation::usage(format!(
                "{place} has a location id that an earlier line has, with another name than `{}`",
                printable(&before.name, 40)
            ))
            .hint("keep one of the two lines; nothing was changed"));
        }
    }
    Listing::new(Source::File, found.into_values().collect(), &format!("`{file}`"))
}

/// Returns the line, from 1, in which a row begins. The reader's own count is
/// that of the empty lines before it.
fn line_of(bytes: &[u8], at: &::csv::Position) -> usize {
    let begin = usize::try_from(at.byte()).unwrap_or(bytes.len()).min(bytes.len());
    let blank = bytes[begin..].iter().take_while(|it| matches!(it, b'\n' | b'\r')).count();
    1 + bytes[..begin + blank].iter().filter(|it| **it == b'\n').count()
}

/// Reads the cell with the id.
fn location_id(cell: &str, place: &str) -> Result<String, Situation> {
    let id = cell.trim();
    if id.is_empty() {
        return Err(Situation::usage(format!("{place} has no location id"))
            .hint("fill it in, or take the line out; nothing was changed"));
    }
    if is_rounded_number(id) {
        return Err(Situation::usage(format!(
            "{place} has a location id that a spreadsheet rounded to a number: `{}`",
            printable(id, 40)
        ))
        .hint("export the file again with that column as text; nothing was changed"));
    }
    Ok(id.to_owned())
}

/// `1.23E+19`: what spreadsheets make of a long row of digits.
fn is_rounded_number(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let whole_or_decimal = match mantissa.split_once(['.', ',']) {
        Some((whole, decimals)) => digits(whole) && digits(decimals),
        None => digits(mantissa),
    };
    let sign = exponent.strip_prefix('+').or_else(|| exponent.strip_prefix('-'));
    whole_or_decimal && sign.is_some_and(digits)
}

/// Returns the line, from 1, in which a quote opens that has no end: the rest
/// of the file would be one cell.
fn unclosed_quote(bytes: &[u8]) -> Option<usize> {
    let (mut line, mut opened, mut at_start) = (1, None, true);
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        line += usize::from(byte == b'\n');
        match (opened, byte) {
            (None, b'"') if at_start => opened = Some(line),
            (Some(_), b'"') if rest.peek() == Some(&b'"') => drop(rest.next()),
            (Some(_), b'"') => opened = None,
            _ => {}
        }
        at_start = opened.is_none() && matches!(byte, b',' | b'\n' | b'\r');
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_without_its_end_is_found_where_it_opens() {
        assert_eq!(unclosed_quote(b"id,name\nL1,\"a\"\nL2,\"b\nL3,c\n"), Some(3));
        assert_eq!(unclosed_quote(b"\"id\",name\nL1,\"a \"\"b\"\" c\nd\"\n"), None);
        assert_eq!(unclosed_quote(b"id,name\nL1,5\" pipe\n"), None, "not at the start of a cell");
        assert_eq!(unclosed_quote(b"id,name\nL1,\"a\"\""), Some(2));
        assert_eq!(unclosed_quote(b""), None);
    }

    #[test]
    fn a_number_that_a_spreadsheet_rounded_is_no_id() {
        for rounded in ["1.23E+19", "1,23e+19", "4E+21", "1.5E-7"] {
            assert!(is_rounded_number(rounded), "{rounded}");
        }
        for id in ["ve9EPM428h8vShlRW1KT", "123", "12E45", "E+19", "1.E+1", "1.23"] {
            assert!(!is_rounded_number(id), "{id}");
        }
    }
}
