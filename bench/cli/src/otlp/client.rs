//! The HTTP client of the exporter: time limits, certificates, and the variables of OpenTelemetry that set them
//! (specification, "OpenTelemetry Protocol Exporter").

use crate::Failure;
use miette::{IntoDiagnostic, WrapErr, miette};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Timeout for connecting.
const CONNECT: Duration = Duration::from_secs(10);

/// Timeout of a request, from the specification.
const REQUEST: Duration = Duration::from_secs(10);

/// The HTTP client in the form that the exporter needs.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    failure: LastFailure,
}

/// Why the last request got no response. The exporter's own error says only that there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct LastFailure(Arc<Mutex<Option<String>>>);

impl LastFailure {
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().take()
    }
}

impl Client {
    /// The client that the environment asks for. It trusts the certificate authorities of the system unless a variable names a file
    /// of others. A status of 400 or above is a response, not an error.
    pub(super) fn new(failure: LastFailure) -> Result<Self, Failure> {
        let variable = |name: &str| {
            let value = |prefix: &str| std::env::var(format!("{prefix}{name}")).ok().filter(|value| !value.is_empty());
            value("OTEL_EXPORTER_OTLP_TRACES_").or_else(|| value("OTEL_EXPORTER_OTLP_"))
        };
        let timeout = timeout(variable("TIMEOUT").as_deref());
        let roots = match variable("CERTIFICATE") {
            Some(path) => RootCerts::from(certificates(&path)?),
            None => RootCerts::PlatformVerifier,
        };
        let own = match (variable("CLIENT_CERTIFICATE"), variable("CLIENT_KEY")) {
            (Some(chain), Some(key)) => Some(ClientCert::new_with_certs(&certificates(&chain)?, private_key(&key)?)),
            _ => None,
        };
        let tls = TlsConfig::builder().root_certs(roots).client_cert(own).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls)
            .user_agent(concat!("buildscope/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_global(timeout);
        Ok(Self { agent: config.build().new_agent(), failure })
    }
}

/// The timeout of a request, from milliseconds; zero means without a limit. A text that is not a number counts as absent.
fn timeout(milliseconds: Option<&str>) -> Option<Duration> {
    match milliseconds.and_then(|text| text.trim().parse().ok()) {
        Some(0) => None,
        Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
        None => Some(REQUEST),
    }
}

fn items(path: &str) -> Result<Vec<PemItem<'static>>, Failure> {
    let text = std::fs::read(path).into_diagnostic().wrap_err_with(|| format!("cannot read `{path}`"));
    let items = parse_pem(&text.map_err(Failure::Usage)?).collect::<Result<Vec<_>, _>>();
    items.into_diagnostic().wrap_err_with(|| format!("cannot read `{path}`")).map_err(Failure::Usage)
}

fn certificates(path: &str) -> Result<Vec<Certificate<'static>>, Failure> {
    let certificate = |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    let found: Vec<_> = items(path)?.into_iter().filter_map(certificate).collect();
    if found.is_empty() { Err(Failure::usage(miette!("`{path}` contains no certificate (PEM)"))) } else { Ok(found) }
}

fn private_key(path: &str) -> Result<PrivateKey<'static>, Failure> {
    let key = |item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    };
    let missing = || Failure::usage(miette!("`{path}` contains no private key (PEM)"));
    items(path)?.into_iter().find_map(key).ok_or_else(missing)
}

#[async_trait::async_trait]
impl HttpClient for Client {
    /// Blocks, which is harmless because nothing else runs on this runtime.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let response = self.agent.run(Request::from_parts(head, body.to_vec()));
        let (head, mut body) =
            response.inspect_err(|error| *self.failure.0.lock() = Some(error.to_string()))?.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification ("Common", "Timeout"): milliseconds, zero means without a limit, and what cannot be parsed is ignored.
    #[test]
    fn the_timeout_is_in_milliseconds() {
        let of = |text| timeout(Some(text));
        assert_eq!(of("250"), Some(Duration::from_millis(250)));
        assert_eq!(of("0"), None);
        assert_eq!([timeout(None), of("10s"), of("-1")], [Some(Duration::from_secs(10)); 3]);
    }
}
