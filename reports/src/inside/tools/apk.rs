//! apk of Alpine.

use super::Activity::{Plan, Scripts, Unpack};
use super::{Rule, rule};

/// One program does it all; what it waits for on the network is told apart by that.
pub(super) const RULES: &[Rule] = &[
    rule(&["*"], "/lib/apk/exec/", Scripts),
    rule(&["*"], "lib/apk/exec", Scripts),
    rule(&["apk"], "update", Plan),
    rule(&["apk"], "", Unpack),
];

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn scripts_are_told_apart() {
        assert_eq!(of("apk add --no-cache gcc"), Some(Unpack));
        assert_eq!(of("/bin/sh /lib/apk/exec/busybox-1.36.1-r2.trigger"), Some(Scripts));
    }
}
