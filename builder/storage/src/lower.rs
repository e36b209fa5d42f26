//! Layers as lower directories of overlayfs, with its marks for removed files.

use super::node::Node;
use super::path::to_path;
use super::row::RecordKind;
use super::tree::Tree;
use super::{Content, Entry, EntryKind, StorageError, attributes};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The form of overlayfs's marks: devices 0:0 and `trusted.` attributes, or, without privileges, `user.` attributes (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories", "Alternative whiteouts").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Marks {
    Trusted,
    User,
}

impl Marks {
    /// The form that this process may write. Root in a user namespace must not write `trusted.` attributes.
    pub(crate) fn here() -> Self {
        let whole = std::fs::read_to_string("/proc/self/uid_map")
            .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
        if whole && rustix::process::geteuid().is_root() { Self::Trusted } else { Self::User }
    }

    /// The name of the attribute for a mark.
    pub(crate) fn attribute(self, mark: &str) -> Vec<u8> {
        let prefix = match self {
            Self::Trusted => attributes::TRUSTED_MARKS,
            Self::User => attributes::USER_MARKS,
        };
        [prefix, mark.as_bytes()].concat()
    }

    /// Whether this process may create device nodes. The kernel refuses that in a user namespace (mknod(2)).
    pub(crate) fn with_devices(self) -> bool {
        self == Self::Trusted
    }
}

/// The entries and marks of the top layer of `stack`. Directories come before their contents.
///
/// # Errors
/// None for a stack whose lower layers are a valid tree.
pub(crate) fn entries(stack: &Tree, marks: Marks) -> Result<Vec<(Entry, Content)>, StorageError> {
    let Some((index, below)) = stack.layers().split_last() else { return Ok(Vec::new()) };
    let own = Tree::only(stack.blobs().clone(), index.clone());
    let (mut gone, mut opaque, mut links) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for record in (0..index.len()).map(|number| index.record(number)) {
        let path = to_path(record.path());
        match record.kind() {
            RecordKind::Whiteout => match own.node(&path) {
                None => drop(gone.insert(path)),
                Some(Node::Dir(_)) => drop(opaque.insert(path)),
                Some(Node::Leaf(_)) => {}
            },
            RecordKind::Opaque => drop(opaque.insert(path)),
            RecordKind::HardLink if own.node(&path).is_none() => links.push(path),
            _ => {}
        }
    }
    // A whiteout removes what lower layers have, also if the layer has a hard link of the same name.
    for link in &links {
        gone.remove(link);
    }
    let mut entries: Vec<(Entry, Content)> = own.walk(Path::new("")).collect();
    // Hard links to files of lower layers become separate files.
    for path in links {
        if let Some(file) = stack.lookup(&path) {
            entries.push((file, stack.content(&path).unwrap_or(Content::Bytes(Default::default()))));
        }
    }
    if !marks.with_devices() && leave_out_devices(&mut entries, |path| _ = gone.insert(path)) {
        // What lower layers have at these paths is not visible. Other paths need no mark.
        let empty = Tree::empty(stack.blobs().clone());
        let below = below.iter().try_fold(empty, |tree, index| tree.with(Arc::clone(index)))?;
        gone.retain(|path| below.node(path).is_some());
    }
    for (entry, _) in &mut entries {
        // The lower layers have the metadata of a directory that this layer only has as a parent.
        if entry.kind == EntryKind::Directory
            && let Some(known) = stack.lookup(&entry.path).filter(|known| known.kind == EntryKind::Directory)
        {
            *entry = known;
        }
    }
    if gone.is_empty() && opaque.is_empty() {
        return Ok(entries);
    }
    let mut by_path: BTreeMap<PathBuf, (Entry, Content)> =
        entries.into_iter().map(|(entry, content)| (entry.path.clone(), (entry, content))).collect();
    let nothing = || Content::Bytes(Default::default());
    let parents = gone.iter().filter_map(|path| path.parent()).chain(opaque.iter().map(PathBuf::as_path));
    for path in parents.flat_map(Path::ancestors) {
        if !by_path.contains_key(path) {
            let known = stack.lookup(path).filter(|entry| entry.kind == EntryKind::Directory);
            by_path.insert(path.to_owned(), (known.unwrap_or_else(|| Entry::directory(path)), nothing()));
        }
    }
    for parent in gone.iter().filter_map(|path| path.parent()) {
        // The kernel looks for whiteouts only in directories that several layers have, and in those with an origin, which may be
        // unknown (`ovl_path_check_origin_xattr` of fs/overlayfs). Elsewhere, whiteouts would be names that cannot be opened.
        mark(&mut by_path, parent, marks.attribute("origin"), b"");
        if marks == Marks::User {
            // `x`: the directory contains whiteouts in the form of attributes.
            mark(&mut by_path, parent, marks.attribute("opaque"), b"x");
        }
    }
    for path in &opaque {
        mark(&mut by_path, path, marks.attribute("opaque"), b"y");
    }
    for path in gone {
        let mut entry = Entry { mode: 0, ..Entry::directory(&path) };
        match marks {
            Marks::Trusted => entry.kind = EntryKind::CharDevice { major: 0, minor: 0 },
            Marks::User => {
                entry.kind = EntryKind::File { size: 0 };
                entry.xattrs.insert(marks.attribute("whiteout"), b"y".to_vec());
            }
        }
        by_path.insert(path, (entry, nothing()));
    }
    Ok(by_path.into_values().collect())
}

/// Removes device nodes and their further names, and passes their paths to `removed`. Returns whether there were any.
pub(crate) fn leave_out_devices(entries: &mut Vec<(Entry, Content)>, mut removed: impl FnMut(PathBuf)) -> bool {
    let devices = entries.iter().filter(|(entry, _)| entry.kind.is_device());
    let devices: BTreeSet<PathBuf> = devices.map(|(entry, _)| entry.path.clone()).collect();
    entries.retain(|(entry, _)| {
        let is_device = match &entry.kind {
            EntryKind::HardLink { target } => devices.contains(target),
            kind => kind.is_device(),
        };
        if is_device {
            removed(entry.path.clone());
        }
        !is_device
    });
    !devices.is_empty()
}

fn mark(entries: &mut BTreeMap<PathBuf, (Entry, Content)>, path: &Path, name: Vec<u8>, value: &[u8]) {
    if let Some((entry, _)) = entries.get_mut(path) {
        entry.xattrs.insert(name, value.to_vec());
    }
}

/// Turns a hard link into a separate file with the same content and metadata. Other entries are unchanged.
pub(crate) fn split_link(tree: &Tree, entry: Entry, content: Content) -> (Entry, Content) {
    if !matches!(entry.kind, EntryKind::HardLink { .. }) {
        return (entry, content);
    }
    match (tree.lookup(&entry.path), tree.content(&entry.path)) {
        (Some(file), content) => (file, content.unwrap_or(Content::Bytes(Default::default()))),
        (None, _) => (entry, content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{directory, file, layer, store};
    use crate::{DriverChoice, DriverName};

    fn device(path: &str) -> (Entry, Content) {
        let kind = EntryKind::CharDevice { major: 1, minor: 3 };
        (Entry { kind, ..Entry::directory(path) }, Content::Bytes(Default::default()))
    }

    /// As docker, containerd and buildah in a user namespace. What is below a device node must not appear in its place.
    #[test]
    fn an_ordinary_user_gets_no_device_nodes() {
        let fixture = store(DriverChoice::Named(DriverName::Copy));
        let link = Entry { kind: EntryKind::HardLink { target: "d/new".into() }, ..Entry::directory("d/other") };
        let below = layer(&fixture.store, [directory("d"), file("d/old", "a file")]);
        let above = [directory("d"), device("d/old"), device("d/new"), (link, device("").1), file("d/kept", "")];
        let stack = [below.diff_id, layer(&fixture.store, above).diff_id];
        let tree = fixture.store.tree(&stack).unwrap();
        let lines = |marks| -> Vec<String> {
            let entries = entries(&tree, marks).unwrap();
            let entries = entries.iter().filter(|(entry, _)| !entry.path.as_os_str().is_empty());
            entries.map(|(entry, _)| format!("{} {}", entry.path.display(), entry.xattrs.len())).collect()
        };
        assert_eq!(lines(Marks::Trusted), ["d 0", "d/kept 0", "d/new 0", "d/old 0", "d/other 0"]);
        // The directory has two marks because of the whiteout in it.
        assert_eq!(lines(Marks::User), ["d 2", "d/kept 0", "d/old 1"]);
        let index = tree.layers().last().unwrap();
        assert!(!index.is_self_contained(), "the entries depend on the layers below");
    }
}
