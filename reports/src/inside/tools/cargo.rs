//! cargo and rustc.

use super::Activity::{Compile, Configure, Download, Link, Plan, Test};
use super::{Family, LineRule, ProcessRule, begins, by_children, by_lines, ended, known, rule};
use buildscope_record::Process;

/// What the programs of build scripts are named.
const BUILD_SCRIPT: &str = "build-script";

const RULES: &[ProcessRule] = &[
    rule(&["rustc"], "=-vV", Plan),
    rule(&["rustc"], "--print=", Plan),
    rule(&["rustc", "rustdoc", "clippy-driver"], "", Compile),
    rule(&["build-script*"], "", Configure),
    // The directory of a target, of which there is one for each platform, may have any name.
    rule(&["*"], "^/debug/deps/", Test),
    rule(&["*"], "^/release/deps/", Test),
    rule(&["rust_out"], "^/rustdoctest", Test),
    rule(&["rust-lld", "rust-objcopy"], "", Link),
    by_children(&["cargo"], "=build", Compile),
    by_children(&["cargo"], "=check", Compile),
    by_children(&["cargo"], "=clippy", Compile),
    by_children(&["cargo"], "=install", Compile),
    by_children(&["cargo"], "=test", Compile),
    by_lines(&["cargo*"], "", Plan),
];

/// Whether a process with these ancestors, the nearest first, builds a library for a build script, as the crates `cc` and `cmake` do. What
/// the script compiles of Rust only examines the compiler, and a `configure` that it starts examines the machine.
pub(in crate::inside) fn builds_library<'p>(program: &str, mut ancestors: impl Iterator<Item = &'p Process>) -> bool {
    let configures = |process: &&Process| known(process).is_some_and(|known| known.activity == Configure);
    let by = if program == "rustc" { None } else { ancestors.find(configures) };
    by.is_some_and(|process| process.program.starts_with(BUILD_SCRIPT))
}

/// Commands that run tests.
const TESTERS: &[&str] = &["cargo test", "cargo t", "cargo bench", "cargo llvm-cov"];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("Updating crates.io index", Download),
    begins("Updating git repository", Download),
    begins("Downloading crates", Download),
    // Maven prints `Downloaded from`.
    ended("Downloaded * v", Download),
    ended("Downloaded * crate", Download),
    begins("Compiling ", Compile).unless("fetch"),
    begins("Checking ", Compile).unless("fetch"),
    ended("Finished *target(s)", Compile).unless("fetch").took().last(),
    begins("Running `*rustc --crate-name ", Compile).unless("fetch"),
    begins("Running *deps/", Test).by(TESTERS).follows(),
    begins("Doc-tests ", Test).by(TESTERS).follows(),
    ended("test result: ", Test).by(TESTERS).timed().each(),
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
