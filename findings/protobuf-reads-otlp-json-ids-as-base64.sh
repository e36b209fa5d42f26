#!/usr/bin/env bash
# Tool: protobuf 7.36.2 (json_format) with opentelemetry-proto 1.45.2 (PyPI), on
#   OTLP in JSON, as the OpenTelemetry collector writes it to files.
# Expected: the generated classes and protobuf's own JSON reader read the JSON of
#   their own protocol, or refuse what they cannot read.
# Seen: OTLP writes ids in hexadecimal, protobuf reads bytes as base64. A trace
#   id of 32 hexadecimal digits is valid base64 of 24 bytes. Writing the message
#   as JSON gives the text back, so a round trip looks right; the ids in the
#   message, and in the binary form that is sent on, are others.
# Matters: spans that are read from a file and exported do not join those that
#   were sent directly: collectors expect 16 and 8 bytes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q protobuf==7.36.2 opentelemetry-proto==1.45.2
got=$(v/bin/python - <<'PY'
import json
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
trace, span = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": trace, "spanId": span, "name": "RUN make"}]}]}]})
data = json_format.Parse(text, TracesData())
read = data.resource_spans[0].scope_spans[0].spans[0]
print(len(read.trace_id), read.trace_id.hex() == trace, len(read.span_id), read.span_id.hex() == span)
print("round trip", json.loads(json_format.MessageToJson(data)) == json.loads(text))
PY
)
want='24 False 12 False
round trip True'
echo "$got"; [ "$got" = "$want" ]
