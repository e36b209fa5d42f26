#!/usr/bin/env bash
# Tool: cmocka 1.1.5 (libcmocka-dev 1.1.5-2.1, libcmocka0 1.1.5-2.1, Debian 12), unit tests in C, with CMOCKA_MESSAGE_OUTPUT=xml;
#   needs gcc.
# Expected: the file that CMOCKA_XML_FILE names is one XML document, whatever number of groups the program runs. A group whose
#   set-up fails has its tests in it, as failed or not run.
# Seen: each group adds a document with a root of its own, and only the first one has a declaration. No XML parser reads the file.
#   With a "%g" in the name each group has a file; the group whose set-up fails has no test there. Output:
#     one group: 1 tests
#     two groups: junk after document element: line 8, column 0
#     two groups, %g: 1 tests, 1 tests
#     group whose set-up fails: 0 tests
# Matters: a program with two calls of cmocka_run_group_tests() has no report that can be read, as long as the name of the file has
#   no %g. With it, a group that could not start is a file without a test.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libcmocka-dev=1.1.5-2.1 libcmocka0=1.1.5-2.1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
cat >test.c <<'C'
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
static void passes(void **state) { (void)state; }
static int fails(void **state) { (void)state; return -1; }
int main(int count, char **names) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(passes)};
    for (int i = 1; i < count; i++)
        cmocka_run_group_tests_name(names[i], tests, strcmp(names[i], "fails") ? NULL : fails, NULL);
    return 0;
}
C
lib=$PWD/deb/usr/lib/x86_64-linux-gnu
gcc -Ideb/usr/include test.c -L"$lib" -lcmocka -o tests
# Runs the groups and prints what a parser finds in each file.
run() { # FILE GROUP...
    rm -f ./*.xml
    LD_LIBRARY_PATH=$lib CMOCKA_MESSAGE_OUTPUT=xml CMOCKA_XML_FILE=$1 ./tests "${@:2}" 2>>messages
    python3 <<'PY'
import pathlib
import xml.etree.ElementTree as tree

found = []
for path in sorted(pathlib.Path().glob("*.xml")):
    try:
        found.append(f"{len(list(tree.parse(path).iter('testcase')))} tests")
    except tree.ParseError as error:
        found.append(str(error))
print(", ".join(found))
PY
}
got="one group: $(run report.xml one)
two groups: $(run report.xml one two)
two groups, %g: $(run %g.xml one two)
group whose set-up fails: $(run report.xml fails)"
want='one group: 1 tests
two groups: junk after document element: line 8, column 0
two groups, %g: 1 tests, 1 tests
group whose set-up fails: 0 tests'
echo "$got"; [ "$got" = "$want" ]
