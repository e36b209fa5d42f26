//! Archivers and compressors.

use super::Activity::{Pack, Unpack};
use super::{Family, LineRule, ProcessRule, begins, rule};

const RULES: &[ProcessRule] = &[
    rule(&["tar", "bsdtar"], "=--create", Pack),
    rule(&["tar", "bsdtar"], "~cfCITX", Pack),
    // Its first argument may be letters of options without a `-`.
    rule(&["tar", "bsdtar"], ">~cfCITX", Pack),
    rule(&["tar", "bsdtar", "cpio", "unzip", "gunzip", "zcat", "bunzip2", "unxz", "xzcat", "unzstd", "7z"], "", Unpack),
    rule(PACKERS, "~dST", Unpack),
    rule(PACKERS, "=--decompress", Unpack),
    rule(PACKERS, "=--uncompress", Unpack),
    rule(PACKERS, "", Pack),
];
/// Programs that compress a file, without an option that reverses it.
const PACKERS: &[&str] = &["gzip", "pigz", "bzip2", "xz", "zstd", "zip"];

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
        assert_eq!(of("xz --decompress a.xz"), Some(Unpack));
        assert_eq!(of("unzip -q a.zip"), Some(Unpack));
        assert_eq!(of("tar xf c.tar"), Some(Unpack));
        assert_eq!(of("tar -xfc.tar -C c"), Some(Unpack));
    }

    /// Programs that `tar czf` and `dpkg-deb --build` start.
    #[test]
    fn packing_is_the_opposite() {
        assert_eq!(of("tar czf x.tar.gz dir"), Some(Pack));
        assert_eq!(of("tar -cf - --format=gnu --null"), Some(Pack));
        assert_eq!(of("tar -C / -c dir"), Some(Pack));
        assert_eq!(of("gzip -9nf a.1"), Some(Pack));
        assert_eq!(of("xz -T0 a"), Some(Pack));
        assert_eq!(of("gzip d"), Some(Pack));
    }
}
