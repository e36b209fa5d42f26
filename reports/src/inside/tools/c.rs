//! Compilers and linkers of C and its relatives.

use super::Activity::{Compile, Link, Plan};
use super::{Rule, rule};

/// The drivers (gcc, g++) only start these.
pub(super) const RULES: &[Rule] = &[
    rule(&["cc1*", "as", "lto1", "lto-wrapper", "clang*", "f951", "nvcc", "javac", "swc"], "", Compile),
    rule(&["ld", "ld.*", "lld", "gold", "mold", "collect2", "ar", "ranlib", "strip", "objcopy"], "", Link),
    rule(&["make", "gmake", "ninja", "samu", "bazel"], "", Plan),
];

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    /// Command lines that `gcc -v` prints (GCC 12).
    #[test]
    fn a_driver_starts_compiler_assembler_and_linker() {
        assert_eq!(of("/usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet x.c"), Some(Compile));
        assert_eq!(of("/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus -quiet x.cc"), Some(Compile));
        assert_eq!(of("as --64 -o x.o /tmp/y.s"), Some(Compile));
        assert_eq!(of("/usr/lib/gcc/x86_64-linux-gnu/12/collect2 -dynamic-linker /lib64/ld.so x.o"), Some(Link));
        assert_eq!(of("/usr/bin/ld.bfd -o x x.o"), Some(Link));
        assert_eq!(of("make -j8"), Some(Plan));
    }
}
