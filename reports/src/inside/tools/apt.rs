//! apt and dpkg.

use super::Activity::{Download, Plan, Scripts, Unpack};
use super::{Rule, rule};

/// apt's methods are programs of the scheme's name in `/usr/lib/apt/methods`; dpkg's scripts lie in `/var/lib/dpkg`.
pub(super) const RULES: &[Rule] = &[
    rule(&["http", "https", "store", "gpgv", "sqv", "file", "copy", "rred"], "", Download),
    rule(&["*"], "/var/lib/dpkg/info/", Scripts),
    rule(&["*"], "/var/lib/dpkg/tmp.ci/", Scripts),
    rule(&["dpkg"], "--configure", Scripts),
    rule(&["dpkg"], "--unpack", Unpack),
    rule(&["dpkg-deb", "dpkg-split"], "", Unpack),
    rule(&["dpkg"], "", Unpack),
    rule(&["apt-get", "apt"], "update", Download),
    rule(&["apt-get", "apt", "apt-cache", "apt-config", "dpkg-query", "dpkg-preconfigure"], "", Plan),
];

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
