#!/usr/bin/env bash
# Tool: junit-to-ctrf 0.0.14 and junit-report-merger 9.0.4 (npm), junit-time-diff 0.2.0
#   (PyPI, 2026); junitparser 5.0.3 (PyPI) for comparison.
# Expected: time="1,200.5" is 1200.5 seconds. The schema of Maven's reports allows commas
#   between thousands, and Maven Surefire wrote them until version 3.1.
# Seen: it becomes 1 second, 0 seconds, or is left out of the sum, without a message.
#   Output, for a test of 1200.5 s that then takes 2400.9 s, and one of 34.067 s:
#     junit-to-ctrf: slow 1000 ms, quick 34067 ms
#     junit-report-merger: total of two reports None
#     junit-time-diff: Common tests (2) 34.07s 34.07s +0.00s +0.0%
#     junit-time-diff: No significant performance regressions detected!
#     junitparser: slow 1200.5 s, quick 34.067 s
# Matters: exactly the tests that take longer than 16 minutes are the fastest of the
#   report, and a suite that is divided by these times puts them all on one machine.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q junit-time-diff==0.2.0 junitparser==5.0.3
npm install --silent --no-audit --no-fund junit-to-ctrf@0.0.14 junit-report-merger@9.0.4 >npm.log
report() {
  echo "<testsuite name=\"s\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"$2\">
  <testcase classname=\"a\" name=\"slow\" time=\"$1\"/><testcase classname=\"a\" name=\"quick\" time=\"34.067\"/>
</testsuite>"
}
report 1,200.5 1,234.567 >before.xml
report 2,400.9 2,434.967 >after.xml
cat >a.py <<'PY'
import json, xml.etree.ElementTree
from junitparser import JUnitXml

tests = json.load(open("ctrf.json"))["results"]["tests"]
print("junit-to-ctrf:", ", ".join(f"{t['name'].split()[-1]} {t['duration']} ms" for t in tests))
print("junit-report-merger: total of two reports", xml.etree.ElementTree.parse("merged.xml").getroot().get("time"))
lines = open("diff.txt").read().splitlines()
for start in "Common tests (2)", "✓ ":
    (line,) = (line for line in lines if line.startswith(start))
    print("junit-time-diff:", " ".join(line.removeprefix("✓").split()))
(suite,) = JUnitXml.fromfile("before.xml")
print("junitparser:", ", ".join(f"{case.name} {case.time} s" for case in suite))
PY
npx junit-to-ctrf before.xml -o ctrf.json >ctrf.log
npx jrm merged.xml before.xml after.xml >merge.log
v/bin/junit-time-diff before.xml after.xml >diff.txt
got=$(v/bin/python a.py)
want='junit-to-ctrf: slow 1000 ms, quick 34067 ms
junit-report-merger: total of two reports None
junit-time-diff: Common tests (2) 34.07s 34.07s +0.00s +0.0%
junit-time-diff: No significant performance regressions detected!
junitparser: slow 1200.5 s, quick 34.067 s'
echo "$got"; [ "$got" = "$want" ]
