#!/usr/bin/env bash
# Tool: test-results-parser 0.4.6, junitxml-to-javascript 1.1.4 and junit2json 4.0.0 (npm), reading what Node.js
#   20.20.2 (installed) writes with `--test-reporter=junit`.
# Expected: each test of the report is in the result, under its name. Node nests a <testsuite> for each
#   describe() inside another one, as many reporters do.
# Seen: the first two read the outer suites only. A failed test in an inner suite is nowhere in the second; the
#   first counts it from the attributes, without a case. junit2json has all tests, and makes numbers of names
#   that begin like one: "1.10" is 1.1, "0123456" is 123456, "1e5" is 1. There is no message. Output:
#     tests: reads, fails (failed), 0123456, 1e5
#     test-results-parser: reads; 1 failed
#     junitxml-to-javascript: reads; 0 failed
#     junit2json: reads, fails, 123456, 1 in parser, 1.1; 1 failed
# Matters: a report of failed tests is green. With parameters in names (versions, commits, sizes), two tests
#   become one, and a comparison with the earlier run finds no test of that name.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund test-results-parser@0.4.6 junitxml-to-javascript@1.1.4 junit2json@4.0.0 >npm.log
cat >sample.test.cjs <<'JS'
const { describe, it } = require("node:test");
describe("parser", () => {
    it("reads", () => {});
    describe("1.10", () => {
        it("fails", () => { throw new Error("broken"); });
        it("0123456", () => {});
        it("1e5", () => {});
    });
});
JS
node --test --test-reporter=junit sample.test.cjs >report.xml || true
cat >read.mjs <<'JS'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const text = readFileSync("report.xml", "utf8");
const names = [...text.matchAll(/<testcase name="([^"]*)"/g)].map(match => match[1]);
console.log(`tests: ${names.map(name => name === "fails" ? "fails (failed)" : name).join(", ")}`);

const first = require("test-results-parser").parse({ type: "junit", files: ["report.xml"] });
console.log(`test-results-parser: ${first.suites.flatMap(suite => suite.cases.map(test => test.name))}; ${first.failed} failed`);

const Parser = require("junitxml-to-javascript");
const second = (await new Parser().parseXMLFile("report.xml")).testsuites;
const tests = second.flatMap(suite => suite.testCases);
console.log(`junitxml-to-javascript: ${tests.map(test => test.name)}; ${tests.filter(test => test.result === "failed").length} failed`);

const flat = suite => [suite, ...(suite.testsuite ?? []).flatMap(flat)];
const third = (await require("junit2json").parse(text)).testsuite.flatMap(flat);
const cases = third.flatMap(suite => suite.testcase ?? []);
const inSuites = third.map(suite => suite.name).join(", ");
console.log(`junit2json: ${cases.map(test => test.name).join(", ")} in ${inSuites}; ${cases.filter(test => test.failure).length} failed`);
JS
got=$(node read.mjs)
want='tests: reads, fails (failed), 0123456, 1e5
test-results-parser: reads; 1 failed
junitxml-to-javascript: reads; 0 failed
junit2json: reads, fails, 123456, 1 in parser, 1.1; 1 failed'
echo "$got"; [ "$got" = "$want" ]
