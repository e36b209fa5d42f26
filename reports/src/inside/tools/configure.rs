//! Programs that examine the machine, and test runners: configure, autoconf, CMake, meson.

use super::Activity::{Configure, Pack, Plan, Test};
use super::{Family, LineRule, ProcessRule, begins, ended, rule};

const RULES: &[ProcessRule] = &[
    rule(
        &["configure", "autoconf", "automake", "aclocal", "autoheader", "autoreconf", "m4", "libtoolize", "pkg-config"],
        "",
        Configure,
    ),
    rule(&["sh", "bash", "dash"], "/=configure", Configure),
    rule(&["meson"], "=test", Test),
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
    rule(&["sh", "bash", "dash"], ">test.sh", Test),
    rule(&["sh", "bash", "dash"], ">tests.sh", Test),
    rule(&["sh", "bash", "dash"], ">run-tests", Test),
    rule(&["sh", "bash", "dash"], ">run_tests", Test),
];

/// Commands that make a `configure`.
const AUTOTOOLS: &[&str] = &["autoreconf", "automake", "libtoolize", "autogen.sh", "bootstrap"];
/// Commands that install what was built.
const INSTALLERS: &[&str] = &["make install", "ninja install", "cmake --install", "meson install"];
/// Commands that run the tests of CMake and meson.
const TESTERS: &[&str] = &["ctest", "meson test", "make test", "make check", "ninja test"];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("checking ", Configure).by(&["configure"]),
    begins("configure: ", Configure).by(&["configure"]),
    begins("config.status: ", Configure).by(&["configure", "config.status"]),
    begins("autoreconf: ", Configure).by(AUTOTOOLS),
    begins("libtoolize: ", Configure).by(AUTOTOOLS),
    begins("configure.ac:", Configure).by(AUTOTOOLS),
    begins("-- The *compiler identification", Configure).unless("--build"),
    begins("-- Detecting ", Configure).unless("--build"),
    begins("-- Looking for ", Configure).unless("--build"),
    begins("-- Performing Test ", Configure).unless("--build"),
    begins("-- Check for working ", Configure).unless("--build"),
    ended("-- Configuring done", Configure).unless("--build"),
    ended("-- Build files have been written", Configure).unless("--build").last(),
    begins("-- Install configuration: ", Pack).by(INSTALLERS),
    begins("-- Installing: ", Pack).by(INSTALLERS),
    begins("The Meson build system", Configure),
    ended("Found ninja-", Configure).last(),
    begins("[0/1] Installing files", Pack).by(INSTALLERS),
    begins("Installing * to /", Pack).by(INSTALLERS),
    begins("Test project ", Test).by(TESTERS),
    begins("Start *: ", Test).by(TESTERS),
    ended("*% tests passed", Test).by(TESTERS),
    ended("*/* * OK ", Test).by(TESTERS),
    ended("*/* * FAIL ", Test).by(TESTERS),
    ended("Full log written to ", Test).by(TESTERS).last(),
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
        assert_eq!(of("sh test.sh --fast"), Some(Test));
        assert_eq!(of("bash ./run-tests.sh"), Some(Test));
        assert_eq!(of("sh latest.sh"), None);
        assert_eq!(of("make -j4 check"), Some(Test));
        assert_eq!(of("make tests.o"), Some(Plan));
    }
}
