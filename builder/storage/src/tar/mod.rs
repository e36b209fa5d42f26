//! The tar format of layers.
//!
//! *Takes* entries and *gives* headers, and the reverse. Archives are written as POSIX.1-2024 `pax` (plain "ustar" where that is
//! enough), which every image tool reads. GNU's extensions are read, too. *Must never know* the store.
//!
//! A header is a pure function of its entry: it has no user or group names, no access or change times, and modification times in
//! whole seconds, as BuildKit and docker write them. The layer's index keeps the fraction of a second for later steps of the
//! build, because `make` compares it.

mod extended;
mod header;
mod member;
mod read;
mod sparse;
#[cfg(test)]
mod tests;
mod write;

pub use header::{Header, read_number, read_signed, write_octal};
pub use member::{Member, MemberKind, Sparse, SparsePiece};
pub use read::Reader;
pub use write::encode;

/// The block size in bytes: headers and data start at multiples of it.
pub const BLOCK: u64 = 512;

/// The end of an archive: two blocks of zeros.
pub const END: [u8; 1024] = [0; 1024];

/// The size of `size` bytes of data in an archive, with padding.
pub(crate) fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// The prefix of pax records for extended attributes. It comes from star, and all image tools write it.
const XATTR: &str = "SCHILY.xattr.";
