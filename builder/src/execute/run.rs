//! RUN: a process over the file system so far, and what it changed.

use super::copy::{CopyError, Owner};
use super::sandbox::{Credentials, Exit, Limits, LogSink, NetworkMode, SandboxError, StepSpec, Zygote};
use crate::plan;
use crate::storage::{Layer, StorageError, Store};
use buildscope_record::{Digest, Probe};
use tokio_util::sync::CancellationToken;

/// Why a RUN has no layer.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The process ran and failed.
    #[error("{}", .0.status)]
    Failed(Box<Exit>),
    /// The box.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The user.
    #[error(transparent)]
    User(#[from] CopyError),
}

/// Runs.
pub async fn run(
    op: &plan::Run,
    layers: &[Digest],
    store: &Store,
    zygote: &Zygote,
    log: impl LogSink,
    cancel: CancellationToken,
    probe: &Probe,
) -> Result<(Exit, Layer), RunError> {
    let snapshot = tokio::task::block_in_place(|| store.snapshot(layers, probe))?;
    let owner = if op.user.is_empty() { Owner::default() } else { Owner::find(&op.user, snapshot.tree())? };
    let mut env = op.env.to_vec();
    env.extend(op.unkeyed_env.iter().cloned());
    let spec = StepSpec {
        rootfs: snapshot.mount(probe)?,
        args: op.args.clone(),
        env,
        workdir: op.workdir.clone().into(),
        user: Credentials { uid: owner.uid, gid: owner.gid, groups: Vec::new() },
        mounts: Vec::new(),
        network: NetworkMode::Host,
        insecure: false,
        devices: Vec::new(),
        stdin: None,
        hostname: op.hostname.clone().unwrap_or_else(|| "buildscope".into()),
        extra_hosts: Vec::new(),
        limits: Limits::default(),
    };
    let exit = zygote.run(spec, log, cancel, probe).await?;
    if !exit.status.success() {
        return Err(RunError::Failed(Box::new(exit)));
    }
    let layer = tokio::task::block_in_place(|| snapshot.commit(&[], probe))?;
    Ok((exit, layer))
}
