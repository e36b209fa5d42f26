//! The duration that a line of a tool's output names.

use buildscope_record::Nanos;

/// The first duration in a line: `1.203s`, `587ms`, `1m 05s`, `2455 ms`, `1h 2m 3s`.
pub(super) fn named(line: &str) -> Option<Nanos> {
    let mut words =
        line.split_whitespace().map(|word| word.trim_matches(['(', ')', '[', ']', ',', ';', '.'])).peekable();
    let mut total = None;
    while let Some(word) = words.next() {
        let digits = word.len() - word.trim_start_matches(|next: char| next.is_ascii_digit() || next == '.').len();
        let (number, own) = word.split_at(digits);
        let unit = if own.is_empty() { words.peek().copied().unwrap_or_default() } else { own };
        match number.parse::<f64>().ok().zip(seconds(unit)) {
            Some((number, seconds)) => {
                total = Some(total.unwrap_or(0.0) + number * seconds);
                if own.is_empty() {
                    words.next();
                }
            }
            None if total.is_some() => break,
            None => {}
        }
    }
    total.map(Nanos::from_secs_f64)
}

/// The seconds of a unit of time.
fn seconds(unit: &str) -> Option<f64> {
    match unit {
        "ms" => Some(1e-3),
        "s" | "sec" | "seconds" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of go, cargo, pytest, uv, CTest, webpack, bun, jest, mocha and yarn.
    #[test]
    fn durations_are_read_in_the_forms_of_tools() {
        let read = |line| named(line).map(|time| time.0 / 1_000_000);
        assert_eq!(read("ok  \texample.com/m/pkg/a\t1.203s"), Some(1203));
        assert_eq!(read("ok  \texample.com/m/pkg/a\t1.203s\tcoverage: 80.0% of statements"), Some(1203));
        assert_eq!(read("ok  \texample.com/m/pkg/a\t(cached)"), None);
        assert_eq!(
            read("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.30s"),
            Some(1300)
        );
        assert_eq!(read("Finished `release` profile [optimized] target(s) in 1m 05s"), Some(65_000));
        assert_eq!(read("======== 12 passed in 65.03s (0:01:05) ========"), Some(65_030));
        assert_eq!(read("Resolved 7 packages in 587ms"), Some(587));
        assert_eq!(read("Total Test time (real) =   1.02 sec"), Some(1020));
        assert_eq!(read("webpack 5.91.0 compiled with 1 error in 2455 ms"), Some(2455));
        assert_eq!(read("144 packages installed [1388.00ms]"), Some(1388));
        assert_eq!(read("Time:        8.524 s, estimated 9 s"), Some(8524));
        assert_eq!(read("1 passing (1s)"), Some(1000));
        assert_eq!(read("➤ YN0000: · Done with warnings in 59s 337ms"), Some(59_337));
    }
}
