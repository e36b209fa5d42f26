#!/usr/bin/env bash
# Tool: remake 4.3+dbg-1.6 (Debian 12), GNU make with `--profile`, which writes the
#   targets in callgrind's format.
# Expected: each prerequisite of a target is one call, with -j4 as without.
# Seen: with -j4 a call is written each time that make looks at the target again
#   while it waits: `all` calls each of its three prerequisites several times,
#   and each call has the whole time of the prerequisite. They add up to over five
#   times the build; three steps at once explain three. Without -j there is one
#   call each.
# Matters: viewers of callgrind files (KCachegrind, gprof2dot) show shares and
#   counts that follow from the waiting, not from the work.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q remake=4.3+dbg-1.6+dfsg-1 guile-3.0-libs=3.0.8-2 libgc1=1:8.2.2-3 libunistring2=1.0-2 libffi8=3.4.4-1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu
printf 'all: a b c\na b:\n\tsleep 0.5\nc: d\n\tsleep 0.2\nd:\n\tsleep 0.3\n' >Makefile
profile() {
  rm -f callgrind.out.*
  deb/usr/bin/remake -s --profile "$@" >/dev/null 2>&1
  # Of the target `all`: its own line, then each call with its time.
  awk '/^fn=/ { all = $0 == "fn=all"; calls = 0 }
    all && /^cfn=/ { name = $0; calls = 1 }
    all && /^[0-9]/ { if (calls) { count[name]++; sum += $2 } else own = $2 }
    END { print count["cfn=a"], count["cfn=b"], count["cfn=c"], (sum > 5 * own ? "more than five times the build" : "less than five times the build") }' callgrind.out.*
}
serial=$(profile)
parallel=$(profile -j4)
echo "serial: $serial"; echo "-j4: $parallel"
[ "$serial" = '1 1 1 less than five times the build' ]
[[ $parallel =~ ^([2-9]|[1-9][0-9]+)\ ([2-9]|[1-9][0-9]+)\ ([2-9]|[1-9][0-9]+)\ more\ than\ five\ times\ the\ build$ ]]
