#!/usr/bin/env bash
# Tool: meson 1.12.1 with ninja 1.13.2 (PyPI, 2026), `meson test`, which writes testlog.junit.xml.
# Expected: the time of a testsuite in the report is that of all its tests, or of the run. With --repeat,
#   each run of each test is in the report, as in testlog.json next to it.
# Seen: the time of a suite is that of the test that came first; the others add to the number of tests and
#   not to the time. With --repeat, a test that prints TAP has its last run alone in the report; other tests
#   have each run. Output, after two plain tests and one with TAP, `meson test --repeat 3`:
#     testlog.json: 9 runs
#     suite p: 6 cases, its time is that of the first
#     suite p.p:tap: 2 cases, its time is that of the last of 3 runs
#     root element: 8 tests
# Matters: CI systems show the times of suites and add them up: an hour of tests is a second if the first
#   test is a quick one, and a change of order looks like a change of speed. A test that was repeated to
#   find out how its time varies has one time, and none in its cases.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check meson==1.12.1 ninja==1.13.2
export PATH=$PWD/venv/bin:$PATH
mkdir p; cd p
cat >meson.build <<'EOF'
project('p')
sh = find_program('sh')
test('one', sh, args: ['-c', 'sleep 0.1'])
test('two', sh, args: ['-c', 'sleep 0.1'])
test('tap', sh, args: ['-c', 'echo 1..2; sleep 0.1; echo ok 1; echo ok 2'], protocol: 'tap')
EOF
meson setup build >setup.log
meson test -C build --num-processes 1 --repeat 3 >test.log
got=$(python3 - <<'EOF'
import json
import xml.etree.ElementTree as ElementTree

runs = [json.loads(line) for line in open("build/meson-logs/testlog.json")]
print(f"testlog.json: {len(runs)} runs")
root = ElementTree.parse("build/meson-logs/testlog.junit.xml").getroot()
for suite in root:
    cases, time = suite.findall("testcase"), suite.get("time")
    taps = [str(run["duration"]) for run in runs if run["name"] == "tap" or run["name"] == "p:tap"]
    if time == cases[0].get("time"):
        what = "the first"
    elif not any(case.get("time") for case in cases) and time == taps[-1]:
        what = f"the last of {len(taps)} runs"
    else:
        what = f"neither: {time}"
    print(f"suite {suite.get('name')}: {len(cases)} cases, its time is that of {what}")
print(f"root element: {root.get('tests')} tests")
EOF
)
want='testlog.json: 9 runs
suite p: 6 cases, its time is that of the first
suite p.p:tap: 2 cases, its time is that of the last of 3 runs
root element: 8 tests'
echo "$got"; [ "$got" = "$want" ]
