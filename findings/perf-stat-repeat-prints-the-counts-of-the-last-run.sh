#!/usr/bin/env bash
# Tool: perf 6.1.192 (linux-perf 6.1.192-3, Debian 12), Linux 6.18. Runs as root, or with
#   a perf_event_paranoid that permits to count.
# Expected: `perf stat --repeat 3` prints the mean of each counter and its spread, as its
#   manual says.
# Seen: the number is the count of the last run. The spread next to it is the one of all
#   runs around their mean, and "time elapsed" is the mean, so the two do not fit. The
#   lines for programs (-x and -j) have the same number. Output, for a program that
#   touches 5000, 10000 and 15000 pages in its three runs:
#     one run each: mean more than 10000 and less than 12000
#     --repeat 3: more than 15000
#     --repeat 3, JSON: more than 15000
# Matters: the average over repeated builds is one sample. A slow last run makes a commit
#   look slower, and the printed spread says that this is not chance.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q linux-perf=6.1.192-3 libbabeltrace1 libdw1 libelf1 libglib2.0-0 libnuma1 libopencsd1 \
  libperl5.36 libpython3.11 libslang2 libunwind8 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
perf() { LD_LIBRARY_PATH=$libraries deb/usr/bin/perf "$@"; }
cat >touch.py <<'PY'
import mmap, pathlib

runs = pathlib.Path("runs")
run = int(runs.read_text()) + 1
runs.write_text(str(run))
memory = mmap.mmap(-1, run * 5000 * mmap.PAGESIZE)
memory.madvise(mmap.MADV_NOHUGEPAGE)
for start in range(0, len(memory), mmap.PAGESIZE):
    memory[start] = 1
PY
program=(env -u LD_LIBRARY_PATH /usr/bin/python3 touch.py)
echo 0 >runs
for run in 1 2 3; do
  perf stat -x, -o one -e page-faults "${program[@]}"
  sed -n 's/^\([0-9]*\),.*/\1/p' one
done >singles
echo 0 >runs; perf stat -x, -o csv --repeat 3 -e page-faults "${program[@]}"
echo 0 >runs; perf stat -j -o json --repeat 3 -e page-faults "${program[@]}"
mean=$(awk '{ sum += $1 } END { print int(sum / NR) }' singles)
repeated=$(sed -n 's/^\([0-9]*\),.*/\1/p' csv)
json=$(grep -o 'counter-value" : "[0-9]*' json | grep -o '[0-9]*$')
echo "single runs:" $(cat singles) "mean $mean, --repeat 3: $repeated, JSON: $json"
[ "$mean" -gt 10000 ]; [ "$mean" -lt 12000 ]
[ "$repeated" -gt 15000 ]; [ "$json" -gt 15000 ]
