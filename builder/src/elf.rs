//! Reads just enough of an ELF file to recognise a static executable for this machine, or the loader of another one.

/// The type of the program header that has the path of the loader.
const PT_INTERP: u32 = 3;

/// The program headers of a 64-bit little-endian ELF file, as offsets into it (System V ABI, "Object Files"). `None` if they are
/// beyond the end of `bytes`.
fn program_headers(bytes: &[u8]) -> Option<impl Iterator<Item = usize>> {
    // Offsets of the ELF-64 header.
    let table = usize::try_from(number(bytes, 32)?).ok()?;
    let (length, count) = (usize::from(half(bytes, 54)?), usize::from(half(bytes, 56)?));
    table.checked_add(length * count).filter(|end| *end <= bytes.len())?;
    Some((0..count).map(move |header| table + header * length))
}

/// The path of the loader that an executable needs, from the beginning of its file. `None` if it needs none.
pub(crate) fn loader(bytes: &[u8]) -> Option<&str> {
    let header = program_headers(bytes)?.find(|header| word(bytes, *header) == Some(PT_INTERP))?;
    // Offsets of the fields of an ELF-64 program header: offset and length of the segment in the file.
    let start = usize::try_from(number(bytes, header.checked_add(8)?)?).ok()?;
    let length = usize::try_from(number(bytes, header.checked_add(32)?)?).ok()?;
    let path = bytes.get(start..start.checked_add(length)?)?;
    std::str::from_utf8(path.strip_suffix(b"\0").unwrap_or(path)).ok()
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The reason why a file is not a static executable for this machine, or `None` if it is one.
pub(crate) fn reject_reason(bytes: &[u8]) -> Option<String> {
    let read = || {
        let kinds = program_headers(bytes)?.map(|header| word(bytes, header)).collect::<Option<Vec<_>>>()?;
        Some((half(bytes, 18)?, kinds))
    };
    // Magic, 64 bits, little endian.
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return Some("not a 64-bit little-endian ELF executable".into());
    }
    let Some((machine, kinds)) = read() else { return Some("its ELF header is damaged".into()) };
    let ours = match std::env::consts::ARCH {
        "x86_64" => 62,
        "aarch64" => 183,
        "riscv64" => 243,
        _ => machine,
    };
    if machine != ours {
        Some(format!("it is for another machine (ELF machine {machine})"))
    } else if kinds.contains(&PT_INTERP) {
        Some("it is dynamically linked".into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_of_a_dynamic_executable_is_found() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let path = loader(&own[..64 << 10]).unwrap();
        assert!(path.contains("ld-") && std::path::Path::new(path).exists(), "{path}");
        assert_eq!(loader(&own[..40]), None);
    }

    #[test]
    fn only_static_executables_are_accepted() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(reject_reason(&own).as_deref(), Some("it is dynamically linked"));
        assert!(reject_reason(b"#!/bin/sh\n").is_some());
        assert!(reject_reason(&own[..40]).is_some());
    }
}
