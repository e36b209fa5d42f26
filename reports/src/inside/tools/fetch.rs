//! Programs that download a file.

use super::Activity::Download;
use super::{Family, LineRule, ProcessRule, begins, ended, rule};

const RULES: &[ProcessRule] =
    &[rule(&["curl", "wget", "aria2c", "gpg", "dirmngr", "sha256sum", "rsync"], "", Download)];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("--20*  http", Download),
    begins("% Total    % Received", Download),
    begins("Saving to: ", Download),
    ended("20* saved [", Download),
];

pub(super) const FAMILY: Family = Family { names: &["curl", "wget", "aria2c"], rules: RULES, lines: LINES };

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
