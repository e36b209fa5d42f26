#!/usr/bin/env bash
# Tool: junitparser 5.0.3 (PyPI, 2026).
# Expected: adding a test case to a suite, and merging one report more, costs the same however
#   many there are already.
# Seen: add_testcase() counts all cases of the suite anew, and `+=`, which `junitparser merge`
#   uses for each file, all suites of the report. Twice as many take four times the work.
#   add_testcases() with a list counts once. Counted are calls of Python functions, which no
#   load on the machine changes. Output, calls compared with half the number:
#     add_testcase: 3.8 times for 100, 3.9 times for 200
#     merge, a suite in each file: 3.8 times for 100, 3.9 times for 200
#     add_testcases: 2.0 times for 100, 2.0 times for 200
#   In time, on a busy machine when this was written: 24, 70 and 388 s for 1000, 2000 and 4000
#   cases.
# Matters: a report of a large build, or of one made of thousands of small files, keeps the
#   last step of a pipeline busy for minutes to hours, where a test with a hundred cases takes
#   a moment.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q junitparser==5.0.3
cat >a.py <<'PY'
import cProfile
from junitparser import JUnitXml, TestCase, TestSuite


def one_by_one(count):
    suite = TestSuite("suite")
    for number in range(count):
        suite.add_testcase(TestCase(f"test {number}"))


def as_a_list(count):
    TestSuite("suite").add_testcases([TestCase(f"test {number}") for number in range(count)])


def merge(count):
    report = JUnitXml()
    for number in range(count):
        report += JUnitXml.fromstring(b'<testsuites><testsuite name="%d"><testcase name="test"/></testsuite></testsuites>' % number)
    report.update_statistics()


def calls(function, count):
    profile = cProfile.Profile()
    profile.runcall(function, count)
    return sum(entry.callcount for entry in profile.getstats())


for name, function in (("add_testcase", one_by_one), ("merge, a suite in each file", merge), ("add_testcases", as_a_list)):
    fifty, hundred, two_hundred = (calls(function, count) for count in (50, 100, 200))
    print(f"{name}: {hundred / fifty:.1f} times for 100, {two_hundred / hundred:.1f} times for 200")
PY
got=$(v/bin/python a.py)
want='add_testcase: 3.8 times for 100, 3.9 times for 200
merge, a suite in each file: 3.8 times for 100, 3.9 times for 200
add_testcases: 2.0 times for 100, 2.0 times for 200'
echo "$got"; [ "$got" = "$want" ]
