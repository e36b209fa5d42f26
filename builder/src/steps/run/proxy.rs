//! Proxies on the host's loopback that the user gives to the build (`--build-arg http_proxy=http://127.0.0.1:3128`).

use crate::plan::BuildArgs;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The build arguments with proxies, which BuildKit predefines, each also in upper case.
const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy"];
/// The port of an address without one (RFC 9110, 4.2.1).
const PORT: u16 = 80;

/// The addresses of proxies on loopback. The Dockerfile has no influence on them: it could otherwise reach any port.
pub(super) fn loopback_proxies(build_args: &BuildArgs) -> BTreeSet<SocketAddr> {
    let proxies = build_args.iter().filter(|(name, _)| NAMES.contains(&&*name.to_ascii_lowercase()));
    proxies.filter_map(|(_, address)| loopback_address(address)).collect()
}

/// The address of a URL, or of a host and port, if it is on loopback.
fn loopback_address(url: &str) -> Option<SocketAddr> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // A step's `localhost` has both addresses, and programs try both.
    let host: IpAddr =
        if host.eq_ignore_ascii_case("localhost") { Ipv4Addr::LOCALHOST.into() } else { host.parse().ok()? };
    Some(SocketAddr::new(host, port)).filter(|address| address.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_on_loopback_are_found() {
        let of = |url: &str| loopback_address(url).unwrap().to_string();
        assert_eq!(of("http://127.0.0.1:3128"), "127.0.0.1:3128");
        assert_eq!(of("http://me:p@ss@127.0.0.2/x"), "127.0.0.2:80");
        assert_eq!(of("localhost:8080"), "127.0.0.1:8080");
        assert_eq!(of("socks5://[::1]:1080"), "[::1]:1080");
        assert_eq!(of("[::1]"), "[::1]:80");
        for other in
            ["http://192.0.2.1:3128", "http://proxy.example:3128", "", "http://127.0.0.1:port", "127.0.0.1:99999"]
        {
            assert_eq!(loopback_address(other), None, "{other}");
        }
        let args = |name: &str| BuildArgs::from([(name.to_owned(), "http://127.0.0.1:1".to_owned())]);
        assert_eq!(loopback_proxies(&args("HTTPS_PROXY")).len(), 1);
        assert!(loopback_proxies(&args("PROXY")).is_empty());
    }
}
