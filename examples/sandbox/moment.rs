//! Moments in the spellings the vendors use: every endpoint has its own, and
//! a client that reads one of them may fail on the next.

use jiff::Timestamp;

/// `Mon, 24 Feb 2025 22:44:03 GMT`: domains, routes, subaccounts.
pub fn gmt(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `Wed, 08 Mar 2023 23:34:57 +0000`: SMTP credentials.
pub fn numeric_zone(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// `Sun, 26 Jan 2025 07:29:23 -0000`: the bounds of a log query.
pub fn minus_zero(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S -0000").to_string()
}

/// `Mon, 20 Dec 2021 20:33:21 UTC`: the text of a refusal for too many requests.
pub fn named_utc(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

/// `2026-01-23T10:16:00`: API keys; no offset is given, UTC is meant.
pub fn naive(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `2025-06-25T17:19:51.166Z`: the `@timestamp` of log entries.
pub fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `1529692199.626182`: the `timestamp` of events.
pub fn epoch_seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1_000_000.0
}
