//! The HTTP agent: time limits, certificate authorities.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Time limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Time limit of one read or write. A connection that is silent for longer is treated as broken.
const SILENCE: Duration = Duration::from_secs(60);
/// Time limit of a whole request with its body. A chunk of an upload has 16 MiB. The body of a large download has a
/// [`TransferPace`](super::TransferPace) instead.
const WHOLE: Duration = Duration::from_secs(10 * 60);
/// The files in which distributions keep the certificate authorities that they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Servers to trust in addition to those that the system's certificate authorities vouch for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// Files with further certificate authorities (PEM).
    pub(crate) authorities: Vec<PathBuf>,
    /// Whether certificates are accepted without verification.
    pub(crate) unverified: bool,
}

/// Creates an agent for a host. It trusts the system's authorities, those in docker's `certs.d` for the host, and
/// those of `trust`. A response with a status of 400 or above is not an error.
///
/// # Errors
/// If a file with authorities cannot be read; with its path.
pub(crate) fn agent(host: &str, trust: &Trust) -> Result<Agent, (PathBuf, io::Error)> {
    let mut files = trust.authorities.clone();
    files.extend(authorities_of(Path::new("/etc/docker/certs.d").join(host).as_path()));
    let system = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    files.extend(system.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|path| path.exists())));
    let mut certificates = Vec::new();
    for path in files {
        let pem = fs::read(&path).map_err(|error| (path, error))?;
        let found = parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        certificates.extend(found.collect::<Vec<Certificate<'static>>>());
    }
    let roots = if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::from(certificates.into_iter()) };
    let tls = TlsConfig::builder().root_certs(roots).disable_verification(trust.unverified).build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .tls_config(tls)
        .user_agent(concat!("buildscope/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(WHOLE))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .input_buffer_size(256 << 10)
        .output_buffer_size(256 << 10)
        .max_idle_connections_per_host(8)
        .build();
    Ok(config.new_agent())
}

/// The files `*.crt` in docker's folder for a host's authorities.
fn authorities_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "crt")).collect()
}
