//! Pasted text: what was pasted along with a key, what is no key at all, and
//! whose key it may be. Nothing here is sent anywhere or decoded to be kept.

use base64::Engine as _;

use super::{Candidate, Recognition, Refusal, TABLE};
use crate::key::text::{Hidden, hidden};
use crate::key::{Kind, ProviderId, Secret};

/// A pasted text without what was pasted along.
#[derive(Debug, Clone)]
pub struct Unwrapped {
    pub secret: Secret,
    /// What was taken away, in words for the report: `quotes`, `api:`.
    pub stripped: Vec<String>,
    /// Set when no provider could make a key of it.
    pub refused: Option<Refusal>,
}

/// What a pasted text may be, offline.
#[derive(Debug, Clone)]
pub struct Identified {
    pub secret: Secret,
    pub stripped: Vec<String>,
    /// In the order of the providers; certain ones first.
    pub candidates: Vec<(ProviderId, Candidate)>,
    pub refused: Option<Refusal>,
}

/// Words before a key, compared without case. A blank at the end is part of it.
const LEADERS: [&str; 9] = [
    "authorization:",
    "proxy-authorization:",
    "x-api-key:",
    "api-key:",
    "bearer ",
    "token ",
    "klaviyo-api-key ",
    "klaviyo-api-key:",
    "api:",
];

const QUOTES: [(char, char); 7] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’'), ('„', '“'), ('«', '»')];

/// Takes away quotes, whitespace, header names, `Bearer`, `api:`, `export NAME=`.
pub fn unwrap(pasted: &str) -> Unwrapped {
    // The newline a pipe or an editor ends with is nobody's mistake.
    let pasted = pasted.strip_suffix('\n').unwrap_or(pasted);
    let pasted = pasted.strip_suffix('\r').unwrap_or(pasted);
    let mut stripped = Vec::new();
    let mut note = |word: &str| {
        if !stripped.iter().any(|held| held == word) {
            stripped.push(word.to_owned());
        }
    };
    let mut text: String = pasted.chars().filter(|c| !is_invisible(*c)).collect();
    if text.len() != pasted.len() {
        note("invisible characters");
    }
    let mut basic = false;
    loop {
        let trimmed = text.trim();
        if trimmed.len() != text.len() {
            note(if trimmed_newline(&text) { "newline" } else { "whitespace" });
            text = trimmed.to_owned();
        }
        if let Some((leader, rest)) = leader(&text) {
            basic |= leader.eq_ignore_ascii_case("basic");
            note(leader.trim());
            text = rest.to_owned();
        } else if let Some((assignment, rest)) = assignment(&text) {
            note(assignment);
            text = rest.to_owned();
        } else if let Some(inside) = quoted(&text) {
            note("quotes");
            text = inside.to_owned();
        } else {
            break;
        }
    }
    let joined: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if joined.len() != text.len() && known(&joined) {
        note(if text.contains(['\n', '\r']) { "newline" } else { "whitespace" });
        text = joined;
    }
    let refused = refuse(&text, basic);
    Unwrapped { secret: Secret::new(text), stripped, refused }
}

/// Says whose key a pasted text may be.
pub fn identify(pasted: &str) -> Identified {
    let Unwrapped { secret, stripped, mut refused } = unwrap(pasted);
    let mut candidates = Vec::new();
    if refused.is_none() {
        for provider in TABLE {
            match provider.recognise(secret.expose()) {
                Recognition::No => {}
                Recognition::Key(list) => candidates.extend(list.into_iter().map(|it| (provider.id(), it))),
                Recognition::Refused(refusal) => refused = refused.or(Some(refusal)),
            }
        }
    }
    if !candidates.is_empty() {
        refused = None;
    }
    candidates.sort_by_key(|(_, candidate)| !candidate.certain);
    Identified { secret, stripped, candidates, refused }
}

/// What the form of a secret says of it, held against a kind of key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Such a key may look so.
    Fits,
    /// No such key that is known looks so, nor anything else.
    Unknown(Refusal),
    /// It is for certain something else.
    Other(Refusal),
}

/// Returns what the form of a secret says: whether it can be a provider's key
/// of `kind`.
pub fn form(provider: ProviderId, kind: Kind, secret: &Secret) -> Form {
    let text = secret.expose();
    let vendor = super::provider(provider);
    let identified = identify(text);
    let fits = |(id, it): &(ProviderId, Candidate)| *id == provider && it.kind == kind;
    let mut certain = identified.candidates.iter().filter(|(_, it)| it.certain);
    if let Some((other, candidate)) = certain.find(|_| !identified.candidates.iter().any(fits)) {
        return Form::Other(Refusal {
            what: format!("a {other} key of kind {}", candidate.kind),
            wanted: format!("a {provider} key of kind {kind}"),
        });
    }
    match (vendor.fits(kind, text), vendor.recognise(text)) {
        (Ok(()), _) => Form::Fits,
        (Err(refusal), Recognition::Refused(_) | Recognition::Key(_)) => Form::Other(refusal),
        (Err(refusal), Recognition::No) => match identified.refused {
            Some(known) => Form::Other(known),
            None => Form::Unknown(refusal),
        },
    }
}

fn known(text: &str) -> bool {
    TABLE.iter().any(|it| matches!(it.recognise(text), Recognition::Key(_)))
}

/// Zero-width and direction marks, soft hyphens, byte-order marks: they come
/// with text copied from web pages.
fn is_invisible(c: char) -> bool {
    matches!(hidden(c), Some(Hidden::Invisible | Hidden::Direction))
}

fn trimmed_newline(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c == '\n' || c == '\r');
    edge(text.chars().next()) || edge(text.chars().last())
}

fn leader(text: &str) -> Option<(&str, &str)> {
    let at = |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if at("basic ") {
        return Some((text.get(..5)?, text.get(6..)?));
    }
    let word = LEADERS.into_iter().find(|word| at(word))?;
    Some((text.get(..word.len())?, text.get(word.len()..)?))
}

/// `export NAME=`, `NAME=`, `NAME: ` with a name as variables have.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let start = text.strip_prefix("export ").map_or(0, |rest| text.len() - rest.len());
    let rest = text.get(start..)?.trim_start();
    let end = rest.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))?;
    let name_ok = rest.starts_with(|c: char| c.is_ascii_uppercase()) && rest.get(..end)?.contains('_');
    let after = rest.get(end..)?;
    let value = after.strip_prefix('=').or_else(|| after.strip_prefix(": "))?;
    name_ok.then_some(())?;
    Some((text.get(..text.len() - value.len())?, value))
}

fn quoted(text: &str) -> Option<&str> {
    QUOTES.iter().find_map(|(open, close)| {
        text.strip_prefix(*open).and_then(|it| it.strip_suffix(*close)).or_else(|| {
            // A quote on one side only, as copying a part of a line leaves it.
            let one = open == close;
            let rest = text.strip_prefix(*open).or_else(|| text.strip_suffix(*close));
            rest.filter(|it| one && !it.contains(*open))
        })
    })
}

/// How keys of other vendors begin (the vendors' documentation, gitleaks'
/// rules): they are no use here, and worth a rotation if they came by mistake.
const FOREIGN: [(&str, &str); 13] = [
    ("SG.", "a SendGrid key"),
    ("AKIA", "an AWS access key id"),
    ("ASIA", "an AWS access key id"),
    ("AIza", "a Google API key"),
    ("sk_live_", "a Stripe secret key"),
    ("sk_test_", "a Stripe secret key"),
    ("sk-", "a key of an AI vendor"),
    ("re_", "a Resend key"),
    ("md-", "a Mandrill key"),
    ("ghp_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("xoxb-", "a Slack token"),
];

/// Shorter texts are words that happen to begin so.
const FOREIGN_LENGTH: usize = 20;

fn foreign(text: &str) -> Option<&'static str> {
    let whole = text.len() >= FOREIGN_LENGTH && !text.contains(char::is_whitespace);
    FOREIGN.iter().find(|(prefix, _)| whole && text.starts_with(prefix)).map(|(_, name)| *name)
}

fn refuse(text: &str, basic: bool) -> Option<Refusal> {
    let refusal =
        |what: &str, wanted: &str| Some(Refusal { what: what.to_owned(), wanted: wanted.to_owned() });
    const KEY: &str = "the key itself, as the provider's console showed it";
    if text.is_empty() {
        return refusal("an empty text", KEY);
    }
    if basic || is_basic_token(text) {
        return refusal("the Base64 form of HTTP Basic credentials", KEY);
    }
    if text.contains("://") {
        return refusal("a URL", KEY);
    }
    if text.starts_with("-----BEGIN") {
        return refusal("a PEM block", KEY);
    }
    if let Some(name) = foreign(text) {
        return refusal(name, "a key of Mailgun, Brevo, Klaviyo or HighLevel");
    }
    let variable = text.strip_prefix('$').map(|it| it.trim_matches(['{', '}']));
    let is_name = |it: &str| {
        it.contains('_')
            && it.starts_with(|c: char| c.is_ascii_uppercase())
            && it.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    if variable.is_some_and(is_name) || is_name(text) {
        return refusal("the name of a variable, not its value", KEY);
    }
    if ["******", "••••", "xxxxxxxx", "XXXXXXXX"].iter().any(|mask| text.contains(mask)) || text.contains('…')
    {
        return refusal("a masked or shortened key", KEY);
    }
    None
}

/// Base64 of `user:key`, as an `Authorization: Basic` header carries it.
fn is_basic_token(text: &str) -> bool {
    if text.len() < 16 {
        return false;
    }
    let padded = base64::engine::general_purpose::STANDARD.decode(text);
    let decoded = padded.or_else(|_| base64::engine::general_purpose::STANDARD_NO_PAD.decode(text));
    decoded.is_ok_and(|bytes| bytes.starts_with(b"api:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> String {
        [&"0123456789abcdef".repeat(2), "-0a1b2c3d-", "4e5f6a7b"].concat()
    }

    fn stripped(text: &str) -> Vec<String> {
        let unwrapped = unwrap(text);
        assert_eq!(unwrapped.secret.expose(), key(), "{text:?}");
        unwrapped.stripped
    }

    #[test]
    fn what_was_pasted_along_is_taken_away_and_named() {
        let key = key();
        assert!(stripped(&key).is_empty());
        assert!(stripped(&format!("{key}\n")).is_empty());
        assert!(stripped(&format!("{key}\r\n")).is_empty());
        assert_eq!(stripped(&format!("  {key} ")), ["whitespace"]);
        assert_eq!(stripped(&format!("\n{key}\n\n")), ["newline"]);
        assert_eq!(stripped(&format!("\"{key}\"")), ["quotes"]);
        assert_eq!(stripped(&format!("“{key}”")), ["quotes"]);
        assert_eq!(stripped(&format!("{key}\"")), ["quotes"]);
        assert_eq!(stripped(&format!("api:{key}")), ["api:"]);
        assert_eq!(
            stripped(&format!("Authorization: Bearer {key}")),
            ["Authorization:", "whitespace", "Bearer"]
        );
        assert_eq!(
            stripped(&format!("export MAILGUN_API_KEY='{key}'")),
            ["export MAILGUN_API_KEY=", "quotes"]
        );
        assert_eq!(stripped(&format!("MAILGUN_API_KEY={key}")), ["MAILGUN_API_KEY="]);
        let (head, tail) = key.split_at(20);
        assert_eq!(stripped(&format!("{head}\n  {tail}")), ["newline"]);
        assert_eq!(stripped(&format!("{head}\u{200b}{tail}")), ["invisible characters"]);
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_name() {
        let token = base64::engine::general_purpose::STANDARD.encode(format!("api:{}", key()));
        for (text, part) in [
            (token.clone(), "Base64"),
            (format!("Basic {token}"), "Base64"),
            ("https://api.mailgun.net/v3".to_owned(), "URL"),
            ("$MAILGUN_API_KEY".to_owned(), "variable"),
            ("MAILGUN_API_KEY".to_owned(), "variable"),
            ("  \n".to_owned(), "empty"),
            ("********-a7".to_owned(), "masked"),
            (["S", "G.", &"aB3".repeat(8)].concat(), "SendGrid"),
        ] {
            let refused = identify(&text).refused.unwrap_or_else(|| panic!("{text}"));
            assert!(refused.what.contains(part), "{text}: {}", refused.what);
        }
    }

    #[test]
    fn a_form_is_that_of_the_kind_or_for_certain_another_s_or_unknown() {
        #[track_caller]
        fn is(expected: &str, provider: ProviderId, kind: Kind, text: &str) {
            let found = match form(provider, kind, &Secret::new(text.to_owned())) {
                Form::Fits => "fits",
                Form::Unknown(_) => "unknown",
                Form::Other(_) => "other",
            };
            assert_eq!(found, expected, "{text}");
        }
        let (mailgun, brevo) = (ProviderId::Mailgun, ProviderId::Brevo);
        let legacy = ["key-", &"0a".repeat(16)].concat();
        let api = ["xkey", "sib-", &"0a".repeat(32), "-", &"aB3".repeat(6)[..16]].concat();
        is("fits", mailgun, Kind::Account, &key());
        is("fits", mailgun, Kind::Smtp, &key());
        is("fits", mailgun, Kind::Account, &legacy);
        is("other", mailgun, Kind::Sending, &legacy);
        is("fits", mailgun, Kind::Smtp, "correct horse");
        is("other", mailgun, Kind::Smtp, &api);
        is("other", mailgun, Kind::Account, &["pub", &legacy].concat());
        is("other", mailgun, Kind::Account, "$MAILGUN_API_KEY");
        is("unknown", mailgun, Kind::Account, "changeme");
        is("unknown", mailgun, Kind::Account, &format!("{} ", key()));
        is("fits", brevo, Kind::Api, &api);
        is("other", brevo, Kind::Smtp, &api);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC{0,80}") {
            identify(&text);
            identify(&format!("\"{text}"));
            identify(&format!("export A_B={text}"));
        }
    }
}
