#!/usr/bin/env bash
# Tool: mocha 12.0.3 (npm, 2026), `--reporter xunit`.
# Expected: the attributes of the suite count its cases: each `failure` element in `failures`, each `skipped` one in
#   `skipped`, and the tests that a failed hook stopped are there as skipped or failed.
# Seen: `failures` is 0 for failed assertions, which are counted in `errors`, though the cases have `failure` elements.
#   `skipped` is what is left of `tests`, so a failed hook, which is a case and not a test, hides a skipped test, and
#   more of them make it negative. The tests that a hook stopped are not in the report. Output for a failed assertion,
#   a skipped test, and a beforeEach that fails before the second and last test of two suites:
#     attributes: tests 5, failures 0, errors 3, skipped -1
#     elements: 7 testcase, 3 failure, 0 error, 1 skipped
#     missing: second of a, second of b
# Matters: a gate on `failures` passes, and a reader that adds up the attributes of suites counts tests that are not
#   there.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >log
npm install --silent --no-audit --no-fund mocha@12.0.3
mkdir test
cat >test/all.cjs <<'JS'
const assert = require("node:assert");
for (const name of ["a", "b"]) {
  describe(name, () => {
    let runs = 0;
    beforeEach(() => assert(++runs < 2));
    it(`first of ${name}`, () => {});
    it(`second of ${name}`, () => {});
  });
}
describe("c", () => {
  it("good", () => {});
  it("bad", () => assert.equal(1, 2));
  it.skip("skipped", () => {});
});
JS
npx mocha --reporter xunit test/all.cjs >report.xml || true
cat >show.txt <<'PY'
import xml.etree.ElementTree as ElementTree

suite = ElementTree.parse("report.xml").getroot()
print("attributes:", ", ".join(f"{key} {suite.get(key)}" for key in ("tests", "failures", "errors", "skipped")))
tags = ("testcase", "failure", "error", "skipped")
print("elements:", ", ".join(f"{len(list(suite.iter(tag)))} {tag}" for tag in tags))
names = {case.get("name") for case in suite.iter("testcase")}
print("missing:", ", ".join(name for name in ("second of a", "second of b") if name not in names))
PY
got=$(python3 show.txt)
want='attributes: tests 5, failures 0, errors 3, skipped -1
elements: 7 testcase, 3 failure, 0 error, 1 skipped
missing: second of a, second of b'
echo "$got"; [ "$got" = "$want" ]
