//! The options of a build for other machines.

use buildscope_remote::RemoteOptions;
use std::num::NonZeroUsize;

/// The servers that RUN steps are sent to.
#[derive(Clone, Debug, Default)]
pub struct RemoteRequest {
    /// The servers. Each may have many workers.
    pub servers: Vec<RemoteOptions>,
    /// The fallback for a step that no server can run.
    pub fallback: Fallback,
    /// The place of cache mounts.
    pub cache_mounts: CacheMounts,
    /// The number of steps that run on this machine at a time although others could run them. The rest goes to the servers.
    pub local_jobs: Option<NonZeroUsize>,
    /// The required properties of a worker, as pairs (name, value).
    pub properties: Vec<(String, String)>,
}

/// The place of cache mounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMounts {
    /// On this machine, where the steps that use them run.
    #[default]
    Local,
    /// In the store of each worker.
    Worker,
}

/// The fallback for a step that no server can run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// It runs on this machine.
    #[default]
    Local,
    /// It fails.
    Fail,
}
