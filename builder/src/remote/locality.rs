//! Decides which steps can run on another machine.

use super::CacheMounts;
use crate::plan::{MountKind, Network, Run};
use crate::steps::run::{Executor, NetworkMode, RunOptions};
use buildscope_record::redacted;
use std::borrow::Cow;

/// Returns the reason why a step runs on this machine, as the end of a sentence; `None` if another machine can run it.
pub(crate) fn why_here(op: &Run, options: &RunOptions, caches: CacheMounts) -> Option<&'static str> {
    let mounts = op.mounts.iter().find_map(|mount| match &mount.kind {
        MountKind::Secret { .. } => Some("it has a secret, which is never sent to a server"),
        MountKind::Ssh { .. } => Some("it has an SSH agent, which only this machine has"),
        MountKind::Cache { .. } if caches == CacheMounts::Local => {
            Some("it has a cache mount, whose content is on this machine (--remote-cache-mounts=worker uses those of workers)")
        }
        MountKind::Cache { from: Some((from, _)), .. } if from.is_outside() => {
            Some("it has a cache mount that starts with files of this machine")
        }
        MountKind::Cache { .. } => None,
        MountKind::Bind { .. } | MountKind::Tmpfs { .. } | MountKind::Inline { .. } => None,
    });
    let host = op.network == Network::Host || op.network == Network::Default && options.network == NetworkMode::Host;
    let with_password = |variable: &String| matches!(redacted(variable), Cow::Owned(_));
    mounts
        .or_else(|| op.insecure.then_some("it runs with --security=insecure"))
        .or_else(|| (!op.devices.is_empty()).then_some("it has a device of this machine"))
        .or_else(|| host.then_some("it has the network of this machine"))
        .or_else(|| (options.executor != Executor::Native).then_some("another executor was chosen"))
        .or_else(|| {
            let secret = op.unkeyed_env.iter().any(with_password);
            secret.then_some("the address of a proxy has a password, which is never sent to a server")
        })
}
