#!/usr/bin/env bash
# Tool: pytest-json-report 1.5.0, pytest-csv 3.0.0 and pytest-split 0.11.0 (PyPI) with the subtests of pytest 9.2.0
#   (PyPI, 2026), which are built in since version 9.
# Expected: a record for each test with its result and its time, as in the summary that pytest prints: test_good passed,
#   test_bad failed.
# Seen: pytest reports a subtest to its plugins under the name of its test. The JSON report calls the passed test
#   "subtests passed" and counts no passed one. The CSV report has a row for each subtest and test, and the last row
#   of the failed test says passed. The stored durations, by which pytest-split divides a suite, have the time of the
#   subtests twice. Output:
#     JSON: test_bad failed, test_good subtests passed; passed: none
#     CSV: test_bad failed, passed; test_good passed, passed
#     split: test_good 2 times as long as it was
# Matters: a gate on the number of passed tests fails, one that takes the last row of each test passes a broken build.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytest==9.2.0 \
    pytest-json-report==1.5.0 pytest-csv==3.0.0 pytest-split==0.11.0
cat >test_parts.py <<'PY'
import time


def test_bad(subtests):
    with subtests.test("part"):
        assert False


def test_good(subtests):
    start = time.monotonic()
    with subtests.test("part"):
        time.sleep(3)
    open("took", "w").write(str(time.monotonic() - start))
PY
venv/bin/pytest -q -p no:cacheprovider --json-report --json-report-file=report.json --csv=report.csv \
    --store-durations --durations-path=durations.json test_parts.py >log 2>&1 || true
cat >show.txt <<'PY'
import csv
import json

report = json.load(open("report.json"))
name = lambda test: test.partition("::")[2]
results = ", ".join(f"{name(test['nodeid'])} {test['outcome']}" for test in report["tests"])
print(f"JSON: {results}; passed: {report['summary'].get('passed', 'none')}")
rows = {}
for row in csv.DictReader(open("report.csv")):
    rows.setdefault(row["name"], []).append(row["status"])
print("CSV:", "; ".join(f"{test} {', '.join(states)}" for test, states in rows.items()))
times = json.load(open("durations.json"))["test_parts.py::test_good"] / float(open("took").read())
print(f"split: test_good {times:.0f} times as long as it was")
PY
got=$(python3 show.txt)
want='JSON: test_bad failed, test_good subtests passed; passed: none
CSV: test_bad failed, passed; test_good passed, passed
split: test_good 2 times as long as it was'
echo "$got"; [ "$got" = "$want" ]
