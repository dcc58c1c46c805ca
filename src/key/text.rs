//! Text that came from outside, made safe to show: the one class of characters
//! that cannot be seen for what they are, and the ways to deal with them.
//! Confusable letters are not of that class.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// More combining marks than this on one letter are not writing: they cover
/// what stands above and below. Vietnamese has two, Biblical Hebrew up to four.
const MARKS: usize = 4;

/// What keeps a character from being seen for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// It moves the cursor, begins an escape sequence or breaks the line.
    Control,
    /// It changes the order in which a text is shown.
    Direction,
    /// It takes no place.
    Invisible,
    /// It looks like a space and is none.
    Space,
    /// One combining mark too many, or one without a letter.
    Mark,
}

impl Hidden {
    fn words(self) -> &'static str {
        match self {
            Self::Control => "a control character",
            Self::Direction => "a character that changes the direction of the text",
            Self::Invisible => "an invisible character",
            Self::Space => "a space other than the usual one",
            Self::Mark => "a combining mark on no letter, or one of too many",
        }
    }
}

/// Returns why a character cannot be seen for what it is; `None`: it can. Of
/// combining marks only a text can tell ([`first_hidden`]).
///
/// The class is Unicode's `Cc`, `Bidi_Control`, `Default_Ignorable_Code_Point`,
/// `White_Space` but for U+0020, noncharacters, interlinear annotations and
/// U+2800, which is blank (Unicode 16, `DerivedCoreProperties.txt`, `PropList.txt`).
pub fn hidden(c: char) -> Option<Hidden> {
    let found = match c {
        '\u{20}'..='\u{7e}' => return None,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => Hidden::Control,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Hidden::Direction
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => Hidden::Invisible,
        _ if u32::from(c) & 0xfffe == 0xfffe => Hidden::Invisible,
        '\u{a0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{2800}'
        | '\u{3000}' => Hidden::Space,
        _ => return None,
    };
    Some(found)
}

/// Returns the characters of a text, each with what hides it.
fn looked_at(text: &str) -> impl Iterator<Item = (char, Option<Hidden>)> + '_ {
    // At the beginning there is no letter that a mark could stand on.
    let mut marks = MARKS;
    text.chars().map(move |c| {
        let found = hidden(c);
        if found.is_some() {
            marks = MARKS;
            return (c, found);
        }
        // Jamo of a decomposed Hangul syllable have no width either, and are letters.
        let combines = !c.is_ascii() && !is_jamo(c) && c.width() == Some(0);
        marks = if combines { marks + 1 } else { 0 };
        (c, (marks > MARKS).then_some(Hidden::Mark))
    })
}

fn is_jamo(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}')
}

/// Returns the first character of a text that cannot be seen for what it is:
/// where it stands, counted in characters from 1, and a name for it in words.
pub fn first_hidden(text: &str) -> Option<(usize, String)> {
    let (n, (c, found)) = looked_at(text).enumerate().find(|(_, (_, found))| found.is_some())?;
    Some((n + 1, named(c, found?)))
}

/// Returns a name for the first control, direction or invisible character of a
/// text; unusual spaces and many marks may stand in a name.
pub fn first_unprintable(text: &str) -> Option<String> {
    text.chars().find_map(|c| match hidden(c)? {
        Hidden::Space | Hidden::Mark => None,
        found => Some(named(c, found)),
    })
}

/// `U+202E, a character that changes the direction of the text`
fn named(c: char, found: Hidden) -> String {
    format!("U+{:04X}, {}", u32::from(c), found.words())
}

/// Returns `text` on one line without what cannot be seen, cut to `limit`
/// characters. Unusual spaces stay: they do stand in names.
pub fn printable(text: &str, limit: usize) -> String {
    let mut out: String = looked_at(text).filter_map(|(c, found)| shown(c, found)).take(limit + 1).collect();
    if out.chars().count() > limit {
        out = out.chars().take(limit.saturating_sub(1)).collect();
        out.push('…');
    }
    out
}

/// Returns `text` without what cannot be seen, its lines as they are.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let shown = |(c, found)| if c == '\n' { Some(c) } else { shown(c, found) };
    Cow::Owned(looked_at(text).filter_map(shown).collect())
}

fn shown(c: char, found: Option<Hidden>) -> Option<char> {
    match found {
        None | Some(Hidden::Space) => Some(c),
        Some(_) if matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}') => Some(' '),
        Some(Hidden::Control | Hidden::Direction | Hidden::Invisible | Hidden::Mark) => None,
    }
}

/// Returns `text` with everything that cannot be seen as an escape (`\n`,
/// `\x1b`, `\u{202e}`), so that what is read is what is there: where there is
/// one, a backslash is doubled. Borrowed: nothing was hidden.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if first_hidden(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for (c, found) in looked_at(text) {
        match (c, found) {
            ('\\', _) => out.push_str("\\\\"),
            (c, None) => out.push(c),
            ('\n', _) => out.push_str("\\n"),
            ('\r', _) => out.push_str("\\r"),
            ('\t', _) => out.push_str("\\t"),
            (c, Some(_)) if c.is_ascii() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            (c, Some(_)) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that the rules of this file name, one by one.
    const RANGES: [(u32, u32); 24] = [
        (0x0, 0x1f),
        (0x7f, 0x9f),
        (0xa0, 0xa0),
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x1680, 0x1680),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x2000, 0x200f),
        (0x2028, 0x202f),
        (0x205f, 0x206f),
        (0x2800, 0x2800),
        (0x3000, 0x3000),
        (0x3164, 0x3164),
        (0xfdd0, 0xfdef),
        (0xfe00, 0xfe0f),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfffb),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0xe0fff),
    ];

    fn class() -> impl Iterator<Item = char> {
        let noncharacters = (0..=0x10).map(|plane| ((plane << 16) + 0xfffe, (plane << 16) + 0xffff));
        let ranges = RANGES.into_iter().chain(noncharacters);
        ranges.flat_map(|(first, last)| (first..=last).filter_map(char::from_u32))
    }

    #[test]
    fn no_character_of_the_class_is_shown_as_it_is() {
        for c in class() {
            assert!(hidden(c).is_some(), "U+{:04X}", u32::from(c));
            let text = format!("a{c}b");
            let shown = escaped(&text);
            assert!(shown.bytes().all(|it| it.is_ascii_graphic()), "{shown:?}");
            assert!(shown.starts_with("a\\") && shown.ends_with('b'), "{shown:?}");
            let (place, name) = first_hidden(&text).unwrap();
            assert_eq!((place, name.starts_with(&format!("U+{:04X}, ", u32::from(c)))), (2, true), "{name}");
            let dropped = printable(&text, 80);
            match hidden(c) {
                Some(Hidden::Space) => assert_eq!(dropped, text),
                _ => assert!(["ab", "a b"].contains(&dropped.as_str()), "{dropped:?}"),
            }
            assert!(c == '\n' || visible(&text) == dropped, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn every_other_character_is_shown_as_it_is() {
        let all = (0..=0x10_ffff).filter_map(char::from_u32);
        let class: std::collections::BTreeSet<char> = class().collect();
        let wrong = all.filter(|c| hidden(*c).is_some() != class.contains(c));
        assert_eq!(wrong.collect::<Vec<char>>(), Vec::<char>::new());
        for text in [
            "deploy --to shop",
            "Käse & Söhne, Zürich",
            "Cafe\u{301} Việt Nam, Vie\u{302}\u{323}t",
            "東京の店",
            "한국어 \u{1112}\u{1161}\u{11ab}",
            "שָׁלוֹם مرحبا हिन्दी ไทย",
            "🛒 Shop 🎉",
            "it's C:\\new",
        ] {
            assert_eq!(first_hidden(text), None, "{text}");
            assert_eq!(
                (printable(text, 80), visible(text), escaped(text)),
                (text.into(), text.into(), text.into())
            );
        }
    }

    #[test]
    fn escapes_and_overrides_do_not_reach_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c\nd", 80), "a[31mbc d");
        assert_eq!(printable("abcdef", 4), "abc…");
        assert_eq!(visible("a\u{1b}[31m\tb\nc\u{2028}d"), "a[31m b\nc d");
    }

    #[test]
    fn an_escape_is_told_from_a_text_that_looks_like_one() {
        assert_eq!(escaped("\u{1b}[2K\r\u{202e}\u{85}\t"), "\\x1b[2K\\r\\u{202e}\\u{85}\\t");
        assert_eq!(escaped("\\x1b\u{1b}"), "\\\\x1b\\x1b");
        assert_eq!(escaped("\\x1b"), "\\x1b");
    }

    #[test]
    fn marks_that_cover_other_lines_are_none() {
        let many = format!("a{}b", "\u{316}".repeat(6));
        assert_eq!(escaped(&many), format!("a{}\\u{{316}}\\u{{316}}b", "\u{316}".repeat(4)));
        assert_eq!(printable(&many, 80), format!("a{}b", "\u{316}".repeat(4)));
        assert_eq!(first_hidden(&many).unwrap().0, 6);
        assert_eq!(escaped("\u{338}a"), "\\u{338}a", "it would stand on what comes before the text");
    }
}
