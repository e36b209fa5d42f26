//! cargo and rustc.

use super::Activity::{Compile, Configure, Download, Link, Plan, Test};
use super::{Family, LineRule, ProcessRule, begins, by_lines, ended, rule};

const RULES: &[ProcessRule] = &[
    rule(&["rustc"], "=-vV", Plan),
    rule(&["rustc"], "--print=", Plan),
    rule(&["rustc", "rustdoc", "clippy-driver"], "", Compile),
    rule(&["build-script*"], "", Configure),
    rule(&["*"], "^/target/debug/deps/", Test),
    rule(&["*"], "^/target/release/deps/", Test),
    rule(&["rust-lld", "rust-objcopy"], "", Link),
    by_lines(&["cargo*"], "", Plan),
];

/// Commands that run tests.
const TESTERS: &[&str] = &["cargo test", "cargo t", "cargo bench", "cargo llvm-cov"];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("Updating crates.io index", Download),
    begins("Updating git repository", Download),
    begins("Downloading crates", Download),
    ended("Downloaded ", Download),
    begins("Compiling ", Compile).unless("fetch"),
    begins("Checking ", Compile).unless("fetch"),
    ended("Finished *target(s)", Compile).unless("fetch").last(),
    ended("Finished `", Compile).unless("fetch").last(),
    begins("Running *(target/", Test).by(TESTERS),
    begins("Running unittests ", Test).by(TESTERS),
    begins("Doc-tests ", Test).by(TESTERS),
    ended("test result: ", Test).by(TESTERS),
];

pub(super) const FAMILY: Family = Family { names: &["cargo"], rules: RULES, lines: LINES };

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn a_build_is_compiled_crates_and_their_scripts() {
        assert_eq!(of("rustc --crate-name serde --edition=2021 src/lib.rs"), Some(Compile));
        assert_eq!(of("/target/release/build/ring-0a1b/build-script-build"), Some(Configure));
        assert_eq!(of("cargo build --release"), Some(Plan));
        assert_eq!(of("/app/target/debug/deps/app-fde6250bf8ba432b"), Some(Test));
        assert_eq!(of("cc -m64 /app/target/debug/deps/app.o"), None, "it does what rustc does");
    }
}
