//! The times of a log.

/// Nanoseconds on the clock of the log: since 1970 if it has dates, otherwise since the start of the log.
pub(crate) type Instant = i128;

/// Nanoseconds in a second.
pub(crate) const SECOND: Instant = 1_000_000_000;

/// Formats nanoseconds since 1970 as RFC 3339.
pub(crate) fn rfc3339(at: Instant) -> Option<String> {
    jiff::Timestamp::from_nanosecond(at).ok().map(|timestamp| timestamp.to_string())
}

/// Parses RFC 3339 as nanoseconds since 1970.
pub(crate) fn parse_time(text: &str) -> Option<Instant> {
    text.parse::<jiff::Timestamp>().ok().map(|timestamp| timestamp.as_nanosecond())
}
