#!/usr/bin/env bash
# Tool: `jobs -p` of dash 0.5.12 (0.5.12-2), sh of busybox 1.35.0 (busybox-static 1:1.35.0-4+deb12u1+b1), yash 2.52 (2.52-2), mksh
#   59c (59c-28+deb12u1) and ksh93u+m 1.0.4 (1.0.4-3), all Debian 12; bash (installed).
# Expected: `while [ "$(jobs -p | wc -l)" -ge 2 ]; do sleep 0.1; done` before each `job &` lets two jobs run at a time, in
#   each shell. jobs and its option -p are POSIX.
# Seen: in dash and busybox the substitution is a shell without jobs, so the count is 0 and all jobs run at once. In yash only
#   the substitution learns that a job ended, so the loop would never end. bash, mksh and ksh93 are as expected. Output, for six
#   jobs, with a loop that gives up after 5 s:
#     bash: at most 2 at once, 6 jobs
#     mksh: at most 2 at once, 6 jobs
#     ksh93: at most 2 at once, 6 jobs
#     dash: at most 6 at once, 6 jobs
#     busybox: at most 6 at once, 6 jobs
#     yash: at most 2 at once, 2 jobs, gives up
# Matters: RUN uses sh, which is dash in Debian and busybox in Alpine. A step that was written with bash to run as many compilers
#   as there are processors runs all of them at once there, and needs the memory of all.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q dash=0.5.12-2 busybox-static=1:1.35.0-4+deb12u1+b1 yash=2.52-2 mksh=59c-28+deb12u1 'ksh93u+m=1.0.4-3' >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
cat >script <<'SH'
for job in 1 2 3 4 5 6; do
    tries=0
    while [ "$(jobs -p | wc -l)" -ge 2 ]; do
        tries=$((tries + 1))
        if [ $tries -gt 50 ]; then echo 0 gives up >>log; exit; fi
        sleep 0.1
    done
    (echo 1 >>log; sleep 1; echo -1 >>log) &
done
wait
SH
limit() { # NAME SHELL...
    rm -f log
    "${@:2}" script
    sleep 1.5
    awk -v name="$1" '{ now += $1; if (now > most) most = now; jobs += $1 == 1 } /gives up/ { end = ", gives up" }
        END { print name ": at most " most " at once, " jobs " jobs" end }' log
}
got=$(limit bash bash; limit mksh deb/bin/mksh; limit ksh93 deb/bin/ksh93; limit dash deb/bin/dash
    limit busybox deb/bin/busybox sh; limit yash deb/usr/bin/yash)
want='bash: at most 2 at once, 6 jobs
mksh: at most 2 at once, 6 jobs
ksh93: at most 2 at once, 6 jobs
dash: at most 6 at once, 6 jobs
busybox: at most 6 at once, 6 jobs
yash: at most 2 at once, 2 jobs, gives up'
echo "$got"; [ "$got" = "$want" ]
