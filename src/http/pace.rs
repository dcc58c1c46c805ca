//! How long to wait before a limited request may be repeated, as the reply
//! tells it in one of the vendors' many ways.

use std::time::Duration;

use jiff::Timestamp;

use super::Reply;

/// Longer hints than this are treated as "not today".
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Pauses of a limited request whose reply does not say how long to wait.
const BLIND: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1_500)];

/// The most times one request is repeated because of limits.
const MOST_REPEATS: usize = 8;

/// Headers with the moment a limit ends: epoch milliseconds or seconds, told
/// apart by magnitude (Mailgun's documents say milliseconds, its Go client
/// reads seconds), or seconds from now (Brevo's `x-sib-ratelimit-reset`).
const RESET_HEADERS: [&str; 4] =
    ["x-ratelimit-reset", "x-request-reset", "ratelimit-reset", "x-sib-ratelimit-reset"];

/// Returns how long the reply asks to wait, if it does.
pub fn wait_hint(reply: &Reply, now: Timestamp) -> Option<Duration> {
    retry_after(reply, now)
        .or_else(|| reset_header(reply, now))
        .or_else(|| body_seconds(reply))
        .or_else(|| try_again_after(&reply.body, now))
        .map(|wait| wait.min(LONGEST))
}

/// Returns the pause before repeat number `repeats` (from 0) of a limited
/// request, or `None` when it is no use to go on.
pub(super) fn pause(reply: &Reply, now: Timestamp, repeats: usize) -> Option<Duration> {
    if repeats >= MOST_REPEATS {
        return None;
    }
    match wait_hint(reply, now) {
        // A reset that has just passed by our clock: the clocks differ a little.
        Some(wait) => Some(wait.max(Duration::from_millis(200))),
        None => BLIND.get(repeats).copied(),
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    let seconds = at.as_millisecond().saturating_sub(now.as_millisecond()).max(0);
    Duration::from_millis(u64::try_from(seconds).unwrap_or(0))
}

/// Seconds, with or without a fraction; infinities and negatives are no hint.
fn seconds(text: &str) -> Option<Duration> {
    let number = text.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

fn retry_after(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let value = reply.header("retry-after")?;
    seconds(value).or_else(|| crate::clock::read(value).map(|at| until(at, now)))
}

fn reset_header(reply: &Reply, now: Timestamp) -> Option<Duration> {
    // `Remaining: 5` with a reset in it says nothing about this refusal, but
    // a refusal with a reset and no other hint is best believed.
    let value = RESET_HEADERS.iter().find_map(|name| reply.header(name))?;
    let number = value.trim().parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0)?;
    if number > 1e11 {
        let at = Timestamp::from_millisecond(number as i64).ok()?;
        Some(until(at, now))
    } else if number > 1e9 {
        let at = Timestamp::from_second(number as i64).ok()?;
        Some(until(at, now))
    } else {
        Duration::try_from_secs_f64(number).ok()
    }
}

fn body_seconds(reply: &Reply) -> Option<Duration> {
    let json = reply.json()?;
    let value = json.get("retry-seconds")?;
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(number).ok()
}

/// `… try again after 120 seconds`, `… try again after Mon, 20 Dec 2021
/// 20:33:21 UTC`.
fn try_again_after(body: &str, now: Timestamp) -> Option<Duration> {
    let lower = body.to_ascii_lowercase();
    let start = lower.find("try again after ")? + "try again after ".len();
    let rest = body.get(start..)?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    if !number.is_empty() && rest.get(number.len()..)?.trim_start().to_ascii_lowercase().starts_with("second")
    {
        return seconds(&number);
    }
    let date = rest.split(['"', '}', '\n', '<']).next()?.trim().trim_end_matches('.');
    crate::clock::read(date).map(|at| until(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2021-12-20T20:33:01Z".parse().unwrap()
    }

    fn hint(header: Option<(&str, &str)>, body: &str) -> Option<u64> {
        let headers = header.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let reply = Reply { status: 429, headers, body: body.to_owned(), ..Reply::default() };
        wait_hint(&reply, now()).map(|it| it.as_secs())
    }

    #[test]
    fn every_way_of_saying_when_is_understood() {
        assert_eq!(hint(Some(("retry-after", "7")), ""), Some(7));
        assert_eq!(hint(Some(("retry-after", "Mon, 20 Dec 2021 20:33:11 GMT")), ""), Some(10));
        let milliseconds = (now().as_millisecond() + 9_000).to_string();
        assert_eq!(hint(Some(("x-ratelimit-reset", &milliseconds)), ""), Some(9));
        let whole = (now().as_second() + 8).to_string();
        assert_eq!(hint(Some(("x-request-reset", &whole)), ""), Some(8));
        assert_eq!(hint(Some(("x-sib-ratelimit-reset", "2534")), ""), Some(2_534));
        let text = r#"{"message":"Domain d.example is not allowed to send: limit exceeded, try again after "#;
        assert_eq!(hint(None, &format!("{text}120 seconds\"}}")), Some(120));
        assert_eq!(hint(None, &format!("{text}Mon, 20 Dec 2021 20:33:21 UTC\"}}")), Some(20));
        assert_eq!(hint(None, r#"{"retry-seconds": 60}"#), Some(60));
    }

    #[test]
    fn nonsense_is_no_hint() {
        for value in ["", "soon", "-4", "inf", "NaN", "1e400"] {
            assert_eq!(hint(Some(("retry-after", value)), ""), None, "{value}");
        }
        assert_eq!(hint(None, "try again after"), None);
        assert_eq!(hint(None, "try again after é"), None);
        assert_eq!(hint(Some(("retry-after", "99999999999")), ""), Some(LONGEST.as_secs()));
    }

    #[test]
    fn a_limit_without_a_hint_is_tried_twice_more() {
        let reply = Reply { status: 429, ..Reply::default() };
        assert!(pause(&reply, now(), 0).is_some());
        assert!(pause(&reply, now(), 1).is_some());
        assert_eq!(pause(&reply, now(), 2), None);
    }
}
