//! Transfers in the progress output, in BuildKit's format: `sha256:ab12cd34ef56 10.49MB / 29.13MB`.

use buildscope_builder::images::{Direction, Transfer};
use std::collections::HashMap;

/// The title of an image's transfer.
pub(super) fn title(moved: &Transfer) -> String {
    format!(
        "{} {}",
        match moved.direction {
            Direction::Push => "pushing",
            Direction::Pull => "pulling",
        },
        moved.image
    )
}

/// The progress of a blob.
pub(super) fn line(moved: &Transfer) -> String {
    format!("sha256:{} {} / {}", moved.blob.short(), megabytes(moved.current), megabytes(moved.total))
}

/// The progress of all started blobs of an image.
#[derive(Debug, Default)]
pub(super) struct TransferSum(HashMap<buildscope_record::BlobDigest, (u64, u64)>);

impl TransferSum {
    /// Adds the progress of a blob. Returns whether all started blobs are complete.
    pub(super) fn add(&mut self, moved: &Transfer) -> bool {
        self.0.insert(moved.blob, (moved.current, moved.total));
        self.0.values().all(|(current, total)| current >= total)
    }

    /// `39.6MB / 77.1MB`
    pub(super) fn line(&self) -> String {
        let of = |part: fn(&(u64, u64)) -> u64| megabytes(self.0.values().map(part).sum());
        format!("{} / {}", of(|pair| pair.0), of(|pair| pair.1))
    }
}

/// Formats bytes in decimal units, as BuildKit does.
fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}B"),
        1_000..1_000_000 => format!("{:.2}kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2}MB", bytes as f64 / 1e6),
        _ => format!("{:.2}GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::BlobDigest;

    #[test]
    fn blobs_are_summed_in_decimal_units() {
        let blob = |name: &str, current, total| Transfer {
            image: "example.org/a:1".into(),
            direction: Direction::Pull,
            blob: BlobDigest::of(name),
            current,
            total,
        };
        let mut sum = TransferSum::default();
        assert!(!sum.add(&blob("a", 999, 10_490_000)));
        assert!(!sum.add(&blob("b", 1_500, 1_500)));
        assert_eq!(sum.line(), "2.50kB / 10.49MB");
        assert!(sum.add(&blob("a", 10_490_000, 10_490_000)));
        // SHA-256 of "b".
        assert_eq!(line(&blob("b", 1, 2)), "sha256:3e23e8160039 1B / 2B");
        assert_eq!(title(&blob("b", 1, 2)), "pulling example.org/a:1");
    }
}
