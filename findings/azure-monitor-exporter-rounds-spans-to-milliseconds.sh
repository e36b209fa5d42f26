#!/usr/bin/env bash
# Tool: azure-monitor-opentelemetry-exporter 1.0.0b58 (PyPI, 2026). The service is an HTTP server of
#   Python.
# Expected: spans keep at least their microseconds: the exporter's own models describe "duration" as
#   DD.HH:MM:SS.MMMMMM, six digits of the second. The start has them, too.
# Seen: a duration has three digits, rounded. A span of less than 0.5 ms takes no time, one of 0.5 ms
#   takes 1 ms. Starts keep six digits, so spans that touch overlap afterwards, or have a gap. For
#   spans without a gap, the output is:
#     10 of 0.4 ms: 00.000 each, 0 ms in all, last start .003600
#     10 of 0.5 ms: 00.001 each, 10 ms in all, last start .004500
#     2 of 1499.9 ms: 01.500 each, 3000 ms in all, last start .499900
# Matters: the sum over many short steps, such as the hits of a compiler cache, is nothing or twice
#   what it was. A change from 0.49 ms to 0.51 ms looks like one from nothing to something.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"; kill $server 2>/dev/null || true' EXIT; cd "$dir"; server=
python3 -m venv v
v/bin/pip install -q azure-monitor-opentelemetry-exporter==1.0.0b58
cat >server.py <<'PY'
import gzip, http.server, json

class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        items = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        with open("items", "a") as file:
            for item in items:
                print(json.dumps(item), file=file)
        answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Service)
with open("port", "w") as port:
    port.write(str(server.server_port))
server.serve_forever()
PY
python3 server.py & server=$!
for _ in {1..300}; do [ -s port ] && break; sleep 0.1; done
cat >a.py <<'PY'
import json, pathlib
from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult, SimpleSpanProcessor

start = 1_700_000_000_000_000_000

class Collect(SpanExporter):
    spans = []

    def export(self, spans):
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Collect()))
trace.set_tracer_provider(provider) # the exporter takes its resource
tracer = provider.get_tracer("build")
for count, length in ((10, 400_000), (10, 500_000), (2, 1_499_900_000)):
    for number in range(count):
        name = f"{count} of {length / 1e6:g} ms"
        tracer.start_span(name, start_time=start + number * length).end(end_time=start + (number + 1) * length)
exporter = AzureMonitorTraceExporter(
    connection_string="InstrumentationKey=00000000-0000-0000-0000-000000000000;"
    f"IngestionEndpoint=http://127.0.0.1:{open('port').read()}/",
    disable_offline_storage=True,
)
assert exporter.export(Collect.spans) == SpanExportResult.SUCCESS
groups = {}
for line in pathlib.Path("items").read_text().splitlines():
    item = json.loads(line)
    data = item["data"]["baseData"]
    if "duration" in data: # another item describes the resource
        groups.setdefault(data["name"], []).append((data["duration"], item["time"]))
for name, spans in groups.items():
    (each,) = {duration for duration, _ in spans}
    assert each.startswith("0.00:00:"), each
    seconds = each.removeprefix("0.00:00:")
    last = max(time.rstrip("Z") for _, time in spans).rpartition(".")[2]
    print(f"{name}: {seconds} each, {round(float(seconds) * 1000 * len(spans))} ms in all, last start .{last}")
PY
export APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL=true
got=$(v/bin/python a.py)
want='10 of 0.4 ms: 00.000 each, 0 ms in all, last start .003600
10 of 0.5 ms: 00.001 each, 10 ms in all, last start .004500
2 of 1499.9 ms: 01.500 each, 3000 ms in all, last start .499900'
echo "$got"; [ "$got" = "$want" ]
