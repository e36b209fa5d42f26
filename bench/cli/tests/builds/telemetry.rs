//! Builds that send their spans to a collector.

use crate::world::World;
use buildscope_testing::test;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

/// A collector for one request; the thread returns the JSON that it received.
fn collector() -> (String, std::thread::JoinHandle<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim().to_lowercase();
            if let Some(bytes) = line.strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        serde_json::from_slice(&body).unwrap()
    };
    (url, std::thread::spawn(serve))
}

#[test]
fn a_build_is_a_child_of_the_span_that_the_environment_names() {
    let world = World::new("FROM busybox\nRUN true\n");
    let (url, received) = collector();
    let mut command = world.command(&[]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url).env("OTEL_SERVICE_NAME", "nightly");
    command.env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent = received.join().unwrap();
    let resource = &sent["resourceSpans"][0];
    let attributes = resource["resource"]["attributes"].as_array().unwrap();
    assert!(attributes.iter().any(|pair| pair["key"] == "service.name" && pair["value"]["stringValue"] == "nightly"));
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    assert!(spans.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"), "{spans:?}");
    let build = spans.iter().find(|span| span["name"] == "build").unwrap();
    assert_eq!(build["parentSpanId"], "00f067aa0ba902b7");
    assert!(spans.iter().any(|span| span["name"] == "RUN true" && span["parentSpanId"] == build["spanId"]));
}

#[test]
fn a_collector_that_is_down_does_not_fail_the_build() {
    let world = World::new("FROM busybox\nRUN true\n");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = world.command(&[]).env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{closed}")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains("warning: the build is not sent"), "{stderr}");
}
