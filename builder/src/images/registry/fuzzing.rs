//! Entry points for the fuzz targets.

use super::challenge::Challenge;

pub(in crate::images) fn challenge(header: &str) {
    if let Some(Challenge::Bearer { realm, .. }) = Challenge::parse(header) {
        assert!(header.contains(&realm));
    }
}
