//! Ports for servers of tests.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

/// The ports for servers. The kernel gives others to connections and to listeners that take any (ip_local_port_range in ip(7)).
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What keeps the ports of this process from other tests.
static TAKEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A TCP port on loopback at which nothing listens. No other test gets it while this process lives.
///
/// # Panics
/// Panics if there is no free port.
#[must_use]
pub fn free_port() -> u16 {
    let first = u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start)).unwrap();
    let mut ports = (first..PORTS.end - PORTS.start).chain(0..first).map(|number| PORTS.start + number);
    let take = |port: u16| {
        let name = SocketAddr::from_abstract_name(format!("buildscope test of port {port}")).unwrap();
        let taken = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok()?;
        TAKEN.lock().unwrap().push(taken);
        Some(port)
    };
    ports.find_map(take).expect("a free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once() {
        let mut ports: Vec<u16> = (0..50).map(|_| free_port()).collect();
        assert!(ports.iter().all(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
