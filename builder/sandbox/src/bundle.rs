//! The bundle of a step whose sandbox a stock runtime makes, and the view of the host in which that runtime runs.
//!
//! *Takes* a message with a [`RuntimeMessage`]. *Gives* a directory in memory. It exists only in this mount namespace, so it is
//! gone when the step's init is gone, even if the builder was killed.

use super::filesystem::{self, HARMLESS};
use super::message::{InitMessage, Mountpoint, RuntimeMessage, SourceMessage};
use super::mountpoint::{MountpointKind, Root};
use super::mounts::{self, At, HOSTS, MountFailure, NEW, PreparedMounts, RESOLV_CONF, SYS};
use super::scratch::Scratch;
use super::spec::Privileges;
use super::sys;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The path of the bundle. It is in the init's own `/dev`, so that it needs no directory of the host.
pub(super) const PATH: &str = "/dev/step";
/// The name of the bundle in that `/dev`.
const NAME: &str = "step";
/// The file to which the runtime writes the step's process id.
pub(super) const PID: &str = "pid";
/// The file to which the runtime writes its errors.
pub(super) const LOG: &str = "log";
/// The empty directory that becomes the init's root once the runtime is started.
const EMPTY: &str = "empty";

/// A bundle in the current mount namespace.
pub(super) struct Bundle {
    directory: OwnedFd,
    /// The mountpoints that were missing in the root file system, in the order of their creation.
    pub(super) made: Vec<Mountpoint>,
}

/// The name in the bundle of the source of the step's mount `number`, counted from 0 with the devices first.
pub(super) fn mount_name(number: usize) -> String {
    format!("mount-{number}")
}

/// Makes the host's tree the root of this process, with its own `/proc` and `/dev` and with the bundle.
pub(super) fn enter(
    prepared: &PreparedMounts,
    message: &InitMessage,
    runtime: &RuntimeMessage,
    fds: &[OwnedFd],
) -> Result<Bundle, MountFailure> {
    let fd = |index: u32| {
        fds.get(index as usize).map(AsFd::as_fd).ok_or_else(|| ("invalid descriptor index".to_owned(), Errno::BADF))
    };
    let new = Path::new(NEW);
    filesystem::attach(fd(runtime.host)?, CWD, new).at("the host's files")?;
    filesystem::attach(prepared.proc.as_fd(), CWD, &new.join("proc")).at("/proc")?;
    filesystem::attach(prepared.dev.as_fd(), CWD, &new.join("dev")).at("/dev")?;
    if runtime.cgroup2 {
        let cgroup = filesystem::filesystem("cgroup2", &[], HARMLESS).at("mounting the step's cgroup")?;
        filesystem::attach(cgroup.as_fd(), CWD, &new.join("sys/fs/cgroup")).at("mounting the step's cgroup")?;
    }
    let harmless = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let directory = filesystem::filesystem("tmpfs", &[("mode", "700")], harmless).at("making the bundle")?;
    rustix::fs::mkdirat(&prepared.dev, NAME, Mode::from_raw_mode(0o700)).at("making the bundle")?;
    filesystem::attach(directory.as_fd(), &prepared.dev, Path::new(NAME)).at("making the bundle")?;
    let mut bundle = Bundle { directory, made: Vec::new() };
    bundle.fill(message, &fd)?;
    filesystem::write(&bundle.directory, "config.json", &runtime.config.0, 0o600).at("making the bundle")?;
    filesystem::pivot(new).at("pivot_root")?;
    Ok(bundle)
}

impl Bundle {
    fn fill<'fd>(
        &mut self,
        message: &InitMessage,
        fd: &impl Fn(u32) -> Result<BorrowedFd<'fd>, MountFailure>,
    ) -> Result<(), MountFailure> {
        let rootfs = fd(message.rootfs)?;
        let nodev = match message.privileges {
            Privileges::Docker => MountAttrFlags::MOUNT_ATTR_NODEV,
            Privileges::Insecure => MountAttrFlags::empty(),
        };
        self.attach("rootfs", rootfs, nodev).at("the root file system")?;
        let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::openat(&self.directory, "rootfs", open, Mode::empty()).at("the root file system")?;
        let mut root = Root::new(top.as_fd());
        for path in ["/proc", "/sys", "/dev"] {
            // runc creates the entries of `/dev` without checking for symbolic links and would follow them out of the image.
            let nofollow = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let there = rustix::fs::openat(&top, &path[1..], nofollow, Mode::empty()).and_then(rustix::fs::fstat);
            if there
                .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink)
            {
                return Err((
                    format!(
                        "the image's {path} is a symbolic link, which an OCI runtime might follow out of the image"
                    ),
                    Errno::LOOP,
                ));
            }
            root.mountpoint(Path::new(path), MountpointKind::Directory).at(path)?;
        }
        if message.network.is_host() {
            let sys = filesystem::clone(CWD, Path::new(SYS)).at("/sys")?;
            self.attach("sys", sys.as_fd(), HARMLESS).at("/sys")?;
        }
        let mut scratch = Scratch::default();
        for (path, own) in [(RESOLV_CONF, &message.resolv_conf), (HOSTS, &message.hosts)] {
            let file = match own {
                Some(content) => scratch.file(&content.0, 0o644, (0, 0)),
                None => filesystem::clone(CWD, Path::new(path)),
            };
            self.attach(&path[1..], file.at(path)?.as_fd(), HARMLESS).at(path)?;
            root.mountpoint(&Path::new("/etc").join(&path[1..]), MountpointKind::File).at(path)?;
        }
        for (number, mount) in message.mounts.iter().enumerate() {
            let target = Path::new(OsStr::from_bytes(&mount.target.0));
            let at = |what: &str| format!("mount at {}: {what}", target.display());
            let kind =
                self.source(&mount_name(number), &mount.source, fd).map_err(|(what, errno)| (at(&what), errno))?;
            // The runtime makes the mountpoints in the step's own file systems, and they end with those.
            if !["/dev/", "/proc/", "/sys/"].iter().any(|own| mount.target.0.starts_with(own.as_bytes())) {
                root.mountpoint(target, kind).at(at("cannot make its mountpoint"))?;
            }
        }
        let workdir = Path::new(OsStr::from_bytes(&message.workdir.0));
        let owner = (Uid::from_raw(message.uid), Gid::from_raw(message.gid));
        root.directory(workdir, owner).at(format!("the working directory {}", workdir.display()))?;
        self.made = root.all_made();
        Ok(())
    }

    /// Puts the source of one of the step's mounts into the bundle. The runtime makes a tmpfs itself.
    fn source<'fd>(
        &self,
        name: &str,
        source: &SourceMessage,
        fd: &impl Fn(u32) -> Result<BorrowedFd<'fd>, MountFailure>,
    ) -> Result<MountpointKind, MountFailure> {
        match source {
            // There is no device cgroup: without `nodev` a step could open the nodes that it makes.
            SourceMessage::Detached { mount, .. } => {
                self.attach(name, fd(*mount)?, MountAttrFlags::MOUNT_ATTR_NODEV).at("cannot be attached")
            }
            SourceMessage::Device { mount } => self.attach(name, fd(*mount)?, mounts::NODE).at("cannot be attached"),
            SourceMessage::Secret { content, mode, uid, gid } => {
                filesystem::write(&self.directory, name, &content.0, *mode).at("cannot make a file in memory")?;
                let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
                rustix::fs::chownat(&self.directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .at("cannot make a file in memory")?;
                Ok(MountpointKind::File)
            }
            SourceMessage::Tmpfs { .. } => Ok(MountpointKind::Directory),
        }
    }

    /// Attaches a mount with these options under a name and returns whether it is a directory or a file.
    fn attach(&self, name: &str, mount: BorrowedFd<'_>, options: MountAttrFlags) -> Result<MountpointKind, Errno> {
        let stat = rustix::fs::fstat(mount)?;
        let kind = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::Directory => MountpointKind::Directory,
            _ => MountpointKind::File,
        };
        match kind {
            MountpointKind::Directory => rustix::fs::mkdirat(&self.directory, name, Mode::from_raw_mode(0o755))?,
            MountpointKind::File => filesystem::write(&self.directory, name, b"", 0o644)?,
        }
        sys::mount_setattr(mount, options, MountAttrFlags::empty(), sys::Mounts::Tree)?;
        filesystem::attach(mount, &self.directory, Path::new(name))?;
        Ok(kind)
    }

    /// Makes an empty directory the root of this process: only the runtime still needs the host's files.
    pub(super) fn leave(&self) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.directory, EMPTY, Mode::from_raw_mode(0o755))?;
        let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::process::fchdir(rustix::fs::openat(&self.directory, EMPTY, open, Mode::empty())?)?;
        rustix::process::chroot(".")
    }

    /// Reads a small file that the runtime has written.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, open, Mode::empty())?;
        let mut content = vec![0; rustix::fs::fstat(&file)?.st_size as usize];
        let length = rustix::io::read(&file, &mut content)?;
        content.truncate(length);
        Ok(content)
    }
}
