//! System calls that a build makes, by class: what it asks of the kernel has no noise, where its times have.
//!
//! Counted by strace over builds that are in no statistic of time. The classes are those that are the same from build to
//! build of one binary, in whatever order its threads run: what asks for a program, makes a mount, waits for the disk, renames
//! or changes who owns a file. Waits, memory, reads and threads differ from build to build and are left out, and so are
//! names made and removed, of which some are of the builder's own sweeping.

use crate::run::{Calls, RunError};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Classes, and the calls in them by their names in syscalls(2).
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

/// Whether calls can be counted here.
///
/// # Errors
/// With the reason, where they cannot.
pub fn countable() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("a traced program gets no user ids from newuidmap: it takes root".to_owned());
    }
    let version = Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match version {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("strace does not run here".to_owned()),
        Err(error) => Err(format!("strace: {error} (it is a package of that name)")),
    }
}

/// The same command under strace, which leaves its counts in `counts`.
pub(super) fn counted(command: &Command, counts: &Path) -> Command {
    let names = CLASSES.iter().flat_map(|(_, names)| *names);
    // A name that this processor's kernel has not is no error.
    let names: Vec<_> = names.map(|name| format!("?{name}")).collect();
    let mut traced = Command::new("strace");
    // -D: the builder is our child, not strace, so what stops the one stops the other. The filter in the kernel spares the
    // calls that are not counted.
    traced
        .args(["-D", "-f", "-c", "-U", "name,calls", "--seccomp-bpf", "-e"])
        .arg(format!("trace={}", names.join(",")));
    traced.arg("-o").arg(counts).arg(command.get_program()).args(command.get_args());
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((OsString::from(name), value?))));
    traced
}

/// What strace has counted, by class; a class of which there was none is 0.
pub(super) fn read(counts: &Path) -> Result<Calls, RunError> {
    Ok(classes(&fs::read_to_string(counts).map_err(RunError::io(counts))?))
}

/// Reads lines of a name and a number; all others are ruling, a head and a sum.
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
    fn what_strace_says_is_summed_by_class() {
        // As strace 6.1 prints `-c -U name,calls`.
        let said = "syscall              calls\n---------------- ---------\nexecve                  13\nfsync                    5\n\
                    syncfs                   1\nmount                    3\nread                   999\n\
                    ---------------- ---------\ntotal                 1021\n";
        let calls = classes(said);
        let of = |class| calls[class];
        assert_eq!((of("execs"), of("waits for the disk"), of("mounts")), (13, 6, 3));
        assert_eq!((of("renames and links"), of("owners and modes"), calls.len()), (0, 0, 5));
    }

    /// Known to the last call: a shell that is started, renames twice, and waits for the disk once.
    #[test]
    #[ignore = "needs root and strace"]
    fn a_known_script_has_its_known_calls() {
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
        // sh, mv, mv, sync, chmod: all found at the first try.
        assert_eq!((of("execs"), of("renames and links"), of("waits for the disk")), (5, 2, 1));
        assert_eq!((of("owners and modes"), of("mounts")), (1, 0));
    }
}
