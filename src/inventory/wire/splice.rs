//! Changes to a text, collected while reading it and applied at once. What no
//! splice covers stays byte for byte.

use std::ops::Range;

/// Replacements of byte ranges, in the order they were asked for.
#[derive(Debug, Default)]
pub struct Splices(Vec<(Range<usize>, Order, String)>);

/// What comes first of several at one offset. A line that ends a table's body
/// must stand before the next table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Insert,
    Block,
    Replace,
}

impl Splices {
    pub fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, Order::Replace, text.into()));
    }

    /// Inserts before what stands at `offset`; several inserts at one offset
    /// stay in the order they were asked for.
    pub fn insert(&mut self, offset: usize, text: impl Into<String>) {
        self.0.push((offset..offset, Order::Insert, text.into()));
    }

    /// Inserts a table with its header, behind the lines inserted there.
    pub fn insert_block(&mut self, offset: usize, text: impl Into<String>) {
        self.0.push((offset..offset, Order::Block, text.into()));
    }

    pub fn delete(&mut self, range: Range<usize>) {
        self.replace(range, String::new());
    }

    /// Returns the changed text. New lines end as the first line of the text
    /// does; what is appended begins on a line of its own.
    pub fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(range, order, _)| (range.start, *order));
        let added: usize = self.0.iter().map(|(_, _, new)| new.len()).sum();
        let mut out = String::with_capacity(text.len() + added + 64);
        let newline = newline_of(text);
        let mut done = 0;
        for (range, _, new) in self.0 {
            if range.start >= done {
                out.push_str(&text[done..range.start]);
            } else if !range.is_empty() {
                // A change of what is deleted anyway.
                done = done.max(range.end);
                continue;
            }
            if range.end == text.len() && new.is_empty() {
                // Nor does what is deleted leave blank lines at the end.
                out.truncate(out.trim_end_matches(['\n', '\r']).len());
                out.push_str(if out.is_empty() { "" } else { newline });
            }
            done = done.max(range.end);
            if range.start == text.len() && !out.is_empty() && !out.ends_with('\n') {
                out.push_str(newline);
            }
            let new = new.replace("\r\n", "\n");
            if newline == "\n" { out.push_str(&new) } else { out.push_str(&new.replace('\n', newline)) }
        }
        out.push_str(&text[done..]);
        out
    }
}

fn newline_of(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_stand_before_what_is_replaced_and_overlaps_are_deleted_once() {
        let mut splices = Splices::default();
        splices.delete(2..4);
        splices.insert(2, "x");
        splices.insert(2, "y");
        splices.delete(3..5);
        assert_eq!(splices.apply("abcdefg"), "abxyfg");
    }

    #[test]
    fn new_lines_end_like_the_others() {
        let mut splices = Splices::default();
        splices.insert(8, "c = 3\n");
        assert_eq!(splices.apply("a\r\nb = 2"), "a\r\nb = 2\r\nc = 3\r\n");
    }
}
