#!/usr/bin/env bash
# Tool: @opentelemetry/otlp-transformer 0.301.1 (npm, 2026), which the OTLP exporters for Node.js
#   use; opentelemetry-proto 1.45.2 and protobuf 7.36.2 (PyPI) as the reader.
# Expected: the JSON and the protobuf form of a span carry the same attributes, up to the type of
#   whole numbers. Protobuf's JSON mapping writes NaN and Infinity as texts, and an intValue has
#   64 bits.
# Seen: only the protobuf form does. In JSON, NaN and Infinity are null, which reads as no value,
#   and each whole number is an intValue: from 2^63 on, the reader refuses the request with all
#   spans in it. Output, the two forms of an attribute as they are read:
#     NaN: protobuf double nan, JSON no value
#     -Infinity: protobuf double -inf, JSON no value
#     0.5: protobuf double 0.5, JSON double 0.5
#     2^53: protobuf int 9007199254740992, JSON int 9007199254740992
#     1e19: protobuf double 1e+19, JSON ParseError
# Matters: a rate that was divided by zero disappears, and one attribute with a large value, such
#   as a limit of "unlimited" (2^64), loses each batch that contains it. OTEL_EXPORTER_OTLP_PROTOCOL
#   decides which of the two happens.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund @opentelemetry/otlp-transformer@0.301.1 @opentelemetry/api@1 >npm.log
python3 -m venv v
v/bin/pip install -q opentelemetry-proto==1.45.2 protobuf==7.36.2
cat >a.mjs <<'JS'
import fs from 'node:fs';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';

const values = { NaN, '-Infinity': -Infinity, 0.5: 0.5, '2^53': 2 ** 53, '1e19': 1e19 };
Object.entries(values).forEach(([name, value], number) => {
  const span = {
    name: 'step', kind: 0, attributes: { value }, status: { code: 0 }, events: [], links: [], ended: true,
    spanContext: () => ({ traceId: '0102030405060708090a0b0c0d0e0f10', spanId: '0102030405060708', traceFlags: 1 }),
    startTime: [1700000000, 1], endTime: [1700000001, 2], duration: [1, 1],
    resource: { attributes: {} }, instrumentationScope: { name: 'test' },
    droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0,
  };
  fs.writeFileSync(`${number}.name`, name);
  fs.writeFileSync(`${number}.json`, JsonTraceSerializer.serializeRequest([span]));
  fs.writeFileSync(`${number}.bin`, ProtobufTraceSerializer.serializeRequest([span]));
});
JS
cat >a.py <<'PY'
from google.protobuf.json_format import Parse, ParseError
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

def read(parse):
    try:
        (attribute,) = parse().resource_spans[0].scope_spans[0].spans[0].attributes
    except ParseError as error:
        return type(error).__name__
    kind = attribute.value.WhichOneof("value")
    return f"{kind.removesuffix('_value')} {getattr(attribute.value, kind)}" if kind else "no value"

for number in range(5):
    binary, json = open(f"{number}.bin", "rb").read(), open(f"{number}.json").read()
    protobuf = read(lambda: TracesData.FromString(binary))
    print(f"{open(f'{number}.name').read()}: protobuf {protobuf}, JSON {read(lambda: Parse(json, TracesData()))}")
PY
node a.mjs
got=$(v/bin/python a.py)
want='NaN: protobuf double nan, JSON no value
-Infinity: protobuf double -inf, JSON no value
0.5: protobuf double 0.5, JSON double 0.5
2^53: protobuf int 9007199254740992, JSON int 9007199254740992
1e19: protobuf double 1e+19, JSON ParseError'
echo "$got"; [ "$got" = "$want" ]
