//! Reads just enough of an ELF file to recognise a static executable for this machine.

/// The reason why a file is not a static executable for this machine, or `None` if it is one.
pub(crate) fn fault(bytes: &[u8]) -> Option<String> {
    let read = || {
        let half = |at: usize| bytes.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let word = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        // Offsets of the ELF-64 header and its program headers (System V ABI, "Object Files").
        let (machine, headers) = (half(18)?, usize::try_from(word(32)?).ok()?);
        let (length, count) = (usize::from(half(54)?), usize::from(half(56)?));
        let kinds = (0..count).map(|n| word(headers.checked_add(n * length)?)).collect::<Option<Vec<_>>>()?;
        Some((machine, kinds))
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
    const PT_INTERP: u32 = 3;
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
    fn only_static_executables_are_accepted() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(fault(&own).as_deref(), Some("it is dynamically linked"));
        assert!(fault(b"#!/bin/sh\n").is_some());
        assert!(fault(&own[..40]).is_some());
    }
}
