//! apt and dpkg.

use super::Activity::{Download, Pack, Plan, Scripts, Unpack};
use super::{Family, LineRule, ProcessRule, begins, ended, rule};

/// apt's methods are programs of the scheme's name in `/usr/lib/apt/methods`; dpkg's scripts lie in `/var/lib/dpkg`. A dpkg whose arguments
/// are unknown does what its parent does: it may be a process that dpkg started, or a question of apt-key.
const RULES: &[ProcessRule] = &[
    rule(&["http", "https", "store", "gpgv", "sqv", "file", "copy", "rred"], "", Download),
    rule(&["*"], "/var/lib/dpkg/info/", Scripts),
    rule(&["*"], "/var/lib/dpkg/tmp.ci/", Scripts),
    rule(&["dpkg"], "--configure", Scripts),
    rule(&["dpkg"], "--unpack", Unpack),
    rule(&["dpkg-deb"], "=--build", Pack),
    rule(&["dpkg-deb"], "=-b", Pack),
    rule(&["dpkg-deb", "dpkg-split"], "", Unpack),
    rule(&["dpkg"], "--print-", Plan),
    rule(&["dpkg"], "--assert-", Plan),
    rule(&["dpkg"], "--compare-versions", Plan),
    rule(&["dpkg"], "=-i", Unpack),
    rule(&["dpkg"], "=--install", Unpack),
    rule(&["apt-get", "apt"], "update", Download),
    rule(&["apt-get", "apt", "apt-cache", "apt-config", "dpkg-query", "dpkg-preconfigure"], "", Plan),
];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("Get:", Download),
    begins("Hit:", Download),
    begins("Ign:", Download),
    ended("Fetched ", Download),
    begins("Reading package lists", Plan),
    begins("Building dependency tree", Plan).unless("update"),
    begins("Selecting previously unselected package ", Unpack).unless("update"),
    begins("(Reading database ", Unpack).unless("update"),
    begins("Preparing to unpack ", Unpack).unless("update"),
    begins("Unpacking ", Unpack).unless("update"),
    begins("Setting up ", Scripts).unless("update"),
    begins("Processing triggers for ", Scripts).unless("update"),
    begins("Removing ", Scripts).unless("update"),
];

pub(super) const FAMILY: Family = Family { names: &["apt-get", "apt", "dpkg", "aptitude"], rules: RULES, lines: LINES };

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    /// Command lines of `apt-get update && apt-get install -y gcc` in Debian 12.
    #[test]
    fn an_install_is_download_unpack_and_scripts() {
        assert_eq!(of("/usr/lib/apt/methods/http"), Some(Download));
        assert_eq!(of("/usr/lib/apt/methods/gpgv"), Some(Download));
        assert_eq!(of("apt-get update"), Some(Download));
        assert_eq!(of("apt-get install -y gcc"), Some(Plan));
        assert_eq!(
            of("/usr/bin/dpkg --status-fd 19 --no-triggers --unpack --auto-deconfigure /var/cache/apt/archives/a.deb"),
            Some(Unpack)
        );
        assert_eq!(of("dpkg-deb --fsys-tarfile /var/cache/apt/archives/a.deb"), Some(Unpack));
        assert_eq!(of("/usr/bin/dpkg --status-fd 19 --configure --pending"), Some(Scripts));
        assert_eq!(of("/bin/sh /var/lib/dpkg/info/libc-bin.postinst triggered /lib/x"), Some(Scripts));
    }
}
