//! Takes items out of, and puts items into, what is written between brackets:
//! the elements of an array, the fields of an inline table. Items that stand
//! on lines of their own keep doing so.

use std::ops::Range;

use super::layout::Layout;
use super::splice::Splices;

/// A bracketed list in the text.
pub struct Sequence<'a> {
    pub layout: Layout<'a>,
    /// From the opening bracket to behind the closing one.
    pub span: Range<usize>,
    /// Each item, in the order of the text.
    pub items: Vec<Range<usize>>,
    /// Whether items on lines of their own have a blank line between them.
    pub airy: bool,
}

/// What to do with it.
#[derive(Default)]
pub struct Changes {
    /// By index of the item.
    pub removed: Vec<usize>,
    /// The item to stand behind (`None`: the first place), and the text.
    pub added: Vec<(Option<usize>, String)>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

impl Sequence<'_> {
    pub fn change(&self, changes: &Changes, out: &mut Splices) {
        if changes.is_empty() {
            return;
        }
        let kept: Vec<bool> = (0..self.items.len()).map(|at| !changes.removed.contains(&at)).collect();
        if self.items.is_empty() {
            let added: Vec<&str> = changes.added.iter().map(|(_, text)| text.as_str()).collect();
            self.fill(&added, out);
        } else if self.on_lines() {
            self.change_lines(changes, &kept, out);
        } else {
            self.change_within_line(changes, &kept, out);
        }
    }

    /// Writes the first items of an empty list.
    fn fill(&self, added: &[&str], out: &mut Splices) {
        let (open, close) = match self.layout.text.as_bytes().get(self.span.start) {
            Some(b'{') => ("{ ", " }"),
            _ => ("[", "]"),
        };
        let text = if self.airy {
            let lines: Vec<String> = added.iter().map(|it| format!("    {it},\n")).collect();
            format!("[\n{}]", lines.join("\n"))
        } else {
            format!("{open}{}{close}", added.join(", "))
        };
        out.replace(self.span.clone(), text);
    }

    fn on_lines(&self) -> bool {
        let text = self.layout.text;
        self.items.iter().all(|item| {
            let before = &text[self.layout.line_start(item.start)..item.start];
            let after = text[item.end..self.layout.line_end(item.end)].trim_start();
            let after = after.strip_prefix(',').unwrap_or(after).trim_start();
            before.trim().is_empty() && (after.is_empty() || after.starts_with('#'))
        })
    }

    fn change_lines(&self, changes: &Changes, kept: &[bool], out: &mut Splices) {
        let (layout, text) = (self.layout, self.layout.text);
        for at in (0..kept.len()).filter(|at| !kept[*at]) {
            let item = &self.items[at];
            let mut lines = layout.line_start(item.start)..layout.line_end(item.end);
            let blank = |at: usize| at < self.span.end && layout.line(at).trim().is_empty();
            if blank(lines.end) {
                lines.end = layout.line_end(lines.end);
            } else if lines.start > 0 && blank(lines.start - 1) && lines.start - 1 > self.span.start {
                lines.start = layout.line_start(lines.start - 1);
            }
            out.delete(lines);
        }
        let indent = &text[layout.line_start(self.items[0].start)..self.items[0].start];
        let airy = match self.items.as_slice() {
            [one, two, ..] => text[one.end..two.start].matches('\n').count() > 1,
            _ => self.airy,
        };
        let mut with_comma = None;
        for (behind, new) in &changes.added {
            match behind.and_then(|at| (0..=at).rev().find(|at| kept[*at])) {
                Some(at) => {
                    if with_comma != Some(at) {
                        self.ensure_comma(at, out);
                        with_comma = Some(at);
                    }
                    let gap = if airy { "\n" } else { "" };
                    out.insert(layout.line_end(self.items[at].end), format!("{gap}{indent}{new},\n"));
                }
                None => {
                    let gap = if airy && kept.contains(&true) { "\n" } else { "" };
                    out.insert(layout.line_start(self.items[0].start), format!("{indent}{new},\n{gap}"));
                }
            }
        }
    }

    /// Only the last item may lack its comma.
    fn ensure_comma(&self, at: usize, out: &mut Splices) {
        let behind = &self.layout.text[self.items[at].end..self.span.end];
        let has_comma = behind
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .find(|line| !line.is_empty())
            .is_some_and(|line| line.starts_with(','));
        if !has_comma {
            out.insert(self.items[at].end, ",");
        }
    }

    fn change_within_line(&self, changes: &Changes, kept: &[bool], out: &mut Splices) {
        let (first, last) = (&self.items[0], &self.items[self.items.len() - 1]);
        let Some(first_kept) = kept.iter().position(|kept| *kept) else {
            let added: Vec<&str> = changes.added.iter().map(|(_, text)| text.as_str()).collect();
            // Behind the last item there may be a comma, which needs an item.
            let inner = first.start..self.span.end - 1;
            let padding = if self.layout.text[last.end..inner.end].ends_with(' ') { " " } else { "" };
            out.replace(inner, format!("{}{padding}", added.join(", ")));
            return;
        };
        if first_kept > 0 {
            out.delete(first.start..self.items[first_kept].start);
        }
        for at in (first_kept + 1..kept.len()).filter(|at| !kept[*at]) {
            out.delete(self.items[at - 1].end..self.items[at].end);
        }
        for (behind, new) in &changes.added {
            match behind.and_then(|at| (0..=at).rev().find(|at| kept[*at])) {
                Some(at) => out.insert(self.items[at].end, format!(", {new}")),
                None => out.insert(self.items[first_kept].start, format!("{new}, ")),
            }
        }
    }
}
