#!/usr/bin/env bash
# Tool: perf 6.1.192 (linux-perf 6.1.192-3, Debian 12), Linux 6.18. Runs as root, or with
#   a perf_event_paranoid that permits to record.
# Expected: the JSON of `perf data convert --to-json` has for each sample what `perf script` prints:
#   the event and its period (how much the sample counts for) next to time, process and stack.
# Seen: a sample has time, process, name and stack, nothing else. The header has no list of events
#   either. Samples of several events are in one list and cannot be told apart, and a sample that
#   counts for 1000 page faults is the same as one that counts for 2 ms. Output, for a program that
#   touches 10000 pages:
#     perf script: cpu-clock 2000000, page-faults 1000
#     JSON: samples of both, each with callchain comm pid tid timestamp
# Matters: this is perf's documented output for other programs. Page faults
#   become time in a flame graph, and with several events, or with -F, where the period of each
#   sample differs, the shares of the functions are wrong.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q linux-perf=6.1.192-3 libbabeltrace1 libdw1 libelf1 libglib2.0-0 libnuma1 libopencsd1 \
  libperl5.36 libpython3.11 libslang2 libunwind8 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
perf() { LD_LIBRARY_PATH=$libraries deb/usr/bin/perf "$@"; }
cat >touch.py <<'PY'
import mmap

memory = mmap.mmap(-1, 10000 * mmap.PAGESIZE)
memory.madvise(mmap.MADV_NOHUGEPAGE)
for start in range(0, len(memory), mmap.PAGESIZE):
    memory[start] = 1
total = 0
for number in range(2_000_000):
    total += number
PY
perf record -q -o data -e cpu-clock/period=2000000/u,page-faults/period=1000/u \
  env -u LD_LIBRARY_PATH /usr/bin/python3 touch.py
perf data convert -i data --to-json data.json 2>convert.log
perf script -i data -F period,event 2>/dev/null >script
cat >compare.py <<'PY'
import collections, json

events, lines = collections.defaultdict(set), 0
for line in open("script"):
    if line.strip():
        period, event = line.split()[:2]
        events[event.split("/")[0]].add(period)
        lines += 1
print("perf script:", ", ".join(f"{event} {' '.join(sorted(periods))}" for event, periods in sorted(events.items())))
data = json.load(open("data.json"))
keys = {key for sample in data["samples"] for key in sample}
assert not [key for key in data["headers"] if "event" in key], data["headers"]
print(f"JSON: {'samples of both' if len(data['samples']) == lines else 'other samples'}, each with", *sorted(keys))
PY
got=$(/usr/bin/python3 compare.py)
want='perf script: cpu-clock 2000000, page-faults 1000
JSON: samples of both, each with callchain comm pid tid timestamp'
echo "$got"; [ "$got" = "$want" ]
