//! Upper directories written by hand, as the kernel may write them. What overlayfs does depends on its mount options, but the format
//! is fixed (Documentation/filesystems/overlayfs.rst).

use super::{Fixture, directory, file, layer, read};
use crate::change::Changes;
use crate::lower::Marks;
use crate::upper::Upper;
use crate::{DriverChoice, DriverName, Layer, StorageError, Tree};
use buildscope_record::{DiffId, Probe};
use rustix::fs::{FileType, Mode, XattrFlags};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An upper directory over `d/x`, `d/y` and `e`, with marks of one form.
struct Left {
    fixture: Fixture,
    base: DiffId,
    marks: Marks,
    of_fuse: bool,
    upper: tempfile::TempDir,
}

impl Left {
    fn with(marks: Marks) -> Self {
        let fixture = super::store(DriverChoice::Named(DriverName::Copy));
        let below = [directory("d"), file("d/x", "of x"), file("d/y", "of y"), directory("e")];
        let base = layer(&fixture.store, below).diff_id;
        Self { fixture, base, marks, of_fuse: false, upper: tempfile::tempdir().unwrap() }
    }

    fn upper_directory(&self) -> Upper {
        let dir = self.upper.path().to_owned();
        if self.of_fuse { Upper::of_fuse(dir, self.marks) } else { Upper::new(dir, self.marks) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.upper.path().join(path)
    }

    fn mark(&self, path: &str, name: &str, value: &str) {
        let prefix = if self.marks == Marks::Trusted { "trusted" } else { "user" };
        let name = format!("{prefix}.overlay.{name}");
        rustix::fs::setxattr(self.path(path), name, value.as_bytes(), XattrFlags::empty()).unwrap();
    }

    fn directory(&self, path: &str) {
        fs::create_dir(self.path(path)).unwrap();
    }

    fn whiteout(&self, path: &str) {
        let at = self.path(path);
        match self.marks {
            Marks::Trusted => {
                rustix::fs::mknodat(rustix::fs::CWD, &at, FileType::CharacterDevice, Mode::empty(), 0).unwrap()
            }
            Marks::User => {
                fs::write(&at, "").unwrap();
                self.mark(path, "whiteout", "y");
            }
        }
    }

    /// A file whose metadata alone was copied up: it has the size of the lower file, and no data.
    fn metadata(&self, path: &str, size: u64, mode: u32) {
        let made = fs::File::create(self.path(path)).unwrap();
        made.set_len(size).unwrap();
        made.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        self.mark(path, "metacopy", "");
    }

    fn layer(&self) -> Result<(Layer, Vec<String>, Arc<Tree>), StorageError> {
        let store = &self.fixture.store;
        let tree = store.tree(&[self.base]).unwrap();
        let mut changes = Changes::new(&tree);
        self.upper_directory().compare(&mut changes)?;
        let mut builder = store.layer_builder();
        changes.finish(&mut builder);
        let layer = builder.finish(&Probe::disabled()).unwrap();
        let members = super::drivers::members(store, &layer.diff_id);
        Ok((layer, members, store.tree(&[self.base, layer.diff_id]).unwrap()))
    }
}

/// Runs a test with each form of marks that this process may write.
fn each(test: impl Fn(Left)) {
    test(Left::with(Marks::User));
    if Marks::here() == Marks::Trusted {
        test(Left::with(Marks::Trusted));
    }
}

/// The files are those that fuse-overlayfs 1.10 makes where mknod(2) is refused (`create_whiteout` of its main.c).
#[test]
fn fuse_overlayfs_marks_removed_files_by_name() {
    let left = Left { of_fuse: true, ..Left::with(Marks::User) };
    left.directory("d");
    fs::write(left.path("d/.wh.x"), "").unwrap();
    fs::write(left.path(".wh.e"), "").unwrap();
    fs::write(left.path("d/.wh..wh..opq"), "").unwrap();
    fs::write(left.path("d/new"), "new").unwrap();
    let (_, members, _) = left.layer().unwrap();
    assert_eq!(members, [".wh.e", "d/", "d/.wh.x", "d/new"]);
}

fn mode(tree: &Tree, path: &str) -> u32 {
    tree.entry_of(&tree.node(Path::new(path)).unwrap(), path.into()).mode
}

#[test]
fn a_metacopy_file_has_the_data_of_the_lower_file() {
    each(|left| {
        left.directory("d");
        left.metadata("d/x", 4, 0o600);
        let (_, members, tree) = left.layer().unwrap();
        assert_eq!(members, ["d/", "d/x"]);
        assert_eq!((read(&tree, "d/x").as_deref(), mode(&tree, "d/x")), (Some("of x"), 0o600));
    });
}

#[test]
fn a_moved_metacopy_file_has_the_data_of_its_origin() {
    each(|left| {
        left.directory("d");
        left.whiteout("d/x");
        left.directory("e");
        left.metadata("e/z", 4, 0o644);
        left.mark("e/z", "redirect", "/d/x");
        let (_, members, tree) = left.layer().unwrap();
        assert_eq!(members, ["d/", "d/.wh.x", "e/", "e/z"]);
        assert_eq!((read(&tree, "e/z").as_deref(), read(&tree, "d/x")), (Some("of x"), None));
    });
}

#[test]
fn an_absolute_redirect_finds_a_moved_directory() {
    each(|left| {
        left.whiteout("d");
        left.directory("e");
        left.directory("e/moved");
        left.mark("e/moved", "redirect", "/d");
        fs::write(left.path("e/moved/y"), "new").unwrap();
        let (_, members, tree) = left.layer().unwrap();
        assert_eq!(members, [".wh.d", "e/", "e/moved/", "e/moved/x", "e/moved/y"]);
        assert_eq!(
            (read(&tree, "e/moved/x").as_deref(), read(&tree, "e/moved/y").as_deref()),
            (Some("of x"), Some("new"))
        );
    });
}

#[test]
fn a_relative_redirect_finds_a_renamed_directory() {
    each(|left| {
        left.whiteout("d");
        left.directory("renamed");
        left.mark("renamed", "redirect", "d");
        let (_, members, tree) = left.layer().unwrap();
        assert_eq!(members, [".wh.d", "renamed/", "renamed/x", "renamed/y"]);
        assert_eq!(read(&tree, "renamed/y").as_deref(), Some("of y"));
    });
}

#[test]
fn an_opaque_directory_hides_the_lower_one() {
    each(|left| {
        left.directory("d");
        left.mark("d", "opaque", "y");
        fs::write(left.path("d/x"), "new").unwrap();
        let (_, members, tree) = left.layer().unwrap();
        assert_eq!(members, ["d/", "d/.wh.y", "d/x"]);
        assert_eq!((read(&tree, "d/x").as_deref(), read(&tree, "d/y")), (Some("new"), None));
    });
}

#[test]
fn a_directory_with_many_files_gives_all_of_them() {
    each(|left| {
        left.directory("e");
        let names: Vec<_> = (0..200).map(|n| format!("e/{n:03}")).collect();
        names.iter().for_each(|name| fs::write(left.path(name), name).unwrap());
        let (_, members, tree) = left.layer().unwrap();
        let expected: Vec<_> = std::iter::once("e/").chain(names.iter().map(String::as_str)).collect();
        assert_eq!(members, expected);
        names.iter().for_each(|name| assert_eq!(read(&tree, name).as_ref(), Some(name)));
    });
}

#[test]
fn a_metacopy_file_without_origin_is_an_error() {
    each(|left| {
        left.metadata("lost", 4, 0o644);
        assert!(matches!(left.layer(), Err(StorageError::BadEntry { path, .. }) if path == Path::new("lost")));
    });
}
