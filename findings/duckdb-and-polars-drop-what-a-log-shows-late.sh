#!/usr/bin/env bash
# Tool: DuckDB 2.0.1 and Polars 2.1.0 (PyPI), reading lines of JSON.
# Expected: a key that first appears late in a log becomes a column, or an error
#   says that the sample was too small.
# Seen: Polars takes the columns from the first 100 lines, DuckDB from the first
#   20480, and both drop later keys without a word. If a number has its first
#   fraction after that, Polars stops, but DuckDB rounds 2.5 to 2.
# Matters: "error" is the key that a build log shows late. A long log reads as a
#   good build, and a small sample of it does not show the loss.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps duckdb==2.0.1 polars==2.1.0 polars-runtime-32==2.1.0
got=$(v/bin/python - <<'PY'
import duckdb, json, polars
def log(line, **late):
    with open("log.ndjson", "w") as out:
        for i in range(1, 30001):
            out.write(json.dumps({"id": i, "ms": 7} | (late if i == line else {})) + "\n")
for line in (100, 101, 20480, 20481):
    log(line, error="exit 1")
    print("error in line", line, "| polars", polars.read_ndjson("log.ndjson").columns, "| duckdb", duckdb.sql("from 'log.ndjson'").columns)
log(25000, ms=2.5)
print("duckdb reads 2.5 as", duckdb.sql("select ms from 'log.ndjson' where id = 25000").fetchall()[0][0])
try:
    polars.read_ndjson("log.ndjson")
except polars.exceptions.ComputeError:
    print("polars refuses 2.5")
PY
)
want="error in line 100 | polars ['id', 'ms', 'error'] | duckdb ['id', 'ms', 'error']
error in line 101 | polars ['id', 'ms'] | duckdb ['id', 'ms', 'error']
error in line 20480 | polars ['id', 'ms'] | duckdb ['id', 'ms', 'error']
error in line 20481 | polars ['id', 'ms'] | duckdb ['id', 'ms']
duckdb reads 2.5 as 2
polars refuses 2.5"
echo "$got"; [ "$got" = "$want" ]
