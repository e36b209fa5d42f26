//! apk of Alpine.

use super::Activity::{Download, Plan, Scripts, Unpack};
use super::{Family, LineRule, ProcessRule, begins, by_lines, ended, rule};

/// One program downloads and installs; its waits for the network are the downloads.
const RULES: &[ProcessRule] =
    &[rule(&["*"], "lib/apk/exec", Scripts), rule(&["apk"], "update", Plan), by_lines(&["apk"], "", Unpack)];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("fetch http", Download),
    begins("(*) Installing ", Unpack),
    begins("(*) Upgrading ", Unpack),
    begins("(*) Purging ", Unpack),
    begins("Executing *.pre-install", Scripts),
    begins("Executing *.post-install", Scripts),
    begins("Executing *.trigger", Scripts),
    ended("OK: ", Scripts).last(),
];

pub(super) const FAMILY: Family = Family { names: &["apk"], rules: RULES, lines: LINES };

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn scripts_are_distinguished() {
        assert_eq!(of("apk add --no-cache gcc"), Some(Unpack));
        assert_eq!(of("/bin/sh /lib/apk/exec/busybox-1.36.1-r2.trigger"), Some(Scripts));
    }
}
