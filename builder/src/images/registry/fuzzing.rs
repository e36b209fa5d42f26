//! Entry points for the fuzz targets.

use super::challenge::Challenge;

pub(in crate::images) fn challenge(header: &str) {
    if let Some(Challenge::Bearer { realm, .. }) = Challenge::first_supported(header) {
        // Without escapes, a value is a part of the header.
        assert!(header.contains('\\') || header.contains(&realm));
    }
}
