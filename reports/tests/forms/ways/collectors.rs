//! Ways to keep a log as JSON: collectors, cloud services, and CI services' own interfaces.

use super::{At, Times, Way, each, objects, text, ways};
use base64::Engine as _;
use serde_json::{Value, json};
use std::fmt::Write;

/// Each line as a JSON value.
fn values(lines: &[(u64, String)], value: impl Fn(usize, &At, &str) -> Value) -> Vec<Value> {
    lines.iter().enumerate().map(|(number, (at, text))| value(number, &At(*at), text)).collect()
}

fn reversed(mut values: Vec<Value>) -> Vec<Value> {
    values.reverse();
    values
}

fn pretty(value: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap()
}

fn compact(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// The parts of a text of at most that many characters.
fn parts(text: &str, length: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(length).map(|part| part.iter().collect()).collect()
}

/// A whole log without times.
fn bare(lines: &[(u64, String)]) -> String {
    text(each(lines, |_, _| String::new()))
}

pub(super) const WAYS: &[Way] = ways! {
    "Drone's interface" Seconds |lines| {
        let entries: Vec<_> = lines.iter().enumerate().map(|(pos, (at, text))| json!({"pos": pos, "out": format!("{text}\n"), "time": at / 1000})).collect();
        serde_json::to_vec(&entries).unwrap()
    };
    "docker's json-file" Fine |lines| objects(lines, |at, text| json!({"log": format!("{text}\n"), "stream": "stderr", "time": format!("2026-03-01T{}.{:03}000000Z", at.clock(), at.millis())}));
    "a collector's message" Fine |lines| objects(lines, |at, text| json!({"@timestamp": format!("2026-03-01T{}.{:03}Z", at.clock(), at.millis()), "kubernetes": {"pod": "ci-7", "labels": {"app": "ci"}}, "message": text}));
    "CloudWatch's events" Fine |lines| {
        let events: Vec<_> = lines.iter().map(|(at, text)| json!({"timestamp": At(*at).epoch() * 1000 + at % 1000, "message": text})).collect();
        serde_json::to_vec_pretty(&json!({"events": events, "nextToken": "f/1"})).unwrap()
    };
    "Ansible's stdout_lines" Lost |lines| {
        let texts: Vec<&String> = lines.iter().map(|(_, text)| text).collect();
        serde_json::to_vec_pretty(&json!({"changed": true, "stdout_lines": texts})).unwrap()
    };
    "logfmt" Fine |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            let at = At(*at);
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            writeln!(out, "time=\"2026-03-01T{}.{:03}Z\" level=info msg=\"{text}\"", at.clock(), at.millis()).unwrap();
        }
        out.into_bytes()
    };
    "CSV" Fine |lines| {
        let mut out = String::from("date,host,message\n");
        for (at, text) in lines {
            let at = At(*at);
            writeln!(out, "2026-03-01T{}.{:03}Z,ci-7,\"{}\"", at.clock(), at.millis(), text.replace('"', "\"\"")).unwrap();
        }
        out.into_bytes()
    };
    "Elasticsearch's answer" Fine |lines| {
        let hits = values(lines, |number, at, text| json!({"_index": "ci-2026.03.01", "_id": format!("id{number}"), "_score": null, "_source": {"@timestamp": at.rfc3339(), "host": {"name": "ci-7"}, "log": {"offset": number}, "message": text}, "sort": [at.epoch() * 1000 + at.millis()]}));
        compact(&json!({"took": 3, "timed_out": false, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}, "hits": {"total": {"value": hits.len(), "relation": "eq"}, "max_score": null, "hits": hits}}))
    };
    "Elasticsearch's answer, newest first" Fine |lines| {
        let hits = values(lines, |number, at, text| json!({"_index": "ci", "_id": format!("id{number}"), "_source": {"message": text, "@timestamp": at.rfc3339()}, "sort": [at.epoch() * 1000 + at.millis()]}));
        pretty(&json!({"took": 3, "hits": {"total": {"value": hits.len(), "relation": "eq"}, "hits": reversed(hits)}}))
    };
    "Elasticsearch's fields" Fine |lines| {
        let hits = values(lines, |number, at, text| json!({"_index": "ci", "_id": format!("id{number}"), "fields": {"@timestamp": [at.rfc3339()], "message": [text], "stream": ["stderr"]}}));
        pretty(&json!({"hits": {"hits": hits}}))
    };
    "Fluentd's records in Elasticsearch" Fine |lines| {
        let hits = values(lines, |_, at, text| json!({"_source": {"log": format!("{text}\n"), "stream": "stderr", "docker": {"container_id": "4f66ad9a"}, "@timestamp": at.rfc3339()}}));
        compact(&json!({"hits": {"hits": hits}}))
    };
    "Loki's answer, newest first" Fine |lines| {
        let entries = values(lines, |number, at, text| json!([at.nanos(number), text]));
        compact(&json!({"status": "success", "data": {"resultType": "streams", "result": [{"stream": {"app": "ci", "pod": "ci-7"}, "values": reversed(entries)}], "stats": {"summary": {"bytesProcessedPerSecond": 1_234_567, "totalLinesProcessed": 54}}}}))
    };
    "Loki's answer of two streams" Fine |lines| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for (number, (at, text)) in lines.iter().enumerate() {
            (if number % 3 == 1 { &mut out } else { &mut err }).push(json!([At(*at).nanos(number), text]));
        }
        pretty(&json!({"status": "success", "data": {"resultType": "streams", "result": [{"stream": {"stream": "stderr"}, "values": err}, {"stream": {"stream": "stdout"}, "values": out}]}}))
    };
    "logcli" Fine |lines| each(lines, |_, at| format!("{} {{app=\"ci\", pod=\"ci-7\"}} ", at.rfc3339()));
    "logcli -o jsonl" Fine |lines| objects(lines, |at, text| json!({"labels": {"app": "ci"}, "line": text, "timestamp": at.rfc3339()}));
    "Grafana's download" Fine |lines| pretty(&Value::Array(reversed(values(lines, |number, at, text| json!({"line": text, "timestamp": at.nanos(number), "date": at.rfc3339(), "fields": {"app": "ci"}})))));
    "CloudWatch's filter" Fine |lines| {
        let events = values(lines, |number, at, text| json!({"logStreamName": "build/1", "timestamp": at.epoch() * 1000 + at.millis(), "message": text, "ingestionTime": at.epoch() * 1000 + 999, "eventId": format!("3679{number:06}")}));
        pretty(&json!({"events": events, "searchedLogStreams": []}))
    };
    "CloudWatch's Insights" Fine |lines| {
        let results = values(lines, |_, at, text| json!([{"field": "@timestamp", "value": format!("2026-03-01 {}.{:03}", at.clock(), at.millis())}, {"field": "@message", "value": text}, {"field": "@ptr", "value": "4f66ad9a"}]));
        pretty(&json!({"results": results, "statistics": {"recordsMatched": 54.0, "recordsScanned": 54.0}, "status": "Complete"}))
    };
    "aws logs tail" Fine |lines| each(lines, |_, at| format!("2026-03-01T{}.{:03}000+00:00 build/4f66ad9a ", at.clock(), at.millis()));
    "gcloud logging read" Fine |lines| pretty(&Value::Array(reversed(values(lines, |number, at, text| json!({"insertId": format!("i{number}"), "logName": "projects/p/logs/cloudbuild", "receiveTimestamp": "2026-03-01T10:00:59.123Z", "resource": {"labels": {"build_id": "b"}, "type": "build"}, "severity": "INFO", "textPayload": text, "timestamp": at.rfc3339()})))));
    "Azure's Log Analytics" Fine |lines| {
        let rows = values(lines, |_, at, text| json!([at.rfc3339(), "ci-7", text]));
        compact(&json!({"tables": [{"name": "PrimaryResult", "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Computer", "type": "string"}, {"name": "LogEntry", "type": "string"}], "rows": rows}]}))
    };
    "Azure Pipelines' interface" Fine |lines| {
        let lines = values(lines, |_, at, text| json!(format!("2026-03-01T{}.{:03}1234Z {text}", at.clock(), at.millis())));
        compact(&json!({"count": lines.len(), "value": lines}))
    };
    "Datadog" Fine |lines| {
        let data = values(lines, |number, at, text| json!({"id": format!("AAAA{number}"), "type": "log", "attributes": {"status": "info", "service": "ci", "timestamp": at.rfc3339(), "message": text, "attributes": {"duration": 12}}}));
        compact(&json!({"data": data, "meta": {"elapsed": 12}}))
    };
    "Splunk" Fine |lines| objects(lines, |at, text| json!({"preview": false, "offset": 0, "result": {"_raw": text, "_time": format!("2026-03-01T{}.{:03}+00:00", at.clock(), at.millis()), "host": "ci-7", "linecount": "1"}}));
    "docker's json-file with long lines in parts" Fine |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            let parts = parts(&format!("{text}\n"), 30);
            for part in parts {
                writeln!(out, "{}", json!({"log": part, "stream": "stderr", "time": At(*at).rfc3339()})).unwrap();
            }
        }
        out.into_bytes()
    };
    "Kubernetes (CRI) with long lines in parts" Fine |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            let parts = parts(text, 30);
            let last = parts.len().saturating_sub(1);
            for (index, part) in parts.iter().enumerate() {
                writeln!(out, "{} stderr {} {part}", At(*at).rfc3339(), if index == last { 'F' } else { 'P' }).unwrap();
            }
        }
        out.into_bytes()
    };
    "GitLab's trace as JSON" Lost |lines| {
        let lines = values(lines, |number, _, text| {
            let (first, rest) = text.split_at(text.char_indices().nth(7).map_or(text.len(), |(at, _)| at));
            let content = if rest.is_empty() { json!([{"text": first}]) } else { json!([{"text": first, "style": "term-fg-l-green term-bold"}, {"text": rest}]) };
            json!({"offset": number * 80, "content": content, "section": "step-script"})
        });
        compact(&json!({"id": 7, "status": "success", "complete": true, "state": "eyJv", "append": false, "truncated": false, "offset": 0, "size": 4711, "total": 4711, "lines": lines}))
    };
    "CircleCI's output" Fine |lines| compact(&Value::Array(values(lines, |_, at, text| json!({"message": format!("{text}\r\n"), "time": at.rfc3339(), "type": "out", "truncated": false}))));
    "CircleCI's output in one message" Lost |lines| compact(&json!([{"message": bare(lines).replace('\n', "\r\n"), "time": "2026-03-01T10:00:00.000Z", "type": "out", "truncated": false}]));
    "Woodpecker" Seconds |lines| compact(&Value::Array(values(lines, |number, at, text| json!({"id": 4711 + number, "step_id": 12, "time": at.0 / 1000, "line": number, "data": base64::engine::general_purpose::STANDARD.encode(text), "type": 0}))));
    "Buildkite's interface" Fine |lines| {
        let content = text(each(lines, |_, at| format!("\u{1b}_bk;t={}{:03}\u{7}", at.epoch(), at.millis())));
        compact(&json!({"url": "https://example.invalid/log", "content": content, "size": content.len(), "header_times": [1_772_359_200_123_456_789_i64]}))
    };
    "Travis' interface" Lost |lines| {
        let content = bare(lines);
        let log_parts: Vec<Value> = parts(&content, 100).into_iter().enumerate().map(|(number, part)| json!({"content": part, "number": number, "final": false})).collect();
        compact(&json!({"@type": "log", "@href": "/job/7/log", "id": 7, "content": content, "log_parts": log_parts}))
    };
    "Harness" Fine |lines| objects(lines, |at, text| json!({"level": "INFO", "pos": 0, "out": format!("\u{1b}[0;32m{text}\u{1b}[0m\n"), "time": at.rfc3339(), "args": {}}));
    "Semaphore's events" Seconds |lines| {
        let mut events = vec![json!({"event": "cmd_started", "timestamp": 1_772_359_200, "directive": "docker build ."})];
        for (at, text) in lines {
            events.extend(parts(&format!("{text}\r\n"), 24).into_iter().map(|part| json!({"event": "cmd_output", "timestamp": At(*at).epoch(), "output": part})));
        }
        compact(&json!({"events": events}))
    };
    "Screwdriver" Fine |lines| compact(&Value::Array(values(lines, |number, at, text| json!({"t": at.epoch() * 1000 + at.millis(), "m": text, "n": number, "s": "build"}))));
    "Concourse's events" Seconds |lines| {
        let mut out = String::new();
        for (number, (at, text)) in lines.iter().enumerate() {
            let data = json!({"data": {"payload": format!("{text}\r\n"), "time": At(*at).epoch(), "origin": {"id": "6502", "source": "stderr"}}, "event": "log", "version": "5.1"});
            writeln!(out, "id: {number}\nevent: event\ndata: {data}\n").unwrap();
        }
        out.into_bytes()
    };
    "Graylog (GELF)" Fine |lines| objects(lines, |at, text| json!({"version": "1.1", "host": "ci-7", "short_message": text, "timestamp": at.epoch() as f64 + at.millis() as f64 / 1000.0, "level": 6, "_pid": 4711}));
    "bunyan" Fine |lines| objects(lines, |at, text| json!({"name": "ci", "hostname": "ci-7", "pid": 4711, "level": 30, "msg": text, "time": at.rfc3339(), "v": 0}));
    "pino" Fine |lines| objects(lines, |at, text| json!({"level": 30, "time": at.epoch() * 1000 + at.millis(), "pid": 4711, "hostname": "ci-7", "msg": text}));
    "zap" Fine |lines| objects(lines, |at, text| json!({"level": "info", "ts": at.epoch() as f64 + at.millis() as f64 / 1000.0, "caller": "build/run.go:12", "msg": text}));
    "Fluent Bit's stdout" Fine |lines| {
        let mut out = String::new();
        for (number, (at, text)) in lines.iter().enumerate() {
            let at = At(*at);
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            writeln!(out, "[{number}] docker.0: [[{}.{:03}000000, {{}}], {{\"log\"=>\"{text}\"}}]", at.epoch(), at.millis()).unwrap();
        }
        out.into_bytes()
    };
    "Fluentd's file" Seconds |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            writeln!(out, "2026-03-01T{}+00:00\tdocker.ci\t{}", At(*at).clock(), json!({"log": text, "source": "stderr"})).unwrap();
        }
        out.into_bytes()
    };
    "Logstash's rubydebug" Fine |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            writeln!(out, "{{\n       \"message\" => \"{text}\",\n      \"@version\" => \"1\",\n    \"@timestamp\" => {}\n}}", At(*at).rfc3339()).unwrap();
        }
        out.into_bytes()
    };
    "LAVA" Fine |lines| {
        let mut out = String::new();
        for (at, text) in lines {
            let at = At(*at);
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            writeln!(out, "- {{\"dt\": \"2026-03-01T{}.{:03}456\", \"lvl\": \"target\", \"msg\": \"{text}\"}}", at.clock(), at.millis()).unwrap();
        }
        out.into_bytes()
    };
    "one text in JSON" Lost |lines| pretty(&json!({"id": 7, "status": "passed", "stdout": "", "output": bare(lines)}));
    "Ansible's result" Lost |lines| {
        let texts: Vec<&String> = lines.iter().map(|(_, text)| text).collect();
        format!("TASK [build the image] ***\nchanged: [ci-7] => {}\n", serde_json::to_string_pretty(&json!({"changed": true, "cmd": "docker build .", "rc": 0, "stderr": bare(lines), "stderr_lines": texts, "stdout": "", "stdout_lines": []})).unwrap()).into_bytes()
    };
    "a table of tabs" Fine |lines| {
        let out = String::from("time\thost\tmessage\n");
        (out + &text(each(lines, |_, at| format!("{}\tci-7\t", at.rfc3339())))).into_bytes()
    };
    "CSV, newest first" Fine |lines| {
        let mut out = String::from("\"@timestamp\",\"message\",\"stream\"\n");
        for (at, text) in lines.iter().rev() {
            let at = At(*at);
            writeln!(out, "\"Mar 1, 2026 @ {}.{:03}\",\"{}\",\"stderr\"", at.clock(), at.millis(), text.replace('"', "\"\"")).unwrap();
        }
        out.into_bytes()
    };
};
