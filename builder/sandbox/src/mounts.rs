//! The file systems of a step: its root, `/proc`, `/sys`, `/dev`, masked paths, and its own mounts.
//!
//! The mounts that are the same for all steps are made once, in the zygote's private root (the [`Template`]), and cloned
//! from there. Everything except the few standard nodes is `nodev`, so a device node that a step makes (it has CAP_MKNOD,
//! as under docker) cannot be opened.

use super::filesystem::{HARMLESS, attach, clone, filesystem, pivot, resize, write};
use super::masks::{MASKED_PROC, MOUNTED_SYS, READONLY_PROC, masked_sys};
use super::message::{InitMessage, MountMessage, Mountpoint, SourceMessage};
use super::mountpoint::{MountpointKind, Root};
use super::scratch::{SCRATCH, Scratch};
use super::spec::{self, Privileges, SHM_SIZE};
use super::sys;
use rustix::fs::{Access, AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The path in the zygote's root at which a step's root is attached before the pivot.
pub(super) const NEW: &str = "/new";
/// The path of a fully visible procfs. A user namespace may mount a new procfs only while it sees such a one.
const PROC: &str = "/proc";
/// The path of the read-only, masked sysfs for steps with the host's network.
pub(super) const SYS: &str = "/sys";
/// The path of an empty, read-only directory that masks other directories.
const EMPTY: &str = "/empty";
/// The paths at which a step's own `/proc` and `/dev` are made before its root exists. They must be attached for mounts on top
/// of them: mounting on a detached mount needs Linux 6.15.
const STAGED: [&str; 2] = ["/staged-proc", "/staged-dev"];
/// The path of the host's unchanged resolver configuration, which docker too gives to steps with the host's network.
pub(super) const RESOLV_CONF: &str = "/resolv.conf";
/// The path of the host table of steps without extra hosts.
pub(super) const HOSTS: &str = "/hosts";

/// The options of the mount of one of the host's device nodes.
pub(super) const NODE: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC).union(MountAttrFlags::MOUNT_ATTR_RDONLY);

/// The device nodes of every `/dev`: those that runc makes.
pub(super) const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// The operation that failed and the kernel's error.
pub(super) type MountFailure = (String, Errno);

pub(super) trait At<T> {
    fn at(self, what: impl Into<String>) -> Result<T, MountFailure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, what: impl Into<String>) -> Result<T, MountFailure> {
        self.map_err(|errno| (what.into(), errno))
    }
}

/// The result of building a step's view.
pub(super) struct View {
    /// The mountpoints that were missing, in the order of their creation.
    pub(super) made: Vec<Mountpoint>,
    /// The open working directory. Looking its path up again is unsafe: another step with the same cache mount could have
    /// replaced it with a link to a descriptor of this process (`/proc/self/fd`; CVE-2024-21626).
    pub(super) workdir: OwnedFd,
}

/// The mounts of a step's view that are made before its message arrives.
pub(super) struct PreparedMounts {
    pub(super) proc: OwnedFd,
    pub(super) dev: OwnedFd,
    scratch: Scratch,
}

/// The mounts that the zygote keeps ready for all steps.
pub(super) struct Template {
    /// The masked paths of `/sys`.
    masked_sys: Vec<String>,
    /// The masked paths of `/proc` that exist on this kernel: (path, is a directory).
    masked: Vec<(String, bool)>,
    /// The read-only paths of `/proc` that exist on this kernel.
    readonly: Vec<String>,
    /// Whether group 5 (tty), to which ptys belong, exists in this user namespace.
    tty_group: bool,
}

impl Template {
    /// Gives this process (the zygote) its own root with only the mounts that steps need. No host path stays reachable, and
    /// every step clones a handful of mounts instead of all mounts of the host.
    pub(super) fn pivot() -> Result<Self, (&'static str, Errno)> {
        let at = |what: &'static str| move |errno| (what, errno);
        sys::unshare(libc::CLONE_NEWNS).map_err(at("making a mount namespace"))?;
        let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
        rustix::mount::mount_change("/", private).map_err(at("making mounts private"))?;
        // Any existing directory works: the new root is on top of it for a moment, in this namespace only.
        let base = Path::new("/tmp");
        rustix::mount::mount("buildscope", base, "tmpfs", MountFlags::NOSUID, Some(c"mode=755,size=1m"))
            .map_err(at("mounting a tmpfs as root"))?;
        let directory = |path: &str| rustix::fs::mkdir(base.join(&path[1..]), Mode::from_raw_mode(0o755));
        for path in [NEW, PROC, SYS, EMPTY, SCRATCH, "/dev"].into_iter().chain(STAGED) {
            directory(path).map_err(at("making directories"))?;
        }
        let tree = |source: &str| {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
            rustix::mount::open_tree(CWD, source, flags)
        };
        let put = |tree: &OwnedFd, path: &str| attach(tree.as_fd(), CWD, &base.join(&path[1..]));
        put(&tree("/proc").map_err(at("/proc"))?, PROC).map_err(at("/proc"))?;
        // Without the mounts below it (tracefs, debugfs, securityfs, cgroups), which steps must not see. A user namespace cannot
        // separate them (mount_namespaces(7)); there all of them are cloned and the known ones are masked.
        let alone =
            rustix::mount::open_tree(CWD, "/sys", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC);
        let masked_sys = masked_sys(Path::new("/sys"));
        let (sys, mounted) = match alone {
            Err(Errno::INVAL) => (tree("/sys"), &MOUNTED_SYS[..]),
            alone => (alone, &[][..]),
        };
        let readonly = HARMLESS | MountAttrFlags::MOUNT_ATTR_RDONLY;
        let empty = || filesystem("tmpfs", &[("size", "0"), ("mode", "555")], readonly);
        // The root directory that a worker gives this program may have none.
        let sys = if let Err(Errno::NOENT) = sys { empty() } else { sys }.map_err(at("/sys"))?;
        sys::mount_setattr(sys.as_fd(), readonly, MountAttrFlags::empty(), sys::Mounts::Tree)
            .map_err(at("making /sys read-only"))?;
        put(&sys, SYS).map_err(at("/sys"))?;
        for path in masked_sys.iter().map(String::as_str).chain(mounted.iter().copied()) {
            let path = base.join("sys").join(path);
            if path.exists() {
                attach(empty().map_err(at("a mask"))?.as_fd(), CWD, &path).map_err(at("a mask"))?;
            }
        }
        put(&empty().map_err(at("a mask"))?, EMPTY).map_err(at("a mask"))?;
        for node in NODES {
            let path = format!("/dev/{node}");
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::open(base.join(&path[1..]), flags, Mode::from_raw_mode(0o666))
                .map_err(at("mounting device nodes"))?;
            let node = tree(&path).map_err(at("mounting device nodes"))?;
            // The node is the host's: a read-only mount protects its mode and owner. The device can still be written to.
            sys::mount_setattr(node.as_fd(), NODE, MountAttrFlags::empty(), sys::Mounts::One)
                .map_err(at("mounting device nodes"))?;
            put(&node, &path).map_err(at("mounting device nodes"))?;
        }
        let resolv_conf = std::fs::read("/etc/resolv.conf").unwrap_or_default();
        for (path, content) in [(RESOLV_CONF, &resolv_conf[..]), (HOSTS, spec::hosts(&[]).as_bytes())] {
            write(CWD, &format!("{}{path}", base.display()), content, 0o644).map_err(at("making files of /etc"))?;
            let flags = MountAttrFlags::empty();
            let file = tree(&format!("{}{path}", base.display())).map_err(at("making files of /etc"))?;
            sys::mount_setattr(file.as_fd(), readonly, flags, sys::Mounts::One).map_err(at("making files of /etc"))?;
            put(&file, path).map_err(at("making files of /etc"))?;
        }
        let masked = MASKED_PROC.iter().filter_map(|name| {
            let metadata = std::fs::symlink_metadata(Path::new("/proc").join(name)).ok()?;
            Some(((*name).to_owned(), metadata.is_dir()))
        });
        let template = Self {
            masked_sys,
            masked: masked.collect(),
            readonly: READONLY_PROC
                .iter()
                .filter(|name| Path::new("/proc").join(name).exists())
                .map(|name| (*name).to_owned())
                .collect(),
            tty_group: group_exists(5),
        };
        pivot(base).map_err(at("pivot_root"))?;
        Ok(template)
    }

    /// Makes the mounts that do not depend on a step's message: its `/proc` and `/dev`, and the place of its files in memory.
    pub(super) fn prepare(&self, privileges: Privileges) -> Result<PreparedMounts, MountFailure> {
        let scratch = Scratch::prepared().at("files in memory")?;
        Ok(PreparedMounts { proc: self.proc(privileges)?, dev: self.dev(privileges)?, scratch })
    }

    /// Builds a step's view of the file system and makes it the root of this process.
    pub(super) fn enter(
        &self,
        mut prepared: PreparedMounts,
        message: &InitMessage,
        fds: &[OwnedFd],
    ) -> Result<View, MountFailure> {
        let fd = |index: u32| {
            fds.get(index as usize).map(AsFd::as_fd).ok_or_else(|| ("invalid descriptor index".to_owned(), Errno::BADF))
        };
        let rootfs = fd(message.rootfs)?;
        let nodev = match message.privileges {
            Privileges::Docker => MountAttrFlags::MOUNT_ATTR_NODEV,
            Privileges::Insecure => MountAttrFlags::empty(),
        };
        sys::mount_setattr(rootfs, nodev, MountAttrFlags::empty(), sys::Mounts::Tree)
            .at("the root file system's options")?;
        attach(rootfs, CWD, Path::new(NEW)).at("the root file system")?;
        let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(NEW, open, Mode::empty()).at("the root file system")?;
        let mut root = Root::new(top.as_fd());

        for (mount, path) in [(&prepared.proc, "/proc"), (&prepared.dev, "/dev")] {
            let target = root.mountpoint(Path::new(path), MountpointKind::Directory).at(path)?;
            attach(mount.as_fd(), target, Path::new("")).at(path)?;
        }
        self.sys(&mut root, message)?;
        if message.shm_size != SHM_SIZE {
            resize(prepared.dev.as_fd(), "shm", message.shm_size).at("/dev/shm")?;
        }
        for (path, own) in [(RESOLV_CONF, &message.resolv_conf), (HOSTS, &message.hosts)] {
            let file = match own {
                Some(content) => prepared.scratch.file(&content.0, 0o644, (0, 0)),
                None => clone(CWD, Path::new(path)),
            };
            let file = file.at(path)?;
            let target = root.mountpoint(&Path::new("/etc").join(&path[1..]), MountpointKind::File).at(path)?;
            attach(file.as_fd(), target, Path::new("")).at(path)?;
        }
        for mount in &message.mounts {
            let target = Path::new(OsStr::from_bytes(&mount.target.0));
            own(&mut root, &mut prepared.scratch, target, mount, &fd)
                .map_err(|(what, errno)| (format!("mount at {}: {what}", target.display()), errno))?;
        }
        let workdir = Path::new(OsStr::from_bytes(&message.workdir.0));
        let owner = (Uid::from_raw(message.uid), Gid::from_raw(message.gid));
        let workdir = root.directory(workdir, owner).at(format!("the working directory {}", workdir.display()))?;
        let made = root.made();
        pivot(Path::new(NEW)).at("pivot_root")?;
        Ok(View { made, workdir })
    }

    fn proc(&self, privileges: Privileges) -> Result<OwnedFd, MountFailure> {
        let proc = filesystem("proc", &[], HARMLESS).at("/proc")?;
        attach(proc.as_fd(), CWD, Path::new(STAGED[0])).at("/proc")?;
        if privileges == Privileges::Insecure {
            return Ok(proc);
        }
        // The mount is attached now, so paths below its descriptor can be mounted on.
        for path in &self.readonly {
            let tree = clone(proc.as_fd(), Path::new(path)).at(format!("/proc/{path}"))?;
            let readonly = MountAttrFlags::MOUNT_ATTR_RDONLY | HARMLESS;
            sys::mount_setattr(tree.as_fd(), readonly, MountAttrFlags::empty(), sys::Mounts::One)
                .at(format!("/proc/{path}"))?;
            attach(tree.as_fd(), &proc, Path::new(path)).at(format!("/proc/{path}"))?;
        }
        for (path, directory) in &self.masked {
            let mask = clone(CWD, Path::new(if *directory { EMPTY } else { "/dev/null" })).at("making a mask")?;
            attach(mask.as_fd(), &proc, Path::new(path)).at(format!("/proc/{path}"))?;
        }
        Ok(proc)
    }

    fn sys(&self, root: &mut Root<'_>, message: &InitMessage) -> Result<(), MountFailure> {
        let target = root.mountpoint(Path::new("/sys"), MountpointKind::Directory).at("/sys")?;
        let options = match message.privileges {
            Privileges::Docker => HARMLESS | MountAttrFlags::MOUNT_ATTR_RDONLY,
            Privileges::Insecure => HARMLESS,
        };
        if message.network.is_host() && message.privileges == Privileges::Docker {
            let tree = clone(CWD, Path::new(SYS)).at("/sys")?;
            return attach(tree.as_fd(), target, Path::new("")).at("/sys");
        }
        // A new sysfs shows only the devices of the step's own network namespace. A user namespace may not mount a sysfs of
        // the host's network; there even an insecure step gets the read-only one.
        let sys = match filesystem("sysfs", &[], options) {
            Err(Errno::PERM) if message.network.is_host() => clone(CWD, Path::new(SYS)),
            sys => sys,
        };
        let sys = sys.at("/sys")?;
        attach(sys.as_fd(), target, Path::new("")).at("/sys")?;
        if message.privileges != Privileges::Insecure {
            // A mask that is made and not attached would cost the step a grace period of the kernel (RCU) when it is dropped.
            let exists =
                |path: &&String| rustix::fs::accessat(&sys, path.as_str(), Access::EXISTS, AtFlags::empty()).is_ok();
            for path in self.masked_sys.iter().filter(exists) {
                let mask = clone(CWD, Path::new(EMPTY)).at("making a mask")?;
                match attach(mask.as_fd(), &sys, Path::new(path)) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err((format!("/sys/{path}"), errno)),
                }
            }
        }
        Ok(())
    }

    fn dev(&self, privileges: Privileges) -> Result<OwnedFd, MountFailure> {
        let at = "/dev";
        let (nosuid, nodev, noexec) =
            (MountAttrFlags::MOUNT_ATTR_NOSUID, MountAttrFlags::MOUNT_ATTR_NODEV, MountAttrFlags::MOUNT_ATTR_NOEXEC);
        let device = match privileges {
            Privileges::Docker => nosuid | nodev,
            Privileges::Insecure => nosuid,
        };
        let dev = filesystem("tmpfs", &[("mode", "755"), ("size", "64m")], device).at(at)?;
        attach(dev.as_fd(), CWD, Path::new(STAGED[1])).at(at)?;
        let directory = |name: &str| rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755)).at(at);
        let node = |source: &Path, name: &Path| {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&dev, name, flags, Mode::from_raw_mode(0o666)).at(at)?;
            let tree = clone(CWD, source).at(source.display().to_string())?;
            attach(tree.as_fd(), &dev, name).at(source.display().to_string())
        };
        for name in NODES {
            node(&Path::new("/dev").join(name), Path::new(name))?;
        }
        for (target, name) in LINKS {
            rustix::fs::symlinkat(target, &dev, name).at(at)?;
        }
        let group: &[_] = if self.tty_group { &[("gid", "5")] } else { &[] };
        let options = [&[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")], group].concat();
        let size = SHM_SIZE.to_string();
        for (name, kind, options, attributes) in [
            ("pts", "devpts", &options[..], nosuid | noexec),
            ("shm", "tmpfs", &[("mode", "1777"), ("size", &size)], nosuid | nodev | noexec),
            ("mqueue", "mqueue", &[], nosuid | nodev | noexec),
        ] {
            directory(name)?;
            let mount = filesystem(kind, options, attributes).at(format!("/dev/{name}"))?;
            attach(mount.as_fd(), &dev, Path::new(name)).at(format!("/dev/{name}"))?;
        }
        Ok(dev)
    }
}

/// Attaches one of the mounts that the step asks for.
fn own<'fd>(
    root: &mut Root<'_>,
    scratch: &mut Scratch,
    target: &Path,
    message: &MountMessage,
    fd: &impl Fn(u32) -> Result<BorrowedFd<'fd>, MountFailure>,
) -> Result<(), MountFailure> {
    let mountpoint = |root: &mut Root<'_>, kind| root.mountpoint(target, kind).at("cannot make its mountpoint");
    match &message.source {
        SourceMessage::Detached { mount, readonly } => {
            let mount = fd(*mount)?;
            let stat = rustix::fs::fstat(mount).at("cannot read its source")?;
            let directory = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory;
            let mut set = MountAttrFlags::MOUNT_ATTR_NODEV;
            set.set(MountAttrFlags::MOUNT_ATTR_RDONLY, *readonly);
            sys::mount_setattr(mount, set, MountAttrFlags::empty(), sys::Mounts::Tree).at("cannot set its options")?;
            let target = mountpoint(root, if directory { MountpointKind::Directory } else { MountpointKind::File })?;
            attach(mount, target, Path::new("")).at("cannot be attached")
        }
        SourceMessage::Device { mount } => {
            let mount = fd(*mount)?;
            sys::mount_setattr(mount, NODE, MountAttrFlags::empty(), sys::Mounts::One).at("cannot set its options")?;
            attach(mount, mountpoint(root, MountpointKind::File)?, Path::new("")).at("cannot be attached")
        }
        SourceMessage::Tmpfs { size } => {
            let size = size.map(|bytes| bytes.to_string());
            let options: Vec<_> = size.iter().map(|size| ("size", size.as_str())).chain([("mode", "1777")]).collect();
            let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
            let mount = filesystem("tmpfs", &options, attributes).at("cannot make a tmpfs")?;
            let target = mountpoint(root, MountpointKind::Directory)?;
            attach(mount.as_fd(), target, Path::new("")).at("cannot be attached")
        }
        SourceMessage::Secret { content, mode, uid, gid } => {
            let mount = scratch.file(&content.0, *mode, (*uid, *gid)).at("cannot make a file in memory")?;
            let target = mountpoint(root, MountpointKind::File)?;
            attach(mount.as_fd(), target, Path::new("")).at("cannot be attached")
        }
    }
}

/// Whether a group id is mapped in this user namespace.
fn group_exists(gid: u32) -> bool {
    std::fs::read_to_string("/proc/self/gid_map").is_ok_and(|map| {
        map.lines().any(|line| {
            let mut numbers = line.split_ascii_whitespace().map_while(|number| number.parse::<u64>().ok());
            let (Some(first), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
                return false;
            };
            (first..first + count).contains(&gid.into())
        })
    })
}
