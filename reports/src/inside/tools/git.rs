//! git.

use super::Activity::{Download, Unpack};
use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(&["git-remote-https", "git-remote-http", "git-remote-htt*", "ssh"], "", Download),
    rule(&["git"], "index-pack", Unpack),
    rule(&["git"], "unpack-objects", Unpack),
    rule(&["git"], "checkout", Unpack),
    rule(&["git"], "fetch", Download),
    rule(&["git"], "clone", Download),
    rule(&["git"], "", Unpack),
];

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn a_clone_is_download_and_unpack() {
        assert_eq!(of("/usr/lib/git-core/git-remote-https origin https://example.com/x"), Some(Download));
        assert_eq!(of("/usr/lib/git-core/git index-pack --stdin"), Some(Unpack));
        assert_eq!(of("git clone --depth 1 https://example.com/x"), Some(Download));
    }
}
