//! Sends a build to an OpenTelemetry collector: OTLP over HTTP in protobuf or JSON, with opentelemetry-otlp.
//!
//! The HTTP client is ureq, which the registry client uses too. It needs no asynchronous runtime.

mod client;
#[cfg(all(feature = "build", target_os = "linux"))]
mod environment;
mod spans;

#[cfg(all(feature = "build", target_os = "linux"))]
pub(super) use environment::{endpoint as endpoint_of_environment, is_sampled, wants_grpc};
pub(super) use spans::Parent;

use super::Failure;
use buildscope_record::Record;
use buildscope_reports::Explanation;
use miette::miette;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::SpanExporter as _;
use ureq::http::Uri;

/// The number of spans per request. A collector accepts at most 20 MiB at once (confighttp, `max_request_body_size`),
/// and a span has about a thousand bytes.
const BATCH: usize = 5_000;

/// Sends a build's spans to `http[s]://HOST[:PORT][/PATH]`. The default port is 4318, the default path `/v1/traces`
/// (OTLP/HTTP). The build is a child of `parent` if there is one. `OTEL_EXPORTER_OTLP_PROTOCOL` chooses the encoding.
pub(super) fn send(
    url: &str,
    record: &Record,
    explanation: &Explanation,
    parent: Option<Parent>,
) -> Result<(), Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    send_as(encoding(variable), url, record, explanation, parent)
}

/// The encoding that the environment asks for. The default is the specification's.
fn encoding(variable: impl Fn(&str) -> Option<String>) -> Protocol {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    let named = given("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| given("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if named.is_some_and(|name| name == "http/json") { Protocol::HttpJson } else { Protocol::HttpBinary }
}

fn send_as(
    encoding: Protocol,
    url: &str,
    record: &Record,
    explanation: &Explanation,
    parent: Option<Parent>,
) -> Result<(), Failure> {
    let endpoint = endpoint(url)?;
    let failure = client::LastFailure::default();
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client::Client::new(failure.clone())?)
        .with_protocol(encoding)
        .with_endpoint(endpoint)
        .build()
        .map_err(Failure::internal)?;
    exporter.set_resource(&spans::resource(record));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let mut spans = spans::spans(record, explanation, began(record), parent).into_iter().peekable();
    while spans.peek().is_some() {
        let sent = runtime.block_on(exporter.export(spans.by_ref().take(BATCH).collect()));
        sent.map_err(|error| {
            let reason = failure.take().unwrap_or_else(|| error.to_string());
            Failure::usage(miette!("sending spans to {url}: {reason}"))
        })?;
    }
    Ok(())
}

/// The start of the build in nanoseconds since 1970. A build whose start is unknown is assumed to end now.
fn began(record: &Record) -> u64 {
    let known = record.started.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let now = || jiff::Timestamp::now().as_nanosecond() - i128::from(record.wall.0);
    u64::try_from(known.map_or_else(now, |started| started.as_nanosecond())).unwrap_or(0)
}

/// Completes the address with port and path.
fn endpoint(url: &str) -> Result<String, Failure> {
    let wrong = || Failure::usage(miette!("--otlp takes http[s]://HOST[:PORT][/PATH], not `{url}`"));
    let parsed: Uri = url.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(host)) = (parsed.scheme_str(), parsed.host()) else { return Err(wrong()) };
    if !matches!(scheme, "http" | "https") {
        return Err(wrong());
    }
    let path = if matches!(parsed.path(), "" | "/") { "/v1/traces" } else { parsed.path() };
    let port = parsed.port_u16().unwrap_or(4318);
    Ok(format!("{scheme}://{host}:{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::EdgeKind;
    use buildscope_reports::{explain, import::import};
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::path::Path;

    fn example() -> Record {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/record/tests/examples/diamond.instructions.json");
        Record::read(std::fs::File::open(path).unwrap()).unwrap()
    }

    /// A collector that answers one request; the thread returns what it received.
    fn collector(answer: &'static str) -> (String, std::thread::JoinHandle<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve = move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let head = head.to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            (head, body)
        };
        (url, std::thread::spawn(serve))
    }

    #[test]
    fn exported_spans_import_to_the_same_record() {
        let mut record = example();
        record.started = Some("2026-01-01T00:00:00Z".to_owned());
        let (url, got) = collector("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        send_as(Protocol::HttpJson, &url, &record, &explain(&record), None).unwrap();
        let (head, body) = got.join().unwrap();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        let back = import(&body).unwrap();
        let times = (back.wall, back.started.as_deref(), back.succeeded);
        assert_eq!(times, (record.wall, Some("2026-01-01T00:00:00Z"), true));
        assert_eq!(back.steps.len(), record.steps.len());
        for (step, was) in back.steps.iter().zip(&record.steps) {
            assert_eq!((&step.text, step.start, step.end, step.outcome), (&was.text, was.start, was.end, was.outcome));
            assert_eq!(step.source.unwrap().line, was.source.unwrap().line);
        }
        let sorted = |record: &Record| {
            let mut edges = record.edges.clone();
            edges.retain(|edge| edge.kind == EdgeKind::Data);
            edges.sort_unstable();
            edges
        };
        assert_eq!(sorted(&back), sorted(&record));
        let rows = |record: &Record| explain(record).accounts.phases.into_iter();
        let phases = |record: &Record| rows(record).map(|row| (row.name, row.wall)).collect::<BTreeMap<_, _>>();
        assert_eq!(phases(&back), phases(&record));
    }

    /// The names and the default are those of OpenTelemetry's specification ("OpenTelemetry Protocol Exporter").
    #[test]
    fn the_environment_chooses_the_encoding() {
        let with = |pairs: &'static [(&str, &str)]| {
            encoding(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
        };
        assert_eq!(with(&[]), Protocol::HttpBinary);
        assert_eq!(with(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]), Protocol::HttpJson);
        assert_eq!(with(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), Protocol::HttpBinary);
        let both =
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")];
        assert_eq!(with(both), Protocol::HttpBinary);
    }

    #[test]
    fn rejected_requests_are_reported() {
        let record = example();
        let (url, got) = collector("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        assert!(matches!(send(&url, &record, &explain(&record), None), Err(Failure::Usage(_))));
        got.join().unwrap();
        for wrong in ["ftp://x", "collector:4318", "/v1/traces"] {
            assert!(matches!(endpoint(wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn default_port_and_path_follow_otlp() {
        let full = |url| endpoint(url).unwrap();
        assert_eq!(full("http://localhost"), "http://localhost:4318/v1/traces");
        assert_eq!(full("https://[::1]:9/otlp/v1/traces"), "https://[::1]:9/otlp/v1/traces");
    }
}
