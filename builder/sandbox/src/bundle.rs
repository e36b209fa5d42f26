//! The bundle of a step that a stock runtime boxes, and the view of the host in which that runtime runs.
//!
//! *Takes* an order with a [`RuntimeOrder`]. *Gives* a directory in memory that only this mount namespace has: whatever
//! becomes of the builder, nothing of it is anywhere when the step's init is gone.

use super::mounts::{self, At, Begun, Failure, HARMLESS, HOSTS, NEW, RESOLV_CONF, SYS, Scratch};
use super::order::{Order, RuntimeOrder, SourceOrder};
use super::place::{Kind, Root};
use super::sys;
use super::wire::Bytes;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where it is: in the init's own `/dev`, so that no directory of the host's has to be given for it.
pub(super) const PATH: &str = "/dev/step";
/// The same below that `/dev`.
const NAME: &str = "step";
/// Where the runtime says which process is the step's.
pub(super) const PID: &str = "pid";
/// Where it says what went wrong.
pub(super) const LOG: &str = "log";
/// An empty directory.
const EMPTY: &str = "empty";

/// A bundle in the current mount namespace.
pub(super) struct Bundle {
    directory: OwnedFd,
    /// The mountpoints that had to be made.
    pub(super) made: Vec<(Bytes, bool)>,
}

/// The name of the source of the step's mount with that number.
pub(super) fn mount_name(number: usize) -> String {
    format!("mount-{number}")
}

/// Makes the host's tree the root of this process, with a `/proc` and a `/dev` of its own and the bundle in it.
pub(super) fn enter(begun: &Begun, order: &Order, runtime: &RuntimeOrder, fds: &[OwnedFd]) -> Result<Bundle, Failure> {
    let fd =
        |index: u32| fds.get(index as usize).map(AsFd::as_fd).ok_or_else(|| ("a descriptor".to_owned(), Errno::BADF));
    let new = Path::new(NEW);
    mounts::attach(fd(runtime.host)?, CWD, new).at("the host's files")?;
    mounts::attach(begun.proc.as_fd(), CWD, &new.join("proc")).at("/proc")?;
    mounts::attach(begun.dev.as_fd(), CWD, &new.join("dev")).at("/dev")?;
    if runtime.cgroup2 {
        let cgroup = mounts::filesystem("cgroup2", &[], HARMLESS).at("a view of the step's cgroup")?;
        mounts::attach(cgroup.as_fd(), CWD, &new.join("sys/fs/cgroup")).at("a view of the step's cgroup")?;
    }
    let harmless = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let directory = mounts::filesystem("tmpfs", &[("mode", "700")], harmless).at("a bundle")?;
    rustix::fs::mkdirat(&begun.dev, NAME, Mode::from_raw_mode(0o700)).at("a bundle")?;
    mounts::attach(directory.as_fd(), &begun.dev, Path::new(NAME)).at("a bundle")?;
    let mut bundle = Bundle { directory, made: Vec::new() };
    bundle.fill(order, &fd)?;
    mounts::write(&bundle.directory, "config.json", &runtime.config.0, 0o600).at("a bundle")?;
    mounts::pivot(new).at("pivot_root")?;
    Ok(bundle)
}

impl Bundle {
    fn fill<'fd>(
        &mut self,
        order: &Order,
        fd: &impl Fn(u32) -> Result<BorrowedFd<'fd>, Failure>,
    ) -> Result<(), Failure> {
        let rootfs = fd(order.rootfs)?;
        let nodev = if order.insecure { MountAttrFlags::empty() } else { MountAttrFlags::MOUNT_ATTR_NODEV };
        self.attach("rootfs", rootfs, nodev).at("the root file system")?;
        let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::openat(&self.directory, "rootfs", open, Mode::empty()).at("the root file system")?;
        let mut root = Root::new(top.as_fd());
        for path in ["/proc", "/sys", "/dev"] {
            // runc makes what belongs into `/dev` without a look at links, which it would follow out of the image.
            let nofollow = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let there = rustix::fs::openat(&top, &path[1..], nofollow, Mode::empty()).and_then(rustix::fs::fstat);
            if there
                .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink)
            {
                return Err((
                    format!("the image's {path} is a symbolic link, and no runtime is trusted with that"),
                    Errno::LOOP,
                ));
            }
            root.place(Path::new(path), Kind::Directory).at(path)?;
        }
        if !order.own_network {
            let sys = mounts::clone(CWD, Path::new(SYS)).at("/sys")?;
            self.attach("sys", sys.as_fd(), HARMLESS).at("/sys")?;
        }
        let mut scratch = Scratch::default();
        for (path, own) in [(RESOLV_CONF, &order.resolv_conf), (HOSTS, &order.hosts)] {
            let file = match own {
                Some(content) => scratch.file(&content.0, 0o644, (0, 0)),
                None => mounts::clone(CWD, Path::new(path)),
            };
            self.attach(&path[1..], file.at(path)?.as_fd(), HARMLESS).at(path)?;
            root.place(&Path::new("/etc").join(&path[1..]), Kind::File).at(path)?;
        }
        for (number, mount) in order.mounts.iter().enumerate() {
            let target = Path::new(OsStr::from_bytes(&mount.target.0));
            let at = |what: &str| format!("mount at {}: {what}", target.display());
            let kind =
                self.source(&mount_name(number), &mount.source, fd).map_err(|(what, errno)| (at(&what), errno))?;
            // What is in the step's own `/dev` is the runtime's to make, and ends with it.
            if !["/dev/", "/proc/", "/sys/"].iter().any(|own| mount.target.0.starts_with(own.as_bytes())) {
                root.place(target, kind).at(at("its mountpoint"))?;
            }
        }
        let workdir = Path::new(OsStr::from_bytes(&order.workdir.0));
        let owner = (Uid::from_raw(order.uid), Gid::from_raw(order.gid));
        root.directory(workdir, owner).at(format!("the working directory {}", workdir.display()))?;
        self.made = root.all_made();
        Ok(())
    }

    /// Puts what is mounted for the step into the bundle; the runtime makes tmpfs itself.
    fn source<'fd>(
        &self,
        name: &str,
        source: &SourceOrder,
        fd: &impl Fn(u32) -> Result<BorrowedFd<'fd>, Failure>,
    ) -> Result<Kind, Failure> {
        match source {
            // No device cgroup keeps a step from opening a node that it has made.
            SourceOrder::Detached { mount, .. } => {
                self.attach(name, fd(*mount)?, MountAttrFlags::MOUNT_ATTR_NODEV).at("attaching it")
            }
            SourceOrder::Device { mount } => self.attach(name, fd(*mount)?, mounts::NODE).at("attaching it"),
            SourceOrder::Secret { content, mode, uid, gid } => {
                mounts::write(&self.directory, name, &content.0, *mode).at("a file in memory")?;
                let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
                rustix::fs::chownat(&self.directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .at("a file in memory")?;
                Ok(Kind::File)
            }
            SourceOrder::Tmpfs { .. } => Ok(Kind::Directory),
        }
    }

    /// Attaches a mount with these options under a name; what kind it is of.
    fn attach(&self, name: &str, mount: BorrowedFd<'_>, options: MountAttrFlags) -> Result<Kind, Errno> {
        let stat = rustix::fs::fstat(mount)?;
        let kind = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::Directory => Kind::Directory,
            _ => Kind::File,
        };
        match kind {
            Kind::Directory => rustix::fs::mkdirat(&self.directory, name, Mode::from_raw_mode(0o755))?,
            Kind::File => mounts::write(&self.directory, name, b"", 0o644)?,
        }
        sys::mount_setattr(mount, options, MountAttrFlags::empty(), true)?;
        mounts::attach(mount, &self.directory, Path::new(name))?;
        Ok(kind)
    }

    /// Leaves this process an empty directory of all that the host has; the runtime has the rest.
    pub(super) fn leave(&self) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.directory, EMPTY, Mode::from_raw_mode(0o755))?;
        let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::process::fchdir(rustix::fs::openat(&self.directory, EMPTY, open, Mode::empty())?)?;
        rustix::process::chroot(".")
    }

    /// A small file that the runtime has written.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let open = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, open, Mode::empty())?;
        let mut content = vec![0; rustix::fs::fstat(&file)?.st_size as usize];
        let length = rustix::io::read(&file, &mut content)?;
        content.truncate(length);
        Ok(content)
    }
}
