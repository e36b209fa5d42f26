//! Sizes and durations on the command line.

use buildscope_record::ByteSize;
use miette::miette;
use std::time::Duration;

/// Parses a number with a decimal (`MB`) or binary (`MiB`) unit.
pub(super) fn bytes(text: &str) -> Result<ByteSize, miette::Report> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) = lower.split_at(lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len()));
    let factor: u64 = match unit {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(miette!("invalid size `{text}`: write 500MB or 10GiB")),
    };
    match number.trim().parse::<f64>().map(|number| number * factor as f64) {
        Ok(bytes) if (0.0..u64::MAX as f64).contains(&bytes) => Ok(ByteSize(bytes as u64)),
        _ => Err(miette!("invalid size `{text}`: write 500MB or 10GiB")),
    }
}

/// Parses a number with a unit: microseconds, milliseconds, seconds, minutes, hours, days.
pub(super) fn duration(text: &str) -> Result<Duration, miette::Report> {
    let wrong = || miette!("invalid duration `{text}`: write 10ms, 90s, 30m, 12h or 7d");
    let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
    let factor = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_have_common_units() {
        assert_eq!(bytes("10GB").unwrap(), ByteSize(10_000_000_000));
        assert_eq!(bytes("1.5 KiB").unwrap(), ByteSize(1536));
        assert_eq!(duration("7d").unwrap(), Duration::from_secs(604_800));
        assert_eq!(duration("1.5h").unwrap(), Duration::from_secs(5_400));
        assert_eq!(duration("10ms").unwrap(), Duration::from_millis(10));
        assert_eq!(["250us", "250µs"].map(|text| duration(text).unwrap()), [Duration::from_micros(250); 2]);
        assert!(bytes("99999999999999999999").is_err() && bytes("20000000TiB").is_err());
        assert!(bytes("ten").is_err() && duration("1y").is_err() && duration("-1s").is_err());
    }
}
