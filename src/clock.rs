//! Timestamps in and out: RFC 3339, RFC 2822, naive UTC; durations and dates
//! as people type them. Only the context asks what time it is.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Returns RFC 3339 in UTC with whole seconds.
pub fn rfc3339(at: Timestamp) -> String {
    let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
    whole.to_string()
}

/// Reads a time as vendors write it: RFC 3339, RFC 2822 (a wrong weekday is
/// ignored; `GMT`, `UTC`, `-0000`), or ISO 8601 without a zone, which the
/// vendors mean as UTC.
pub fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if let Ok(naive) = text.parse::<DateTime>() {
        return naive.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    }
    let without_weekday = text.split_once(", ").map_or(text, |(_, rest)| rest);
    jiff::fmt::rfc2822::parse(text)
        .or_else(|_| jiff::fmt::rfc2822::parse(without_weekday))
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// Reads a DATE argument: `2026-11-22` (midnight UTC) or RFC 3339.
pub fn date(text: &str) -> Result<Timestamp, String> {
    let whole = text.parse::<Timestamp>().ok();
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    // A bare civil date also satisfies some RFC 3339 readers; try the exact form first.
    whole.or_else(day).ok_or_else(|| {
        format!(
            "`{}` is no date; write `2026-11-22` or `2026-11-22T08:00:00Z`",
            crate::key::text::printable(text, 40)
        )
    })
}

/// A length of time as typed: `90s 15m 24h 7d 2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub seconds: i64,
}

impl Span {
    pub const fn seconds(seconds: i64) -> Self {
        Self { seconds }
    }

    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_secs(u64::try_from(self.seconds).unwrap_or(0))
    }

    /// Returns the moment this long after `at`; saturates at the end of time.
    pub fn after(self, at: Timestamp) -> Timestamp {
        Timestamp::from_second(at.as_second().saturating_add(self.seconds)).unwrap_or(Timestamp::MAX)
    }
}

impl std::fmt::Display for Span {
    /// As a person types it, in the largest unit that divides it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [(604_800, 'w'), (86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
        let whole = units.iter().find(|(factor, _)| self.seconds != 0 && self.seconds % factor == 0);
        let (factor, unit) = whole.copied().unwrap_or((1, 's'));
        write!(f, "{}{unit}", self.seconds / factor)
    }
}

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            let shown = crate::key::text::printable(text, 40);
            format!("`{shown}` is no duration; write a number and a unit: `90s`, `15m`, `24h`, `7d`, `2w`")
        };
        let unit_at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(error)?;
        let (number, unit) = text.split_at(unit_at);
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(error()),
        };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let seconds = number.parse::<i64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(error)?;
        // A thousand years; anything longer is a typing error and would overflow dates.
        if seconds > 31_557_600_000 { Err(error()) } else { Ok(Self { seconds }) }
    }
}

/// Returns a length of time for people: `2 days`, `3 hours`, `45 s`.
pub fn spoken(seconds: i64) -> String {
    let plural = |n: i64, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    match seconds.max(0) {
        s if s >= 2 * 86_400 => plural(s / 86_400, "day"),
        s if s >= 7_200 => plural(s / 3_600, "hour"),
        s if s >= 120 => plural(s / 60, "minute"),
        s => plural(s, "second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_date_form_seen_at_vendors_is_read() {
        for text in [
            "Mon, 24 Feb 2025 22:44:03 GMT",
            "Wed, 08 Mar 2023 23:34:57 +0000",
            "Sun, 26 Jan 2025 07:29:04 UTC",
            "Sun, 26 Jan 2025 07:29:23 -0000",
            "Tue, 26 Jan 2025 07:29:23 -0000",
            "2024-06-11T14:20:11",
            "2022-12-20T16:52:01.892000",
            "2025-06-25T17:19:51.166Z",
        ] {
            assert!(read(text).is_some(), "{text}");
        }
        assert_eq!(rfc3339(read("Mon, 24 Feb 2025 22:44:03 GMT").unwrap()), "2025-02-24T22:44:03Z");
        assert_eq!(rfc3339(read("2024-06-11T14:20:11").unwrap()), "2024-06-11T14:20:11Z");
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!("24h".parse::<Span>().unwrap().seconds, 86_400);
        assert_eq!("2w".parse::<Span>().unwrap().seconds, 1_209_600);
        for bad in ["", "5", "h", "-5m", "1.5h", "5x", "5µ", "99999999999999999w"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert_eq!(rfc3339(date("2026-11-22").unwrap()), "2026-11-22T00:00:00Z");
        assert!(date("22.11.2026").is_err());
    }
}
