//! Compilers and linkers of C and its relatives.

use super::Activity::{Compile, Link, Pack, Plan, Test};
use super::{Activity, Family, LineRule, ProcessRule, Says, ToolLine, begins, ended, is_assignment, rule};

/// The drivers (gcc, g++) only start these programs.
const RULES: &[ProcessRule] = &[
    // A compiler that starts nothing took the object from a cache: `ccache`, which may have the compiler's name.
    rule(&["ccache", "sccache", "gcc*", "g++*", "cc", "c++"], "=-c", Compile),
    // clang compiles by itself, and links if it is not told to stop before.
    rule(&["clang*"], "=-c", Compile),
    rule(&["clang*"], "=-S", Compile),
    rule(&["clang*"], "=-E", Compile),
    rule(&["clang*"], "=-cc1", Compile),
    rule(&["clang", "clang++", "clang-1*", "clang++-1*"], "=-o", Link),
    rule(&["cc1*", "as", "lto1", "lto-wrapper", "clang*", "f951", "nvcc", "javac", "swc"], "", Compile),
    rule(&["ld", "ld.*", "lld", "gold", "mold", "collect2", "ar", "ranlib", "strip", "objcopy"], "", Link),
    rule(&["sh", "bash", "dash", "libtool"], "/=libtool =--mode=compile", Compile),
    rule(&["sh", "bash", "dash", "libtool"], "/=libtool =--mode=link", Link),
    rule(&["sh", "bash", "dash", "libtool"], "/=libtool =--mode=install", Pack),
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

/// What is only removed is not built.
const CLEAN: &str = "clean distclean";
/// make prints no commands with these options.
const SILENT: &str = "clean distclean -s --silent --quiet";

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("[*%] Building ", Compile).by(BUILDERS).unless(CLEAN),
    begins("[*%] Linking ", Link).by(BUILDERS).unless(CLEAN),
    // Where it does not write to a terminal, ninja prints the line of a command at its end.
    ended("[*/*] Building ", Compile).by(BUILDERS).unless(CLEAN),
    ended("[*/*] Compiling ", Compile).by(BUILDERS).unless(CLEAN),
    ended("[*/*] Linking ", Link).by(BUILDERS).unless(CLEAN),
    begins("libtool: compile: ", Compile).unless(CLEAN),
    begins("CC  ", Compile).unless(CLEAN),
    begins("CXX  ", Compile).unless(CLEAN),
    begins("libtool: link: ", Link).unless(CLEAN),
    begins("CCLD  ", Link).unless(CLEAN),
    begins("CXXLD  ", Link).unless(CLEAN),
    begins("LD  ", Link).unless(CLEAN),
    begins("AR  ", Link).unless(CLEAN),
    // automake
    begins("make  check-TESTS", Test).by(&["make check", "make test"]),
    ended("PASS: ", Test).by(&["make check", "make test"]),
    ended("FAIL: ", Test).by(&["make check", "make test"]),
    begins("libtool: install: ", Pack).by(&["make install"]),
    begins("/usr/bin/install -c ", Pack).by(&["make install"]),
];

/// Programs that start a compiler.
const LAUNCHERS: &[&str] = &["ccache", "sccache", "distcc", "icecc", "env", "time"];
/// Compilers, which a directory or a system may precede and a version follow (`x86_64-linux-gnu-gcc-12`).
const COMPILERS: &[&str] = &["gcc", "g++", "cc", "c++", "clang", "clang++", "gfortran", "icx", "nvcc"];
/// The ends of the names of source files.
const SOURCES: &[&str] = &[".c", ".cc", ".cpp", ".cxx", ".C", ".m", ".f90", ".s", ".S"];

/// The meaning of a line that is a command of a compiler or an archiver. make prints it before it runs the command, and `ninja -v` with its
/// number at the end of the command.
pub(super) fn command_line(line: &str) -> Option<ToolLine> {
    let numbered = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).filter(|(of, _)| of.contains('/'));
    let commands = numbered.map_or(line, |(_, commands)| commands);
    let activity = commands.split("&&").find_map(activity)?;
    let says = if numbered.is_some() { Says::Ended(activity) } else { Says::Begins(activity) };
    let names = if numbered.is_some() { BUILDERS } else { FAMILY.names };
    Some(ToolLine { unless: SILENT, ..ToolLine::of(says, names) })
}

/// The activity of a command of a compiler or an archiver.
fn activity(command: &str) -> Option<Activity> {
    let name = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        name.trim_end_matches(|next: char| next.is_ascii_digit() || next == '.' || next == '-').to_owned()
    };
    let is_prefix = |word: &&str| is_assignment(word) || LAUNCHERS.contains(&&*name(word));
    let mut words = command.split_whitespace().skip_while(is_prefix);
    let program = name(words.next()?);
    let is = |one: &str| program == one || program.strip_suffix(one).is_some_and(|before| before.ends_with('-'));
    if is("ar") {
        let archives = |how: &str| how.trim_start_matches('-').starts_with(['c', 'r', 'q']);
        return words.next().is_some_and(archives).then_some(Link);
    }
    if !COMPILERS.iter().any(|compiler| is(compiler)) {
        return None;
    }
    let words: Vec<&str> = words.collect();
    let has_source = || words.iter().any(|word| SOURCES.iter().any(|end| word.ends_with(end)));
    if words.iter().any(|word| ["-c", "-S", "-E"].contains(word)) {
        return Some(Compile);
    }
    words.contains(&"-o").then(|| if has_source() { Compile } else { Link })
}

pub(super) const FAMILY: Family = Family {
    names: &["make", "gmake", "ninja", "cmake", "gcc", "g++", "cc", "c++", "clang", "clang++", "samu", "meson"],
    rules: RULES,
    lines: LINES,
};

#[cfg(test)]
mod tests {
    use super::super::command::{known_by_words, words_of};
    use super::super::{below, of};
    use super::*;

    /// Processes of `make check` in a package of automake 1.16.
    #[test]
    fn a_make_below_a_test_is_a_part_of_it() {
        let within =
            |above, command| below(above, known_by_words(&words_of(command)), false).map(|known| known.activity);
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

    /// Lines of GNU make 4.3, ninja 1.11, CMake 3.25 and meson 1.0 with ccache 4.7, and a question of autoconf 2.71.
    #[test]
    fn a_command_of_a_compiler_is_known_with_what_starts_it() {
        let says = |text| command_line(text).map(|line| line.says);
        let (compiles, links) = (Some(Says::Begins(Compile)), Some(Says::Begins(Link)));
        assert_eq!(says("ccache gcc -O2 -c -o src/main.o src/main.c"), compiles);
        assert_eq!(says("/usr/bin/x86_64-linux-gnu-gcc-12 -O2 -c main.c"), compiles);
        assert_eq!(says("echo x > main.c && gcc -c main.c"), compiles);
        assert_eq!(says("TERM='dumb' gcc -I . -fPIC -c x.c"), compiles);
        assert_eq!(says("gcc -o app main.o d/lib.a"), links);
        assert_eq!(says("gcc -O2 -o app main.c"), compiles, "mostly");
        assert_eq!(says("ar rc lib.a p0.o p1.o"), links);
        assert_eq!(says("[1/7] ccache cc -Iapp.p -MD -o app.p/a.c.o -c a.c"), Some(Says::Ended(Compile)));
        assert_eq!(says("[4/7] rm -f libparts.a && gcc-ar csrDT libparts.a a.o"), Some(Says::Ended(Link)));
        assert_eq!(says("[7/7] c++  -o cx cx.p/a.cpp.o -Wl,--as-needed"), Some(Says::Ended(Link)));
        for other in [
            "checking whether gcc understands -c and -o together... yes",
            "gcc --version",
            "ar t lib.a",
            "rm -f src/*.o app",
            "",
        ] {
            assert_eq!(says(other), None, "{other}");
        }
    }
}
