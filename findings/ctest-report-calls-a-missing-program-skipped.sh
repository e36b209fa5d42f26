#!/usr/bin/env bash
# Tool: ctest of CMake 4.4.4 (cmake, PyPI, 2026) with `--output-junit`; junitparser 5.0.3 (PyPI, 2026) reads.
# Expected: what fails the run is a failure or an error in the report.
# Seen: a test whose program does not exist, and a test whose fixture failed, are "skipped" in the report, as a test
#   that skips itself. ctest prints "Not Run", counts the first as failed and exits with 8. The time of the suite is
#   in whole seconds. Output:
#     ctest: exit 8
#     report: 4 tests, 1 failures, 3 skipped
#     after the fixture is repaired: exit 8
#     report: 4 tests, 0 failures, 2 skipped, verify exits with 0
# Matters: a program that was renamed or not built, the usual fault of a build, is a green report. Where only the
#   report decides, the tests of that program never run again, and nothing shows it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cmake==4.4.4 junitparser==5.0.3
cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 4.0)
project(example NONE)
enable_testing()
add_test(NAME skips COMMAND sh -c "exit 77")
set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME missing COMMAND not-built)
add_test(NAME database COMMAND test -e ${CMAKE_SOURCE_DIR}/repaired)
set_tests_properties(database PROPERTIES FIXTURES_SETUP database)
add_test(NAME query COMMAND true)
set_tests_properties(query PROPERTIES FIXTURES_REQUIRED database)
CMAKE
venv/bin/cmake -B build >/dev/null
run() {
  status=0; venv/bin/ctest --test-dir build --output-junit "$dir/report.xml" >ctest.log 2>&1 || status=$?
  echo "$1: exit $status"
}
report() {
  venv/bin/python -c 'import junitparser
suite = junitparser.JUnitXml.fromfile("report.xml")
print(f"report: {suite.tests} tests, {suite.failures} failures, {suite.skipped} skipped", end="")'
}
got=$(run ctest; report; echo
  touch repaired
  run "after the fixture is repaired"; report
  verify=0; venv/bin/junitparser verify report.xml || verify=$?
  echo ", verify exits with $verify")
want='ctest: exit 8
report: 4 tests, 1 failures, 3 skipped
after the fixture is repaired: exit 8
report: 4 tests, 0 failures, 2 skipped, verify exits with 0'
echo "$got"; [ "$got" = "$want" ]
