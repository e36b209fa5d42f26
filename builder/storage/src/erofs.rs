//! EROFS images without file data: the metadata of a file system whose files are in a tar.
//!
//! The format is the kernel's (Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h). This writer uses blocks of 512 bytes, so
//! that all data of a tar is block-aligned; one extra device, the tar; extended inodes, which have modification times; and files of
//! one chunk, whose index of eight bytes gives the block of the file's data in the tar.

use super::path::{compare, parent};
use super::tree::read_content;
use super::{BlobStore, Content, Entry, EntryKind, Extent, Layer, StorageError};
use buildscope_record::{BlobDigest, DiffId};
use std::os::unix::ffi::OsStrExt;

const BLOCK_BITS: u32 = 9;
const BLOCK: usize = 1 << BLOCK_BITS;
/// Bytes per inode number: an inode's number is its offset divided by this.
const SLOT: usize = 32;
const INODE: usize = 64;
const SUPER_AT: usize = 1024;
/// The offset of the device table: one slot of 128 bytes, directly after the superblock.
const DEVICE_AT: usize = SUPER_AT + 128;
/// The offset of the root's inode: the first block after the superblock and the device table.
const ROOT_AT: usize = 3 * BLOCK;

const MAGIC: u32 = 0xE0F5_E1E2;
/// Incompatible features: files in chunks, a device table.
const FEATURES: u32 = 0x4 | 0x8;
/// Layouts of an inode's data: in blocks of its own, after the inode, in chunks.
const PLAIN: u16 = 0;
const INLINE: u16 = 2;
const CHUNKS: u16 = 4;
/// A chunk's index names the device.
const CHUNK_INDEXES: u32 = 0x20;
/// A chunk is at most 2^31 blocks: a terabyte.
const MAX_CHUNK_BITS: u32 = 31;
/// Largest attribute value: the field has 16 bits.
const MAX_VALUE: usize = u16::MAX as usize;

/// A file, directory or link of the image.
struct Node {
    entry: Entry,
    content: Content,
    parent: usize,
    children: Vec<usize>,
    /// For a hard link: the node of its file.
    same: Option<usize>,
    /// The number of its names.
    names: u32,
    xattrs: Vec<u8>,
    /// Whether `data` (a symlink's target) directly follows the inode.
    inline: bool,
    /// The offset of the inode in the image.
    at: usize,
    /// The first block of a file's data in the tar.
    place: Option<u64>,
    /// The first block of `data` in the image.
    block: u32,
    data: Vec<u8>,
}

/// Writes the image of `entries` over the tar of `layer`, which contains their data.
pub(crate) fn image(blobs: &BlobStore, entries: Vec<(Entry, Content)>, layer: &Layer) -> Result<Vec<u8>, StorageError> {
    let mut nodes = arrange(entries);
    let mut at = ROOT_AT;
    for node in nodes.iter_mut().filter(|node| node.same.is_none()) {
        node.prepare(blobs, layer)?;
        let fixed = INODE + node.xattrs.len();
        let behind = node.behind();
        at = at.next_multiple_of(SLOT);
        // An inode and its inline data must not cross a block boundary.
        if at % BLOCK + INODE > BLOCK || node.inline && at % BLOCK + fixed + behind > BLOCK {
            at = at.next_multiple_of(BLOCK);
        }
        node.at = at;
        at += if node.is_chunked() { fixed.next_multiple_of(8) + behind } else { fixed + behind };
    }
    let mut block = at.div_ceil(BLOCK);
    for number in 0..nodes.len() {
        if nodes[number].entry.kind == EntryKind::Directory {
            nodes[number].data = directory(&nodes, number);
        }
        let node = &mut nodes[number];
        if !node.inline && !node.data.is_empty() {
            node.block = u32::try_from(block).map_err(|_| too_large())?;
            block += node.data.len().div_ceil(BLOCK);
        }
    }
    let mut image = vec![0; block * BLOCK];
    superblock(&mut image, &nodes, block, layer.size)?;
    for node in nodes.iter().filter(|node| node.same.is_none()) {
        node.write(&mut image);
    }
    Ok(image)
}

fn too_large() -> StorageError {
    StorageError::bad_layer(0, "it is too large for an EROFS image")
}

/// Sorts entries in tree order and links them to their parents. The root is first, and is added if it is missing.
fn arrange(mut entries: Vec<(Entry, Content)>) -> Vec<Node> {
    let path = |entry: &Entry| entry.path.as_os_str().as_bytes().to_vec();
    entries.sort_by(|(a, _), (b, _)| compare(a.path.as_os_str().as_bytes(), b.path.as_os_str().as_bytes()));
    if entries.first().is_none_or(|(entry, _)| !entry.path.as_os_str().is_empty()) {
        entries.insert(0, (Entry::directory(""), Content::Bytes(Default::default())));
    }
    let mut nodes: Vec<Node> = Vec::with_capacity(entries.len());
    // The parent directories of the last entry.
    let mut parents: Vec<(Vec<u8>, usize)> = Vec::new();
    for (number, (entry, content)) in entries.into_iter().enumerate() {
        let own = path(&entry);
        while parents.last().is_some_and(|(last, _)| number > 0 && last != parent(&own)) {
            parents.pop();
        }
        let up = parents.last().map_or(0, |(_, number)| *number);
        if number > 0 {
            nodes[up].children.push(number);
        }
        if entry.kind == EntryKind::Directory {
            parents.push((own, number));
        }
        let (children, xattrs, data) = (Vec::new(), Vec::new(), Vec::new());
        nodes.push(Node {
            entry,
            content,
            parent: up,
            children,
            same: None,
            names: 1,
            xattrs,
            inline: false,
            at: 0,
            place: None,
            block: 0,
            data,
        });
    }
    link(&mut nodes);
    nodes
}

/// Finds the files of hard links.
fn link(nodes: &mut [Node]) {
    let of = |number: usize| match &nodes[number].entry.kind {
        EntryKind::HardLink { target } => {
            let target = target.as_os_str().as_bytes();
            Some((number, nodes.binary_search_by(|node| compare(node.entry.path.as_os_str().as_bytes(), target)).ok()?))
        }
        _ => None,
    };
    let links: Vec<(usize, usize)> = (0..nodes.len()).filter_map(of).collect();
    for (number, target) in links {
        nodes[number].same = Some(target);
        nodes[target].names += 1;
    }
}

impl Node {
    /// Determines the attributes and data to store with the node.
    fn prepare(&mut self, blobs: &BlobStore, layer: &Layer) -> Result<(), StorageError> {
        self.xattrs = attributes(&self.entry)?;
        match &self.entry.kind {
            EntryKind::Symlink { target } => {
                self.data = target.as_os_str().as_bytes().to_vec();
                self.inline = INODE + self.xattrs.len() + self.data.len() <= BLOCK;
            }
            EntryKind::File { size } if *size > 0 => {
                // The kernel reads whole blocks. A tar may end within a block, although it should not.
                let whole = layer.size / BLOCK as u64;
                let within = |block: &u64| block + size.div_ceil(BLOCK as u64) <= whole;
                self.place = place(&self.content, &layer.diff_id).filter(within);
                if self.place.is_some() {
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

    fn is_chunked(&self) -> bool {
        matches!(self.entry.kind, EntryKind::File { size } if size > 0) && self.data.is_empty()
    }

    /// Bytes of inline data or chunk indexes that follow the inode and its attributes.
    fn behind(&self) -> usize {
        match () {
            () if self.inline => self.data.len(),
            () if self.is_chunked() => 8 * self.size().div_ceil(1 << (BLOCK_BITS + self.chunk_bits())) as usize,
            () => 0,
        }
    }

    /// The size of its chunks: the binary logarithm of the number of blocks. One chunk holds the whole file, up to a terabyte.
    fn chunk_bits(&self) -> u32 {
        let blocks = self.size().div_ceil(BLOCK as u64).max(1);
        blocks.next_power_of_two().trailing_zeros().min(MAX_CHUNK_BITS)
    }

    fn write(&self, image: &mut [u8]) {
        let (layout, value) = match &self.entry.kind {
            EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
                // new_encode_dev: twelve bits of major, twenty of minor, interleaved.
                (PLAIN, (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12)
            }
            _ if self.inline => (INLINE, 0),
            _ if self.is_chunked() => (CHUNKS, CHUNK_INDEXES | self.chunk_bits()),
            _ => (PLAIN, self.block),
        };
        let count = if self.xattrs.is_empty() { 0 } else { (self.xattrs.len() - 12) / 4 + 1 };
        let links = match &self.entry.kind {
            EntryKind::Directory => 2 + self.children.len() as u32,
            _ => self.names,
        };
        let mut out = Cursor { bytes: image, at: self.at };
        out.u16(layout << 1 | 1); // an extended inode
        out.u16(count as u16);
        out.u16((file_type(&self.entry.kind).1 | self.entry.mode & 0o7777) as u16);
        out.u16(0);
        out.u64(self.size());
        out.u32(value);
        out.u32((self.at / SLOT) as u32);
        out.u32(self.entry.uid);
        out.u32(self.entry.gid);
        out.u64(self.entry.mtime.seconds as u64);
        out.u32(self.entry.mtime.nanos);
        out.u32(links);
        out.at = self.at + INODE;
        out.bytes(&self.xattrs);
        if self.inline {
            out.bytes(&self.data);
        } else if self.is_chunked() {
            out.at = (self.at + INODE + self.xattrs.len()).next_multiple_of(8);
            let first = self.place.unwrap_or_default();
            for chunk in 0..self.behind() as u64 / 8 {
                out.u16(0);
                out.u16(1); // the first extra device
                out.u32((first + (chunk << self.chunk_bits())) as u32);
            }
        } else if !self.data.is_empty() {
            out.at = self.block as usize * BLOCK;
            out.bytes(&self.data);
        }
    }
}

/// The first block of a file's data in the layer's tar; `None` if the tar cannot serve it block by block.
fn place(content: &Content, device: &DiffId) -> Option<u64> {
    let Content::Blob { blob, offset, sparse, .. } = content else { return None };
    // Sparse files of our layers are stored with their holes: all pieces have the same distance to their offset in the file.
    let plain = |e: &Extent| e.blob_offset.checked_sub(e.offset) == Some(*offset);
    let aligned = offset % BLOCK as u64 == 0 && sparse.iter().flat_map(|extents| extents.iter()).all(plain);
    (aligned && *blob == BlobDigest::from(device)).then_some(offset >> BLOCK_BITS)
}

/// The attributes that follow an inode: a header of twelve bytes and the attributes, each aligned to four bytes.
fn attributes(entry: &Entry) -> Result<Vec<u8>, StorageError> {
    /// Well-known prefixes of names and their numbers.
    const PREFIXES: [(&[u8], u8); 5] = [
        (b"system.posix_acl_access", 2),
        (b"system.posix_acl_default", 3),
        (b"user.", 1),
        (b"trusted.", 4),
        (b"security.", 6),
    ];
    let mut out = Vec::new();
    for (name, value) in &entry.xattrs {
        let Some((rest, number)) =
            PREFIXES.iter().find_map(|(prefix, number)| Some((name.strip_prefix(*prefix)?, *number)))
        else {
            continue;
        };
        if rest.len() > 255 || value.len() > MAX_VALUE {
            return Err(StorageError::BadEntry {
                path: entry.path.clone(),
                reason: "an extended attribute is too large for an EROFS image",
            });
        }
        if out.is_empty() {
            out.resize(12, 0);
        }
        out.extend_from_slice(&[rest.len() as u8, number]);
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
        out.extend_from_slice(rest);
        out.extend_from_slice(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    Ok(out)
}

/// The blocks of a directory. Each has entries of twelve bytes, then their names, all sorted by name.
fn directory(nodes: &[Node], number: usize) -> Vec<u8> {
    const ENTRY: usize = 12;
    let node = &nodes[number];
    let mut names: Vec<(&[u8], usize)> = vec![(b".", number), (b"..", node.parent)];
    for &child in &node.children {
        let path = nodes[child].entry.path.as_os_str().as_bytes();
        names.push((&path[path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1)..], child));
    }
    names.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let mut out = Vec::new();
    let mut rest = names.as_slice();
    while !rest.is_empty() {
        let mut used = 0;
        let fits = rest.iter().take_while(|(name, _)| {
            used += ENTRY + name.len();
            used <= BLOCK
        });
        let (block, after) = rest.split_at(fits.count());
        out.resize(out.len().next_multiple_of(BLOCK), 0);
        let mut name_at = block.len() * ENTRY;
        for (name, number) in block {
            let file = nodes[*number].same.unwrap_or(*number);
            out.extend_from_slice(&((nodes[file].at / SLOT) as u64).to_le_bytes());
            out.extend_from_slice(&(name_at as u16).to_le_bytes());
            out.extend_from_slice(&[file_type(&nodes[file].entry.kind).0, 0]);
            name_at += name.len();
        }
        for (name, _) in block {
            out.extend_from_slice(name);
        }
        rest = after;
    }
    out
}

/// The file type in directory entries, and in the type bits of a mode.
fn file_type(kind: &EntryKind) -> (u8, u32) {
    match kind {
        EntryKind::File { .. } | EntryKind::HardLink { .. } => (1, 0o100_000),
        EntryKind::Directory => (2, 0o040_000),
        EntryKind::CharDevice { .. } => (3, 0o020_000),
        EntryKind::BlockDevice { .. } => (4, 0o060_000),
        EntryKind::Fifo => (5, 0o010_000),
        EntryKind::Symlink { .. } => (7, 0o120_000),
    }
}

fn superblock(image: &mut [u8], nodes: &[Node], blocks: usize, device_size: u64) -> Result<(), StorageError> {
    let device_blocks = u32::try_from(device_size.div_ceil(BLOCK as u64)).map_err(|_| too_large())?;
    let blocks = u32::try_from(blocks).map_err(|_| too_large())?;
    let mut out = Cursor { bytes: image, at: SUPER_AT };
    out.u32(MAGIC);
    out.at = SUPER_AT + 12;
    out.u8(BLOCK_BITS as u8);
    out.u8(0);
    out.u16((ROOT_AT / SLOT) as u16);
    out.u64(nodes.iter().filter(|node| node.same.is_none()).count() as u64);
    out.at = SUPER_AT + 36;
    out.u32(blocks);
    // Metadata and shared attributes start at block 0.
    out.at = SUPER_AT + 80;
    out.u32(FEATURES);
    out.u16(0);
    out.u16(1); // extra devices
    out.u16((DEVICE_AT / 128) as u16);
    out.at = DEVICE_AT + 64;
    out.u32(device_blocks);
    Ok(())
}

/// Writes little-endian numbers.
struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }
}
