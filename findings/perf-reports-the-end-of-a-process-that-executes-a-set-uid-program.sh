#!/usr/bin/env bash
# Tool: perf_event_open(2), by perf(1) (Linux 6.18; needs root, perf and setpriv).
# Expected: PERF_RECORD_EXIT "indicates a process exit event" (perf_event_open(2)).
# Seen: the kernel also writes one when a process executes a set-uid program,
#   right after the record of the exec. The process goes on, and a second record
#   of the same process comes at its real end.
# Matters: a profiler that takes the first record for the end shows `sudo`, `su`
#   or `ping` as processes of no length, and what they do as time of no process.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"; cp /bin/sleep "$dir/nap"; chmod 4755 "$dir/nap"
perf record -q -a -e dummy -o "$dir/data" -- setpriv --reuid 65534 --clear-groups "$dir/nap" 0.5 2> /dev/null
got=$(perf script -i "$dir/data" --show-task-events 2> /dev/null | awk '$1 == "nap" && /RECORD_EXIT/ { print $4 }' | tr -d :)
printf '%s\n' "$got"
python3 - $got <<'PY'
import sys
first, last = map(float, sys.argv[1:])
assert last - first > 0.4, "one end"
print(f"two ends, {last - first:.1f} s apart")
PY
