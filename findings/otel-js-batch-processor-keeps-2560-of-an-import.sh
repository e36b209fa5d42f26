#!/usr/bin/env bash
# Tool: @opentelemetry/sdk-trace-base 2.12.1 (npm), BatchSpanProcessor; opentelemetry-sdk 1.45.2 (PyPI) for comparison.
# Expected: a program that turns the log of a build into spans, and then calls forceFlush() and shutdown(), exports all of
#   them, or says that it did not.
# Seen: the queue has 2048 places and is emptied only when the program waits for something. Of spans that are made in one
#   go, 2560 are exported: the queue and one batch of 512. The rest is dropped without a message, since the log of the
#   library is off by default. The Python SDK exports from a thread of its own, and prints "Queue full" if it drops a
#   span. Both keep the last 128 events of a span. Output:
#     JavaScript, BatchSpanProcessor: 2560 of 10000 spans, step 0 to step 2559
#     JavaScript, SimpleSpanProcessor: 10000 of 10000 spans, step 0 to step 9999
#     Python, BatchSpanProcessor: all, or a warning
#     events of 1000 lines: JavaScript 128, from line 872; Python 128, from line 872
# Matters: an import of a small build is complete. A large one ends after a quarter, as if the build had stopped there, and a
#   step whose lines are events has lost the first error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @opentelemetry/sdk-trace-base@2.12.1 @opentelemetry/api@1.9.0 >npm.log
cat >import.mjs <<'JS'
import { BasicTracerProvider, BatchSpanProcessor, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";

async function exported(Processor, count, lines) {
  const spans = [];
  const exporter = {
    export(batch, done) {
      spans.push(...batch);
      setImmediate(done, { code: 0 });
    },
    async forceFlush() {},
    async shutdown() {},
  };
  const provider = new BasicTracerProvider({ spanProcessors: [new Processor(exporter)] });
  const tracer = provider.getTracer("import");
  for (let number = 0; number < count; number++) {
    const span = tracer.startSpan(`step ${number}`);
    for (let line = 0; line < lines; line++) span.addEvent(`line ${line}`);
    span.end();
  }
  await provider.forceFlush();
  await provider.shutdown();
  return spans;
}

if (process.argv[2] === "events") {
  const [{ events }] = await exported(BatchSpanProcessor, 1, 1000);
  console.log(`${events.length}, from ${events[0].name}`);
} else {
  for (const Processor of [BatchSpanProcessor, SimpleSpanProcessor]) {
    const spans = await exported(Processor, 10_000, 0);
    console.log(`JavaScript, ${Processor.name}: ${spans.length} of 10000 spans, ${spans[0].name} to ${spans.at(-1).name}`);
  }
}
JS
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2
cat >import.txt <<'PY'
import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult


def exported(count, lines):
    kept = []

    class Exporter(SpanExporter):
        def export(self, spans):
            kept.extend(spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Exporter()))
    tracer = provider.get_tracer("import")
    for number in range(count):
        span = tracer.start_span(f"step {number}")
        for line in range(lines):
            span.add_event(f"line {line}")
        span.end()
    provider.force_flush()
    provider.shutdown()
    return kept


if sys.argv[1:] == ["events"]:
    [span] = exported(1, 1000)
    print(f"{len(span.events)}, from {span.events[0].name}")
else:
    spans = exported(10_000, 0)
    print(len(spans))
PY
python() {
  if [ "$(venv/bin/python import.txt 2>warnings)" = 10000 ] || grep --quiet 'Queue full' warnings; then
    echo 'Python, BatchSpanProcessor: all, or a warning'
  fi
}
got=$(node import.mjs; python
  echo "events of 1000 lines: JavaScript $(node import.mjs events); Python $(venv/bin/python import.txt events)")
want='JavaScript, BatchSpanProcessor: 2560 of 10000 spans, step 0 to step 2559
JavaScript, SimpleSpanProcessor: 10000 of 10000 spans, step 0 to step 9999
Python, BatchSpanProcessor: all, or a warning
events of 1000 lines: JavaScript 128, from line 872; Python 128, from line 872'
echo "$got"; [ "$got" = "$want" ]
