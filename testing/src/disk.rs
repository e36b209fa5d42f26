//! File systems for a single test.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A file system in a file, mounted for as long as this value lives.
pub struct Disk {
    /// The mount point.
    pub at: PathBuf,
    dir: TempDir,
}

impl Disk {
    /// Creates and mounts a file system of this type and size in bytes. The test needs [`crate::Need::LoopDevices`]
    /// and the program `mkfs.KIND`.
    ///
    /// # Panics
    /// Panics with the program's output if a program fails.
    #[must_use]
    pub fn mounted(kind: &str, size: u64) -> Self {
        Self::made(&[&format!("mkfs.{kind}"), "-q"], "loop", size)
    }

    /// Creates a file system of this size in bytes with a program and its arguments, and mounts it with `options` of mount(8).
    ///
    /// # Panics
    /// Panics with the program's output if a program fails.
    #[must_use]
    pub fn made(program: &[&str], options: &str, size: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("image")).unwrap().set_len(size).unwrap();
        run(Command::new(program[0]).args(&program[1..]).arg(dir.path().join("image")));
        Self::mount(dir, options)
    }

    /// Cuts the power: what the file system has written to its disk remains, and what only its memory has is lost. Mounts the rest,
    /// after a repair by the program that a boot would run.
    ///
    /// # Panics
    /// Panics with the program's output if a program fails.
    #[must_use]
    pub fn after_power_cut(self, repair: &[&str]) -> Self {
        let (old, new) = (self.dir.path().join("image"), tempfile::tempdir().unwrap());
        let image = new.path().join("image");
        run(Command::new("cp").arg("--sparse=always").args([&old, &image]));
        // Two mounted file systems must not have the same identity.
        drop(self);
        if let [program, arguments @ ..] = repair {
            // Its exit code says whether it found something to repair.
            Command::new(program).args(arguments).arg(&image).output().unwrap();
        }
        Self::mount(new, "loop")
    }

    /// Mounts the file `image` of a directory.
    fn mount(dir: TempDir, options: &str) -> Self {
        let at = dir.path().join("at");
        std::fs::create_dir(&at).unwrap();
        run(Command::new("mount").args(["-o", options]).arg(dir.path().join("image")).arg(&at));
        Self { at, dir }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}
