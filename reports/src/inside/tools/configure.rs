//! Programs that examine the machine, and test runners: configure, autoconf, CMake, meson.

use super::Activity::{Configure, Pack, Plan, Test};
use super::{Family, LineRule, ProcessRule, begins, ended, rule};

const RULES: &[ProcessRule] = &[
    rule(
        &["configure", "autoconf", "automake", "aclocal", "autoheader", "autoreconf", "m4", "libtoolize", "pkg-config"],
        "",
        Configure,
    ),
    rule(&["sh", "bash", "dash"], "/configure", Configure),
    rule(&["meson"], "test", Test),
    rule(&["cmake"], "=--build", Plan),
    rule(&["cmake"], "=-E", Plan),
    rule(&["meson"], "=compile", Plan),
    rule(&["cmake"], "=--install", Pack),
    rule(&["meson"], "=install", Pack),
    rule(&["python*"], "/bin/meson =install", Pack),
    rule(&["cmake", "meson", "config.status"], "", Configure),
    rule(&["ctest", "prove", "bats", "phpunit", "rspec"], "", Test),
    // A project's own script is known by its name.
    rule(&["run-tests*", "run_tests*", "runtests*", "test.sh", "tests.sh"], "", Test),
];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("checking ", Configure),
    begins("configure: ", Configure),
    begins("config.status: ", Configure),
    begins("autoreconf: ", Configure),
    begins("-- The *compiler identification", Configure),
    begins("-- Detecting ", Configure),
    begins("-- Looking for ", Configure),
    begins("-- Performing Test ", Configure),
    begins("-- Check for working ", Configure),
    ended("-- Configuring done", Configure),
    ended("-- Build files have been written", Configure),
    begins("The Meson build system", Configure),
    begins("Test project ", Test),
    begins("Start *: ", Test),
    ended("*% tests passed", Test),
];

pub(super) const FAMILY: Family =
    Family { names: &["cmake", "meson", "configure", "autoreconf", "autoconf", "ctest"], rules: RULES, lines: LINES };

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn a_script_named_configure_configures() {
        assert_eq!(of("/bin/sh ./configure --prefix=/usr"), Some(Configure));
        assert_eq!(of("cmake -S . -B build"), Some(Configure));
        assert_eq!(of("ctest --test-dir build"), Some(Test));
        assert_eq!(of("/src/run-tests --fast"), Some(Test));
        assert_eq!(of("make -j4 check"), Some(Test));
        assert_eq!(of("make tests.o"), Some(Plan));
    }
}
