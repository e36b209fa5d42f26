//! Nodes: the files, directories and links of an image, and their inodes.

use super::format::{
    CHUNK_FORMAT_INDEXES, ChunkIndex, DataLayout, FileType, INODE_SLOT, Inode, MAX_CHUNK_BITS, XATTR_ALIGN,
    XATTR_PREFIXES, XattrEntry, XattrHeader, encode_device, xattr_icount,
};
use super::{BLOCK, BLOCK_BITS, put, too_large};
use crate::tree::read_content;
use crate::{BlobStore, Content, Entry, EntryKind, Extent, Layer, StorageError};
use buildscope_record::{BlobDigest, DiffId};
use std::os::unix::ffi::OsStrExt;
use zerocopy::{FromZeros, IntoBytes};

/// A file, directory or link of the image.
pub(super) struct ErofsNode {
    pub(super) entry: Entry,
    content: Content,
    pub(super) parent: usize,
    pub(super) children: Vec<usize>,
    /// For a hard link: the node of its file.
    pub(super) same: Option<usize>,
    /// The number of its names.
    pub(super) names: u32,
    /// The attributes as they follow the inode.
    pub(super) xattrs: Vec<u8>,
    /// Whether `data` (a symlink's target) directly follows the inode.
    pub(super) inline: bool,
    /// The offset of the inode in the image.
    pub(super) at: usize,
    /// The first block of a file's data in the tar.
    tar_block: Option<u64>,
    /// The first block of `data` in the image.
    pub(super) block: u32,
    /// Data in the image itself.
    pub(super) data: Vec<u8>,
}

impl ErofsNode {
    pub(super) fn new(entry: Entry, content: Content, parent: usize) -> Self {
        Self {
            entry,
            content,
            parent,
            children: Vec::new(),
            same: None,
            names: 1,
            xattrs: Vec::new(),
            inline: false,
            at: 0,
            tar_block: None,
            block: 0,
            data: Vec::new(),
        }
    }

    /// Determines the attributes and data to store with the node.
    pub(super) fn prepare(&mut self, blobs: &BlobStore, layer: &Layer) -> Result<(), StorageError> {
        self.xattrs = xattrs(&self.entry)?;
        match &self.entry.kind {
            EntryKind::Symlink { target } => {
                self.data = target.as_os_str().as_bytes().to_vec();
                self.inline = size_of::<Inode>() + self.xattrs.len() + self.data.len() <= BLOCK;
            }
            EntryKind::File { size } if *size > 0 => {
                // The kernel reads whole blocks. A tar may end within a block, although it should not.
                let whole = layer.size / BLOCK as u64;
                let fits = |block: &u64| block + size.div_ceil(BLOCK as u64) <= whole;
                self.tar_block = tar_block(&self.content, &layer.diff_id).filter(fits);
                if self.tar_block.is_some() {
                    return Ok(());
                }
                // The tar cannot serve a sparse file of another tool whose pieces are not aligned, or another name of a file of a
                // lower layer. The image stores a copy of the data.
                self.data = vec![0; usize::try_from(*size).map_err(|_| too_large())?];
                read_content(blobs, &self.content, 0, &mut self.data)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        match &self.entry.kind {
            EntryKind::File { size } => *size,
            _ => self.data.len() as u64,
        }
    }

    /// Whether the data is in the tar.
    pub(super) fn is_chunked(&self) -> bool {
        matches!(self.entry.kind, EntryKind::File { size } if size > 0) && self.data.is_empty()
    }

    /// Bytes of inline data or chunk indexes that follow the inode and its attributes.
    pub(super) fn tail_len(&self) -> usize {
        if self.inline {
            self.data.len()
        } else if self.is_chunked() {
            size_of::<ChunkIndex>() * self.chunks() as usize
        } else {
            0
        }
    }

    /// The size of its chunks: the binary logarithm of the number of blocks. One chunk holds the whole file, up to a terabyte.
    fn chunk_bits(&self) -> u32 {
        let blocks = self.size().div_ceil(BLOCK as u64).max(1);
        blocks.next_power_of_two().trailing_zeros().min(MAX_CHUNK_BITS)
    }

    fn chunks(&self) -> u64 {
        self.size().div_ceil(1 << (BLOCK_BITS + self.chunk_bits()))
    }

    pub(super) fn file_type(&self) -> FileType {
        match self.entry.kind {
            EntryKind::File { .. } | EntryKind::HardLink { .. } => FileType::REGULAR,
            EntryKind::Directory => FileType::DIRECTORY,
            EntryKind::CharDevice { .. } => FileType::CHAR_DEVICE,
            EntryKind::BlockDevice { .. } => FileType::BLOCK_DEVICE,
            EntryKind::Fifo => FileType::FIFO,
            EntryKind::Symlink { .. } => FileType::SYMLINK,
        }
    }

    fn inode(&self) -> Inode {
        let (layout, u) = match &self.entry.kind {
            EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
                (DataLayout::FlatPlain, encode_device(*major, *minor))
            }
            _ if self.inline => (DataLayout::FlatInline, 0),
            _ if self.is_chunked() => (DataLayout::ChunkBased, CHUNK_FORMAT_INDEXES | self.chunk_bits()),
            _ => (DataLayout::FlatPlain, self.block),
        };
        let nlink = match &self.entry.kind {
            EntryKind::Directory => 2 + self.children.len() as u32,
            _ => self.names,
        };
        let Entry { mode, uid, gid, mtime, .. } = self.entry;
        Inode {
            format: layout.extended(),
            xattr_icount: (xattr_icount(self.xattrs.len()) as u16).into(),
            mode: ((self.file_type().mode | mode & 0o7777) as u16).into(),
            size: self.size().into(),
            u: u.into(),
            ino: ((self.at / INODE_SLOT) as u32).into(),
            uid: uid.into(),
            gid: gid.into(),
            mtime: (mtime.seconds as u64).into(),
            mtime_nsec: mtime.nanos.into(),
            nlink: nlink.into(),
            ..Inode::new_zeroed()
        }
    }

    /// Writes the inode, its attributes and its data.
    pub(super) fn write(&self, image: &mut [u8]) {
        put(image, self.at, self.inode().as_bytes());
        put(image, self.at + size_of::<Inode>(), &self.xattrs);
        let end = self.at + size_of::<Inode>() + self.xattrs.len();
        if self.inline {
            put(image, end, &self.data);
        } else if self.is_chunked() {
            let (at, first) = (end.next_multiple_of(8), self.tar_block.unwrap_or_default());
            for chunk in 0..self.chunks() {
                let blkaddr = (first + (chunk << self.chunk_bits())) as u32;
                let index = ChunkIndex { advise: 0.into(), device_id: 1.into(), blkaddr: blkaddr.into() };
                put(image, at + chunk as usize * size_of::<ChunkIndex>(), index.as_bytes());
            }
        } else if !self.data.is_empty() {
            put(image, self.block as usize * BLOCK, &self.data);
        }
    }
}

/// The first block of a file's data in the layer's tar; `None` if the tar cannot serve it block by block.
fn tar_block(content: &Content, device: &DiffId) -> Option<u64> {
    let Content::Blob { blob, offset, sparse, .. } = content else { return None };
    // Sparse files of our layers are stored with their holes: all pieces have the same distance to their offset in the file.
    let plain = |e: &Extent| e.blob_offset.checked_sub(e.offset) == Some(*offset);
    let aligned = offset % BLOCK as u64 == 0 && sparse.iter().flat_map(|extents| extents.iter()).all(plain);
    (aligned && *blob == BlobDigest::from(device)).then_some(offset >> BLOCK_BITS)
}

/// The attributes that follow an inode: a header and the attributes, each aligned. Names without a known prefix are left out.
fn xattrs(entry: &Entry) -> Result<Vec<u8>, StorageError> {
    let mut out = Vec::new();
    for (name, value) in &entry.xattrs {
        let known = XATTR_PREFIXES.iter().find_map(|(prefix, number)| Some((name.strip_prefix(*prefix)?, *number)));
        let Some((rest, name_index)) = known else { continue };
        let (Ok(name_len), Ok(value_size)) = (u8::try_from(rest.len()), u16::try_from(value.len())) else {
            let reason = "an extended attribute is too large for an EROFS image";
            return Err(StorageError::BadEntry { path: entry.path.clone(), reason });
        };
        if out.is_empty() {
            out.extend_from_slice(XattrHeader::new_zeroed().as_bytes());
        }
        out.extend_from_slice(XattrEntry { name_len, name_index, value_size: value_size.into() }.as_bytes());
        out.extend_from_slice(rest);
        out.extend_from_slice(value);
        out.resize(out.len().next_multiple_of(XATTR_ALIGN), 0);
    }
    Ok(out)
}
