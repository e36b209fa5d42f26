#!/usr/bin/env bash
# Tool: check 0.15.2 (check 0.15.2-2+b1, libsubunit0 1.4.0-3, Debian 12), unit tests in C, with the XML log that it writes for
#   srunner_set_xml() or CK_XML_LOG_FILE_NAME; needs gcc.
# Expected: "duration" is the time of the test, of each one: check forks for it, and so it sees how long a test ran that failed,
#   died or had no more time.
# Seen: only a test that passes has its time. Each other one has -1.000000. The times of a suite add up to less than nothing, while
#   the time of the whole log, which is a sum of its own, is right. Output, for tests of 0.3 s with a limit of one second:
#     passes: 0.3 s
#     fails: -1 s
#     dies: -1 s
#     exceeds the limit: -1 s
# Matters: the tests that cost most, those that run into the limit, lower the sum of a report and lead no list of slow tests. In a
#   history of times each failure is a drop.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q check=0.15.2-2+b1 libsubunit0=1.4.0-3 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
cat >test.c <<'C'
#include <check.h>
#include <stdlib.h>
#include <unistd.h>
START_TEST(passes) { usleep(300000); } END_TEST
START_TEST(fails) { usleep(300000); ck_abort_msg("failed"); } END_TEST
START_TEST(dies) { usleep(300000); abort(); } END_TEST
START_TEST(exceeds) { sleep(10); } END_TEST
int main(void) {
    Suite *suite = suite_create("suite");
    TCase *group = tcase_create("group");
    tcase_set_timeout(group, 1);
    tcase_add_test(group, passes);
    tcase_add_test(group, fails);
    tcase_add_test(group, dies);
    tcase_add_test(group, exceeds);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_set_xml(runner, "log.xml");
    srunner_run_all(runner, CK_SILENT);
    return srunner_ntests_failed(runner) == 3 ? 0 : 1;
}
C
lib=$PWD/deb/usr/lib/x86_64-linux-gnu
gcc -Ideb/usr/include test.c "$lib/libcheck.a" "$lib/libsubunit.so.0" -lm -lrt -lpthread -o tests
LD_LIBRARY_PATH=$lib ./tests 2>messages
got=$(python3 <<'PY'
import xml.etree.ElementTree as tree

space = "{http://check.sourceforge.net/ns}"
for test in tree.parse("log.xml").iter(space + "test"):
    name, seconds = test.find(space + "id").text, float(test.find(space + "duration").text)
    # A sleep of 0.3 s takes longer on a busy machine.
    text = "0.3" if 0.3 <= seconds < 0.9 else format(seconds, "g")
    print(f"{name.replace('exceeds', 'exceeds the limit')}: {text} s")
PY
)
want='passes: 0.3 s
fails: -1 s
dies: -1 s
exceeds the limit: -1 s'
echo "$got"; [ "$got" = "$want" ]
