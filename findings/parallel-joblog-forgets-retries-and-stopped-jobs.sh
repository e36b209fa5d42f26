#!/usr/bin/env bash
# Tool: GNU parallel 20221122 (parallel 20221122+ds-2, Debian 12).
# Expected: --joblog has a line for each run of a job, with its start and its runtime.
# Seen: a job that ran three times because of --retries 3 has one line, with the start
#   and the runtime of the last run. A job that --halt now,fail=1 stopped after it had
#   run as long as the failing one has none. Output:
#     retried: 1 line, less than 0.9 s, elapsed more than 1.1 s
#     stopped: 1 line for 2 jobs
# Matters: a profile that is made from the log shows a third of the time of a flaky
#   step, with a gap before it, and no trace of the steps that were cut short.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HOME=$dir
apt-get download -q parallel=20221122+ds-2 >apt.log 2>&1
dpkg-deb -x parallel*.deb deb
parallel() { perl deb/usr/bin/parallel "$@"; }
start=$(date +%s%N)
parallel --joblog retried --retries 3 -j1 'echo run >>runs; sleep 0.4; exit {}' ::: 1 2>err || true
elapsed=$(( ($(date +%s%N) - start) / 1000000 ))
[ "$(wc -l <runs)" = 3 ]
parallel --joblog stopped --halt now,fail=1 -j2 'sleep {}; exit 1' ::: 0.5 5 2>err || true
cat retried stopped; echo "elapsed $elapsed ms"
lines() { tail -n +2 "$1" | wc -l; }
long='at most'; [ "$elapsed" -gt 1100 ] && long='more than'
got="retried: $(lines retried) line, $(awk 'NR == 2 { print ($4 < 0.9 ? "less than" : "at least") }' retried) 0.9 s, elapsed $long 1.1 s
stopped: $(lines stopped) line for 2 jobs"
want='retried: 1 line, less than 0.9 s, elapsed more than 1.1 s
stopped: 1 line for 2 jobs'
echo "$got"; [ "$got" = "$want" ]
