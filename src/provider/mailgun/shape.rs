//! What a text is by its form alone. Account keys, sending keys and generated
//! SMTP passwords share one form, so the form says less than one would like.

use crate::key::{Cause, Kind, Secret};
use crate::provider::{Candidate, Recognition, Refusal};

/// The forms of Mailgun's secrets (facts: trufflehog and gitleaks rules,
/// recorded replies).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `<32 hex>-<8 hex>-<8 hex>`
    Current,
    /// `key-<32 hex>`, made before about 2018
    Legacy,
    /// `pubkey-<32 hex>`, for address validation only
    Public,
    /// 32 hex digits: a webhook signing key, or a key that was cut off
    BareHex,
    /// The beginning of a key.
    Cut,
    Other,
}

fn shape(text: &str) -> Shape {
    let lower = text.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix("pubkey-") {
        return if is_hex(rest, 32) { Shape::Public } else { Shape::Cut };
    }
    if let Some(rest) = lower.strip_prefix("key-") {
        return match rest {
            _ if is_hex(rest, 32) => Shape::Legacy,
            _ if rest.len() < 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()) => Shape::Cut,
            _ => Shape::Other,
        };
    }
    let mut parts = lower.split('-');
    let lengths = [32, 8, 8];
    let all: Vec<&str> = parts.by_ref().collect();
    let hex = |part: &&str| part.bytes().all(|b| b.is_ascii_hexdigit());
    if all.len() == 3 && all.iter().zip(lengths).all(|(part, length)| is_hex(part, length)) {
        return Shape::Current;
    }
    if all.len() == 1 && is_hex(&lower, 32) {
        return Shape::BareHex;
    }
    // A prefix with at least one separator, or a secret part cut short.
    let fits = all.iter().zip(lengths).all(|(part, length)| hex(part) && part.len() <= length);
    let before_last_whole =
        all.iter().zip(lengths).take(all.len().saturating_sub(1)).all(|(part, length)| part.len() == length);
    let cut_front = all.len() == 3
        && all.iter().all(hex)
        && all.iter().zip(lengths).skip(1).all(|(part, length)| part.len() == length)
        && all.first().is_some_and(|it| it.len() < 32);
    if (all.len() > 1 && all.len() <= 3 && fits && before_last_whole) || cut_front {
        return Shape::Cut;
    }
    Shape::Other
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Returns the form of a secret.
pub(super) fn of(secret: &Secret) -> Shape {
    shape(secret.expose())
}

/// Returns a key of the same form that nobody has.
pub(super) fn made_up(secret: &Secret) -> Secret {
    let mut random = [0_u8; 64];
    // Should the system have no random bytes, zeros are nobody's key either.
    let _ = getrandom::fill(&mut random);
    let mut digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]).cycle();
    let text = secret.expose();
    let prefix = if text.starts_with("key-") { 4 } else { 0 };
    let made_up = text.chars().enumerate().map(|(at, c)| {
        if at < prefix || !c.is_ascii_hexdigit() {
            return c;
        }
        char::from_digit(u32::from(digits.next().unwrap_or(0)), 16).unwrap_or('0')
    });
    Secret::new(made_up.collect())
}

/// Returns the id a current key carries: its last two groups are its `id` in
/// `GET /v1/keys`.
pub(super) fn embedded_id(secret: &Secret) -> Option<String> {
    let text = secret.expose();
    let id = text.get(text.len().checked_sub(17)?..)?;
    (shape(text) == Shape::Current).then(|| id.to_ascii_lowercase())
}

/// Says what a pasted text is.
pub(super) fn recognise(text: &str) -> Recognition {
    let candidate = |kind, certain| Candidate { kind, certain };
    let refused = |what: &str, wanted: &str| {
        Recognition::Refused(Refusal { what: what.to_owned(), wanted: wanted.to_owned() })
    };
    match shape(text) {
        Shape::Current => Recognition::Key(vec![
            candidate(Kind::Account, false),
            candidate(Kind::Sending, false),
            candidate(Kind::Smtp, false),
        ]),
        Shape::Legacy => Recognition::Key(vec![candidate(Kind::Account, true)]),
        Shape::BareHex => {
            Recognition::Key(vec![candidate(Kind::Account, false), candidate(Kind::Smtp, false)])
        }
        Shape::Public => refused(
            "a public validation key of Mailgun (`pubkey-…`), which can neither send nor read domains",
            "an account key or a domain sending key",
        ),
        Shape::Cut => refused(
            "a Mailgun key of which a part is missing",
            "the whole key: 32, 8 and 8 hex digits joined by `-`, or `key-` and 32 hex digits",
        ),
        Shape::Other => Recognition::No,
    }
}

/// Says whether a text may be a key of `kind`. SMTP passwords may be anything
/// a person chose, 5 to 32 characters, or a generated one of 50.
pub(super) fn fits(kind: Kind, text: &str) -> Result<(), Refusal> {
    let refusal =
        |what: &str, wanted: &str| Err(Refusal { what: what.to_owned(), wanted: wanted.to_owned() });
    if kind == Kind::Smtp {
        return match shape(text) {
            Shape::Legacy => refusal("a Mailgun account key", "the password of an SMTP login"),
            Shape::Public => refusal("a public validation key of Mailgun", "the password of an SMTP login"),
            _ if text.chars().count() < 5 => refusal(
                "a text of fewer than 5 characters",
                "the password of an SMTP login (5 to 32 characters)",
            ),
            _ => Ok(()),
        };
    }
    match recognise(text) {
        Recognition::Key(_) => Ok(()),
        Recognition::Refused(refusal) => Err(refusal),
        Recognition::No => {
            refusal("no Mailgun key", "32, 8 and 8 hex digits joined by `-`, or `key-` and 32 hex digits")
        }
    }
}

/// Returns what may stand behind a refusal of an account key, likeliest first.
pub(super) fn causes(secret: &Secret) -> Vec<Cause> {
    match of(secret) {
        Shape::Current => {
            vec![Cause::Revoked, Cause::SendingKey, Cause::IpNotAllowlisted, Cause::SmtpPassword]
        }
        Shape::Legacy => vec![Cause::Revoked, Cause::IpNotAllowlisted, Cause::WebhookSigningKey],
        Shape::BareHex => vec![Cause::WebhookSigningKey, Cause::Truncated, Cause::Revoked],
        Shape::Cut => vec![Cause::Truncated],
        Shape::Public | Shape::Other => vec![Cause::SmtpPassword, Cause::Truncated, Cause::Revoked],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(length: usize) -> String {
        "0123456789abcdef".chars().cycle().take(length).collect()
    }

    #[test]
    fn every_form_is_told_apart() {
        let whole = format!("{}-{}-{}", hex(32), hex(8), hex(8));
        assert_eq!(shape(&whole), Shape::Current);
        assert_eq!(shape(&whole.to_ascii_uppercase()), Shape::Current);
        assert_eq!(shape(&["key-", &hex(32)].concat()), Shape::Legacy);
        assert_eq!(shape(&["pubkey-", &hex(32)].concat()), Shape::Public);
        assert_eq!(shape(&hex(32)), Shape::BareHex);
        for length in 33..50 {
            assert_eq!(shape(&whole[..length]), Shape::Cut, "{length}");
        }
        assert_eq!(shape(&whole[1..]), Shape::Cut);
        assert_eq!(shape(&["key-", &hex(31)].concat()), Shape::Cut);
        // Thirty hex digits may be a password a person chose.
        assert_eq!(shape(&hex(30)), Shape::Other);
        assert_eq!(shape("correct-horse"), Shape::Other);
        assert_eq!(shape("é"), Shape::Other);
    }

    #[test]
    fn a_current_key_carries_its_id() {
        let whole = format!("{}-{}-{}", hex(32), "e2153fd0", "e0277777");
        assert_eq!(embedded_id(&Secret::new(whole)).as_deref(), Some("e2153fd0-e0277777"));
        assert_eq!(embedded_id(&Secret::new(["key-", &hex(32)].concat())), None);
        assert_eq!(embedded_id(&Secret::new("short".into())), None);
    }

    #[test]
    fn a_chosen_password_fits_smtp_only() {
        assert!(fits(Kind::Smtp, "correct horse").is_ok());
        assert!(fits(Kind::Account, "correct horse").is_err());
        assert!(fits(Kind::Smtp, "abc").is_err());
        assert!(fits(Kind::Smtp, &["key-", &hex(32)].concat()).is_err());
    }

    #[test]
    fn a_made_up_key_has_the_form_but_not_the_digits() {
        for text in [format!("{}-{}-{}", hex(32), hex(8), hex(8)), ["key-", &hex(32)].concat()] {
            let made_up = made_up(&Secret::new(text.clone()));
            assert_eq!(shape(made_up.expose()), shape(&text));
            assert_ne!(made_up.expose(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_form(text in "\\PC{0,60}") {
            recognise(&text);
            embedded_id(&Secret::new(text));
        }
    }
}
