//! What vendors' keys look like, whoever's they are. Text that nobody asked for
//! (an argument, a reply that is not understood) is looked at with this before
//! it is shown: a secret may be in it that we do not know.

use super::text::{printable, visible};

/// Returns whether a text holds something shaped like a vendor's key: a known
/// prefix with a long tail, or Mailgun's 32-8-8 (which its SMTP passwords share).
pub fn holds_key(text: &str) -> bool {
    text.split(|c| !token(c)).any(is_key)
}

/// Returns whether a text that could be a name is rather a key: some have
/// nothing but lower-case letters, digits and `-`.
pub fn is_key_like_a_name(text: &str) -> bool {
    let token = |rest: &str| rest.len() == 36 && rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    has_32_8_8(text) || hex_tail(text, "key-", 32) || text.strip_prefix("pit-").is_some_and(token)
}

/// Returns a text fit to be shown, cut to `limit` characters, with everything
/// shaped like a key starred out.
pub fn shown(text: &str, limit: usize) -> String {
    // What is not seen may stand within a key.
    printable(&without_keys(&visible(text)), limit)
}

fn without_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c| !token(c)) {
        let word = piece.trim_end_matches(|c| !token(c));
        out.push_str(if is_key(word) { "***" } else { word });
        out.push_str(piece.get(word.len()..).unwrap_or_default());
    }
    out
}

fn token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn is_key(word: &str) -> bool {
    let tail = |prefix: &str, least: usize| {
        word.find(prefix).is_some_and(|at| {
            let rest = &word[at + prefix.len()..];
            rest.len() >= least
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && rest.bytes().any(|b| b.is_ascii_digit())
        })
    };
    tail("xkeysib-", 16)
        || tail("xsmtpsib-", 16)
        || tail("pk_", 30)
        || tail("pit-", 20)
        || hex_tail(word, "key-", 32)
        || has_32_8_8(word)
}

fn hex_tail(word: &str, prefix: &str, length: usize) -> bool {
    word.find(prefix).is_some_and(|at| {
        let rest = &word[at + prefix.len()..];
        rest.len() >= length && rest.bytes().take(length).all(|b| b.is_ascii_hexdigit())
    })
}

fn has_32_8_8(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    groups.windows(3).any(|three| {
        let [a, b, c] = three else { return false };
        // The first group may have something pasted before it.
        let first = a.len() >= 32 && a.get(a.len() - 32..).is_some_and(hex);
        first && b.len() == 8 && hex(b) && c.len() >= 8 && c.get(..8).is_some_and(hex)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_text_is_starred_out_and_the_rest_stays() {
        let key = ["0a".repeat(16).as_str(), "-0123abcd", "-4567cdef"].concat();
        let text = format!("{{\"secret\": \"{key}\", \"id\": \"0123abcd-4567cdef\"}} f\u{fc}r {key}");
        assert_eq!(shown(&text, 200), "{\"secret\": \"***\", \"id\": \"0123abcd-4567cdef\"} f\u{fc}r ***");
        assert!(holds_key(&text) && !holds_key("0123abcd-4567cdef pk_shop"));
        assert!(is_key_like_a_name(&key) && !is_key_like_a_name("pit-stop-of-1000-agencies-and-more-here"));
        assert_eq!(shown(&format!("xx {key}"), 30), "xx ***", "also where the end is cut off");
        let torn = format!("{}\u{200b}{}", &key[..9], &key[9..]);
        assert_eq!(shown(&torn, 200), "***", "also where something invisible stands in it");
    }
}
