//! The builder's side of a step: sends the message to its init, waits for its exit, kills it, and collects its resource usage.

use super::cgroup::StepCgroup;
use super::channel::AsyncChannel;
use super::counters::Counters;
use super::error::SandboxError;
use super::exit::{Exit, Status};
use super::logs::{self, LogSink};
use super::message::{InitReport, Mountpoint, StepExit};
use super::oci::{self, OciRuntime};
use super::request;
use super::spec::{Limits, Privileges, StepNetwork, StepSpec};
use super::wire::Wire;
use super::zygote::{PreparedSandbox, SandboxConfig, Zygote, ZygoteClient};
use super::{mountpoint, sys};
use buildscope_record::{ByteSize, Nanos, Phase, PhaseSpan, Probe, Resources};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;

impl Zygote {
    /// Runs a step to its end. When this returns, no process of the step is left. If the future is dropped, the step is killed.
    ///
    /// Mountpoints that were made in the root file system are removed afterwards, as in BuildKit, unless the step changed them.
    /// Their parent directories keep their times. A missing working directory is made and stays.
    ///
    /// # Errors
    /// Fails if the sandbox cannot be set up, if the program cannot be executed, if `cancel` fires, or if the time limit is
    /// reached. A program that fails is not an error.
    pub async fn run(
        &self,
        spec: StepSpec,
        log: impl LogSink,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> Result<Exit, SandboxError> {
        self.run_by(None, spec, log, cancel, probe).await
    }

    /// Runs a step in our own sandbox or in that of a stock runtime.
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
        // An isolated network ends with its last owner.
        let _network = spec.network.clone();
        let cloexec = rustix::pipe::PipeFlags::CLOEXEC;
        let (stdout, write_out) = rustix::pipe::pipe_with(cloexec).map_err(SandboxError::errno("making a pipe"))?;
        let (stderr, write_err) = rustix::pipe::pipe_with(cloexec).map_err(SandboxError::errno("making a pipe"))?;
        let limited = spec.limits.need_cgroup();
        // A runtime needs every capability.
        let privileges = if runtime.is_some() { Privileges::Insecure } else { spec.privileges };
        let config = SandboxConfig { own_network: matches!(spec.network, StepNetwork::None), privileges, limited };
        let client = self.client()?;
        let mut step = RunningStep::new(client.take(config)?, client)?;
        step.client.cgroups.limit(&mut step.cgroup, &spec.limits)?;
        let limits = spec.limits.clone();
        if runtime.is_none() {
            step.cgroup.limit_tasks(&limits)?;
        }

        let watch = async {
            let run = async {
                let program = step.send(runtime, spec, [write_out, write_err]).await?;
                step.drive(runtime, program, &limits, setup, probe).await
            };
            let ended = tokio::select! {
                ended = run => ended,
                () = cancel.cancelled() => Err(SandboxError::Cancelled),
                limit = expired(limit) => Err(SandboxError::TimedOut(limit)),
            };
            match &ended {
                // No process is left that could change a file, so there is no need to wait for the kernel's teardown of the
                // sandbox.
                Ok(ended) if ended.exit.alone => step.dead = true,
                Ok(_) => step.dead().await?,
                Err(_) => {
                    step.kill();
                    step.dead().await?;
                }
            }
            ended
        };
        let (ended, logged) = tokio::join!(watch, logs::pump(stdout, stderr, &mut log));
        let EndedStep { exit, lasted, made, rootfs, teardown } = ended?;
        logged.map_err(SandboxError::io("reading the step's output"))?;
        mountpoint::remove_made(rootfs.as_fd(), &made);
        // This may be the last reference to the step's file system. The kernel unmounts it then, which takes a grace period (RCU).
        tokio::task::spawn_blocking(move || drop(rootfs));
        let status = status(exit.status);
        let mut resources = resources(&exit);
        // The pressure of a step of a few milliseconds is not worth reading three files.
        if !exit.alone || lasted > WORTH_READING {
            step.cgroup.account(&mut resources);
        } else {
            step.cgroup.account_memory(&mut resources);
        }
        let exit = Exit { status, oom: !status.success() && step.cgroup.oom(), resources, init: step.init };
        teardown.end();
        Ok(exit)
    }
}

/// Sleeps until the limit is reached, or forever without a limit.
pub(super) async fn expired(limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            tokio::time::sleep(limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

/// The shortest run time for which all files of the cgroup are read.
const WORTH_READING: Duration = Duration::from_millis(10);
/// The time between samples of the counters while a step runs.
const SAMPLE: Duration = Duration::from_millis(200);

/// A step's exit as its init reported it.
struct EndedStep {
    exit: StepExit,
    /// The time for which the program ran.
    lasted: Duration,
    made: Vec<Mountpoint>,
    rootfs: OwnedFd,
    teardown: PhaseSpan,
}

/// A step that runs. Dropping it kills the step.
struct RunningStep {
    channel: AsyncChannel,
    pidfd: Option<AsyncFd<OwnedFd>>,
    /// The init's process id, which comes with its pidfd.
    init: Option<u32>,
    /// Whether all processes of the step have ended or can no longer run.
    dead: bool,
    client: Arc<ZygoteClient>,
    cgroup: StepCgroup,
}

impl RunningStep {
    fn new(
        PreparedSandbox { channel, cgroup }: PreparedSandbox,
        client: Arc<ZygoteClient>,
    ) -> Result<Self, SandboxError> {
        let channel = AsyncChannel::new(channel).map_err(SandboxError::io("preparing a socket"))?;
        Ok(Self { channel, pidfd: None, init: None, dead: false, client, cgroup })
    }

    /// Sends the step's message to its init. Returns the name of the started program and the root file system.
    async fn send(
        &mut self,
        runtime: Option<&OciRuntime>,
        spec: StepSpec,
        output: [OwnedFd; 2],
    ) -> Result<(String, OwnedFd), SandboxError> {
        let runtime_config = runtime.map(|runtime| runtime.config(&spec));
        let (mut message, mut fds) = request::message(spec, output, self.cgroup.join())?;
        if let (Some(runtime), Some(runtime_config)) = (runtime, runtime_config) {
            runtime.take_over(&mut message, &mut fds, &runtime_config, &self.cgroup)?;
        }
        let program =
            message.args.first().map(|name| String::from_utf8_lossy(&name.0).into_owned()).unwrap_or_default();
        let mut bytes = Vec::new();
        message.put(&mut bytes);
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        if let Err(error) = self.channel.send_long(&bytes, &borrowed).await {
            // An init whose sandbox could not be made has ended. It sent the reason before the channel was closed.
            let reported = self.report().await.ok().flatten().and_then(|report| started(report, program).err());
            return Err(reported.unwrap_or(SandboxError::Io { what: "sending the step's message to its init", error }));
        }
        // Only the root's descriptor is kept: the write ends of the pipes must be the step's alone.
        let rootfs = fds.into_iter().nth(message.rootfs as usize).ok_or(SandboxError::Gone)?;
        Ok((program, rootfs))
    }

    /// Waits until the program runs. Returns the mountpoints that were made for it.
    async fn started(&mut self, program: String) -> Result<Vec<Mountpoint>, SandboxError> {
        self.report().await?.map_or(Err(SandboxError::Gone), |report| started(report, program))
    }

    /// Runs the program to its end.
    async fn drive(
        &mut self,
        runtime: Option<&OciRuntime>,
        (program, rootfs): (String, OwnedFd),
        limits: &Limits,
        setup: PhaseSpan,
        probe: &Probe,
    ) -> Result<EndedStep, SandboxError> {
        let made = self.started(program).await?;
        setup.end();
        if runtime.is_some() {
            self.cgroup.limit_tasks(limits)?;
        } else {
            let client = Arc::clone(&self.client);
            // This runs on another thread: a delay on the thread that reads the step's output would mix up its two streams.
            tokio::task::spawn_blocking(move || client.prepare_next());
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
        let exit = match ended {
            Some(InitReport::Ended(exit)) => exit,
            // The init was killed, by the OOM killer or by root from outside, and the step with it.
            _ => StepExit { status: libc::SIGKILL, ..StepExit::default() },
        };
        process.end();
        Ok(EndedStep { exit, lasted, made, rootfs, teardown: probe.phase(Phase::SandboxTeardown) })
    }

    /// Receives the init's next report. The zygote's datagram with the pidfd may arrive before or after the first report.
    async fn report(&mut self) -> Result<Option<InitReport>, SandboxError> {
        Self::next_report(&self.channel, (&mut self.pidfd, &mut self.init)).await
    }

    async fn next_report(
        channel: &AsyncChannel,
        (pidfd_slot, init): (&mut Option<AsyncFd<OwnedFd>>, &mut Option<u32>),
    ) -> Result<Option<InitReport>, SandboxError> {
        loop {
            let received = channel.receive().await.map_err(SandboxError::io("listening to the step"))?;
            let Some((bytes, mut fds)) = received else { return Ok(None) };
            match fds.pop() {
                Some(pidfd) => {
                    *init = bytes.try_into().ok().map(u32::from_le_bytes);
                    *pidfd_slot = Some(sys::watched(pidfd).map_err(SandboxError::io("watching the step's init"))?);
                }
                None => return Ok(InitReport::take(&mut &bytes[..])),
            }
        }
    }

    /// Kills the step's init. The kernel then kills every process of its pid namespace.
    fn kill(&mut self) {
        if self.pidfd.is_none() {
            // The zygote sends it as soon as the init is forked, unless the zygote is dead.
            let pidfd = self.channel.wait_for_fd(Duration::from_secs(1));
            self.pidfd = pidfd.and_then(|fd| sys::watched(fd).ok());
        }
        self.cgroup.kill();
        if let Some(pidfd) = &self.pidfd {
            // An error means that the init is already dead.
            let _ = rustix::process::pidfd_send_signal(pidfd.get_ref(), rustix::process::Signal::KILL);
        }
    }

    /// Waits until no process of the step is left. An init is dead only after all others of its namespace.
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

/// The mountpoints that were made for a program, by the first report of its init; or the reason why the program does not run.
fn started(report: InitReport, program: String) -> Result<Vec<Mountpoint>, SandboxError> {
    match report {
        InitReport::Running { made } => Ok(made),
        InitReport::Failed { what, errno } => {
            let what = String::from_utf8_lossy(&what.0).into_owned();
            Err(SandboxError::Setup { what, errno: Errno::from_raw_os_error(errno) })
        }
        InitReport::NotExecuted { errno } => {
            Err(SandboxError::Exec { program, errno: Errno::from_raw_os_error(errno) })
        }
        InitReport::Refused { reason } => {
            Err(SandboxError::Runtime { runtime: program, reason: oci::log_message(&reason.0) })
        }
        InitReport::Ended(_) => Err(SandboxError::Gone),
    }
}

impl Drop for RunningStep {
    fn drop(&mut self) {
        if !self.dead {
            self.kill();
        }
        // The cgroup is removed in the background once the init is dead.
        let (client, cgroup) = (Arc::clone(&self.client), std::mem::take(&mut self.cgroup));
        let pidfd = self.pidfd.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(pidfd) = pidfd {
                    let _ready = pidfd.readable().await;
                }
                client.cgroups.remove_step(&cgroup);
            });
        }
    }
}

fn status(raw: i32) -> Status {
    if libc::WIFSIGNALED(raw) { Status::Signal(libc::WTERMSIG(raw)) } else { Status::Code(libc::WEXITSTATUS(raw)) }
}

fn resources(exit: &StepExit) -> Resources {
    let micros = |micros: u64| Nanos(micros * 1000);
    Resources {
        cpu_user: micros(exit.user),
        cpu_system: micros(exit.system),
        read: ByteSize(exit.blocks_in * 512),
        written: ByteSize(exit.blocks_out * 512),
        peak_memory: ByteSize(exit.peak),
        minor_faults: exit.minor_faults,
        major_faults: exit.major_faults,
        processes: exit.tasks,
        ..Resources::default()
    }
}
