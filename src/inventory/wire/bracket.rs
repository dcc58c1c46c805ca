//! What is written between brackets, an array or a table in braces, with other
//! items in it. On several lines each item keeps its line and its comments.

use std::ops::Range;

use super::layout::Layout;

/// A bracketed list in the text.
pub struct Bracket<'a> {
    pub layout: Layout<'a>,
    /// From the opening bracket to behind the closing one.
    pub span: Range<usize>,
    /// Each item, in the order of the text.
    pub items: Vec<Range<usize>>,
}

impl Bracket<'_> {
    /// Returns the text with these items instead: each says which of the old
    /// ones it is, if any, and its text. `airy`: where nothing is yet, items
    /// get a line each and a blank line between.
    pub fn with(&self, items: &[(Option<usize>, String)], airy: bool) -> String {
        if self.items.is_empty() && airy {
            let lines: Vec<String> = items.iter().map(|(_, it)| format!("    {it},\n")).collect();
            return format!("[\n{}]", lines.join("\n"));
        }
        if !self.items.is_empty() && (0..=self.items.len()).any(|at| self.gap(at).contains('\n')) {
            return self.on_lines(items, airy);
        }
        let inner = items.iter().map(|(_, it)| it.as_str()).collect::<Vec<_>>().join(", ");
        match self.layout.text.as_bytes().get(self.span.start) {
            Some(b'{') if inner.is_empty() => "{}".to_owned(),
            Some(b'{') => format!("{{ {inner} }}"),
            _ => format!("[{inner}]"),
        }
    }

    /// Returns what stands before an item, behind the one before it.
    fn gap(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(self.span.start + 1, |before| self.items[before].end);
        &self.layout.text[start..self.items.get(at).map_or(self.span.end - 1, |item| item.start)]
    }

    /// Returns the rest of the line behind an item (its comma, a comment), and
    /// the lines between it and the next item.
    fn behind(&self, at: usize) -> (&str, &str) {
        self.gap(at + 1).split_once('\n').unwrap_or((self.gap(at + 1), ""))
    }

    fn on_lines(&self, items: &[(Option<usize>, String)], airy: bool) -> String {
        let (head, first) = self.gap(0).split_once('\n').unwrap_or_default();
        let above = |at: usize| at.checked_sub(1).map_or(first, |before| self.behind(before).1);
        let indent = first.rsplit('\n').next().filter(|it| !it.is_empty()).unwrap_or("    ");
        let airy = if self.items.len() > 1 { self.gap(1).matches('\n').count() > 1 } else { airy };
        let mut out =
            format!("{}{}\n", &self.layout.text[self.span.start..=self.span.start], head.trim_end());
        for (at, (from, item)) in items.iter().enumerate() {
            let lines = from.map_or("", above).rsplit_once('\n').map_or("", |(lines, _)| lines);
            let lines = if at == 0 { lines.trim_start_matches(['\n', '\r']) } else { lines };
            if airy && at > 0 && lines.lines().next().is_none_or(|line| !line.trim().is_empty()) {
                out.push('\n');
            }
            lines.lines().for_each(|line| out.push_str(&format!("{}\n", line.trim_end())));
            let rest = from.map_or(",", |from| self.behind(from).0.trim_end());
            let bare = !rest.split('#').next().unwrap_or_default().contains(',');
            let comma = if bare && at + 1 < items.len() { "," } else { "" };
            out.push_str(&format!("{indent}{item}{comma}{rest}\n"));
        }
        let end = self.behind(self.items.len() - 1).1.trim_start_matches(['\n', '\r']);
        format!("{out}{end}{}", &self.layout.text[self.span.end - 1..self.span.end])
    }
}
