//! Sends a document to an OpenTelemetry collector: one HTTP/1.1 POST (RFC 9112), no more.
//!
//! opentelemetry-otlp brings an HTTP client, an asynchronous runtime of its own choice and generated protocol code for
//! what is one request with one body.

use super::Failure;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Long enough for any collector that answers at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts JSON to `http://HOST[:PORT][/PATH]`; without a port 4318, without a path `/v1/traces` (OTLP/HTTP).
pub(super) fn post(url: &str, body: &[u8]) -> Result<(), Failure> {
    let place = url.strip_prefix("http://").ok_or_else(|| {
        Failure::usage(miette!(
            "--otlp takes http://HOST[:PORT][/PATH]: encrypted collectors need a local one in front"
        ))
    })?;
    let (host, path) = place
        .split_once('/')
        .map_or((place, "v1/traces"), |(host, path)| (host, if path.is_empty() { "v1/traces" } else { path }));
    let address = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:4318")
    };
    let send = || -> miette::Result<String> {
        let mut stream = TcpStream::connect(&address).into_diagnostic()?;
        stream.set_read_timeout(Some(PATIENCE)).into_diagnostic()?;
        stream.set_write_timeout(Some(PATIENCE)).into_diagnostic()?;
        let head = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).into_diagnostic()?;
        let mut answer = Vec::new();
        stream.take(64 * 1024).read_to_end(&mut answer).into_diagnostic()?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = send().wrap_err_with(|| format!("sending spans to {url}")).map_err(Failure::Usage)?;
    let status = answer.split_whitespace().nth(1).unwrap_or("nothing");
    if status.starts_with('2') { Ok(()) } else { Err(Failure::usage(miette!("{url} answered {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A collector that answers once, and what it got.
    fn collector(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = Vec::new();
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&got).ends_with("{}") {
                let read = stream.read(&mut buffer).unwrap();
                got.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(got).unwrap()
        };
        (url, std::thread::spawn(serve))
    }

    #[test]
    fn a_collector_gets_the_document() {
        let (url, got) = collector("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        post(&url, b"{}").unwrap();
        let got = got.join().unwrap();
        assert!(got.starts_with("POST /v1/traces HTTP/1.1\r\n") && got.contains("Content-Length: 2\r\n"), "{got}");
    }

    #[test]
    fn what_is_refused_is_told() {
        let (url, got) = collector("HTTP/1.1 404 Not Found\r\n\r\n");
        assert!(matches!(post(&url, b"{}"), Err(Failure::Usage(_))));
        got.join().unwrap();
        assert!(matches!(post("https://x", b"{}"), Err(Failure::Usage(_))));
    }
}
