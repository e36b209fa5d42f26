#!/usr/bin/env bash
# Tool: pytest 9.2.0 (PyPI, 2026), its subtests, which are built in since version 9, with `--junitxml`.
# Expected: the time of a test case is the time that the test took, and the suite has as many cases as its attribute
#   says.
# Seen: the time of each subtest is added to the time of its test, which contains it already. Subtests are counted in
#   `tests` but have no case; a failed one is a further failure of the same case. subTest() of unittest is counted in
#   `tests` as well, its time once. Output for one test of 3 s that is nearly all one subtest, one of unittest, and one
#   with two failed subtests:
#     fixture: 2 times as long as it was, tests="2", 1 case, failures="0", 0 failures in the case
#     unittest: 1 times as long as it was, tests="2", 1 case, failures="0", 0 failures in the case
#     failed: 2 times as long as it was, tests="4", 1 case, failures="3", 3 failures in the case
# Matters: a list of the slowest tests, and a split of tests over machines by the times of a report, give tests with
#   subtests twice their weight, and a file with them takes longer than the run.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytest==9.2.0
cat >test_fixture.py <<'PY'
import time


def test_parts(subtests):
    start = time.monotonic()
    with subtests.test("part"):
        time.sleep(3)
    open("took", "w").write(str(time.monotonic() - start))
PY
cat >test_unittest.py <<'PY'
import time
import unittest


class Parts(unittest.TestCase):
    def test_parts(self):
        start = time.monotonic()
        with self.subTest(part=1):
            time.sleep(3)
        open("took", "w").write(str(time.monotonic() - start))
PY
cat >test_failed.py <<'PY'
import time


def test_parts(subtests):
    start = time.monotonic()
    for part in range(3):
        with subtests.test(part=part):
            time.sleep(1)
            assert part == 0
    open("took", "w").write(str(time.monotonic() - start))
PY
cat >show.txt <<'PY'
import sys
import xml.etree.ElementTree as ElementTree

suite = ElementTree.parse("report.xml").find("testsuite")
cases = suite.findall("testcase")
times = float(cases[0].get("time")) / float(open("took").read())
counts = f'tests="{suite.get("tests")}", {len(cases)} case, failures="{suite.get("failures")}"'
failures = len(cases[0].findall("failure"))
print(f"{sys.argv[1]}: {times:.0f} times as long as it was, {counts}, {failures} failures in the case")
PY
got=$(for name in fixture unittest failed; do
    venv/bin/pytest -q -p no:cacheprovider --junitxml=report.xml "test_$name.py" >log || true
    python3 show.txt "$name"
done)
want='fixture: 2 times as long as it was, tests="2", 1 case, failures="0", 0 failures in the case
unittest: 1 times as long as it was, tests="2", 1 case, failures="0", 0 failures in the case
failed: 2 times as long as it was, tests="4", 1 case, failures="3", 3 failures in the case'
echo "$got"; [ "$got" = "$want" ]
