//! COPY, ADD and WORKDIR over small images. The expected results are BuildKit's, measured or from its reference.

mod archives;
mod destination;
mod keys;
mod remote;
mod sources;
mod swaps;

use super::{CopyError, CopyOrigin, Selection, copy};
use crate::plan::{Copy, CopyFrom};
use crate::sources::{Context, IgnoreVerdict};
use buildscope_record::{DiffId, Digest, Probe};
use buildscope_storage::{Content, Entry, EntryKind, Store, StoreOptions, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp { seconds: 1_700_000_000, nanos: 0 };

/// A store, a context, and the layers of an image so far.
struct Kit {
    store: Store,
    context: tempfile::TempDir,
    layers: Vec<DiffId>,
    _root: tempfile::TempDir,
}

impl Kit {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), StoreOptions::default()).unwrap();
        Self { store, context: tempfile::tempdir().unwrap(), layers: Vec::new(), _root: root }
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.context.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        self.write_mode(path, content, 0o644)
    }

    fn write_mode(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> &Self {
        fs::write(self.path(path), content).unwrap();
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn directory(&self, path: &str, mode: u32) -> &Self {
        fs::create_dir_all(self.path(path)).unwrap();
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Adds a layer with these entries to the image. The content of each file is its path.
    fn image(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let mut layer = self.store.layer_builder();
        for mut entry in entries {
            let text: Arc<[u8]> = Arc::from(entry.path.as_os_str().as_encoded_bytes());
            if let EntryKind::File { size } = &mut entry.kind {
                *size = text.len() as u64;
            }
            layer.push(entry, Content::Bytes(text));
        }
        self.layers.push(layer.finish(&Probe::disabled()).unwrap().diff_id);
    }

    fn text(&mut self, path: &str, text: &str) {
        let mut layer = self.store.layer_builder();
        let entry = Entry { kind: EntryKind::File { size: text.len() as u64 }, ..Entry::directory(path) };
        layer.push(entry, Content::Bytes(text.as_bytes().into()));
        self.layers.push(layer.finish(&Probe::disabled()).unwrap().diff_id);
    }

    fn select(&self, op: &Copy) -> Result<Selection, CopyError> {
        let context = Context::open(self.context.path(), None::<fn(&Path) -> IgnoreVerdict>, None).unwrap();
        let origin = match &op.from {
            CopyFrom::Context => CopyOrigin::Context(&context),
            _ => CopyOrigin::Layers(self.store.tree(&self.layers).unwrap()),
        };
        Selection::of(op, &origin, &self.store, &Probe::disabled())
    }

    fn try_copy(&mut self, op: &Copy) -> Result<(), CopyError> {
        let selection = self.select(op)?;
        let layer = copy(op, selection, &self.layers, NOW, &self.store, &Probe::disabled())?;
        self.layers.push(layer.diff_id);
        Ok(())
    }

    fn copy(&mut self, op: &Copy) -> &mut Self {
        self.try_copy(op).unwrap();
        self
    }

    fn key(&self, op: &Copy) -> Digest {
        self.select(op).unwrap().digest(op, self.store.blobs(), &Probe::disabled()).unwrap()
    }

    /// Formats the image, one line for each path.
    fn lines(&self) -> Vec<String> {
        let tree = self.store.tree(&self.layers).unwrap();
        let line = |entry: Entry| {
            let Entry { path, kind, mode, uid, gid, .. } = entry;
            let what = match kind {
                EntryKind::Directory => "/".into(),
                EntryKind::File { .. } => {
                    format!("={}", String::from_utf8_lossy(&tree.read(&path, 1 << 20).unwrap().unwrap()))
                }
                EntryKind::Symlink { target } => format!(" -> {}", target.display()),
                EntryKind::HardLink { target } => format!(" == {}", target.display()),
                EntryKind::Fifo => "|".into(),
                other => format!("{other:?}"),
            };
            let owner = if (uid, gid) == (0, 0) { String::new() } else { format!(" {uid}:{gid}") };
            format!("{mode:o}{owner} {}{what}", path.display())
        };
        let entries = tree.walk(Path::new("")).map(|(entry, _)| entry);
        entries.filter(|entry| !entry.path.as_os_str().is_empty()).map(line).collect()
    }
}

/// Processor time of this thread.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

fn op(sources: &[&str], destination: &str) -> Copy {
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    Copy { sources, ..Copy::of(CopyFrom::Context, "", destination) }
}

fn add(sources: &[&str], destination: &str) -> Copy {
    Copy { add: true, ..op(sources, destination) }
}

fn dir(path: &str, mode: u32) -> Entry {
    Entry { mode, ..Entry::directory(path) }
}

fn file(path: &str) -> Entry {
    Entry { kind: EntryKind::File { size: 0 }, mode: 0o644, ..Entry::directory(path) }
}

fn link(path: &str, to: &str) -> Entry {
    Entry { kind: EntryKind::Symlink { target: to.into() }, mode: 0o777, ..Entry::directory(path) }
}

/// A member of a test archive: (name, type flag, mode, link target, content).
type Member<'a> = (&'a str, u8, u32, &'a str, &'a str);

/// Writes a tar in the format of POSIX.1-1988 (ustar), independently of our own writer.
fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, mode, link, content) in members {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
        header[108..116].copy_from_slice(b"0000005\0");
        header[116..124].copy_from_slice(b"0000006\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"12334447000\0");
        header[148..156].fill(b' ');
        header[156] = *kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(header);
        bytes.extend(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}
