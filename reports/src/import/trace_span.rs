//! A span of a trace from any program.

use super::instant::Instant;
use std::collections::BTreeMap;

/// A span of OTLP JSON or of `stdouttrace`.
#[derive(Clone, Debug, Default)]
pub(super) struct TraceSpan {
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) name: String,
    pub(super) start: Instant,
    pub(super) end: Instant,
    pub(super) failed: Option<String>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) links: Vec<SpanLink>,
}

/// A link to another span.
#[derive(Clone, Debug, Default)]
pub(super) struct SpanLink {
    pub(super) span: String,
    pub(super) attributes: BTreeMap<String, String>,
}
