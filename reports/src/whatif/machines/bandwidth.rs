//! A bandwidth on the command line.

use buildscope_record::ByteSize;
use std::fmt;
use std::str::FromStr;

/// A bandwidth above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bandwidth(f64);

/// A text that is not a bandwidth.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid bandwidth `{0}`: write 100MB/s (bytes) or 1Gbit/s (bits)")]
pub struct InvalidBandwidth(String);

impl Bandwidth {
    /// The bandwidth in bytes per second.
    pub(crate) fn bytes_per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Bandwidth {
    type Err = InvalidBandwidth;

    /// A number, a prefix (`k`, `M`, `G`, `T`; binary with an `i`), `B` for bytes or `bit` or `b` for bits, and `/s` or `ps`.
    fn from_str(text: &str) -> Result<Self, InvalidBandwidth> {
        parse(text.trim()).map(Self).ok_or_else(|| InvalidBandwidth(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<f64> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let unit = unit.strip_suffix("/s").or_else(|| unit.strip_suffix("ps"))?;
    // The case of the unit matters: `Mb` are bits, `MB` are bytes. That of the prefix does not.
    let (prefix, bytes) = match unit {
        unit if unit.ends_with("bit") => (unit.strip_suffix("bit")?, 0.125),
        unit if unit.ends_with('b') => (unit.strip_suffix('b')?, 0.125),
        unit => (unit.strip_suffix('B')?, 1.0),
    };
    let factor = match prefix.to_ascii_lowercase().as_str() {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "ki" => 1024.0,
        "mi" => 1024.0 * 1024.0,
        "gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    let bytes = number * factor * bytes;
    (bytes > 0.0 && bytes.is_finite()).then_some(bytes)
}

impl fmt::Display for Bandwidth {
    /// Writes bytes per second: `125 MB/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A float-to-integer `as` saturates.
        write!(f, "{}/s", ByteSize(self.0.round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<f64> {
        text.parse::<Bandwidth>().ok().map(Bandwidth::bytes_per_second)
    }

    #[test]
    fn bytes_and_bits_differ_by_the_case_of_the_unit() {
        for text in ["125MB/s", "1Gbit/s", "1 Gb/s", "1gbit/s", "1000Mbps", "125MBps", "0.125 GB/s"] {
            assert_eq!(read(text), Some(125e6), "{text}");
        }
        assert_eq!(read("1MiB/s"), Some(1_048_576.0));
        assert_eq!(read("8bit/s"), Some(1.0));
        assert_eq!("1Gbit/s".parse::<Bandwidth>().unwrap().to_string(), "125 MB/s");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "100", "100MB", "MB/s", "0MB/s", "-1MB/s", "1XB/s", "infMB/s", "nanMB/s", "1e999MB/s", "1M/s"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
