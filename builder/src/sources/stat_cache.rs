//! The digests of files by their `stat`. An unchanged file is not read again: neither to hash it, nor to copy it once
//! a layer contains it.
//!
//! Each context has one cache file: a magic, fixed-size records sorted by inode, and the CRC-32 of both. The file is
//! replaced by a rename. A torn or foreign file, or one of an older format, counts as empty.

use super::content::StoredAt;
use super::stat::{Identity, is_racy};
use buildscope_record::{BlobDigest, Digest};
use buildscope_storage::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// The first bytes of a cache file. They change with the format.
const MAGIC: &[u8; 8] = b"bsstat3\n";
const RECORD: usize = IDENTITY + 32 + 32 + 8;
const IDENTITY: usize = 8 * 3 + 12 * 2;
/// The size of the checksum at the end.
const CHECKSUM: usize = 4;
/// The largest number of records that are kept of files that this build did not read. They take 132 MB on the disk.
const KEEP_UNSEEN: usize = 1_000_000;

/// Device and inode number.
pub(crate) type Inode = (u64, u64);

/// The content of a file in one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StatRecord {
    pub(super) identity: Identity,
    pub(super) digest: Digest,
    /// The place in the store with the content.
    pub(super) stored_at: Option<StoredAt>,
}

impl StatRecord {
    pub(super) fn new(identity: Identity, digest: Digest) -> Self {
        Self { identity, digest, stored_at: None }
    }

    fn inode(&self) -> Inode {
        (self.identity.dev, self.identity.ino)
    }

    fn write(&self, to: &mut Vec<u8>) {
        let Identity { dev, ino, size, mtime, ctime } = self.identity;
        for word in [dev, ino, size] {
            to.extend(word.to_le_bytes());
        }
        for time in [mtime, ctime] {
            to.extend(time.seconds.to_le_bytes());
            to.extend(time.nanos.to_le_bytes());
        }
        to.extend(self.digest.as_bytes());
        let (blob, offset) = self.stored_at.map_or(([0; 32], 0), |at| (*at.blob.as_bytes(), at.offset));
        to.extend(blob);
        to.extend(offset.to_le_bytes());
    }

    fn read(bytes: &[u8; RECORD]) -> Self {
        let array = |at: usize| -> [u8; 8] { std::array::from_fn(|i| bytes[at + i]) };
        let word = |at| u64::from_le_bytes(array(at));
        let time = |at: usize| Timestamp {
            seconds: i64::from_le_bytes(array(at)),
            nanos: u32::from_le_bytes(std::array::from_fn(|i| bytes[at + 8 + i])),
        };
        let digest = |at: usize| -> [u8; 32] { std::array::from_fn(|i| bytes[at + i]) };
        let blob = Some(digest(IDENTITY + 32)).filter(|blob| *blob != [0; 32]);
        Self {
            identity: Identity { dev: word(0), ino: word(8), size: word(16), mtime: time(24), ctime: time(36) },
            digest: Digest::from_bytes(digest(IDENTITY)),
            stored_at: blob.map(|blob| StoredAt { blob: BlobDigest::from_bytes(blob), offset: word(IDENTITY + 64) }),
        }
    }
}

/// The bytes of a cache file: a file, or bytes in a test.
trait CacheBytes {
    fn length(&self) -> io::Result<u64>;
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()>;
}

impl CacheBytes for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(out, at)
    }
}

impl CacheBytes for &[u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = self.get(from..).and_then(|rest| rest.get(..out.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }
}

/// The records of one context, sorted by inode, at most one for each inode. They stay in the file: those of a million files would take
/// more memory than the files' names.
#[derive(Debug)]
struct StatCache<S> {
    source: S,
    count: usize,
}

impl<S: CacheBytes> StatCache<S> {
    /// The records that are read at a time.
    const CHUNK: usize = 512;
    /// A lookup by halving reads about as much as this many records of a whole pass.
    const LOOKUP: usize = 64;

    /// Checks a cache file. `None` if it is torn, or not of this format.
    fn check(source: S) -> Option<Self> {
        let length = usize::try_from(source.length().ok()?).ok()?;
        let body = length.checked_sub(MAGIC.len() + CHECKSUM)?;
        if body % RECORD != 0 {
            return None;
        }
        let mut magic = [0; MAGIC.len()];
        source.read_at(&mut magic, 0).ok()?;
        let (cache, mut hash) = (Self { source, count: body / RECORD }, crc32fast::Hasher::new());
        hash.update(&magic);
        cache.chunks(|records| hash.update(records.as_flattened())).ok()?;
        let mut checksum = [0; CHECKSUM];
        cache.source.read_at(&mut checksum, (length - CHECKSUM) as u64).ok()?;
        (magic == *MAGIC && checksum == hash.finalize().to_le_bytes()).then_some(cache)
    }

    /// Reads the records from this one on: as many as there are, and as fit into the buffer.
    fn read<'b>(&self, from: usize, buffer: &'b mut [u8]) -> io::Result<&'b [[u8; RECORD]]> {
        let count = (self.count - from).min(buffer.len() / RECORD);
        let bytes = &mut buffer[..count * RECORD];
        self.source.read_at(bytes, (MAGIC.len() + from * RECORD) as u64)?;
        Ok(bytes.as_chunks().0)
    }

    /// Passes the bytes of all records, some at a time.
    fn chunks(&self, mut each: impl FnMut(&[[u8; RECORD]])) -> io::Result<()> {
        let mut buffer = vec![0; Self::CHUNK.min(self.count) * RECORD];
        for from in (0..self.count).step_by(Self::CHUNK) {
            each(self.read(from, &mut buffer)?);
        }
        Ok(())
    }

    /// Passes all records, in order.
    fn records(&self, mut each: impl FnMut(StatRecord)) -> io::Result<()> {
        self.chunks(|records| records.iter().for_each(|bytes| each(StatRecord::read(bytes))))
    }

    fn record(&self, number: usize) -> io::Result<StatRecord> {
        Ok(StatRecord::read(&self.read(number, &mut [0; RECORD])?[0]))
    }

    /// Passes the records of these files, with their numbers, some at a time and on all cores.
    fn find(&self, wanted: &Wanted, found: impl Fn(&[(u32, StatRecord)]) + Sync) -> io::Result<()>
    where
        S: Sync,
    {
        if wanted.files.len().saturating_mul(Self::LOOKUP) < self.count {
            let mut batch = Vec::with_capacity(wanted.files.len());
            for file in &wanted.files {
                batch.extend(self.get(wanted.inode(file))?.map(|record| (file.number, record)));
            }
            found(&batch);
            return Ok(());
        }
        let buffers = || (vec![0; Self::CHUNK * RECORD], Vec::with_capacity(Self::CHUNK));
        (0..self.count.div_ceil(Self::CHUNK)).into_par_iter().try_for_each_init(buffers, |(bytes, batch), chunk| {
            let records = self.read(chunk * Self::CHUNK, bytes)?;
            batch.clear();
            let first = StatRecord::read(&records[0]).inode();
            let mut rest = &wanted.files[wanted.files.partition_point(|file| wanted.inode(file) < first)..];
            for record in records.iter().map(StatRecord::read) {
                let before = rest.iter().take_while(|file| wanted.inode(file) < record.inode()).count();
                rest = &rest[before..];
                // Names of one file come one after the other.
                let same = rest.iter().take_while(|file| wanted.inode(file) == record.inode()).count();
                let (files, after) = rest.split_at(same);
                batch.extend(files.iter().map(|file| (file.number, record)));
                rest = after;
            }
            found(batch);
            Ok(())
        })
    }

    fn get(&self, inode: Inode) -> io::Result<Option<StatRecord>> {
        let (mut from, mut to) = (0, self.count);
        while from < to {
            let middle = from + (to - from) / 2;
            let record = self.record(middle)?;
            match record.inode().cmp(&inode) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Ok(Some(record)),
                Ordering::Greater => to = middle,
            }
        }
        Ok(None)
    }

    /// Passes the records, and new ones, in order. Of two records of one inode, the new one counts.
    fn merged(&self, new: &New<'_>, mut each: impl FnMut(StatRecord)) -> io::Result<()> {
        let mut rest = &new.files.files[..];
        self.records(|record| {
            while let Some((file, after)) = rest.split_first()
                && new.files.inode(file) < record.inode()
            {
                each((new.record)(file.number));
                rest = after;
            }
            if rest.first().is_none_or(|file| new.files.inode(file) != record.inode()) {
                each(record);
            }
        })?;
        rest.iter().for_each(|file| each((new.record)(file.number)));
        Ok(())
    }
}

/// Files by numbers that the caller gives them, in the order of their inodes.
#[derive(Default)]
pub(super) struct Wanted {
    /// The devices of the files, in order.
    devices: Vec<u64>,
    files: Vec<WantedFile>,
}

/// A file of the list, in 16 bytes. It has what it is sorted by, so that sorting does not look at the files in memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct WantedFile {
    /// The position of its device in the list.
    device: u32,
    inode: u64,
    number: u32,
}

impl Wanted {
    /// These files, by number and inode.
    pub(super) fn new(given: impl ParallelIterator<Item = (u32, Inode)>) -> Self {
        let add = |(mut devices, mut files): (Vec<u64>, Vec<WantedFile>), (number, (device, inode))| {
            let at = devices.iter().rposition(|known| *known == device).unwrap_or_else(|| {
                devices.push(device);
                devices.len() - 1
            });
            files.push(WantedFile { device: at as u32, inode, number });
            (devices, files)
        };
        let parts: Vec<_> = given.fold(Default::default, add).collect();
        let mut devices: Vec<u64> = parts.iter().flat_map(|(devices, _)| devices).copied().collect();
        devices.sort_unstable();
        devices.dedup();
        let mut all = Vec::with_capacity(parts.iter().map(|(_, files)| files.len()).sum());
        for (own, files) in parts {
            let position = |device| devices.partition_point(|known| *known < device) as u32;
            let positions: Vec<u32> = own.into_iter().map(position).collect();
            all.extend(files.into_iter().map(|file| WantedFile { device: positions[file.device as usize], ..file }));
        }
        all.par_sort_unstable();
        Self { devices, files: all }
    }

    /// The number of files.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The numbers of the files.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.files.iter().map(|file| file.number)
    }

    fn inode(&self, file: &WantedFile) -> Inode {
        (self.devices[file.device as usize], file.inode)
    }

    /// Keeps one number of each inode.
    fn once(mut self) -> Self {
        self.files.dedup_by_key(|file| (file.device, file.inode));
        self
    }
}

/// New records, which are made when they are written. Each inode occurs once.
struct New<'a> {
    files: Wanted,
    record: &'a dyn Fn(u32) -> StatRecord,
}

impl New<'_> {
    fn none() -> Self {
        Self { files: Wanted::default(), record: &|_| unreachable!("there are no files") }
    }
}

/// Parses a cache file and looks up each of its records. Used by the fuzz targets.
pub(super) fn read_back(bytes: &[u8]) {
    let Some(cache) = StatCache::check(bytes) else { return };
    let mut inodes = Vec::new();
    let _ = cache.records(|record| {
        inodes.push(record.inode());
        let _ = is_racy(record.identity.ctime, SystemTime::UNIX_EPOCH);
    });
    let wanted = Wanted::new((0..inodes.len() as u32).into_par_iter().map(|number| (number, inodes[number as usize])));
    let _ = cache.find(&wanted, |_| {});
    let _ = inodes.first().map(|inode| cache.get(*inode));
}

/// The records of one context, shared by all users of the context.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    path: Option<PathBuf>,
    file: OnceLock<Mutex<Option<Arc<StatCache<File>>>>>,
}

impl Memory {
    /// Creates the cache of the context at `root`. It is kept in `dir`, or nowhere. The file is read later.
    pub(super) fn new(dir: Option<&Path>, root: &Path) -> Self {
        let name = Digest::of(root.as_os_str().as_encoded_bytes()).hex();
        Self { path: dir.map(|dir| dir.join(name)), file: OnceLock::new() }
    }

    /// Reads and checks the file, so that it is ready when it is needed.
    pub(super) fn load(&self) {
        drop(self.file());
    }

    /// Passes the records of these files, with their numbers, some at a time and on all cores.
    pub(super) fn find(&self, wanted: &Wanted, found: impl Fn(&[(u32, StatRecord)]) + Sync) {
        if wanted.files.is_empty() {
            return;
        }
        // Other threads help, so the lock is not held.
        let cache = self.file().clone();
        // What cannot be read counts as unknown.
        let _ = cache.map(|cache| cache.find(wanted, found));
    }

    /// The record of the file with this inode.
    pub(super) fn get(&self, inode: Inode) -> Option<StatRecord> {
        self.file().as_ref()?.get(inode).ok()?
    }

    /// Adds the records of these files, which `record` makes. They replace older ones of the same inodes.
    pub(super) fn learn(&self, files: Wanted, record: &dyn Fn(u32) -> StatRecord) {
        if !files.files.is_empty() {
            self.rewrite(&New { files: files.once(), record }, |_| {});
        }
    }

    /// Records which blobs of the store contain the files with these inodes and digests, so that unchanged files are copied from there.
    pub(crate) fn set_stored(&self, files: impl IntoIterator<Item = (Inode, Digest, StoredAt)>) {
        let mut files: Vec<(Inode, Digest, StoredAt)> = files.into_iter().collect();
        files.sort_unstable_by_key(|(inode, ..)| *inode);
        let numbers = (0..files.len() as u32).into_par_iter();
        let is_new = AtomicBool::new(false);
        self.find(&Wanted::new(numbers.map(|number| (number, files[number as usize].0))), |batch| {
            let any = batch.iter().any(|(number, record)| {
                let (_, digest, at) = &files[*number as usize];
                record.digest == *digest && record.stored_at != Some(*at)
            });
            is_new.fetch_or(any, Relaxed);
        });
        let mut rest = &files[..];
        if is_new.into_inner() {
            self.rewrite(&New::none(), |record| {
                let before = rest.iter().take_while(|(inode, ..)| *inode < record.inode()).count();
                rest = &rest[before..];
                let same = rest.iter().take_while(|(inode, ..)| *inode == record.inode());
                if let Some((.., at)) = same.into_iter().find(|(_, digest, _)| *digest == record.digest) {
                    record.stored_at = Some(*at);
                }
            });
        }
    }

    /// Replaces the file by one with these records in addition, and with all records changed by `change`. A file that cannot be saved
    /// costs the next build time, so it does not fail this one.
    fn rewrite(&self, new: &New<'_>, change: impl FnMut(&mut StatRecord)) {
        let Some(path) = &self.path else { return };
        let mut file = self.file();
        let old = file.as_ref().filter(|old| old.count <= KEEP_UNSEEN + new.files.files.len());
        match save(old.map(|old| &**old), new, change, path) {
            Ok(saved) => *file = Some(Arc::new(saved)),
            Err(error) => tracing::warn!("cannot save the context's digests in {}: {error}", path.display()),
        }
    }

    /// Locks the file. The lock must not be held while files of the context are read: a thread that waits for it may be one that
    /// the reading needs, which would be a deadlock.
    fn file(&self) -> MutexGuard<'_, Option<Arc<StatCache<File>>>> {
        let read = || StatCache::check(File::open(self.path.as_ref()?).ok()?).map(Arc::new);
        let load = || Mutex::new(read());
        self.file.get_or_init(load).lock()
    }
}

/// Replaces a cache file, without fsync. After a crash the checksum reveals a torn file; then the context is read once more.
fn save(
    old: Option<&StatCache<File>>,
    new: &New<'_>,
    mut change: impl FnMut(&mut StatRecord),
    path: &Path,
) -> io::Result<StatCache<File>> {
    let dir = path.parent().unwrap_or(Path::new("."));
    // The directory does not exist before the first context of a store.
    fs::create_dir_all(dir)?;
    // Two contexts of one process may be the same directory, so the name is unique.
    let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
    let (mut to, mut hash, mut count) =
        (BufWriter::with_capacity(1 << 18, temporary.as_file_mut()), crc32fast::Hasher::new(), 0);
    let mut written = to.write_all(MAGIC);
    hash.update(MAGIC);
    let mut bytes = Vec::with_capacity(RECORD);
    let mut put = |mut record: StatRecord| {
        change(&mut record);
        bytes.clear();
        record.write(&mut bytes);
        hash.update(&bytes);
        count += 1;
        if written.is_ok() {
            written = to.write_all(&bytes);
        }
    };
    match old {
        Some(old) => old.merged(new, &mut put)?,
        None => new.files.files.iter().for_each(|file| put((new.record)(file.number))),
    }
    written?;
    to.write_all(&hash.finalize().to_le_bytes())?;
    to.flush()?;
    drop(to);
    let source = temporary.persist(path).map_err(|error| error.error)?;
    Ok(StatCache { source, count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::stat::FileStatus;

    fn status(ino: u64, seconds: i64) -> FileStatus {
        FileStatus {
            dev: 1,
            ino,
            size: 3,
            mtime_seconds: seconds,
            ctime_seconds: seconds,
            mtime_nanos: 5,
            ctime_nanos: 5,
            links: 1,
            mode: 0o644,
        }
    }

    fn record(status: &FileStatus, digest: Digest) -> StatRecord {
        StatRecord::new(status.into(), digest)
    }

    fn learn(memory: &Memory, records: &[StatRecord]) {
        let numbers = (0..records.len() as u32).into_par_iter();
        let wanted = Wanted::new(numbers.map(|number| (number, records[number as usize].inode())));
        memory.learn(wanted, &|number| records[number as usize]);
    }

    fn get(memory: &Memory, status: FileStatus) -> Option<StatRecord> {
        memory.get((status.dev, status.ino)).filter(|record| record.identity == (&status).into())
    }

    #[test]
    fn saving_creates_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let memory = || Memory::new(Some(&dir.path().join("not/there")), Path::new("/somewhere"));
        learn(&memory(), &[record(&status(9, 7), Digest::of("1"))]);
        assert!(get(&memory(), status(9, 7)).is_some());
    }

    #[test]
    fn records_are_found_by_inode_size_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let memory = || Memory::new(Some(dir.path()), Path::new("/somewhere"));
        let (one, two) = (Digest::of("1"), Digest::of("2"));
        learn(&memory(), &[record(&status(9, 7), one), record(&status(2, 7), two)]);
        let digest = |memory: &Memory, status| get(memory, status).map(|record| record.digest);
        let cache = memory();
        assert_eq!((digest(&cache, status(9, 7)), digest(&cache, status(2, 7))), (Some(one), Some(two)));
        assert_eq!((digest(&cache, status(9, 8)), digest(&cache, status(3, 7))), (None, None));
        assert_eq!(digest(&cache, FileStatus { size: 4, ..status(9, 7) }), None);
        learn(&cache, &[record(&status(9, 8), two)]);
        for cache in [cache, memory()] {
            let got = [status(9, 7), status(9, 8), status(2, 7)].map(|status| digest(&cache, status));
            assert_eq!(got, [None, Some(two), Some(two)]);
        }
    }

    #[test]
    fn few_and_many_lookups_find_the_same_records() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::new(Some(dir.path()), Path::new("/somewhere"));
        let records = |odd: bool| (0..2000).filter(move |ino| (ino % 2 == 1) == odd && ino % 7 != 0);
        // Three devices have files with the same inode numbers.
        let device_and_inode = |number: u64| (number % 3, number / 3);
        let numbered = |number: u64| {
            let (dev, ino) = device_and_inode(number);
            record(&FileStatus { dev, ..status(ino, 7) }, Digest::of(number.to_le_bytes()))
        };
        learn(&memory, &records(true).map(numbered).collect::<Vec<_>>());
        learn(&memory, &records(false).map(numbered).collect::<Vec<_>>());
        // An inode is wanted twice: a file with two names.
        let wanted: Vec<u32> = (0..2000).chain([5]).collect();
        let find = |numbers: &[u32]| {
            let all = Mutex::new(Vec::new());
            let wanted = Wanted::new(numbers.par_iter().map(|&number| (number, device_and_inode(number.into()))));
            memory.find(&wanted, |batch| {
                all.lock().extend(batch.iter().map(|(number, found)| (*number, found.digest)));
            });
            let mut all = all.into_inner();
            all.sort_unstable_by_key(|found| found.0);
            all
        };
        let many = find(&wanted);
        let mut few: Vec<_> = wanted.iter().flat_map(|one| find(&[*one])).collect();
        few.sort_unstable_by_key(|found| found.0);
        assert_eq!(many, few);
        assert_eq!(many.len(), 2000 - 2000_usize.div_ceil(7) + 1);
        assert!(many.iter().all(|(number, digest)| *digest == Digest::of(u64::from(*number).to_le_bytes())));
    }

    #[test]
    fn a_changed_file_loses_its_blob() {
        let dir = tempfile::tempdir().unwrap();
        let memory = || Memory::new(Some(dir.path()), Path::new("/somewhere"));
        let (before, after) = (status(9, 7), status(9, 8));
        learn(&memory(), &[record(&before, Digest::of("1"))]);
        let stored_at = |blob: &str, offset| StoredAt { blob: BlobDigest::of(blob), offset };
        let inode = (before.dev, before.ino);
        // The place of another content under the same inode is not that of this one.
        memory().set_stored([
            (inode, Digest::of("1"), stored_at("blob", 512)),
            (inode, Digest::of("2"), stored_at("no", 0)),
            ((1, 1), Digest::of("1"), stored_at("no", 0)),
        ]);
        assert_eq!(get(&memory(), before).unwrap().stored_at, Some(stored_at("blob", 512)));
        learn(&memory(), &[record(&after, Digest::of("2"))]);
        assert_eq!(get(&memory(), after).unwrap().stored_at, None);
    }

    #[test]
    fn blobs_that_are_known_are_not_written_again() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::new(Some(dir.path()), Path::new("/somewhere"));
        let file = || fs::metadata(memory.path.as_ref().unwrap()).unwrap().ino();
        learn(&memory, &[record(&status(9, 7), Digest::of("1"))]);
        let learnt = file();
        let set = |offset| {
            memory.set_stored([((1, 9), Digest::of("1"), StoredAt { blob: BlobDigest::of("blob"), offset })]);
        };
        set(512);
        let stored = file();
        set(512);
        assert_eq!((file(), stored == learnt), (stored, false));
        set(1024);
        assert_ne!(file(), stored);
    }

    #[test]
    fn a_torn_or_foreign_file_counts_as_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        let only = |_| record(&status(9, 7), Digest::of("1"));
        save(None, &New { files: Wanted::new([(0, (1, 9))].into_par_iter()), record: &only }, |_| {}, &path).unwrap();
        let good = fs::read(&path).unwrap();
        assert_eq!(good.len(), 8 + RECORD + 4);
        assert!(StatCache::check(&good[..]).is_some());
        assert!(StatCache::check(&good[..good.len() - 1]).is_none());
        assert!(StatCache::check(&good[..0]).is_none());
        let mut bad = good;
        bad[60] ^= 1;
        assert!(StatCache::check(&bad[..]).is_none());
    }
}
