#!/usr/bin/env bash
# Tool: @opentelemetry/exporter-zipkin 2.12.1 and @opentelemetry/sdk-trace-base 2.12.1 (npm). The
#   collector is an HTTP server of Python.
# Expected: "timestamp" is an integer, the microseconds since 1970, as Zipkin's API says, like
#   "duration" and the times of annotations.
# Seen: the exporter rounds those two and not the timestamp. A span that starts at a given time of
#   nanoseconds, or at performance.now(), gets a fraction. Without a given time, the SDK takes whole
#   milliseconds, so the tests of a program show nothing. Output:
#     start not given: timestamp int, duration int
#     start performance.now(): timestamp float, duration int
#     start 1700000000.123456789 s: timestamp 1700000000123456.8, duration 1, annotation int
# Matters: readers with 64-bit integers refuse the number, and Zipkin the whole request with it
#   ("Expected a long"). Spans made from the log of a build have given times: none arrives.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"; kill $server 2>/dev/null || true' EXIT; cd "$dir"; server=
npm install --silent --no-audit --no-fund @opentelemetry/exporter-zipkin@2.12.1 @opentelemetry/sdk-trace-base@2.12.1 >npm.log
cat >server.py <<'PY'
import http.server, json

def kind(value):
    return type(value).__name__

class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        (span,) = json.loads(body)
        with open("spans", "a") as spans:
            if "annotations" in span:
                times = f"timestamp {span['timestamp']}, duration {span['duration']}, "
                times += f"annotation {kind(span['annotations'][0]['timestamp'])}"
            else:
                times = f"timestamp {kind(span['timestamp'])}, duration {kind(span['duration'])}"
            print(f"start {span['name']}: {times}", file=spans)
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
with open("port", "w") as port:
    port.write(str(server.server_port))
server.serve_forever()
PY
python3 server.py & server=$!
for _ in {1..300}; do [ -s port ] && break; sleep 0.1; done
cat >a.cjs <<'JS'
const fs = require('fs');
const { ZipkinExporter } = require('@opentelemetry/exporter-zipkin');
const { BasicTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');

const exporter = new ZipkinExporter({ url: `http://127.0.0.1:${fs.readFileSync('port')}/api/v2/spans` });
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = provider.getTracer('build');
(async () => {
  tracer.startSpan('not given').end();
  await provider.forceFlush();
  let now; // one of many readings in a row is not a whole number of microseconds
  do now = performance.now(); while (Number.isInteger((performance.timeOrigin + now) * 1000));
  tracer.startSpan('performance.now()', { startTime: now }).end();
  await provider.forceFlush();
  const span = tracer.startSpan('1700000000.123456789 s', { startTime: [1700000000, 123456789] });
  span.addEvent('compiled', [1700000000, 123457001]);
  span.end([1700000000, 123457789]);
  await provider.shutdown();
})();
JS
node a.cjs
want='start not given: timestamp int, duration int
start performance.now(): timestamp float, duration int
start 1700000000.123456789 s: timestamp 1700000000123456.8, duration 1, annotation int'
cat spans; [ "$(cat spans)" = "$want" ]
