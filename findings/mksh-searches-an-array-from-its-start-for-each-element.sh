#!/usr/bin/env bash
# Tool: mksh 59c (mksh 59c-28+deb12u1); bash and ksh93u+m 1.0.4 (1.0.4-3) for comparison, all Debian 12.
# Expected: filling an array and reading it in order takes a time that grows with the number of elements, as in the others. bash
#   has a list, too, and remembers the place of the last element.
# Seen: mksh goes through the list from the start for each element that it sets, appends or reads. The manual has no word about
#   it. Output, as the processor time for 12,000 elements per that for 3000; four is linear:
#     bash: less than eight times to append, less than eight times to set and read
#     ksh93: less than eight times to append, less than eight times to set and read
#     mksh: more than eight times to append, more than eight times to set and read
#   In processor time when this was written: 0.15 s to append 5000 elements and 0.98 s for 10,000; bash took 0.04 s and 0.06 s.
# Matters: a script that keeps the files of a build or the lines of a log in an array is fast with the test data, and slow with
#   those of a large build.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q mksh=59c-28+deb12u1 'ksh93u+m=1.0.4-3' >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
cat >append <<'SH'
i=0; while [ $i -lt $1 ]; do a+=("x$i"); i=$((i+1)); done; echo ${#a[@]}
SH
cat >read <<'SH'
i=0; while [ $i -lt $1 ]; do a[$i]=x$i; i=$((i+1)); done
i=0; while [ $i -lt $1 ]; do v=${a[$i]}; i=$((i+1)); done; echo ${#a[@]}
SH
got=$(python3 - <<'PY'
import os
import subprocess


def seconds(shell, script, count):
    """The least processor time of three runs: other processes make it longer, not shorter."""
    times = []
    for _ in range(3):
        child = subprocess.Popen([shell, script, str(count)], stdout=subprocess.PIPE, text=True)
        assert child.stdout.read() == f"{count}\n"
        _, status, usage = os.wait4(child.pid, 0)
        assert status == 0
        times.append(usage.ru_utime + usage.ru_stime)
    return min(times)


def growth(shell, script):
    return "more than eight times" if seconds(shell, script, 12000) > 8 * seconds(shell, script, 3000) else "less than eight times"


for name, shell in (("bash", "/bin/bash"), ("ksh93", "deb/bin/ksh93"), ("mksh", "deb/bin/mksh")):
    print(f"{name}: {growth(shell, 'append')} to append, {growth(shell, 'read')} to set and read")
PY
)
want='bash: less than eight times to append, less than eight times to set and read
ksh93: less than eight times to append, less than eight times to set and read
mksh: more than eight times to append, more than eight times to set and read'
echo "$got"; [ "$got" = "$want" ]
