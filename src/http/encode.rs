//! A request's parts as bytes: query, form, multipart, authorization.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use super::{Auth, Body};

/// RFC 3986 section 2.3: what needs no encoding anywhere.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns text as one percent-encoded path segment or query value.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Returns `a=b&c=d`, empty for no pairs.
pub(super) fn pairs(list: &[(&'static str, String)]) -> String {
    let each = list.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value)));
    each.collect::<Vec<_>>().join("&")
}

/// A body's bytes and its content type.
pub(super) struct Encoded {
    pub content_type: Option<String>,
    pub bytes: Vec<u8>,
}

pub(super) fn body(body: &Body) -> Encoded {
    match body {
        Body::None => Encoded { content_type: None, bytes: Vec::new() },
        Body::Form(list) => Encoded {
            content_type: Some("application/x-www-form-urlencoded".to_owned()),
            bytes: pairs(list).into_bytes(),
        },
        Body::Multipart(list) => multipart(list, &boundary()),
        Body::Json(value) => Encoded {
            content_type: Some("application/json".to_owned()),
            bytes: value.to_string().into_bytes(),
        },
    }
}

/// Random, so that no field can contain it. Should the system have no random
/// bytes, a constant does: the fields are short texts of our own.
fn boundary() -> String {
    let mut random = [0_u8; 16];
    let _ = getrandom::fill(&mut random);
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("keyctl-{hex}")
}

/// RFC 7578; an empty list is a valid form with no parts.
fn multipart(list: &[(&'static str, String)], boundary: &str) -> Encoded {
    let mut text = String::new();
    for (name, value) in list {
        let name = name.replace(['"', '\r', '\n'], "_");
        text.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    Encoded {
        content_type: Some(format!("multipart/form-data; boundary={boundary}")),
        bytes: text.into_bytes(),
    }
}

/// Returns the header that carries the secret, marked sensitive. `None`: the
/// secret has characters that no header can carry.
pub(super) fn authorization(auth: &Auth<'_>) -> Option<Option<(&'static str, HeaderValue)>> {
    let (name, text) = match auth {
        Auth::None => return Some(None),
        Auth::Basic { user, secret } => {
            let plain = Zeroizing::new(format!("{user}:{}", secret.expose()));
            ("authorization", Zeroizing::new(format!("Basic {}", STANDARD.encode(plain.as_bytes()))))
        }
        Auth::Bearer(secret) => ("authorization", Zeroizing::new(format!("Bearer {}", secret.expose()))),
        Auth::Header { name, prefix, secret } => {
            (*name, Zeroizing::new(format!("{prefix}{}", secret.expose())))
        }
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(Some((name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Secret;

    #[test]
    fn an_empty_multipart_form_is_one_closing_boundary() {
        let encoded = multipart(&[], "b");
        assert_eq!(encoded.bytes, b"--b--\r\n");
        assert_eq!(encoded.content_type.as_deref(), Some("multipart/form-data; boundary=b"));
    }

    #[test]
    fn parts_and_pairs_are_encoded() {
        let encoded = multipart(&[("to", "a@b".into())], "b");
        let expected = "--b\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\na@b\r\n--b--\r\n";
        assert_eq!(String::from_utf8(encoded.bytes).unwrap(), expected);
        assert_eq!(pairs(&[("a", "x y&ü".into()), ("b", "~".into())]), "a=x%20y%26%C3%BC&b=~");
    }

    #[test]
    fn a_secret_in_a_header_is_marked_sensitive() {
        let secret = Secret::new(["abc", "def"].concat());
        let auth = Auth::Basic { user: "api", secret: &secret };
        let (name, value) = authorization(&auth).unwrap().unwrap();
        assert_eq!((name, value.to_str().unwrap()), ("authorization", "Basic YXBpOmFiY2RlZg=="));
        assert_eq!(format!("{value:?}"), "Sensitive");
        let broken = Secret::new("a\nb".to_owned());
        assert!(authorization(&Auth::Bearer(&broken)).is_none());
    }
}
