#!/usr/bin/env bash
# Tool: pytest-rerunfailures 16.7 with pytest 9.2.0 (PyPI, 2026), `--reruns` with `--junitxml`; junitparser 5.0.3 (PyPI,
#   2026) as a reader.
# Expected: a failed try that is repeated is marked in the report (rerunFailure or flakyFailure, as Maven does), or the
#   report has the last try only.
# Seen: each failed try is a case of its own with the name of the test and nothing in it, which is how a report says
#   passed. The attribute `tests` counts the test once. Output for a test that fails in each of three tries and one that
#   passes in the third:
#     test_always passed, passed, failed
#     test_flaky passed, passed, passed
#     tests="2", read: 6 tests, 5 passed
# Matters: a reader that counts cases gives a test that never passed two passes, and pass rates rise with the number of
#   tries.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytest==9.2.0 pytest-rerunfailures==16.7 junitparser==5.0.3
cat >test_tries.py <<'PY'
tries = 0


def test_always():
    assert False


def test_flaky():
    global tries
    tries += 1
    assert tries == 3
PY
venv/bin/pytest -q -p no:cacheprovider --reruns 2 --junitxml=report.xml test_tries.py >log || true
cat >show.txt <<'PY'
from junitparser import JUnitXml

results = {}
for suite in JUnitXml.fromfile("report.xml"):
    tests = suite.tests
    for case in suite:
        results.setdefault(case.name, []).append("passed" if case.is_passed else "failed")
for name, tries in results.items():
    print(name, ", ".join(tries))
flat = sum(results.values(), [])
print(f'tests="{tests}", read: {len(flat)} tests, {flat.count("passed")} passed')
PY
got=$(venv/bin/python show.txt)
want='test_always passed, passed, failed
test_flaky passed, passed, passed
tests="2", read: 6 tests, 5 passed'
echo "$got"; [ "$got" = "$want" ]
