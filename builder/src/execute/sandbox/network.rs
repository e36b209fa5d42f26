//! A network of a step's own that reaches the world through slirp4netns: user-mode TCP/IP, so neither root nor
//! a bridge is needed, and the host's own addresses stay out of reach.

use super::error::SandboxError;
use super::sys;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// The resolver that slirp4netns offers inside (its manual page).
pub(super) const RESOLV_CONF: &str = "nameserver 10.0.2.3\n";
/// The largest it takes: fewer packets to copy.
const MTU: &str = "--mtu=65520";
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connected network namespace; it is cut off when this is dropped.
pub(super) struct Connected {
    /// The namespace, for the step to enter.
    pub(super) namespace: OwnedFd,
    _slirp: Child,
    /// Its other end is slirp4netns's exit descriptor: should the builder be killed, slirp4netns ends.
    _leash: std::os::unix::net::UnixStream,
}

/// Makes a network namespace and connects it.
pub(super) async fn connect() -> Result<Connected, SandboxError> {
    let namespace = namespace()?;
    let (leash, end) = std::os::unix::net::UnixStream::pair().map_err(SandboxError::io("a socket pair"))?;
    let input = namespace.try_clone().map_err(SandboxError::io("the step's network"))?;
    // The namespace is its standard input, readiness comes on its standard output, its leash is standard error.
    let mut slirp = Command::new("slirp4netns")
        .args(["--configure", MTU, "--disable-host-loopback", "--ready-fd=1", "--exit-fd=2"])
        .args(["--netns-type=path", "/proc/self/fd/0", "tap0"])
        .stdin(Stdio::from(input))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(OwnedFd::from(end)))
        .kill_on_drop(true)
        .spawn()
        .map_err(SandboxError::io(
            "starting slirp4netns, which an isolated network needs (--network=host and none do not)",
        ))?;
    let mut ready = [0];
    let output = slirp.stdout.as_mut().ok_or_else(|| failed("it has no standard output"))?;
    match tokio::time::timeout(PATIENCE, output.read(&mut ready)).await {
        Ok(Ok(1)) => Ok(Connected { namespace, _slirp: slirp, _leash: leash }),
        Ok(Ok(_)) => Err(failed("it ended at once: it needs to open /dev/net/tun, as this user")),
        Ok(Err(error)) => Err(SandboxError::Io { what: "connecting the step's network", source: error }),
        Err(_) => Err(failed("it was not ready in time")),
    }
}

fn failed(why: &str) -> SandboxError {
    SandboxError::Io { what: "connecting the step's network with slirp4netns", source: io::Error::other(why) }
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
