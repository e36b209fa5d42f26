//! The key of a COPY of a large directory of a context, without a list of its files. An unchanged COPY needs no more, and a list of
//! 200,000 files takes 24 MB.

use super::CopyError;
use super::group::{Detail, FileGroup, InodeNumbers, Items};
use super::item_sums::{FileCount, Key, TopEntries};
use super::origin::{CopyOrigin, relative};
use crate::plan;
use crate::sources::{ContentInfo, Context, ContextNode, SourceError};
use buildscope_record::{Digest, Phase, Probe};
use buildscope_storage::Content;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// The number of items that are listed at a time.
const BATCH: usize = 512;
/// The number of such lists that wait to be hashed.
const QUEUED: usize = 4;

/// The digests of a selection.
#[derive(Debug)]
pub struct Summary {
    /// The content key, as [`Selection::digest`](super::Selection::digest) computes it.
    pub digest: Digest,
    /// The digest of the modification times, as [`Selection::times`](super::Selection::times) computes it without a limit.
    pub times: Digest,
    /// The selected files below each top-level entry of the context, as [`Selection::by_top`](super::Selection::by_top) counts them.
    pub by_top: BTreeMap<String, FileCount>,
}

/// A directory of a context, of which everything is copied.
pub(super) struct WholeDirectory<'a> {
    pub(super) context: &'a Context,
    pub(super) node: &'a ContextNode,
    /// The number of nodes in it, and itself.
    pub(super) count: usize,
    /// The path in the context, without links.
    pub(super) path: &'a Path,
    /// The path as the instruction names it.
    pub(super) source: &'a Path,
}

impl Summary {
    /// Reads the files of a directory that was scanned, and computes the digests.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn of(op: &plan::Copy, whole: &WholeDirectory<'_>, probe: &Probe) -> Result<Self, CopyError> {
        let WholeDirectory { context, node, count, path, source } = whole;
        context.hash_below(node, path, probe)?;
        let _span = probe.phase(Phase::CacheKey);
        let group = FileGroup::directory(source);
        let mut sums =
            Sums { op, key: Key::new(), times: Key::new(), tops: TopEntries::continued(BTreeMap::new(), &group) };
        sums.key.group(&group, *count);
        let (send, batches) = sync_channel::<Items>(QUEUED);
        std::thread::scope(|scope| {
            let add = move || {
                batches.iter().for_each(|items| sums.add(&items));
                Self { digest: sums.key.finish(), times: sums.times.finish(), by_top: sums.tops.counts }
            };
            let fail = |error| SourceError::io("start a thread to hash the files of", context.path().join(path), error);
            let adding = std::thread::Builder::new().spawn_scoped(scope, add).map_err(fail)?;
            list(context, path, |items| send.send(items).expect("the other thread receives to the end"))?;
            drop(send);
            Ok(adding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }
}

/// Passes the items of the directory at `path`, some at a time.
fn list(context: &Context, path: &Path, mut pass: impl FnMut(Items)) -> Result<(), CopyError> {
    let mut inodes = InodeNumbers::default();
    let mut items = Items::with_capacity(BATCH);
    CopyOrigin::Context(context).walk(path, &mut |at, found| {
        let (file, directory) = (found.node(), found.is_dir());
        let content = file.and_then(ContextNode::content);
        let detail = Detail {
            inode: found.inode.clone().map(|inode| inodes.number(inode)),
            digest: content.map(|content| content.digest),
            ..Detail::default()
        };
        items.push(found, relative(at, path), detail);
        if let (Some(file), false) = (file, content.is_some_and(ContentInfo::is_plain)) {
            items.set_content(items.len() - 1, file, Content::Bytes(Arc::default()));
        }
        if items.len() == BATCH {
            pass(std::mem::replace(&mut items, Items::with_capacity(BATCH)));
        }
        Ok(directory)
    })?;
    pass(items);
    Ok(())
}

/// The sums over all items.
struct Sums<'a> {
    op: &'a plan::Copy,
    key: Key,
    times: Key,
    tops: TopEntries,
}

impl Sums<'_> {
    fn add(&mut self, items: &Items) {
        for (entry, detail) in items.iter() {
            self.key.entry(self.op, true, entry, detail);
            self.times.time(entry, detail, None);
            self.tops.add(entry);
        }
    }
}
