#!/usr/bin/env bash
# Tool: junitparser 5.0.3 (PyPI, 2026), junit-to-ctrf 0.0.14, test-results-parser 0.4.6 and junit-merge 2.0.0 (npm),
#   reading what Node.js 24.11.1 (npm package node) writes with `--test-reporter=junit`.
# Expected: a reader sees each test of the report, or refuses the report.
# Seen: a test() that is not inside a describe() is a <testcase> directly below <testsuites>. The schema of Jenkins
#   and these four readers know cases inside a <testsuite> only. A failed test is nowhere, and each of them calls
#   the report good; `junitparser verify` exits with 0. Output:
#     node: 3 tests, 1 failed, exit 1
#     junitparser: 1 test, 0 failures, verify exits with 0
#     junit-to-ctrf: 1 test, 0 failed
#     test-results-parser: 1 test, 0 failed
#     junit-merge: 1 test, 0 failed
# Matters: plain test() is how most files for this runner are written. A job that gates on the report is green, and
#   the times of these tests are in no statistics.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund node@24.11.1 junit-to-ctrf@0.0.14 test-results-parser@0.4.6 junit-merge@2.0.0 >npm.log
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check junitparser==5.0.3
cat >parser.test.mjs <<'JS'
import { describe, it, test } from "node:test";

test("reads a file", () => {});
test("fails", () => { throw new Error("wrong"); });
describe("suite", () => { it("passes", () => {}); });
JS
status=0; node_modules/.bin/node --test --test-reporter=junit parser.test.mjs >report.xml || status=$?
verify=0; venv/bin/junitparser verify report.xml || verify=$?
node_modules/.bin/junit-to-ctrf report.xml -o ctrf.json >/dev/null
node_modules/.bin/junit-merge --out merged.xml report.xml >/dev/null
cat >readers.cjs <<'JS'
const { parse } = require("test-results-parser");
const summary = require("./ctrf.json").results.summary;
const words = (tests, failed) => `${tests} test, ${failed} failed`;
console.log("junit-to-ctrf:", words(summary.tests, summary.failed));
const result = parse({ type: "junit", files: ["report.xml"] });
console.log("test-results-parser:", words(result.total, result.failed));
const merged = require("fs").readFileSync("merged.xml", "utf8");
console.log("junit-merge:", words(merged.match(/<testcase/g).length, (merged.match(/<failure/g) ?? []).length));
JS
cat >reader.py <<'PY'
import sys

import junitparser

report = junitparser.JUnitXml.fromfile("report.xml")
report.update_statistics()
print(f"junitparser: {report.tests} test, {report.failures} failures, verify exits with {sys.argv[1]}")
PY
got=$(echo "node: $(grep -c '<testcase' report.xml) tests, $(grep -c '<failure' report.xml) failed, exit $status"
  venv/bin/python reader.py "$verify"; node readers.cjs)
want='node: 3 tests, 1 failed, exit 1
junitparser: 1 test, 0 failures, verify exits with 0
junit-to-ctrf: 1 test, 0 failed
test-results-parser: 1 test, 0 failed
junit-merge: 1 test, 0 failed'
echo "$got"; [ "$got" = "$want" ]
