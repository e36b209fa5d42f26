//! File systems for a single test.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A file system in a file, mounted for as long as this value lives.
pub struct Disk {
    /// The mount point.
    pub at: PathBuf,
    _dir: TempDir,
}

impl Disk {
    /// Creates and mounts a file system of this type and size in bytes. The test needs [`crate::Need::LoopDevices`]
    /// and the program `mkfs.KIND`.
    /// the program `mkfs.KIND`.
    ///
    /// # Panics
    /// Panics with the program's output if a program fails.
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
