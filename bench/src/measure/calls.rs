//! System calls of a build, by class. Unlike times, their counts have no noise.
//!
//! strace counts them in separate builds, which are not timed. The classes are those whose counts are the same in
//! every build by one binary, in whatever order its threads run: starting programs, mounting, fsync, renaming, and
//! changing owners or modes. Waits, memory, reads and threads vary from build to build and are left out. So are
//! creating and removing files, because the builder's own clean-up does that at varying times.

use crate::run::{Calls, RunError};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The classes with the names of their calls in syscalls(2).
const CLASSES: [(&str, &[&str]); 5] = [
    ("execs", &["execve", "execveat"]),
    (
        "mounts",
        &[
            "mount",
            "umount2",
            "move_mount",
            "open_tree",
            "fsopen",
            "fsconfig",
            "fsmount",
            "mount_setattr",
            "pivot_root",
        ],
    ),
    ("waits for the disk", &["fsync", "fdatasync", "sync", "syncfs", "sync_file_range"]),
    ("renames and links", &["rename", "renameat", "renameat2", "link", "linkat"]),
    ("owners and modes", &["chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"]),
];

/// Checks that system calls can be counted on this machine.
///
/// # Errors
/// Returns the reason if they cannot be counted.
pub fn countable() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("counting system calls needs root: newuidmap refuses to map ids for a traced program".to_owned());
    }
    let version = Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match version {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("strace does not run on this machine".to_owned()),
        Err(error) => Err(format!("strace: {error} (install the package `strace`)")),
    }
}

/// Wraps a command in strace, which writes its counts to the file `counts`.
pub(super) fn counted(command: &Command, counts: &Path) -> Command {
    let names = CLASSES.iter().flat_map(|(_, names)| *names);
    // `?` ignores calls that this architecture does not have.
    let names: Vec<_> = names.map(|name| format!("?{name}")).collect();
    let mut traced = Command::new("strace");
    // -D: the builder is our child instead of strace, so stopping our child stops the build. The seccomp filter
    // avoids the tracing overhead for all other calls.
    traced
        .args(["-D", "-f", "-c", "-U", "name,calls", "--seccomp-bpf", "-e"])
        .arg(format!("trace={}", names.join(",")));
    traced.arg("-o").arg(counts).arg(command.get_program()).args(command.get_args());
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((OsString::from(name), value?))));
    traced
}

/// Reads the counts that strace wrote, by class. Classes without calls are 0.
pub(super) fn read(counts: &Path) -> Result<Calls, RunError> {
    Ok(classes(&fs::read_to_string(counts).map_err(RunError::io("read", counts))?))
}

/// Reads the lines that consist of a name and a number. Other lines are rulers, headings and the total.
fn classes(text: &str) -> Calls {
    let mut calls: Calls = CLASSES.iter().map(|(class, _)| ((*class).to_owned(), 0)).collect();
    for line in text.lines() {
        let Some((name, count)) = line.split_once(' ') else { continue };
        let Some((class, _)) = CLASSES.iter().find(|(_, names)| names.contains(&name)) else { continue };
        *calls.entry((*class).to_owned()).or_default() += count.trim().parse::<u64>().unwrap_or(0);
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strace_counts_are_summed_by_class() {
        // As strace 6.1 prints `-c -U name,calls`.
        let output = "syscall              calls\n---------------- ---------\nexecve                  13\nfsync                    5\n\
                    syncfs                   1\nmount                    3\nread                   999\n\
                    ---------------- ---------\ntotal                 1021\n";
        let calls = classes(output);
        let of = |class| calls[class];
        assert_eq!((of("execs"), of("waits for the disk"), of("mounts")), (13, 6, 3));
        assert_eq!((of("renames and links"), of("owners and modes"), calls.len()), (0, 0, 5));
    }

    /// A script whose calls are known exactly: it starts a shell, renames twice, and syncs once.
    #[test]
    #[ignore = "needs root and strace"]
    fn a_known_script_has_the_expected_counts() {
        assert_eq!(countable(), Ok(()));
        let folder = tempfile::tempdir().unwrap();
        let counts = folder.path().join("counts");
        let mut script = Command::new("sh");
        script
            .args(["-c", "cd \"$IN\" && : > a && mv a b && mv b c && sync c; exec chmod 600 c"])
            .env("IN", folder.path())
            .env("PATH", "/usr/bin:/bin");
        let output = counted(&script, &counts).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let calls = read(&counts).unwrap();
        let of = |class| calls[class];
        // sh, mv, mv, sync, chmod: each is found in the first directory of PATH.
        assert_eq!((of("execs"), of("renames and links"), of("waits for the disk")), (5, 2, 1));
        assert_eq!((of("owners and modes"), of("mounts")), (1, 0));
    }
}
