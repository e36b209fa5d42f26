//! `--network` and `RUN --network`: the network that each step gets.
//!
//! The steps of a build share one isolated network. Connecting it takes longer than starting a step, and steps that run one after
//! the other cannot meet in it.

use super::RunError;
use super::proxy::loopback_proxies;
use crate::plan::{self, BuildArgs, Run};
use buildscope_sandbox::{IsolatedNetwork, SandboxError, StepNetwork};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

/// `--network`: the network of steps without `RUN --network`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkMode {
    /// An isolated network or, without a connector that works, the host's without raw sockets, with a warning.
    #[default]
    Default,
    /// The host's network.
    Host,
    /// An isolated network, or an error.
    Isolated,
    /// A loopback device only.
    None,
}

/// The networks of the steps of one build.
pub struct Networks {
    mode: NetworkMode,
    /// The user's proxies on the host's loopback, which steps can reach in the isolated network too.
    proxies: BTreeSet<SocketAddr>,
    default: tokio::sync::Mutex<Option<DefaultNetwork>>,
    warn: Box<dyn Fn(String) + Send + Sync>,
}

/// The network that steps without a wish get, once it is known.
enum DefaultNetwork {
    Isolated(Arc<IsolatedNetwork>),
    /// No isolated network can be connected on this machine.
    Host,
}

impl Networks {
    /// The networks of a build with this `--network` and these build arguments. `warn` takes warnings for the user.
    pub fn new(mode: NetworkMode, build_args: &BuildArgs, warn: impl Fn(String) + Send + Sync + 'static) -> Self {
        let proxies = loopback_proxies(build_args);
        Self { mode, proxies, default: tokio::sync::Mutex::default(), warn: Box::new(warn) }
    }

    /// The network of a step.
    ///
    /// # Errors
    /// Fails if `--network isolated` was given and no network can be connected.
    pub async fn of(&self, op: &Run) -> Result<StepNetwork, RunError> {
        match self.unconnected(op) {
            Some(network) => Ok(network),
            None => Ok(self.connected().await?),
        }
    }

    /// The network of a step that needs no connection; `None` if the step gets the one that the steps of the build share.
    fn unconnected(&self, op: &Run) -> Option<StepNetwork> {
        match (op.network, self.mode) {
            (plan::Network::Host, _) | (plan::Network::Default, NetworkMode::Host) => Some(StepNetwork::Host),
            (plan::Network::None, _) | (plan::Network::Default, NetworkMode::None) => Some(StepNetwork::None),
            (plan::Network::Default, NetworkMode::Default | NetworkMode::Isolated) => None,
        }
    }

    /// Whether a step gets the isolated network, if one can be connected.
    pub fn isolates(&self, op: &Run) -> bool {
        self.unconnected(op).is_none()
    }

    async fn connect(&self) -> Result<IsolatedNetwork, SandboxError> {
        let mut network = IsolatedNetwork::connect().await?;
        for proxy in &self.proxies {
            if let Err(error) = network.forward(*proxy) {
                (self.warn)(format!("RUN steps cannot reach the proxy {proxy}: {error}"));
            }
        }
        Ok(network)
    }

    /// Connects the network of steps without a wish, so that the first one does not wait for it. An error is that step's.
    pub async fn prepare(&self) {
        let _ = self.connected().await;
    }

    /// The isolated network, which the first step connects and the others share, or its replacement.
    async fn connected(&self) -> Result<StepNetwork, SandboxError> {
        let mut default = self.default.lock().await;
        match &*default {
            Some(DefaultNetwork::Isolated(network)) if network.is_connected() => {
                return Ok(StepNetwork::Isolated(Arc::clone(network)));
            }
            Some(DefaultNetwork::Host) => return Ok(StepNetwork::HostWithoutRawSockets),
            // The connector has died, or this is the first step.
            Some(DefaultNetwork::Isolated(_)) | None => {}
        }
        match self.connect().await {
            Ok(network) => {
                let network = Arc::new(network);
                *default = Some(DefaultNetwork::Isolated(Arc::clone(&network)));
                Ok(StepNetwork::Isolated(network))
            }
            Err(error) if self.mode == NetworkMode::Default => {
                *default = Some(DefaultNetwork::Host);
                (self.warn)(format!(
                    "RUN steps use the host's network and can reach its loopback services, because there is no isolated one: \
                     {error}. Install slirp4netns or pasta, or choose with --network host or --network none"
                ));
                Ok(StepNetwork::HostWithoutRawSockets)
            }
            Err(error) => Err(error),
        }
    }
}
