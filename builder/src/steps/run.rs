//! RUN: runs a process over the parent's file system, and makes a layer of its changes.
//!
//! *Takes* a [`plan::Run`](crate::plan::Run), the layers below it and the sources of its mounts. *Gives* a layer and an
//! [`Exit`]. *Must never know* how a process is isolated ([`sandbox`](buildscope_sandbox)) or how a file system is
//! mounted ([`storage`](buildscope_storage)).

mod closed;
mod error;
mod mounts;
mod network;
mod options;
mod proxy;
mod ssh;
mod user;

pub use error::RunError;
pub use mounts::{MountOrigin, exclusive};
pub(crate) use mounts::{bind_as_copy, context_layer};
pub use network::{NetworkMode, Networks};
pub use options::{AgentSource, Allowed, Executor, RunOptions, SecretSource};

use crate::plan::{CopyFrom, Run};
use buildscope_dockerfile::clean;
use buildscope_oci::DEFAULT_PATH;
use buildscope_record::{DiffId, Probe};
use buildscope_sandbox::{Exit, LogSink, Privileges, SandboxError, StepNetwork, StepSpec, Zygote};
use buildscope_storage::{Layer, Snapshot, StorageError, Store};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The host name of a step, as in BuildKit.
const HOSTNAME: &str = "buildkitsandbox";

/// The context of a build's RUN steps.
pub struct Runner<'a> {
    /// The store with the layers.
    pub store: &'a Store,
    /// The zygote that starts the processes.
    pub zygote: &'a Zygote,
    /// The options of the command line.
    pub options: &'a RunOptions,
    /// Whether the step runs a second time, with its changes on the disk, after [`RunError::RetryOnDisk`].
    pub on_disk: bool,
}

/// The input of a RUN step.
#[derive(Clone, Copy)]
pub struct RunInput<'a, 'o> {
    /// The instruction.
    pub op: &'a Run,
    /// The layers below it, lowest first.
    pub parent: &'a [DiffId],
    /// The network that the step gets.
    pub network: &'a StepNetwork,
    /// Finds the source of a bind mount, or of the seed of a cache mount.
    pub origin: &'a (dyn Fn(&CopyFrom) -> Option<MountOrigin<'o>> + Sync),
}

/// The result of a RUN step that succeeded.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The layer of its changes. It is empty if the step changed nothing.
    pub layer: Layer,
    /// The exit status and the resource usage.
    pub exit: Exit,
}

impl Runner<'_> {
    /// Runs a step and makes the layer of its changes. The caller must be in tokio's multi-threaded runtime, since file
    /// operations block the thread.
    ///
    /// # Errors
    /// [`RunError::Failed`] if the exit status is not 0. Other errors are an unknown user, a missing secret, a feature
    /// that is not allowed, and failures of the sandbox and the store.
    pub async fn run(
        &self,
        RunInput { op, parent, network, origin }: RunInput<'_, '_>,
        log: impl LogSink,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> Result<Ran, RunError> {
        let prepare = || {
            self.options.check(op)?;
            // If the step's memory is limited, its files must not count towards the limit: they go to the disk.
            let snapshot = match (self.on_disk, self.options.limits.memory) {
                (true, _) => self.store.snapshot_again(parent, probe)?,
                (false, Some(_)) => self.store.snapshot_on_disk(parent, probe)?,
                (false, None) => self.store.snapshot(parent, probe)?,
            };
            let mounts = mounts::Mounts::prepare(self, op, origin, probe)?;
            let spec = self.spec(op, network.clone(), &snapshot, &mounts, probe)?;
            Ok::<_, RunError>((snapshot, mounts, spec))
        };
        let (snapshot, mounts, spec) = tokio::task::block_in_place(prepare)?;
        let stop = cancel.child_token();
        let run = async {
            match &self.options.executor {
                Executor::Native => self.zygote.run(spec, log, stop.clone(), probe).await,
                Executor::Oci(runtime) => runtime.run(self.zygote, spec, log, stop.clone(), probe).await,
            }
        };
        let stopping = async {
            outgrown(&snapshot).await;
            stop.cancel();
            std::future::pending().await
        };
        let ran = tokio::select! { ran = run => ran, never = stopping => never };
        let exit = match ran {
            Err(SandboxError::Cancelled) if stop.is_cancelled() && !cancel.is_cancelled() => {
                return Err(RunError::RetryOnDisk);
            }
            Err(SandboxError::Exec { program, errno: Errno::ACCESS }) => {
                return Err(Self::not_permitted(op, program, &snapshot));
            }
            ran => ran?,
        };
        // Releases cache directories and agents before the layer is made, since other steps may be waiting for them.
        drop(mounts);
        if !exit.status.success() && (snapshot.is_outgrown() || exit.oom && snapshot.is_in_memory()) {
            return Err(RunError::RetryOnDisk);
        }
        if !exit.status.success() {
            return Err(RunError::Failed { command: op.args.join(" "), exit: Box::new(exit) });
        }
        match tokio::task::block_in_place(|| snapshot.commit(probe)) {
            Err(StorageError::LinkChanged { .. }) if !self.on_disk => Err(RunError::RetryOnDisk),
            layer => Ok(Ran { layer: layer?, exit }),
        }
    }

    /// Like [`run`](Self::run). If the step has to run again on the disk, it does: nothing is left of the first attempt. `log` makes the
    /// sink of each attempt.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) async fn run_to_end<L: LogSink>(
        mut self,
        input: RunInput<'_, '_>,
        mut log: impl FnMut() -> L,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> Result<Ran, RunError> {
        loop {
            match self.run(input, log(), cancel.clone(), probe).await {
                // The second attempt has room, and no hard links into lower layers.
                Err(RunError::RetryOnDisk) if !self.on_disk => self.on_disk = true,
                ran => return ran,
            }
        }
    }

    /// The error of a program that the user of the step may not execute.
    fn not_permitted(op: &Run, program: String, snapshot: &Snapshot) -> RunError {
        let env = op.env.to_vec();
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
        let workdir = Path::new("/").join(&op.workdir);
        let candidates: Vec<PathBuf> = if program.contains('/') {
            vec![workdir.join(&program)]
        } else {
            std::env::split_paths(path).map(|directory| directory.join(&program)).collect()
        };
        let paths = [workdir.as_path()].into_iter().chain(candidates.iter().map(PathBuf::as_path));
        let user = user::resolve(&op.user, snapshot.tree()).map(|identity| identity.credentials).unwrap_or_default();
        match closed::closed(paths, snapshot.tree(), &user) {
            Some((directory, mode)) => {
                RunError::Closed { program, workdir: op.workdir.clone(), uid: user.uid, directory, mode }
            }
            None => RunError::Sandbox(SandboxError::Exec { program, errno: Errno::ACCESS }),
        }
    }

    fn spec(
        &self,
        op: &Run,
        network: StepNetwork,
        snapshot: &Snapshot,
        mounts: &mounts::Mounts,
        probe: &Probe,
    ) -> Result<StepSpec, RunError> {
        let identity = user::resolve(&op.user, snapshot.tree())?;
        let mut env = op.env.to_vec();
        env.extend(op.unkeyed_env.iter().cloned());
        env.extend(mounts.env().map(|(name, value)| format!("{name}={value}")));
        // A variable that the Dockerfile sets, even to nothing, keeps its value, except for an empty HOME: runc fills
        // that in.
        if !env.iter().any(|variable| variable.starts_with("PATH=")) {
            env.insert(0, format!("PATH={DEFAULT_PATH}"));
        }
        if !env.iter().any(|variable| variable.starts_with("HOME=") && variable.len() > "HOME=".len()) {
            env.retain(|variable| variable != "HOME=");
            env.push(format!("HOME={}", identity.home));
        }
        Ok(StepSpec {
            rootfs: snapshot.mount(probe)?,
            args: op.args.clone(),
            env,
            // An absolute WORKDIR is kept as written, and its `..` would need directories that nothing makes.
            workdir: clean(&op.workdir).into(),
            user: identity.credentials,
            mounts: mounts.attach(probe)?,
            network,
            privileges: if op.insecure { Privileges::Insecure } else { Privileges::Docker },
            devices: self.options.devices(op),
            stdin: None,
            hostname: op.hostname.clone().unwrap_or_else(|| HOSTNAME.into()),
            extra_hosts: self.options.extra_hosts.clone(),
            limits: self.options.limits.clone(),
        })
    }
}

/// Waits until the step's changes exceed the memory budget. Never returns if they are on the disk.
async fn outgrown(snapshot: &Snapshot) {
    /// The interval between two checks. Within it, a step that only writes can exceed the budget by some ten megabytes.
    const EVERY: Duration = Duration::from_millis(10);
    while snapshot.is_in_memory() {
        tokio::time::sleep(EVERY).await;
        if snapshot.is_outgrown() {
            return;
        }
    }
    std::future::pending().await
}
