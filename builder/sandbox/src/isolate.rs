//! Moves the whole process into its own namespaces, before it has threads.
//!
//! All mounts of a build are in this mount namespace, so they end with the process even if it is killed. An ordinary user
//! also needs a user namespace. In it the files of an image keep their owners as far as `/etc/subuid` and `/etc/subgid`
//! provide ids (the kernel's user_namespaces(7); shadow's newuidmap(1)).

use super::error::SandboxError;
use super::program::helper;
use super::sys::{self, Forked};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::OnceLock;

/// The way in which the process is isolated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Root of the machine has a mount namespace.
    Root,
    /// An ordinary user with a range of ids has a user namespace and a mount namespace.
    Rootless {
        /// The number of user ids in the namespace, including root.
        ids: u32,
    },
    /// An ordinary user without a range of ids has both namespaces, but in them only uid 0 and gid 0 exist: the user's own ids.
    SingleId {
        /// The reason why there is no range.
        reason: NoRange,
    },
}

/// A reason why an ordinary user has only one id. The message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRange {
    /// The file has no line for the user.
    #[error(
        "{file} has no line for {user}, so files and processes in this build can only belong to root; an administrator can add ids with `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}`"
    )]
    NoLine {
        /// The file: `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// The user's name or number.
        user: String,
    },
    /// newuidmap or newgidmap is missing or failed.
    #[error(
        "`{tool}` failed, so files and processes in this build can only belong to root; it must be installed (package uidmap or shadow-utils) and setuid root"
    )]
    Tool {
        /// The name of the program.
        tool: &'static str,
    },
}

/// Moves this process into its own mount namespace (and, for an ordinary user, user namespace). Mounts made in it do not
/// propagate to the rest of the system. Call it first in `main`: the process must have only one thread.
///
/// # Errors
/// Fails if the kernel or its configuration forbids namespaces.
pub fn isolate_process() -> Result<Isolation, SandboxError> {
    // In another mount namespace, `/proc/self/exe` has a path from the root of this one, which is not that of a chroot. If this process was
    // the last one here, as in a container, it has a path from the root of a mount that is gone.
    let program = rustix::fs::readlink("/proc/self/exe", Vec::new());
    let _ = program.map(|program| PROGRAM.set(program));
    let isolation = match sys::unshare(libc::CLONE_NEWNS) {
        Ok(()) => Isolation::Root,
        Err(Errno::PERM) => user_namespace()?,
        Err(errno) => return Err(SandboxError::Isolate { what: "making a mount namespace", errno }),
    };
    match make_private("/") {
        // The root of a chroot: a directory that is not a mount point.
        Err(Errno::INVAL) => mount_root(),
        made => made.map_err(|errno| ("making mounts private", errno)),
    }
    .map_err(|(what, errno)| SandboxError::Isolate { what, errno })?;
    Ok(isolation)
}

/// Keeps the mounts at and below a mount point from propagating.
fn make_private(path: &str) -> Result<(), Errno> {
    rustix::mount::mount_change(path, MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
}

/// Mounts the root directory of a chroot on itself and enters it: `pivot_root` and changes of propagation need a mount point.
///
/// The mounts above the chroot become private first. Otherwise the new mount would propagate to the rest of the system.
fn mount_root() -> Result<(), (&'static str, Errno)> {
    let at = |what: &'static str| move |errno| (what, errno);
    let here = std::env::current_dir();
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let root = root.map_err(at("opening the root of the chroot"))?;
    // From a directory above its root a process reaches the root of the mount namespace (chroot(2)). Any directory below serves.
    let outside = || {
        rustix::process::chroot("/tmp")?;
        rustix::process::fchdir(&root)?;
        rustix::process::chdir(&*"../".repeat(DEEPEST))?;
        make_private(".")
    };
    let made = outside().map_err(at("making the mounts above the chroot private"));
    let enter = |directory: &OwnedFd| {
        rustix::process::fchdir(directory)?;
        rustix::process::chroot(".")
    };
    enter(&root).map_err(at("entering the chroot"))?;
    made?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, "/", clone).map_err(at("mounting the root of the chroot"))?;
    rustix::mount::move_mount(&tree, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(at("mounting the root of the chroot"))?;
    enter(&tree).map_err(at("entering the chroot"))?;
    // The descriptors of directories outside of the new mount are not those of the paths below it.
    let here = here.unwrap_or_else(|_| "/".into());
    rustix::process::chdir(&here).map_err(at("entering the current directory"))
}

/// The path of this program before its process entered a mount namespace of its own.
static PROGRAM: OnceLock<CString> = OnceLock::new();

/// The path of this program's file from the root directory.
pub(super) fn program_path() -> Result<CString, Errno> {
    PROGRAM.get().cloned().map_or_else(|| rustix::fs::readlink("/proc/self/exe", Vec::new()), Ok)
}

/// The number of directories that a chroot may be below the root of the mount namespace: a path has at most `PATH_MAX` bytes.
const DEEPEST: usize = 1300;

/// Whether root of this user namespace is root of the machine: all ids map to themselves (user_namespaces(7)).
pub(super) fn initial_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

/// A line of `/etc/subuid` or `/etc/subgid`: first id and count.
fn range(file: &'static str, user: &str, uid: u32) -> Result<(u32, u32), NoRange> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let owner = fields.next()?;
            let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
            (owner == user || owner == uid.to_string()).then_some((first, count))
        })
        .max_by_key(|&(_, count)| count)
        .ok_or_else(|| NoRange::NoLine { file, user: user.to_owned() })
}

fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    line.and_then(|line| line.split(':').next()).map_or_else(|| uid.to_string(), str::to_owned)
}

fn user_namespace() -> Result<Isolation, SandboxError> {
    let isolate = |what| move |errno| SandboxError::Isolate { what, errno };
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let user = user_name(uid);
    let ranges = range("/etc/subuid", &user, uid).and_then(|uids| Ok((uids, range("/etc/subgid", &user, uid)?)));
    // A child that stays outside writes the id maps: newuidmap must run in the parent namespace.
    let mapper = match ranges {
        Ok(ranges) => Ok((Mapper::fork(uid, gid, ranges).map_err(isolate("forking"))?, ranges)),
        Err(reason) => Err(reason),
    };
    // Both namespaces at once, so that the mount namespace belongs to the user namespace.
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map_err(isolate("making a user namespace"))?;
    let isolation = match mapper {
        Ok((mapper, ((_, uids), _))) => match mapper.map().map_err(isolate("writing the id maps"))? {
            None => Isolation::Rootless { ids: uids + 1 },
            Some(tool) => Isolation::SingleId { reason: NoRange::Tool { tool } },
        },
        Err(reason) => Isolation::SingleId { reason },
    };
    if matches!(isolation, Isolation::SingleId { .. }) {
        map_own_ids(uid, gid).map_err(isolate("writing the id maps"))?;
    }
    let root = || {
        rustix::thread::set_thread_res_gid(rustix::fs::Gid::ROOT, rustix::fs::Gid::ROOT, rustix::fs::Gid::ROOT)?;
        rustix::thread::set_thread_res_uid(rustix::fs::Uid::ROOT, rustix::fs::Uid::ROOT, rustix::fs::Uid::ROOT)
    };
    root().map_err(isolate("becoming root of the user namespace"))?;
    Ok(isolation)
}

/// Maps the user's own ids to 0, which an ordinary user may do without privileged tools.
fn map_own_ids(uid: u32, gid: u32) -> Result<(), Errno> {
    let write = |file: &str, text: String| {
        std::fs::write(Path::new("/proc/self").join(file), text)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))
}

/// A child in the old user namespace that writes the id maps on request.
struct Mapper {
    pid: i32,
    go: OwnedFd,
    answer: OwnedFd,
}

const TOOLS: [&str; 2] = ["newuidmap", "newgidmap"];

impl Mapper {
    fn fork(uid: u32, gid: u32, ranges: ((u32, u32), (u32, u32))) -> Result<Self, Errno> {
        let cloexec = rustix::pipe::PipeFlags::CLOEXEC;
        let (wait, go) = rustix::pipe::pipe_with(cloexec)?;
        let (answer, tell) = rustix::pipe::pipe_with(cloexec)?;
        let target = std::process::id();
        match sys::fork()? {
            Forked::Parent { pid, .. } => Ok(Self { pid, go, answer }),
            Forked::Child => {
                drop((go, answer));
                let mut word = [0];
                if rustix::io::read(&wait, &mut word) == Ok(1) {
                    let failed = write_maps(target, uid, gid, ranges);
                    let _ = rustix::io::write(&tell, &[failed.map_or(2, |tool| tool as u8)]);
                }
                sys::exit(0)
            }
        }
    }

    /// Requests the maps and returns the tool that failed, if one did.
    fn map(self) -> Result<Option<&'static str>, Errno> {
        rustix::io::write(&self.go, b"!")?;
        let mut answer = [0];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.answer, &mut answer))?;
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid) {
            rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()))?;
        }
        Ok(if read == 1 { TOOLS.get(usize::from(answer[0])).copied() } else { Some(TOOLS[0]) })
    }
}

/// Runs both tools at the same time and returns the index of one that failed, if any.
fn write_maps(target: u32, uid: u32, gid: u32, (uids, gids): ((u32, u32), (u32, u32))) -> Option<usize> {
    let started = [(TOOLS[0], uid, uids), (TOOLS[1], gid, gids)].map(|(tool, own, (first, count))| {
        let mut command = helper(tool);
        command.args([target, 0, own, 1, 1, first, count].map(|number| number.to_string()));
        command.arg0(tool).stdin(std::process::Stdio::null()).spawn()
    });
    let ended = started.map(|child| child.and_then(|mut child| child.wait()).is_ok_and(|status| status.success()));
    ended.iter().position(|success| !success)
}
