#!/usr/bin/env bash
# Tool: zpaq 7.15+repack-1 (Debian 12), an archiver with deduplication that keeps each version of a file.
# Expected: dates come back to the second, as the manual says, or a date that the format cannot hold is
#   reported. The format has decimal dates (YYYYMMDDhhmmss), which end in the year 9999.
# Seen: 1960-01-01 is stored as month 89, day 77, and extracted as a day of July of that year. 2040 is stored
#   right and extracted as 1903. "all OK", exit status 0, in both directions. Output:
#     1960-01-01 00:00:00: stored as 1960-89-77, extracted as 1960-07-17 00:00:00
#     2026-02-03 04:05:06: stored as 2026-02-03, extracted as 2026-02-03 04:05:06
#     2040-02-03 04:05:06: stored as 2040-02-03, extracted as 1903-12-28 21:36:50
# Matters: a restored tree has the other dates, and what compares dates (make, rsync, the next backup by
#   another tool) takes those files for changed, or for older than what was made from them. zpaq itself sees
#   no change, so its own check is clean.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export TZ=UTC
apt-get download -q zpaq=7.15+repack-1 >apt.log 2>&1
dpkg-deb -x zpaq_*.deb deb
mkdir tree out
for date in '1960-01-01 00:00:00' '2026-02-03 04:05:06' '2040-02-03 04:05:06'; do
    touch -d "$date" "tree/${date%%-*}"
done
deb/usr/bin/zpaq add archive.zpaq tree >add.log 2>&1
deb/usr/bin/zpaq list archive.zpaq >list.log 2>&1
(cd out; ../deb/usr/bin/zpaq extract ../archive.zpaq >../extract.log 2>&1)
grep -q 'all OK' add.log && grep -q 'all OK' extract.log
got=$(for file in tree/*; do
    stored=$(sed -n "s|^- \([0-9-]*\) .* $file\$|\1|p" list.log)
    echo "$(stat -c %y "$file" | cut -c 1-19): stored as $stored, extracted as $(stat -c %y "out/$file" | cut -c 1-19)"
done)
want='1960-01-01 00:00:00: stored as 1960-89-77, extracted as 1960-07-17 00:00:00
2026-02-03 04:05:06: stored as 2026-02-03, extracted as 2026-02-03 04:05:06
2040-02-03 04:05:06: stored as 2040-02-03, extracted as 1903-12-28 21:36:50'
echo "$got"; [ "$got" = "$want" ]
