//! Blobs: files named by their digest.

use super::error::IoContext;
use super::layout::{Access, blob_path, touch};
use super::scratch::Scratch;
use super::{CacheIndex, SparseReader, StorageError, SyncPolicy};
use buildscope_record::BlobDigest;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Content-addressed files. Several processes may use them: a blob appears complete, by a rename.
#[derive(Clone, Debug)]
pub struct BlobStore {
    root: Arc<Path>,
    scratch: Arc<Scratch>,
    cache: CacheIndex,
    access: Access,
    /// Blobs that this process has written.
    written: Arc<Mutex<HashSet<BlobDigest>>>,
    /// Blobs that this process has verified.
    verified: Arc<Mutex<HashSet<BlobDigest>>>,
}

impl BlobStore {
    pub(crate) fn new(root: &Path, scratch: Arc<Scratch>, cache: CacheIndex, access: Access) -> Self {
        Self { root: root.into(), scratch, cache, access, written: Arc::default(), verified: Arc::default() }
    }

    /// Stores `bytes` as a blob.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobDigest, StorageError> {
        let digest = BlobDigest::of(bytes);
        if self.contains(digest) {
            self.cache.used_file(blob_path(digest));
        } else {
            let mut writer = self.writer()?;
            writer.file.write_all(bytes).context("write", &writer.path)?;
            writer.size = bytes.len() as u64;
            writer.publish(&digest)?;
        }
        Ok(digest)
    }

    /// Starts a blob whose digest is not known yet.
    ///
    /// # Errors
    /// [`StorageError::ReadOnly`], and errors of creating a file.
    pub fn writer(&self) -> Result<BlobWriter, StorageError> {
        if self.access == Access::ReadOnly {
            return Err(StorageError::ReadOnly(self.root.to_path_buf()));
        }
        let path = self.scratch.path("blob");
        let file = File::options().read(true).write(true).create_new(true).open(&path).context("create", &path)?;
        Ok(BlobWriter { store: self.clone(), file, path, hash: Sha256::new(), size: 0, published: false })
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`StorageError::MissingBlob`] if the store does not have it.
    pub fn open(&self, digest: impl Into<BlobDigest>) -> Result<File, StorageError> {
        let digest = digest.into();
        let path = self.path(digest);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StorageError::MissingBlob(digest)),
            opened => opened.context("open", path),
        }
    }

    /// The path of a blob, whether it exists or not.
    pub fn path(&self, digest: impl Into<BlobDigest>) -> PathBuf {
        self.root.join(blob_path(digest))
    }

    /// Whether the store has a blob. If so, it is not pruned while this process lives.
    pub fn contains(&self, digest: impl Into<BlobDigest>) -> bool {
        touch(&self.root, &blob_path(digest)).unwrap_or(false)
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] if it has more than `limit` bytes.
    pub fn read(&self, digest: impl Into<BlobDigest>, limit: u64) -> Result<Vec<u8>, StorageError> {
        let digest = digest.into();
        let mut file = self.open(digest)?;
        let path = self.path(digest);
        let size = file.metadata().context("stat", &path)?.len();
        if size > limit {
            return Err(StorageError::TooLarge { path, size, limit });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.read_to_end(&mut bytes).context("read", path)?;
        Ok(bytes)
    }

    /// Whether this process has written the blob.
    pub(crate) fn is_written(&self, digest: &BlobDigest) -> bool {
        self.written.lock().contains(digest)
    }

    /// Whether this process has verified the blob.
    pub(crate) fn is_verified(&self, digest: &BlobDigest) -> bool {
        self.verified.lock().contains(digest)
    }

    /// Notes that this process has verified the blob.
    pub(crate) fn note_verified(&self, digest: BlobDigest) {
        self.verified.lock().insert(digest);
    }

    pub(crate) fn distrust(&self, digest: &BlobDigest) {
        self.written.lock().remove(digest);
        self.verified.lock().remove(digest);
    }

    /// Computes the digest of a blob's content. It differs from its name if the blob is damaged.
    pub(crate) fn digest(&self, digest: impl Into<BlobDigest>) -> Result<BlobDigest, StorageError> {
        let digest = digest.into();
        let (file, mut hash) = (self.open(digest)?, Sha256::new());
        let mut buffer = vec![0; 256 << 10];
        let mut file = SparseReader::new(&file).context("read", self.path(digest))?;
        loop {
            match file.read(&mut buffer).context("read", self.path(digest))? {
                0 => break,
                n => hash.update(&buffer[..n]),
            }
        }
        Ok(BlobDigest::from_bytes(hash.finalize().into()))
    }
}

/// Writes a blob. Dropped unfinished, it leaves no file behind.
///
/// Writes are not buffered: pass large pieces.
#[derive(Debug)]
pub struct BlobWriter {
    store: BlobStore,
    file: File,
    path: PathBuf,
    hash: Sha256,
    size: u64,
    published: bool,
}

impl BlobWriter {
    /// Publishes the blob under its digest. Returns the digest and the size in bytes.
    ///
    /// # Errors
    /// [`StorageError::DigestMismatch`] if the digest is not `expected`.
    pub fn finish(mut self, expected: Option<BlobDigest>) -> Result<(BlobDigest, u64), StorageError> {
        let found = BlobDigest::from_bytes(std::mem::take(&mut self.hash).finalize().into());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(StorageError::DigestMismatch { expected, found });
        }
        let size = self.size;
        self.publish(&found)?;
        Ok((found, size))
    }

    /// The number of bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn publish(mut self, digest: &BlobDigest) -> Result<(), StorageError> {
        let to = self.store.path(digest);
        // Two processes may do this at the same time. The contents are equal, so either may win.
        fs::rename(&self.path, &to).context("rename to", to)?;
        self.published = true;
        self.store.written.lock().insert(*digest);
        self.store.cache.wrote(self.size);
        self.store.cache.wrote_file(blob_path(digest));
        Ok(())
    }

    /// The file of the blob. The layer writer writes to it on all cores, and computes the hash itself.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether this blob will be synced.
    pub(crate) fn is_synced(&self) -> bool {
        self.store.cache.policy() != SyncPolicy::Never
    }

    /// Publishes what was written to [`file`](Self::file), with the hash that the caller computed.
    pub(crate) fn finish_hashed(
        mut self,
        hash: Sha256,
        size: u64,
        expected: Option<BlobDigest>,
    ) -> Result<BlobDigest, StorageError> {
        (self.hash, self.size) = (hash, size);
        // A blob may end with a hole.
        self.file.set_len(size).context("extend", &self.path)?;
        Ok(self.finish(expected)?.0)
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}
