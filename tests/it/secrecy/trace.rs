//! What a secret looks like when it leaks: as it is, URL-encoded, or within
//! base64, whatever stands before and after it there.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// A secret and the traces it would leave.
#[derive(Clone)]
pub struct Canary {
    text: String,
    traces: Vec<String>,
}

impl Canary {
    pub fn of(text: &str) -> Self {
        let mut traces = vec![start(text), end(text)];
        let encoded =
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        traces.extend([encoded.to_lowercase(), encoded]);
        for shift in 0..3 {
            let shifted = [&"\0".repeat(shift), text].concat();
            for encoded in [STANDARD.encode(&shifted), URL_SAFE.encode(&shifted)] {
                // Without the characters that neighbours have a share in.
                let inner = encoded.trim_end_matches('=');
                traces.push(inner[4..inner.len() - 2].to_owned());
            }
        }
        Self { text: text.to_owned(), traces }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the forms in which a server could say it back.
    pub fn echoes(&self) -> String {
        let encoded = percent_encoding::utf8_percent_encode(&self.text, percent_encoding::NON_ALPHANUMERIC);
        let basic = STANDARD.encode(format!("api:{}", self.text));
        format!("{} {} {basic} {encoded}", self.text, STANDARD.encode(&self.text))
    }

    #[track_caller]
    pub fn is_nowhere_in(&self, text: &str, place: &str) {
        for trace in &self.traces {
            assert!(!text.contains(trace.as_str()), "a secret stands in {place}:\n{text}");
        }
    }
}

/// Returns the first 20 characters: a part of a key is too much already.
fn start(text: &str) -> String {
    text.chars().take(20).collect()
}

/// Returns the last 20 characters; the end of a Mailgun key is its public id.
fn end(text: &str) -> String {
    let length = text.chars().count();
    text.chars().skip(length.saturating_sub(20)).collect()
}

#[test]
fn each_form_of_a_secret_is_seen() {
    let text = ["canary", "-/+", &"0f".repeat(20)].concat();
    let canary = Canary::of(&text);
    let seen = |leak: &str| canary.traces.iter().any(|trace| leak.contains(trace.as_str()));
    for word in canary.echoes().split(' ') {
        assert!(seen(word), "{word}");
    }
    for before in ["", "a", "ab", "\0shop@a.example\0"] {
        assert!(seen(&STANDARD.encode(format!("{before}{text}:more"))), "{before}");
    }
    assert!(!seen("canary") && !seen(&STANDARD.encode("something else that is long enough")));
}
