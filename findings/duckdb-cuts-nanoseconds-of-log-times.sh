#!/usr/bin/env bash
# Tool: DuckDB 2.0.1 (PyPI), read_json on the times that BuildKit and Go print.
# Expected: a time with nine digits becomes TIMESTAMP_NS, which DuckDB has, or
#   stays text.
# Seen: it becomes TIMESTAMP WITH TIME ZONE, which has microseconds, and the rest
#   is cut. Two times 210 ns apart are equal, epoch_ns() of their difference is 0.
#   A time of day with nine digits is cut in the same way.
# Matters: steps that are cache hits take less than a microsecond and get a
#   duration of zero, and the order of events in one microsecond is lost.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps duckdb==2.0.1
echo '{"started": "2026-01-02T03:04:05.123456789Z", "completed": "2026-01-02T03:04:05.123456999Z", "clock": "03:04:05.123456789"}' >log.ndjson
got=$(v/bin/python - <<'PY'
import duckdb
log = duckdb.sql("from 'log.ndjson'")
print(*[str(t) for t in log.types], sep=", ")
print("difference", duckdb.sql("select epoch_ns(completed) - epoch_ns(started) from log").fetchall()[0][0])
print("nanoseconds", duckdb.sql("select epoch_ns(started) % 1000000000 from log").fetchall()[0][0])
PY
)
want='TIMESTAMP WITH TIME ZONE, TIMESTAMP WITH TIME ZONE, TIME
difference 0
nanoseconds 123456000'
echo "$got"; [ "$got" = "$want" ]
