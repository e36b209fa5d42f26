//! Names of functions as their authors wrote them.
//!
//! The names come from files of a step, so they may be anything: a C++ name of a hundred bytes may stand for a text of terabytes, because
//! parts of it refer to earlier parts.

use cpp_demangle::{DemangleOptions, Symbol};
use std::fmt::{self, Write};

/// The length of a name that is shown, in characters.
const LONGEST: usize = 120;
/// The length above which a name is not demangled, in bytes.
const LONGEST_MANGLED: usize = 4096;
/// The most pieces of a C++ name that are written until it is cut. Pieces may be empty.
const PIECES: usize = 10_000;

/// The name of a Rust or C++ function without its mangling, shortened. Other names are only shortened.
pub(crate) fn demangled(name: &str) -> String {
    let shown = match name.len() {
        0..=LONGEST_MANGLED => rust(name).or_else(|| cpp(name)),
        _ => None,
    };
    let shown = shown.unwrap_or_else(|| name.to_owned());
    match shown.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

/// The name of a Rust function, of the legacy or the v0 scheme. The alternative form has no hash.
fn rust(name: &str) -> Option<String> {
    let mut start = Start::default();
    let name = rustc_demangle::try_demangle(name).ok()?;
    (write!(start, "{name:#}").is_ok() || start.is_cut()).then_some(start.text)
}

/// The name of a C++ function (Itanium C++ ABI), without the type that it returns.
fn cpp(name: &str) -> Option<String> {
    let symbol = Symbol::new(name).ok().filter(|_| name.starts_with("_Z"))?;
    let mut start = Start::default();
    let written = symbol.structured_demangle(&mut start, &DemangleOptions::new().no_return_type());
    (written.is_ok() || start.is_cut()).then_some(start.text)
}

/// The beginning of a text. Writing ends with an error where it is cut.
#[derive(Debug, Default)]
struct Start {
    text: String,
    pieces: usize,
}

impl Start {
    fn is_cut(&self) -> bool {
        self.pieces >= PIECES || self.text.len() > LONGEST * 4
    }
}

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.pieces += 1;
        self.text.push_str(text);
        if self.is_cut() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected names are those of c++filt of GNU binutils 2.40, without types that are returned, and of RFC 2603.
    #[test]
    fn names_are_as_their_authors_wrote_them() {
        for (mangled, expected) in [
            ("main", "main"),
            ("[libc.so.6]", "[libc.so.6]"),
            ("_start", "_start"),
            ("_ZN5space4spinEi", "space::spin(int)"),
            ("_ZSt9terminatev", "std::terminate()"),
            ("_ZN9WorkQueueC2ERKS_", "WorkQueue::WorkQueue(WorkQueue const&)"),
            (
                "_ZNKSt8__detail20_Prime_rehash_policy11_M_next_bktEm",
                "std::__detail::_Prime_rehash_policy::_M_next_bkt(unsigned long) const",
            ),
            ("_ZN3foo3barEv.cold", "foo::bar() [clone .cold]"),
            ("_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const"),
            ("_ZN1AIiLi3EEplERKS0_", "A<int, 3>::operator+(A<int, 3> const&)"),
            ("_ZN12_GLOBAL__N_14workEPv", "(anonymous namespace)::work(void*)"),
            (
                "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc",
                "std::operator<< <std::char_traits<char> >(std::basic_ostream<char, std::char_traits<char> >&, char const*)",
            ),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvCs15kBYyAo9fc_7mycrate7example", "mycrate::example"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_Z", "_Z"),
            ("_ZN5space4spinE", "space::spin"),
            ("_ZN5space4sp", "_ZN5space4sp"),
        ] {
            assert_eq!(demangled(mangled), expected);
        }
    }

    /// Each of 15 types has the one before twice, so the whole name has 2^16 `int`.
    #[test]
    fn a_name_is_bounded_however_often_it_refers_to_itself() {
        let digits = ('0'..='9').chain('A'..='Z').take(15);
        let again: String = digits.map(|digit| format!("S{digit}_E")).collect();
        let mangled = format!("_Z1f1P{}IiiE{again}", "IS_".repeat(15));
        assert!(demangled(&mangled).starts_with("f(P<P<P<"));
        for name in [mangled, format!("_ZN5space{}4spinEi", "1a".repeat(20_000)), "é".repeat(1000)] {
            assert!(demangled(&name).chars().count() <= LONGEST + 1, "{name}");
        }
    }
}
