//! The helper: a process with one thread, forked before the builder has more, that forks the steps.
//!
//! A threaded process must not do more than exec after a fork, and a step needs more: namespaces, mounts,
//! privileges. The helper also makes ready, once and beside the builder's own start, what all steps share.

use super::cgroup::{Cgroups, StepCgroup};
use super::channel;
use super::error::SandboxError;
use super::init::{self, Ready};
use super::mounts::Template;
use super::privileges::Privileges;
use super::sys::{self, Forked, Waited};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The namespaces of every step. Time is not virtualised, as under docker.
const NAMESPACES: i32 =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;

/// The handle of the helper process. Steps may be run at the same time from any thread; dropping it
/// ends the helper and kills every step that still runs.
#[derive(Debug)]
pub struct Zygote {
    pub(super) helper: Arc<Helper>,
    pid: i32,
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
    /// Forks the helper. Call it from `main`, after [`isolate_process`](super::isolate_process) and before any
    /// other thread exists: the helper is a copy of this process, and locks held by other threads would never open in it.
    ///
    /// # Errors
    /// Where the process has other threads already, or cannot fork.
    pub fn start() -> Result<Self, SandboxError> {
        let start = |what| move |errno| SandboxError::Start { what, errno };
        if threads() > 1 {
            return Err(SandboxError::Start { what: "the process has other threads already", errno: Errno::BUSY });
        }
        let (ours, theirs) = channel::pair().map_err(start("a socket pair"))?;
        let mut cgroups = Cgroups::detect();
        match sys::fork().map_err(start("fork"))? {
            Forked::Child => {
                drop(ours);
                serve(&theirs, &mut cgroups);
                // Also when the builder was killed: nothing of it stays.
                cgroups.end();
                sys::exit(0)
            }
            Forked::Parent { pid, .. } => {
                let helper = Helper { socket: ours, cgroups: Arc::new(cgroups), spare: Mutex::default() };
                Ok(Self { helper: Arc::new(helper), pid })
            }
        }
    }

    /// The helper's process id.
    pub fn pid(&self) -> u32 {
        self.pid as u32
    }
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
        // Waiting for the helper leaves no zombie behind.
        let _ = rustix::net::shutdown(&self.helper.socket, rustix::net::Shutdown::Both);
        drop(self.helper.spare().take());
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid) {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// How long the helper waits at its end for steps that have been killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// The helper's life.
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
    // /proc/1 in the box is a copy of this process: nothing of the builder's command line and environment, which name
    // paths of the host and values of build arguments, may be seen there.
    sys::erase_arguments_and_environment();
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
    // Those of one that was killed must not outlive this process: to them `/proc/self/exe` is the builder's program as
    // long as they have not executed another, and only as long as somebody outside runs it is it not to be written to
    // (ETXTBSY of open(2); CVE-2019-5736).
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
            let _ = channel::send(channel, b"pidfd", &[pidfd.as_fd()]);
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
