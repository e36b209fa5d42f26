//! ADD of an archive: unpacks it into an image.
//!
//! The archive is decompressed once, into a blob of the store, and its files are ranges of that blob. So a small archive
//! that unpacks to a large one never fills the memory, and a decompression bomb is an error. Nothing is unpacked outside of the destination:
//! names and links are resolved in the image's tree as if the destination were the root, as BuildKit does by `chroot`.

use super::key::open;
use super::target::{ChangedTree, NewDirectory, join};
use super::walk::{MAX_PATH, clean};
use super::{CopyError, Owner};
use crate::sources::{DecoderMemory, decompressed_within, lacks_memory};
use buildscope_record::BlobDigest;
use buildscope_storage::tar::{BLOCK, Header, Member, MemberKind, Reader, SparsePiece};
use buildscope_storage::{
    Allowance, CAPABILITY, Content, Entry, EntryKind, Extent, ListedEntry, MAX_IMPLIED, Store, Timestamp, Unpacked,
};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file that is a tar archive, plain or compressed. It is recognised by its content, not by its name.
pub(super) struct Archive<'a> {
    source: &'a str,
    content: Content,
    /// The size of the archive in bytes.
    size: u64,
    store: &'a Store,
}

/// The destination of an archive in an image.
pub(super) struct Unpacking<'a> {
    /// The existing directory that the archive is unpacked into.
    pub(super) root: &'a Path,
    /// The owner of all files, instead of those in the archive.
    pub(super) owner: Option<Owner>,
    /// The modification time of directories that the archive does not contain.
    pub(super) now: Timestamp,
}

impl<'a> Archive<'a> {
    /// Opens a file. Returns `None` if it is not an archive, or an empty one.
    pub(super) fn open(source: &'a str, entry: ListedEntry<'_>, store: &'a Store) -> Result<Option<Self>, CopyError> {
        if !entry.is_file() || entry.size() == 0 {
            return Ok(None);
        }
        let archive = Self { source, content: entry.content(), size: entry.size(), store };
        // A file without a valid first header is not an archive. What the header says does not matter, nor how much memory the decoder needs:
        // an archive that is refused must not be copied as a file.
        let mut first = [0; BLOCK as usize];
        match archive.decompressed(DecoderMemory::Any)?.read_exact(&mut first) {
            Ok(()) => Ok(Header::of(&first).has_valid_checksum().then_some(archive)),
            Err(error) if lacks_memory(&error) => Err(archive.bad(error.to_string())),
            Err(_) => Ok(None),
        }
    }

    /// Unpacks the archive into an image.
    pub(super) fn unpack_into_image(&self, to: &Unpacking<'_>, target: &mut ChangedTree) -> Result<(), CopyError> {
        let mut writer = self.store.blobs().writer()?;
        let mut reader = Reader::new(Tee { from: self.decompressed(DecoderMemory::Limited)?, to: &mut writer });
        let mut members = Vec::new();
        let mut allowance = Allowance::of(self.size);
        while let Some(member) = reader.read_member().map_err(|error| self.bad(error.to_string()))? {
            let length = member.sparse.as_ref().map_or(member.stored, |sparse| sparse.size);
            allowance.take(length).map_err(|error| self.bad(error.to_string()))?;
            members.push(member);
        }
        // The tar reader may stop before the end of the file, so opening checks once more that the file is unchanged.
        if let Content::Pinned(file) = &self.content {
            file.open()?;
        }
        let (blob, _) = writer.finish(None)?;
        let before = target.len();
        for (number, member) in members.into_iter().enumerate() {
            self.member(member, blob, to, target)?;
            if target.len() - before > number + 1 + MAX_IMPLIED {
                let reason = format!("it has more than {MAX_IMPLIED} directories without a member of their own");
                return Err(self.bad(reason));
            }
        }
        Ok(())
    }

    fn member(
        &self,
        member: Member,
        blob: BlobDigest,
        to: &Unpacking<'_>,
        target: &mut ChangedTree,
    ) -> Result<(), CopyError> {
        let Unpacking { root, owner, now } = *to;
        let name = path_of(&member.name);
        let Some(base) = name.file_name() else {
            // An entry for the root of the archive does not change the destination.
            return Ok(());
        };
        if base.len() > 255 {
            return Err(self.bad(format!("the file name in `{}` is longer than 255 bytes", name.display())));
        }
        if name.as_os_str().len() > MAX_PATH {
            return Err(self.bad(format!("a path is longer than {MAX_PATH} bytes")));
        }
        let parent = target.follow(root, name.parent().unwrap_or(Path::new("")))?;
        target.make_directories(&parent, NewDirectory { mode: 0o755, owner: Owner::default(), mtime: now })?;
        let path = parent.join(base);
        if member.kind == MemberKind::HardLink {
            let link = path_of(&member.link);
            let directory = target.follow(root, link.parent().unwrap_or(Path::new("")))?;
            let link = join(&directory, Path::new(link.file_name().unwrap_or_default()));
            let reason =
                || format!("`{}` is a hard link to `{}`, which does not exist", name.display(), link.display());
            let file = target.take(&link)?.ok_or_else(|| self.bad(reason()))?;
            return if link == path { Ok(()) } else { target.link(&path, file) };
        }
        let (mut entry, content) = entry(member, blob, path);
        if let Some(Owner { uid, gid }) = owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        target.put(&entry, content).map(drop)
    }

    fn decompressed(&self, memory: DecoderMemory) -> Result<Box<dyn Read + Send>, CopyError> {
        let file = open(self.store.blobs(), &self.content)?;
        let unpacked = decompressed_within(memory, file).map_err(|error| self.bad(error.to_string()))?;
        Ok(Box::new(Unpacked::new(unpacked, self.size)))
    }

    fn bad(&self, reason: String) -> CopyError {
        CopyError::Archive { archive: self.source.to_owned(), reason }
    }
}

/// The path of a name in an archive. `..` stops at the root.
fn path_of(name: &[u8]) -> PathBuf {
    clean(Path::new(OsStr::from_bytes(name)))
}

fn entry(member: Member, blob: BlobDigest, path: PathBuf) -> (Entry, Content) {
    let Member {
        kind, mode, uid, gid, mtime, link, device: (major, minor), mut xattrs, stored, offset, sparse, ..
    } = member;
    xattrs.retain(|name, _| name == CAPABILITY.as_bytes());
    let length = sparse.as_ref().map_or(stored, |sparse| sparse.size);
    let kind = match kind {
        MemberKind::File | MemberKind::HardLink => EntryKind::File { size: length },
        MemberKind::Directory => EntryKind::Directory,
        MemberKind::Symlink => EntryKind::Symlink { target: PathBuf::from(OsStr::from_bytes(&link)) },
        MemberKind::Char => EntryKind::CharDevice { major, minor },
        MemberKind::Block => EntryKind::BlockDevice { major, minor },
        MemberKind::Fifo => EntryKind::Fifo,
    };
    let extent =
        |piece: SparsePiece| Extent { offset: piece.offset, blob_offset: offset + piece.stored, length: piece.length };
    let sparse = sparse.map(|sparse| sparse.pieces.into_iter().map(extent).collect());
    let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0o777 } else { mode & 0o7777 };
    (Entry { path, kind, mode, uid, gid, mtime, xattrs }, Content::Blob { blob, offset, length, sparse })
}

/// Writes everything that is read through it to `to`.
struct Tee<'a, W> {
    from: Box<dyn Read + Send>,
    to: &'a mut W,
}

impl<W: Write> Read for Tee<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(buffer)?;
        self.to.write_all(&buffer[..got])?;
        Ok(got)
    }
}
