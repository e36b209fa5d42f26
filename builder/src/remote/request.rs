//! What a build asks of other machines.

use buildscope_remote::RemoteOptions;

/// The servers that RUN steps are sent to.
#[derive(Clone, Debug, Default)]
pub struct RemoteRequest {
    /// The servers. Each may have many workers.
    pub servers: Vec<RemoteOptions>,
    /// What happens to a step if no server can run it.
    pub fallback: Fallback,
    /// What a worker must have, as pairs (name, value).
    pub properties: Vec<(String, String)>,
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
