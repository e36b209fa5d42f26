#!/usr/bin/env bash
# Tool: opentelemetry-exporter-zipkin-json 1.45.1 and opentelemetry-sdk 1.45.2 (PyPI); for comparison
#   @opentelemetry/exporter-zipkin 2.12.1 (npm). The collector is an HTTP server of Python.
# Expected: "debug" of Zipkin's spans is absent. It is a request to keep a span whatever the
#   collector's sampling says, which B3 propagation makes with a flag of its own, apart from "sampled".
# Seen: the Python exporter sets it for each span, since it takes the sampled flag for it, and only
#   sampled spans are exported. A local span also has the kind null. Output:
#     Python: debug true, kind null
#     JavaScript: debug absent, kind absent
# Matters: Zipkin's collector stores spans for debugging always. A sample rate set there has no
#   effect on builds traced from Python: all are stored and paid for, and when the rate is lowered
#   in an overload, these are the ones that still come in.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"; kill $server 2>/dev/null || true' EXIT; cd "$dir"; server=
python3 -m venv v
v/bin/pip install -q opentelemetry-exporter-zipkin-json==1.45.1 opentelemetry-sdk==1.45.2
npm install --silent --no-audit --no-fund @opentelemetry/exporter-zipkin@2.12.1 @opentelemetry/sdk-trace-base@2.12.1 >npm.log
cat >server.py <<'PY'
import http.server, json

class Collector(http.server.BaseHTTPRequestHandler):
    def body(self):
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def do_POST(self):
        (span,) = json.loads(self.body())
        shown = (f"{key} {json.dumps(span[key]) if key in span else 'absent'}" for key in ("debug", "kind"))
        with open("spans", "a") as spans:
            print(f"{span['name']}: {', '.join(shown)}", file=spans)
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
cat >a.py <<'PY'
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
exporter = ZipkinExporter(endpoint=f"http://127.0.0.1:{open('port').read()}/api/v2/spans", timeout=60)
provider.add_span_processor(SimpleSpanProcessor(exporter))
provider.get_tracer("build").start_span("Python").end()
PY
cat >a.cjs <<'JS'
const fs = require('fs');
const { ZipkinExporter } = require('@opentelemetry/exporter-zipkin');
const { BasicTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');

const exporter = new ZipkinExporter({ url: `http://127.0.0.1:${fs.readFileSync('port')}/api/v2/spans` });
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
provider.getTracer('build').startSpan('JavaScript').end();
provider.shutdown();
JS
v/bin/python a.py
node a.cjs
want='Python: debug true, kind null
JavaScript: debug absent, kind absent'
cat spans; [ "$(cat spans)" = "$want" ]
