//! A network of a step's own that reaches the world through slirp4netns or pasta: user-mode TCP/IP, so neither root nor
//! a bridge is needed, and the host's own addresses stay out of reach.

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

/// How long a connector may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connected network namespace; it is cut off when this is dropped.
pub(super) struct Connected {
    /// The namespace, for the step to enter.
    pub(super) namespace: OwnedFd,
    /// `/etc/resolv.conf` inside.
    pub(super) resolv_conf: &'static str,
    _connector: Child,
    /// The connector ends when this does, also should the builder be killed.
    _leash: std::os::unix::net::UnixStream,
}

/// A program that connects a namespace. The namespace is its standard input, a byte on its standard output says that it is
/// ready, standard error is its leash.
struct Connector {
    /// What has to be installed.
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    resolv_conf: &'static str,
}

/// In the order in which they are looked for.
const CONNECTORS: [Connector; 2] = [
    Connector {
        name: "slirp4netns",
        program: "slirp4netns",
        // The largest MTU that it takes: fewer packets to copy.
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
        // The resolver that it offers inside (its manual page).
        resolv_conf: "nameserver 10.0.2.3\n",
    },
    Connector {
        name: "pasta",
        // It has no descriptor to end with: a shell holds the leash.
        program: "/bin/sh",
        arguments: &[
            "-c",
            "exec 3<&0; pasta \"$@\" <&3 2>/dev/null & read -r end <&2; kill $!",
            "sh",
            "--foreground",
            "--config-net",
            "--netns-only",
            "--runas=0",
            // Nothing of the host's listens inside, nothing of the step's outside; the host's loopback is not a gateway.
            "--tcp-ports=none",
            "--udp-ports=none",
            "--tcp-ns=none",
            "--udp-ns=none",
            "--no-map-gw",
            "--dns-forward=169.254.1.1",
            // Written when all is set up.
            "--pid=/dev/stdout",
            "--netns=/proc/self/fd/0",
        ],
        resolv_conf: "nameserver 169.254.1.1\n",
    },
];

/// Makes a network namespace and connects it.
pub(super) async fn connect() -> Result<Connected, SandboxError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let connector = CONNECTORS.iter().find(|connector| installed(connector.name, &path)).ok_or_else(|| {
        failed("neither slirp4netns nor pasta is installed, and an isolated network needs one (--network=host and none do not)")
    })?;
    let namespace = namespace()?;
    let (leash, end) = std::os::unix::net::UnixStream::pair().map_err(SandboxError::io("a socket pair"))?;
    let input = namespace.try_clone().map_err(SandboxError::io("the step's network"))?;
    let mut started = Command::new(connector.program)
        .args(connector.arguments)
        .stdin(Stdio::from(input))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(OwnedFd::from(end)))
        .spawn()
        .map_err(SandboxError::io("connecting the step's network"))?;
    let mut ready = [0];
    let output = started.stdout.as_mut().ok_or_else(|| failed("it has no standard output"))?;
    match tokio::time::timeout(PATIENCE, output.read(&mut ready)).await {
        Ok(Ok(1)) => {
            Ok(Connected { namespace, resolv_conf: connector.resolv_conf, _connector: started, _leash: leash })
        }
        Ok(Ok(_)) => {
            Err(failed(&format!("{} ended at once: it needs to open /dev/net/tun, as this user", connector.name)))
        }
        Ok(Err(error)) => Err(SandboxError::Io { what: "connecting the step's network", source: error }),
        Err(_) => Err(failed(&format!("{} was not ready in time", connector.name))),
    }
}

/// Whether a program is in one of the directories of `PATH`.
fn installed(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| directory.join(program).is_file())
}

fn failed(why: &str) -> SandboxError {
    SandboxError::Io { what: "connecting the step's network", source: io::Error::other(why) }
}

/// A new network namespace that nobody is in: made by a thread that goes away again.
fn namespace() -> Result<OwnedFd, SandboxError> {
    let make = || {
        sys::unshare(libc::CLONE_NEWNET)?;
        rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    };
    let made: Result<OwnedFd, Errno> = std::thread::spawn(make).join().unwrap_or(Err(Errno::IO));
    made.map_err(|errno| SandboxError::Setup { what: "a network namespace".into(), errno })
}
