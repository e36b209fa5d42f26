//! A record as OpenTelemetry spans.
//!
//! The build is the root span. A step is a child of it. A span of the record is a child of its step or of the
//! enclosing span. Importing these spans restores the record, except for waits, counters and resources.

use buildscope_record::{
    CacheState, Digest, DriverName, EdgeKind, Nanos, Outcome, Policy, Record, SpanId as RecordedId,
};
use buildscope_reports::Explanation;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use percent_encoding::percent_decode_str;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The span of another program that the build is a part of (W3C Trace Context).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) sampled: bool,
    /// What the tracing systems that the trace passed through add to each span.
    pub(super) state: TraceState,
}

/// The resource attributes: the builder and its version, then those of `OTEL_RESOURCE_ATTRIBUTES`, then `OTEL_SERVICE_NAME`. The later
/// ones replace the earlier ones.
pub(super) fn resource(record: &Record) -> Resource {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let version = KeyValue::new("service.version", record.source.version.clone().unwrap_or_default());
    let own = [KeyValue::new("service.name", record.source.tool.name().to_owned()), version];
    let more = variable("OTEL_RESOURCE_ATTRIBUTES").map(|text| attributes(&text)).unwrap_or_default();
    let named = variable("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name));
    Resource::builder_empty().with_attributes(own.into_iter().chain(more).chain(named)).build()
}

/// Parses `NAME=VALUE,NAME=VALUE`, in which values are percent-encoded. As the specification asks for, a text with an error counts as
/// absent.
fn attributes(text: &str) -> Vec<KeyValue> {
    let attribute = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some(KeyValue::new(name.trim().to_owned(), value.into_owned()))
    };
    text.split(',').map(attribute).collect::<Option<_>>().unwrap_or_default()
}

/// The spans of a build. `began` is its start in nanoseconds since 1970.
pub(super) fn spans(record: &Record, explanation: &Explanation, began: u64, parent: Option<Parent>) -> Vec<SpanData> {
    let trace = Trace::new(record, explanation, began, parent.as_ref());
    let root = trace.id("build", 0);
    let mut spans = Vec::with_capacity(record.spans.len() + record.steps.len() + 1);
    let options = &record.options;
    let names = [
        ("policy", options.policy.map(Policy::name)),
        ("driver", options.driver.map(DriverName::name)),
        ("cache", options.cache.map(CacheState::name)),
    ];
    let mut attributes: Vec<KeyValue> =
        names.into_iter().filter_map(|(key, name)| Some(KeyValue::new(format!("buildscope.{key}"), name?))).collect();
    attributes.push(KeyValue::new("buildscope.answer", explanation.answer.clone()));
    let failed = (!record.succeeded).then(|| "the build failed".to_owned());
    let whole = (Nanos::ZERO, record.wall);
    let name = "build".to_owned();
    let above = parent.as_ref().map_or(SpanId::INVALID, |parent| parent.span);
    let build = SpanParts { id: root, parent: above, name, time: whole, attributes, error: failed };
    spans.push(SpanData { parent_span_is_remote: parent.is_some(), ..trace.span(build) });
    let mut needs: HashMap<usize, Vec<String>> = HashMap::new();
    for edge in record.edges.iter().filter(|edge| edge.kind == EdgeKind::Data) {
        needs.entry(edge.to.index()).or_default().push(edge.from.0.to_string());
    }
    for (step, explained) in record.steps.iter().zip(&explanation.steps) {
        let Some(start) = explained.start else { continue };
        let mut attributes = vec![
            KeyValue::new("buildscope.step", i64::from(step.id.0)),
            KeyValue::new("buildscope.text", step.text.clone()),
            KeyValue::new("buildscope.outcome", outcome(step.outcome)),
            KeyValue::new("buildscope.drag_ns", integer(explained.drag.0)),
            KeyValue::new("buildscope.needs", needs.remove(&step.id.index()).unwrap_or_default().join(" ")),
        ];
        attributes.extend(explained.stage.clone().map(|stage| KeyValue::new("buildscope.stage", stage)));
        attributes.extend(step.source.map(|source| KeyValue::new("buildscope.line", i64::from(source.line))));
        attributes.extend(step.layer.map(|layer| KeyValue::new("buildscope.layer_bytes", integer(layer.bytes.0))));
        let why = || step.error.clone().unwrap_or_else(|| "the step failed".into());
        let failed = (step.outcome == Outcome::Failed).then(why);
        let time = (start, start + explained.duration);
        let (id, name) = (trace.id("step", step.id.0.into()), step.text.clone());
        spans.push(trace.span(SpanParts { id, parent: root, name, time, attributes, error: failed }));
    }
    let known: HashSet<RecordedId> = record.spans.iter().map(|span| span.id).collect();
    for recorded in &record.spans {
        let around = recorded.parent.filter(|parent| known.contains(parent)).map(|parent| trace.id("span", parent.0));
        let step = || recorded.step.map(|step| trace.id("step", step.0.into()));
        let parent = around.or_else(step).unwrap_or(root);
        let mut attributes = vec![
            KeyValue::new("buildscope.phase", recorded.phase.name()),
            KeyValue::new("buildscope.group", recorded.phase.group().name()),
        ];
        attributes.extend(recorded.step.map(|step| KeyValue::new("buildscope.step", i64::from(step.0))));
        attributes.extend(recorded.name.clone().map(|name| KeyValue::new("buildscope.detail", name)));
        let fields = recorded.fields.iter();
        attributes.extend(fields.map(|(name, &value)| KeyValue::new(format!("buildscope.{name}"), integer(value))));
        let time = (recorded.start, recorded.end);
        let (id, name) = (trace.id("span", recorded.id.0), recorded.phase.name().to_owned());
        spans.push(trace.span(SpanParts { id, parent, name, time, attributes, error: None }));
    }
    spans
}

/// The individual part of a span.
struct SpanParts {
    id: SpanId,
    parent: SpanId,
    name: String,
    /// Start and end, since the start of the build.
    time: (Nanos, Nanos),
    attributes: Vec<KeyValue>,
    /// The error of a failed build or step.
    error: Option<String>,
}

/// The common part of all spans of a build. Ids are derived from the build, so sending it twice gives equal ids.
struct Trace {
    /// Hexadecimal.
    seed: String,
    id: TraceId,
    state: TraceState,
    began: SystemTime,
    scope: InstrumentationScope,
}

impl Trace {
    fn new(record: &Record, explanation: &Explanation, began: u64, parent: Option<&Parent>) -> Self {
        let seed = Digest::of(format!("{began} {} {}", record.wall.0, explanation.answer)).hex()[..32].to_owned();
        Self {
            id: parent.map_or_else(|| TraceId::from_hex(&seed).unwrap_or(TraceId::INVALID), |parent| parent.trace),
            seed,
            state: parent.map(|parent| parent.state.clone()).unwrap_or_default(),
            began: UNIX_EPOCH + Duration::from_nanos(began),
            scope: InstrumentationScope::builder("buildscope").with_version(env!("CARGO_PKG_VERSION")).build(),
        }
    }

    fn id(&self, kind: &str, number: u64) -> SpanId {
        let digest = Digest::of(format!("{} {kind} {number}", self.seed));
        SpanId::from_hex(&digest.hex()[..16]).unwrap_or(SpanId::INVALID)
    }

    fn span(&self, draft: SpanParts) -> SpanData {
        let SpanParts { id, parent, name, time, attributes, error } = draft;
        let at = |time: Nanos| self.began + Duration::from_nanos(time.0);
        SpanData {
            span_context: SpanContext::new(self.id, id, TraceFlags::SAMPLED, false, self.state.clone()),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: at(time.0),
            end_time: at(time.1),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// OTLP has no unsigned integers, so larger values saturate.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
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
