//! Times as image documents write them: RFC 3339 in UTC, as Go's `time.Time` marshals.

use buildscope_storage::Timestamp;

/// `2017-07-14T02:40:00Z`, with as many digits of a second as are not zero.
pub fn rfc3339(time: Timestamp) -> String {
    let days = time.seconds.div_euclid(86_400);
    let second = time.seconds.rem_euclid(86_400);
    let (year, month, day) = civil(days);
    let mut fraction = String::new();
    if time.nanos > 0 {
        fraction = format!(".{:09}", time.nanos);
        fraction.truncate(fraction.trim_end_matches('0').len());
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Now.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: since.as_secs() as i64, nanos: since.subsec_nanos() }
}

/// Days since 1970-01-01 to the Gregorian date (Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days`): years begin in March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date_1() {
        let shown = |seconds, nanos| rfc3339(Timestamp { seconds, nanos });
        // `date -u -d @N +%FT%TZ`
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(1_500_000_000, 0), "2017-07-14T02:40:00Z");
        assert_eq!(shown(951_782_400, 0), "2000-02-29T00:00:00Z");
        assert_eq!(shown(4_107_542_400, 0), "2100-03-01T00:00:00Z");
        assert_eq!(shown(-1, 0), "1969-12-31T23:59:59Z");
        assert_eq!(shown(1_500_000_000, 120_000_000), "2017-07-14T02:40:00.12Z");
    }
}
