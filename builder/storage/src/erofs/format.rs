//! The on-disk structures of EROFS (fs/erofs/erofs_fs.h of the kernel), as far as we write them.
//!
//! Field names are the kernel's without their prefixes. Reserved fields are zero.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout};

/// The magic of the superblock.
pub(super) const MAGIC: u32 = 0xE0F5_E1E2;
/// The offset of the superblock in bytes.
pub(super) const SUPERBLOCK_AT: usize = 1024;
/// `EROFS_FEATURE_INCOMPAT_CHUNKED_FILE`: files may be stored in chunks.
pub(super) const INCOMPAT_CHUNKED_FILE: u32 = 0x4;
/// `EROFS_FEATURE_INCOMPAT_DEVICE_TABLE`: data may be on further devices.
pub(super) const INCOMPAT_DEVICE_TABLE: u32 = 0x8;
/// Bytes per inode number: an inode's number is its offset divided by this.
pub(super) const INODE_SLOT: usize = 32;
/// `EROFS_CHUNK_FORMAT_INDEXES`: chunks have a [`ChunkIndex`], which names the device.
pub(super) const CHUNK_FORMAT_INDEXES: u32 = 0x20;
/// The largest chunk as a binary logarithm of blocks: `EROFS_CHUNK_FORMAT_BLKBITS_MASK` has five bits.
pub(super) const MAX_CHUNK_BITS: u32 = 31;

/// `erofs_super_block`.
#[derive(FromZeros, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Superblock {
    /// [`MAGIC`].
    pub(super) magic: U32,
    /// CRC-32C of the block. Unused without `EROFS_FEATURE_COMPAT_SB_CHKSUM`.
    pub(super) checksum: U32,
    pub(super) feature_compat: U32,
    /// The binary logarithm of the block size in bytes.
    pub(super) blkszbits: u8,
    pub(super) sb_extslots: u8,
    /// The inode number of the root.
    pub(super) root_nid: U16,
    /// The number of inodes.
    pub(super) inos: U64,
    /// The time of all compact inodes; we write extended ones.
    pub(super) build_time: U64,
    pub(super) build_time_nsec: U32,
    /// The size of the image in blocks.
    pub(super) blocks: U32,
    /// The block from which inode numbers are counted.
    pub(super) meta_blkaddr: U32,
    pub(super) xattr_blkaddr: U32,
    pub(super) uuid: [u8; 16],
    pub(super) volume_name: [u8; 16],
    pub(super) feature_incompat: U32,
    pub(super) available_compr_algs: U16,
    /// The number of further devices.
    pub(super) extra_devices: U16,
    /// The offset of the device table in units of [`DeviceSlot`].
    pub(super) devt_slotoff: U16,
    pub(super) dirblkbits: u8,
    pub(super) xattr_prefix_count: u8,
    pub(super) xattr_prefix_start: U32,
    pub(super) packed_nid: U64,
    pub(super) reserved: [u8; 24],
}

const _: () = assert!(size_of::<Superblock>() == 128);

/// `erofs_deviceslot`: an entry of the device table.
#[derive(FromZeros, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct DeviceSlot {
    pub(super) tag: [u8; 64],
    /// The size of the device in blocks.
    pub(super) blocks: U32,
    pub(super) uniaddr: U32,
    pub(super) reserved: [u8; 56],
}

const _: () = assert!(size_of::<DeviceSlot>() == 128);

/// The layout of an inode's data: `erofs_inode_datalayout`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub(super) enum DataLayout {
    /// In consecutive blocks.
    FlatPlain = 0,
    /// Directly after the inode.
    FlatInline = 2,
    /// In chunks, whose indexes follow the inode.
    ChunkBased = 4,
}

impl DataLayout {
    /// The field `format` of an extended inode with this layout: bit 0 is the version of the inode.
    pub(super) fn extended(self) -> U16 {
        U16::new((self as u16) << 1 | 1)
    }
}

/// `erofs_inode_extended`.
#[derive(FromZeros, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Inode {
    /// [`DataLayout::extended`].
    pub(super) format: U16,
    /// The size of the attributes: see [`xattr_icount`].
    pub(super) xattr_icount: U16,
    /// Type and permissions, as in `st_mode`.
    pub(super) mode: U16,
    pub(super) nb: U16,
    /// The apparent size in bytes.
    pub(super) size: U64,
    /// The first block of flat data, the device number, or [`CHUNK_FORMAT_INDEXES`] with the chunk size.
    pub(super) u: U32,
    /// The inode number for `stat` on 32-bit systems.
    pub(super) ino: U32,
    pub(super) uid: U32,
    pub(super) gid: U32,
    /// Seconds since 1970, in two's complement.
    pub(super) mtime: U64,
    pub(super) mtime_nsec: U32,
    pub(super) nlink: U32,
    pub(super) reserved: [u8; 16],
}

const _: () = assert!(size_of::<Inode>() == 64);

/// `erofs_xattr_ibody_header`: precedes the attributes of an inode.
#[derive(FromZeros, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct XattrHeader {
    pub(super) name_filter: U32,
    pub(super) shared_count: u8,
    pub(super) reserved: [u8; 7],
}

const _: () = assert!(size_of::<XattrHeader>() == 12);

/// `erofs_xattr_entry`: name and value follow it, and padding to [`XATTR_ALIGN`].
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct XattrEntry {
    /// The length of the name without its prefix.
    pub(super) name_len: u8,
    /// The number of the prefix.
    pub(super) name_index: u8,
    pub(super) value_size: U16,
}

/// The alignment of attributes in bytes.
pub(super) const XATTR_ALIGN: usize = 4;
/// Prefixes of attribute names and their numbers. A name without one of them cannot be stored.
pub(super) const XATTR_PREFIXES: [(&[u8], u8); 5] = [
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"user.", 1),
    (b"trusted.", 4),
    (b"security.", 6),
];

/// The field `xattr_icount` for attributes of `size` bytes, with their header: 0 without attributes, otherwise the number of
/// four-byte words after the header, plus 1.
pub(super) fn xattr_icount(size: usize) -> usize {
    if size == 0 { 0 } else { (size - size_of::<XattrHeader>()) / XATTR_ALIGN + 1 }
}

/// `erofs_dirent`: an entry of a directory block. The names follow all entries of the block.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Dirent {
    /// The inode number.
    pub(super) nid: U64,
    /// The offset of the name in the block.
    pub(super) nameoff: U16,
    pub(super) file_type: u8,
    pub(super) reserved: u8,
}

const _: () = assert!(size_of::<Dirent>() == 12);

/// `erofs_inode_chunk_index`: the location of a chunk.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ChunkIndex {
    pub(super) advise: U16,
    /// 0 is the image itself, 1 the first further device.
    pub(super) device_id: U16,
    /// The first block of the chunk on the device.
    pub(super) blkaddr: U32,
}

const _: () = assert!(size_of::<ChunkIndex>() == 8);

/// The type in directory entries, and the type bits of a mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FileType {
    /// `EROFS_FT_*`.
    pub(super) dirent: u8,
    /// `S_IF*` (inode(7)).
    pub(super) mode: u32,
}

impl FileType {
    pub(super) const REGULAR: Self = Self { dirent: 1, mode: 0o100_000 };
    pub(super) const DIRECTORY: Self = Self { dirent: 2, mode: 0o040_000 };
    pub(super) const CHAR_DEVICE: Self = Self { dirent: 3, mode: 0o020_000 };
    pub(super) const BLOCK_DEVICE: Self = Self { dirent: 4, mode: 0o060_000 };
    pub(super) const FIFO: Self = Self { dirent: 5, mode: 0o010_000 };
    pub(super) const SYMLINK: Self = Self { dirent: 7, mode: 0o120_000 };
}

/// A device number as the kernel's `new_encode_dev` packs it: twelve bits of the major number between two parts of the minor one.
pub(super) fn encode_device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12
}
