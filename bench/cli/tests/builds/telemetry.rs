//! Builds that send their spans to a collector.

use crate::world::World;
use buildscope_testing::{in_time, test, undisturbed};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

/// A collector for one request; the thread returns the header and the body that it received.
fn collector() -> (String, std::thread::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let (mut header, mut length) = (String::new(), 0);
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
            header += &(line + "\n");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        (header, body)
    };
    (url, std::thread::spawn(serve))
}

#[test]
fn a_build_is_a_child_of_the_span_that_the_environment_names() {
    let world = World::new("FROM busybox\nRUN true\n");
    let (url, received) = collector();
    let mut command = world.command(&[]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url).env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    command.env("OTEL_SERVICE_NAME", "nightly").env("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb,service.name=other");
    command.env("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (_, body) = received.join().unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let resource = &sent["resourceSpans"][0];
    let attributes = resource["resource"]["attributes"].as_array().unwrap();
    let value = |name: &str| {
        let found =
            attributes.iter().filter(|pair| pair["key"] == name).map(|pair| pair["value"]["stringValue"].as_str());
        found.flatten().collect::<Vec<_>>()
    };
    assert_eq!((value("service.name"), value("team")), (vec!["nightly"], vec!["a,b"]));
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    assert!(spans.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"), "{spans:?}");
    let build = spans.iter().find(|span| span["name"] == "build").unwrap();
    assert_eq!(build["parentSpanId"], "00f067aa0ba902b7");
    assert!(spans.iter().any(|span| span["name"] == "RUN true" && span["parentSpanId"] == build["spanId"]));
}

/// W3C Trace Context: the flags say whether the caller's trace is sampled, and the state goes with each span.
#[test]
fn a_trace_that_is_not_sampled_gets_no_spans_and_the_state_of_a_sampled_one_is_passed_on() {
    let world = World::new("FROM busybox\nRUN true\n");
    let build = |url: &str, flags: &str| {
        let mut command = world.command(&[]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
        command.env("TRACEPARENT", format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"));
        command.env("TRACESTATE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // Sending to a closed port would warn.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stderr = build(&format!("http://{closed}"), "00");
    assert!(!stderr.contains("is not sent"), "{stderr}");
    let (url, received) = collector();
    build(&url, "01");
    let (_, body) = received.join().unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let spans = sent["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert!(!spans.is_empty());
    assert!(spans.iter().all(|span| span["traceState"] == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), "{spans:?}");
}

/// Protobuf is the default of OTLP over HTTP, and the only encoding that some collectors take.
#[test]
fn spans_are_sent_in_protobuf_and_compressed_on_request() {
    let world = World::new("FROM busybox\nRUN true\n");
    for (compression, encoded) in [("none", None), ("gzip", Some("content-encoding: gzip\n"))] {
        let (url, received) = collector();
        let mut command = world.command(&[]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url).env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
        assert!(command.output().unwrap().status.success());
        let (header, body) = received.join().unwrap();
        assert!(header.contains("content-type: application/x-protobuf\n"), "{header}");
        match encoded {
            // Field 1 of the request (a `ResourceSpans`), and the name of a span.
            None => assert!(body[0] == 0x0a && body.windows(8).any(|text| text == b"RUN true")),
            Some(line) => assert!(header.contains(line) && body.starts_with(&[0x1f, 0x8b]), "{header}"),
        }
    }
}

#[test]
fn a_collector_that_is_down_does_not_fail_the_build() {
    let world = World::new("FROM busybox\nRUN true\n");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = world.command(&[]).env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{closed}")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains("warning: the build is not sent"), "{stderr}");
    assert!(stderr.contains("Connection refused"), "{stderr}");
}

/// The listener accepts connections in its queue, and nothing answers.
#[test]
fn a_silent_collector_delays_the_end_by_the_timeout_at_most() {
    let world = World::new("FROM busybox\nRUN true\n");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    undisturbed(|_| {
        let mut command = world.command(&[]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", silent.local_addr().unwrap()));
        let began = std::time::Instant::now();
        let output = command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "50").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.contains("warning: the build is not sent"), "{stderr}");
        // The default is 10 s.
        in_time(began.elapsed().as_secs() < 9, began.elapsed())
    });
}
