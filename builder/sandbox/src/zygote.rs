//! The zygote: a process with one thread, from which the steps are cloned. It starts when the first step is about to run.
//!
//! After a fork, a process with several threads must only exec, but a step needs more: namespaces, mounts, privileges. The zygote
//! also prepares, once and in parallel to the start of the builder, the state that all steps share.
//!
//! The zygote is this program executed again, so it has no memory, arguments and environment of the builder. It is executed from
//! a read-only mount. A step can open its init's program (`/proc/self/exe` names it until the step's own program is executed;
//! CVE-2019-5736), but not even root can write to it.

use super::cgroup::{Cgroups, Parents, StepCgroup};
use super::channel;
use super::error::SandboxError;
use super::filesystem;
use super::init::{self, Ready};
use super::isolate::program_path;
use super::mounts::Template;
use super::privileges::Restrictions;
use super::spec::Privileges;
use super::sys::{self, Forked, Waited};
use parking_lot::{Mutex, MutexGuard};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The zygote's only argument, by which it recognises itself. It is also in the output of `ps` and in a step's `/proc/1/cmdline`.
const NAME: &str = "buildscope-zygote";

/// The namespaces that every step is cloned into. The cgroup namespace is made later, when the step is in its cgroup. As under
/// docker there is no time namespace.
const NAMESPACES: i32 = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// The handle of the zygote. Steps can run concurrently from any thread. Dropping the handle ends the zygote and kills every step
/// that still runs.
#[derive(Debug)]
pub struct Zygote {
    state: Mutex<ZygoteState>,
}

#[derive(Debug)]
enum ZygoteState {
    NotStarted(OnStart),
    Started(StartedZygote),
}

/// The process of a zygote.
#[derive(Debug)]
struct StartedZygote {
    client: Arc<ZygoteClient>,
    process: Child,
}

/// The function that is called before a zygote starts. The function that it returns is called after the start, with the zygote's process
/// id.
struct OnStart(Option<Box<dyn FnOnce() -> HasStarted + Send>>);

type HasStarted = Box<dyn FnOnce(u32)>;

/// The builder's connection to the zygote, which requests sandboxes.
#[derive(Debug)]
pub(super) struct ZygoteClient {
    socket: OwnedFd,
    pub(super) cgroups: Arc<Cgroups>,
    /// A sandbox that is prepared before a step needs it: preparing it takes longer than starting a program in it.
    spare: Mutex<Option<PreparedSandbox>>,
    steps: Steps,
}

/// The number of steps that a zygote is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Steps {
    One,
    Many,
}

/// A sandbox whose init waits for its message.
#[derive(Debug)]
pub(super) struct PreparedSandbox {
    /// The channel to the init.
    pub(super) channel: OwnedFd,
    pub(super) cgroup: StepCgroup,
}

/// The properties of a sandbox that must be known when its init is cloned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SandboxConfig {
    /// Whether it has its own network namespace.
    pub(super) own_network: bool,
    /// The privileges of its init before the step starts.
    pub(super) privileges: Privileges,
    /// Whether the init must be in its cgroup, because that has limits.
    pub(super) limited: bool,
}

impl Zygote {
    /// Starts the zygote in the namespaces of this process. Call it after [`isolate_process`](super::isolate_process). The
    /// program's `main` has to call [`serve_if_zygote`] first.
    ///
    /// # Errors
    /// Fails if this program's file was moved or replaced, or if a process cannot be started.
    pub fn start() -> Result<Self, SandboxError> {
        let zygote = Self::on_demand(|| drop::<u32>);
        zygote.ensure_started()?;
        Ok(zygote)
    }

    /// Starts the zygote of a process that runs one step: no sandbox is prepared for a second one.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn start_for_one_step() -> Result<Self, SandboxError> {
        Ok(Self { state: Mutex::new(ZygoteState::Started(StartedZygote::start(Steps::One)?)) })
    }

    /// Prepares the sandbox of the first step, in the background. An observer of its processes must be ready before.
    pub fn prepare(&self) {
        if let Ok(client) = self.client() {
            client.prepare_spare();
        }
    }

    /// A zygote that starts when the first step needs it, or at [`ensure_started`](Self::ensure_started): a build that runs no process
    /// does not pay for it. `on_start` is called before it starts, and what that returns before the first step, with its process id.
    pub fn on_demand<F: FnOnce(u32) + 'static>(on_start: impl FnOnce() -> F + Send + 'static) -> Self {
        let on_start = || -> HasStarted { Box::new(on_start()) };
        Self { state: Mutex::new(ZygoteState::NotStarted(OnStart(Some(Box::new(on_start))))) }
    }

    /// Starts the zygote, unless it has been started.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn ensure_started(&self) -> Result<(), SandboxError> {
        self.client().map(drop)
    }

    /// The connection to the zygote, which is started if it has not been.
    pub(super) fn client(&self) -> Result<Arc<ZygoteClient>, SandboxError> {
        // The lock is held while the zygote starts: another thread that needs it waits.
        let mut state = self.state.lock();
        if let ZygoteState::NotStarted(on_start) = &mut *state {
            let has_started = on_start.0.take().map(|on_start| on_start());
            let started = StartedZygote::start(Steps::Many)?;
            if let Some(has_started) = has_started {
                has_started(started.process.id());
            }
            *state = ZygoteState::Started(started);
        }
        match &*state {
            ZygoteState::Started(started) => Ok(Arc::clone(&started.client)),
            ZygoteState::NotStarted(_) => Err(SandboxError::Gone),
        }
    }

    /// The zygote's process id, if it has been started.
    pub fn pid(&self) -> Option<u32> {
        match &*self.state.lock() {
            ZygoteState::Started(started) => Some(started.process.id()),
            ZygoteState::NotStarted(_) => None,
        }
    }
}

impl StartedZygote {
    fn start(steps: Steps) -> Result<Self, SandboxError> {
        let start = |what| move |errno| SandboxError::Start { what, errno };
        let program = own_program().map_err(start("mounting this program read-only"))?;
        let (ours, theirs) = channel::pair().map_err(start("making a socket pair"))?;
        let parents = Parents::find();
        // The path is valid in the child, which has the descriptor until the exec.
        let process = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0(NAME)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
            .map_err(start("executing this program again"))?;
        let (bytes, fds) = parents.parts();
        channel::send(&ours, &bytes, &fds).map_err(start("sending it the parents of the cgroups"))?;
        // Not earlier: a zygote that does not know them could not remove the cgroups of a builder that is killed now.
        let cgroups = Arc::new(parents.make());
        let client = ZygoteClient { socket: ours, cgroups, spare: Mutex::default(), steps };
        Ok(Self { client: Arc::new(client), process })
    }
}

impl std::fmt::Debug for OnStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OnStart").field(&self.0.is_some()).finish()
    }
}

/// Runs the zygote and does not return if this process was started as one. Every program with a [`Zygote`] has to call it first
/// in `main`.
pub fn serve_if_zygote() {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == NAME) && arguments.next().is_none() {
        sys::exit(i32::from(!run_zygote()));
    }
}

/// Opens this program's file through a detached, read-only mount, so that its descriptor cannot be used to write, rename or mount
/// there.
fn own_program() -> Result<OwnedFd, Errno> {
    // The path is needed because `/proc/self/exe` refers to the mount namespace that this process has left.
    let path = program_path()?;
    let program = filesystem::detached(std::ffi::OsStr::from_bytes(path.as_bytes()).as_ref())
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let (found, own) = (rustix::fs::fstat(&program)?, rustix::fs::stat("/proc/self/exe")?);
    if (found.st_dev, found.st_ino) != (own.st_dev, own.st_ino) {
        // The file was replaced by another version.
        return Err(Errno::STALE);
    }
    let harmless =
        MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    sys::mount_setattr(program.as_fd(), harmless, MountAttrFlags::empty(), sys::Mounts::One)?;
    Ok(program)
}

impl ZygoteClient {
    /// Returns a prepared sandbox: the spare one if it fits, else a new one.
    pub(super) fn take(&self, config: SandboxConfig) -> Result<PreparedSandbox, SandboxError> {
        let spare = if config == SandboxConfig::default() { self.spare().take() } else { None };
        spare.map_or_else(|| self.request(config), Ok)
    }

    /// Prepares a spare sandbox for the next step, unless the zygote is for one step.
    pub(super) fn prepare_next(&self) {
        if self.steps == Steps::Many {
            self.prepare_spare();
        }
    }

    /// Prepares a spare sandbox, if there is none yet.
    fn prepare_spare(&self) {
        // The lock is held while preparing, so a second spare sandbox, which would never be used or removed, is not made.
        let mut spare = self.spare();
        if spare.is_none() {
            // The error is dropped: the next step tries again and reports it.
            *spare = self.request(SandboxConfig::default()).ok();
        }
    }

    fn spare(&self) -> MutexGuard<'_, Option<PreparedSandbox>> {
        self.spare.lock()
    }

    /// Requests a sandbox from the zygote, which sends the init's pidfd on the sandbox's channel.
    fn request(&self, config: SandboxConfig) -> Result<PreparedSandbox, SandboxError> {
        let (ours, theirs) = channel::pair().map_err(SandboxError::errno("making a socket pair"))?;
        let cgroup = self.cgroups.step();
        let fds: Vec<_> = [&theirs].into_iter().chain(cgroup.clone_into()).map(AsFd::as_fd).collect();
        let flags = [config.own_network, config.privileges == Privileges::Insecure, config.limited].map(u8::from);
        channel::send(&self.socket, &flags, &fds).map_err(|_| SandboxError::Gone)?;
        Ok(PreparedSandbox { channel: ours, cgroup })
    }
}

impl Drop for StartedZygote {
    fn drop(&mut self) {
        // The zygote ends when its socket closes and makes no further sandbox. A spare init ends when its channel closes.
        let _ = rustix::net::shutdown(&self.client.socket, rustix::net::Shutdown::Both);
        drop(self.client.spare().take());
        // Without this the zygote would stay a zombie.
        let _ = self.process.wait();
    }
}

/// The time for which the zygote waits at its end for killed steps.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the zygote until the builder is gone. Returns false if this process was not started by a builder.
fn run_zygote() -> bool {
    // The process that started the builder may have left descriptors open.
    if sys::close_from(3).is_err() {
        return false;
    }
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3) else { return false };
    let (mut bytes, mut fds) = (Vec::new(), Vec::new());
    if !matches!(channel::receive(&socket, channel::SMALL, &mut bytes, &mut fds), Ok(true)) {
        return false;
    }
    let Some(mut parents) = Parents::of_parts(&bytes, fds) else { return false };
    serve(&socket, &mut parents);
    // The zygote removes the cgroups even if the builder was killed.
    parents.end();
    true
}

/// Forks inits for the builder until the builder is gone.
fn serve(socket: &OwnedFd, parents: &mut Parents) {
    // Ctrl-C reaches the whole foreground process group, but the builder decides when its steps end.
    // `timeout` sends its signal to the whole group, too.
    for signal in
        [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM]
    {
        sys::ignore_signal(signal);
    }
    // Inits are waited for, so that their CPU time is added to this process's and then to the builder's (getrusage(2)).
    sys::reset_signal(libc::SIGCHLD);
    let builder = rustix::process::getppid();
    sys::unblock_signals();
    // The kernel keeps fifteen bytes.
    let _ = rustix::thread::set_name(c"buildscope-zygote");
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // Steps must not have the keys of the user (session-keyring(7)). A kernel without keyrings gives an error, which is harmless.
    let _ = sys::new_session_keyring();
    let ready = prepare();
    let (mut bytes, mut fds) = (Vec::new(), Vec::new());
    let mut inits = Vec::new();
    // A broken socket ends the zygote in the same way as a closed one.
    while let Ok(true) = channel::receive(socket, channel::SMALL, &mut bytes, &mut fds) {
        let mut given = fds.drain(..);
        if let Some(channel) = given.next() {
            let flag = |index| bytes.get(index) == Some(&1);
            let privileges = if flag(1) { Privileges::Insecure } else { Privileges::Docker };
            let config = SandboxConfig { own_network: flag(0), privileges, limited: flag(2) };
            inits.extend(fork_step(ready.as_ref(), parents, &channel, given.next(), config));
        }
        drop(given);
        bytes.clear();
        while let Waited::Ended { pid, .. } = sys::reap_any() {
            inits.retain(|&init| init != pid);
        }
    }
    // A builder that is alive has ended or killed its steps, and their inits need a moment to exit. Inits that stay longer die
    // with this process (PR_SET_PDEATHSIG), and the processes of their steps die with them.
    let last = Instant::now() + PATIENCE;
    while builder == rustix::process::getppid() && Instant::now() < last {
        match sys::reap_any() {
            Waited::Ended { pid, .. } => inits.retain(|&init| init != pid),
            Waited::Running => std::thread::sleep(Duration::from_millis(1)),
            Waited::NoChild => return,
        }
    }
    // The steps of a killed builder must not outlive this process.
    if builder != rustix::process::getppid() {
        for init in inits.into_iter().filter_map(rustix::process::Pid::from_raw) {
            // The init has not been waited for, so its pid was not reused.
            let _ = rustix::process::kill_process(init, rustix::process::Signal::KILL);
        }
        while let Waited::Ended { .. } = sys::wait_any() {}
    }
}

/// Forks an init and returns its pid.
fn fork_step(
    ready: Result<&Ready, &(&'static str, Errno)>,
    parents: &mut Parents,
    channel: &OwnedFd,
    cgroup: Option<OwnedFd>,
    config: SandboxConfig,
) -> Option<i32> {
    let network = if config.own_network { libc::CLONE_NEWNET } else { 0 };
    let forked = match ready {
        // Permission to make a cgroup does not imply permission to move into it (cgroups(7), "Delegation containment"). The step
        // then runs outside of its cgroup, unless it has limits.
        Ok(_) => sys::clone3(NAMESPACES | network, cgroup.as_ref().map(AsFd::as_fd))
            .or_else(|errno| if config.limited { Err(errno) } else { sys::clone3(NAMESPACES | network, None) })
            .map_err(|errno| ("making new namespaces", errno)),
        Err(&(what, errno)) => Err((what, errno)),
    };
    match (forked, ready) {
        (Ok(Forked::Parent { pid, pidfd }), _) => {
            // An error means that the builder has dropped this step; the init will find its channel closed.
            let _ = channel::send(channel, &pid.to_le_bytes(), &[pidfd.as_fd()]);
            Some(pid)
        }
        (Ok(Forked::Child), Ok(ready)) => {
            // These are directories of the host: a process that got such a descriptor could leave the sandbox.
            drop((cgroup, std::mem::take(parents)));
            init::run(ready, channel, config.privileges);
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
    // The builder's standard streams must close with the builder, even if the zygote lives a moment longer.
    for stream in 0..3 {
        sys::redirect(null.as_fd(), stream).map_err(|errno| ("/dev/null", errno))?;
    }
    let groups = std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "allow");
    let template = Template::pivot()?;
    Ok(Ready { template, restrictions: Restrictions::prepare(), null: stdin, groups })
}
