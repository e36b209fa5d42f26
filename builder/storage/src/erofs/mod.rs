//! EROFS images without file data: the metadata of a file system whose files are in a tar.
//!
//! *Takes* the entries of a layer, *gives* the bytes of an image. The format is the kernel's
//! (Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h). This writer uses blocks of 512 bytes, so that all data of a tar is
//! block-aligned; one extra device, the tar; extended inodes, which have modification times; and files of one chunk, whose index of
//! eight bytes gives the block of the file's data in the tar. *Must never know* mounts.

mod format;
mod node;

use super::path::{base_name, compare, parent};
use super::{BlobStore, Content, Entry, EntryKind, Layer, StorageError};
use format::{DeviceSlot, Dirent, INODE_SLOT, Inode, SUPERBLOCK_AT, Superblock};
use node::ErofsNode;
use std::os::unix::ffi::OsStrExt;
use zerocopy::{FromZeros, IntoBytes};

const BLOCK_BITS: u32 = 9;
const BLOCK: usize = 1 << BLOCK_BITS;
/// The offset of the device table: one slot, directly after the superblock.
const DEVICE_TABLE_AT: usize = SUPERBLOCK_AT + size_of::<Superblock>();
/// The offset of the root's inode: the first block after the superblock and the device table.
const ROOT_AT: usize = 3 * BLOCK;

/// Writes the image of `entries` over the tar of `layer`, which contains their data.
pub(crate) fn image(blobs: &BlobStore, entries: Vec<(Entry, Content)>, layer: &Layer) -> Result<Vec<u8>, StorageError> {
    let mut nodes = arrange(entries);
    let mut at = ROOT_AT;
    for node in nodes.iter_mut().filter(|node| node.same.is_none()) {
        node.prepare(blobs, layer)?;
        let (fixed, tail) = (size_of::<Inode>() + node.xattrs.len(), node.tail_len());
        at = at.next_multiple_of(INODE_SLOT);
        // An inode and its inline data must not cross a block boundary.
        if at % BLOCK + size_of::<Inode>() > BLOCK || node.inline && at % BLOCK + fixed + tail > BLOCK {
            at = at.next_multiple_of(BLOCK);
        }
        node.at = at;
        at += if node.is_chunked() { fixed.next_multiple_of(8) + tail } else { fixed + tail };
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
    let inodes = nodes.iter().filter(|node| node.same.is_none());
    put(&mut image, SUPERBLOCK_AT, superblock(inodes.clone().count(), block)?.as_bytes());
    put(&mut image, DEVICE_TABLE_AT, device_slot(layer.size)?.as_bytes());
    inodes.for_each(|node| node.write(&mut image));
    Ok(image)
}

fn too_large() -> StorageError {
    StorageError::bad_layer(0, "it is too large for an EROFS image")
}

/// Writes bytes at an offset of the image.
fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Sorts entries in tree order and links them to their parents. The root is first, and has the same metadata in every image.
fn arrange(mut entries: Vec<(Entry, Content)>) -> Vec<ErofsNode> {
    entries.sort_by(|(a, _), (b, _)| compare(a.path.as_os_str().as_bytes(), b.path.as_os_str().as_bytes()));
    entries.retain(|(entry, _)| !entry.path.as_os_str().is_empty());
    entries.insert(0, (Entry::directory(""), Content::Bytes(Default::default())));
    let mut nodes: Vec<ErofsNode> = Vec::with_capacity(entries.len());
    // The parent directories of the last entry.
    let mut parents: Vec<(Vec<u8>, usize)> = Vec::new();
    for (number, (entry, content)) in entries.into_iter().enumerate() {
        let own = entry.path.as_os_str().as_bytes().to_vec();
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
        nodes.push(ErofsNode::new(entry, content, up));
    }
    link(&mut nodes);
    nodes
}

/// Finds the files of hard links.
fn link(nodes: &mut [ErofsNode]) {
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

/// The blocks of a directory. Each has its entries, then their names, all sorted by name.
fn directory(nodes: &[ErofsNode], number: usize) -> Vec<u8> {
    let node = &nodes[number];
    let mut names: Vec<(&[u8], usize)> = vec![(b".", number), (b"..", node.parent)];
    names.extend(node.children.iter().map(|&child| (base_name(nodes[child].entry.path.as_os_str().as_bytes()), child)));
    names.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let mut out = Vec::new();
    let mut rest = names.as_slice();
    while !rest.is_empty() {
        let mut used = 0;
        let fits = rest.iter().take_while(|(name, _)| {
            used += size_of::<Dirent>() + name.len();
            used <= BLOCK
        });
        let (block, after) = rest.split_at(fits.count());
        out.resize(out.len().next_multiple_of(BLOCK), 0);
        let mut name_at = block.len() * size_of::<Dirent>();
        for (name, number) in block {
            let file = &nodes[nodes[*number].same.unwrap_or(*number)];
            let (nid, nameoff) = (((file.at / INODE_SLOT) as u64).into(), (name_at as u16).into());
            let entry = Dirent { nid, nameoff, file_type: file.file_type().dirent, reserved: 0 };
            out.extend_from_slice(entry.as_bytes());
            name_at += name.len();
        }
        for (name, _) in block {
            out.extend_from_slice(name);
        }
        rest = after;
    }
    out
}

/// The superblock of an image with this many inodes and blocks. Metadata and shared attributes start at block 0.
fn superblock(inodes: usize, blocks: usize) -> Result<Superblock, StorageError> {
    Ok(Superblock {
        magic: format::MAGIC.into(),
        blkszbits: BLOCK_BITS as u8,
        root_nid: ((ROOT_AT / INODE_SLOT) as u16).into(),
        inos: (inodes as u64).into(),
        blocks: u32::try_from(blocks).map_err(|_| too_large())?.into(),
        feature_incompat: (format::INCOMPAT_CHUNKED_FILE | format::INCOMPAT_DEVICE_TABLE).into(),
        extra_devices: 1.into(),
        devt_slotoff: ((DEVICE_TABLE_AT / size_of::<DeviceSlot>()) as u16).into(),
        ..Superblock::new_zeroed()
    })
}

/// The entry of the tar, a device of `size` bytes, in the device table.
fn device_slot(size: u64) -> Result<DeviceSlot, StorageError> {
    let blocks = u32::try_from(size.div_ceil(BLOCK as u64)).map_err(|_| too_large())?;
    Ok(DeviceSlot { blocks: blocks.into(), ..DeviceSlot::new_zeroed() })
}
