//! What the command line says about RUN steps.

use super::RunError;
use crate::plan::{Network, Run};
use buildscope_sandbox::{Limits, NetworkMode, OciRuntime};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The options of all RUN steps of a build.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// `--network`: what steps get that ask for none in particular.
    pub network: NetworkMode,
    /// `--add-host NAME=ADDRESS`: (name, address).
    pub extra_hosts: Vec<(String, String)>,
    /// `--memory`, `--cpus`, `--shm-size`, `--ulimit`, `--timeout`.
    pub limits: Limits,
    /// `--allow`.
    pub allowed: Allowed,
    /// `--secret`, by id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// `--ssh`: agents, by id.
    pub agents: BTreeMap<String, AgentSource>,
    /// `--executor`.
    pub executor: Executor,
}

/// Who boxes steps. It changes no digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Executor {
    /// buildscope's own sandbox.
    #[default]
    Native,
    /// A stock runtime.
    Oci(OciRuntime),
}

impl Executor {
    /// `native`, or the runtime's program.
    pub fn name(&self) -> String {
        match self {
            Self::Native => "native".into(),
            Self::Oci(runtime) => runtime.program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// What Dockerfiles may ask for beyond a safe box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `--allow security.insecure`.
    pub insecure: bool,
    /// `--allow network.host` or `--network host`: `RUN --network=host`.
    pub host_network: bool,
    /// `--allow device=PATH`: host devices, by path.
    pub devices: BTreeSet<String>,
}

/// Where a secret is.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file, read when a step needs it.
    File(PathBuf),
    /// In a variable of buildscope's environment.
    Env(String),
    /// Here.
    Value(Vec<u8>),
}

/// Where a step's SSH agent comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentSource {
    /// An agent that runs: its socket.
    Socket(PathBuf),
    /// Files with private keys, for which an agent is started that knows these alone.
    Keys(Vec<PathBuf>),
}

/// Without the value: a secret must not get into a log by way of an option's debug output.
impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Self::Value(_) => f.write_str("Value"),
        }
    }
}

impl SecretSource {
    pub(super) fn read(&self, id: &str) -> Result<Vec<u8>, RunError> {
        let read = match self {
            Self::File(path) => std::fs::read(path),
            Self::Env(name) => std::env::var_os(name)
                .map(std::os::unix::ffi::OsStringExt::into_vec)
                .ok_or_else(|| std::io::Error::other(format!("the environment has no variable {name}"))),
            Self::Value(value) => Ok(value.clone()),
        };
        read.map_err(|source| RunError::Secret { id: id.to_owned(), source })
    }
}

impl RunOptions {
    /// Whether a step asks for nothing that it may not have.
    pub(super) fn check(&self, op: &Run) -> Result<(), RunError> {
        let refuse = |what: &str, entitlement: String| Err(RunError::NotAllowed { what: what.to_owned(), entitlement });
        if op.insecure && !self.allowed.insecure {
            return refuse("--security=insecure", "security.insecure".into());
        }
        if op.network == Network::Host && !self.allowed.host_network {
            return refuse("--network=host", "network.host".into());
        }
        match op.devices.iter().find(|device| !self.allowed.devices.contains(device_name(device))) {
            Some(device) => refuse(&format!("--device={device}"), format!("device={}", device_name(device))),
            None => Ok(()),
        }
    }

    /// The host devices that a checked step gets.
    pub(super) fn devices(&self, op: &Run) -> Vec<PathBuf> {
        op.devices.iter().map(|device| device_name(device).into()).collect()
    }
}

/// `RUN --device=[name=]NAME[,required]`: here a device is named by its path.
fn device_name(device: &str) -> &str {
    let name = device.split(',').find(|part| *part != "required").unwrap_or_default();
    name.strip_prefix("name=").unwrap_or(name)
}
