#!/usr/bin/env bash
# Tool: bats 1.13.0 (npm), `--report-formatter junit`.
# Expected: the time of a file in the report is what the file took. The time of a test
#   includes its setup and teardown, which it does.
# Seen: setup_file is in no number of the report, nor is teardown_file. A test that skips
#   itself has the time 0, whatever it did before. Output, for a setup_file of 3 s, a test
#   that skips after 3 s and one that takes no time:
#     run: at least 6 s
#     report: file below 3 s, skipped test 0
# Matters: setup_file is where the container is built and the server started, so it is
#   most of the run. Files that are divided among machines by these times are not even.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund bats@1.13.0 >npm.log
cat >a.bats <<'BATS'
setup_file() { sleep 3; }
@test "quick" { true; }
@test "skips" { sleep 3; skip "not here"; }
BATS
start=$SECONDS
node_modules/bats/bin/bats --report-formatter junit --output . a.bats >bats.log
run=$((SECONDS - start))
got=$(python3 - "$run" <<'PY'
import sys
import xml.etree.ElementTree

run = int(sys.argv[1])
suite = xml.etree.ElementTree.parse("report.xml").getroot().find("testsuite")
(skipped,) = (case for case in suite.iter("testcase") if case.find("skipped") is not None)
print("run:", "at least 6 s" if run >= 6 else f"{run} s")
file = float(suite.get("time"))
print("report: file", "below 3 s," if file < 3 else f"{file} s,", "skipped test", skipped.get("time"))
PY
)
want='run: at least 6 s
report: file below 3 s, skipped test 0'
echo "$got"; [ "$got" = "$want" ]
