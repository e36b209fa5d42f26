//! Ports for servers of tests.

use std::net::TcpListener;

/// A TCP port on loopback at which nothing listens. Another process may take it before it is used.
///
/// # Panics
/// Panics if there is no free port.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
