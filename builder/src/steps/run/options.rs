//! The options of RUN steps on the command line.

use super::{NetworkMode, RunError};
use crate::plan::{Network, Run};
use buildscope_sandbox::{Limits, OciRuntime};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest secret of a file, in bytes, as in BuildKit.
const LARGEST_SECRET: u64 = 500 << 10;

/// The options of all RUN steps of a build.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// `--network`: the network of steps without `RUN --network`.
    pub network: NetworkMode,
    /// `--add-host NAME=ADDRESS`, as pairs (name, address).
    pub extra_hosts: Vec<(String, String)>,
    /// `--memory`, `--cpus`, `--shm-size`, `--ulimit`, `--timeout`.
    pub limits: Limits,
    /// `--allow`: the permissions that Dockerfiles may use.
    pub allowed: Allowed,
    /// `--secret`, by id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// `--ssh`: agents, by id.
    pub agents: BTreeMap<String, AgentSource>,
    /// `--executor`: the program that isolates the steps.
    pub executor: Executor,
}

/// The executor that runs and isolates a step's processes. The choice does not affect digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Executor {
    /// buildscope's own sandbox.
    #[default]
    Native,
    /// An OCI runtime, such as runc.
    Oci(OciRuntime),
}

impl Executor {
    /// `native`, or the name of the runtime's program.
    pub fn name(&self) -> String {
        match self {
            Self::Native => "native".into(),
            Self::Oci(runtime) => runtime.program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// Permissions that weaken the sandbox, which Dockerfiles may only use if the user allows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `--allow security.insecure`, for `RUN --security=insecure`.
    pub insecure: bool,
    /// `--allow network.host` or `--network host`, for `RUN --network=host`.
    pub host_network: bool,
    /// `--allow device=PATH`: the paths of host devices, for `RUN --device`.
    pub devices: BTreeSet<String>,
}

/// The source of a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, which is read when a step needs the secret.
    File(PathBuf),
    /// A variable of buildscope's environment.
    Env(String),
    /// The secret itself.
    Value(Vec<u8>),
}

/// The source of an SSH agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentSource {
    /// The socket of a running agent.
    Socket(PathBuf),
    /// Files with private keys. An agent is started that has only these keys.
    Keys(Vec<PathBuf>),
}

/// Omits the value: the debug output of the options must not put a secret into a log.
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
            Self::File(path) => read_file(path),
            Self::Env(name) => std::env::var_os(name)
                .map(std::os::unix::ffi::OsStringExt::into_vec)
                .ok_or_else(|| std::io::Error::other(format!("the environment has no variable {name}"))),
            Self::Value(value) => Ok(value.clone()),
        };
        read.map_err(|error| RunError::Secret { id: id.to_owned(), error })
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut secret = Vec::new();
    File::open(path)?.take(LARGEST_SECRET + 1).read_to_end(&mut secret)?;
    if secret.len() as u64 > LARGEST_SECRET {
        return Err(io::Error::other(format!("it is larger than {} KiB", LARGEST_SECRET >> 10)));
    }
    Ok(secret)
}

impl RunOptions {
    /// The options that a process can see, by flag, unless they are the default. As in BuildKit they are part of the cache key.
    /// `--memory`, `--cpus`, `--pids-limit` and `--timeout` are not: they decide whether a step succeeds.
    pub(crate) fn seen_by_processes(&self) -> BTreeMap<String, String> {
        let network = match self.network {
            // Where no connector works, the default is another one, and the result is the same.
            NetworkMode::Default | NetworkMode::Isolated => None,
            NetworkMode::Host => Some("host".to_owned()),
            NetworkMode::None => Some("none".to_owned()),
        };
        let hosts: Vec<String> = self.extra_hosts.iter().map(|(name, address)| format!("{name}={address}")).collect();
        let limits: Vec<String> =
            self.limits.ulimits.iter().map(|(name, (soft, hard))| format!("{name}={soft}:{hard}")).collect();
        let list = |values: Vec<String>| Some(values.join(",")).filter(|text| !text.is_empty());
        let options = [
            ("--network", network),
            ("--add-host", list(hosts)),
            ("--shm-size", self.limits.shm_size.map(|bytes| bytes.to_string())),
            ("--ulimit", list(limits)),
        ];
        options.into_iter().filter_map(|(flag, value)| Some((flag.to_owned(), value?))).collect()
    }

    /// Checks that the step only uses permissions that the user allows.
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

    /// The host devices of a step that was checked.
    pub(super) fn devices(&self, op: &Run) -> Vec<PathBuf> {
        op.devices.iter().map(|device| device_name(device).into()).collect()
    }
}

/// The device in `RUN --device=[name=]NAME[,required]`. We only support the path of a device as its name.
fn device_name(device: &str) -> &str {
    let name = device.split(',').find(|part| *part != "required").unwrap_or_default();
    name.strip_prefix("name=").unwrap_or(name)
}
