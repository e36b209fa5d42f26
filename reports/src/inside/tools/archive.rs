//! Archivers and compressors.

use super::Activity::Unpack;
use super::{Family, LineRule, ProcessRule, begins, rule};

const RULES: &[ProcessRule] =
    &[rule(&["tar", "bsdtar", "cpio", "unzip", "gzip", "gunzip", "bzip2", "xz", "unxz", "zstd", "7z"], "", Unpack)];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[begins("inflating: ", Unpack), begins("extracting: ", Unpack)];

pub(super) const FAMILY: Family = Family { names: &["tar", "unzip", "bsdtar"], rules: RULES, lines: LINES };

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
