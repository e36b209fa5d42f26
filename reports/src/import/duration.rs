//! Durations as Go writes them.

use super::instant::Instant;

/// Parses Go's durations (`0.3s`, `1m2.5s`) as nanoseconds.
pub(crate) fn duration(text: &str) -> Option<Instant> {
    let (mut total, mut rest) = (0.0, text.trim());
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let (length, factor) = match unit {
            _ if unit.starts_with("ms") => (2, 1e-3),
            _ if unit.starts_with("µs") => ("µs".len(), 1e-6),
            _ if unit.starts_with('h') => (1, 3600.0),
            _ if unit.starts_with('m') => (1, 60.0),
            _ if unit.starts_with('s') => (1, 1.0),
            _ => return None,
        };
        total += value * factor;
        rest = &unit[length..];
    }
    // `as` saturates, at 292 years.
    (total < 3e9).then(|| (total * 1e9).round() as Instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        assert_eq!(duration("0.3s"), Some(300_000_000));
        assert_eq!(duration("1m2.5s"), Some(62_500_000_000));
        assert_eq!(duration("45ms"), Some(45_000_000));
        assert_eq!(duration("s"), None);
        assert_eq!(duration(""), None);
    }
}
