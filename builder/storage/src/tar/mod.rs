//! The tar format: what layers are made of.
//!
//! *Takes* entries, *gives* headers, and the reverse. Written: POSIX.1-2024 `pax` ("ustar" where it suffices), as
//! every image tool reads it. Read: that, and GNU's extensions. *Must never know* the store.
//!
//! A header is a pure function of its entry: no user or group names, no access or change times, and modification
//! times in whole seconds, as BuildKit and docker write them. (The fraction of a second is in the layer's index,
//! so that later steps of a build see it: `make` compares them.)

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Member, MemberKind, Reader};
pub use write::encode;

/// Headers and data begin at multiples of this.
pub const BLOCK: u64 = 512;

/// The end of an archive: two blocks of zeros.
pub const END: [u8; 1024] = [0; 1024];

/// What `size` bytes take in an archive.
pub fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK)
}

/// The prefix of pax records that hold extended attributes: star's, as all image tools write it.
const XATTR: &str = "SCHILY.xattr.";
