#!/usr/bin/env bash
# Tool: ministat 20150715 (20150715-1+b1, Debian 12), which compares benchmark results with Student's t; Python's
#   statistics module for comparison.
# Expected: the comparison does not change when the same number is added to all values of both files. Seven
#   counts of a program's instructions, of ten thousand million each, differ by some hundreds, and the second
#   build does 50 more.
# Seen: the spread is the difference of two sums of squares, which has no digits left for counts of that size:
#   the standard deviation of one file is -nan, the pooled one is 0, and a difference that is a third of the
#   noise is proven "+/- 0". Output:
#     without the 10e9: s 137.32 and 137.32, No difference proven at 95.0% confidence
#     with the 10e9: s -nan and 147.80, Difference at 95.0% confidence 50 +/- 0
#     Python, with the 10e9: s 137.32 and 137.32
# Matters: counts of instructions and cycles, and times in nanoseconds over some minutes, have such sizes and a
#   spread that is small next to them. A gate on ministat's verdict then stops a build without a change, or shows
#   "No difference" for a real one, and the numbers above the verdict do not look wrong.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q ministat=20150715-1+b1 >apt.log 2>&1
dpkg-deb -x ministat_*.deb deb
python3 - <<'PY'
import statistics

noise = 0, 310, 120, 250, 90, 400, 180
base = 10_000_000_000
for name, add in ("small", 0), ("large", base):
    for build, more in ("before", 0), ("after", 50):
        values = [add + more + value for value in noise]
        with open(f"{name}-{build}", "w") as file:
            file.writelines(f"{value}\n" for value in values)
        with open(f"{name}-python", "a") as file:
            file.write(f"{statistics.stdev(values):.2f}\n")
PY
compare() { # FILE FILE
    LC_ALL=C deb/usr/bin/ministat "$1" "$2" | awk '
        /^[x+] +7 / { s[++n] = $NF ~ /nan/ ? $NF : sprintf("%.2f", $NF) }
        /confidence/ { verdict = $0; getline; if (/\+\/-/) { sub(/^\t/, ""); verdict = verdict " " $0 } }
        END { print "s " s[1] " and " s[2] ", " verdict }'
}
got="without the 10e9: $(compare small-before small-after)
with the 10e9: $(compare large-before large-after)
Python, with the 10e9: s $(paste -sd ' ' large-python | sed 's/ / and /')"
want='without the 10e9: s 137.32 and 137.32, No difference proven at 95.0% confidence
with the 10e9: s -nan and 147.80, Difference at 95.0% confidence 50 +/- 0
Python, with the 10e9: s 137.32 and 137.32'
echo "$got"; [ "$got" = "$want" ]
