//! Blobs whose content is not what their name says: found where a whole blob passes, dropped, told.
//!
//! A disk that loses a bit does not say so. Whatever reads a whole blob hashes it beside that, so a damaged one is never
//! handed on as good. Dropping it drops what was made of it and the cache entries that need it: the next build makes it again.

use super::error::Context;
use super::gc::exclusive;
use super::recovery::KEPT;
use super::{SparseReader, StorageError, Store};
use buildscope_record::{BlobDigest, ByteSize};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a check of all blobs found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// How many blobs were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: ByteSize,
    /// The damaged ones, with the digest of what they hold.
    pub damaged: Vec<(BlobDigest, BlobDigest)>,
}

/// A blob that is being looked through. Once its digest was found right, a checksum is enough to see a change: CRC-32 finds what a
/// disk does to it, and takes a tenth of the time.
pub struct Inspection {
    blob: BlobDigest,
    checksum: crc32fast::Hasher,
    /// The checksum of the whole blob.
    known: Option<u32>,
    /// Where that is not known.
    hash: Option<Sha256>,
}

impl Inspection {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
    }
}

impl Store {
    /// Reads a whole blob and compares it with its name. A damaged one is dropped.
    ///
    /// # Errors
    /// [`StorageError::DamagedBlob`]; what cannot be read.
    pub fn verify(&self, blob: impl Into<BlobDigest>) -> Result<(), StorageError> {
        let blob = blob.into();
        self.condemn(blob, self.blobs().digest(blob)?)
    }

    /// Does something with blobs while they are looked through on other threads. What was done counts only if they are whole.
    ///
    /// # Errors
    /// [`StorageError::DamagedBlob`]; what cannot be read.
    pub fn verified<T: Send>(
        &self,
        blobs: &[impl Into<BlobDigest> + Copy + Sync],
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, StorageError> {
        let verify = || blobs.par_iter().map(|blob| self.look_through((*blob).into())).collect::<Vec<_>>();
        let (verified, done) = rayon::join(verify, work);
        // All are asked before the first error ends it: what is damaged is dropped in one go.
        verified.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(done)
    }

    fn look_through(&self, blob: BlobDigest) -> Result<(), StorageError> {
        let Some(mut inspection) = self.inspect(blob)? else { return Ok(()) };
        let file = self.blobs().open(blob)?;
        let mut reader = SparseReader::new(&file).context("read", self.blobs().path(blob))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer).context("read", self.blobs().path(blob))? {
                0 => return self.judge(inspection),
                n => inspection.update(&buffer[..n]),
            }
        }
    }

    /// Begins to look through a blob. None for one that this process has made: its digest was taken of what was written.
    ///
    /// # Errors
    /// Those of the cache index.
    pub fn inspect(&self, blob: impl Into<BlobDigest>) -> Result<Option<Inspection>, StorageError> {
        let blob = blob.into();
        if self.blobs().is_fresh(&blob) {
            return Ok(None);
        }
        let known = self.cache().checksum(&blob)?;
        let hash = known.is_none().then(Sha256::new);
        Ok(Some(Inspection { blob, checksum: crc32fast::Hasher::new(), known, hash }))
    }

    /// Judges a blob that was looked through to its end. A damaged one is dropped.
    ///
    /// # Errors
    /// [`StorageError::DamagedBlob`].
    pub fn judge(&self, inspection: Inspection) -> Result<(), StorageError> {
        let Inspection { blob, checksum, known, hash } = inspection;
        let checksum = checksum.finalize();
        if known == Some(checksum) {
            return Ok(());
        }
        // The digest decides: the checksum may be of a blob that was made again.
        let found = match hash {
            Some(hash) => BlobDigest::from_bytes(hash.finalize().into()),
            None => self.blobs().digest(blob)?,
        };
        self.condemn(blob, found)?;
        self.cache().note_checksum(&blob, checksum)
    }

    /// Drops a blob whose content has another digest than its name.
    fn condemn(&self, blob: BlobDigest, found: BlobDigest) -> Result<(), StorageError> {
        if found == blob {
            return Ok(());
        }
        self.drop_damaged(&blob)?;
        self.cache().warn(format!(
            "blob {blob} of the store is damaged: its content has the digest {found}. It is removed with what was made of it"
        ));
        Err(StorageError::DamagedBlob { blob, found })
    }

    /// The blobs that were found damaged, and dropped, since this was last asked.
    pub fn take_damaged(&self) -> Vec<BlobDigest> {
        std::mem::take(&mut *self.damaged())
    }

    /// Reads all blobs; with `repair`, damaged ones are dropped. `passed` hears of bytes as they are read, and how many there are.
    ///
    /// # Errors
    /// What cannot be read or removed.
    pub fn check(&self, repair: bool, passed: &(dyn Fn(ByteSize, ByteSize) + Sync)) -> Result<Checked, StorageError> {
        let dir = self.root().join(KEPT[0]);
        let mut blobs = Vec::new();
        for entry in fs::read_dir(&dir).context("read", &dir)? {
            let entry = entry.context("read", &dir)?;
            let Ok(blob) = format!("sha256:{}", entry.file_name().to_string_lossy()).parse::<BlobDigest>() else {
                continue;
            };
            match entry.metadata() {
                Ok(metadata) => blobs.push((blob, metadata.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("stat", entry.path()),
            }
        }
        let total = ByteSize(blobs.iter().map(|(_, size)| size).sum());
        let (read, count) = (AtomicU64::new(0), AtomicU64::new(0));
        let check = |(blob, size): &(BlobDigest, u64)| {
            let found = match self.blobs().digest(blob) {
                // Pruned meanwhile.
                Err(StorageError::MissingBlob(_)) => return Ok(None),
                found => found?,
            };
            count.fetch_add(1, Ordering::Relaxed);
            let read = read.fetch_add(*size, Ordering::Relaxed) + size;
            passed(ByteSize(read), total);
            Ok((found != *blob).then_some((*blob, found)))
        };
        let damaged = blobs.par_iter().map(check).collect::<Result<Vec<_>, StorageError>>()?;
        let mut damaged: Vec<_> = damaged.into_iter().flatten().collect();
        damaged.sort();
        if repair {
            damaged.iter().try_for_each(|(blob, _)| self.drop_damaged(blob))?;
        }
        Ok(Checked { blobs: count.into_inner(), bytes: ByteSize(read.into_inner()), damaged })
    }

    /// Removes a blob, what was made of it, and the cache entries that need it.
    fn drop_damaged(&self, blob: &BlobDigest) -> Result<(), StorageError> {
        let root = self.root();
        let _lock = exclusive(root)?;
        let mut paths: Vec<String> = KEPT.iter().map(|kept| format!("{kept}/{}", blob.hex())).collect();
        // What was unpacked of a layer on a certain stack has another name, which does not tell the layers.
        let dir = root.join("lowers");
        for entry in fs::read_dir(&dir).context("read", &dir)? {
            let name = entry.context("read", &dir)?.file_name().to_string_lossy().into_owned();
            if !root.join(KEPT[0]).join(&name).exists() {
                paths.push(format!("lowers/{name}"));
            }
        }
        self.cache().forget(&paths, None)?;
        for path in &paths {
            // It goes with the process's own directory, not now: a step that runs may still have it mounted.
            match fs::rename(root.join(path), self.scratch().path("damaged")) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed.context("remove", root.join(path))?,
            }
        }
        self.forget_cached(&paths);
        self.driver().forget();
        self.blobs().forget_fresh(blob);
        let mut damaged = self.damaged();
        if !damaged.contains(blob) {
            damaged.push(*blob);
        }
        Ok(())
    }
}
