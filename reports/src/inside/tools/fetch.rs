//! What fetches a file.

use super::Activity::Download;
use super::{Rule, rule};

pub(super) const RULES: &[Rule] =
    &[rule(&["curl", "wget", "aria2c", "gpg", "dirmngr", "sha256sum", "rsync"], "", Download)];

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn fetching_and_checking_is_download() {
        assert_eq!(of("curl -fsSL https://example.com/x"), Some(Download));
        assert_eq!(of("sha256sum -c sums"), Some(Download));
    }
}
