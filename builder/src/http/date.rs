//! Times as HTTP and image documents write them.

use buildscope_storage::Timestamp;
use std::time::UNIX_EPOCH;

/// Parses an HTTP date, in any of the three forms that RFC 9110 (5.6.7) tells recipients to accept. Returns seconds
/// since 1970. Dates before 1970 are rejected.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Formats a time as RFC 3339 in UTC, the way Go's `time.Time` marshals: `2017-07-14T02:40:00Z`, with fractions of a
/// second only if they are not zero. A year that jiff cannot represent (beyond -9999 to 9999) becomes the nearest one
/// that it can.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    // The range of jiff's timestamps, in whole seconds.
    let seconds = time.seconds.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    let nanos = i32::try_from(time.nanos).unwrap_or_default();
    jiff::Timestamp::new(seconds, nanos).unwrap_or(jiff::Timestamp::MIN).to_string()
}

/// Returns the current time.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_agrees_with_date() {
        let shown = |seconds, nanos| rfc3339(Timestamp { seconds, nanos });
        // `date -u -d @N +%FT%TZ`
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(1_500_000_000, 0), "2017-07-14T02:40:00Z");
        assert_eq!(shown(951_782_400, 0), "2000-02-29T00:00:00Z");
        assert_eq!(shown(4_107_542_400, 0), "2100-03-01T00:00:00Z");
        assert_eq!(shown(-1, 0), "1969-12-31T23:59:59Z");
        assert_eq!(shown(9_300_000_000, 0), "2264-09-14T21:20:00Z");
        assert_eq!(shown(1_500_000_000, 120_000_000), "2017-07-14T02:40:00.12Z");
    }

    #[test]
    fn http_dates_have_three_forms() {
        // The three examples of RFC 9110, 5.6.7; date(1) for the seconds.
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_http_date("Sun Nov  6 08:49:37 1994"), Some(784_111_777));
        assert_eq!(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse_http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(parse_http_date("yesterday"), None);
    }
}
