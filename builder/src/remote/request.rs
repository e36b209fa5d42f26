//! What a build asks of other machines.

use buildscope_remote::RemoteOptions;
use std::num::NonZeroUsize;

/// The servers that RUN steps are sent to.
#[derive(Clone, Debug, Default)]
pub struct RemoteRequest {
    /// The servers. Each may have many workers.
    pub servers: Vec<RemoteOptions>,
    /// What happens to a step if no server can run it.
    pub fallback: Fallback,
    /// Where cache mounts are.
    pub cache_mounts: CacheMounts,
    /// The number of steps that run on this machine at a time although others could run them. The rest goes to the servers.
    pub local_jobs: Option<NonZeroUsize>,
    /// What a worker must have, as pairs (name, value).
    pub properties: Vec<(String, String)>,
}

/// Where cache mounts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMounts {
    /// On this machine, where the steps that use them run.
    #[default]
    Local,
    /// In the store of each worker.
    Worker,
}

/// What happens to a step if no server can run it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// It runs on this machine.
    #[default]
    Local,
    /// It fails.
    Fail,
}
