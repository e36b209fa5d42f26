//! An isolated network for a step, connected to the outside by slirp4netns or pasta. Both are user-mode TCP/IP, so neither
//! root nor a bridge is needed. The host's loopback is not reachable from the network.

use super::error::SandboxError;
use super::sys;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// The time within which a connector must report that it is ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connected network namespace. Dropping this ends the connection.
pub(super) struct Connected {
    /// The namespace, for the step to enter.
    pub(super) namespace: OwnedFd,
    /// The content of `/etc/resolv.conf` for the step.
    pub(super) resolv_conf: &'static str,
    _connector: Child,
    /// The connector ends when this socket closes, also if the builder is killed.
    _leash: std::os::unix::net::UnixStream,
}

/// A program that connects a namespace. Its standard input is the namespace. It reports on standard output with a byte that it
/// is ready, and ends when its standard error (the leash) closes.
struct Connector {
    /// The program that has to be installed.
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    resolv_conf: &'static str,
}

/// The connectors in order of preference.
const CONNECTORS: [Connector; 2] = [
    Connector {
        name: "slirp4netns",
        program: "slirp4netns",
        // The largest MTU that it accepts means the fewest packets to copy.
        arguments: &[
            "--configure",
            "--mtu=65520",
            "--disable-host-loopback",
            "--ready-fd=1",
            "--exit-fd=2",
            "--netns-type=path",
            "/proc/self/fd/0",
            "tap0",
        ],
        // The address of its resolver (slirp4netns(1)).
        resolv_conf: "nameserver 10.0.2.3\n",
    },
    Connector {
        name: "pasta",
        // pasta cannot watch a descriptor, so a shell watches the leash and kills it.
        program: "/bin/sh",
        arguments: &[
            "-c",
            "exec 3<&0; pasta \"$@\" <&3 2>/dev/null & read -r end <&2; kill $!",
            "sh",
            "--foreground",
            "--config-net",
            "--netns-only",
            "--runas=0",
            // No port is forwarded in either direction, and the gateway is not mapped to the host's loopback.
            "--tcp-ports=none",
            "--udp-ports=none",
            "--tcp-ns=none",
            "--udp-ns=none",
            "--no-map-gw",
            "--dns-forward=169.254.1.1",
            // The pid file is written when the network is ready.
            "--pid=/dev/stdout",
            "--netns=/proc/self/fd/0",
        ],
        resolv_conf: "nameserver 169.254.1.1\n",
    },
];

/// Makes a network namespace and connects it.
///
/// # Errors
/// Fails if neither connector is installed or if the connector is not ready in time.
pub(super) async fn connect() -> Result<Connected, SandboxError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let connector = CONNECTORS.iter().find(|connector| installed(connector.name, &path)).ok_or_else(|| {
        failed("an isolated network needs slirp4netns or pasta; install one of them, or use --network=host or --network=none")
    })?;
    let namespace = namespace()?;
    let (leash, end) = std::os::unix::net::UnixStream::pair().map_err(SandboxError::io("making a socket pair"))?;
    let input = namespace.try_clone().map_err(SandboxError::io("passing on the step's network"))?;
    let mut started = Command::new(connector.program)
        .args(connector.arguments)
        .stdin(Stdio::from(input))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(OwnedFd::from(end)))
        .spawn()
        .map_err(SandboxError::io("connecting the step's network"))?;
    let mut ready = [0];
    let output = started.stdout.as_mut().ok_or_else(|| failed("the connector has no standard output"))?;
    match tokio::time::timeout(PATIENCE, output.read(&mut ready)).await {
        Ok(Ok(1)) => {
            Ok(Connected { namespace, resolv_conf: connector.resolv_conf, _connector: started, _leash: leash })
        }
        Ok(Ok(_)) => {
            Err(failed(&format!("{} ended at once; it needs access to /dev/net/tun as this user", connector.name)))
        }
        Ok(Err(error)) => Err(SandboxError::Io { what: "connecting the step's network", source: error }),
        Err(_) => Err(failed(&format!("{} was not ready within {} s", connector.name, PATIENCE.as_secs()))),
    }
}

/// Whether a program is in one of the directories of `PATH`.
fn installed(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| directory.join(program).is_file())
}

fn failed(why: &str) -> SandboxError {
    SandboxError::Io { what: "connecting the step's network", source: io::Error::other(why) }
}

/// Makes a network namespace without processes, in a thread that ends afterwards.
fn namespace() -> Result<OwnedFd, SandboxError> {
    let make = || {
        sys::unshare(libc::CLONE_NEWNET)?;
        rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    };
    let made: Result<OwnedFd, Errno> = std::thread::spawn(make).join().unwrap_or(Err(Errno::IO));
    made.map_err(|errno| SandboxError::Setup { what: "making a network namespace".into(), errno })
}
