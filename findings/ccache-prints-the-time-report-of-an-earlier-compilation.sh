#!/usr/bin/env bash
# Tool: ccache 4.7.5 (ccache 4.8+really4.7.5-1, libhiredis0.14 0.14.1-3, Debian 12) and gcc (installed).
# Expected: a hit gives what the compilation would give. An option that writes a further file is known and the file comes back, or
#   the call is not cached: so it is with -fstack-usage, -gsplit-dwarf, -ftest-coverage, -fdump-tree-* and -save-temps.
# Seen: -ftime-report is cached with its text. A hit prints the seconds of the compilation that filled the cache, digit for
#   digit. -fcallgraph-info, -fsave-optimization-record and -fopt-info-all=FILE are hits that leave their file out. The exit
#   status is 0. Output, what the second call does:
#     -ftime-report: hit, the same report
#     -fstack-usage: hit, file there
#     -fcallgraph-info: hit, file missing
#     -fsave-optimization-record: hit, file missing
#     -fopt-info-all=a.txt: hit, file missing
#     -fdump-tree-optimized: no hit, file there
# Matters: a sum of the reports of a build that took a second has the minutes of an old build on another machine, if the cache is
#   shared. A tool that collects call graphs or missed optimizations sees the files that were not in the cache.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q ccache=4.8+really4.7.5-1 libhiredis0.14=0.14.1-3 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
export CCACHE_DIR=$dir/cache CCACHE_STATSLOG=$dir/statistics
ccache() { LD_LIBRARY_PATH=$dir/deb/usr/lib/x86_64-linux-gnu "$dir/deb/usr/bin/ccache" "$@"; }
mkdir source; cd source
{ echo '#include <stdio.h>'; for i in $(seq 300); do echo "int f$i(int n) { int s = $i; for (int i = 0; i < n; i++) s += i * s; return s; }"; done; } >a.c
# Compiles twice with an option and says what the second call did.
twice() { # OPTION PATTERN
    ccache gcc -O2 -c a.c "$1" 2>first
    [ "$2" = report ] || [ -n "$(find . -name "$2")" ] || { echo "$1: no file $2 at first"; return; }
    rm -f a.o; [ "$2" = report ] || find . -name "$2" -delete
    : >"$CCACHE_STATSLOG"
    ccache gcc -O2 -c a.c "$1" 2>second
    [ -s a.o ]
    hit='no hit'; if grep -q '_hit$' "$CCACHE_STATSLOG"; then hit=hit; fi
    if [ "$2" = report ]; then
        file='another report'; if grep -q TOTAL first && cmp -s first second; then file='the same report'; fi
    else
        file='file missing'; if [ -n "$(find . -name "$2")" ]; then file='file there'; fi
    fi
    echo "$1: $hit, $file"
}
got=$(twice -ftime-report report; twice -fstack-usage a.su; twice -fcallgraph-info a.ci; twice -fsave-optimization-record '*.opt-record.json.gz'
    twice -fopt-info-all=a.txt a.txt; twice -fdump-tree-optimized 'a.c.*.optimized')
want='-ftime-report: hit, the same report
-fstack-usage: hit, file there
-fcallgraph-info: hit, file missing
-fsave-optimization-record: hit, file missing
-fopt-info-all=a.txt: hit, file missing
-fdump-tree-optimized: no hit, file there'
echo "$got"; [ "$got" = "$want" ]
