//! File systems of a test's own.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A file system in a file, mounted for as long as this value lives.
pub struct Disk {
    /// Where it is mounted.
    pub at: PathBuf,
    _dir: TempDir,
}

impl Disk {
    /// Makes and mounts a file system of this type and size in bytes. Its tests need [`crate::Need::LoopDevices`] and
    /// the program `mkfs.KIND`.
    ///
    /// # Panics
    /// If a program fails, with what it said.
    #[must_use]
    pub fn mounted(kind: &str, size: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(size).unwrap();
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at));
        Self { at, _dir: dir }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}
