//! What finds out what a machine has, and runs tests: configure, autoconf, CMake, meson.

use super::Activity::{Configure, Test};
use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(
        &["configure", "autoconf", "automake", "aclocal", "autoheader", "autoreconf", "m4", "libtoolize", "pkg-config"],
        "",
        Configure,
    ),
    rule(&["sh", "bash", "dash"], "/configure", Configure),
    rule(&["meson"], "test", Test),
    rule(&["cmake", "meson", "config.status"], "", Configure),
    rule(&["ctest"], "", Test),
];

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn a_script_named_configure_configures() {
        assert_eq!(of("/bin/sh ./configure --prefix=/usr"), Some(Configure));
        assert_eq!(of("cmake -S . -B build"), Some(Configure));
        assert_eq!(of("ctest --test-dir build"), Some(Test));
    }
}
