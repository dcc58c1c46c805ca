//! A reply of Mailgun's, sorted before any endpoint gives it its meaning.

use serde_json::Value;

use super::wire;
use crate::http::{Failure, Host, Reply};
use crate::key::text::printable;
use crate::provider::Trouble;

/// What a reply amounts to. Only forms that Mailgun's API is known to use
/// count as its own; everything else proves nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// 2xx with a JSON object.
    Json(Value),
    /// 400 with a sentence.
    Bad(String),
    /// 401: JSON, or the text `Forbidden`.
    Refused(String),
    /// 403 with a sentence.
    Denied(String),
    /// 404 with JSON. Without, it is a wrong address, not a missing thing.
    Missing(String),
    Trouble(Trouble),
}

pub(super) fn sort(host: &Host, result: &Result<Reply, Failure>) -> Answer {
    let reply = match result {
        Ok(reply) => reply,
        Err(failure) => return Answer::Trouble(failure.into()),
    };
    let trouble = || Answer::Trouble(Trouble::of_reply(host, reply));
    if reply.is_html() && !is_plain_forbidden(reply) {
        return trouble();
    }
    let sentence = wire::message(&reply.body).map(|it| crate::key::shape::shown(&it, 200));
    match (reply.status, reply.json().filter(Value::is_object), sentence) {
        (200..=299, Some(json), _) => Answer::Json(json),
        (400, _, Some(sentence)) => Answer::Bad(sentence),
        // A 401 without a body is still one if the challenge is Mailgun's.
        (401, _, sentence) if sentence.is_some() || is_challenge(reply) => {
            Answer::Refused(sentence.unwrap_or_else(|| "no text".to_owned()))
        }
        (403, _, Some(sentence)) => Answer::Denied(sentence),
        (404, Some(_), Some(sentence)) => Answer::Missing(sentence),
        _ => trouble(),
    }
}

/// In 2021 the text `Forbidden` came as `text/html`.
fn is_plain_forbidden(reply: &Reply) -> bool {
    reply.body.trim().eq_ignore_ascii_case("forbidden")
}

fn is_challenge(reply: &Reply) -> bool {
    reply.header("www-authenticate").is_some_and(|it| it.contains("MG API"))
}

/// Returns the id of the key that authenticated a reply, as Mailgun echoes it
/// (seen on 200 and 403, absent on 401; undocumented).
pub(super) fn key_id(result: &Result<Reply, Failure>) -> Option<String> {
    let id = result.as_ref().ok()?.header("x-mailgun-key-id")?.trim();
    (!id.is_empty() && id.len() <= 64).then(|| printable(id, 64).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::US;
    use super::*;

    fn sorted(status: u16, kind: &str, body: &str) -> Answer {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        sort(&US, &Ok(Reply { status, headers, body: body.to_owned(), ..Reply::default() }))
    }

    #[test]
    fn only_forms_that_are_mailguns_count() {
        assert!(matches!(sorted(200, "text/plain", "{\"items\":[]}"), Answer::Json(_)));
        assert!(matches!(sorted(401, "text/html", "Forbidden"), Answer::Refused(_)));
        assert!(matches!(
            sorted(401, "application/json", "{\"message\":\"Invalid private key\"}"),
            Answer::Refused(_)
        ));
        for (status, kind, body) in [
            (200, "text/html", "<html>log in</html>"),
            (200, "application/json", ""),
            (200, "application/json", "[]"),
            (401, "text/html", "<html>proxy</html>"),
            (401, "", ""),
            (403, "text/html", "<!DOCTYPE html>blocked"),
            (404, "text/html", "<h1>404</h1>"),
            (404, "text/plain", "404 page not found"),
            (302, "text/plain", ""),
            (429, "application/json", "{\"message\":\"x\"}"),
            (420, "application/json", "{\"message\":\"x\"}"),
            (500, "application/json", "{\"message\":\"Internal Server Error\"}"),
        ] {
            assert!(matches!(sorted(status, kind, body), Answer::Trouble(_)), "{status} {body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_reply_is_sorted(status in 100_u16..700, body in "\\PC{0,80}") {
            sorted(status, "text/plain", &body);
        }
    }
}
