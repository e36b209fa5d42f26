//! The networks of steps.

use super::escapes::install;
use super::{Entry, StepSpec, World, rootfs, runtimes, step};
use buildscope_sandbox::{Status, StepNetwork};
use buildscope_testing::Need;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// The requirements of the connectors of isolated networks.
const SLIRP: &[Need] = &[Need::Program("slirp4netns"), Need::Device("/dev/net/tun")];
const PASTA: &[Need] = &[Need::Program("pasta"), Need::Device("/dev/net/tun")];
const CONNECTORS: &[Need] = &[Need::Program("slirp4netns"), Need::Program("pasta"), Need::Device("/dev/net/tun")];

pub(crate) const TRIALS: &[Entry] = &[
    ("network_none_has_only_loopback", no_network, &[]),
    ("an_isolated_network_has_a_route_and_a_resolver", isolated_network, &[]),
    ("steps_share_an_isolated_network", shared_network, SLIRP),
    ("isolated_networks_cannot_reach_the_hosts_loopback", traffic, CONNECTORS),
    ("pasta_connects_without_slirp4netns", pasta, PASTA),
    ("raw_sockets_on_the_hosts_network_can_be_refused", no_raw_sockets, &[]),
];

/// The same namespace for two steps, which is not the host's, by every executor.
fn shared_network(world: &World) {
    let root = rootfs();
    let network = world.isolated().unwrap();
    let spec = || StepSpec { network: network.clone(), ..step(root.path(), &["readlink", "/proc/self/ns/net"]) };
    let first = world.succeed(spec());
    assert_ne!(first.trim(), std::fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
    for (name, ended, output) in world.by_all(spec) {
        assert_eq!((ended.unwrap().status, &output), (Status::Code(0), &first), "{name}");
    }
}

/// `CAP_NET_RAW` has number 13 (linux/capability.h).
fn no_raw_sockets(world: &World) {
    let sets = "grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f 2";
    for (network, raw) in [(StepNetwork::Host, 1), (StepNetwork::HostWithoutRawSockets, 0)] {
        let root = rootfs();
        let spec = || StepSpec { network: network.clone(), ..step(root.path(), &["sh", "-c", sets]) };
        for (name, ended, output) in world.by_all(spec) {
            assert_eq!(ended.unwrap().status, Status::Code(0), "{name}: {output}");
            let has_raw = |line: &str| u64::from_str_radix(line, 16).unwrap() >> 13 & 1;
            assert_eq!(output.lines().map(has_raw).collect::<Vec<_>>(), [raw; 3], "{name} {network:?}: {output}");
        }
        #[cfg(target_arch = "x86_64")]
        {
            let allowed = if raw == 1 && world.privileged() { 0 } else { libc::EPERM };
            let packet = (libc::AF_PACKET, libc::SOCK_RAW, allowed);
            let stream = (libc::AF_INET, libc::SOCK_STREAM, 0);
            for (family, kind, expected) in [packet, stream] {
                install(root.path(), libc::SYS_socket, family as u32, kind as u32);
                let spec = || StepSpec { network: network.clone(), ..step(root.path(), &["/bin/call"]) };
                for (name, ended, output) in world.by_all(spec) {
                    // A socket's descriptor comes back negated.
                    let code = ended.unwrap().status.code();
                    let refused = code == libc::EPERM;
                    assert_eq!(refused, expected == libc::EPERM, "{name} {network:?} {family} {kind}: {code} {output}");
                }
            }
        }
    }
}

fn no_network(world: &World) {
    let root = rootfs();
    let spec = |script| StepSpec { network: StepNetwork::None, ..step(root.path(), &["sh", "-c", script]) };
    assert_eq!(world.succeed(spec("ls /sys/class/net; ifconfig lo | grep -c 'UP LOOPBACK RUNNING'")), "lo\n1\n");
    assert_eq!(world.succeed(spec("ip route; ping -c 1 -W 2 127.0.0.1 | grep -c ' 0% packet loss'")), "1\n");
}

fn isolated_network(world: &World) {
    let root = rootfs();
    let script = "head -n 1 /etc/resolv.conf; ls /sys/class/net; ip route | cut -d ' ' -f 1-3 | head -n 1";
    match world.isolated() {
        // The addresses are those of slirp4netns(1).
        Ok(network) => {
            let output = world.succeed(StepSpec { network, ..step(root.path(), &["sh", "-c", script]) });
            assert_eq!(output, "nameserver 10.0.2.3\nlo\ntap0\ndefault via 10.0.2.2\n");
        }
        Err(error) => {
            let tun = std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun");
            let expected = if tun.is_err() { "/dev/net/tun" } else { "neither slirp4netns nor pasta is installed" };
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

/// Sets up the host's side of an isolated network: a default route, and an address that is not part of its network.
const HOST: &str = "set -e; b=/bin/busybox; $b ip link set lo up; $b tunctl -t host0; $b ip addr add 10.9.9.1/24 dev host0; \
    $b ip link set host0 up; $b ip route add default via 10.9.9.254; $b ip addr add 10.8.8.8/32 dev lo; \
    exec \"$0\" --victim traffic";

/// Runs a separate process for each connector, with only that one in its `PATH` and with a new network as the host's.
fn traffic(_: &World) {
    for connector in ["slirp4netns", "pasta"] {
        let program = Path::new("/usr/bin").join(connector);
        let path = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(program, path.path().join(connector)).unwrap();
        let mut victim = std::process::Command::new("/usr/bin/unshare");
        victim.args(["-n", "/bin/busybox", "sh", "-c", HOST]).arg(std::env::current_exe().unwrap());
        let output = victim.env("PATH", path.path()).output().unwrap();
        let texts = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy);
        assert!(output.status.success(), "{connector}: {} {}", texts[0], texts[1]);
    }
}

/// The separate process of [`traffic`]: the sandbox reaches a server on the host's other address but not on its loopback, with
/// native steps and with stock runtimes.
pub(crate) fn traffic_victim(world: &World, root: &Path) {
    let loopback = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = loopback.local_addr().unwrap().port();
    let run = |by: &dyn Fn(StepSpec) -> String| {
        let listener = std::net::TcpListener::bind("10.8.8.8:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nreached\n").unwrap();
            request
        });
        // The client stays open for a second: pasta of 2023 sends no data to a client that has closed its side. The addresses
        // are loopback, slirp4netns's address of the host, and the gateway, which pasta can map to the host.
        let script = format!(
            "(printf 'GET /from-the-sandbox HTTP/1.1\\r\\n\\r\\n'; sleep 1) | timeout 20 nc -w 20 10.8.8.8 {port}; \
            for host in 127.0.0.1 10.0.2.2 10.9.9.254; do timeout 2 nc -w 2 $host {closed} < /dev/null && echo leaked; done; true"
        );
        let output = by(StepSpec { network: world.isolated().unwrap(), ..step(root, &["sh", "-c", &script]) });
        assert!(output.contains("reached\n") && !output.contains("leaked"), "{output}");
        assert_eq!(served.join().unwrap().trim(), "GET /from-the-sandbox HTTP/1.1");
    };
    run(&|spec| world.succeed(spec));
    for runtime in runtimes() {
        run(&|spec| world.run_by(&runtime, spec).1);
    }
}

/// Runs a separate process that finds only pasta in its `PATH`.
fn pasta(_: &World) {
    let pasta = Path::new("/usr/bin/pasta");
    let path = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(pasta, path.path().join("pasta")).unwrap();
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap());
    let output = victim.args(["--victim", "isolated"]).env("PATH", path.path()).output().unwrap();
    let texts = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy);
    // The resolver has the requested address. Besides lo there is one interface, named like the host's.
    assert_eq!(texts[0], "nameserver 169.254.1.1\n1\n2\n", "{}", texts[1]);
}
