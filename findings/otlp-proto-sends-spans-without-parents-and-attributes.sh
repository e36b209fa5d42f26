#!/usr/bin/env bash
# Tool: otlp-proto 0.10.1 (PyPI, 2026), which encodes spans as OTLP in protobuf, with
#   opentelemetry-sdk 1.45.2; read with opentelemetry-proto 1.45.2.
# Expected: encode_spans() writes what the exporter of the OpenTelemetry project writes; its
#   description offers it as a replacement and names no limits for spans.
# Seen: each span is INTERNAL and has no parent, no attributes, no events and no links. The
#   resource, names, times, ids and the status are right, and no message is shown. Output, for
#   a step within a build, kind CLIENT, with an attribute, an event and a link:
#     sdk: step CLIENT, parent True, 1 attributes, 1 events, 1 links, status ERROR
#     otlp-proto: step INTERNAL, parent False, 0 attributes, 0 events, 0 links, status ERROR
# Matters: a backend shows a build as a flat list of root spans. Critical paths, self times
#   and everything that is grouped by an attribute are wrong or empty.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q otlp-proto==0.10.1 opentelemetry-sdk==1.45.2 opentelemetry-proto==1.45.2
cat >a.py <<'PY'
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as Result
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from otlp_proto import encode_spans

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
tracer = provider.get_tracer("build")
other = SpanContext(1, 2, is_remote=True)
with tracer.start_as_current_span("build"):
    with tracer.start_as_current_span("step", kind=SpanKind.CLIENT, attributes={"command": "make"}, links=[Link(other)]) as step:
        step.add_event("cache miss")
        step.set_status(Status(StatusCode.ERROR))


def report(who, name, kind, parent, attributes, events, links, status):
    print(f"{who}: {name} {kind}, parent {parent}, {len(attributes)} attributes, {len(events)} events, {len(links)} links, status {status}")


spans = memory.get_finished_spans()
span = next(span for span in spans if span.name == "step")
report("sdk", span.name, span.kind.name, span.parent is not None, span.attributes, span.events, span.links, span.status.status_code.name)
request = ExportTraceServiceRequest.FromString(encode_spans(spans))
sent = next(span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans if span.name == "step")
kind = Span.SpanKind.Name(sent.kind).removeprefix("SPAN_KIND_")
status = Result.StatusCode.Name(sent.status.code).removeprefix("STATUS_CODE_")
report("otlp-proto", sent.name, kind, sent.parent_span_id != b"", sent.attributes, sent.events, sent.links, status)
PY
got=$(v/bin/python a.py)
want='sdk: step CLIENT, parent True, 1 attributes, 1 events, 1 links, status ERROR
otlp-proto: step INTERNAL, parent False, 0 attributes, 0 events, 0 links, status ERROR'
echo "$got"; [ "$got" = "$want" ]
