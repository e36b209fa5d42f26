//! The helper: a process with one thread, started before the builder has more, that forks the steps.
//!
//! A threaded process must not do more than exec after a fork, and a step needs more: namespaces, mounts,
//! privileges. The helper also makes ready, once and beside the builder's own start, what all steps share.
//!
//! It is this program executed again, so that it holds nothing of the builder's memory, arguments and environment, and
//! from a read-only mount of its own: a step that gets hold of its init's program (`/proc/self/exe` names it until the
//! step's own is executed; CVE-2019-5736) has a file that cannot be written to, whoever it is.

use super::cgroup::{Cgroups, StepCgroup};
use super::channel;
use super::error::SandboxError;
use super::init::{self, Ready};
use super::mounts::{self, Template};
use super::privileges::Privileges;
use super::sys::{self, Forked, Waited};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The helper's only argument, by which it knows what it is; also what `ps` shows, and `/proc/1/cmdline` in a box.
const NAME: &str = "buildscope-box";

/// The namespaces with which every step begins; that of cgroups comes when it is in its own. Time is not virtualised, as
/// under docker.
const NAMESPACES: i32 = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// The handle of the helper process. Steps may be run at the same time from any thread; dropping it
/// ends the helper and kills every step that still runs.
#[derive(Debug)]
pub struct Zygote {
    pub(super) helper: Arc<Helper>,
    process: Child,
}

/// What it takes to ask for a box.
#[derive(Debug)]
pub(super) struct Helper {
    socket: OwnedFd,
    pub(super) cgroups: Arc<Cgroups>,
    /// A box begun before a step needs it: making one takes longer than starting a program in it.
    spare: Mutex<Option<Begun>>,
}

/// A box whose init waits for its order.
#[derive(Debug)]
pub(super) struct Begun {
    /// Where the order goes.
    pub(super) channel: OwnedFd,
    pub(super) cgroup: StepCgroup,
}

/// What has to be known before a box is begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Kind {
    /// A network namespace of its own.
    pub(super) own_network: bool,
    /// Without what keeps other steps in their box.
    pub(super) insecure: bool,
    /// Only in its cgroup: that has limits.
    pub(super) limited: bool,
}

impl Zygote {
    /// Starts the helper, in the namespaces of this process: call it after
    /// [`isolate_process`](super::isolate_process). The program's `main` has to call [`serve_if_helper`] first.
    ///
    /// # Errors
    /// Where this program's file is no longer where it was, or a process cannot be started.
    pub fn start() -> Result<Self, SandboxError> {
        let start = |what| move |errno| SandboxError::Start { what, errno };
        let program = own_program().map_err(start("a read-only view of this program"))?;
        let (ours, theirs) = channel::pair().map_err(start("a socket pair"))?;
        let cgroups = Cgroups::detect();
        // The path is the child's: it has the descriptor until it has executed the program.
        let process = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0(NAME)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
            .map_err(start("executing this program again"))?;
        let (bytes, fds) = cgroups.parts();
        channel::send(&ours, &bytes, &fds).map_err(start("giving it its directories"))?;
        let helper = Helper { socket: ours, cgroups: Arc::new(cgroups), spare: Mutex::default() };
        Ok(Self { helper: Arc::new(helper), process })
    }

    /// The helper's process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

/// Where this process was started to be a helper, it is one until it ends: then this does not return. To be called first
/// in the `main` of every program that has a [`Zygote`].
pub fn serve_if_helper() {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == NAME) && arguments.next().is_none() {
        sys::exit(i32::from(!helper()));
    }
}

/// This program's file through a mount that is nowhere attached and read-only, so that nothing can be written, renamed or
/// mounted there through a descriptor of it.
fn own_program() -> Result<OwnedFd, Errno> {
    // By its path: what `/proc/self/exe` refers to is in the mount namespace that this process has left.
    let path = rustix::fs::readlink("/proc/self/exe", Vec::new())?;
    let program = mounts::detached(std::ffi::OsStr::from_bytes(path.as_bytes()).as_ref())
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let (found, own) = (rustix::fs::fstat(&program)?, rustix::fs::stat("/proc/self/exe")?);
    if (found.st_dev, found.st_ino) != (own.st_dev, own.st_ino) {
        // Another version has taken its place.
        return Err(Errno::STALE);
    }
    let harmless =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    sys::mount_setattr(program.as_fd(), harmless, MountAttrFlags::empty(), false)?;
    Ok(program)
}

impl Helper {
    /// A box of that kind, begun.
    pub(super) fn take(&self, kind: Kind) -> Result<Begun, SandboxError> {
        let spare = if kind == Kind::default() { self.spare().take() } else { None };
        spare.map_or_else(|| self.begin(kind), Ok)
    }

    /// Makes the next step's box ready, as far as that can be done before there is a step.
    pub(super) fn prepare(&self) {
        // Whoever wants it meanwhile waits for a moment: there is never a second one, which nobody would bury.
        let mut spare = self.spare();
        if spare.is_none() {
            // Where it fails, the step fails in its turn and says why.
            *spare = self.begin(Kind::default()).ok();
        }
    }

    fn spare(&self) -> MutexGuard<'_, Option<Begun>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a box. Its init's pidfd comes first on its channel.
    fn begin(&self, kind: Kind) -> Result<Begun, SandboxError> {
        let (ours, theirs) = channel::pair().map_err(SandboxError::errno("a socket pair"))?;
        let cgroup = self.cgroups.step();
        let fds: Vec<_> = [&theirs].into_iter().chain(cgroup.clone_into()).map(AsFd::as_fd).collect();
        let kind = [kind.own_network, kind.insecure, kind.limited].map(u8::from);
        channel::send(&self.socket, &kind, &fds).map_err(|_| SandboxError::Gone)?;
        Ok(Begun { channel: ours, cgroup })
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // The end of the socket ends the helper, and that of its channel a spare init; from the first on none is begun.
        let _ = rustix::net::shutdown(&self.helper.socket, rustix::net::Shutdown::Both);
        drop(self.helper.spare().take());
        // Leaves no zombie behind.
        let _ = self.process.wait();
    }
}

/// How long the helper waits at its end for steps that have been killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The helper's life; false where it was not the builder that started it.
fn helper() -> bool {
    // Whoever started the builder may have left descriptors open.
    if sys::close_from(3).is_err() {
        return false;
    }
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3) else { return false };
    let (mut bytes, mut fds) = (Vec::new(), Vec::new());
    if !matches!(channel::receive(&socket, channel::SMALL, &mut bytes, &mut fds), Ok(true)) {
        return false;
    }
    let Some(mut cgroups) = Cgroups::of_parts(&bytes, fds) else { return false };
    serve(&socket, &mut cgroups);
    // Also when the builder was killed: nothing of it stays.
    cgroups.end();
    true
}

/// What it does for the builder, until that has gone.
fn serve(socket: &OwnedFd, cgroups: &mut Cgroups) {
    // Ctrl-C reaches the whole foreground process group; ending the steps is the builder's decision.
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        sys::signal(signal, true);
    }
    // Ended steps are waited for, so that their CPU time is this process's and then the builder's (getrusage(2)).
    sys::signal(libc::SIGCHLD, false);
    let builder = rustix::process::getppid();
    sys::unblock_signals();
    let _ = rustix::thread::set_name(c"buildscope-box");
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // A step's keys are not those of whoever builds (session-keyring(7)). Without keyrings there is nothing to leave.
    let _ = sys::new_session_keyring();
    let ready = prepare();
    let (mut bytes, mut fds) = (Vec::new(), Vec::new());
    let mut inits = Vec::new();
    // A broken socket ends the helper like a closed one.
    while let Ok(true) = channel::receive(socket, channel::SMALL, &mut bytes, &mut fds) {
        let mut given = fds.drain(..);
        if let Some(channel) = given.next() {
            let said = |index| bytes.get(index) == Some(&1);
            let kind = Kind { own_network: said(0), insecure: said(1), limited: said(2) };
            inits.extend(fork_step(ready.as_ref(), cgroups, &channel, given.next(), kind));
        }
        drop(given);
        bytes.clear();
        while let Waited::Ended { pid, .. } = sys::wait_any(false) {
            inits.retain(|&init| init != pid);
        }
    }
    // A builder that lives has ended its steps or killed them; that they are gone takes a moment. If they stay for longer
    // they die with this process (PR_SET_PDEATHSIG), their processes with the inits.
    let last = Instant::now() + PATIENCE;
    while builder == rustix::process::getppid() && Instant::now() < last {
        match sys::wait_any(false) {
            Waited::Ended { pid, .. } => inits.retain(|&init| init != pid),
            Waited::Running => std::thread::sleep(Duration::from_millis(1)),
            Waited::NoChild => return,
        }
    }
    // Those of one that was killed must not outlive this process.
    if builder != rustix::process::getppid() {
        for init in inits.into_iter().filter_map(rustix::process::Pid::from_raw) {
            // It has not been waited for, so the number is its own.
            let _ = rustix::process::kill_process(init, rustix::process::Signal::KILL);
        }
        while let Waited::Ended { .. } = sys::wait_any(true) {}
    }
}

/// Forks an init; gives its pid.
fn fork_step(
    ready: Result<&Ready, &(&'static str, Errno)>,
    cgroups: &mut Cgroups,
    channel: &OwnedFd,
    cgroup: Option<OwnedFd>,
    kind: Kind,
) -> Option<i32> {
    let network = if kind.own_network { libc::CLONE_NEWNET } else { 0 };
    let forked = match ready {
        // A cgroup that may be made may still not be moved into (cgroups(7), "Delegation containment"): then the
        // step does without, unless that would free it of its limits.
        Ok(_) => sys::clone3(NAMESPACES | network, cgroup.as_ref().map(AsFd::as_fd))
            .or_else(|errno| if kind.limited { Err(errno) } else { sys::clone3(NAMESPACES | network, None) })
            .map_err(|errno| ("new namespaces", errno)),
        Err(&(what, errno)) => Err((what, errno)),
    };
    match (forked, ready) {
        (Ok(Forked::Parent { pid, pidfd }), _) => {
            // If the builder has given up on this step, the init finds its channel closed.
            let _ = channel::send(channel, &pid.to_le_bytes(), &[pidfd.as_fd()]);
            Some(pid)
        }
        (Ok(Forked::Child), Ok(ready)) => {
            // Directories of the host's: whoever got hold of one in the box would be out of it.
            drop((cgroup, std::mem::take(cgroups)));
            init::run(ready, channel, kind.insecure);
            sys::exit(0)
        }
        (Ok(Forked::Child), Err(_)) => sys::exit(1),
        (Err((what, errno)), _) => {
            init::refuse(channel, what, errno);
            None
        }
    }
}

fn prepare() -> Result<Ready, (&'static str, Errno)> {
    let open = |path: &str, flags: OFlags| {
        rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| ("/dev/null", errno))
    };
    let null = open("/dev/null", OFlags::RDWR)?;
    let stdin = open("/dev/null", OFlags::RDONLY)?;
    // The builder's own streams end with the builder, whoever else lives on for a moment.
    for stream in 0..3 {
        sys::redirect(null.as_fd(), stream).map_err(|errno| ("/dev/null", errno))?;
    }
    let groups = std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "allow");
    let template = Template::pivot()?;
    Ok(Ready { template, privileges: Privileges::prepare(), null: stdin, groups })
}
