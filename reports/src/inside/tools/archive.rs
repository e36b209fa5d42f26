//! Archives and what compresses them.

use super::Activity::Unpack;
use super::{Rule, rule};

pub(super) const RULES: &[Rule] =
    &[rule(&["tar", "bsdtar", "cpio", "unzip", "gzip", "gunzip", "bzip2", "xz", "unxz", "zstd", "7z"], "", Unpack)];

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn unpacking_has_many_programs() {
        assert_eq!(of("tar xzf x.tar.gz"), Some(Unpack));
        assert_eq!(of("xz -dc"), Some(Unpack));
    }
}
