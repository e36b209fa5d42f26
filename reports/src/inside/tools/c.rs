//! Compilers and linkers of C and its relatives.

use super::Activity::{Compile, Link, Pack, Plan, Test};
use super::{Family, LineRule, ProcessRule, begins, ended, rule};

/// The drivers (gcc, g++) only start these programs.
const RULES: &[ProcessRule] = &[
    // clang compiles by itself, and links if it is not told to stop before.
    rule(&["clang*"], "=-c", Compile),
    rule(&["clang*"], "=-S", Compile),
    rule(&["clang*"], "=-E", Compile),
    rule(&["clang*"], "=-cc1", Compile),
    rule(&["clang", "clang++", "clang-1*", "clang++-1*"], "=-o", Link),
    rule(&["cc1*", "as", "lto1", "lto-wrapper", "clang*", "f951", "nvcc", "javac", "swc"], "", Compile),
    rule(&["ld", "ld.*", "lld", "gold", "mold", "collect2", "ar", "ranlib", "strip", "objcopy"], "", Link),
    rule(&["sh", "bash", "dash", "libtool"], "libtool --mode=compile", Compile),
    rule(&["sh", "bash", "dash", "libtool"], "libtool --mode=link", Link),
    rule(&["sh", "bash", "dash", "libtool"], "libtool --mode=install", Pack),
    // What these start and is not a compiler is a test.
    rule(&["make", "gmake", "ninja"], "=test", Test),
    rule(&["make", "gmake", "ninja"], "=check", Test),
    rule(&["make", "gmake", "ninja", "samu"], "=install", Pack),
    rule(&["make", "gmake", "ninja", "samu"], "=install-strip", Pack),
    rule(&["make", "gmake", "ninja", "samu"], "=install/strip", Pack),
    rule(&["make", "gmake", "ninja", "samu", "bazel"], "", Plan),
];

/// Commands that build by the rules of a file.
const BUILDERS: &[&str] =
    &["make", "gmake", "ninja", "samu", "cmake --build", "meson compile", "meson test", "meson install"];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("[*%] Building ", Compile).by(BUILDERS),
    begins("[*%] Linking ", Link).by(BUILDERS),
    // Where it does not write to a terminal, ninja prints the line of a command at its end.
    ended("[*/*] Building ", Compile).by(BUILDERS),
    ended("[*/*] Compiling ", Compile).by(BUILDERS),
    ended("[*/*] Linking ", Link).by(BUILDERS),
    begins("gcc *-c ", Compile),
    begins("g++ *-c ", Compile),
    begins("cc *-c ", Compile),
    begins("c++ *-c ", Compile),
    begins("clang *-c ", Compile),
    begins("clang++ *-c ", Compile),
    begins("libtool: compile: ", Compile),
    begins("CC  ", Compile),
    begins("CXX  ", Compile),
    begins("gcc *-o ", Link),
    begins("g++ *-o ", Link),
    begins("cc *-o ", Link),
    begins("c++ *-o ", Link),
    begins("clang *-o ", Link),
    begins("clang++ *-o ", Link),
    begins("libtool: link: ", Link),
    begins("ar c", Link),
    begins("ar r", Link),
    begins("LD  ", Link),
    begins("AR  ", Link),
    // automake
    begins("make  check-TESTS", Test).by(&["make check", "make test"]),
    ended("PASS: ", Test).by(&["make check", "make test"]),
    ended("FAIL: ", Test).by(&["make check", "make test"]),
    begins("libtool: install: ", Pack).by(&["make install"]),
    begins("/usr/bin/install -c ", Pack).by(&["make install"]),
];

pub(super) const FAMILY: Family = Family {
    names: &["make", "gmake", "ninja", "cmake", "gcc", "g++", "cc", "c++", "clang", "clang++", "samu", "meson"],
    rules: RULES,
    lines: LINES,
};

#[cfg(test)]
mod tests {
    use super::super::{below, known_by_text, of};
    use super::*;

    /// Processes of `make check` in a package of automake 1.16.
    #[test]
    fn a_make_below_a_test_is_a_part_of_it() {
        let within = |above, command| below(above, known_by_text(command)).map(|known| known.activity);
        assert_eq!(within(of("make check"), "make check-TESTS"), Some(Test));
        assert_eq!(within(Some(Test), "make t.sh.log"), Some(Test));
        assert_eq!(within(Some(Test), "/bin/bash ./libtool --tag=CC --mode=compile gcc -c a.c"), Some(Compile));
        assert_eq!(within(of("make -j2"), "make -C sub"), Some(Plan));
    }

    /// Command lines that `gcc -v` prints (GCC 12).
    #[test]
    fn a_driver_starts_compiler_assembler_and_linker() {
        assert_eq!(of("/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet x.c"), Some(Compile));
        assert_eq!(of("/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus -quiet x.cc"), Some(Compile));
        assert_eq!(of("as --64 -o x.o /tmp/y.s"), Some(Compile));
        assert_eq!(of("/usr/lib/gcc/x86_64-linux-gnu/12/collect2 -dynamic-linker /lib64/ld.so x.o"), Some(Link));
        assert_eq!(of("/usr/bin/ld.bfd -o x x.o"), Some(Link));
        assert_eq!(of("make -j8"), Some(Plan));
        assert_eq!(of("clang++ -O2 -c a.cc -o a.o"), Some(Compile));
        assert_eq!(
            of("/usr/lib/llvm-14/bin/clang -cc1 -triple x86_64-pc-linux-gnu -emit-obj -o /tmp/a.o"),
            Some(Compile)
        );
        assert_eq!(of("clang++ -fuse-ld=lld -o app a.o b.o"), Some(Link));
        assert_eq!(of("clang++ a.cc"), Some(Compile));
    }
}
