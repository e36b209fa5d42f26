//! The builder's side of a step: order, watch, account.

use super::cgroup::StepCgroup;
use super::channel::AsyncChannel;
use super::counters::Counters;
use super::error::SandboxError;
use super::logs::{self, LogSink};
use super::network::{self, Connected};
use super::oci::{self, OciRuntime};
use super::order::{Ending, Report};
use super::request::order;
use super::spec::{NetworkMode, StepSpec};
use super::wire::{Bytes, Wire};
use super::zygote::{Begun, Helper, Kind, Zygote};
use super::{place, sys};
use buildscope_record::{ByteSize, Nanos, Phase, PhaseSpan, Probe, Resources};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;

/// How a step's program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Status {
    /// Whether it exited with 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// The exit code as a shell gives it: 128 and the number for a signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code: {code}"),
            Self::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(f, "exit code: {}: killed by {name}", 128 + signal),
                None => write!(f, "exit code: {}: killed by signal {signal}", 128 + signal),
            },
        }
    }
}

/// The names of signal(7) for what ends a process.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

/// The end of a step and its account.
#[derive(Clone, Debug)]
pub struct Exit {
    /// How its program ended.
    pub status: Status,
    /// Whether the kernel killed a process of the step for want of memory.
    pub oom: bool,
    /// What it used.
    pub resources: Resources,
    /// The process id of its init, by which an observer of processes knows the step.
    pub init: Option<u32>,
}

impl Zygote {
    /// Runs a step to its end. When this returns, no process of the step is left. If the future is dropped,
    /// the step is killed.
    ///
    /// Mountpoints that had to be made in the root file system are removed again, as BuildKit does, unless the step put
    /// something into them; directories keep their times. The missing working directory is made and stays.
    ///
    /// # Errors
    /// Where the box cannot be built or the program cannot be executed; where `cancel` fires or the time limit
    /// is reached. A program that fails is no error.
    pub async fn run(
        &self,
        spec: StepSpec,
        log: impl LogSink,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> Result<Exit, SandboxError> {
        self.run_by(None, spec, log, cancel, probe).await
    }

    /// Runs it in a box of our own, or in a runtime's.
    pub(super) async fn run_by(
        &self,
        runtime: Option<&OciRuntime>,
        spec: StepSpec,
        mut log: impl LogSink,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> Result<Exit, SandboxError> {
        let setup = probe.phase(Phase::SandboxSetup);
        let limit = spec.limits.timeout;
        let cloexec = rustix::pipe::PipeFlags::CLOEXEC;
        let (stdout, write_out) = rustix::pipe::pipe_with(cloexec).map_err(SandboxError::errno("a pipe"))?;
        let (stderr, write_err) = rustix::pipe::pipe_with(cloexec).map_err(SandboxError::errno("a pipe"))?;
        let connected = match spec.network {
            NetworkMode::Isolated => Some(network::connect().await?),
            NetworkMode::Host | NetworkMode::None => None,
        };
        let limited = spec.limits.memory.is_some() || spec.limits.cpus.is_some();
        // What a runtime has to do takes every capability.
        let insecure = spec.insecure || runtime.is_some();
        let kind = Kind { own_network: spec.network == NetworkMode::None, insecure, limited };
        let mut step = Step::new(self.helper.take(kind)?, Arc::clone(&self.helper))?;
        step.helper.cgroups.limit(&mut step.cgroup, &spec.limits)?;

        let watch = async {
            let ended = tokio::select! {
                ended = step.drive(runtime, spec, [write_out, write_err], &connected, setup, probe) => ended,
                () = cancel.cancelled() => Err(SandboxError::Cancelled),
                limit = expired(limit) => Err(SandboxError::TimedOut(limit)),
            };
            match &ended {
                // Nobody is left who could change a file: that the kernel is still taking the box apart is
                // nothing to wait for.
                Ok(ended) if ended.ending.alone => step.dead = true,
                Ok(_) => step.dead().await?,
                Err(_) => {
                    step.kill();
                    step.dead().await?;
                }
            }
            ended
        };
        let (ended, logged) = tokio::join!(watch, logs::pump(stdout, stderr, &mut log));
        let Ended { ending, lasted, made, rootfs, teardown } = ended?;
        logged.map_err(SandboxError::io("reading the step's output"))?;
        place::remove_made(rootfs.as_fd(), &made);
        let status = status(ending.status);
        let mut resources = resources(&ending);
        // A process of a few milliseconds has no pressure worth the reading of three files.
        step.cgroup.account(&mut resources, !ending.alone || lasted > WORTH_READING);
        let exit = Exit { status, oom: !status.success() && step.cgroup.oom(), resources, init: step.init };
        teardown.end();
        Ok(exit)
    }
}

/// Never, without a limit.
pub(super) async fn expired(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

/// The shortest process whose whole account is read.
const WORTH_READING: Duration = Duration::from_millis(10);
/// How often counters are sampled while a process runs.
const SAMPLE: Duration = Duration::from_millis(200);

/// A step's end as its init told it.
struct Ended {
    ending: Ending,
    /// How long its program ran.
    lasted: Duration,
    made: Vec<(Bytes, bool)>,
    rootfs: OwnedFd,
    teardown: PhaseSpan,
}

/// A step that runs; dropping it kills it.
struct Step {
    channel: AsyncChannel,
    pidfd: Option<AsyncFd<OwnedFd>>,
    /// The init's process id, which comes with its pidfd.
    init: Option<u32>,
    /// Nothing of it is left that could do anything.
    dead: bool,
    helper: Arc<Helper>,
    cgroup: StepCgroup,
}

impl Step {
    fn new(Begun { channel, cgroup }: Begun, helper: Arc<Helper>) -> Result<Self, SandboxError> {
        let channel = AsyncChannel::new(channel).map_err(SandboxError::io("a socket"))?;
        Ok(Self { channel, pidfd: None, init: None, dead: false, helper, cgroup })
    }

    async fn drive(
        &mut self,
        runtime: Option<&OciRuntime>,
        spec: StepSpec,
        output: [OwnedFd; 2],
        connected: &Option<Connected>,
        setup: PhaseSpan,
        probe: &Probe,
    ) -> Result<Ended, SandboxError> {
        let config = runtime.map(|runtime| runtime.config(&spec));
        let (mut order, mut fds) = order(spec, output, self.cgroup.join())?;
        if let (Some(runtime), Some(config)) = (runtime, config) {
            runtime.take_over(&mut order, &mut fds, &config, &self.cgroup)?;
        }
        let program = order.args.first().map(|name| String::from_utf8_lossy(&name.0).into_owned()).unwrap_or_default();
        if let Some(Connected { namespace, resolv_conf, .. }) = connected {
            order.namespace = Some(fds.len() as u32);
            order.resolv_conf = Some((*resolv_conf).into());
            fds.push(namespace.try_clone().map_err(SandboxError::io("the step's network"))?);
        }
        let mut bytes = Vec::new();
        order.put(&mut bytes);
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        self.channel.send_long(&bytes, &borrowed).await.map_err(SandboxError::io("giving the step its order"))?;
        // Only the root stays with us: the ends of the pipes must be the step's alone.
        let rootfs = fds.into_iter().nth(order.rootfs as usize).ok_or(SandboxError::Gone)?;

        let made = match self.report().await? {
            Some(Report::Running { made }) => made,
            Some(Report::Failed { what, errno }) => {
                let what = String::from_utf8_lossy(&what.0).into_owned();
                return Err(SandboxError::Setup { what, errno: Errno::from_raw_os_error(errno) });
            }
            Some(Report::NotExecuted { errno }) => {
                return Err(SandboxError::Exec { program, errno: Errno::from_raw_os_error(errno) });
            }
            Some(Report::Refused { said }) => {
                return Err(SandboxError::Runtime { runtime: program, said: oci::message(&said.0) });
            }
            Some(Report::Ended(_)) | None => return Err(SandboxError::Gone),
        };
        setup.end();
        if runtime.is_none() {
            let helper = Arc::clone(&self.helper);
            // On another thread: the one that reads the step's output would give its two streams out of order.
            tokio::task::spawn_blocking(move || helper.prepare());
        }
        let process = probe.phase(Phase::Process);
        let start = Instant::now();
        let ended = {
            let mut counters = Counters::new(probe);
            let cgroup = &self.cgroup;
            let mut report = std::pin::pin!(Self::next_report(&self.channel, (&mut self.pidfd, &mut self.init)));
            loop {
                tokio::select! {
                    ended = &mut report => break ended?,
                    () = tokio::time::sleep(SAMPLE) => counters.sample(cgroup),
                }
            }
        };
        let lasted = start.elapsed();
        let ending = match ended {
            Some(Report::Ended(ending)) => ending,
            // Whoever kills the init, kills the step: the OOM killer, or root from outside.
            _ => Ending { status: libc::SIGKILL, ..Ending::default() },
        };
        process.end();
        Ok(Ended { ending, lasted, made, rootfs, teardown: probe.phase(Phase::SandboxTeardown) })
    }

    /// The init's next report. The helper's datagram with the pidfd may come before or after the first.
    async fn report(&mut self) -> Result<Option<Report>, SandboxError> {
        Self::next_report(&self.channel, (&mut self.pidfd, &mut self.init)).await
    }

    async fn next_report(
        channel: &AsyncChannel,
        (pidfd_slot, init): (&mut Option<AsyncFd<OwnedFd>>, &mut Option<u32>),
    ) -> Result<Option<Report>, SandboxError> {
        loop {
            let received = channel.receive().await.map_err(SandboxError::io("listening to the step"))?;
            let Some((bytes, mut fds)) = received else { return Ok(None) };
            match fds.pop() {
                Some(pidfd) => {
                    *init = bytes.try_into().ok().map(u32::from_le_bytes);
                    *pidfd_slot = Some(sys::watched(pidfd).map_err(SandboxError::io("a pidfd"))?);
                }
                None => return Ok(Report::take(&mut &bytes[..])),
            }
        }
    }

    /// Kills the step's init, with which the kernel kills every process of its pid namespace.
    fn kill(&mut self) {
        if self.pidfd.is_none() {
            // The helper sends it within a moment of our asking, or is dead.
            let pidfd = self.channel.wait_for_fd(Duration::from_secs(1));
            self.pidfd = pidfd.and_then(|fd| sys::watched(fd).ok());
        }
        self.cgroup.kill();
        if let Some(pidfd) = &self.pidfd {
            // An error means that it is dead already.
            let _ = rustix::process::pidfd_send_signal(pidfd.get_ref(), rustix::process::Signal::KILL);
        }
    }

    /// Waits until no process of the step is left: an init is dead only after all others of its namespace.
    async fn dead(&mut self) -> Result<(), SandboxError> {
        while self.pidfd.is_none() {
            if self.report().await?.is_none() {
                break;
            }
        }
        if let Some(pidfd) = &self.pidfd {
            let _ready = pidfd.readable().await.map_err(SandboxError::io("waiting for the step's end"))?;
        }
        self.dead = true;
        Ok(())
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.dead {
            self.kill();
        }
        // The cgroup can go when the kernel has done with the init; nobody has to wait for that.
        let (helper, cgroup) = (Arc::clone(&self.helper), std::mem::take(&mut self.cgroup));
        let pidfd = self.pidfd.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(pidfd) = pidfd {
                    let _ready = pidfd.readable().await;
                }
                helper.cgroups.bury(&cgroup);
            });
        }
    }
}

fn status(raw: i32) -> Status {
    if libc::WIFSIGNALED(raw) { Status::Signal(libc::WTERMSIG(raw)) } else { Status::Code(libc::WEXITSTATUS(raw)) }
}

fn resources(ending: &Ending) -> Resources {
    let micros = |micros: u64| Nanos(micros * 1000);
    Resources {
        cpu_user: micros(ending.user),
        cpu_system: micros(ending.system),
        read: ByteSize(ending.blocks_in * 512),
        written: ByteSize(ending.blocks_out * 512),
        peak_memory: ByteSize(ending.peak),
        minor_faults: ending.minor_faults,
        major_faults: ending.major_faults,
        processes: ending.tasks,
        ..Resources::default()
    }
}
