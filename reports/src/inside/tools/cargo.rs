//! cargo and rustc.

use super::Activity::{Compile, Configure, Link, Plan};
use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(&["rustc", "rustdoc", "clippy-driver"], "", Compile),
    rule(&["build-script*"], "", Configure),
    rule(&["rust-lld", "rust-objcopy"], "", Link),
    rule(&["cargo*"], "", Plan),
];

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn a_build_is_compiled_crates_and_their_scripts() {
        assert_eq!(of("rustc --crate-name serde --edition=2021 src/lib.rs"), Some(Compile));
        assert_eq!(of("/target/release/build/ring-0a1b/build-script-build"), Some(Configure));
        assert_eq!(of("cargo build --release"), Some(Plan));
    }
}
