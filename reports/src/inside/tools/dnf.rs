//! dnf, yum, microdnf, zypper, rpm and rpmbuild.

use super::Activity::{Compile, Download, Pack, Plan, Scripts, Test, Unpack};
use super::{Family, LineRule, ProcessRule, begins, by_lines, ended, rule};

/// One program resolves, downloads and unpacks; scripts of packages are shells that it starts with files of rpm. The shells of rpmbuild have
/// the option `-e` and do what it does at that time.
const RULES: &[ProcessRule] = &[
    rule(&["*"], ">/var/tmp/rpm-tmp.", Scripts),
    rule(&["dnf*", "yum", "microdnf", "zypper"], "makecache", Download),
    rule(&["dnf*", "yum", "microdnf", "zypper"], "clean", Plan),
    rule(&["dnf*", "yum", "microdnf", "zypper"], "repolist", Plan),
    by_lines(&["dnf*", "yum", "microdnf", "zypper"], "", Unpack),
    by_lines(&["rpmbuild"], "", Pack),
    rule(&["rpm", "rpm2cpio", "rpmdb"], "", Unpack),
    rule(&["rpmkeys"], "", Plan),
];

/// Lines as dnf 4, dnf 5, yum and microdnf print them.
const LINES: &[LineRule] = &[
    begins("Last metadata expiration check", Plan),
    begins("Loaded plugins: ", Plan),
    begins("Resolving Dependencies", Plan),
    begins("Dependencies resolved", Plan),
    begins("Updating and loading repositories", Download),
    ended("Repositories loaded.", Download),
    begins("Downloading Packages", Download),
    begins("Downloading packages", Download),
    begins("Total size of inbound packages", Download),
    begins("(*/*): ", Download),
    ended("Total download size", Plan),
    begins("Running transaction check", Plan),
    begins("Running transaction test", Plan),
    begins("Running transaction", Unpack),
    // Where they do not write to a terminal, dnf 4 and yum print the line of a package or a script at its end.
    ended("Installing : ", Unpack),
    ended("Installing  *: ", Unpack),
    ended("Reinstalling *: ", Unpack),
    ended("Updating  *: ", Unpack),
    ended("Upgrading  *: ", Unpack),
    ended("Cleanup  *: ", Unpack),
    ended("Erasing  *: ", Unpack),
    // So does dnf 5.
    ended("[*/*] Verify package files", Unpack),
    ended("[*/*] Prepare transaction", Unpack),
    ended("[*/*] Installing *% | ", Unpack),
    ended("[*/*] Reinstalling *% | ", Unpack),
    ended("[*/*] Upgrading *% | ", Unpack),
    ended("[*/*] Removing *% | ", Unpack),
    ended("Running scriptlet: ", Scripts),
    begins(">>> Running * scriptlet: ", Scripts),
    ended(">>> Stop * scriptlet: ", Scripts),
    begins("Verifying  *: ", Unpack),
    ended("Complete!", Unpack).last(),
    ended("Metadata cache created", Download).last(),
    begins("Executing(%prep): ", Unpack),
    begins("Executing(%generate_buildrequires): ", Plan),
    begins("Executing(%build): ", Compile),
    begins("Executing(%install): ", Pack),
    begins("Executing(%check): ", Test),
    begins("Processing files: ", Pack),
];

pub(super) const FAMILY: Family =
    Family { names: &["dnf", "dnf5", "yum", "microdnf", "zypper", "rpm", "rpmbuild"], rules: RULES, lines: LINES };

#[cfg(test)]
mod tests {
    use super::super::{Says, line, of};
    use super::*;

    #[test]
    fn an_install_is_unpacking_and_scripts() {
        assert_eq!(of("dnf install -y gcc"), Some(Unpack));
        assert_eq!(of("yum -y makecache"), Some(Download));
        assert_eq!(of("/bin/sh /var/tmp/rpm-tmp.a1b2c3 1"), Some(Scripts));
    }

    /// Lines of dnf 4 in its manual's example of an installation.
    #[test]
    fn lines_name_its_activity() {
        let says = |text| line(text).map(|line| line.says);
        assert_eq!(says("Downloading Packages:"), Some(Says::Begins(Download)));
        assert_eq!(says("  Running scriptlet: glibc-2.34-60.el9.x86_64      3/5"), Some(Says::Ended(Scripts)));
        assert_eq!(says("  Installing       : gcc-11.3.1-4.el9.x86_64       4/5"), Some(Says::Ended(Unpack)));
        assert_eq!(says("Complete!"), Some(Says::Ended(Unpack)));
    }
}
