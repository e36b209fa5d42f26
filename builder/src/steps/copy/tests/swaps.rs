//! Contexts that change between hashing and copying: the stored content is the hashed content, or the copy fails.

use super::{Kit, NOW, add, copy, op};
use crate::steps::copy::CopyError;
use crate::steps::copy::key::read;
use buildscope_record::Probe;
use buildscope_storage::{PinnedFile, StorageError};
use buildscope_testing::until;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::SystemTime;

/// The size of a file that is too large to be kept in memory after hashing.
const LARGE: usize = 100 << 10;

impl Kit {
    /// Hashes the files that `op` selects, calls `change`, then copies.
    fn copy_after(&mut self, op: &crate::plan::Copy, change: impl FnOnce(&Kit)) -> Result<(), CopyError> {
        let selection = self.select(op).unwrap();
        change(self);
        let layer = copy(op, selection, &self.layers, NOW, &self.store, &Probe::disabled())?;
        self.layers.push(layer.diff_id);
        Ok(())
    }

    /// Renames `name` and puts a link to `to` in its place.
    fn swap(&self, name: &str, to: &std::path::Path) {
        fs::rename(self.path(name), self.path(&format!("{name}.kept"))).unwrap();
        symlink(to, self.path(name)).unwrap();
    }
}

fn is_change(result: Result<(), CopyError>) -> bool {
    matches!(result, Err(CopyError::Storage(StorageError::ChangedWhileRead(_))))
}

#[test]
fn a_directory_that_becomes_a_link_is_an_error() {
    // The file of the target has the same name and size: only its identity differs.
    for size in [LARGE, 1 << 20] {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("f"), vec![b'!'; size]).unwrap();
        let mut kit = Kit::new();
        kit.write("d/e/f", vec![b'o'; size]);
        assert!(is_change(kit.copy_after(&op(&["d"], "/d"), |kit| kit.swap("d/e", outside.path()))));
        assert!(kit.layers.is_empty(), "no layer was made");
        fs::remove_file(kit.path("d/e")).unwrap();
        fs::rename(kit.path("d/e.kept"), kit.path("d/e")).unwrap();
        kit.copy(&op(&["d"], "/d"));
        assert!(!kit.lines().iter().any(|line| line.contains('!')));
    }
}

#[test]
fn a_link_within_the_context_is_an_error() {
    let mut kit = Kit::new();
    kit.write("d/f", vec![b'o'; LARGE]).write("other/f", vec![b'!'; LARGE]);
    assert!(is_change(kit.copy_after(&op(&["d"], "/d"), |kit| kit.swap("d", std::path::Path::new("other")))));
}

#[test]
fn a_replaced_file_is_an_error() {
    let mut kit = Kit::new();
    kit.write("f", vec![b'o'; LARGE]).write("g", vec![b'!'; LARGE]);
    let renamed = kit.copy_after(&op(&["f"], "/f"), |kit| fs::rename(kit.path("g"), kit.path("f")).unwrap());
    assert!(is_change(renamed));
    kit.write("h", vec![b'o'; LARGE]);
    assert!(is_change(kit.copy_after(&op(&["h"], "/h"), |kit| fs::remove_file(kit.path("h")).unwrap())));
}

#[test]
fn a_rewrite_with_the_old_time_is_an_error() {
    let mut kit = Kit::new();
    kit.write("f", vec![b'o'; LARGE]);
    let result = kit.copy_after(&op(&["f"], "/f"), |kit| {
        let time_of = |name: &str| fs::metadata(kit.path(name)).unwrap().modified().unwrap();
        let time = time_of("f");
        // A tick of the kernel's clock for file times.
        until("the next tick", || {
            fs::write(kit.path("other"), "").unwrap();
            time_of("other") > time
        });
        fs::write(kit.path("f"), vec![b'!'; LARGE]).unwrap();
        fs::File::options().write(true).open(kit.path("f")).unwrap().set_modified(time).unwrap();
    });
    assert!(is_change(result));
}

#[test]
fn an_archive_that_changes_is_an_error() {
    let mut kit = Kit::new();
    let archive = |byte: u8| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(LARGE as u64);
        archive.append_data(&mut header, "f", &vec![byte; LARGE][..]).unwrap();
        archive.into_inner().unwrap()
    };
    kit.write("d/a.tar", archive(b'o')).write("other/a.tar", archive(b'!'));
    let changed = kit.copy_after(&add(&["d/a.tar"], "/"), |kit| kit.swap("d", std::path::Path::new("other")));
    assert!(is_change(changed));
    assert!(kit.layers.is_empty());
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let kit = Kit::new();
    kit.write("f", vec![b'o'; 2 << 20]);
    let context = crate::sources::Context::open(
        kit.context.path(),
        None::<fn(&std::path::Path) -> crate::sources::IgnoreVerdict>,
        None,
    )
    .unwrap();
    let path = std::path::Path::new("f");
    let content = context.content(context.node(path).unwrap().unwrap(), || path.to_owned(), |_| false);
    let mut first = true;
    let result = read(kit.store.blobs(), &content, |_| {
        if std::mem::take(&mut first) {
            fs::File::options().write(true).open(kit.path("f")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        Ok(())
    });
    assert!(result.unwrap_err().to_string().contains("changed while it was read"));
    let buildscope_storage::Content::Pinned(file) = content else { panic!() };
    assert!(matches!(PinnedFile::open(&file), Err(StorageError::ChangedWhileRead(_))));
}
