//! Damaged blobs, whose content does not have the digest in their name: finding, removing and reporting them.
//!
//! A disk that loses a bit does not report an error. So every operation that reads a whole blob also verifies it, and damaged
//! content is never passed on. A damaged blob is removed together with the files derived from it and the cache entries that need
//! it; the next build creates it again.

use super::error::IoContext;
use super::index::LayerIndex;
use super::layout::{BLOBS, INDEXES, KEPT, exclusive};
use super::unpacked::{self, DamagedUnpacked, UnpackedOrigin};
use super::{LayerStore, SparseReader, StorageError, Tree, attributes};
use buildscope_record::{BlobDigest, ByteSize, DiffId};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The result of checking all blobs and unpacked layers.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The number of blobs that were read.
    pub blobs: u64,
    /// Their total size.
    pub bytes: ByteSize,
    /// The damaged blobs.
    pub damaged: Vec<DamagedBlob>,
    /// The number of unpacked layers that were compared with their blobs.
    pub unpacked: u64,
    /// The damaged unpacked layers.
    pub damaged_unpacked: Vec<DamagedUnpacked>,
    /// Directories with unpacked layers that were not compared, relative to the store: an earlier version has unpacked them, or a blob is
    /// missing.
    pub unknown: Vec<String>,
    /// The number of cached results that were removed, because their steps may have read a damaged unpacked layer.
    pub forgotten: usize,
}

/// A blob that does not have the content that its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DamagedBlob {
    /// The digest in its name.
    pub blob: BlobDigest,
    /// The digest of its content.
    pub found: BlobDigest,
}

/// The verification of a blob while it is read. After the digest was verified once, a checksum is enough to detect a change: CRC-32
/// detects damage by a disk, and takes a tenth of the time.
pub struct Inspection {
    blob: BlobDigest,
    checksum: crc32fast::Hasher,
    /// The recorded checksum of the blob.
    known: Option<u32>,
    /// Set if no checksum is recorded.
    hash: Option<Sha256>,
}

impl Inspection {
    /// Adds the next bytes of the blob.
    pub fn update(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
    }
}

/// The state of an unpacked layer.
enum UnpackedState {
    Whole,
    Damaged {
        path: PathBuf,
        difference: String,
    },
    /// It cannot be compared.
    Unknown,
}

impl LayerStore {
    /// Reads a whole blob and compares its digest with its name. A damaged blob is removed.
    ///
    /// # Errors
    /// [`StorageError::DamagedBlob`], and errors of reading.
    pub fn verify(&self, blob: impl Into<BlobDigest>) -> Result<(), StorageError> {
        let blob = blob.into();
        self.condemn(blob, self.blobs().digest(blob)?)
    }

    /// Runs `work` while other threads verify `blobs`. Returns its result only if none of them is damaged.
    ///
    /// # Errors
    /// [`StorageError::DamagedBlob`], and errors of reading.
    pub fn verified<T: Send>(
        &self,
        blobs: &[impl Into<BlobDigest> + Copy + Sync],
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, StorageError> {
        let verify = || blobs.par_iter().map(|blob| self.look_through((*blob).into())).collect::<Vec<_>>();
        let (verified, done) = rayon::join(verify, work);
        // All blobs are verified before the first error is returned, so all damaged ones are removed at once.
        verified.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(done)
    }

    /// Returns the blobs of `blobs` that this process has neither written nor verified.
    pub fn unverified<B: Into<BlobDigest> + Copy>(&self, blobs: &[B]) -> Vec<BlobDigest> {
        let blobs = blobs.iter().map(|blob| (*blob).into());
        blobs.filter(|blob| !self.blobs().is_written(blob) && !self.blobs().is_verified(blob)).collect()
    }

    /// Verifies a blob on this thread, unless this process has written or verified it. A damaged blob is removed.
    ///
    /// # Errors
    /// [`StorageError::DamagedBlob`], and errors of reading.
    pub fn look_through(&self, blob: BlobDigest) -> Result<(), StorageError> {
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

    /// Starts the verification of a blob that the caller reads. `None` if this process has written the blob: it computed the digest
    /// from the written bytes.
    ///
    /// # Errors
    /// Errors of the cache index.
    pub fn inspect(&self, blob: impl Into<BlobDigest>) -> Result<Option<Inspection>, StorageError> {
        let blob = blob.into();
        if self.blobs().is_written(&blob) {
            return Ok(None);
        }
        let known = self.cache().checksum(&blob)?;
        let hash = known.is_none().then(Sha256::new);
        Ok(Some(Inspection { blob, checksum: crc32fast::Hasher::new(), known, hash }))
    }

    /// Ends the verification of a blob that was read to its end. A damaged blob is removed.
    ///
    /// # Errors
    /// [`StorageError::DamagedBlob`].
    pub fn judge(&self, inspection: Inspection) -> Result<(), StorageError> {
        let Inspection { blob, checksum, known, hash } = inspection;
        let checksum = checksum.finalize();
        if known == Some(checksum) {
            self.blobs().note_verified(blob);
            return Ok(());
        }
        // The digest decides: the recorded checksum itself may be wrong.
        let found = match hash {
            Some(hash) => BlobDigest::from_bytes(hash.finalize().into()),
            None => self.blobs().digest(blob)?,
        };
        self.condemn(blob, found)?;
        self.blobs().note_verified(blob);
        self.cache().note_checksum(&blob, checksum)
    }

    /// Removes a blob if `found`, the digest of its content, is not its name.
    fn condemn(&self, blob: BlobDigest, found: BlobDigest) -> Result<(), StorageError> {
        if found == blob {
            return Ok(());
        }
        self.drop_damaged(&blob)?;
        self.cache().warn(format!(
            "blob {blob} of the store was damaged (its content has the digest {found}); it has been removed with everything derived from it"
        ));
        Err(StorageError::DamagedBlob { blob, found })
    }

    /// The damaged blobs that were found and removed since the last call.
    pub fn take_damaged(&self) -> Vec<BlobDigest> {
        std::mem::take(&mut *self.damaged())
    }

    /// Reads and verifies all blobs, and compares all unpacked layers with them. With `repair`, damaged ones are removed. `passed` is
    /// called with the number of bytes of blobs read so far and the total.
    ///
    /// # Errors
    /// Errors of reading and removing.
    pub fn check(&self, repair: bool, passed: &(dyn Fn(ByteSize, ByteSize) + Sync)) -> Result<Checked, StorageError> {
        let dir = self.root().join(BLOBS);
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
                // It was pruned meanwhile.
                Err(StorageError::MissingBlob(_)) => return Ok(None),
                found => found?,
            };
            count.fetch_add(1, Ordering::Relaxed);
            let read = read.fetch_add(*size, Ordering::Relaxed) + size;
            passed(ByteSize(read), total);
            Ok((found != *blob).then_some(DamagedBlob { blob: *blob, found }))
        };
        let damaged = blobs.par_iter().map(check).collect::<Result<Vec<_>, StorageError>>()?;
        let mut damaged: Vec<_> = damaged.into_iter().flatten().collect();
        damaged.sort();
        let mut checked =
            Checked { blobs: count.into_inner(), bytes: ByteSize(read.into_inner()), damaged, ..Checked::default() };
        self.check_unpacked(&mut checked)?;
        if repair {
            checked.damaged.iter().try_for_each(|damaged| self.drop_damaged(&damaged.blob))?;
            let damaged: Vec<_> = checked.damaged_unpacked.iter().map(|damaged| damaged.directory.clone()).collect();
            checked.forgotten = self.cache().forget_since(&damaged)?;
            let _lock = exclusive(self.root())?;
            self.drop_paths(&[damaged, checked.unknown.clone()].concat())?;
        }
        Ok(checked)
    }

    /// Compares all unpacked layers with the blobs that they were made from. Those of damaged blobs are left out.
    fn check_unpacked(&self, checked: &mut Checked) -> Result<(), StorageError> {
        let dir = self.root().join("lowers");
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).context("read", &dir)? {
            names.push(format!("lowers/{}", entry.context("read", &dir)?.file_name().to_string_lossy()));
        }
        names.sort();
        let is_damaged = |layer: &DiffId| checked.damaged.iter().any(|damaged| damaged.blob == (*layer).into());
        let (mut compared, mut damaged, mut unknown) = (0, Vec::new(), Vec::new());
        for directory in names {
            let origin = self.cache().unpacked(&directory)?;
            if origin.as_ref().is_some_and(|origin| origin.layers.iter().any(is_damaged)) {
                continue;
            }
            let state = match &origin {
                Some(origin) => self.compare_unpacked(&directory, origin),
                None => Ok(UnpackedState::Unknown),
            };
            // It may be removed while it is compared.
            if !self.root().join(&directory).exists() {
                continue;
            }
            match state {
                Ok(UnpackedState::Whole) => compared += 1,
                Ok(UnpackedState::Damaged { path, difference }) => {
                    compared += 1;
                    let layer = origin.and_then(|origin| origin.layers.last().copied());
                    damaged.push(DamagedUnpacked { directory, layer, path, difference });
                }
                Ok(UnpackedState::Unknown) | Err(StorageError::MissingBlob(_)) => unknown.push(directory),
                Err(error) => return Err(error),
            }
        }
        (checked.unpacked, checked.damaged_unpacked, checked.unknown) = (compared, damaged, unknown);
        Ok(())
    }

    /// Compares an unpacked layer with its blobs.
    fn compare_unpacked(&self, directory: &str, origin: &UnpackedOrigin) -> Result<UnpackedState, StorageError> {
        let mut tree = Tree::empty(self.blobs().clone());
        for layer in &origin.layers {
            // A check is not a use: it does not change what is pruned first.
            let index = fs::read(self.root().join(INDEXES).join(layer.hex())).ok().and_then(LayerIndex::parse);
            let Some(index) = index.filter(|index| index.layer().diff_id == *layer) else {
                return Ok(UnpackedState::Unknown);
            };
            tree = tree.with(Arc::new(index))?;
        }
        let sample = self.scratch().path("attributes");
        fs::write(&sample, "").context("write", &sample)?;
        let holds = |name: &[u8], value: &[u8]| {
            attributes::set(&sample, name, value).is_ok()
                && attributes::get(&sample, name).is_ok_and(|found| found.as_deref() == Some(value))
        };
        let different = unpacked::difference(&tree, origin.form, &self.root().join(directory), &holds);
        self.scratch().discard(sample);
        Ok(match different? {
            None => UnpackedState::Whole,
            Some((path, difference)) => UnpackedState::Damaged { path, difference },
        })
    }

    /// Removes a blob, the files derived from it, and the cache entries that need it.
    fn drop_damaged(&self, blob: &BlobDigest) -> Result<(), StorageError> {
        let root = self.root();
        let _lock = exclusive(root)?;
        let mut paths: Vec<String> = KEPT.iter().map(|kept| format!("{kept}/{}", blob.hex())).collect();
        // The name of a layer unpacked for a certain stack is a hash that does not reveal its layers, so all of these are removed.
        let dir = root.join("lowers");
        for entry in fs::read_dir(&dir).context("read", &dir)? {
            let name = entry.context("read", &dir)?.file_name().to_string_lossy().into_owned();
            if !root.join(BLOBS).join(&name).exists() {
                paths.push(format!("lowers/{name}"));
            }
        }
        self.drop_paths(&paths)?;
        self.blobs().distrust(blob);
        let mut damaged = self.damaged();
        if !damaged.contains(blob) {
            damaged.push(*blob);
        }
        Ok(())
    }

    /// Removes files and directories of the store, and the cache entries that need them. The caller has the exclusive lock.
    fn drop_paths(&self, paths: &[String]) -> Result<(), StorageError> {
        self.cache().forget(paths, None)?;
        for path in paths {
            let path = self.root().join(path);
            // It is removed with the scratch directory, not now: a running step may still have it mounted.
            match fs::rename(&path, self.scratch().path("damaged")) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed.context("remove", path)?,
            }
        }
        self.forget_cached(paths);
        self.count_removal();
        Ok(())
    }
}
