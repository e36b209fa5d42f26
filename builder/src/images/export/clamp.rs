//! `rewrite-timestamp`: clamps the file times in a layer's tar to an epoch, in place.
//!
//! Only the times in headers change, never the size of a header. So a layer can be rewritten while it is streamed, and
//! it keeps its size.

use buildscope_storage::tar::{self, Header, read_number, read_signed, write_octal};
use std::ops::Range;

/// The block size of a tar in bytes.
const BLOCK: usize = tar::BLOCK as usize;
/// The longest extended header, in bytes. Only the store's own layers are rewritten, and they do not have longer ones.
const LONGEST_EXTENDED: u64 = 1 << 20;

/// The first time that the header of a member cannot hold, in seconds since 1970: eleven octal digits end in the year 2242.
const END_OF_HEADER_TIMES: i64 = 1 << 33;

/// An error in the tar of a layer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a layer of the store is damaged: {0}")]
pub(crate) struct ClampError(&'static str);

/// Rewrites the headers of a tar that is passed in pieces.
#[derive(Debug)]
pub(crate) struct Clamp {
    epoch: i64,
    /// The number of bytes before the next header: the rest of the data, with its padding.
    data: u64,
    /// The extended header that is being read.
    extended: Option<Extended>,
    /// The size of the next member, if an extended header has it.
    size: Option<u64>,
    ended: bool,
}

#[derive(Debug)]
struct Extended {
    bytes: Vec<u8>,
    wanted: usize,
    /// Whether this is a pax header (`x`, `g`), not a long name of GNU tar (`L`, `K`).
    pax: bool,
}

impl Clamp {
    /// Replaces times later than `epoch` (seconds since 1970) by it.
    pub(crate) fn new(epoch: i64) -> Self {
        Self { epoch, data: 0, extended: None, size: None, ended: false }
    }

    /// Rewrites the next piece of the tar. Every piece but the last has a multiple of 512 bytes.
    pub(crate) fn apply(&mut self, piece: &mut [u8]) -> Result<(), ClampError> {
        let mut at = 0;
        while at < piece.len() && !self.ended {
            let rest = (piece.len() - at) as u64;
            if let Some(extended) = &mut self.extended {
                let block = &mut piece[at..(at + BLOCK).min(rest as usize + at)];
                let take = (extended.wanted - extended.bytes.len()).min(block.len());
                let before = extended.bytes.len();
                extended.bytes.extend_from_slice(&block[..take]);
                if extended.pax {
                    clamp_records(&extended.bytes, before, &mut block[..take], self.epoch);
                }
                if extended.bytes.len() == extended.wanted {
                    self.finish_extended();
                }
                at += BLOCK;
            } else if self.data > 0 {
                let skip = self.data.min(rest);
                self.data -= skip;
                at += skip as usize;
            } else {
                let header = piece.get_mut(at..at + BLOCK).and_then(Header::of_mut);
                let header = header.ok_or(ClampError("it ends inside a header"))?;
                self.header(header)?;
                at += BLOCK;
            }
        }
        Ok(())
    }

    fn header(&mut self, header: &mut Header) -> Result<(), ClampError> {
        if header.is_zero() {
            self.ended = true;
            return Ok(());
        }
        let size = read_number(&header.size).ok_or(ClampError("invalid size field"))?;
        match header.typeflag {
            kind @ (b'x' | b'g' | b'L' | b'K') => {
                if size > LONGEST_EXTENDED {
                    return Err(ClampError("an extended header is too long"));
                }
                if size > 0 {
                    let (wanted, pax) = (size as usize, matches!(kind, b'x' | b'g'));
                    self.extended = Some(Extended { bytes: Vec::with_capacity(wanted), wanted, pax });
                }
            }
            kind => {
                let size = self.size.take().unwrap_or(size);
                // Only regular files have data. The size field of other types has no meaning.
                let stored = if matches!(kind, b'0' | 0 | b'7') { size } else { 0 };
                self.data = stored.checked_next_multiple_of(BLOCK as u64).ok_or(ClampError("a size is too large"))?;
            }
        }
        let mtime = read_signed(&header.mtime).ok_or(ClampError("invalid time field"))?;
        if mtime > self.epoch {
            write_octal(&mut header.mtime, u64::try_from(self.epoch).unwrap_or_default());
            header.update_checksum();
        }
        Ok(())
    }

    fn finish_extended(&mut self) {
        let Some(Extended { bytes, pax: true, .. }) = self.extended.take() else { return };
        for record in records(&bytes).filter(|record| record.key == b"size") {
            let digits = bytes.get(record.value).and_then(|value| std::str::from_utf8(value).ok());
            self.size = digits.and_then(|digits| digits.parse().ok());
        }
    }
}

/// Clamps the times in the last part of the extended header `bytes`, from `from` on. `part` is that part of the tar.
///
/// The store writes whole seconds into the header of a member, and a record only for times that do not fit there: before 1970, which is before
/// any epoch, or from [`END_OF_HEADER_TIMES`] on. A value keeps its length, with zeros before the digits.
fn clamp_records(bytes: &[u8], from: usize, part: &mut [u8], epoch: i64) {
    if epoch >= END_OF_HEADER_TIMES {
        return;
    }
    for Record { value, .. } in records(bytes).filter(|record| record.key == b"mtime") {
        if bytes.get(value.start).is_none_or(|&first| first == b'-') {
            continue;
        }
        let clamped = format!("{:0>width$}", epoch.max(0), width = value.len());
        for (place, digit) in value.zip(clamped.bytes()) {
            if let Some(byte) = place.checked_sub(from).and_then(|place| part.get_mut(place)) {
                *byte = digit;
            }
        }
    }
}

/// A record of an extended header.
struct Record<'h> {
    key: &'h [u8],
    /// The place of its value, which may be behind the end of what is known of the header.
    value: Range<usize>,
}

/// The `LENGTH KEY=VALUE\n` records of an extended header, or of its beginning, up to the first malformed one.
fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let space = rest.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let equals = space + rest[space..].iter().position(|&byte| byte == b'=')?;
        let value = at + equals + 1..at.checked_add(length)?.checked_sub(1)?;
        at += length;
        (value.start <= value.end).then_some(Record { key: &rest[space + 1..equals], value })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// The output of a script that must succeed, in a folder.
    fn run(folder: &Path, script: &str) -> String {
        let output = Command::new("sh").arg("-ec").arg(script).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// GNU tar writes the archive and reads it back.
    #[test]
    fn only_times_after_the_epoch_change() {
        let folder = tempfile::tempdir().unwrap();
        let run = |command: &str| run(folder.path(), command);
        run("mkdir -p in/$(printf 'd%.0s' $(seq 120))/$(printf 'e%.0s' $(seq 120))
             head -c 3000000 /dev/urandom > in/new; head -c 700 /dev/urandom > in/old; ln -s new in/link; ln in/new in/hard
             touch in/$(printf 'd%.0s' $(seq 120))/$(printf 'e%.0s' $(seq 120))/deep
             touch -d @1400000000 in/old
             tar --format=posix --pax-option=delete=mtime,delete=atime,delete=ctime -cf pax.tar in; tar --format=gnu -cf gnu.tar in");
        for name in ["pax.tar", "gnu.tar"] {
            let mut bytes = std::fs::read(folder.path().join(name)).unwrap();
            // Pieces of one block put borders everywhere, also inside extended headers.
            let mut clamp = Clamp::new(1_500_000_000);
            bytes.chunks_mut(BLOCK).for_each(|piece| clamp.apply(piece).unwrap());
            let mut whole = std::fs::read(folder.path().join(name)).unwrap();
            Clamp::new(1_500_000_000).apply(&mut whole).unwrap();
            assert!(bytes == whole, "{name}: the size of the pieces changes nothing");
            std::fs::write(folder.path().join("out.tar"), bytes).unwrap();
            let times = run("rm -rf out; mkdir out; tar -xf out.tar -C out; find out/in -printf '%T@ %f\\n' | sort -u");
            for line in times.lines() {
                let (time, file) = line.split_once(' ').unwrap();
                let expected = if file == "old" { "1400000000" } else { "1500000000" };
                assert_eq!(time.split('.').next(), Some(expected), "{name}: {file}");
            }
            run(
                "cmp in/new out/in/new; cmp in/old out/in/old; [ out/in/new -ef out/in/hard ]; [ $(find out/in | wc -l) = 8 ]",
            );
        }
    }

    /// A record in the extended header of GNU tar, of a file of the year 2300. The name puts the record on the border of two blocks, at one length
    /// or another.
    #[test]
    fn times_that_do_not_fit_into_a_header_are_clamped() {
        let folder = tempfile::tempdir().unwrap();
        let run = |command: &str| run(folder.path(), command);
        for length in [1, 225, 230, 235, 240, 245] {
            run(&format!(
                "mkdir in; cd in; mkdir -p $(printf 'd%.0s' $(seq 240)); f=$(printf 'd%.0s' $(seq 240))/$(printf 'e%.0s' $(seq {length}))
                 touch -d @10413792000 $f; ln -s x old; touch -h -d @-5 old
                 tar --format=posix --pax-option=delete=atime,delete=ctime -cf ../far.tar $f old"
            ));
            let mut bytes = std::fs::read(folder.path().join("far.tar")).unwrap();
            let mut clamp = Clamp::new(1_500_000_000);
            bytes.chunks_mut(BLOCK).for_each(|piece| clamp.apply(piece).unwrap());
            std::fs::write(folder.path().join("far.tar"), bytes).unwrap();
            let times = run(
                "rm -r in; mkdir out; tar -xf far.tar -C out; find out -type f -printf '%T@\\n'; find out -type l -printf '%T@\\n'; rm -r out",
            );
            let times: Vec<_> = times.lines().filter_map(|time| time.split('.').next()).collect();
            assert_eq!(times, ["1500000000", "-5"], "{length}");
        }
    }
}
