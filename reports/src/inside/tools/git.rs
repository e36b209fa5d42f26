//! git.

use super::Activity::{Download, Pack, Unpack};
use super::{Family, LineRule, ProcessRule, begins, rule};

const RULES: &[ProcessRule] = &[
    rule(&["git-remote-https", "git-remote-http", "git-remote-htt*", "ssh"], "", Download),
    rule(&["git"], "index-pack", Unpack),
    rule(&["git"], "unpack-objects", Unpack),
    rule(&["git"], "checkout", Unpack),
    rule(&["git"], "=switch", Unpack),
    rule(&["git"], "=restore", Unpack),
    rule(&["git"], "=reset", Unpack),
    rule(&["git"], "=apply", Unpack),
    rule(&["git"], "=am", Unpack),
    rule(&["git"], "fetch", Download),
    rule(&["git"], "clone", Download),
    rule(&["git"], "=pull", Download),
    rule(&["git"], "=ls-remote", Download),
    rule(&["git"], "=submodule", Download),
    rule(&["git"], "=add", Pack),
    rule(&["git"], "=commit", Pack),
    rule(&["git"], "=gc", Pack),
    rule(&["git"], "pack-objects", Pack),
];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("Cloning into ", Download),
    begins("remote: ", Download),
    begins("Receiving objects: ", Download),
    begins("Resolving deltas: ", Unpack),
    begins("Updating files: ", Unpack),
];

pub(super) const FAMILY: Family = Family { names: &["git"], rules: RULES, lines: LINES };

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

    #[test]
    fn a_commit_packs_and_a_question_does_nothing_known() {
        assert_eq!(of("git -c user.name=a commit -qm files"), Some(Pack));
        assert_eq!(of("git add ."), Some(Pack));
        assert_eq!(of("git rev-parse HEAD"), None);
        assert_eq!(of("git reset --hard v1.0"), Some(Unpack));
    }
}
