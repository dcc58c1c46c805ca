//! What a person reads: lines and tables, laid out to a width, with tones that
//! become colour where colour is wanted. What cannot be seen is left out: names
//! and notes come from outside.

use std::borrow::Cow;

use comfy_table::{ColumnConstraint, ContentArrangement, Table as Layout, TableStyle, Width};

use crate::key::text::visible;

/// What a piece of text says, apart from its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    #[default]
    Plain,
    Good,
    Warn,
    Bad,
    Dim,
    Strong,
}

impl Tone {
    fn style(self) -> anstyle::Style {
        use anstyle::{AnsiColor, Style};
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
        }
    }

    /// Returns `text` in this tone, or as it is without colour.
    pub fn paint(self, text: &str, color: bool) -> String {
        if !color || self == Self::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = self.style();
        format!("{}{text}{}", style.render(), style.render_reset())
    }
}

/// One field of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

impl Cell {
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }
}

/// Rows under headings. A column without any content is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    pub headings: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
    optional: Vec<&'static str>,
}

impl Table {
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new(), optional: Vec::new() }
    }

    /// Names columns that a narrow terminal can do without, the first to go
    /// first. JSON and `plain` have them all the same.
    #[must_use]
    pub fn optional(mut self, headings: &[&'static str]) -> Self {
        self.optional = headings.to_vec();
        self
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().map(on_one_line).collect());
    }

    fn filled_columns(&self) -> Vec<usize> {
        (0..self.headings.len())
            .filter(|n| self.rows.iter().any(|row| row.get(*n).is_some_and(|cell| !cell.text.is_empty())))
            .collect()
    }
}

/// A cell is one line, whatever stands in a note.
fn on_one_line(mut cell: Cell) -> Cell {
    if let Cow::Owned(shown) = visible(&cell.text) {
        cell.text = shown.replace('\n', " ");
    }
    cell
}

/// A page under construction.
#[derive(Debug)]
pub struct Page {
    text: String,
    color: bool,
    /// Columns to lay out to; `None`: as wide as it gets (pipes, files).
    width: Option<u16>,
}

/// Zero-width marks that carry a tone through the layout, one pair a word: the
/// layout counts widths and must not meet escape sequences.
const MARKS: [(Tone, char); 5] = [
    (Tone::Good, '\u{2061}'),
    (Tone::Warn, '\u{2062}'),
    (Tone::Bad, '\u{2063}'),
    (Tone::Dim, '\u{2064}'),
    (Tone::Strong, '\u{206a}'),
];
const END: char = '\u{206b}';
const GAP: &str = "  ";

impl Page {
    pub fn new(width: Option<u16>, color: bool) -> Self {
        Self { text: String::new(), color, width }
    }

    /// Adds a line in one tone.
    pub fn line(&mut self, tone: Tone, text: impl AsRef<str>) {
        self.text.push_str(&tone.paint(&visible(text.as_ref()), self.color));
        self.text.push('\n');
    }

    /// Adds a line of pieces, each in its tone.
    pub fn pieces(&mut self, pieces: &[(Tone, &str)]) {
        for (tone, text) in pieces {
            self.text.push_str(&tone.paint(&visible(text), self.color));
        }
        self.text.push('\n');
    }

    pub fn blank(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// Adds `name  value` lines, the names padded to one width; empty values
    /// are left out.
    pub fn fields(&mut self, fields: &[(&'static str, Cell)]) {
        let filled: Vec<_> = fields.iter().filter(|(_, cell)| !cell.text.is_empty()).collect();
        let widest = filled.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, cell) in filled {
            let name = format!("{name:<widest$}{GAP}");
            let indent = name.len();
            let lines = wrapped(
                &visible(&cell.text),
                self.width.map(|it| usize::from(it).saturating_sub(indent).max(20)),
            );
            for (n, line) in lines.iter().enumerate() {
                let lead = if n == 0 { Tone::Dim.paint(&name, self.color) } else { " ".repeat(indent) };
                self.text.push_str(&lead);
                self.text.push_str(&cell.tone.paint(line, self.color));
                self.text.push('\n');
            }
        }
    }

    /// Adds a paragraph, wrapped to the width.
    pub fn paragraph(&mut self, tone: Tone, indent: usize, text: &str) {
        let width = self.width.map(|it| usize::from(it).saturating_sub(indent).max(20));
        for line in wrapped(&visible(text), width) {
            self.text.push_str(&" ".repeat(indent));
            self.text.push_str(&tone.paint(&line, self.color));
            self.text.push('\n');
        }
    }

    /// Adds a table.
    pub fn table(&mut self, table: &Table) {
        let mut columns = table.filled_columns();
        let mut optional = table.optional.iter();
        loop {
            let widths = widths(table, &columns);
            let fits = |widths: &[usize]| self.width.is_none_or(|width| total(widths) <= usize::from(width));
            if columns.is_empty() || fits(&widths) {
                return self.straight(table, &columns, &widths);
            }
            let Some(heading) = optional.next() else { break };
            columns.retain(|n| table.headings[*n] != *heading);
        }
        let width = self.width.map_or(usize::MAX, usize::from);
        match least_widths(table, &columns, width) {
            Some(least) => self.arranged(table, &columns, &least),
            None => self.stacked(table, &table.filled_columns()),
        }
    }

    /// Far too narrow for columns: each row is a heading and lines below it.
    fn stacked(&mut self, table: &Table, columns: &[usize]) {
        for row in &table.rows {
            let mut cells = columns.iter().filter_map(|n| Some((table.headings[*n].trim(), row.get(*n)?)));
            if let Some((_, first)) = cells.next() {
                let tone = if first.tone == Tone::Plain { Tone::Strong } else { first.tone };
                self.line(tone, &first.text);
            }
            for (heading, cell) in cells.filter(|(_, cell)| !cell.text.is_empty()) {
                let text =
                    if heading.is_empty() { cell.text.clone() } else { format!("{heading}: {}", cell.text) };
                let width = self.width.map(|it| usize::from(it).saturating_sub(4).max(20));
                for (n, line) in wrapped(&text, width).iter().enumerate() {
                    let lead = if n == 0 { "  " } else { "    " };
                    self.pieces(&[(Tone::Plain, lead), (cell.tone, line)]);
                }
            }
        }
    }

    /// Everything fits: rows are padded and written. Ten thousand records are
    /// listed this way; the layout engine takes a tenth of a second for them.
    fn straight(&mut self, table: &Table, columns: &[usize], widths: &[usize]) {
        if columns.is_empty() {
            return;
        }
        let heading: Vec<Cell> =
            table.headings.iter().map(|it| Cell::toned(it.to_uppercase(), Tone::Dim)).collect();
        for row in std::iter::once(&heading).chain(&table.rows) {
            for (n, column) in columns.iter().enumerate() {
                let Some(cell) = row.get(*column) else { continue };
                if self.color {
                    self.text.push_str(&cell.tone.paint(&cell.text, true));
                } else {
                    self.text.push_str(&cell.text);
                }
                if n + 1 < columns.len() {
                    let pad = widths[n].saturating_sub(width_of(&cell.text)) + GAP.len();
                    self.text.extend(std::iter::repeat_n(' ', pad));
                }
            }
            self.trim_line();
            self.text.push('\n');
        }
    }

    fn arranged(&mut self, table: &Table, columns: &[usize], least: &[usize]) {
        let mut layout = Layout::new();
        layout.load_style(TableStyle::new());
        layout.set_content_arrangement(ContentArrangement::Dynamic);
        layout.set_width(self.width.unwrap_or(u16::MAX));
        layout.set_header(columns.iter().map(|n| mark(&table.headings[*n].to_uppercase(), Tone::Dim)));
        for row in &table.rows {
            layout.add_row(
                columns
                    .iter()
                    .map(|n| row.get(*n).map_or_else(String::new, |cell| mark(&cell.text, cell.tone))),
            );
        }
        let last = columns.len() - 1;
        for (n, column) in layout.column_iter_mut().enumerate() {
            let padding: u16 = if n == last { 0 } else { 2 };
            column.set_padding((0, padding));
            let least = u16::try_from(least[n]).unwrap_or(u16::MAX).saturating_add(padding);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
        for line in layout.lines() {
            self.text.push_str(&self.unmark(&line));
            self.trim_line();
            self.text.push('\n');
        }
    }

    fn trim_line(&mut self) {
        while self.text.ends_with(' ') {
            self.text.pop();
        }
    }

    fn unmark(&self, line: &str) -> String {
        let mut out = String::with_capacity(line.len());
        for c in line.chars() {
            if let Some((tone, _)) = MARKS.iter().find(|(_, mark)| *mark == c) {
                if self.color {
                    out.push_str(&tone.style().render().to_string());
                }
            } else if c == END {
                if self.color {
                    out.push_str(&anstyle::Reset.render().to_string());
                }
            } else {
                out.push(c);
            }
        }
        out
    }

    pub fn finish(self) -> String {
        self.text
    }
}

fn mark(text: &str, tone: Tone) -> String {
    let Some((_, begin)) = MARKS.iter().find(|(held, _)| *held == tone) else { return text.to_owned() };
    text.split(' ')
        .map(|word| if word.is_empty() { String::new() } else { format!("{begin}{word}{END}") })
        .collect::<Vec<_>>()
        .join(" ")
}

fn widths(table: &Table, columns: &[usize]) -> Vec<usize> {
    columns
        .iter()
        .map(|n| {
            let cells = table.rows.iter().filter_map(|row| row.get(*n)).map(|cell| width_of(&cell.text));
            cells.chain([table.headings[*n].len()]).max().unwrap_or(0)
        })
        .collect()
}

/// Returns the width of a row with the gaps between its columns.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// Longer words may be broken: a made-up domain, a path, a digest.
const LONG_WORD: usize = 24;

/// Returns how narrow each column may become: as its longest word, or less
/// where that is very long and there is no room. `None`: words of ordinary
/// length would break.
fn least_widths(table: &Table, columns: &[usize], width: usize) -> Option<Vec<usize>> {
    let mut least = longest_words(table, columns);
    while total(&least) > width {
        let longest = least.iter_mut().max()?;
        if *longest <= LONG_WORD {
            return None;
        }
        *longest -= 1;
    }
    Some(least)
}

fn longest_words(table: &Table, columns: &[usize]) -> Vec<usize> {
    let longest = |text: &str| text.split(' ').map(width_of).max().unwrap_or(0);
    columns
        .iter()
        .map(|n| {
            let cells = table.rows.iter().filter_map(|row| row.get(*n)).map(|cell| longest(&cell.text));
            cells.chain([longest(table.headings[*n])]).max().unwrap_or(0)
        })
        .collect()
}

/// Returns how many columns a text takes; ASCII, the usual case, without a look-up.
fn width_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { unicode_width::UnicodeWidthStr::width(text) }
}

/// Returns the lines of `text`, none wider than `width` where words allow it. A
/// command in backticks stays on one line, so that it can be copied; what a line
/// is indented with stays before its first word.
pub fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return text.lines().map(str::to_owned).collect() };
    let mut lines = Vec::new();
    for source in text.lines() {
        let words = source.trim_start();
        let mut line = source[..source.len() - words.len()].to_owned();
        let mut empty = true;
        for word in units(words, width) {
            if !empty && width_of(&line) + 1 + width_of(word) > width {
                lines.push(std::mem::take(&mut line));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        lines.push(line);
    }
    lines
}

/// Splits a line at its spaces, but not inside of backticks unless what they
/// enclose is wider than a line.
fn units(line: &str, width: usize) -> Vec<&str> {
    let mut units = Vec::new();
    let mut begin = 0;
    let mut quoted = false;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match c {
            '`' => quoted = !quoted,
            ' ' if !quoted || at == line.len() => {
                let unit = &line[begin..at];
                begin = (at + 1).min(line.len());
                if width_of(unit) > width {
                    units.extend(unit.split(' '));
                } else {
                    units.push(unit);
                }
            }
            _ => {}
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["key", "verdict", "empty", "note"]);
        table.row([
            "mailgun@acme".into(),
            Cell::toned("valid", Tone::Good),
            "".into(),
            "a note of some length".into(),
        ]);
        table.row(["brevo@acme/zürich".into(), Cell::toned("rejected", Tone::Bad), "".into(), "-".into()]);
        table
    }

    fn page(width: Option<u16>, color: bool) -> String {
        let mut page = Page::new(width, color);
        page.table(&sample());
        page.finish()
    }

    #[test]
    fn a_table_fits_its_content_and_leaves_empty_columns_out() {
        assert_eq!(
            page(None, false),
            "KEY                VERDICT   NOTE\n\
             mailgun@acme       valid     a note of some length\n\
             brevo@acme/zürich  rejected  -\n"
        );
        assert!(page(None, true).contains("\u{1b}[32mvalid\u{1b}[0m"));
    }

    #[test]
    fn a_narrow_terminal_loses_what_it_can_do_without_before_words_break() {
        let mut page = Page::new(Some(36), false);
        page.table(&sample().optional(&["note"]));
        assert_eq!(
            page.finish(),
            "KEY                VERDICT\nmailgun@acme       valid\nbrevo@acme/zürich  rejected\n"
        );
        let mut page = Page::new(Some(40), false);
        page.table(&sample());
        assert!(page.finish().contains("brevo@acme/zürich  rejected"), "words stay whole");
    }

    #[test]
    fn a_very_narrow_terminal_gets_a_row_as_a_block() {
        assert_eq!(
            page(Some(24), false),
            "mailgun@acme\n  verdict: valid\n  note: a note of some\n    length\n\
             brevo@acme/zürich\n  verdict: rejected\n  note: -\n"
        );
    }

    #[test]
    fn a_very_long_word_breaks_before_an_ordinary_one_does() {
        let mut table = Table::new(&["domain", "why"]);
        table.row(["sandbox0123456789abcdef.mailgun.org".into(), "no: domain-not-verified".into()]);
        let mut page = Page::new(Some(50), false);
        page.table(&table);
        let text = page.finish();
        assert!(text.lines().any(|line| line.ends_with("domain-not-verified")), "{text}");
        assert!(text.lines().all(|line| width_of(line) <= 50), "{text}");
    }

    #[test]
    fn a_command_stays_on_one_line_and_an_indent_stays() {
        assert_eq!(
            wrapped("  make it with `keyctl store init file` now", Some(26)),
            ["  make it with", "`keyctl store init file`", "now"]
        );
        assert_eq!(wrapped("`one two three`", Some(8)), ["`one two", "three`"]);
        assert_eq!(wrapped("an odd ` sign", Some(9)), ["an odd", "` sign"]);
        assert_eq!(wrapped("", Some(8)), Vec::<String>::new());
    }

    #[test]
    fn a_narrow_terminal_wraps_inside_columns() {
        let text = page(Some(40), false);
        assert!(text.lines().all(|line| width_of(line) <= 40), "{text}");
        assert!(!text.contains(END), "{text:?}");
        let colored = page(Some(40), true);
        assert!(colored.contains("\u{1b}["), "{colored:?}");
    }
}
