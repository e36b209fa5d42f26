#!/usr/bin/env bash
# Tool: TAP::Harness::JUnit 0.42 (libtap-harness-junit-perl 0.42-3, libxml-simple-perl 2.25-2, Debian 12) and prove of
#   Perl 5.36 (installed), which runs it.
# Expected: a test program that a signal ends is a failure in the report, as it is one for prove, which prints its wait
#   status.
# Seen: the report looks at the exit status only. That is 0 for a program that was killed, so when the planned tests were
#   run before, the report has no failure and no error. Output:
#     prove fails: exit 3, killed
#     report: exit 3 has 1 failure, killed has 0 failures
# Matters: a crash while the program ends, in a destructor or in a library, or the end for lack of memory, is exactly what
#   comes after the last "ok". The CI system shows the report, and it is green.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libtap-harness-junit-perl=0.42-3 libxml-simple-perl=2.25-2 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
mkdir t
cat >t/exit.t <<'PERL'
use Test::More tests => 1;
ok 1, 'one';
exit 3;
PERL
cat >t/killed.t <<'PERL'
use Test::More tests => 1;
ok 1, 'one';
kill 'KILL', $$;
PERL
PERL5LIB=deb/usr/share/perl5 JUNIT_OUTPUT_FILE=report.xml prove --harness TAP::Harness::JUnit t >log 2>&1 || code=$?
grep -q '^Result: FAIL' log
python3 - >got <<'PY'
import re
import xml.etree.ElementTree as xml

names = re.findall(r"^t/(\w+)\.t +\(Wstat", open("log").read(), re.M)
print("prove fails:", ", ".join(name.replace("exit", "exit 3") for name in names))
found = {}
for suite in xml.parse("report.xml").iter("testsuite"):
    wrong = len(suite.findall(".//failure")) + len(suite.findall(".//error"))
    found[suite.get("name")] = f"{wrong} failure{'s' * (wrong != 1)}"
print(f"report: exit 3 has {found['t_exit_t']}, killed has {found['t_killed_t']}")
PY
want='prove fails: exit 3, killed
report: exit 3 has 1 failure, killed has 0 failures'
echo "exit status of prove: ${code:-0}"; cat got; [ "$(cat got)" = "$want" ]
