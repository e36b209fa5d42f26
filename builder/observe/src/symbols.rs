//! The functions of a program or library of a step, from the file's own symbol table. Names are as the compiler mangled them.

use crate::procfs;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Object, ObjectSymbol, ReadCache, ReadRef, SymbolKind, elf};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;

/// The size above which a file is not read, because it would take too long, in bytes.
const LARGEST: u64 = 1 << 30;

/// The number of attempts to open a file while renames elsewhere disturb it. One call of thousands fails.
const ATTEMPTS: usize = 100;

/// The address and the offset of a segment of a file.
#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    size: u64,
    address: u64,
}

/// The functions of one file.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    segments: Vec<Segment>,
    /// The address, size and name of each function, sorted by address.
    functions: Vec<(u64, u64, String)>,
}

impl Symbols {
    /// Reads the symbols of a file in the root directory of a process. The result is empty if the file is not a program. `None` if it cannot
    /// be opened, because the process has ended or the file is gone.
    pub(crate) fn of(pid: i32, path: &str) -> Option<Self> {
        open(pid, path, LARGEST).map(|file| Self::read(file).unwrap_or_default())
    }

    fn read(file: File) -> Option<Self> {
        let cache = ReadCache::new(file);
        let file = object::File::parse(&cache).ok()?;
        let mut functions: Vec<(u64, u64, String)> = file
            .symbols()
            .chain(file.dynamic_symbols())
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.address() > 0)
            .filter_map(|symbol| Some((symbol.address(), symbol.size(), procfs::shown(symbol.name_bytes().ok()?))))
            .collect();
        functions.sort_unstable();
        functions.dedup_by_key(|(address, ..)| *address);
        Some(Self { segments: segments(&cache), functions })
    }

    /// A function whose mangled name has this text, and its offset in the file.
    #[cfg(test)]
    pub(crate) fn any(&self, text: &str) -> Option<(&str, u64)> {
        let (address, _, name) = self.functions.iter().find(|(_, size, name)| *size > 4 && name.contains(text))?;
        let within = |segment: &&Segment| (segment.address..segment.address + segment.size).contains(address);
        let segment = self.segments.iter().find(within)?;
        Some((name, address - segment.address + segment.offset))
    }

    /// The mangled name of the function at an offset of the file.
    pub(crate) fn function(&self, offset: u64) -> Option<&str> {
        self.at(offset).map(|(_, _, name)| &**name)
    }

    /// Whether a function can return to an offset. Nothing returns to the first instruction of a function, unless the one before it ends with a
    /// call.
    pub(crate) fn may_return_to(&self, offset: u64) -> bool {
        let Some((start, ..)) = self.at(offset) else { return true };
        let before = offset.checked_sub(1).and_then(|before| self.at(before));
        before.is_some_and(|(other, size, _)| other == start || *size > 0)
    }

    fn at(&self, offset: u64) -> Option<&(u64, u64, String)> {
        let within =
            |segment: &&Segment| (segment.offset..segment.offset.saturating_add(segment.size)).contains(&offset);
        let segment = self.segments.iter().find(within)?;
        let address = offset.wrapping_sub(segment.offset).wrapping_add(segment.address);
        let at = self.functions.partition_point(|(start, ..)| *start <= address).checked_sub(1)?;
        let function = &self.functions[at];
        // Functions in assembly may have no size.
        (function.1 == 0 || address - function.0 < function.1).then_some(function)
    }
}

/// Opens a file of up to this size as the process would: links are followed in its own root directory only. `None` if it is not a regular file.
pub(crate) fn open(pid: i32, path: &str, largest: u64) -> Option<File> {
    let root = rustix::fs::open(format!("/proc/{pid}/root"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let open = || rustix::fs::openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT);
    // Renames and mounts anywhere on the machine race with a `..` in the path or in a link (openat2(2)).
    let file = File::from(
        std::iter::repeat_with(open).take(ATTEMPTS).find(|opened| !matches!(opened, Err(Errno::AGAIN)))?.ok()?,
    );
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && metadata.len() <= largest).then_some(file)
}

/// The loaded segments of a file of either word size.
fn segments<'d>(data: impl ReadRef<'d>) -> Vec<Segment> {
    fn of<'d, H: FileHeader>(data: impl ReadRef<'d>) -> Option<Vec<Segment>> {
        let header = H::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let loaded = header.program_headers(endian, data).ok()?.iter();
        let segment = |program: &H::ProgramHeader| Segment {
            offset: program.p_offset(endian).into(),
            size: program.p_filesz(endian).into(),
            address: program.p_vaddr(endian).into(),
        };
        Some(loaded.filter(|program| program.p_type(endian) == elf::PT_LOAD).map(segment).collect())
    }
    of::<elf::FileHeader64<object::Endianness>>(data)
        .or_else(|| of::<elf::FileHeader32<object::Endianness>>(data))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test program has its own symbols.
    #[test]
    fn a_function_is_found_by_its_place_in_the_file() {
        let path = std::env::current_exe().unwrap();
        let symbols = Symbols::of(std::process::id() as i32, path.to_str().unwrap()).unwrap();
        let (name, offset) = symbols.any("7Symbols4read").unwrap();
        assert_eq!(symbols.function(offset + 3), Some(name));
        assert_eq!(symbols.function(u64::MAX), None);
    }

    /// A pointer to a function in the data of a program is not a place to which a function returns.
    #[test]
    fn functions_do_not_return_to_the_start_of_a_function() {
        let functions = [(0x1000, 0, "a".to_owned()), (0x1010, 0x10, "b".to_owned()), (0x1020, 0x10, "c".to_owned())];
        let segments = vec![Segment { offset: 0, size: 0x2000, address: 0 }];
        let symbols = Symbols { segments, functions: functions.into() };
        let may: Vec<u64> = (0xfff..0x1025).step_by(1).filter(|&offset| !symbols.may_return_to(offset)).collect();
        assert_eq!(may, [0x1000, 0x1010], "b may end with a call of a function that never returns");
    }

    #[test]
    fn files_that_are_not_programs_have_no_symbols() {
        assert!(Symbols::of(std::process::id() as i32, "/etc/passwd").unwrap().functions.is_empty());
        assert!(Symbols::of(std::process::id() as i32, "/nowhere").is_none());
    }
}
