#!/usr/bin/env bash
# Tool: opentelemetry-sdk 1.45.2 (PyPI), ConsoleSpanExporter and span.to_json().
# Expected: times are nanoseconds in the API, so they are in the JSON; each
#   attribute that the SDK accepts is printed.
# Seen: times are rounded to microseconds: a step of 210 ns starts and ends at the
#   same time. A start of 0 is null. An attribute of bytes, which the SDK accepts,
#   raises a TypeError in the exporter and the span is lost. The protobuf encoder
#   keeps all of them.
# Matters: a JSON file of spans is no replacement for an OTLP file: cached steps
#   take no time, and one digest as bytes drops its step.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q opentelemetry-sdk==1.45.2
cat >a.py <<'PY'
import io, json, logging
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
logging.disable()
out = io.StringIO()
provider = TracerProvider()
exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\n")
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("t")

def record(name, start, end, **attributes):
    span = tracer.start_span(name, start_time=start, attributes=attributes)
    span.end(end_time=end)

record("cached", 1764308000123456700, 1764308000123456910)
record("from zero", 0, 1_500_000_000)
record("bytes", 1, 2, digest=b"\x01\x02")
record("text", 1_000_000_000, 2_000_000_000, digest="0102")
for line in out.getvalue().splitlines():
    span = json.loads(line)
    print(span["name"], span["start_time"], span["end_time"])
PY
got=$(v/bin/python a.py)
want='cached 2025-11-28T05:33:20.123457Z 2025-11-28T05:33:20.123457Z
from zero None 1970-01-01T00:00:01.500000Z
text 1970-01-01T00:00:01.000000Z 1970-01-01T00:00:02.000000Z'
echo "$got"; [ "$got" = "$want" ]
