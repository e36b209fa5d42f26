//! What builds Debian's packages: dpkg-buildpackage and debhelper, which start the tools of the program that is packaged.

use super::Activity::{Compile, Configure, Pack, Plan, Test};
use super::{Family, LineRule, ProcessRule, begins, rule};

/// debhelper has a program for each of its steps.
const RULES: &[ProcessRule] = &[
    rule(&["dh_auto_configure", "dh_autoreconf", "dh_update_autotools_config"], "", Configure),
    rule(&["dh_auto_build"], "", Compile),
    rule(&["dh_auto_test"], "", Test),
    rule(&["dh_*", "dpkg-gencontrol", "dpkg-genbuildinfo", "dpkg-genchanges", "dpkg-shlibdeps"], "", Pack),
    rule(
        &[
            "dh",
            "debuild",
            "dpkg-buildpackage",
            "dpkg-source",
            "dpkg-architecture",
            "dpkg-parsechangelog",
            "dpkg-buildflags",
            "dpkg-checkbuilddeps",
        ],
        "",
        Plan,
    ),
];

/// `dh` prints the programs that it runs, behind spaces.
const LINES: &[LineRule] = &[
    begins("dh_update_autotools_config", Configure),
    begins("dh_autoreconf", Configure),
    begins("dh_auto_configure", Configure),
    begins("dh_auto_build", Compile),
    begins("dh_auto_test", Test),
    begins("dh_auto_install", Pack),
    begins("dh_builddeb", Pack),
    begins("dpkg-deb: building package", Pack),
];

pub(super) const FAMILY: Family = Family { names: &["dpkg-buildpackage", "debuild", "dh"], rules: RULES, lines: LINES };

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn each_program_of_debhelper_does_one_thing() {
        assert_eq!(of("/usr/bin/perl /usr/bin/dh_auto_test"), None, "the kernel names the script");
        assert_eq!(of("dh_auto_test"), Some(Test));
        assert_eq!(of("dh_installdocs"), Some(Pack));
        assert_eq!(of("dpkg-buildpackage -b -us -uc"), Some(Plan));
    }
}
