#!/usr/bin/env bash
# Tool: otlp-json 1.0.1 with opentelemetry-sdk 1.45.2 (PyPI); opentelemetry's own encoder
#   (opentelemetry-exporter-otlp-proto-common 1.45.2) for comparison.
# Expected: encode_spans() writes the same spans as OTLP in JSON that the SDK's exporter
#   writes in protobuf.
# Seen: the SDK numbers the kinds of spans from 0 and OTLP from 1, and the number is not
#   converted, except for 0. A server becomes internal, a client a server. Links and the
#   trace state are not written. A map and an infinite number become what a reader of
#   OTLP or JSON refuses; bytes are written in hexadecimal where base64 belongs, so
#   they read as other bytes. Output:
#     INTERNAL: sdk INTERNAL, otlp-json INTERNAL
#     SERVER: sdk SERVER, otlp-json INTERNAL
#     CLIENT: sdk CLIENT, otlp-json SERVER
#     PRODUCER: sdk PRODUCER, otlp-json CLIENT
#     CONSUMER: sdk CONSUMER, otlp-json PRODUCER
#     links: sdk 1, otlp-json 0
#     trace state: sdk k=v, otlp-json None
#     bytes: b'abc' reads as b'\xeb^\xb6\xeb'
#     map: {'values': [{'size': {'intValue': '1'}}]}
#     infinite: {'doubleValue': Infinity}
# Matters: a build that asks a registry looks like a server that answers, the links
#   between a step and the step that filled its cache are lost, and no error is raised.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q otlp-json==1.0.1 opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-common==1.45.2
cat >a.py <<'PY'
import base64, json
import otlp_json
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

memory = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(memory))
tracer = provider.get_tracer("build")
for kind in trace.SpanKind:
    tracer.start_span(kind.name, kind=kind).end()
remote = trace.SpanContext(1, 2, True, trace.TraceFlags(trace.TraceFlags.SAMPLED), trace.TraceState([("k", "v")]))
parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))
attributes = {"bytes": b"abc", "map": {"size": 1}, "infinite": float("inf")}
tracer.start_span("step", context=parent, links=[trace.Link(remote)], attributes=attributes).end()

spans = memory.get_finished_spans()
sdk = {span.name: span for span in encode_spans(spans).resource_spans[0].scope_spans[0].spans}
text = otlp_json.encode_spans(spans)
other = {span["name"]: span for span in json.loads(text)["resourceSpans"][0]["scopeSpans"][0]["spans"]}


def kind(number):
    return Span.SpanKind.Name(number).removeprefix("SPAN_KIND_")


for name in (each.name for each in trace.SpanKind):
    print(f"{name}: sdk {kind(sdk[name].kind)}, otlp-json {kind(other[name]['kind'])}")
one, two = sdk["step"], other["step"]
print(f"links: sdk {len(one.links)}, otlp-json {len(two.get('links', []))}")
print(f"trace state: sdk {one.trace_state}, otlp-json {two.get('traceState')}")
values = {entry["key"]: entry["value"] for entry in two["attributes"]}
print("bytes: b'abc' reads as", base64.b64decode(values["bytes"]["bytesValue"] + "=="))
print("map:", values["map"]["kvlistValue"])
infinite = text.decode().split('"infinite","value":')[1].split("}")[0]
print("infinite:", infinite.replace('"', "'").replace(":", ": ") + "}")
PY
got=$(v/bin/python a.py)
want="INTERNAL: sdk INTERNAL, otlp-json INTERNAL
SERVER: sdk SERVER, otlp-json INTERNAL
CLIENT: sdk CLIENT, otlp-json SERVER
PRODUCER: sdk PRODUCER, otlp-json CLIENT
CONSUMER: sdk CONSUMER, otlp-json PRODUCER
links: sdk 1, otlp-json 0
trace state: sdk k=v, otlp-json None
bytes: b'abc' reads as b'\xeb^\xb6\xeb'
map: {'values': [{'size': {'intValue': '1'}}]}
infinite: {'doubleValue': Infinity}"
echo "$got"; [ "$got" = "$want" ]
