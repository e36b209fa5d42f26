//! What transfers are called in progress, as BuildKit shows them: `sha256:ab12cd34ef56 10.49MB / 29.13MB`.

use buildscope_builder::images::Moved;
use std::collections::HashMap;

/// What an image's transfer is called.
pub(super) fn title(moved: &Moved) -> String {
    format!("{} {}", if moved.push { "pushing" } else { "pulling" }, moved.image)
}

/// How far a blob is.
pub(super) fn line(moved: &Moved) -> String {
    format!("sha256:{} {} / {}", moved.blob.short(), megabytes(moved.current), megabytes(moved.total))
}

/// How far all blobs of an image are that have begun.
#[derive(Debug, Default)]
pub(super) struct Sum(HashMap<buildscope_record::BlobDigest, (u64, u64)>);

impl Sum {
    /// Takes a blob's news in; says whether all that have begun are there.
    pub(super) fn add(&mut self, moved: &Moved) -> bool {
        self.0.insert(moved.blob, (moved.current, moved.total));
        self.0.values().all(|(current, total)| current >= total)
    }

    /// `39.6MB / 77.1MB`
    pub(super) fn line(&self) -> String {
        let of = |part: fn(&(u64, u64)) -> u64| megabytes(self.0.values().map(part).sum());
        format!("{} / {}", of(|pair| pair.0), of(|pair| pair.1))
    }
}

/// In decimal units, as BuildKit writes sizes.
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
    fn sums_and_sizes() {
        let blob = |name: &str, current, total| Moved {
            image: "example.org/a:1".into(),
            push: false,
            blob: BlobDigest::of(name),
            current,
            total,
        };
        let mut sum = Sum::default();
        assert!(!sum.add(&blob("a", 999, 10_490_000)));
        assert!(!sum.add(&blob("b", 1_500, 1_500)));
        assert_eq!(sum.line(), "2.50kB / 10.49MB");
        assert!(sum.add(&blob("a", 10_490_000, 10_490_000)));
        // SHA-256 of "b".
        assert_eq!(line(&blob("b", 1, 2)), "sha256:3e23e8160039 1B / 2B");
        assert_eq!(title(&blob("b", 1, 2)), "pulling example.org/a:1");
    }
}
