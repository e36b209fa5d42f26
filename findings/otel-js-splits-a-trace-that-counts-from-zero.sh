#!/usr/bin/env bash
# Tool: @opentelemetry/sdk-trace-base 2.12.1 with @opentelemetry/api 1.9.1 (npm).
# Expected: startTime and end() take milliseconds since 1970, so a recorded trace
#   whose times count from zero lies in 1970 as a whole.
# Seen: a number that is smaller than the uptime of the process counts from the
#   start of the process, a larger one from 1970. A step from 0 to 60000 starts
#   today and ends in 1970. Its duration becomes 0, and no message is shown by
#   default. Date objects are read as they are.
# Matters: a log of relative times that is replayed as spans falls apart, and
#   where it splits depends on how long the converter has been running.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts @opentelemetry/sdk-trace-base@2.12.1 @opentelemetry/api@1.9.1
got=$(node - <<'JS'
const otel = require('@opentelemetry/sdk-trace-base');
const memory = new otel.InMemorySpanExporter();
const processor = new otel.SimpleSpanProcessor(memory);
const tracer = new otel.BasicTracerProvider({ spanProcessors: [processor] }).getTracer('t');
const record = (name, start, end) => tracer.startSpan(name, { startTime: start }).end(end);
record('numbers', 0, 60000);
record('late numbers', 70000, 90000);
record('dates', new Date(0), new Date(60000));
const year = (time) => (new Date(time[0] * 1000).getUTCFullYear() === 1970 ? '1970' : 'today');
for (const span of memory.getFinishedSpans()) {
  console.log(span.name, year(span.startTime), span.duration[0], 's');
}
JS
)
want='numbers today 0 s
late numbers 1970 20 s
dates 1970 60 s'
echo "$got"; [ "$got" = "$want" ]
