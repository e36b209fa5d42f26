//! The flags for RUN steps, as in docker buildx and docker build.

use super::arguments::Arguments;
use super::flag_values::{agent, bad, existing, host, secret, size, ulimit};
use crate::Failure;
use buildscope_builder::steps::run::{Allowed, Executor, NetworkMode, RunOptions};
use buildscope_sandbox::{Limits, OciRuntime};
use miette::miette;
use std::time::Duration;

/// More processors than any machine has. The kernel's quota is a number of microseconds.
const MOST_CPUS: f64 = 1e6;

impl Arguments {
    /// The inputs and permissions of RUN steps.
    pub(super) fn run_options(&self) -> Result<RunOptions, Failure> {
        let docker = self.docker.limits()?;
        let memory = self.memory.as_deref().map(|text| size("--memory", text)).transpose()?;
        Ok(RunOptions {
            network: match self.network.as_deref() {
                None | Some("default") => NetworkMode::Default,
                Some("host") => NetworkMode::Host,
                Some("none") => NetworkMode::None,
                Some("isolated") => NetworkMode::Isolated,
                Some(other) => return Err(bad("--network", other, "default, host, none or isolated")),
            },
            extra_hosts: self.add_host.iter().flat_map(|list| list.split(',')).map(host).collect::<Result<_, _>>()?,
            limits: Limits {
                memory: memory.or(docker.memory),
                cpus: match self.cpus.or(docker.cpus) {
                    Some(cpus) if !(cpus > 0.0 && cpus <= MOST_CPUS) => {
                        return Err(bad("--cpus", &cpus.to_string(), "a number of processors above 0"));
                    }
                    cpus => cpus,
                },
                pids: match self.pids_limit {
                    // As in docker, both mean that there is no limit.
                    None | Some(-1 | 0) => None,
                    Some(pids) => Some(u64::try_from(pids).map_err(|_| {
                        bad("--pids-limit", &pids.to_string(), "a number of processes, or -1 for any number")
                    })?),
                },
                shm_size: self.shm_size.as_deref().map(|text| size("--shm-size", text)).transpose()?,
                ulimits: self.ulimit.iter().map(|text| ulimit(text)).collect::<Result<_, _>>()?,
                timeout: match self.timeout.map(Duration::try_from_secs_f64) {
                    Some(Err(_)) => {
                        let given = self.timeout.unwrap_or_default().to_string();
                        return Err(bad("--timeout", &given, "a number of seconds"));
                    }
                    timeout => timeout.and_then(Result::ok),
                },
            },
            allowed: self.allowed()?,
            secrets: self.secret.iter().map(|text| existing(secret(text)?)).collect::<Result<_, _>>()?,
            executor: self.executor()?,
            agents: self.ssh.iter().map(|text| agent(text)).collect::<Result<_, _>>()?,
        })
    }

    fn executor(&self) -> Result<Executor, Failure> {
        let found = |names: &[&str]| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let mut candidates =
                std::env::split_paths(&path).flat_map(|directory| names.iter().map(move |name| directory.join(name)));
            candidates.find(|program| program.is_file())
        };
        let names: &[&str] = match self.executor.as_str() {
            "native" => return Ok(Executor::Native),
            "oci" => &["crun", "runc"],
            name @ ("crun" | "runc") => &[if name == "crun" { "crun" } else { "runc" }],
            other => return Err(bad("--executor", other, "native, oci, crun or runc")),
        };
        match found(names) {
            Some(program) => Ok(Executor::Oci(OciRuntime { program })),
            None => {
                Err(Failure::usage(miette!("--executor {}: PATH has no {}", self.executor, names.join(" and no "))))
            }
        }
    }

    fn allowed(&self) -> Result<Allowed, Failure> {
        // An entitlement that is requested on the command line is granted, as in buildx.
        let host_network = self.network.as_deref() == Some("host");
        let mut allowed = Allowed { host_network, ..Allowed::default() };
        for entitlement in self.allow.iter().flat_map(|list| list.split(',')) {
            match entitlement.split_once('=') {
                None if entitlement == "security.insecure" => allowed.insecure = true,
                None if entitlement == "network.host" => allowed.host_network = true,
                Some(("device", path)) => drop(allowed.devices.insert(path.to_owned())),
                None if entitlement == "device" => {
                    return Err(refused_entitlement(entitlement, "name each device, as in device=/dev/fuse"));
                }
                None if entitlement == "buildx.local.delete" => {
                    return Err(refused_entitlement(
                        entitlement,
                        "no output removes files: remove them before the build",
                    ));
                }
                _ => return Err(bad("--allow", entitlement, "security.insecure, network.host or device=PATH")),
            }
        }
        Ok(allowed)
    }
}

fn refused_entitlement(name: &str, why: &str) -> Failure {
    Failure::usage(miette!("--allow {name} is not supported: {why}"))
}
