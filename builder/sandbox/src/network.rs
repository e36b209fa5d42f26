//! An isolated network for steps, connected to the outside by slirp4netns or pasta. Both are user-mode TCP/IP, so neither
//! root nor a bridge is needed. The host's loopback is not reachable from the network.

use super::error::SandboxError;
use super::program::helper;
use super::sys;
use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;

use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

const CONNECTING: &str = "connecting an isolated network";
/// The device that a connector opens.
const TUN: &str = "/dev/net/tun";
/// The host's resolver configuration.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The time within which a connector must report that it is ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// A network namespace that is connected to the outside. Steps can share it, also at the same time. Dropping it ends the connection.
#[derive(Debug)]
pub struct IsolatedNetwork {
    namespace: OwnedFd,
    resolv_conf: String,
    connector: Mutex<Child>,
    forwarders: Vec<Forwarder>,
    /// The connector ends when this socket closes, also if the builder is killed.
    _leash: std::os::unix::net::UnixStream,
}

/// A task that forwards connections until it is dropped.
#[derive(Debug)]
struct Forwarder(tokio::task::JoinHandle<()>);

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A program that connects a namespace. Its standard input is the namespace. It reports on standard output with a byte that it
/// is ready, and ends when its standard error (the leash) closes.
struct Connector {
    /// The program that has to be installed.
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    /// The address of its resolver, which asks the host's first nameserver, also one on the host's loopback.
    resolver: &'static str,
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
        // slirp4netns(1).
        resolver: "10.0.2.3",
    },
    Connector {
        name: "pasta",
        // pasta cannot watch a descriptor, so a shell watches the leash and kills it. The shell ends with it.
        program: "/bin/sh",
        arguments: &[
            "-c",
            "exec 3<&0; pasta \"$@\" <&3 2>/dev/null & pasta=$!; { read -r end <&2; kill $pasta; } >/dev/null & wait $pasta; kill $!",
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
        resolver: "169.254.1.1",
    },
];

impl IsolatedNetwork {
    /// Makes a network namespace and connects it, by the first connector that works. This takes some ten milliseconds.
    ///
    /// # Errors
    /// Fails if every connector is missing or fails.
    pub async fn connect() -> Result<Self, SandboxError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut failure = failed("neither slirp4netns nor pasta is installed");
        // Containers often lack it, and pasta would wait for the device.
        let device =
            std::fs::File::options().read(true).write(true).open(TUN).map_err(|error| format!("{TUN}: {error}"));
        for connector in CONNECTORS.iter().filter(|connector| installed(connector.name, &path)) {
            device.as_ref().map_err(|error| failed(error))?;
            match connector.connect().await {
                Ok(network) => return Ok(network),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Forwards connections to `address`, on the network's loopback, to the same address of the host.
    ///
    /// # Errors
    /// Fails if the port cannot be listened on.
    pub fn forward(&mut self, address: SocketAddr) -> Result<(), SandboxError> {
        let listener = self.listen(address).map_err(SandboxError::io("forwarding a port"))?;
        let accept = async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // An error ends both connections, which is what the step sees of it.
                    if let Ok(mut outside) = TcpStream::connect(address).await {
                        let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                    }
                });
            }
        };
        self.forwarders.push(Forwarder(tokio::spawn(accept)));
        Ok(())
    }

    /// Listens in the network. A socket stays in the network in which it was made.
    fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let namespace = self.namespace()?;
        let listen = move || {
            sys::enter_network(namespace.as_fd())?;
            std::net::TcpListener::bind(address)
        };
        let listener = std::thread::spawn(listen).join().unwrap_or_else(|_| Err(Errno::IO.into()))?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    }

    /// Whether the connector still runs.
    pub fn is_connected(&self) -> bool {
        matches!(self.connector.lock().try_wait(), Ok(None))
    }

    /// The namespace, for a step to enter.
    pub(super) fn namespace(&self) -> io::Result<OwnedFd> {
        self.namespace.try_clone()
    }

    /// The content of `/etc/resolv.conf` for a step.
    pub(super) fn resolv_conf(&self) -> &str {
        &self.resolv_conf
    }
}

impl Connector {
    async fn connect(&self) -> Result<IsolatedNetwork, SandboxError> {
        let namespace = namespace()?;
        let (leash, end) = std::os::unix::net::UnixStream::pair().map_err(SandboxError::io("making a socket pair"))?;
        let input = namespace.try_clone().map_err(SandboxError::io("passing on the step's network"))?;
        let mut started = Command::from(helper(self.program))
            .args(self.arguments)
            .stdin(Stdio::from(input))
            .stdout(Stdio::piped())
            .stderr(Stdio::from(OwnedFd::from(end)))
            .spawn()
            .map_err(SandboxError::io(CONNECTING))?;
        let mut ready = [0];
        let output = started.stdout.as_mut().ok_or_else(|| failed("the connector has no standard output"))?;
        match tokio::time::timeout(PATIENCE, output.read(&mut ready)).await {
            Ok(Ok(1)) => Ok(IsolatedNetwork {
                namespace,
                resolv_conf: resolv_conf(self.resolver, &std::fs::read_to_string(RESOLV_CONF).unwrap_or_default()),
                connector: Mutex::new(started),
                forwarders: Vec::new(),
                _leash: leash,
            }),
            Ok(Ok(_)) => Err(failed(&format!(
                "{} ended at once: check that it works for this user and can open {TUN}",
                self.name
            ))),
            Ok(Err(error)) => Err(SandboxError::Io { what: CONNECTING, error }),
            Err(_) => Err(failed(&format!("{} was not ready within {} s", self.name, PATIENCE.as_secs()))),
        }
    }
}

/// The resolver's configuration in the network: the connector's resolver first, then the host's other nameservers that are not
/// on its loopback, and the host's options. The C library reads three nameservers (resolv.conf(5)).
fn resolv_conf(resolver: &str, host: &str) -> String {
    let value = |line: &str, keyword: &str| {
        let rest = line.strip_prefix(keyword)?;
        rest.starts_with(char::is_whitespace).then(|| rest.trim().to_owned())
    };
    let nameservers = host.lines().filter_map(|line| value(line, "nameserver")?.parse::<Ipv4Addr>().ok());
    let others = nameservers.skip(1).filter(|address| !address.is_loopback() && !address.is_unspecified()).take(2);
    let mut text = format!("nameserver {resolver}\n");
    others.for_each(|address| text.push_str(&format!("nameserver {address}\n")));
    for line in host.lines() {
        if let Some(keyword) = ["search", "domain", "options"].iter().find(|keyword| value(line, keyword).is_some()) {
            text.push_str(&format!("{keyword} {}\n", value(line, keyword).unwrap_or_default()));
        }
    }
    text
}

/// Whether a program is in one of the directories of `PATH`.
fn installed(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| directory.join(program).is_file())
}

fn failed(why: &str) -> SandboxError {
    SandboxError::Io { what: CONNECTING, error: io::Error::other(why.to_owned()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolver_configuration_keeps_reachable_servers() {
        let of = |host| resolv_conf("10.0.2.3", host);
        assert_eq!(of(""), "nameserver 10.0.2.3\n");
        // systemd-resolved's file (systemd-resolved.service(8)).
        let resolved = "# a comment\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch corp.example lab.example\n";
        assert_eq!(of(resolved), "nameserver 10.0.2.3\noptions edns0 trust-ad\nsearch corp.example lab.example\n");
        let three = "nameserver 192.0.2.1\nnameserver 127.0.0.1\nnameserver\t192.0.2.2 \nnameserver fe80::1%eth0\nnameserver 192.0.2.3\n";
        assert_eq!(of(three), "nameserver 10.0.2.3\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n");
        assert_eq!(of("searching x\nsortlist 192.0.2.0\n"), "nameserver 10.0.2.3\n");
    }
}
