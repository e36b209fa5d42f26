#!/usr/bin/env bash
# Tool: googletest 1.12.1 (libgtest-dev 1.12.1-0.2, Debian 12), `--gtest_output=xml`; needs g++.
# Expected: a failure in SetUpTestSuite() is a failure in the report, and GTEST_SKIP() there skips the tests of the suite, as it
#   does in SetUp().
# Seen: it is the other way round. If the set-up of a suite fails, its tests are skipped, and the report has no failure at all,
#   neither as a number nor as an element; only the exit status and the text on the terminal tell. If the set-up skips, the
#   tests run. Output:
#     set-up fails: exit status 1, 2 tests, 2 skipped, 0 failures, 0 elements "failure"
#     set-up skips: exit status 1, 2 tests, 0 skipped, 1 failures, 1 elements "failure"
#     SetUp of each test skips: exit status 0, 2 tests, 2 skipped, 0 failures, 0 elements "failure"
# Matters: pages and tools that show test results read the report. A suite that could not start its database is shown like one
#   that is not meant for this machine, and a suite that should be left out is red.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libgtest-dev=1.12.1-0.2 >apt.log 2>&1
dpkg-deb -x libgtest-dev_*.deb deb
cat >test.cc <<'CC'
#include <gtest/gtest.h>
struct Fails : testing::Test { static void SetUpTestSuite() { FAIL() << "no database"; } };
TEST_F(Fails, One) {}
TEST_F(Fails, Two) { FAIL() << "no database"; }
struct Skips : testing::Test { static void SetUpTestSuite() { GTEST_SKIP() << "no database"; } };
TEST_F(Skips, One) {}
TEST_F(Skips, Two) { FAIL() << "no database"; }
struct SkipsEach : testing::Test { void SetUp() override { GTEST_SKIP() << "no database"; } };
TEST_F(SkipsEach, One) {}
TEST_F(SkipsEach, Two) { FAIL() << "no database"; }
CC
g++ -Ideb/usr/include test.cc -Ldeb/usr/lib/x86_64-linux-gnu -lgtest -lgtest_main -lpthread -o test
report() {
    local status=0
    ./test --gtest_filter="$2.*" --gtest_output=xml:report.xml >>log || status=$?
    python3 - "$1" "$status" <<'PY'
import sys
import xml.etree.ElementTree as tree

root = tree.parse("report.xml").getroot()
suite = root.find("testsuite")
assert root.get("failures") == suite.get("failures")
print(f"{sys.argv[1]}: exit status {sys.argv[2]}, {suite.get('tests')} tests, {suite.get('skipped')} skipped, "
      f"{suite.get('failures')} failures, {len(list(root.iter('failure')))} elements \"failure\"")
PY
}
got=$(report 'set-up fails' Fails; report 'set-up skips' Skips; report 'SetUp of each test skips' SkipsEach)
want='set-up fails: exit status 1, 2 tests, 2 skipped, 0 failures, 0 elements "failure"
set-up skips: exit status 1, 2 tests, 0 skipped, 1 failures, 1 elements "failure"
SetUp of each test skips: exit status 0, 2 tests, 2 skipped, 0 failures, 0 elements "failure"'
echo "$got"; [ "$got" = "$want" ]
