//! Text that came from outside, made safe to show.

/// Returns `text` without control, escape and bidirectional-override
/// characters, cut to `limit` characters.
pub fn printable(text: &str, limit: usize) -> String {
    let hidden = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut out: String = text
        .chars()
        .map(|c| if c == '\n' || c == '\t' { ' ' } else { c })
        .filter(|c| !hidden(c))
        .take(limit + 1)
        .collect();
    if out.chars().count() > limit {
        out = out.chars().take(limit.saturating_sub(1)).collect();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_overrides_do_not_reach_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c\nd", 80), "a[31mbc d");
        assert_eq!(printable("abcdef", 4), "abc…");
    }
}
