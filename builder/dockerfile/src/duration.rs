//! Durations in the format of Go's `time.ParseDuration`, such as `1h15m30.5s`.

use std::time::Duration;

/// The error of a text that is not a duration of zero or more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadDuration {
    Malformed,
    Negative,
}

/// Parses a duration.
pub(super) fn parse(text: &str) -> Result<Duration, BadDuration> {
    let (nanos, negative) = signed(text).ok_or(BadDuration::Malformed)?;
    if negative && nanos != 0 { Err(BadDuration::Negative) } else { Ok(Duration::from_nanos(nanos)) }
}

/// Returns the nanoseconds of a duration without its sign, and whether it has a minus sign. Returns `None` for a
/// malformed duration and for one beyond Go's range.
fn signed(text: &str) -> Option<(u64, bool)> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some((0, negative));
    }
    let mut total: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (whole, fraction) = rest[..number].split_once('.').unwrap_or((&rest[..number], ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        rest = &rest[number..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let nanos: u128 = match &rest[..unit] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        rest = &rest[unit..];
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(nanos)?)?;
        let mut scale = nanos;
        for digit in fraction.bytes() {
            scale /= 10;
            total += u128::from(digit - b'0') * scale;
        }
    }
    let nanos = i64::try_from(total).ok()?;
    Some((nanos.unsigned_abs(), negative))
}

/// Formats a duration as Go's `Duration.String` does: `1m30s`, `500ms`, `0s`.
pub fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let decimal = |value: u128, unit: u128, name: &str| {
        let digits = unit.ilog10() as usize;
        let fraction = format!("{:0digits$}", value % unit);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() || digits == 0 {
            format!("{}{name}", value / unit)
        } else {
            format!("{}.{fraction}{name}", value / unit)
        }
    };
    match nanos {
        0 => "0s".into(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => decimal(nanos, 1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(nanos, 1_000_000, "ms"),
        _ => {
            let seconds = nanos / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = decimal(nanos % 60_000_000_000, 1_000_000_000, "s");
            match (hours, minutes) {
                (0, 0) => rest,
                (0, minutes) => format!("{minutes}m{rest}"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print_as_in_go() {
        for (text, millis, shown) in [
            ("1m30s", 90_000, "1m30s"),
            ("1.5s", 1_500, "1.5s"),
            ("500ms", 500, "500ms"),
            ("1h", 3_600_000, "1h0m0s"),
            ("0", 0, "0s"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!((duration, show(duration)), (Duration::from_millis(millis), shown.to_owned()));
        }
    }

    #[test]
    fn malformed_and_negative_durations_differ() {
        for text in ["", "1", "s", ".s", "1x", "1..2s"] {
            assert_eq!(parse(text), Err(BadDuration::Malformed), "{text}");
        }
        assert_eq!(parse("-1s"), Err(BadDuration::Negative));
    }
}
