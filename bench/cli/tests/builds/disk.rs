//! File systems for stores that need one of their own.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A file system in a file, mounted for as long as this lives.
pub(crate) struct Disk {
    pub(crate) at: PathBuf,
    _dir: TempDir,
}

impl Disk {
    /// One of that kind and size in bytes; none where there are no such programs, or no right to mount.
    pub(crate) fn mounted(kind: &str, size: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(size).unwrap();
        let run = |program: &str, args: &[&OsStr]| {
            Command::new(program).args(args).output().is_ok_and(|run| run.status.success())
        };
        let made = run(&format!("mkfs.{kind}"), &["-q".as_ref(), image.as_ref()])
            && run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), at.as_ref()]);
        made.then_some(Self { at, _dir: dir })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}
