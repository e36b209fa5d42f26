#!/usr/bin/env bash
# Tool: EUnit of Erlang/OTP 25.2.3 (erlang-base and erlang-eunit 1:25.2.3+dfsg-1+deb12u4, Debian 12) with its report for CI,
#   eunit_surefire.
# Expected: a test that ran out of time, or whose process died, is an error in the report, as an exception in a test or in a set-up
#   is one. Tests that did not run because of it are counted as not run.
# Seen: it is a skipped test, and the tests after it are not in the report at all. The report has no error and no failure, while
#   EUnit itself returns the atom error. Output, for modules with a good test, then the one in question, then another good one:
#     exception: error, report: 3 tests, 1 errors, 0 failures, 0 skipped
#     out of time: error, report: 2 tests, 0 errors, 0 failures, 1 skipped
#     process killed: error, report: 2 tests, 0 errors, 0 failures, 1 skipped
#     linked process dies: error, report: 2 tests, 0 errors, 0 failures, 1 skipped
# Matters: a test that hangs is the one that a limit is for. The page of results shows a module without an error and with fewer
#   tests, and the time of the run that waited for the limit is nowhere.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q erlang-base=1:25.2.3+dfsg-1+deb12u4 erlang-eunit=1:25.2.3+dfsg-1+deb12u4 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
export ROOTDIR=$PWD/deb/usr/lib/erlang EMU=beam PROGNAME=erl
BINDIR=$(echo "$ROOTDIR"/erts-*/bin); export BINDIR
module() { # NAME EXPRESSION
    cat >"$1.erl" <<ERL
-module($1).
-export([first_test/0, second_test_/0, third_test/0]).
first_test() -> ok.
second_test_() -> {timeout, 0.5, fun() -> $2 end}.
third_test() -> ok.
ERL
}
module exception 'erlang:error(failed)'
module out_of_time 'timer:sleep(10000)'
module process_killed 'exit(self(), kill), timer:sleep(10000)'
module linked_process_dies 'spawn_link(fun() -> exit(failed) end), timer:sleep(10000)'
got=$(for name in exception out_of_time process_killed linked_process_dies; do
    "$BINDIR/erlexec" -noshell -eval "{ok, _} = compile:file($name),
        Result = eunit:test($name, [{report, {eunit_surefire, [{dir, \".\"}]}}]),
        file:write_file(\"result\", io_lib:format(\"~p\", [Result])), halt()." >>log 2>&1
    python3 - "${name//_/ }" "$(cat result)" TEST-*"$name"*.xml <<'PY'
import sys
import xml.etree.ElementTree as tree

suite = tree.parse(sys.argv[3]).getroot()
assert int(suite.get("tests")) == len(suite.findall("testcase"))
counts = ", ".join(f"{suite.get(name)} {name}" for name in ("tests", "errors", "failures", "skipped"))
print(f"{sys.argv[1]}: {sys.argv[2]}, report: {counts}")
PY
done)
want='exception: error, report: 3 tests, 1 errors, 0 failures, 0 skipped
out of time: error, report: 2 tests, 0 errors, 0 failures, 1 skipped
process killed: error, report: 2 tests, 0 errors, 0 failures, 1 skipped
linked process dies: error, report: 2 tests, 0 errors, 0 failures, 1 skipped'
echo "$got"; [ "$got" = "$want" ]
