//! RUN: a process over the parent's file system, and the layer of what it changed.
//!
//! *Takes* a [`plan::Run`](crate::plan::Run), the layers below it and what it may mount. *Gives* a layer and an
//! [`Exit`]. *Must never know* how a process is boxed ([`sandbox`](buildscope_sandbox)) or how a file system is
//! mounted ([`storage`](buildscope_storage)).

mod error;
mod mounts;
mod options;
mod ssh;
mod user;

pub use error::RunError;
pub use mounts::{MountOrigin, bind_as_copy, exclusive};
pub use options::{AgentSource, Allowed, Executor, RunOptions, SecretSource};

use crate::plan::{CopyFrom, Network, Run};
use buildscope_record::{DiffId, Probe};
use buildscope_sandbox::{Exit, LogSink, NetworkMode, SandboxError, StepSpec, Zygote};
use buildscope_storage::{Layer, Snapshot, StorageError, Store};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What `PATH` is where neither the image nor the Dockerfile says: docker's default.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// BuildKit's host name of a step.
const HOSTNAME: &str = "buildkitsandbox";

/// What all RUN steps of a build share.
pub struct Runner<'a> {
    /// The store.
    pub store: &'a Store,
    /// The helper.
    pub zygote: &'a Zygote,
    /// What the command line says.
    pub options: &'a RunOptions,
    /// Whether the step is done a second time, after [`RunError::Again`].
    pub again: bool,
}

/// A RUN step that succeeded.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What it changed; empty where it changed nothing.
    pub layer: Layer,
    /// How it ended and what it used.
    pub exit: Exit,
}

impl Runner<'_> {
    /// Runs a step over `parent` (lowest layer first) and makes the layer of what it changed.
    ///
    /// `origin` says what a bind mount or the seed of a cache mount is taken from. Needs tokio's multi-threaded
    /// runtime: work on files blocks its thread.
    ///
    /// # Errors
    /// [`RunError::Failed`] for a process that ended otherwise than with 0; an unknown user, a missing secret, what
    /// was not allowed; failures of the sandbox and the store.
    pub async fn run<'o>(
        &self,
        op: &Run,
        parent: &[DiffId],
        origin: &(dyn Fn(&CopyFrom) -> Option<MountOrigin<'o>> + Sync),
        log: impl LogSink,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> Result<Ran, RunError> {
        let prepare = || {
            self.options.check(op)?;
            // Where its memory is limited, what it writes shall not count.
            let snapshot = match (self.again, self.options.limits.memory) {
                (true, _) => self.store.snapshot_again(parent, probe)?,
                (false, Some(_)) => self.store.snapshot_on_disk(parent, probe)?,
                (false, None) => self.store.snapshot(parent, probe)?,
            };
            let mounts = mounts::Mounts::prepare(self, op, origin, probe)?;
            let spec = self.spec(op, &snapshot, &mounts, probe)?;
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
                return Err(RunError::Again);
            }
            ran => ran?,
        };
        // Lets go of cache directories and agents before the layer is made: other steps may be waiting.
        drop(mounts);
        if !exit.status.success() && (snapshot.is_outgrown() || exit.oom && snapshot.is_in_memory()) {
            return Err(RunError::Again);
        }
        if !exit.status.success() {
            return Err(RunError::Failed { command: op.args.join(" "), exit: Box::new(exit) });
        }
        match tokio::task::block_in_place(|| snapshot.commit(&[], probe)) {
            Err(StorageError::LinkChanged { .. }) if !self.again => Err(RunError::Again),
            layer => Ok(Ran { layer: layer?, exit }),
        }
    }

    fn spec(
        &self,
        op: &Run,
        snapshot: &Snapshot,
        mounts: &mounts::Mounts,
        probe: &Probe,
    ) -> Result<StepSpec, RunError> {
        let identity = user::resolve(&op.user, snapshot.tree())?;
        let mut env = op.env.to_vec();
        env.extend(op.unkeyed_env.iter().cloned());
        env.extend(mounts.env().map(|(name, value)| format!("{name}={value}")));
        // What the Dockerfile sets, even to nothing, is left alone but for HOME, which runc fills in.
        if !env.iter().any(|variable| variable.starts_with("PATH=")) {
            env.insert(0, format!("PATH={PATH}"));
        }
        if !env.iter().any(|variable| variable.starts_with("HOME=") && variable.len() > "HOME=".len()) {
            env.retain(|variable| variable != "HOME=");
            env.push(format!("HOME={}", identity.home));
        }
        Ok(StepSpec {
            rootfs: snapshot.mount(probe)?,
            args: op.args.clone(),
            env,
            workdir: op.workdir.clone().into(),
            user: identity.credentials,
            mounts: mounts.attach(probe)?,
            network: match op.network {
                Network::Default => self.options.network,
                Network::None => NetworkMode::None,
                Network::Host => NetworkMode::Host,
            },
            insecure: op.insecure,
            devices: self.options.devices(op),
            stdin: None,
            hostname: op.hostname.clone().unwrap_or_else(|| HOSTNAME.into()),
            extra_hosts: self.options.extra_hosts.clone(),
            limits: self.options.limits.clone(),
        })
    }
}

/// Waits until what the step changes takes more memory than there is for that; for ever, where it is on the disk.
async fn outgrown(snapshot: &Snapshot) {
    /// How often one looks: within it a step that does nothing but write can take some ten megabytes more.
    const EVERY: Duration = Duration::from_millis(10);
    while snapshot.is_in_memory() {
        tokio::time::sleep(EVERY).await;
        if snapshot.is_outgrown() {
            return;
        }
    }
    std::future::pending().await
}
