//! A record as OpenTelemetry spans: OTLP in its JSON form (opentelemetry-proto, `ExportTraceServiceRequest`; "OTLP/HTTP",
//! JSON Protobuf Encoding).
//!
//! The build is the root span, a step is a child of it, a span of the record is a child of its step or of the span
//! around it. Importing what this writes gives the record back, less its waits, counters and resources.

use crate::Explanation;
use crate::graph::Grouped;
use buildscope_record::{Digest, EdgeKind, Nanos, Outcome, Record, SpanId};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The export request's document. `began` is when the build began, in nanoseconds since 1970.
pub fn otlp(record: &Record, explanation: &Explanation, began: u64) -> Value {
    let seed = Digest::of(format!("{began} {} {}", record.wall.0, explanation.answer));
    let trace = &seed.hex()[..32];
    let id = |kind: &str, number: u64| Digest::of(format!("{trace} {kind} {number}")).hex()[..16].to_owned();
    let root = id("build", 0);
    let at = |time: Nanos| began.saturating_add(time.0).to_string();
    let span = |id: &str,
                parent: &str,
                name: &str,
                time: (Nanos, Nanos),
                attributes: Vec<Value>,
                error: Option<&str>| {
        // 1 is SPAN_KIND_INTERNAL; of a status, 2 is STATUS_CODE_ERROR. Numbers of 64 bits are text in proto3 JSON.
        let status = error.map_or_else(|| json!({}), |message| json!({"code": 2, "message": message}));
        json!({
            "traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": 1,
            "startTimeUnixNano": at(time.0), "endTimeUnixNano": at(time.1), "attributes": attributes, "status": status,
        })
    };
    let mut spans = Vec::with_capacity(record.spans.len() + record.steps.len() + 1);
    let options = &record.options;
    let text = [("policy", &options.policy), ("driver", &options.driver), ("cache", &options.cache)];
    let mut attributes: Vec<Value> = text
        .iter()
        .filter_map(|(name, value)| Some(string(&format!("buildscope.{name}"), value.as_deref()?)))
        .collect();
    attributes.push(string("buildscope.answer", &explanation.answer));
    let failed = (!record.succeeded).then_some("the build failed");
    spans.push(span(&root, "", "build", (Nanos::ZERO, record.wall), attributes, failed));
    let data = record.edges.iter().filter(|edge| edge.kind == EdgeKind::Data);
    let needs = Grouped::new(record.steps.len(), data.map(|edge| (edge.to.index(), edge.from)));
    for (step, explained) in record.steps.iter().zip(&explanation.steps) {
        let Some(start) = explained.start else { continue };
        let needs: Vec<String> = needs.of(step.id.index()).iter().map(|need| need.0.to_string()).collect();
        let mut attributes = vec![
            integer("buildscope.step", step.id.0.into()),
            string("buildscope.text", &step.text),
            string("buildscope.outcome", outcome(step.outcome)),
            integer("buildscope.drag_ns", explained.drag.0),
            string("buildscope.needs", &needs.join(" ")),
        ];
        attributes.extend(explained.stage.as_deref().map(|stage| string("buildscope.stage", stage)));
        attributes.extend(step.source.map(|source| integer("buildscope.line", source.line.into())));
        attributes.extend(step.layer.map(|layer| integer("buildscope.layer_bytes", layer.bytes.0)));
        let failed = (step.outcome == Outcome::Failed).then(|| step.error.as_deref().unwrap_or("the step failed"));
        let own = id("step", step.id.0.into());
        spans.push(span(&own, &root, &step.text, (start, start + explained.duration), attributes, failed));
    }
    let known: HashSet<SpanId> = record.spans.iter().map(|span| span.id).collect();
    for recorded in &record.spans {
        let around = recorded.parent.filter(|parent| known.contains(parent)).map(|parent| id("span", parent.0));
        let parent =
            around.or_else(|| recorded.step.map(|step| id("step", step.0.into()))).unwrap_or_else(|| root.clone());
        let mut attributes = vec![
            string("buildscope.phase", recorded.phase.name()),
            string("buildscope.group", recorded.phase.group().name()),
        ];
        attributes.extend(recorded.step.map(|step| integer("buildscope.step", step.0.into())));
        attributes.extend(recorded.name.as_deref().map(|name| string("buildscope.detail", name)));
        attributes.extend(recorded.fields.iter().map(|(name, &value)| integer(&format!("buildscope.{name}"), value)));
        let time = (recorded.start, recorded.end);
        spans.push(span(&id("span", recorded.id.0), &parent, recorded.phase.name(), time, attributes, None));
    }
    let resource = [
        string("service.name", &record.source.tool),
        string("service.version", record.source.version.as_deref().unwrap_or("")),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "buildscope", "version": env!("CARGO_PKG_VERSION")}, "spans": spans}],
    }]})
}

fn string(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn integer(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Executed => "executed",
        Outcome::Cached => "cached",
        Outcome::Joined => "joined",
        Outcome::Pruned => "pruned",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}
